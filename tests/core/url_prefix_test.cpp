// tests/core/url_prefix_test.cpp - which prefixes are legal, how they are written, and what the
// others are told.
//
// Layer: tests.
#include "core/url_prefix.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace sluice::test {
namespace {

using core::Endpoint;
using core::kMaxUrlPrefixBytes;
using core::kMaxUrlPrefixSegments;
using core::parse_url_prefix;
using core::UrlHost;
using core::UrlPrefix;
using core::UrlScheme;

struct Legal {
  const char* text;
  const char* canonical;
  UrlHost kind;
  std::uint16_t port;
  const char* path;
};

constexpr Legal kLegal[] = {
    {"http://+:80/", "http://+:80/", UrlHost::strong, 80, "/"},
    {"https://*:443/", "https://*:443/", UrlHost::weak, 443, "/"},
    {"http://adatum.com:80/vroot/", "http://adatum.com:80/vroot/", UrlHost::name, 80, "/vroot/"},
    {"https://adatum.com:443/secure/database/", "https://adatum.com:443/secure/database/",
     UrlHost::name, 443, "/secure/database/"},
    {"http://localhost:8080/", "http://localhost:8080/", UrlHost::name, 8080, "/"},
    // The host has no case, the path has one.
    {"http://WWW.Adatum.COM:80/VRoot/", "http://www.adatum.com:80/VRoot/", UrlHost::name, 80,
     "/VRoot/"},
    {"http://a_b.xn--mnchen-3ya.de:80/", "http://a_b.xn--mnchen-3ya.de:80/", UrlHost::name, 80,
     "/"},
    {"http://1.2.3.com:1/", "http://1.2.3.com:1/", UrlHost::name, 1, "/"},
    {"http://0xa.x:65535/", "http://0xa.x:65535/", UrlHost::name, 65535, "/"},
    {"http://*.Example.com:80/", "http://*.example.com:80/", UrlHost::subdomains, 80, "/"},
    {"http://*.localhost:80/", "http://*.localhost:80/", UrlHost::subdomains, 80, "/"},
    {"http://127.0.0.1:80/a/", "http://127.0.0.1:80/a/", UrlHost::address, 80, "/a/"},
    {"http://[::1]:80/", "http://[::1]:80/", UrlHost::address, 80, "/"},
    {"http://[3FFE:FFFF:0::6ECB:0101]:80/", "http://[3ffe:ffff::6ecb:101]:80/", UrlHost::address,
     80, "/"},
    // A path is what a routing path would be.
    {"http://+:80/caf%C3%a9/", "http://+:80/caf\xc3\xa9/", UrlHost::strong, 80, "/caf\xc3\xa9/"},
    {"http://+:80/%41%7e/", "http://+:80/A~/", UrlHost::strong, 80, "/A~/"},
    {"http://+:80/a%2fb%5c%25/", "http://+:80/a%2Fb%5C%25/", UrlHost::strong, 80, "/a%2Fb%5C%25/"},
    {"http://+:80/a%3Fb%23c%20d e/", "http://+:80/a%3Fb%23c%20d%20e/", UrlHost::strong, 80,
     "/a?b#c d e/"},
    {"http://+:80/.../", "http://+:80/.../", UrlHost::strong, 80, "/.../"},
    {"http://+:80/*/+/:/@/", "http://+:80/*/+/:/@/", UrlHost::strong, 80, "/*/+/:/@/"},
};

TEST(UrlPrefix, Legal) {
  for (const Legal& each : kLegal) {
    Result<UrlPrefix> parsed = parse_url_prefix(each.text);
    ASSERT_TRUE(parsed) << parsed.error().message();
    EXPECT_EQ(parsed->text(), each.canonical);
    EXPECT_EQ(parsed->kind, each.kind) << each.text;
    EXPECT_EQ(parsed->port, each.port) << each.text;
    EXPECT_EQ(parsed->path, each.path) << each.text;
    const bool https = std::string_view(each.text).starts_with("https:");
    EXPECT_EQ(parsed->scheme, https ? UrlScheme::https : UrlScheme::http) << each.text;
    Result<UrlPrefix> again = parse_url_prefix(parsed->text());
    ASSERT_TRUE(again) << each.canonical;
    EXPECT_EQ(*again, *parsed) << each.text;
  }
}

struct Illegal {
  std::string_view text;
  const char* words;  // that the error must have
};

using namespace std::string_view_literals;

constexpr Illegal kIllegal[] = {
    {"", "the scheme is missing"},
    {"localhost:80/", "the scheme is missing"},
    {"http:/localhost:80/", "it should look like http://localhost:8080/"},
    {"HTTP://+:80/", "write the scheme in lower case, http"},
    {"Https://+:443/", "write the scheme in lower case, https"},
    {"ftp://+:80/", "the scheme must be http or https"},
    {"://+:80/", "the scheme must be http or https"},
    {" http://+:80/", "the scheme must be http or https"},
    // The end.
    {"http://+:80", "the slash at the end is missing; write http://+:80/"},
    {"http://+:80/vroot", "the slash at the end is missing; write http://+:80/vroot/"},
    {"http://+:80/a/index.html", "the slash at the end is missing"},
    {"http://+:80/?a=1/", "a prefix has no query; leave out what begins with ?"},
    {"http://+:80?a/", "a prefix has no query"},
    {"http://+:80/#a/", "a prefix has no fragment; leave out what begins with #"},
    // The port.
    {"http://localhost/", "the port is missing; it is always written"},
    {"http://+/", "the port is missing"},
    {"http://[::1]/", "the port is missing"},
    {"http://localhost:/", "the port is missing"},
    {"http://localhost:*/", "the port cannot be a wildcard"},
    {"http://localhost:+/", "the port cannot be a wildcard"},
    {"http://localhost:080/", "the port must not begin with a zero"},
    {"http://localhost:00/", "the port must not begin with a zero"},
    {"http://localhost:0/", "the port must be from 1 to 65535"},
    {"http://localhost:65536/", "the port must be from 1 to 65535"},
    {"http://localhost:99999999999999999999/", "the port must be from 1 to 65535"},
    {"http://localhost:http/", "the port must be a decimal number"},
    {"http://localhost:-1/", "the port must be a decimal number"},
    {"http://localhost:8 0/", "the port must be a decimal number"},
    // The host.
    {"http://:80/", "the host is missing; write + or * for every host"},
    {"http:///", "the host is missing"},
    {"http://me@localhost:80/", "a prefix names no user"},
    {"http://::1:80/", "an IPv6 address stands in brackets"},
    {"http://[::1:80/", "the ] behind the IPv6 address is missing"},
    {"http://[::1]80/", "behind the ] must stand a colon and the port"},
    {"http://[]:80/", "what stands in the brackets is no IPv6 address"},
    {"http://[1.2.3.4]:80/", "what stands in the brackets is no IPv6 address"},
    {"http://[::12345]:80/", "what stands in the brackets is no IPv6 address"},
    {"http://[fe80::1%eth0]:80/", "an address has no zone here"},
    {"http://[::ffff:1.2.3.4]:80/", "write the IPv4 address without ::ffff:"},
    {"http://[::]:80/", "write * for all"},
    {"http://0.0.0.0:80/", "write * for all"},
    {"http://256.1.1.1:80/", "neither an IPv4 address nor a name"},
    {"http://1.2.3:80/", "neither an IPv4 address nor a name"},
    {"http://01.2.3.4:80/", "neither an IPv4 address nor a name"},
    {"http://1:80/", "neither an IPv4 address nor a name"},
    {"http://a.0x7F:80/", "neither an IPv4 address nor a name"},
    {"http://*.2.3.4:80/", "neither an IPv4 address nor a name"},
    {"http://service.*.com:80/", "only the left-most label of a host can be a *"},
    {"http://*.*.com:80/", "only the left-most label of a host can be a *"},
    {"http://*a.com:80/", "only the left-most label of a host can be a *"},
    {"http://**:80/", "only the left-most label of a host can be a *"},
    {"http://+.com:80/", "only the left-most label of a host can be a *"},
    {"http://*.:80/", "is empty"},
    {"http://.com:80/", "is empty"},
    {"http://a..com:80/", "is empty"},
    {"http://.:80/", "is empty"},
    {"http://example.com.:80/", "leave out the dot at the end of the host"},
    {"http://b\xc3\xbc"
     "cher.de:80/",
     "xn--"},
    {"http://a b.com:80/", "letters, digits, hyphens and dots only"},
    {"http://a%20b.com:80/", "letters, digits, hyphens and dots only"},
    {"http://a\0b.com:80/"sv, "letters, digits, hyphens and dots only"},
    {"http://127.0.0.1\0:80/"sv, "letters, digits, hyphens and dots only"},
    {"http://[::1\0]:80/"sv, "no IPv6 address"},
    {"http://-a.com:80/", "must not begin or end in a hyphen"},
    {"http://a-.com:80/", "must not begin or end in a hyphen"},
    // The path.
    {"http://+:80//", "a segment of the path is empty"},
    {"http://+:80/a//b/", "a segment of the path is empty"},
    {"http://+:80/a\\b/", "write / instead of \\ in the path"},
    {"http://+:80/./", "a segment . or .."},
    {"http://+:80/a/../b/", "a segment . or .."},
    {"http://+:80/../", "a segment . or .."},
    {"http://+:80/a/%2e%2E/", "a segment . or .."},
    {"http://+:80/%zz/", "two hexadecimal digits"},
    {"http://+:80/%u0041/", "two hexadecimal digits"},
    {"http://+:80/%4/", "two hexadecimal digits"},
    {"http://+:80/\xff/", "the path is not UTF-8"},
    {"http://+:80/%c3/", "the path is not UTF-8"},
    {"http://+:80/%00/", "a control character"},
    {"http://+:80/a\nb/", "a control character"},
};

TEST(UrlPrefix, Illegal) {
  for (const Illegal& each : kIllegal) {
    Result<UrlPrefix> parsed = parse_url_prefix(each.text);
    ASSERT_FALSE(parsed) << each.text;
    EXPECT_EQ(parsed.error().code, Errc::bad_prefix);
    const std::string& words = parsed.error().detail;
    EXPECT_NE(words.find(each.words), std::string::npos) << each.text << " was told: " << words;
    for (char c : words) EXPECT_FALSE(static_cast<unsigned char>(c) < 0x20) << words;
    if (each.text.find_first_of("\0\n"sv) == std::string_view::npos) {
      EXPECT_EQ(words.find("\"" + std::string(each.text) + "\": "), 0u) << "names the prefix";
    }
  }
}

// What an error says to write is right.
TEST(UrlPrefix, TheSlashThatIsMissingHelps) {
  for (std::string text : {"http://+:80", "https://a.com:443/x", "http://[::1]:1/a/b"}) {
    ASSERT_FALSE(parse_url_prefix(text));
    EXPECT_TRUE(parse_url_prefix(text + "/")) << text;
  }
}

std::string times(std::string_view text, std::size_t count) {
  std::string out;
  while (count-- > 0) out += text;
  return out;
}

TEST(UrlPrefix, Limits) {
  const std::string front = "http://+:80/";
  const std::string full = front + std::string(kMaxUrlPrefixBytes - front.size() - 1, 'a') + "/";
  ASSERT_EQ(full.size(), kMaxUrlPrefixBytes);
  EXPECT_TRUE(parse_url_prefix(full));
  Result<UrlPrefix> longer = parse_url_prefix("https" + full.substr(4));
  ASSERT_FALSE(longer);
  EXPECT_NE(longer.error().detail.find("2049 bytes"), std::string::npos);
  EXPECT_LT(longer.error().detail.size(), 300u) << "a message stays short";

  EXPECT_TRUE(parse_url_prefix(front + times("a/", kMaxUrlPrefixSegments)));
  EXPECT_TRUE(parse_url_prefix(front + times("%41/", kMaxUrlPrefixSegments)));
  for (const char* segment : {"a/", "%41/"}) {
    Result<UrlPrefix> deeper = parse_url_prefix(front + times(segment, kMaxUrlPrefixSegments + 1));
    ASSERT_FALSE(deeper);
    EXPECT_NE(deeper.error().detail.find("more than 64 segments"), std::string::npos);
  }

  const std::string label(63, 'a');
  const auto named = [](const std::string& host) { return "http://" + host + ":80/"; };
  EXPECT_TRUE(parse_url_prefix(named(label + ".com")));
  EXPECT_FALSE(parse_url_prefix(named(label + "a.com")));
  const std::string name = label + "." + label + "." + label + "." + std::string(61, 'b');
  ASSERT_EQ(name.size(), 253u);
  EXPECT_TRUE(parse_url_prefix(named(name)));
  EXPECT_FALSE(parse_url_prefix(named(name + "b")));
  // A name below a domain is longer by a label of one character, at least.
  const std::string domain = name.substr(0, 251);
  EXPECT_TRUE(parse_url_prefix(named("*." + domain)));
  EXPECT_FALSE(parse_url_prefix(named("*." + domain + "b")));
}

TEST(UrlPrefix, EqualityIsThatOfTheText) {
  const char* texts[] = {"http://+:80/",          "http://*:80/",       "https://+:80/",
                         "http://+:81/",          "http://+:80/a/",     "http://+:80/A/",
                         "http://a.com:80/",      "http://*.a.com:80/", "http://1.2.3.4:80/",
                         "http://[102:304::]:80/"};
  for (const char* a : texts) {
    for (const char* b : texts) {
      UrlPrefix one = *parse_url_prefix(a), other = *parse_url_prefix(b);
      EXPECT_EQ(one == other, std::string_view(a) == b) << a << " " << b;
      EXPECT_EQ(one == other, one.text() == other.text()) << a << " " << b;
      EXPECT_EQ((one < other) + (other < one) + (one == other), 1) << a << " " << b;
    }
  }
  EXPECT_EQ(*parse_url_prefix("http://A.com:80/caf%c3%a9/"),
            *parse_url_prefix("http://a.COM:80/caf\xc3\xa9/"));
}

TEST(UrlPrefix, OctetsOfAnAddress) {
  Endpoint four{{127, 0, 0, 1}, 80, Endpoint::Family::ip4};
  Endpoint mapped{
      {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1}, 80, Endpoint::Family::ip6};
  Endpoint six{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 80, Endpoint::Family::ip6};
  const std::string ip4 = parse_url_prefix("http://127.0.0.1:80/")->host;
  EXPECT_EQ(core::address_octets(four), ip4);
  EXPECT_EQ(core::address_octets(mapped), ip4);
  EXPECT_EQ(core::address_octets(six), parse_url_prefix("http://[::1]:80/")->host);
  EXPECT_EQ(core::address_octets(Endpoint()), "");
}

}  // namespace
}  // namespace sluice::test
