// tests/service/file_path_test.cpp - from routing paths to names and back.
#include "service/files/file_path.hpp"

#include <gtest/gtest.h>

#include <string>

namespace sluice::service {
namespace {

struct PathCase {
  const char* rest;
  bool hidden;
  std::optional<FilePath> want;
};

TEST(FilePath, NamesFilesAndNothingElse) {
  const auto nothing = std::optional<FilePath>();
  const PathCase cases[] = {
      {"", false, FilePath{"", true}},
      {"a", false, FilePath{"a", false}},
      {"a/", false, FilePath{"a", true}},
      {"a/b.txt", false, FilePath{"a/b.txt", false}},
      {"a/b/", false, FilePath{"a/b", true}},
      {"a b", false, FilePath{"a b", false}},
      {"100%25", false, FilePath{"100%", false}},
      {"%2541", false, FilePath{"%41", false}},
      {"a%5Cb", false, FilePath{"a\\b", false}},
      {"a\\b", false, FilePath{"a\\b", false}},
      {"%5C..%5C..%5Cetc", false, FilePath{"\\..\\..\\etc", false}},
      {"a%2Fb", false, nothing},
      {"%2Fetc/passwd", false, nothing},
      {"..%2F..%2Fetc", false, nothing},
      {"/", false, nothing},
      {"//", false, nothing},
      {"/etc/passwd", false, nothing},
      {"a//b", false, nothing},
      {"a//", false, nothing},
      {"..", true, nothing},
      {"../x", true, nothing},
      {"a/..", true, nothing},
      {".", true, nothing},
      {"..x", true, FilePath{"..x", false}},
      {"..x", false, nothing},
      {".git/config", false, nothing},
      {".git/config", true, FilePath{".git/config", false}},
      {"a/.b", false, nothing},
      {"a/.b/", true, FilePath{"a/.b", true}},
      {"caf\xC3\xA9", false, FilePath{"caf\xC3\xA9", false}},
      // Not of a routing path, but no way out either.
      {"%41", false, nothing},
      {"%", false, nothing},
      {"%2", false, nothing},
  };
  for (const PathCase& c : cases) {
    EXPECT_EQ(file_path(c.rest, c.hidden), c.want) << c.rest << " hidden=" << c.hidden;
  }
}

TEST(FilePath, LocationsArePathAbsolute) {
  EXPECT_EQ(encode_path("/a b/"), "/a%20b/");
  EXPECT_EQ(encode_path("/100%25/"), "/100%25/");
  EXPECT_EQ(encode_path("/a%5Cb/"), "/a%5Cb/");
  EXPECT_EQ(encode_path("/a\\b/"), "/a%5Cb/");
  EXPECT_EQ(encode_path("//evil.example/"), "/evil.example/");
  EXPECT_EQ(encode_path("////evil.example/"), "/evil.example/");
  EXPECT_EQ(encode_path("/\xC3\xA9?#/"), "/%C3%A9%3F%23/");
  EXPECT_EQ(encode_query("a=1&b=%20"), "a=1&b=%20");
  EXPECT_EQ(encode_query("\xC3\xA9 \x7f"), "%C3%A9%20%7F");
}

TEST(FilePath, EveryOctetOfANameIsEncodedForALink) {
  for (int octet = 1; octet < 256; ++octet) {
    if (octet == '/') continue;
    const std::string name(1, static_cast<char>(octet));
    std::string decoded;
    const std::string link = encode_name(name);
    for (std::size_t i = 0; i < link.size(); ++i) {
      if (link[i] == '%') {
        decoded += static_cast<char>(std::stoi(link.substr(i + 1, 2), nullptr, 16));
        i += 2;
      } else {
        decoded += link[i];
        EXPECT_TRUE(std::isalnum(octet) || std::string("-._~").find(link[i]) != std::string::npos);
      }
    }
    EXPECT_EQ(decoded, name);
  }
}

TEST(FilePath, HtmlIsEscaped) {
  EXPECT_EQ(escape_html("<script>\"x\" & 'y'"), "&lt;script&gt;&quot;x&quot; &amp; &#39;y&#39;");
  EXPECT_EQ(escape_html("caf\xC3\xA9"), "caf\xC3\xA9");
  EXPECT_EQ(escape_html("a\xFF"
                        "b\x01"),
            "a\xEF\xBF\xBD"
            "b\xEF\xBF\xBD");
}

TEST(FilePath, ControlsAndBrokenUtf8CannotBeRequested) {
  EXPECT_TRUE(is_requestable("a b%\\\"'<>&;:"));
  EXPECT_TRUE(is_requestable("\xE2\x82\xAC"));
  EXPECT_FALSE(is_requestable("\xE2\x82"));
  EXPECT_FALSE(is_requestable("a\nb"));
  EXPECT_FALSE(is_requestable("\x7f"));
}

}  // namespace
}  // namespace sluice::service
