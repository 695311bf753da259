// proto/http/quality.hpp - lists of tokens with weights: `gzip;q=0.8, br, *;q=0`.
//
// RFC 9110 sections 5.6.1 (lists) and 12.4.2 (weights). Layer: proto. No I/O, allocates nothing.
#pragma once

#include <string_view>

namespace sluice::http {

// Cuts `text` at the first of `separators` and returns what stood in front of it.
std::string_view take_until(std::string_view& text, std::string_view separators);

// Takes the next member off `list`: its token and its weight, 0 to 1000 (1000 without one). False
// at the end. Members that are malformed (no token, a parameter other than q, a weight that is
// none) are passed over: they count for nothing.
bool next_weighted(std::string_view& list, std::string_view& token, int& quality);

// gzip has an older name, x-gzip (RFC 9110 section 8.4.1.3).
std::string_view current_coding_name(std::string_view coding);

}  // namespace sluice::http
