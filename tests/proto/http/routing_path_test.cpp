// tests/proto/http/routing_path_test.cpp - the one function that makes the routing path.
//
// RFC 3986 sections 2.1, 5.2.4 and 6.2.2, RFC 3629. Layer: tests.
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <ostream>
#include <random>
#include <string>
#include <vector>

#include "proto/http/target.hpp"

namespace sluice::http {
namespace {

using namespace std::string_view_literals;

constexpr std::size_t kMany = 100000;

// The text in memory of exactly its size: AddressSanitizer sees one byte too many, on both sides.
class Exact {
 public:
  explicit Exact(std::string_view text) : bytes_(new char[text.size()]), size_(text.size()) {
    if (!text.empty()) std::memcpy(bytes_.get(), text.data(), text.size());
  }
  std::string_view view() const { return {bytes_.get(), size_}; }

 private:
  std::unique_ptr<char[]> bytes_;
  std::size_t size_;
};

struct Answer {
  Errc error = Errc::none;
  std::string path;
  friend bool operator==(const Answer&, const Answer&) = default;
};

std::ostream& operator<<(std::ostream& out, const Answer& answer) {
  return out << static_cast<int>(answer.error) << " '" << answer.path << "'";
}

Answer ask(std::string_view raw, std::size_t max_segments = kMany) {
  Exact exact(raw);
  base::Arena arena;
  auto parsed = routing_path(exact.view(), max_segments, arena);
  EXPECT_FALSE(parsed.needs_more());
  if (parsed.is_bad()) return {parsed.error(), ""};
  EXPECT_EQ(parsed.used(), raw.size());
  return {Errc::none, std::string(parsed.value())};
}

// --- the rules, one by one ---

struct Row {
  std::string_view raw, path;
};

void expect_paths(const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    EXPECT_EQ(ask(row.raw), (Answer{Errc::none, std::string(row.path)})) << row.raw;
  }
}

TEST(RoutingPath, LeavesAPlainPathAlone) {
  for (std::string_view raw : {"/",
                               "/a",
                               "/index.html",
                               "/a/b/c",
                               "/a/",
                               "//",
                               "//a//b//",
                               "/a.b/c.d",
                               "/a..",
                               "/a.",
                               "/~user/-_.!$&'()*+,;=:@",
                               "/a b",
                               "/a\"<>^`{|}b",
                               "/back\\slash",
                               "/...",
                               "/.hidden",
                               "/..a",
                               "/.a/..b/...",
                               "/a/.well-known/x",
                               "/\xC3\xA9",
                               "/%2F",
                               "/%5C",
                               "/%25"}) {
    base::Arena arena;
    auto parsed = routing_path(raw, kMany, arena);
    ASSERT_TRUE(parsed.is_done()) << raw;
    EXPECT_EQ(parsed.value(), raw);
    EXPECT_EQ(parsed.value().data(), raw.data()) << "copied: " << raw;
  }
}

TEST(RoutingPath, DecodesOnce) {
  expect_paths({{"/%41%62c", "/Abc"},
                {"/%61%2d%2E%5f%7E%30", "/a-._~0"},
                {"/a%20b", "/a b"},
                {"/a%3Fb%23c", "/a?b#c"},
                {"/%21%22%24%26%27%28%29%2a%2b%2c%3a%3b%3c%3d%3e%40", "/!\"$&'()*+,:;<=>@"},
                {"/%5b%5d%5e%60%7b%7c%7d", "/[]^`{|}"},
                {"/a+b", "/a+b"},
                {"/%2541", "/%2541"},
                {"/%25%34%31", "/%2541"},
                {"/%252e%252e/", "/%252e%252e/"},
                {"/%25252e", "/%25252e"}});
}

TEST(RoutingPath, KeepsEncodedWhatWouldMeanSomethingElse) {
  expect_paths({{"/a%2fb", "/a%2Fb"},
                {"/a%2Fb", "/a%2Fb"},
                {"/a%5cb", "/a%5Cb"},
                {"/a%25b", "/a%25b"},
                {"/..%2f..%2fetc/passwd", "/..%2F..%2Fetc/passwd"},
                {"/%2e%2e%2fetc", "/..%2Fetc"},
                {"/%2e%2e%5cetc", "/..%5Cetc"},
                {"/..\\..\\etc", "/..\\..\\etc"},
                {"/a/..%2f../b", "/a/..%2F../b"}});
}

TEST(RoutingPath, RemovesDotSegments) {
  expect_paths({{"/.", "/"},
                {"/./", "/"},
                {"/..", "/"},
                {"/../", "/"},
                {"/a/.", "/a/"},
                {"/a/./", "/a/"},
                {"/a/./b", "/a/b"},
                {"/a/..", "/"},
                {"/a/../", "/"},
                {"/a/../b", "/b"},
                {"/a/b/..", "/a/"},
                {"/a/b/../..", "/"},
                {"/a/b/../c", "/a/c"},
                {"/a/b/c/./../../g", "/a/g"},
                {"/a//../b", "/a/b"},
                {"/a/b//..", "/a/b/"},
                {"//..", "/"},
                {"//../a", "/a"},
                {"/a/.../b", "/a/.../b"},
                {"/a/..b/.c", "/a/..b/.c"}});
}

TEST(RoutingPath, AnEncodedDotIsADot) {
  expect_paths({{"/%2e", "/"},
                {"/%2E%2e", "/"},
                {"/a/%2e%2E", "/"},
                {"/a/.%2e/b", "/b"},
                {"/a/%2e./b", "/b"},
                {"/a/%2e/b", "/a/b"},
                {"/a/%2e%2e/%2e%2e/%2e%2e/etc", "/etc"},
                {"/a%2e", "/a."},
                {"/%2e%2e%2e", "/..."}});
}

TEST(RoutingPath, IsClampedAtTheRoot) {
  expect_paths({{"/../../../../etc/passwd", "/etc/passwd"},
                {"/a/../../../b", "/b"},
                {"/./.././../a", "/a"},
                {"/..//..//a", "//a"},
                {"/../..", "/"}});
}

TEST(RoutingPath, AcceptsUtf8InAnyMixture) {
  expect_paths({{"/\xC3\xA9", "/\xC3\xA9"},
                {"/%C3%A9", "/\xC3\xA9"},
                {"/\xC3%a9", "/\xC3\xA9"},
                {"/%c3\xA9", "/\xC3\xA9"},
                {"/%E2%82%AC", "/\xE2\x82\xAC"},
                {"/%F0%9F%98%80", "/\xF0\x9F\x98\x80"},
                {"/%C2%80", "/\xC2\x80"},
                {"/%DF%BF", "/\xDF\xBF"},
                {"/%E0%A0%80", "/\xE0\xA0\x80"},
                {"/%ED%9F%BF", "/\xED\x9F\xBF"},
                {"/%EE%80%80", "/\xEE\x80\x80"},
                {"/%EF%BF%BF", "/\xEF\xBF\xBF"},
                {"/%F0%90%80%80", "/\xF0\x90\x80\x80"},
                {"/%F4%8F%BF%BF", "/\xF4\x8F\xBF\xBF"}});
}

struct Refusal {
  std::string_view raw;
  Errc error;
};

void expect_refused(const std::vector<Refusal>& rows) {
  for (const Refusal& row : rows) EXPECT_EQ(ask(row.raw).error, row.error) << row.raw;
}

TEST(RoutingPath, RefusesBadUtf8) {
  for (std::string_view raw : {"/\xff",          "/%ff",
                               "/%80",           "/\x80",
                               "/%BF",           "/%C3",
                               "/%C3/%A9",       "/\xC3/",
                               "/%C3a",          "/%C3%28",
                               "/%C0%AF",        "/%C0%AE%C0%AE",
                               "/%C1%BF",        "/%E0%80%AF",
                               "/%E0%9F%BF",     "/%F0%80%80%AF",
                               "/%F0%8F%BF%BF",  "/%ED%A0%80",
                               "/%ED%BF%BF",     "/%F4%90%80%80",
                               "/%F5%80%80%80",  "/%F8%88%80%80%80",
                               "/%FE",           "/%E2%82",
                               "/%E2%82/",       "/%E2%82%2F",
                               "/%F0%9F%98",     "/\xE2\x82",
                               "/\xF0\x9F\x98.", "/%C3%2e",
                               "/a%E2b",         "/%C3%C3%A9"}) {
    EXPECT_EQ(ask(raw).error, Errc::http_bad_utf8) << raw;
  }
}

TEST(RoutingPath, RefusesControlsRawAndEncoded) {
  for (int c = 0; c < 0x80; ++c) {
    if (c >= 0x20 && c != 0x7f) continue;
    std::string raw = "/a";
    raw += static_cast<char>(c);
    EXPECT_EQ(ask(raw).error, Errc::http_bad_target) << c;
    char escape[8];
    std::snprintf(escape, sizeof escape, "/a%%%02x", static_cast<unsigned>(c));
    EXPECT_EQ(ask(escape).error, Errc::http_bad_target) << escape;
    EXPECT_EQ(ask(std::string(40, '/') + raw + "bcdefghijklmnopq").error, Errc::http_bad_target);
  }
}

TEST(RoutingPath, RefusesMalformedEscapes) {
  for (std::string_view raw :
       {"/%", "/a%", "/%4", "/a/%2", "/%u0041", "/%U0041", "/%zz", "/%4g", "/%g4", "/%%41", "/%-1",
        "/%+1", "/% 1", "/%0x", "/%2/", "/abcdefghijklmnopqrstuvwxyz%"}) {
    EXPECT_EQ(ask(raw).error, Errc::http_bad_percent_encoding) << raw;
  }
}

TEST(RoutingPath, RefusesWhatIsNoPath) {
  expect_refused({{"", Errc::http_bad_target},
                  {"a", Errc::http_bad_target},
                  {"*", Errc::http_bad_target},
                  {"%2Fa", Errc::http_bad_target},
                  {"\\a", Errc::http_bad_target},
                  {"./a", Errc::http_bad_target},
                  {"http://host/", Errc::http_bad_target},
                  {"/a#b", Errc::http_bad_target},
                  {"/a?b", Errc::http_bad_target},
                  {"/#", Errc::http_bad_target},
                  {"/abcdefghijklmnopqrstuvwxyz#b", Errc::http_bad_target}});
}

TEST(RoutingPath, TellsTheFirstErrorFromTheLeft) {
  expect_refused({{"/%00%zz", Errc::http_bad_target},
                  {"/%zz%00", Errc::http_bad_percent_encoding},
                  {"/%ff%zz", Errc::http_bad_utf8},
                  {"/%c3%zz", Errc::http_bad_percent_encoding}});
}

TEST(RoutingPath, CountsSegmentsToTheLimit) {
  for (std::size_t limit : {1u, 2u, 15u, 16u, 17u, 31u, 32u, 33u, 255u}) {
    for (std::string_view segment : {"/"sv, "/a"sv, "/abcdefghijklmnop"sv, "/%41"sv, "/."sv,
                                     "/.."sv, "/.x"sv, "/\xC3\xA9"sv}) {
      std::string raw;
      for (std::size_t i = 0; i < limit; ++i) raw += segment;
      EXPECT_EQ(ask(raw, limit).error, Errc::none) << raw;
      EXPECT_EQ(ask(raw + "/", limit).error, Errc::http_too_many_segments) << raw;
      EXPECT_EQ(ask(raw, limit - 1).error, Errc::http_too_many_segments) << raw;
    }
  }
}

TEST(RoutingPath, IsLinearInAVeryLongTarget) {
  std::string raw;
  while (raw.size() < (1u << 20)) raw += "/abc/..";
  EXPECT_EQ(ask(raw, std::size_t{1} << 20).path, "/");
}

// --- every octet at every place, in paths of every length around the width of a vector ---

TEST(RoutingPath, JudgesEveryOctetAtEveryPlace) {
  for (std::size_t size = 2; size < 52; ++size) {
    for (std::size_t place = 1; place < size; ++place) {
      std::string raw = "/" + std::string(size - 1, 'a');
      for (int c = 0; c < 256; ++c) {
        raw[place] = static_cast<char>(c);
        Errc want = Errc::none;
        if (c < 0x20 || c == 0x7f || c == '#' || c == '?') want = Errc::http_bad_target;
        if (c == '%') {
          // Two letters `a` behind it are an octet of no UTF-8; fewer are no escape.
          want = size - place >= 3 ? Errc::http_bad_utf8 : Errc::http_bad_percent_encoding;
        }
        if (c >= 0x80) want = Errc::http_bad_utf8;
        std::string path = want == Errc::none ? raw : "";
        if (raw == "/.") path = "/";
        ASSERT_EQ(ask(raw), (Answer{want, path}))
            << "octet " << c << " at " << place << " of " << size;
      }
    }
  }
}

// --- a model: slow, obvious, written from the rules and not from the code ---

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> segments(1);
  for (char c : text) {
    if (c == '/') {
      segments.emplace_back();
    } else {
      segments.back() += c;
    }
  }
  return segments;
}

