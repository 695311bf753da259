// proto/http/quality.cpp - lists of tokens with weights.
//
// RFC 9110 sections 5.6.1 and 12.4.2. Layer: proto. No I/O. Thread: any.
#include "proto/http/quality.hpp"

#include <algorithm>
#include <optional>

#include "proto/http/token.hpp"

namespace sluice::http {
namespace {

// RFC 9110 section 12.4.2: `0`, `1` and up to three decimals.
std::optional<int> read_quality(std::string_view text) {
  if (text.empty() || text.size() > 5 || (text[0] != '0' && text[0] != '1')) return {};
  if (text.size() > 1 && text[1] != '.') return {};
  int value = text[0] == '1' ? 1000 : 0, unit = 100;
  for (const char c : text.substr(std::min<std::size_t>(2, text.size()))) {
    if (!is_digit(c)) return {};
    value += (c - '0') * unit;
    unit /= 10;
  }
  if (value > 1000) return {};
  return value;
}

// The weight behind a token (`; q=0.5`), 1000 without one.
std::optional<int> read_weight(std::string_view parameters) {
  int quality = 1000;
  while (!parameters.empty()) {
    const std::string_view parameter = trim_ows(take_until(parameters, ";"));
    if (parameter.empty()) continue;
    if (parameter.size() < 2 || lower(parameter[0]) != 'q' || parameter[1] != '=') return {};
    const auto read = read_quality(parameter.substr(2));
    if (!read) return {};
    quality = *read;
  }
  return quality;
}

}  // namespace

std::string_view take_until(std::string_view& text, std::string_view separators) {
  const std::size_t end = text.find_first_of(separators);
  const std::string_view piece = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return piece;
}

bool next_weighted(std::string_view& list, std::string_view& token, int& quality) {
  while (!list.empty()) {
    std::string_view parameters = take_until(list, ",");
    token = trim_ows(take_until(parameters, ";"));
    if (!is_token(token)) continue;
    const auto weight = read_weight(parameters);
    if (!weight) continue;
    quality = *weight;
    return true;
  }
  return false;
}

std::string_view current_coding_name(std::string_view coding) {
  return equal_nocase(coding, "x-gzip") ? std::string_view("gzip") : coding;
}

}  // namespace sluice::http
