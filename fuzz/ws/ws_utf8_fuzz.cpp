// fuzz/ws/ws_utf8_fuzz.cpp - the fast automaton against a slow reading of RFC 3629.
//
// RFC 3629 section 4. Layer: tests. Asserts the same verdict, the same first bad byte, and that
// both are the same for every cut in two.
#include <cstddef>
#include <cstdint>

#include "base/check.hpp"
#include "proto/ws/utf8.hpp"

namespace {

using sluice::Bytes;
using sluice::ws::Utf8;

unsigned at(Bytes bytes, std::size_t i) { return std::to_integer<unsigned>(bytes[i]); }

// The range of the byte behind a lead that needs `size` bytes; narrower where a form would be too
// long, a surrogate, or past U+10FFFF.
bool may_be_second(unsigned lead, unsigned byte) {
  const unsigned low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const unsigned high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  return byte >= low && byte <= high;
}

std::size_t size_of(unsigned lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return 2;
  if (lead >= 0xE0 && lead <= 0xEF) return 3;
  if (lead >= 0xF0 && lead <= 0xF4) return 4;
  return 0;
}

// How many bytes can be right, and whether the text may end there.
std::size_t slow(Bytes bytes, bool& complete) {
  complete = false;
  std::size_t i = 0;
  while (i < bytes.size()) {
    const unsigned lead = at(bytes, i);
    const std::size_t size = size_of(lead);
    if (size == 0) return i;
    for (std::size_t k = 1; k < size; ++k) {
      if (i + k == bytes.size()) return i + k;
      const unsigned byte = at(bytes, i + k);
      if (k == 1 ? !may_be_second(lead, byte) : (byte & 0xC0) != 0x80) return i + k;
    }
    i += size;
  }
  complete = true;
  return i;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes input(reinterpret_cast<const std::byte*>(data), size);
  bool complete = false;
  const std::size_t good = slow(input, complete);
  Utf8 whole;
  SLUICE_CHECK(whole.add(input) == (good == size));
  SLUICE_CHECK(whole.complete() == complete);
  SLUICE_CHECK(sluice::ws::is_utf8(input) == complete);
  Utf8 exact;
  SLUICE_CHECK(exact.add_until_bad(input) == good);
  for (std::size_t cut = 0; cut <= size && size <= 300; ++cut) {
    Utf8 split;
    const bool first = split.add(input.first(cut));
    SLUICE_CHECK(first == (cut <= good));
    SLUICE_CHECK(split.add(input.subspan(cut)) == (good == size));
    SLUICE_CHECK(split.complete() == complete);
  }
  return 0;
}
