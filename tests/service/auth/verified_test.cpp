// tests/service/auth/verified_test.cpp - what was verified is known for a while, to the right
// version.
//
// Layer: tests.
#include "service/auth/verified.hpp"

#include <gtest/gtest.h>

#include <string>

#include "service/auth/peers.hpp"

namespace sluice::service {
namespace {

TEST(Verified, KnowsThePairAndNoOther) {
  Verified verified;
  EXPECT_FALSE(verified.knows("joe", "secret", 1, kStart));
  verified.remember("joe", "secret", 1, kStart);
  EXPECT_TRUE(verified.knows("joe", "secret", 1, kStart));
  EXPECT_FALSE(verified.knows("joe", "Secret", 1, kStart));
  EXPECT_FALSE(verified.knows("joes", "ecret", 1, kStart));
  EXPECT_FALSE(verified.knows("jo", "esecret", 1, kStart));
  EXPECT_FALSE(verified.knows("joe", "", 1, kStart));
  verified.remember("joe", "", 1, kStart);
  EXPECT_TRUE(verified.knows("joe", "", 1, kStart));
}

TEST(Verified, ForItsTimeAlone) {
  Verified verified;
  verified.remember("joe", "secret", 1, kStart);
  EXPECT_TRUE(verified.knows("joe", "secret", 1, kStart + 300s - 1ns));
  EXPECT_FALSE(verified.knows("joe", "secret", 1, kStart + 300s));  // use did not prolong it
  EXPECT_EQ(verified.size(), 0u);
}

TEST(Verified, IsVoidWhenTheUserChanges) {
  Verified verified;
  verified.remember("joe", "secret", 1, kStart);
  EXPECT_FALSE(verified.knows("joe", "secret", 2, kStart));
  EXPECT_FALSE(verified.knows("joe", "secret", 1, kStart));  // and is gone
  verified.remember("joe", "secret", 2, kStart);
  EXPECT_FALSE(verified.knows("joe", "secret", 0, kStart));
  verified.remember("joe", "secret", 2, kStart);
  verified.clear();
  EXPECT_FALSE(verified.knows("joe", "secret", 2, kStart));
}

TEST(Verified, IsBounded) {
  Verified verified({.entries = 3});
  for (int i = 0; i < 3; ++i) verified.remember("u" + std::to_string(i), "p", 1, kStart + 1s * i);
  verified.remember("u0", "p", 1, kStart + 3s);  // known already: the newest now
  EXPECT_EQ(verified.size(), 3u);
  verified.remember("u3", "p", 1, kStart + 4s);
  EXPECT_EQ(verified.size(), 3u);
  EXPECT_FALSE(verified.knows("u1", "p", 1, kStart + 4s));
  for (const char* user : {"u0", "u2", "u3"}) {
    EXPECT_TRUE(verified.knows(user, "p", 1, kStart + 4s)) << user;
  }
  Verified none({.entries = 0});
  none.remember("joe", "p", 1, kStart);
  EXPECT_FALSE(none.knows("joe", "p", 1, kStart));
}

}  // namespace
}  // namespace sluice::service
