// fuzz/ws/ws_frame_header_fuzz.cpp - any bytes as a frame header.
//
// RFC 6455 section 5.2. Layer: tests. Asserts that a front of the input never says something else
// than the whole, and that what was read is written back as it came.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "base/check.hpp"
#include "proto/ws/frame_header.hpp"

using sluice::Bytes;

namespace {

void check(Bytes input, sluice::ws::Role sender) {
  const auto whole = sluice::ws::parse_frame_header(input, sender);
  SLUICE_CHECK(!(whole.is_done() && whole.is_bad()));
  for (std::size_t size = 0; size < std::min<std::size_t>(input.size(), 16); ++size) {
    const auto part = sluice::ws::parse_frame_header(input.first(size), sender);
    if (part.is_bad()) SLUICE_CHECK(whole.error() == part.error());
    if (part.is_done()) SLUICE_CHECK(whole.is_done() && whole.value() == part.value());
    if (whole.is_done()) SLUICE_CHECK(part.is_done() == (size >= whole.used()));
  }
  if (!whole.is_done()) return;
  SLUICE_CHECK(whole.used() <= input.size() && whole.used() <= sluice::ws::kFrameHeaderBound);
  std::array<std::byte, sluice::ws::kFrameHeaderBound> out;
  const std::byte* end = sluice::ws::write_frame_header(out.data(), whole.value());
  const Bytes read = input.first(whole.used());
  SLUICE_CHECK(
      std::equal<const std::byte*>(out.data(), end, read.data(), read.data() + read.size()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes input(reinterpret_cast<const std::byte*>(data), size);
  check(input, sluice::ws::Role::client);
  check(input, sluice::ws::Role::server);
  return 0;
}
