// proto/http/field_rules.cpp - tables of characters.
#include "proto/http/field_rules.hpp"

#include <array>

namespace sluice::http {
namespace {

constexpr auto kToken = [] {
  std::array<bool, 256> table{};
  for (unsigned char c = '0'; c <= '9'; ++c) table[c] = true;
  for (unsigned char c = 'a'; c <= 'z'; ++c) table[c] = true;
  for (unsigned char c = 'A'; c <= 'Z'; ++c) table[c] = true;
  for (char c : std::string_view("!#$%&'*+-.^_`|~")) table[static_cast<unsigned char>(c)] = true;
  return table;
}();

constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; }

}  // namespace

bool same_name(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

bool is_token(std::string_view text) {
  if (text.empty()) return false;
  for (char c : text) {
    if (!kToken[static_cast<unsigned char>(c)]) return false;
  }
  return true;
}

bool is_value(std::string_view text) {
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && byte != '\t') || byte == 0x7f) return false;
  }
  return true;
}

Errc judge_field(std::string_view name, std::string_view value) {
  if (!is_token(name)) return Errc::http_bad_field_name;
  if (!is_value(value)) return Errc::http_response_splitting;
  constexpr std::string_view kFraming[] = {"content-length", "transfer-encoding", "connection",
                                           "keep-alive",     "upgrade",           "trailer"};
  for (std::string_view framing : kFraming) {
    if (same_name(name, framing)) return Errc::http_framing_field;
  }
  return Errc::none;
}

}  // namespace sluice::http
