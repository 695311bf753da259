// proto/http1/field_line.cpp - malformed field lines, and the fields that delimit a body.
//
// RFC 9112 sections 5, 6 and 9. Layer: proto. No I/O, no state.
#include "proto/http1/field_line.hpp"

#include <algorithm>

namespace sluice::http1 {

using http::is_digit;
using http::is_ows;
using http::is_word;
using http::Word;

// A line with neither CR, LF nor colon where they belong. What comes behind whitespace decides
// between two errors, so this may need more bytes.
Step misread_name(const char* line, const char* at, const char* end) {
  if (is_ows(*at)) {
    if (at == line) return Step::bad(Errc::http_obs_fold);
    while (at != end && is_ows(*at)) ++at;
    if (at == end) return Step::more();
    return Step::bad(*at == ':' ? Errc::http_space_before_colon : Errc::http_bad_field_name);
  }
  if (*at == '\n' || *at == '\r') {
    const Step step = line_end(at, end);
    return step.next == nullptr ? step : Step::bad(Errc::http_bad_field_name);
  }
  return Step::bad(Errc::http_bad_field_name);
}

Errc read_content_length(std::string_view value, std::uint64_t& length) {
  if (value.find(',') != std::string_view::npos) return Errc::http_ambiguous_length;
  if (value.empty()) return Errc::http_bad_content_length;
  constexpr std::uint64_t kMost = 0x7fff'ffff'ffff'ffff;
  std::uint64_t number = 0;
  for (const char c : value) {
    if (!is_digit(c)) return Errc::http_bad_content_length;
    const auto digit = static_cast<std::uint64_t>(c - '0');
    if (number > (kMost - digit) / 10) return Errc::http_bad_content_length;
    number = number * 10 + digit;
  }
  length = number;
  return Errc::none;
}

Errc add_codings(std::string_view value, Codings& codings) {
  codings.present = true;
  for (;;) {
    const std::size_t comma = std::min(value.find(','), value.size());
    const std::string_view coding = http::trim_ows(value.substr(0, comma));
    // Chunked is applied once, last. Anything else is a list that another reader could end
    // elsewhere.
    if (codings.chunked || !http::is_token(coding)) return Errc::http_bad_transfer_encoding;
    if (is_word(coding, Word("chunked"))) {
      codings.chunked = true;
    } else {
      codings.others = true;
    }
    if (comma == value.size()) return Errc::none;
    value.remove_prefix(comma + 1);
  }
}

void add_connection_options(std::string_view value, ConnectionOptions& options) {
  while (!value.empty()) {
    const std::size_t comma = std::min(value.find(','), value.size());
    const std::string_view option = http::trim_ows(value.substr(0, comma));
    if (is_word(option, Word("keep-alive"))) {
      options.keep_alive = true;
    } else if (is_word(option, Word("close"))) {
      options.close = true;
    } else if (is_word(option, Word("upgrade"))) {
      options.upgrade = true;
    }
    value.remove_prefix(std::min(comma + 1, value.size()));
  }
}

}  // namespace sluice::http1
