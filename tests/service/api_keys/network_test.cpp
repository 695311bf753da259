// tests/service/api_keys/network_test.cpp - networks of IPv4 and IPv6: their text, and who is in.
//
// Layer: tests.
#include "service/api_keys/network.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <string>

namespace sluice::api_keys {
namespace {

core::Endpoint peer(const std::string& text) {
  core::Endpoint out;
  const bool ip6 = text.find(':') != std::string::npos;
  out.family = ip6 ? core::Endpoint::Family::ip6 : core::Endpoint::Family::ip4;
  EXPECT_EQ(inet_pton(ip6 ? AF_INET6 : AF_INET, text.c_str(), out.address.data()), 1) << text;
  return out;
}

TEST(Network, WhoIsIn) {
  struct Case {
    const char* network;
    const char* peer;
    bool in;
  };
  constexpr Case cases[] = {
      {"10.0.0.0/8", "10.0.0.0", true},
      {"10.0.0.0/8", "10.255.255.255", true},
      {"10.0.0.0/8", "11.0.0.0", false},
      {"10.0.0.0/8", "9.255.255.255", false},
      {"192.0.2.128/25", "192.0.2.127", false},
      {"192.0.2.128/25", "192.0.2.128", true},
      {"192.0.2.128/25", "192.0.2.255", true},
      {"192.0.2.128/25", "192.0.3.128", false},
      {"192.0.2.4/31", "192.0.2.5", true},
      {"192.0.2.4/31", "192.0.2.6", false},
      {"192.0.2.7", "192.0.2.7", true},
      {"192.0.2.7", "192.0.2.6", false},
      {"192.0.2.7/32", "192.0.2.7", true},
      {"0.0.0.0/0", "255.255.255.255", true},
      {"0.0.0.0/0", "::1", false},
      {"::/0", "2001:db8::1", true},
      {"::/0", "192.0.2.7", false},
      {"::/0", "::ffff:192.0.2.7", false},  // that is IPv4
      {"192.0.2.0/24", "::ffff:192.0.2.7", true},
      {"192.0.2.0/24", "::ffff:192.0.3.7", false},
      {"2001:db8::/32", "2001:db8:ffff::1", true},
      {"2001:db8::/32", "2001:db9::", false},
      {"2001:db8::/33", "2001:db8:7fff::", true},
      {"2001:db8::/33", "2001:db8:8000::", false},
      {"2001:db8::/127", "2001:db8::1", true},
      {"2001:db8::/127", "2001:db8::2", false},
      {"::1", "::1", true},
      {"::1", "::2", false},
      {"::1", "127.0.0.1", false},
  };
  for (const Case& c : cases) {
    const auto network = Network::parse(c.network);
    ASSERT_TRUE(network) << c.network;
    EXPECT_EQ(network->contains(peer(c.peer)), c.in) << c.network << " " << c.peer;
  }
}

TEST(Network, EveryLength) {
  for (int length = 0; length <= 32; ++length) {
    // The address whose first bit behind the length is one is still in; the last bit before is not.
    const std::uint32_t base = 0;
    const auto network = Network::parse("0.0.0.0/" + std::to_string(length));
    ASSERT_TRUE(network);
    core::Endpoint at;
    at.family = core::Endpoint::Family::ip4;
    for (int bit = 0; bit < 32; ++bit) {
      const std::uint32_t address = base | 0x80000000U >> bit;
      for (std::size_t i = 0; i < 4; ++i) {
        at.address[i] = static_cast<std::uint8_t>(address >> (24 - 8 * i));
      }
      EXPECT_EQ(network->contains(at), bit >= length) << length << " " << bit;
    }
  }
  for (int length = 0; length <= 128; ++length) {
    const auto network = Network::parse("::/" + std::to_string(length));
    ASSERT_TRUE(network);
    for (int bit = 0; bit < 80; ++bit) {
      core::Endpoint at;
      at.family = core::Endpoint::Family::ip6;
      at.address[static_cast<std::size_t>(bit / 8)] = static_cast<std::uint8_t>(0x80 >> bit % 8);
      EXPECT_EQ(network->contains(at), bit >= length) << length << " " << bit;
    }
  }
}

TEST(Network, ALocalStreamIsInNone) {
  EXPECT_FALSE(Network::parse("0.0.0.0/0")->contains(core::Endpoint{}));
  EXPECT_FALSE(Network::parse("::/0")->contains(core::Endpoint{}));
}

TEST(Network, ItsText) {
  for (const char* text :
       {"10.0.0.0/8", "192.0.2.7", "0.0.0.0/0", "::/0", "2001:db8::/32", "::1"}) {
    EXPECT_EQ(Network::parse(text)->text(), text);
  }
  EXPECT_EQ(Network::parse("192.0.2.7/32")->text(), "192.0.2.7");
  EXPECT_EQ(Network::parse("2001:DB8:0::/32")->text(), "2001:db8::/32");
  EXPECT_EQ(*Network::parse("::1/128"), *Network::parse("::1"));
}

TEST(Network, WhatIsNone) {
  for (const char* text : {"",
                           "/",
                           "/8",
                           "10.0.0.0/",
                           "10.0.0.0/33",
                           "10.0.0.0/-1",
                           "10.0.0.0/+8",
                           "10.0.0.0/8 ",
                           " 10.0.0.0/8",
                           "10.0.0.0/08",
                           "10.0.0.0/8/8",
                           "10.0.0/8",
                           "10.0.0.1/8",
                           "256.0.0.1",
                           "localhost",
                           "::/129",
                           "::1/127",
                           "fe80::1%eth0",
                           "[::1]",
                           "::ffff:192.0.2.7",
                           "::ffff:0:0/96",
                           "1:2:3",
                           "10.0.0.0/255.0.0.0",
                           "192.0.2.7:80",
                           "10.0.0.0/256"}) {
    const auto network = Network::parse(text);
    EXPECT_FALSE(network) << text;
    EXPECT_EQ(network.error().code, Errc::invalid_argument) << text;
    EXPECT_FALSE(network.error().detail.empty());
  }
  EXPECT_FALSE(Network::parse(std::string_view("10.0.0.1\0x", 10)));
  EXPECT_FALSE(Network::parse(std::string(100'000, '1')));
}

}  // namespace
}  // namespace sluice::api_keys
