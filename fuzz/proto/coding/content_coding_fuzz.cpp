// fuzz/proto/coding/content_coding_fuzz.cpp - any bytes as coded contents, as contents, and as the
// fields that choose a coding.
//
// RFC 9110 sections 8.4 and 12.5.3. Layer: tests. The first two bytes choose codings and cuts.
// Asserts that whole equals split, that the limits hold, and that what is coded comes back.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.hpp"
#include "proto/coding/decoder.hpp"
#include "proto/coding/encoder.hpp"
#include "proto/http/coding_rules.hpp"

namespace {

using sluice::Bytes;
using sluice::Errc;
using sluice::coding::Decoder;
using sluice::coding::Encoder;
using sluice::http::ContentCoding;

constexpr sluice::coding::DecoderLimits kLimits{300'000, 20, 50'000};

struct Verdict {
  std::string text;
  Errc error = Errc::none;
};

std::uint32_t next(std::uint32_t& random) {
  random = random * 1664525u + 1013904223u;
  return random >> 8;
}

// `seed` 0 gives everything at once; others pieces of random sizes, and little room.
Verdict decode(const std::vector<ContentCoding>& codings, Bytes input, std::uint32_t seed) {
  Verdict verdict;
  auto decoder = Decoder::make(codings, kLimits);
  std::uint32_t random = seed;
  bool last = false;
  while (!last) {
    const std::size_t size =
        std::min<std::size_t>(seed == 0 ? input.size() : next(random) % 24, input.size());
    last = size == input.size();
    std::vector<std::byte> memory(input.begin(), input.begin() + static_cast<std::ptrdiff_t>(size));
    input = input.subspan(size);
    Bytes left = memory;
    for (bool done = false; !done;) {
      std::vector<std::byte> out(seed == 0 ? 400'000 : 1 + next(random) % 999);
      const auto step = decoder->decode(left, last, out);
      SLUICE_CHECK(step.made <= out.size() && step.used <= left.size());
      SLUICE_CHECK(step.done || step.error != Errc::none || step.made == out.size());
      verdict.text += sluice::as_text(Bytes(out).first(step.made));
      SLUICE_CHECK(verdict.text.size() <= kLimits.bytes + 1);
      if (step.error != Errc::none) {
        verdict.text.clear();  // how much came before is the cuts' affair
        verdict.error = step.error;
        return verdict;
      }
      left = left.subspan(step.used);
      done = step.done;
    }
    SLUICE_CHECK(left.empty());
  }
  return verdict;
}

bool same(const Verdict& a, const Verdict& b) {
  if (a.error == b.error) return a.text == b.text;
  // Of two reasons to refuse a content the cuts may choose.
  const bool refused = a.error != Errc::none && b.error != Errc::none;
  return refused &&
         (a.error == Errc::http_coding_too_large || b.error == Errc::http_coding_too_large);
}

// With flushes between.
std::string encode(ContentCoding coding, Bytes input, std::uint32_t random) {
  const sluice::coding::EncoderOptions options{1 + static_cast<int>(random % 4), 0};
  auto encoder = Encoder::make(coding, options);
  std::string packed;
  for (bool last = false; !last;) {
    const std::size_t size = std::min<std::size_t>(next(random) % 3000, input.size());
    last = size == input.size();
    Bytes left = input.first(size);
    input = input.subspan(size);
    const auto until = last                    ? Encoder::Until::finished
                       : next(random) % 2 == 0 ? Encoder::Until::flushed
                                               : Encoder::Until::taken;
    for (bool done = false; !done;) {
      std::vector<std::byte> out(1 + next(random) % 200);
      const auto step = encoder->encode(left, until, out);
      SLUICE_CHECK(step.error == Errc::none);
      SLUICE_CHECK(step.done || step.made == out.size());
      packed += sluice::as_text(Bytes(out).first(step.made));
      left = left.subspan(step.used);
      done = step.done;
    }
    SLUICE_CHECK(left.empty());
  }
  return packed;
}

void choose(std::string_view text) {
  const std::string_view values[] = {text.substr(0, text.size() / 3), text};
  const auto offered = sluice::http::CodingRules::kOffered;
  const std::span<const ContentCoding> all(offered, 3);
  const auto choice = sluice::http::choose_coding(values, all);
  SLUICE_CHECK(choice.acceptable || choice.coding == ContentCoding::identity);
  sluice::http::CodingList list;
  const Errc error = sluice::http::read_content_encoding(values, 2, list);
  SLUICE_CHECK(list.size <= 2 && (error == Errc::none || list.size == 0));
  sluice::http::AnswerFacts facts;
  facts.content_type = text;
  facts.accept_encoding = values;
  facts.cache_control = values;
  const auto verdict = sluice::http::coding_for(facts, {});
  SLUICE_CHECK(verdict.coding == ContentCoding::identity || verdict.vary);
  SLUICE_CHECK((verdict.coding == ContentCoding::identity) !=
               (verdict.why == sluice::http::NotCoded::coded));
  if (sluice::http::is_type_pattern(text)) {
    SLUICE_CHECK(!sluice::http::is_compressible("a b/c", values));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const Bytes input(reinterpret_cast<const std::byte*>(data) + 2, size - 2);
  choose(sluice::as_text(input));

  constexpr ContentCoding kAll[] = {ContentCoding::gzip, ContentCoding::deflate, ContentCoding::br,
                                    ContentCoding::zstd};
  std::vector<ContentCoding> codings = {kAll[data[0] & 3]};
  if ((data[0] & 4) != 0) codings.push_back(kAll[data[0] >> 3 & 3]);
  const Verdict whole = decode(codings, input, 0);
  SLUICE_CHECK(same(decode(codings, input, data[1] + 1u), whole));

  constexpr ContentCoding kMade[] = {ContentCoding::gzip, ContentCoding::br, ContentCoding::zstd};
  const ContentCoding coding = kMade[data[0] % 3];
  if (input.size() > 20'000) return 0;
  const std::string packed = encode(coding, input, data[1]);
  const Verdict back = decode({coding}, sluice::as_bytes(packed), data[1]);
  SLUICE_CHECK(back.error == Errc::none && back.text == sluice::as_text(input));
  return 0;
}
