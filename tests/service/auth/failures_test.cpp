// tests/service/auth/failures_test.cpp - slower, then refused, then forgotten; in a table of one
// size.
//
// Layer: tests.
#include "service/auth/failures.hpp"

#include <gtest/gtest.h>

#include "service/auth/peers.hpp"

namespace sluice::service {
namespace {

constexpr FailureLimits kFew = {.addresses = 8, .free = 2, .refuse_after = 8};

TEST(Failures, SlowerAndThenRefused) {
  Failures failures(kFew);
  const core::Endpoint peer = ip4(1);
  EXPECT_EQ(failures.standing(peer, kStart).delay, 0ns);
  for (const auto delay : {0ms, 0ms, 250ms, 500ms, 1000ms, 2000ms, 4000ms}) {
    EXPECT_EQ(failures.failed(peer, 0, kStart).delay, delay);
    EXPECT_EQ(failures.standing(peer, kStart).delay, delay);
    EXPECT_EQ(failures.standing(peer, kStart).refused_for, 0ns);
  }
  EXPECT_EQ(failures.failed(peer, 0, kStart).refused_for, 300s);
  EXPECT_EQ(failures.standing(peer, kStart + 299s).refused_for, 1s);
  EXPECT_EQ(failures.standing(peer, kStart + 299s).delay, 4000ms);
  // Then one more is enough.
  EXPECT_EQ(failures.standing(peer, kStart + 300s).refused_for, 0ns);
  EXPECT_EQ(failures.failed(peer, 0, kStart + 300s).refused_for, 300s);
  EXPECT_EQ(failures.standing(ip4(2), kStart).refused_for, 0ns);
}

TEST(Failures, AreForgotten) {
  Failures failures(kFew);
  for (int i = 0; i < 4; ++i) failures.failed(ip4(1), 0, kStart + 100s * i);
  EXPECT_EQ(failures.standing(ip4(1), kStart + 300s + 900s - 1ns).delay, 500ms);
  EXPECT_EQ(failures.standing(ip4(1), kStart + 300s + 900s).delay, 0ns);
  EXPECT_EQ(failures.size(kStart + 1200s), 0u);
  EXPECT_EQ(failures.failed(ip4(1), 0, kStart + 1200s).delay, 0ns);  // from the beginning
}

TEST(Failures, ARefusalOutlastsForgetting) {
  Failures failures(
      {.addresses = 4, .free = 0, .refuse_after = 1, .refuse_for = 1000s, .forget_after = 10s});
  EXPECT_EQ(failures.failed(ip4(1), 0, kStart).refused_for, 1000s);
  EXPECT_EQ(failures.standing(ip4(1), kStart + 999s).refused_for, 1s);
  EXPECT_EQ(failures.standing(ip4(1), kStart + 1000s).delay, 0ns);
}

TEST(Failures, TheSameWrongCredentialsAreOneGuess) {
  Failures failures(kFew);
  const std::uint64_t old = failures.mark("joe", "old"), other = failures.mark("joe", "other");
  EXPECT_NE(old, other);
  EXPECT_EQ(old, failures.mark("joe", "old"));
  EXPECT_NE(failures.mark("jo", "eold"), old);
  for (int i = 0; i < 100; ++i) failures.failed(ip4(1), old, kStart);
  EXPECT_EQ(failures.failed(ip4(1), other, kStart).delay, 0ns);
  EXPECT_EQ(failures.failed(ip4(1), old, kStart).delay, 250ms);  // the third
}

TEST(Failures, OneNetworkIsOneAddress) {
  Failures failures(kFew);
  const core::Endpoint a = ip6({0x20, 1, 0xd, 0xb8, 0, 0, 0, 1, 1}),
                       b = ip6({0x20, 1, 0xd, 0xb8, 0, 0, 0, 1, 0xff, 2}),
                       elsewhere = ip6({0x20, 1, 0xd, 0xb8, 0, 0, 0, 2, 1});
  for (int i = 0; i < 8; ++i) failures.failed(i % 2 == 0 ? a : b, 0, kStart);
  EXPECT_GT(failures.standing(a, kStart).refused_for, 0ns);
  EXPECT_GT(failures.standing(b, kStart).refused_for, 0ns);
  EXPECT_EQ(failures.standing(elsewhere, kStart).refused_for, 0ns);
  // IPv4 is not cut, however it is written.
  failures.failed(ip4(1), 0, kStart);
  const core::Endpoint mapped = ip6({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 1});
  for (int i = 0; i < 2; ++i) failures.failed(mapped, 0, kStart);
  EXPECT_EQ(failures.standing(ip4(1), kStart).delay, 250ms);
  EXPECT_EQ(failures.standing(ip4(2), kStart).delay, 0ns);
}

TEST(Failures, AnyNumberOfAddressesTakesTheSameRoomAndFreesNobody) {
  Failures failures({.addresses = 64, .refuse_after = 20});
  for (int i = 0; i < 20; ++i) failures.failed(ip4(1), 0, kStart);
  EXPECT_GT(failures.standing(ip4(1), kStart).refused_for, 0ns);
  for (std::uint32_t i = 2; i < 20'000; ++i) failures.failed(ip4(i), 0, kStart + 1s);
  EXPECT_EQ(failures.size(kStart + 1s), 64u);
  EXPECT_GT(failures.standing(ip4(1), kStart + 1s).refused_for, 0ns);
}

}  // namespace
}  // namespace sluice::service
