// tests/proto/http1/head_test.cpp - names that are recognised, lists of tokens, and the scanners
// below them.
#include "proto/http/head.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

#include "proto/http/target.hpp"
#include "proto/http/token.hpp"
#include "proto/http1/field_line.hpp"
#include "proto/http1/scan.hpp"

namespace sluice::http {
namespace {

constexpr std::pair<std::string_view, FieldId> kNames[] = {
    {"Host", FieldId::host},
    {"Content-Length", FieldId::content_length},
    {"Transfer-Encoding", FieldId::transfer_encoding},
    {"Connection", FieldId::connection},
    {"Expect", FieldId::expect},
    {"Upgrade", FieldId::upgrade},
    {"TE", FieldId::te},
    {"Trailer", FieldId::trailer},
    {"Range", FieldId::range},
    {"If-Range", FieldId::if_range},
    {"If-Match", FieldId::if_match},
    {"If-None-Match", FieldId::if_none_match},
    {"If-Modified-Since", FieldId::if_modified_since},
    {"If-Unmodified-Since", FieldId::if_unmodified_since},
    {"Accept", FieldId::accept},
    {"Accept-Encoding", FieldId::accept_encoding},
    {"Content-Type", FieldId::content_type},
    {"Cookie", FieldId::cookie},
    {"Authorization", FieldId::authorization},
    {"Origin", FieldId::origin},
    {"User-Agent", FieldId::user_agent},
    {"Sec-WebSocket-Key", FieldId::sec_websocket_key},
    {"Sec-WebSocket-Version", FieldId::sec_websocket_version},
    {"Sec-WebSocket-Protocol", FieldId::sec_websocket_protocol},
    {"Sec-WebSocket-Extensions", FieldId::sec_websocket_extensions},
    {"Content-Encoding", FieldId::content_encoding},
    {"Forwarded", FieldId::forwarded},
    {"X-Forwarded-For", FieldId::x_forwarded_for},
    {"Referer", FieldId::referer},
};

TEST(FieldId, EveryNameInEveryCase) {
  EXPECT_EQ(std::size(kNames), static_cast<std::size_t>(FieldId::referer));
  for (const auto& [name, id] : kNames) {
    std::string upper;
    std::string lower_case;
    for (const char c : name) {
      lower_case += lower(c);
      upper += c >= 'a' && c <= 'z' ? static_cast<char>(c - 0x20) : c;
    }
    EXPECT_EQ(field_id(name), id) << name;
    EXPECT_EQ(field_id(upper), id) << upper;
    EXPECT_EQ(field_id(lower_case), id) << lower_case;
  }
}

TEST(FieldId, NoOtherByteAnywhere) {
  for (const auto& [name, id] : kNames) {
    for (std::size_t at = 0; at < name.size(); ++at) {
      for (int byte = 0; byte < 256; ++byte) {
        std::string changed(name);
        changed[at] = static_cast<char>(byte);
        EXPECT_EQ(field_id(changed) == id, equal_nocase(changed, name)) << changed;
      }
    }
    EXPECT_EQ(field_id(std::string(name) + 'x'), FieldId::other);
    EXPECT_NE(field_id(name.substr(1)), id);
  }
  EXPECT_EQ(field_id(""), FieldId::other);
  EXPECT_EQ(field_id({}), FieldId::other);
  EXPECT_EQ(field_id(std::string(100, 'x')), FieldId::other);
}

TEST(Method, CaseMatters) {
  EXPECT_EQ(method_of("GET"), Method::get);
  EXPECT_EQ(method_of("HEAD"), Method::head);
  EXPECT_EQ(method_of("POST"), Method::post);
  EXPECT_EQ(method_of("PUT"), Method::put);
  EXPECT_EQ(method_of("DELETE"), Method::delete_);
  EXPECT_EQ(method_of("OPTIONS"), Method::options);
  EXPECT_EQ(method_of("PATCH"), Method::patch);
  EXPECT_EQ(method_of("CONNECT"), Method::connect);
  EXPECT_EQ(method_of("TRACE"), Method::trace);
  EXPECT_EQ(method_of("get"), Method::other);
  EXPECT_EQ(method_of("GETS"), Method::other);
  EXPECT_EQ(method_of(""), Method::other);
}

TEST(HasToken, Lists) {
  EXPECT_TRUE(has_token("close", "close"));
  EXPECT_TRUE(has_token("a, CLOSE", "close"));
  EXPECT_TRUE(has_token("a ,\tclose\t,b", "close"));
  EXPECT_TRUE(has_token(",,close,", "close"));
  EXPECT_FALSE(has_token("", "close"));
  EXPECT_FALSE(has_token("closed", "close"));
  EXPECT_FALSE(has_token("a close", "close"));
  EXPECT_FALSE(has_token("clos", "close"));
}

TEST(ReasonPhrase, RegisteredAndNot) {
  EXPECT_EQ(reason_phrase(200), "OK");
  EXPECT_EQ(reason_phrase(431), "Request Header Fields Too Large");
  EXPECT_EQ(reason_phrase(299), "Unknown");
  EXPECT_EQ(reason_phrase(-1), "Unknown");
}

}  // namespace
}  // namespace sluice::http

