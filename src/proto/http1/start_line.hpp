// proto/http1/start_line.hpp - the version, which requests and responses spell alike.
//
// RFC 9112 section 2.3. Layer: proto. No I/O, no state.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "proto/http1/field_line.hpp"

namespace sluice::http1 {

struct Version {
  bool supported = false;  // HTTP/1.x
  std::uint8_t minor = 1;  // 0, or 1 for that and everything higher (RFC 9110 section 2.5)
};

// Reads `HTTP/` DIGIT `.` DIGIT; stops behind it. Error: http_bad_version.
inline Step read_version(const char* at, const char* end, Version& version) {
  constexpr std::string_view shape = "HTTP/0.0";  // 0 stands for any digit
  const std::size_t have = std::min(static_cast<std::size_t>(end - at), shape.size());
  for (std::size_t i = 0; i < have; ++i) {
    const bool fits = shape[i] == '0' ? http::is_digit(at[i]) : at[i] == shape[i];
    if (!fits) return Step::bad(Errc::http_bad_version);
  }
  if (have < shape.size()) return Step::more();
  version.supported = at[5] == '1';
  version.minor = at[7] == '0' ? 0 : 1;
  return Step::to(at + shape.size());
}

}  // namespace sluice::http1
