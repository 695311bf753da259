// fuzz/http/expect.hpp - a broken promise stops the fuzzer and says which one.
//
// Layer: fuzz.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#define EXPECT_THAT(expression)                                                     \
  do {                                                                              \
    if (!(expression)) {                                                            \
      std::fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #expression); \
      std::abort();                                                                 \
    }                                                                               \
  } while (false)

namespace sluice::http {

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// True when `part` lies inside `whole`, or is empty.
inline bool is_inside(std::string_view part, std::string_view whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

}  // namespace sluice::http
