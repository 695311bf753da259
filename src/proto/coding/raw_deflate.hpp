// proto/coding/raw_deflate.hpp - DEFLATE without a wrapper around it: bytes in, bytes out.
//
// RFC 1951, over zlib: only this folder includes it. Layer: proto. No I/O. Each of them keeps a
// window of what went before, until reset(). Memory comes from operator new.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include <sluice/bytes.hpp>

namespace sluice::coding {

struct DeflateOptions {
  unsigned window_bits = 15;  // 8 to 15: no byte stands for what was further back than 2^this
  unsigned level = 6;         // 1 to 9
  unsigned memory_level = 8;  // 1 to 9

  friend bool operator==(const DeflateOptions&, const DeflateOptions&) = default;
};

// What zlib keeps, in one type of ours.
struct ZStream;
struct ZStreamEnd {
  void operator()(ZStream* stream) const;
};

class Deflater {
 public:
  // Null when memory is out.
  static std::unique_ptr<Deflater> make(const DeflateOptions& options);

  // Compresses all of `in`, which is not empty, up to a byte boundary: what is made ends with the
  // 00 00 FF FF of an empty stored block. Returns how much was made, or 0 if it does not fit into
  // `out`: what is written then must not be used, and reset() is due.
  std::size_t flush(Bytes in, std::span<std::byte> out);
  // Nothing went before.
  void reset();

 private:
  Deflater() = default;
  std::unique_ptr<ZStream, ZStreamEnd> stream_;
};

class Inflater {
 public:
  // Null when memory is out.
  static std::unique_ptr<Inflater> make(unsigned window_bits);

  struct Step {
    std::size_t used = 0, made = 0;
    bool bad = false;  // this is no DEFLATE, or refers to what is too far back; or memory is out
    bool no_memory = false;
  };
  // Inflates until `in` is used up or `out` is full; with `out` full there may be more to come
  // without any input. A final block ends nothing: what follows goes on with the same window.
  Step inflate(Bytes in, std::span<std::byte> out);
  // Nothing is under way: the last byte given ended a block, or there was none since reset().
  bool at_boundary() const { return at_boundary_; }
  void reset();

 private:
  Inflater() = default;
  std::unique_ptr<ZStream, ZStreamEnd> stream_;
  bool at_boundary_ = true;
};

}  // namespace sluice::coding
