// tests/core/url_harness.hpp - prefixes and requests, written short.
//
// Layer: tests.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "core/url_tree.hpp"

namespace sluice::test {

inline core::UrlPrefix prefix(std::string_view text) {
  Result<core::UrlPrefix> parsed = core::parse_url_prefix(text);
  EXPECT_TRUE(parsed) << parsed.error().message();
  return parsed.value_or(core::UrlPrefix());
}

inline core::Endpoint endpoint(const std::string& ip, std::uint16_t port) {
  core::Endpoint made;
  made.port = port;
  if (inet_pton(AF_INET, ip.c_str(), made.address.data()) == 1) {
    made.family = core::Endpoint::Family::ip4;
  } else {
    EXPECT_EQ(inet_pton(AF_INET6, ip.c_str(), made.address.data()), 1) << ip;
    made.family = core::Endpoint::Family::ip6;
  }
  return made;
}

// A request by http, to port 80 of 192.0.2.1 where nothing else is said. The texts must outlive it.
inline core::UrlRequest request(std::string_view host, std::string_view path,
                                std::uint16_t port = 80, const std::string& ip = "192.0.2.1") {
  return {core::UrlScheme::http, host, endpoint(ip, port), path};
}

// "registered http://+:80/", "reserved http://+:80/" or "no match".
inline std::string shown(const core::UrlMatch& match) {
  if (match.kind == core::UrlMatch::Kind::no_match) return "no match";
  const bool reserved = match.kind == core::UrlMatch::Kind::reserved;
  return (reserved ? "reserved " : "registered ") + match.entry->prefix.text();
}

// Another one at each run, unless SLUICE_TEST_SEED says which.
inline unsigned random_seed() {
  const char* given = std::getenv("SLUICE_TEST_SEED");
  const unsigned seed =
      given ? static_cast<unsigned>(std::strtoul(given, nullptr, 10)) : std::random_device()();
  std::printf("SLUICE_TEST_SEED=%u\n", seed);
  return seed;
}

// Ten thousand prefixes of five kinds; the context of each is its number.
inline std::vector<core::UrlEntry> ten_thousand() {
  std::vector<core::UrlEntry> entries;
  for (std::uint32_t i = 0; i < 10'000; ++i) {
    const std::string n = std::to_string(i);
    std::string text;
    switch (i % 5) {
      case 0:
        text = "http://site" + n + ".example.com:80/";
        break;
      case 1:
        text = "http://*.zone" + n + ".example.com:80/api/v1/";
        break;
      case 2:
        text = "http://10." + std::to_string(i / 256) + "." + std::to_string(i % 256) + ".1:80/";
        break;
      case 3:
        text = "http://*:80/app" + n + "/";
        break;
      default:
        text = "http://shop.example.com:80/items/" + n + "/parts/";
        break;
    }
    entries.push_back({prefix(text), false, 0, i});
  }
  return entries;
}

// The request that finds number `i` of them. `host` and `path` hold its texts.
inline core::UrlRequest request_for(std::uint32_t i, std::string& host, std::string& path) {
  const std::string n = std::to_string(i);
  host = "nobody.test";
  path = "/";
  std::string ip = "192.0.2.1";
  if (i % 5 == 0) host = "Site" + n + ".example.com:80";
  if (i % 5 == 1) host = "a.b.zone" + n + ".example.com", path = "/api/v1/users/7";
  if (i % 5 == 2) ip = "10." + std::to_string(i / 256) + "." + std::to_string(i % 256) + ".1";
  if (i % 5 == 3) path = "/app" + n + "/index.html";
  if (i % 5 == 4) host = "shop.example.com", path = "/items/" + n + "/parts/3";
  return request(host, path, 80, ip);
}

}  // namespace sluice::test
