// proto/coding/decoder.hpp - content codings undone: coded bytes in, bytes out, with limits.
//
// RFC 9110 section 8.4; gzip, deflate, br, zstd. Layer: proto. No I/O, never throws. One thread at
// a time.
//
// What is whole: gzip is one member or several (RFC 1952); deflate is zlib's format or, as browsers
// take it, raw DEFLATE; br is one stream; zstd is one frame or several, with windows of 8 MiB at
// most (RFC 9659) and without dictionaries. Whatever follows is an error, padding with zeros too:
// others might read it in another way. No bytes at all are an empty content in every coding.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include <sluice/bytes.hpp>
#include <sluice/error.hpp>

#include "proto/http/content_coding.hpp"

namespace sluice::coding {

// What a few bytes may become. Exactly as much is let through, one byte more is not.
struct DecoderLimits {
  // Of the content once it is decoded. As limits.body_bytes. What comes may be a little longer, as
  // content that does not shrink is: 1/64 and 64 KiB. (Names, empty members and what is to be
  // skipped make nothing, and would else come without end.)
  std::uint64_t bytes = std::uint64_t{64} << 20;
  // So many times what has come, counted in steps of kRatioStep, once it is more than `ratio_from`.
  // Honest text comes to 2 to 20, what repeats itself to more; zeros come to 1,030 with DEFLATE, to
  // 31,700 with zstd and 658,000 with br. 0: no such limit.
  unsigned ratio = 200;
  std::uint64_t ratio_from = std::uint64_t{1} << 20;

  friend bool operator==(const DecoderLimits&, const DecoderLimits&) = default;
};

class Stage;

class Decoder {
 public:
  static constexpr std::size_t kMost = http::CodingList::kMost;
  static constexpr std::uint64_t kRatioStep = 4096;

  // `codings` in the order in which they were applied, as Content-Encoding names them; at least
  // one, at most kMost, none of them identity. Null when memory is out.
  static std::unique_ptr<Decoder> make(std::span<const http::ContentCoding> codings,
                                       const DecoderLimits& limits);
  ~Decoder();
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  struct Step {
    std::size_t used = 0, made = 0;
    // All of `in` is used and nothing more comes of it; with `last` the content is whole. Else
    // `out` is full: call again with the rest.
    bool done = false;
    // http_bad_content_coding, http_coding_truncated (only with `last`), http_coding_too_large,
    // out_of_memory. It stays until reset(): nothing more is used or made. What was made before is
    // not to be believed: sums are compared at the end.
    Errc error = Errc::none;
  };
  // `last`: nothing follows `in`, which may be empty. Any room but none makes progress. Neither the
  // cuts nor the room decide what is refused; where a damaged content is too large as well, they
  // may decide which of the two is said (brotli keeps back what it made in front of the damage).
  Step decode(Bytes in, bool last, std::span<std::byte> out);

  // For the next content with the same codings. Keeps most of its memory.
  void reset(const DecoderLimits& limits) noexcept;
  // Bytes that are held at this moment. At most, for each coding: gzip and deflate 48 KiB, br 17
  // MiB (25 for a moment inside of decode(), when its window grows), zstd 9 MiB; the last two are
  // only touched as far as content is made.
  std::size_t memory() const;

 private:
  // What one stage has made for the next.
  struct Joint {
    static constexpr std::size_t kBytes = 16384;
    std::unique_ptr<std::byte[]> bytes;
    std::size_t begin = 0, end = 0;
    std::uint64_t total = 0;  // that came through
  };

  Decoder();
  Errc run(Bytes in, bool last, std::span<std::byte> out, Step& step);
  // Moves what it can. `used` and `made` are added to; the verdict of the first that fails.
  Errc move(Bytes in, std::span<std::byte> out, Step& step);
  Errc move_one(std::size_t stage, Bytes in, std::span<std::byte> out, Step& step, bool& moved);
  std::uint64_t most() const;  // that may have been made by now
  bool is_whole() const;

  DecoderLimits limits_;
  std::size_t size_ = 0;
  std::array<std::unique_ptr<Stage>, kMost> stages_;  // in the order in which they are undone
  std::array<bool, kMost> full_{};  // it filled its room: there may be more without input
  std::array<Joint, kMost - 1> joints_;
  std::uint64_t came_ = 0, made_ = 0;
  std::uint64_t step_end_ = kRatioStep;  // where the ratio is looked at next
  Errc failed_ = Errc::none;
};

}  // namespace sluice::coding
