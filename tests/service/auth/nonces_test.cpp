// tests/service/auth/nonces_test.cpp - nonces of Digest: ours, young, and each count once.
//
// Layer: tests.
#include "service/auth/nonces.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "service/auth/peers.hpp"

namespace sluice::service {
namespace {

using enum NonceVerdict;

TEST(Nonces, EachCountOnce) {
  Nonces nonces;
  const std::string nonce = nonces.issue(kStart);
  EXPECT_TRUE(nonces.is_fresh(nonce, kStart));
  EXPECT_EQ(nonces.use(nonce, 1, kStart), good);
  EXPECT_EQ(nonces.use(nonce, 1, kStart), replayed);
  EXPECT_EQ(nonces.use(nonce, 2, kStart), good);
  EXPECT_EQ(nonces.use(nonce, 4, kStart), good);
  EXPECT_EQ(nonces.use(nonce, 3, kStart), good);  // late, over another connection
  EXPECT_EQ(nonces.use(nonce, 3, kStart), replayed);
  EXPECT_EQ(nonces.use(nonce, 4, kStart), replayed);
  EXPECT_EQ(nonces.use(nonce, 0, kStart), stale);
}

TEST(Nonces, TheWindow) {
  Nonces nonces;
  const std::string nonce = nonces.issue(kStart);
  EXPECT_EQ(nonces.use(nonce, 100, kStart), good);
  EXPECT_EQ(nonces.use(nonce, 100 - (Nonces::kWindow - 1), kStart), good);
  EXPECT_EQ(nonces.use(nonce, 100 - (Nonces::kWindow - 1), kStart), replayed);
  EXPECT_EQ(nonces.use(nonce, 100 - Nonces::kWindow, kStart), stale);
  EXPECT_EQ(nonces.use(nonce, 100 + Nonces::kWindow - 1, kStart), good);
  EXPECT_EQ(nonces.use(nonce, 100, kStart), replayed);  // still in the window
  EXPECT_EQ(nonces.use(nonce, 101, kStart), good);
  EXPECT_EQ(nonces.use(nonce, 0xffffffff, kStart), good);
  EXPECT_EQ(nonces.use(nonce, 0xffffffff, kStart), replayed);
  EXPECT_EQ(nonces.use(nonce, 0xfffffffe, kStart), good);
}

TEST(Nonces, ForTheirTime) {
  Nonces nonces;
  const std::string nonce = nonces.issue(kStart);
  EXPECT_EQ(nonces.use(nonce, 1, kStart + 300s - 1ns), good);
  EXPECT_FALSE(nonces.is_fresh(nonce, kStart + 300s));
  EXPECT_EQ(nonces.use(nonce, 2, kStart + 300s), stale);
}

TEST(Nonces, OnlyOurOwn) {
  Nonces nonces, others;
  const std::string nonce = nonces.issue(kStart);
  EXPECT_FALSE(others.is_fresh(nonce, kStart));
  EXPECT_EQ(others.use(nonce, 1, kStart), stale);
  for (std::size_t i = 0; i < nonce.size(); ++i) {
    std::string changed = nonce;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(nonces.is_fresh(changed, kStart)) << i;
    EXPECT_FALSE(nonces.is_fresh(nonce.substr(0, i), kStart)) << i;
  }
  EXPECT_FALSE(nonces.is_fresh(nonce + "A", kStart));
  EXPECT_EQ(nonces.size(), 0u);
}

TEST(Nonces, IssuingKeepsNothingAndNoTwoAreTheSame) {
  Nonces nonces;
  std::set<std::string> issued;
  for (int i = 0; i < 1000; ++i) issued.insert(nonces.issue(kStart));
  EXPECT_EQ(issued.size(), 1000u);
  EXPECT_EQ(nonces.size(), 0u);
}

TEST(Nonces, WhatIsForgottenIsNeverTakenAgain) {
  Nonces nonces({.tracked = 3});
  std::vector<std::string> issued;
  for (int i = 0; i < 5; ++i) issued.push_back(nonces.issue(kStart + 1s * i));
  for (int i = 1; i < 4; ++i) EXPECT_EQ(nonces.use(issued[std::size_t(i)], 1, kStart + 5s), good);
  EXPECT_EQ(nonces.size(), 3u);
  EXPECT_EQ(nonces.use(issued[4], 1, kStart + 5s), good);  // 1 makes room
  EXPECT_EQ(nonces.size(), 3u);
  EXPECT_EQ(nonces.use(issued[1], 1, kStart + 5s), stale);  // a replay, if it were taken
  EXPECT_EQ(nonces.use(issued[1], 2, kStart + 5s), stale);
  EXPECT_EQ(nonces.use(issued[0], 1, kStart + 5s), stale);  // older, never used: cannot be told
  EXPECT_EQ(nonces.use(issued[2], 2, kStart + 5s), good);
  EXPECT_EQ(nonces.use(issued[4], 1, kStart + 5s), replayed);
}

TEST(Nonces, WhatExpiredMakesRoom) {
  Nonces nonces({.tracked = 2});
  EXPECT_EQ(nonces.use(nonces.issue(kStart), 1, kStart), good);
  EXPECT_EQ(nonces.use(nonces.issue(kStart + 1s), 1, kStart + 1s), good);
  const std::string late = nonces.issue(kStart + 302s);
  EXPECT_EQ(nonces.use(late, 1, kStart + 302s), good);
  EXPECT_EQ(nonces.size(), 1u);
}

}  // namespace
}  // namespace sluice::service
