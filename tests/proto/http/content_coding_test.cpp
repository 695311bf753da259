// tests/proto/http/content_coding_test.cpp - Content-Encoding and Accept-Encoding, with the RFC's
// examples.
//
// RFC 9110 sections 8.4, 8.8.3, 12.4.2 and 12.5.3. Layer: tests.
#include "proto/http/content_coding.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "proto/http/conditional.hpp"
#include "proto/http/media_type.hpp"

namespace sluice::http {
namespace {

using enum ContentCoding;
using Values = std::vector<std::string_view>;
using Codings = std::vector<ContentCoding>;

TEST(ContentCodings, Names) {
  for (std::size_t i = 0; i < kContentCodings; ++i) {
    const auto coding = static_cast<ContentCoding>(i);
    EXPECT_EQ(find_coding(coding_name(coding)), coding);
  }
  EXPECT_EQ(find_coding("X-GZip"), gzip);
  EXPECT_EQ(find_coding("BR"), br);
  for (const std::string_view other : {"", "compress", "x-compress", "gzi", "gzipp", "*", "dcb"}) {
    EXPECT_EQ(find_coding(other), std::nullopt) << other;
  }
  for (const ContentCoding coding : {gzip, deflate, br, zstd}) {
    EXPECT_EQ(coding_quality(kCodingsUnderstood, true, coding_name(coding)), 1000);
  }
}

TEST(ContentCodings, AcceptEncoding) {
  struct Case {
    Values fields;
    Codings offered;
    ContentCoding chosen;
    bool acceptable = true;
  };
  const Codings all = {zstd, br, gzip};
  const Case cases[] = {
      // The examples of RFC 9110 section 12.5.3.
      {{"compress, gzip"}, all, gzip},
      {{""}, all, identity},
      {{"*"}, all, zstd},
      {{"compress;q=0.5, gzip;q=1.0"}, all, gzip},
      {{"gzip;q=1.0, identity; q=0.5, *;q=0"}, all, gzip},
      {{"gzip;q=1.0, identity; q=0.5, *;q=0"}, {zstd, br}, identity},
      // No field: nothing is coded.
      {{}, all, identity},
      // What browsers send.
      {{"gzip, deflate"}, all, gzip},
      {{"gzip, deflate, br"}, all, br},
      {{"gzip, deflate, br, zstd"}, all, zstd},
      // The highest weight, in steps of a thousandth; among equals the server's order.
      {{"zstd;q=0.001, br;q=0.002, gzip;q=0.003"}, all, gzip},
      {{"zstd;q=0.999, br, gzip;q=0.5"}, all, br},
      {{"gzip;q=0.5, br;q=0.5, zstd;q=0.5"}, {br, gzip, zstd}, br},
      {{"gzip;q=0.5, br;q=0.5"}, {gzip, br}, gzip},
      {{"gzip;q=1.000, br;q=0.999"}, all, gzip},
      {{"gzip;q=0.000"}, all, identity},
      {{"gzip;q=0, br;q=0., zstd;q=0.0"}, all, identity},
      // `*` is what is not named.
      {{"*;q=0.5, zstd;q=0, br;q=0.1"}, all, gzip},
      {{"zstd;q=0, *"}, all, br},
      {{"*;q=0.1, *;q=0"}, {gzip}, gzip},
      {{"gzip;q=0.5, *"}, {gzip}, gzip},
      // identity.
      {{"identity"}, all, identity},
      {{"gzip;q=0.5, identity"}, all, identity},
      {{"gzip;q=0.5, identity;q=0.5"}, all, gzip},
      {{"gzip, identity;q=0"}, all, gzip},
      {{"identity;q=0"}, all, identity, false},
      {{"*;q=0"}, all, identity, false},
      {{"br, identity;q=0"}, {gzip}, identity, false},
      {{"br, *;q=0"}, {gzip}, identity, false},
      {{"*;q=0, identity"}, all, identity},
      {{"*;q=0, identity;q=0.1"}, all, identity},
      {{"compress, deflate"}, all, identity},
      {{"gzip;q=0"}, {}, identity},
      {{"gzip"}, {}, identity},
      {{"identity"}, {identity, gzip}, identity},
      {{"gzip"}, {identity, gzip}, gzip},
      // Several fields are one list; names in any case; the older name.
      {{"gzip;q=0.1", "br;q=0.2"}, all, br},
      {{"", "gzip"}, all, gzip},
      {{"GZip; Q=0.5"}, all, gzip},
      {{"x-gzip"}, all, gzip},
      {{"x-gzip;q=0, *"}, {gzip}, identity},
      // The first of a name counts.
      {{"gzip;q=0, gzip"}, all, identity},
      {{"gzip;q=0", "x-gzip"}, all, identity},
      // Whitespace and empty members.
      {{" ,,\tgzip \t;\t q=0.5 ,, "}, all, gzip},
      {{"gzip;"}, all, gzip},
      // Members that are malformed count for nothing.
      {{"gzip;q=2"}, all, identity},
      {{"gzip;q=1.001"}, all, identity},
      {{"gzip;q=0.1234"}, all, identity},
      {{"gzip;q=.5"}, all, identity},
      {{"gzip;q=-1"}, all, identity},
      {{"gzip;q="}, all, identity},
      {{"gzip;q"}, all, identity},
      {{"gzip;level=9"}, all, identity},
      {{"gzip q=1"}, all, identity},
      {{"g\"zip, br"}, all, br},
      {{"gzip;q=x, gzip;q=0.5"}, all, gzip},
      {{"identity;q=x"}, all, identity},
  };
  for (const Case& c : cases) {
    std::string text;
    for (const std::string_view field : c.fields) text.append("[").append(field).append("]");
    EXPECT_EQ(choose_coding(c.fields, c.offered), (CodingChoice{c.chosen, c.acceptable})) << text;
  }
}

// Each of the thousand steps counts.
TEST(ContentCodings, ThousandSteps) {
  const auto weight = [](int thousandths) {
    std::string digits = std::to_string(1000 + thousandths % 1000).substr(1);
    return std::to_string(thousandths / 1000) + "." + digits;
  };
  for (int q = 1; q < 1000; ++q) {
    const std::string less = "gzip;q=" + weight(q) + ", br;q=" + weight(q + 1);
    const Values values = {less};
    EXPECT_EQ(choose_coding(values, Codings{gzip, br}).coding, br) << less;
    EXPECT_EQ(choose_coding(values, Codings{br, gzip}).coding, br) << less;
  }
}

TEST(ContentCodings, ContentEncoding) {
  struct Case {
    Values fields;
    Errc error;
    Codings codings;
  };
  const Case cases[] = {
      {{}, Errc::none, {}},
      {{""}, Errc::none, {}},
      {{"gzip"}, Errc::none, {gzip}},
      {{"X-GZIP"}, Errc::none, {gzip}},
      {{"deflate"}, Errc::none, {deflate}},
      {{"br"}, Errc::none, {br}},
      {{"Zstd"}, Errc::none, {zstd}},
      {{"identity"}, Errc::none, {}},
      {{"gzip, identity"}, Errc::none, {gzip}},
      {{" , gzip ,\t,br,"}, Errc::none, {gzip, br}},
      {{"gzip", "br"}, Errc::none, {gzip, br}},
      {{"gzip, br, gzip"}, Errc::http_coding_not_supported, {}},
      {{"gzip", "br", "zstd"}, Errc::http_coding_not_supported, {}},
      {{"compress"}, Errc::http_coding_not_supported, {}},
      {{"gzip, aes128gcm"}, Errc::http_coding_not_supported, {}},
      {{"*"}, Errc::http_coding_not_supported, {}},
      {{"gzip br"}, Errc::http_bad_field_value, {}},
      {{"gzip;q=1"}, Errc::http_bad_field_value, {}},
      {{"\"gzip\""}, Errc::http_bad_field_value, {}},
  };
  for (const Case& c : cases) {
    const std::string_view name = c.fields.empty() ? "(none)" : c.fields[0];
    CodingList list{{br}, 1};
    EXPECT_EQ(read_content_encoding(c.fields, 2, list), c.error) << name;
    EXPECT_EQ(Codings(list.view().begin(), list.view().end()), c.codings) << name;
  }
  CodingList list;
  EXPECT_EQ(read_content_encoding(Values{"br,br,br,br"}, CodingList::kMost, list), Errc::none);
  EXPECT_EQ(list.size, 4u);
  EXPECT_EQ(read_content_encoding(Values{"br,br,br,br,br"}, CodingList::kMost, list),
            Errc::http_coding_not_supported);
  EXPECT_EQ(read_content_encoding(Values{"gzip"}, 0, list), Errc::http_coding_not_supported);
  EXPECT_EQ(read_content_encoding(Values{"identity"}, 0, list), Errc::none);
}

TEST(ContentCodings, Vary) {
  EXPECT_TRUE(needs_vary({}));
  EXPECT_TRUE(needs_vary(Values{""}));
  EXPECT_TRUE(needs_vary(Values{"Accept", "Cookie, Origin"}));
  EXPECT_TRUE(needs_vary(Values{"X-Accept-Encoding"}));
  EXPECT_FALSE(needs_vary(Values{"accept-encoding"}));
  EXPECT_FALSE(needs_vary(Values{"Origin", "Cookie , Accept-Encoding"}));
  EXPECT_FALSE(needs_vary(Values{"*"}));
}

TEST(ContentCodings, EntityTags) {
  EXPECT_EQ(weaken_etag("\"abc\""), "W/\"abc\"");
  EXPECT_EQ(weaken_etag("\"\""), "W/\"\"");
  EXPECT_EQ(weaken_etag("W/\"abc\""), "W/\"abc\"");
  for (const std::string_view none : {"", "\"", "abc", "\"abc", "abc\"", "w/\"x\"x"}) {
    EXPECT_EQ(weaken_etag(none), none);
  }
  // The client sends back what it got; the application knows its own tag.
  EXPECT_TRUE(weak_equal(weaken_etag("\"abc\""), "\"abc\""));
  EXPECT_FALSE(strong_equal(weaken_etag("\"abc\""), "\"abc\""));
}

}  // namespace
}  // namespace sluice::http
