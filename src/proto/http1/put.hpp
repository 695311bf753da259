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

inline char* put_number(char* out, std::uint64_t number) {
  return std::to_chars(out, out + kNumberBound, number).ptr;
}

}  // namespace sluice::http1
