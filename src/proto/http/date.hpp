// proto/http/date.hpp - HTTP dates.
//
// RFC 9110 section 5.6.7: three formats are read, one is written. Layer: proto. No I/O, no clock.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace sluice::http {

inline constexpr std::size_t kDateSize = 29;

// "Sun, 06 Nov 1994 08:49:37 GMT", exactly kDateSize bytes, no terminator. Seconds since 1970.
void write_date(char* out, std::int64_t seconds);
// IMF-fixdate, RFC 850 or asctime. `now` decides the century of RFC 850.
std::optional<std::int64_t> read_date(std::string_view text, std::int64_t now);

}  // namespace sluice::http
