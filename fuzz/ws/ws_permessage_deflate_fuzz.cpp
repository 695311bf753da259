// fuzz/ws/ws_permessage_deflate_fuzz.cpp - any bytes as offers, as compressed messages, and as what
// is compressed.
//
// RFC 7692. Layer: tests. The first two bytes choose options and cuts. Asserts that whole equals
// split, that the limit holds, and that what is compressed comes back.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.hpp"
#include "proto/ws/permessage_deflate.hpp"

namespace {

using sluice::Bytes;
using sluice::Errc;
using sluice::ws::MessageInflater;

constexpr std::uint64_t kLimit = 100'000;

struct Verdict {
  std::string text;
  Errc error = Errc::none;

  friend bool operator==(const Verdict&, const Verdict&) = default;
};

// `seed` 0 gives everything at once; others pieces of random sizes, and little room.
Verdict run(Bytes input, bool is_utf8, std::uint32_t seed) {
  Verdict verdict;
  auto inflater = MessageInflater::make(15);
  inflater->begin(is_utf8, kLimit);
  std::uint32_t random = seed;
  bool last = false;
  while (!last) {
    random = random * 1664525u + 1013904223u;
    const std::size_t size = std::min(seed == 0 ? input.size() : (random >> 16) % 24, input.size());
    last = size == input.size();
    std::vector<std::byte> memory(input.begin(), input.begin() + static_cast<std::ptrdiff_t>(size));
    input = input.subspan(size);
    Bytes left = memory;
    for (bool done = false; !done;) {
      std::vector<std::byte> out(seed == 0 ? 200'000 : 1 + (random >> 8) % 999);
      const auto step = inflater->inflate(left, last, out);
      SLUICE_CHECK(step.made <= out.size() && step.used <= left.size());
      verdict.text += sluice::as_text(Bytes(out).first(step.made));
      SLUICE_CHECK(verdict.text.size() <= kLimit + 1);
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

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const Bytes input(reinterpret_cast<const std::byte*>(data) + 2, size - 2);
  const auto bits = static_cast<std::uint8_t>(8 + (data[0] & 7));
  const bool is_utf8 = (data[0] & 8) != 0;

  const sluice::ws::DeflateRules rules{bits, bits, (data[0] & 16) != 0, (data[0] & 32) != 0};
  if (const auto agreed = sluice::ws::negotiate_deflate(sluice::as_text(input), rules)) {
    SLUICE_CHECK(agreed->server_window_bits >= 8 && agreed->server_window_bits <= bits);
    SLUICE_CHECK(agreed->client_window_bits >= 8 && agreed->client_window_bits <= 15);
    SLUICE_CHECK(!sluice::ws::deflate_answer(*agreed).empty());
  }

  const Verdict whole = run(input, is_utf8, 0);
  SLUICE_CHECK(run(input, is_utf8, data[1] + 1u) == whole);

  if (input.empty()) return 0;
  const sluice::coding::DeflateOptions options{bits, 1u + (data[1] & 7u), 1u + data[1] / 32u};
  auto deflater = sluice::coding::Deflater::make(options);
  std::vector<std::byte> out(input.size() + sluice::ws::kDeflateTail);
  const Bytes packed = sluice::ws::deflate_message(*deflater, input, out);
  if (packed.empty() || input.size() > kLimit) return 0;
  SLUICE_CHECK(packed.size() < input.size());
  const Verdict back = run(packed, false, data[1]);
  SLUICE_CHECK(back.error == Errc::none && back.text == sluice::as_text(input));
  return 0;
}
