// fuzz/http/media_type_fuzz.cpp - a table from anywhere puts nothing into a field that could break
// it, and qualities stay in their range.
//
// Up to the first NUL the input is a table, behind it a file name and an Accept-Encoding. Layer:
// fuzz.
#include <algorithm>
#include <string>

#include "http/expect.hpp"
#include "proto/http/media_type.hpp"

using namespace sluice::http;

namespace {

void check_type(std::string_view type) {
  EXPECT_THAT(type.find('/') != std::string_view::npos);
  for (char c : type) EXPECT_THAT(c >= 0x20 && c < 0x7f && !(c >= 'A' && c <= 'Z'));
  std::string_view rest = type.substr(std::min(type.find(' '), type.size()));
  EXPECT_THAT(rest.empty() || (rest == " charset=utf-8" && type.starts_with("text/")));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = text_of(data, size);
  const std::size_t nul = std::min(text.find('\0'), text.size());
  const std::string_view table = text.substr(0, nul);
  const std::string_view name = text.substr(std::min(nul + 1, text.size()));

  static const MediaTypes built_in;
  MediaTypes types = built_in;
  types.add_table(table);
  check_type(types.of(name));
  // Every word of the table, as if it were an extension.
  for (std::string_view rest = table; !rest.empty();) {
    const std::size_t end = std::min(rest.find_first_of(" \t\n"), rest.size() - 1) + 1;
    check_type(types.of("a." + std::string(rest.substr(0, end - 1))));
    rest.remove_prefix(end);
  }

  for (std::string_view coding : {"gzip", "br", "identity", "*"}) {
    const int quality = coding_quality(name, true, coding);
    EXPECT_THAT(quality >= 0 && quality <= 1000);
    // Another member in front, which is another coding's, changes nothing.
    EXPECT_THAT(coding_quality("other;q=0.5," + std::string(name), true, coding) == quality);
  }
  return 0;
}
