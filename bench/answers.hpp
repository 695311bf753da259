// bench/answers.hpp - the bodies that every server of bench/compare gives.
//
// Used by our own bench server and by the C++ programs of bench/peers; bench/peers/ws_server.js and
// bench/comparing/workloads.py say the same in their languages.
#pragma once

#include <charconv>
#include <string>
#include <string_view>

namespace answers {

inline constexpr std::string_view kHello = "Hello, World!";
inline constexpr int kJsonItems = 23;  // of 88 bytes each: with commas and brackets 2,048

inline void append_number(std::string& out, long number) {
  char digits[24];
  out.append(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
}

// An array of 23 articles, 2,048 bytes, made field by field as an application would.
inline std::string json() {
  std::string out;
  out.reserve(2048);
  out += '[';
  for (int i = 0; i < kJsonItems; ++i) {
    if (i > 0) out += ',';
    out += "{\"id\":";
    append_number(out, 10000000 + i);
    out += ",\"name\":\"item ";
    append_number(out, 10000000 + i);
    out += "\",\"price\":";
    append_number(out, 1000000 + i);
    out += ".50,\"stock\":";
    append_number(out, 100000 + 7 * i);
    out += ",\"in_stock\":true}";
  }
  out += ']';
  return out;
}

}  // namespace answers
