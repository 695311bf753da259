// tests/proto/http/target_test.cpp - query parameters, cookies and authorities.
//
// RFC 3986, RFC 9110 section 7.2, RFC 6265. Layer: tests. The routing path has a file of its own.
#include "proto/http/target.hpp"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace sluice::http {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

Pairs parameters(std::string_view query) {
  Pairs pairs;
  std::string_view name, value;
  while (next_parameter(query, name, value)) pairs.emplace_back(name, value);
  return pairs;
}

Pairs cookies(std::string_view field) {
  Pairs pairs;
  std::string_view name, value;
  while (next_cookie(field, name, value)) pairs.emplace_back(name, value);
  return pairs;
}

TEST(QueryParameters, SplitsAtAmpersandsAndTheFirstEqualsSign) {
  EXPECT_EQ(parameters(""), Pairs{});
  EXPECT_EQ(parameters("a=1&b=2"), (Pairs{{"a", "1"}, {"b", "2"}}));
  EXPECT_EQ(parameters("a"), (Pairs{{"a", ""}}));
  EXPECT_EQ(parameters("a="), (Pairs{{"a", ""}}));
  EXPECT_EQ(parameters("=1"), (Pairs{{"", "1"}}));
  EXPECT_EQ(parameters("="), (Pairs{{"", ""}}));
  EXPECT_EQ(parameters("a=b=c"), (Pairs{{"a", "b=c"}}));
  EXPECT_EQ(parameters("a=1&a=2"), (Pairs{{"a", "1"}, {"a", "2"}}));
  EXPECT_EQ(parameters("&&a=1&&b&"), (Pairs{{"a", "1"}, {"b", ""}}));
  EXPECT_EQ(parameters("&&&"), Pairs{});
}

TEST(QueryParameters, ViewsAreRaw) {
  EXPECT_EQ(parameters("a%3Db=c%26d&e+f=g"), (Pairs{{"a%3Db", "c%26d"}, {"e+f", "g"}}));
}

TEST(Cookies, SplitsAtSemicolons) {
  EXPECT_EQ(cookies(""), Pairs{});
  EXPECT_EQ(cookies("a=1"), (Pairs{{"a", "1"}}));
  EXPECT_EQ(cookies("a=1; b=2"), (Pairs{{"a", "1"}, {"b", "2"}}));
  EXPECT_EQ(cookies("a=1;b=2"), (Pairs{{"a", "1"}, {"b", "2"}}));
  EXPECT_EQ(cookies(" a = 1 ;\tb\t=\t2\t"), (Pairs{{"a", "1"}, {"b", "2"}}));
  EXPECT_EQ(cookies("a=b=c"), (Pairs{{"a", "b=c"}}));
  EXPECT_EQ(cookies("a=\"x y\""), (Pairs{{"a", "\"x y\""}}));
  EXPECT_EQ(cookies("a="), (Pairs{{"a", ""}}));
  EXPECT_EQ(cookies("SID=1; SID=2"), (Pairs{{"SID", "1"}, {"SID", "2"}}));
}

TEST(Cookies, PassesOverWhatIsNoPair) {
  EXPECT_EQ(cookies(";;;"), Pairs{});
  EXPECT_EQ(cookies("nonsense"), Pairs{});
  EXPECT_EQ(cookies("=value"), Pairs{});
  EXPECT_EQ(cookies("; a=1;; nonsense; =x; b=2;"), (Pairs{{"a", "1"}, {"b", "2"}}));
}

struct Component {
  std::string_view raw;
  std::optional<std::string_view> decoded;
};

TEST(DecodeComponent, Table) {
  using namespace std::string_view_literals;
  const Component table[] = {
      {"", ""},
      {"plain", "plain"},
      {"a+b", "a b"},
      {"%20+", "  "},
      {"%2B", "+"},
      {"%41%62%63", "Abc"},
      {"x%2fy%5Cz%25", "x/y\\z%"},
      {"%2541", "%41"},
      {"%C3%A9", "\xC3\xA9"},
      {"%ff", "\xff"},
      {"a%00b", "a\0b"sv},
      {"%", std::nullopt},
      {"%4", std::nullopt},
      {"abc%4", std::nullopt},
      {"%zz", std::nullopt},
      {"%4g", std::nullopt},
      {"%u0041", std::nullopt},
      {"%%41", std::nullopt},
      {"% 1", std::nullopt},
      {"%+1", std::nullopt},
      {"%-1", std::nullopt},
  };
  for (const Component& row : table) {
    base::Arena arena;
    EXPECT_EQ(decode_component(row.raw, arena), row.decoded) << row.raw;
  }
}

TEST(DecodeComponent, GivesTheInputBackWhenNothingChanges) {
  base::Arena arena;
  constexpr std::string_view raw = "nothing-to-decode";
  auto decoded = decode_component(raw, arena);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->data(), raw.data());
}

