// tests/proto/http1/request_cases.hpp - request heads as wire bytes, and the verdict on each.
//
// RFC 9112 sections 2 to 6, RFC 9110 sections 5 to 10. Three tables: whole heads, request lines (a
// Host field follows), and field lines (behind a request line and a Host field).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <sluice/error.hpp>

namespace sluice::http1 {

struct Case {
  const char* name;
  std::string_view text;
  Errc verdict = Errc::none;
};

// Each text is followed by CRLF, "Host: a" and the empty line.
const std::vector<Case>& request_line_cases();
// Each text stands between "POST /p HTTP/1.1", "Host: a" and the empty line, with CRLF behind it.
const std::vector<Case>& field_line_cases();
// Everything is in the text.
const std::vector<Case>& whole_head_cases();

inline std::string wire_of_request_line(std::string_view line) {
  return std::string(line) + "\r\nHost: a\r\n\r\n";
}
inline std::string wire_of_field_line(std::string_view line) {
  return "POST /p HTTP/1.1\r\nHost: a\r\n" + std::string(line) + "\r\n\r\n";
}

}  // namespace sluice::http1
