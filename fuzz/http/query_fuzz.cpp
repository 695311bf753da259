// fuzz/http/query_fuzz.cpp - query parameters, cookies and authorities: views lie inside the input,
// and stepping always ends.
//
// Layer: fuzz.
#include <string>

#include "http/expect.hpp"
#include "proto/http/target.hpp"

using namespace sluice;
using namespace sluice::http;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = text_of(data, size);
  base::Arena arena;
  std::size_t steps = 0;
  std::string_view name, value;

  std::string rebuilt;
  for (std::string_view rest = text; next_parameter(rest, name, value);) {
    EXPECT_THAT(++steps <= size);
    EXPECT_THAT(is_inside(name, text) && is_inside(value, text) && is_inside(rest, text));
    EXPECT_THAT(name.find_first_of("&=") == std::string_view::npos);
    EXPECT_THAT(value.find('&') == std::string_view::npos);
    rebuilt.append(name).append("=").append(value).append("&");
    for (std::string_view part : {name, value}) {
      auto decoded = decode_component(part, arena);
      if (!decoded) {
        EXPECT_THAT(part.find('%') != std::string_view::npos);
        continue;
      }
      EXPECT_THAT(decoded->size() <= part.size());
      EXPECT_THAT(part.find_first_of("%+") != std::string_view::npos || *decoded == part);
    }
  }
  // Written out in full they are the same parameters.
  std::string_view full = rebuilt, other_name, other_value;
  for (std::string_view rest = text; next_parameter(rest, name, value);) {
    EXPECT_THAT(next_parameter(full, other_name, other_value));
    EXPECT_THAT(name == other_name && value == other_value);
  }
  EXPECT_THAT(!next_parameter(full, other_name, other_value));

  steps = 0;
  for (std::string_view rest = text; next_cookie(rest, name, value);) {
    EXPECT_THAT(++steps <= size);
    EXPECT_THAT(is_inside(name, text) && is_inside(value, text));
    EXPECT_THAT(!name.empty() && name.find_first_of("=;") == std::string_view::npos);
    EXPECT_THAT(value.find(';') == std::string_view::npos);
  }

  if (is_authority(text)) {
    EXPECT_THAT(!text.empty() && text.front() != ':');
    for (char c : text) EXPECT_THAT(c > 0x20 && c < 0x7f && c != '@' && c != '/' && c != '\\');
  }
  return 0;
}
