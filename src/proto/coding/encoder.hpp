// proto/coding/encoder.hpp - content codings made: bytes in, coded bytes out.
//
// RFC 9110 section 8.4; gzip (RFC 1952, over zlib), br (RFC 7932, over brotli), zstd (RFC 8878,
// over zstd). Layer: proto. No I/O, never throws. One thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include <sluice/bytes.hpp>
#include <sluice/error.hpp>

#include "proto/http/content_coding.hpp"

namespace sluice::coding {

// For contents that are made while the client waits: the defaults are where more time buys little
// (figures: ADR 32). What an encoder keeps follows from both numbers; memory() says it.
struct EncoderOptions {
  static constexpr int kDefault = -1;
  int level = kDefault;      // gzip 1 to 9 (5), br 0 to 11 (4), zstd 1 to 19 (2)
  unsigned window_bits = 0;  // gzip 9 to 15 (15), br 10 to 24 (17), zstd 10 to 23 (17); 0: default

  friend bool operator==(const EncoderOptions&, const EncoderOptions&) = default;
};

class Encoder {
 public:
  // Whether this coding is made here, and with these numbers: zstd's window is never over the 8 MiB
  // of RFC 9659.
  static bool can_make(http::ContentCoding coding, const EncoderOptions& options);
  // can_make() must hold. Null when memory is out. Memory comes from operator new.
  static std::unique_ptr<Encoder> make(http::ContentCoding coding,
                                       const EncoderOptions& options = {});
  virtual ~Encoder() = default;
  Encoder(const Encoder&) = delete;
  Encoder& operator=(const Encoder&) = delete;

  enum class Until : std::uint8_t {
    taken,     // all of `in` is taken; much of it may be held back
    flushed,   // and the client can decode all that went in so far
    finished,  // and nothing follows
  };
  struct Step {
    std::size_t used = 0, made = 0;
    bool done = false;  // as far as was asked for; else call again with the rest and more room
    Errc error = Errc::none;  // out_of_memory: only reset() and the destructor may follow
  };
  // Codes `in` into `out` until that is done or `out` is full. The same `until` is asked for until
  // it is done; after `finished` only reset() may follow. Any room but none makes progress.
  virtual Step encode(Bytes in, Until until, std::span<std::byte> out) = 0;

  // For the next content: nothing went before. Keeps its memory, so that the next of the same kind
  // asks for none (br: where it goes the same way through its sizes, and with less than 3 MiB).
  virtual void reset() noexcept = 0;
  // Bytes that are held at this moment. They come with the first encode() (br, zstd), and stay.
  virtual std::size_t memory() const = 0;

 protected:
  Encoder() = default;
};

}  // namespace sluice::coding
