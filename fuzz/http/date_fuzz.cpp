// fuzz/http/date_fuzz.cpp - a date that was read can be written, and read again.
//
// The first 8 octets are now, the rest is the text. Layer: fuzz.
#include <array>
#include <cstring>

#include "http/expect.hpp"
#include "proto/http/date.hpp"

using namespace sluice::http;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::int64_t now = 0;
  if (size < sizeof now) return 0;
  std::memcpy(&now, data, sizeof now);
  const std::string_view text = text_of(data + sizeof now, size - sizeof now);

  std::array<char, kDateSize> out{};
  const std::string_view written(out.data(), out.size());
  if (auto read = read_date(text, now)) {
    write_date(out.data(), *read);
    auto again = read_date(written, now);
    // The last leap second of the last year has no date behind it; a two-digit year may lie before
    // the first.
    const bool in_range = *read >= -62167219200 && *read <= 253402300799;
    EXPECT_THAT(again && (*again == *read || !in_range));
  }
  // Any number of seconds is written as a date.
  write_date(out.data(), now);
  auto again = read_date(written, 0);
  EXPECT_THAT(again && *again <= 253402300799 && *again >= -62167219200);
  EXPECT_THAT(*again == now || now > 253402300799 || now < -62167219200);
  return 0;
}
