// tests/core/endpoint_test.cpp - addresses as text, beside what the system makes of them.
//
// Layer: tests.
#include "core/endpoint.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <cstring>

namespace sluice::core {
namespace {

Endpoint of(const char* text) {
  Endpoint endpoint;
  const bool ip6 = std::strchr(text, ':') != nullptr;
  endpoint.family = ip6 ? Endpoint::Family::ip6 : Endpoint::Family::ip4;
  EXPECT_EQ(inet_pton(ip6 ? AF_INET6 : AF_INET, text, endpoint.address.data()), 1) << text;
  return endpoint;
}

TEST(Endpoints, AreShownAsTheyAreWritten) {
  for (const char* text : {"0.0.0.0", "127.0.0.1", "1.20.255.9", "255.255.255.255", "::", "::1",
                           "2001:db8::1", "fe80::1:2:3:4"}) {
    EXPECT_EQ(of(text).ip(), text);
  }
}

TEST(Endpoints, ShowIPv4InIPv6AsIPv4) {
  EXPECT_EQ(of("::ffff:192.0.2.43").ip(), "192.0.2.43");
  EXPECT_EQ(of("::ffff:255.255.255.255").ip(), "255.255.255.255");
}

TEST(Endpoints, OfALocalStreamShowNothing) { EXPECT_EQ(Endpoint().ip(), ""); }

}  // namespace
}  // namespace sluice::core
