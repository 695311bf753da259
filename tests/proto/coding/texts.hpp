// tests/proto/coding/texts.hpp - contents to code, and coding and decoding in pieces.
//
// Layer: tests.
#pragma once

#include <algorithm>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proto/coding/decoder.hpp"
#include "proto/coding/encoder.hpp"

namespace sluice::coding {

using http::ContentCoding;
inline constexpr ContentCoding kMade[] = {ContentCoding::gzip, ContentCoding::br,
                                          ContentCoding::zstd};

inline std::string name_of(ContentCoding coding) { return std::string(http::coding_name(coding)); }

// Words of a small vocabulary: much that comes again, near and far.
inline std::string prose(std::size_t size, unsigned seed) {
  std::mt19937 random(seed);
  std::string text;
  while (text.size() < size) {
    text += "word" + std::to_string(random() % 300) + (random() % 9 == 0 ? ".\n" : " ");
  }
  text.resize(size);
  return text;
}

inline std::string noise(std::size_t size, unsigned seed) {
  std::mt19937 random(seed);
  std::string text(size, '\0');
  for (char& c : text) c = static_cast<char>(random());
  return text;
}

// Appends what comes of `in` to `out`, in pieces of `in_size` and with room for `out_size`.
inline Errc encode(Encoder& encoder, std::string_view text, Encoder::Until until, std::string& out,
                   std::size_t in_size = 1 << 20, std::size_t out_size = 1 << 16) {
  Bytes in = as_bytes(text);
  std::vector<std::byte> room(out_size);
  for (bool done = false; !done;) {
    const Bytes piece = in.first(std::min(in.size(), in_size));
    const bool all = piece.size() == in.size();
    const auto step = encoder.encode(piece, all ? until : Encoder::Until::taken, room);
    if (step.error != Errc::none) return step.error;
    out += as_text(Bytes(room).first(step.made));
    in = in.subspan(step.used);
    done = step.done && all;
  }
  return Errc::none;
}

inline std::string encoded(ContentCoding coding, std::string_view text,
                           const EncoderOptions& options = {}) {
  auto encoder = Encoder::make(coding, options);
  std::string out;
  return encode(*encoder, text, Encoder::Until::finished, out) == Errc::none ? out : "(failed)";
}

struct Decoded {
  std::string text;
  Errc error = Errc::none;

  friend bool operator==(const Decoded&, const Decoded&) = default;
};

// In pieces of `in_size` and with room for `out_size`. `last` stands with the last piece, or behind
// it on its own. Each piece lies in memory of exactly its size.
inline Decoded decode(Decoder& decoder, std::string_view coded, std::size_t in_size = 1 << 20,
                      std::size_t out_size = 1 << 16, bool last_alone = false) {
  Decoded result;
  Bytes in = as_bytes(coded);
  std::vector<std::byte> room(out_size);
  for (bool over = false; !over;) {
    const std::size_t size = std::min(in.size(), in_size);
    over = in.empty() || (size == in.size() && !last_alone);
    std::vector<std::byte> piece(in.begin(), in.begin() + static_cast<std::ptrdiff_t>(size));
    in = in.subspan(size);
    Bytes left = piece;
    for (bool done = false; !done;) {
      const auto step = decoder.decode(left, over, room);
      result.text += as_text(Bytes(room).first(step.made));
      if (step.error != Errc::none) {
        result.error = step.error;
        return result;
      }
      left = left.subspan(step.used);
      done = step.done;
    }
  }
  return result;
}

inline Decoded decoded(std::vector<ContentCoding> codings, std::string_view coded,
                       std::size_t in_size = 1 << 20, std::size_t out_size = 1 << 16,
                       const DecoderLimits& limits = {}) {
  auto decoder = Decoder::make(codings, limits);
  return decode(*decoder, coded, in_size, out_size);
}

}  // namespace sluice::coding