bool valid_utf8(const std::vector<unsigned>& octets) {
  for (std::size_t at = 0; at < octets.size();) {
    const unsigned lead = octets[at];
    std::size_t size = lead < 0x80 ? 1 : lead >> 5 == 6 ? 2 : lead >> 4 == 14 ? 3 : 4;
    if (size == 4 && lead >> 3 != 30) return false;
    if (at + size > octets.size()) return false;
    unsigned code = size == 1 ? lead : lead & (0x7fu >> size);
    for (std::size_t i = 1; i < size; ++i) {
      if (octets[at + i] >> 6 != 2) return false;
      code = code << 6 | (octets[at + i] & 0x3f);
    }
    constexpr std::array<unsigned, 5> least = {0, 0, 0x80, 0x800, 0x10000};
    if (code < least[size] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return false;
    at += size;
  }
  return true;
}

// nullopt: refused.
std::optional<std::string> model(std::string_view raw, std::size_t max_segments) {
  if (raw.empty() || raw[0] != '/') return std::nullopt;
  std::vector<std::string> kept;
  std::vector<std::string> segments = split(raw.substr(1));
  if (segments.size() > max_segments) return std::nullopt;
  for (std::size_t n = 0; n < segments.size(); ++n) {
    const bool last = n + 1 == segments.size();
    const std::string& segment = segments[n];
    std::vector<unsigned> octets;
    std::string text;
    for (std::size_t i = 0; i < segment.size(); ++i) {
      if (segment[i] == '#' || segment[i] == '?') return std::nullopt;
      unsigned octet = static_cast<unsigned char>(segment[i]);
      bool escaped = segment[i] == '%';
      if (escaped) {
        constexpr std::string_view digits = "0123456789abcdefABCDEF";
        if (i + 2 >= segment.size()) return std::nullopt;
        std::string two = segment.substr(i + 1, 2);
        if (two.find_first_not_of(digits) != std::string::npos) return std::nullopt;
        octet = static_cast<unsigned>(std::stoul(two, nullptr, 16));
        i += 2;
      }
      if (octet < 0x20 || octet == 0x7f) return std::nullopt;
      octets.push_back(octet);
      if (escaped && octet == '/') {
        text += "%2F";
      } else if (escaped && octet == '\\') {
        text += "%5C";
      } else if (escaped && octet == '%') {
        text += "%25";
      } else {
        text += static_cast<char>(octet);
      }
    }
    if (!valid_utf8(octets)) return std::nullopt;
    if (text == ".." && !kept.empty()) kept.pop_back();
    if (text != "." && text != "..") {
      kept.push_back(text);
    } else if (last) {
      kept.emplace_back();
    }
  }
  std::string path;
  for (const std::string& segment : kept) path += "/" + segment;
  return path;
}

std::string random_path(std::mt19937& random) {
  constexpr std::string_view pieces[] = {"/",
                                         "/",
                                         "/",
                                         ".",
                                         "..",
                                         "%2e",
                                         "%2E",
                                         "a",
                                         "bc",
                                         "longer-segment",
                                         "%41",
                                         "%2f",
                                         "%2F",
                                         "%5c",
                                         "%25",
                                         "\\",
                                         "\xC3\xA9",
                                         "%C3%A9",
                                         "\xC3",
                                         "%A9",
                                         "\xA9",
                                         "%E2%82%AC",
                                         "%F0%9F%98%80",
                                         " ",
                                         "%20",
                                         "%3F",
                                         "%23",
                                         "/..",
                                         "/../",
                                         "/.",
                                         "/./",
                                         "%7e",
                                         "+",
                                         "~",
                                         "@",
                                         ":"};
  constexpr std::string_view rare[] = {
      "%",   "#",      "?",         "%00",    "\x01",         "%7f", "\x7f",
      "%zz", "%u0041", "%ED%A0%80", "%C0%AE", "%F4%90%80%80", "\xff"};
  std::string path = "/";
  auto count = random() % 14;
  for (unsigned i = 0; i < count; ++i) {
    path += random() % 40 == 0 ? rare[random() % std::size(rare)]
                               : pieces[random() % std::size(pieces)];
  }
  return path;
}

// What a routing path may then be written as in a target: the same path again.
std::string as_target(std::string_view path) {
  std::string target;
  for (char c : path) {
    if (c == '?') {
      target += "%3F";
    } else if (c == '#') {
      target += "%23";
    } else {
      target += c;
    }
  }
  return target;
}

TEST(RoutingPathProperty, AgreesWithTheModel) {
  std::mt19937 random(20250101);
  std::size_t done = 0, refused = 0;
  for (int i = 0; i < 60000; ++i) {
    std::string raw = random_path(random);
    std::size_t limit = random() % 8 == 0 ? random() % 6 : kMany;
    auto want = model(raw, limit);
    Answer got = ask(raw, limit);
    ASSERT_EQ(got.error == Errc::none, want.has_value()) << raw << " -> " << got;
    if (want) {
      ASSERT_EQ(got.path, *want) << raw;
    }
    ++(want ? done : refused);
  }
  EXPECT_GT(done, 10000u);
  EXPECT_GT(refused, 10000u);
}

TEST(RoutingPathProperty, NeverLeavesTheRootAndIsFinal) {
  std::mt19937 random(4711);
  for (int i = 0; i < 60000; ++i) {
    std::string raw = random_path(random);
    Answer got = ask(raw);
    if (got.error != Errc::none) continue;
    ASSERT_TRUE(got.path.starts_with('/')) << raw;
    ASSERT_LE(got.path.size(), raw.size()) << raw;
    for (const std::string& segment : split(got.path)) {
      ASSERT_NE(segment, ".") << raw;
      ASSERT_NE(segment, "..") << raw;
    }
    for (std::size_t at = got.path.find('%'); at != std::string::npos;
         at = got.path.find('%', at + 1)) {
      std::string escape = got.path.substr(at, 3);
      ASSERT_TRUE(escape == "%2F" || escape == "%5C" || escape == "%25") << raw;
    }
    // Reading it once more changes nothing.
    ASSERT_EQ(ask(as_target(got.path)), got) << raw;
  }
}

}  // namespace
}  // namespace sluice::http
