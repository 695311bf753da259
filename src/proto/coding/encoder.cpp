// proto/coding/encoder.cpp - which library makes which content coding, and with which numbers.
//
// Layer: proto. No I/O.
#include "proto/coding/encoder.hpp"

#include "base/check.hpp"
#include "proto/coding/stages.hpp"

namespace sluice::coding {
namespace {

using http::ContentCoding;

struct Numbers {
  int least_level, most_level, level;
  unsigned least_bits, most_bits, bits;
};

// Null for codings that are not made.
const Numbers* numbers_of(ContentCoding coding) {
  static constexpr Numbers kGzip{1, 9, 5, 9, 15, 15};
  static constexpr Numbers kBrotli{0, 11, 4, 10, 24, 17};
  static constexpr Numbers kZstd{1, 19, 2, 10, 23, 17};
  switch (coding) {
    case ContentCoding::gzip:
      return &kGzip;
    case ContentCoding::br:
      return &kBrotli;
    case ContentCoding::zstd:
      return &kZstd;
    case ContentCoding::identity:
    case ContentCoding::deflate:
      break;
  }
  return nullptr;
}

EncoderOptions whole(EncoderOptions options, const Numbers& numbers) {
  if (options.level == EncoderOptions::kDefault) options.level = numbers.level;
  if (options.window_bits == 0) options.window_bits = numbers.bits;
  return options;
}

}  // namespace

bool Encoder::can_make(ContentCoding coding, const EncoderOptions& options) {
  const Numbers* numbers = numbers_of(coding);
  if (!numbers) return false;
  const EncoderOptions asked = whole(options, *numbers);
  return asked.level >= numbers->least_level && asked.level <= numbers->most_level &&
         asked.window_bits >= numbers->least_bits && asked.window_bits <= numbers->most_bits;
}

std::unique_ptr<Encoder> Encoder::make(ContentCoding coding, const EncoderOptions& options) {
  SLUICE_CHECK(can_make(coding, options));
  const EncoderOptions asked = whole(options, *numbers_of(coding));
  if (coding == ContentCoding::gzip) return make_gzip_encoder(asked);
  if (coding == ContentCoding::br) return make_brotli_encoder(asked);
  return make_zstd_encoder(asked);
}

}  // namespace sluice::coding
