// proto/http1/put.hpp - how encoders write: copy, and return the end.
//
// Layer: proto. Private to the encoders of this folder. No I/O, no state, no bounds: the room was
// asked for.
#pragma once

#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace sluice::http1 {

inline constexpr std::size_t kNumberBound = 20;  // digits of 2^64 - 1

inline char* put(char* out, std::string_view text) {
  if (text.empty()) return out;  // memcpy from nullptr is undefined even for nothing
  std::memcpy(out, text.data(), text.size());
  return out + text.size();
}

// A text of a size that is known when compiling.
template <std::size_t Size>
char* put_fixed(char* out, const char* text) {
  std::memcpy(out, text, Size);
  return out + Size;
}
template <std::size_t N>
char* put_literal(char* out, const char (&text)[N]) {
  return put_fixed<N - 1>(out, text);
}

// "00", "01" to "99".
inline constexpr auto kPairs = [] {
  std::array<char, 200> pairs{};
  for (std::size_t i = 0; i < 100; ++i) {
    pairs[2 * i] = static_cast<char>('0' + i / 10);
    pairs[2 * i + 1] = static_cast<char>('0' + i % 10);
  }
  return pairs;
}();

// Of a number below 100.
inline char* put_one_or_two(char* out, std::uint64_t number) {
  if (number >= 10) return put_fixed<2>(out, &kPairs[2 * number]);
  *out = static_cast<char>('0' + number);
  return out + 1;
}

inline char* put_number(char* out, std::uint64_t number) {
  if (number < 100) return put_one_or_two(out, number);
  if (number < 10'000) {
    return put_fixed<2>(put_one_or_two(out, number / 100), &kPairs[2 * (number % 100)]);
  }
  return std::to_chars(out, out + kNumberBound, number).ptr;
}

}  // namespace sluice::http1
