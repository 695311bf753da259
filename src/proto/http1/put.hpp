// proto/http1/put.hpp - how encoders write: copy, and return the end.
//
// Layer: proto. Private to the encoders of this folder. No I/O, no state, no bounds: the room was
// asked for.
#pragma once

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

inline char* put_number(char* out, std::uint64_t number) {
  if (number < 10) {
    *out = static_cast<char>('0' + number);
    return out + 1;
  }
  if (number < 100) {
    out[0] = static_cast<char>('0' + number / 10);
    out[1] = static_cast<char>('0' + number % 10);
    return out + 2;
  }
  return std::to_chars(out, out + kNumberBound, number).ptr;
}

}  // namespace sluice::http1
