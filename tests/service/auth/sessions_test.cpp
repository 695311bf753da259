// tests/service/auth/sessions_test.cpp - a token serves once, soon, and where it was given.
//
// Layer: tests.
#include "service/auth/sessions.hpp"

#include <gtest/gtest.h>

#include <set>

#include "service/auth/peers.hpp"

namespace sluice::service {
namespace {

TEST(Sessions, OnceOnly) {
  Sessions sessions;
  const auto token = sessions.issue("joe", ip4(1), kStart);
  ASSERT_TRUE(token);
  EXPECT_EQ(token->size(), kSessionTokenChars);
  EXPECT_EQ(sessions.take(*token, ip4(1, 4711), kStart), "joe");  // the port is another one
  EXPECT_EQ(sessions.take(*token, ip4(1), kStart), std::nullopt);
  EXPECT_EQ(sessions.size(), 0u);
}

TEST(Sessions, ForAMinute) {
  Sessions sessions;
  const auto first = sessions.issue("joe", ip4(1), kStart);
  const auto second = sessions.issue("joe", ip4(1), kStart + 1s);
  EXPECT_EQ(sessions.take(*first, ip4(1), kStart + 60s), std::nullopt);
  EXPECT_EQ(sessions.take(*second, ip4(1), kStart + 61s - 1ns), "joe");
}

TEST(Sessions, FromItsAddressAlone) {
  Sessions sessions;
  const auto token = sessions.issue("joe", ip4(0x7f000001), kStart);
  EXPECT_EQ(sessions.take(*token, ip4(0x7f000002), kStart), std::nullopt);
  EXPECT_EQ(sessions.take(*token, ip4(0x7f000001), kStart), std::nullopt);  // known to others
  const auto mapped = sessions.issue("joe", ip4(0x7f000001), kStart);
  EXPECT_EQ(sessions.take(*mapped, ip6({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0x7f, 0, 0, 1}),
                          kStart),
            "joe");
  const auto local = sessions.issue("joe", core::Endpoint{}, kStart);
  EXPECT_EQ(sessions.take(*local, ip4(0), kStart), std::nullopt);
}

TEST(Sessions, WhatIsNoToken) {
  Sessions sessions;
  const std::string token = sessions.issue("joe", ip4(1), kStart).value();
  EXPECT_EQ(sessions.take("", ip4(1), kStart), std::nullopt);
  EXPECT_EQ(sessions.take(token.substr(1), ip4(1), kStart), std::nullopt);
  EXPECT_EQ(sessions.take(token + "A", ip4(1), kStart), std::nullopt);
  std::string changed = token;
  changed[0] = changed[0] == 'A' ? 'B' : 'A';
  EXPECT_EQ(sessions.take(changed, ip4(1), kStart), std::nullopt);
  EXPECT_EQ(sessions.take(token, ip4(1), kStart), "joe");
}

TEST(Sessions, AreBounded) {
  Sessions sessions({.tokens = 4, .tokens_per_user = 3});
  std::vector<std::string> tokens;
  for (int i = 0; i < 3; ++i) tokens.push_back(sessions.issue("joe", ip4(1), kStart).value());
  EXPECT_EQ(sessions.issue("joe", ip4(1), kStart).error().code, Errc::auth_busy);
  EXPECT_TRUE(sessions.issue("jim", ip4(1), kStart));
  EXPECT_EQ(sessions.issue("jack", ip4(1), kStart).error().code, Errc::auth_busy);
  EXPECT_EQ(sessions.take(tokens[0], ip4(1), kStart), "joe");
  EXPECT_TRUE(sessions.issue("joe", ip4(1), kStart));
  // What has expired makes room.
  EXPECT_TRUE(sessions.issue("jack", ip4(1), kStart + 60s));
  EXPECT_EQ(sessions.size(), 1u);
}

TEST(Sessions, OfAUserWhoChangedAreVoid) {
  Sessions sessions;
  const auto joe = sessions.issue("joe", ip4(1), kStart),
             jim = sessions.issue("jim", ip4(1), kStart);
  sessions.forget("joe");
  EXPECT_EQ(sessions.take(*joe, ip4(1), kStart), std::nullopt);
  EXPECT_EQ(sessions.take(*jim, ip4(1), kStart), "jim");
}

TEST(Sessions, TokensDiffer) {
  Sessions sessions({.tokens_per_user = 1000});
  std::set<std::string> tokens;
  for (int i = 0; i < 1000; ++i) tokens.insert(sessions.issue("joe", ip4(1), kStart).value());
  EXPECT_EQ(tokens.size(), 1000u);
}

}  // namespace
}  // namespace sluice::service