namespace sluice::http1 {
namespace {

// Every byte at every place of runs of every length, with and without bytes before them: the wide
// scanners stop where the narrow rule says.
template <class Find, class Good>
void expect_same_stop(char filler, Find find, Good good) {
  for (std::size_t before = 0; before < 20; ++before) {
    for (std::size_t size = 0; size < 40; ++size) {
      // Memory of exactly this size, so that reading over either end is seen.
      const std::size_t all = before + size;
      const std::unique_ptr<char[]> bytes(new char[all]);
      std::fill(bytes.get(), bytes.get() + all, filler);
      const char* base = bytes.get();
      EXPECT_EQ(find(base, base + before, base + all), base + all);
      for (std::size_t at = before; at < all; ++at) {
        for (int byte = 0; byte < 256; ++byte) {
          bytes[at] = static_cast<char>(byte);
          const char* expected = good(static_cast<char>(byte)) ? base + all : base + at;
          ASSERT_EQ(find(base, base + before, base + all), expected) << byte << " at " << at;
        }
        bytes[at] = filler;
      }
      // What stands before the start does not matter.
      std::fill(bytes.get(), bytes.get() + before, '\0');
      EXPECT_EQ(find(base, base + before, base + all), base + all);
    }
  }
}

TEST(Scan, Values) { expect_same_stop('v', find_value_end, is_value_char); }
TEST(Scan, Targets) { expect_same_stop('t', find_target_end, is_target_char); }
TEST(Scan, Tokens) { expect_same_stop('n', find_token_end, http::is_token_char); }
TEST(Scan, TokensOfMarks) { expect_same_stop('!', find_token_end, http::is_token_char); }

TEST(Scan, Hosts) { expect_same_stop('h', find_host_end, is_host_char); }

// What is let through at one glance is what an authority may be.
TEST(Scan, EveryHostCharacterIsOneOfAnAuthority) {
  for (int byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    if (!is_host_char(c)) continue;
    for (const std::string& host :
         {std::string(1, c), std::string(3, c), 'a' + std::string(1, c)}) {
      EXPECT_TRUE(http::is_authority(host)) << host;
      for (const char* port : {":0", ":80", ":8080", ":9999"}) {
        EXPECT_TRUE(http::is_authority(host + port)) << host << port;
      }
    }
  }
}

TEST(Scan, OneOfSixteen) {
  const std::unique_ptr<char[]> bytes(new char[16]);
  std::fill(bytes.get(), bytes.get() + 16, 'x');
  EXPECT_EQ(find_in_sixteen(bytes.get(), ':'), 16u);
  for (unsigned at = 16; at-- > 0;) {
    bytes[at] = ':';
    EXPECT_EQ(find_in_sixteen(bytes.get(), ':'), at);
  }
}

// At one glance only what is a host is let through, whatever stands behind it.
TEST(Scan, ShortHosts) {
  for (char behind : {'\0', '7', ':', 'a', '\r', '\xff'}) {
    for (std::string_view part : {"", "a", "1.2.3.4", "a-b.c", ":", ":1", "a:", "a:8", "a:80:",
                                  "a:80b", "a:8080", "a:65536", "a:80.", "a_b", "a b", "a\xe9",
                                  "abcdefghijklmnop", "abcdefghijklm:80", "abcdefghijklmno:"}) {
      std::string text(part);
      text.resize(16, behind);
      const bool let_through = is_short_host(text.data(), part.size());
      EXPECT_TRUE(!let_through || http::is_authority(part)) << part;
    }
  }
#if defined(__SSE2__)
  std::string text = "127.0.0.1:8080\r\n";
  EXPECT_TRUE(is_short_host(text.data(), 14));
  EXPECT_TRUE(is_short_host(text.data(), 9));
  EXPECT_FALSE(is_short_host(text.data(), 10));
  EXPECT_FALSE(is_short_host(text.data(), 0));
  EXPECT_TRUE(is_short_host("abcdefghijklmnop", 16));
#endif
}

TEST(Scan, TheFirstOfSeveralStops) {
  const std::string text =
      "0123456789\x01"
      "bcdef\x02"
      "123456789\x03";
  const char* base = text.data();
  EXPECT_EQ(find_value_end(base, base, base + text.size()), base + 10);
  EXPECT_EQ(find_value_end(base, base + 11, base + text.size()), base + 16);
  EXPECT_EQ(find_value_end(base, base + 17, base + text.size()), base + 26);
}

TEST(ContentLength, KeepsTheNumberOnlyWhenItIsOne) {
  std::uint64_t length = 7;
  EXPECT_EQ(read_content_length("x", length), Errc::http_bad_content_length);
  EXPECT_EQ(length, 7u);
  EXPECT_EQ(read_content_length("00012", length), Errc::none);
  EXPECT_EQ(length, 12u);
  EXPECT_EQ(read_content_length(std::string(200, '0') + "9", length), Errc::none);
  EXPECT_EQ(length, 9u);
}

}  // namespace
}  // namespace sluice::http1