TEST(Authority, Accepts) {
  for (std::string_view text : {"localhost",
                                "localhost:8080",
                                "example.com",
                                "EXAMPLE.com.",
                                "a",
                                "a:0",
                                "a:65535",
                                "a:",
                                "1.2.3.4",
                                "1.2.3.4:80",
                                "999.999.999.999",
                                "my_host",
                                "xn--bcher-kva.example",
                                "a%20b",
                                "!$&'()*+,;=",
                                "-._~",
                                "[::]",
                                "[::1]",
                                "[::1]:80",
                                "[::1]:",
                                "[1:2:3:4:5:6:7:8]",
                                "[fe80::1]",
                                "[::ffff:1.2.3.4]",
                                "[1:2:3:4:5:6:1.2.3.4]",
                                "[1::8]",
                                "[1:2:3:4:5:6:7::]",
                                "[::2:3:4:5:6:7:8]",
                                "[ABCD:ef01::]",
                                "[0000::ffff]",
                                "a:080"}) {
    EXPECT_TRUE(is_authority(text)) << text;
  }
}

TEST(Authority, Refuses) {
  using namespace std::string_view_literals;
  for (std::string_view text : {""sv,
                                ":"sv,
                                ":80"sv,
                                "a:65536"sv,
                                "a:99999999999999999999"sv,
                                "a:b"sv,
                                "a:-1"sv,
                                "a:+1"sv,
                                "a: 1"sv,
                                "a:80:80"sv,
                                "user@host"sv,
                                "user:pass@host"sv,
                                "a/b"sv,
                                "a?b"sv,
                                "a#b"sv,
                                "a b"sv,
                                " a"sv,
                                "a "sv,
                                "a\tb"sv,
                                "a\\b"sv,
                                "a\0b"sv,
                                "\0"sv,
                                "a\rb"sv,
                                "a\nb"sv,
                                "h\xC3\xB6st"sv,
                                "a\x7f"sv,
                                "a<b"sv,
                                "a\"b"sv,
                                "a|b"sv,
                                "a^b"sv,
                                "a`b"sv,
                                "a{b}"sv,
                                "%"sv,
                                "a%2"sv,
                                "a%zz"sv,
                                "["sv,
                                "[]"sv,
                                "[::1"sv,
                                "::1"sv,
                                "[::1]x"sv,
                                "[::1]80"sv,
                                "[::1]:x"sv,
                                "[:::]"sv,
                                "[1]"sv,
                                "[1:2:3:4:5:6:7]"sv,
                                "[1:2:3:4:5:6:7:8:9]"sv,
                                "[1::2::3]"sv,
                                "[12345::]"sv,
                                "[g::]"sv,
                                "[:1:2:3:4:5:6:7]"sv,
                                "[1:2:3:4:5:6:7:]"sv,
                                "[::1.2.3]"sv,
                                "[::1.2.3.256]"sv,
                                "[::1.2.3.4.5]"sv,
                                "[::01.2.3.4]"sv,
                                "[1.2.3.4::]"sv,
                                "[::1.2.3.4:5]"sv,
                                "[1:2:3:4:5:6:7:1.2.3.4]"sv,
                                "[1:2:3:4::5:6:7:8]"sv,
                                "[fe80::1%25eth0]"sv,
                                "[v1.x]"sv,
                                "a,b:c"sv,
                                "[::1]]"sv}) {
    EXPECT_FALSE(is_authority(text)) << text;
  }
}

TEST(Paths, HaveOneSpelling) {
  struct Case {
    std::string_view path, raw;
  };
  constexpr Case cases[] = {{"/", "/"},
                            {"/a/b", "/a/b"},
                            {"/a b", "/a%20b"},
                            {"/\xC3\xA9", "/%C3%A9"},
                            {"/a%2Fb", "/a%2Fb"},
                            {"/-._~!$&'()*+,;=:@", "/-._~!$&'()*+,;=:@"},
                            {"/a\\\"<", "/a%5C%22%3C"}};
  for (const Case& each : cases) {
    std::string made = "x";
    append_path(each.path, made);
    EXPECT_EQ(made, "x" + std::string(each.raw));
    EXPECT_TRUE(is_spelled_as(each.raw, each.path)) << each.raw;
    EXPECT_FALSE(is_spelled_as(std::string(each.raw) + "/", each.path)) << each.raw;
    EXPECT_FALSE(is_spelled_as(each.raw.substr(0, each.raw.size() - 1), each.path)) << each.raw;
  }
  for (const std::string_view raw : {"/%61", "/./a", "//a", "/a/../a", "/%2561", ""}) {
    EXPECT_FALSE(is_spelled_as(raw, "/a")) << raw;
  }
  EXPECT_FALSE(is_spelled_as("/%c3%a9", "/\xC3\xA9"));
  EXPECT_FALSE(is_spelled_as("/\xC3\xA9", "/\xC3\xA9"));
}

}  // namespace
}  // namespace sluice::http
