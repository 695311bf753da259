// tests/core/bandwidth_test.cpp - no more bytes leave than may, whoever sends them.
//
// Layer: tests.
#include "core/bandwidth.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

namespace sluice::core {
namespace {

using namespace std::chrono_literals;
constexpr base::Instant kStart{1000s};

TEST(Bandwidth, ABurstAndThenAtTheRate) {
  Bandwidth link(100'000);  // the burst is 5,000
  EXPECT_EQ(link.reserve(5000, kStart), 0ns);
  EXPECT_EQ(link.reserve(5000, kStart), 0ns);  // the piece that may begin
  EXPECT_EQ(link.reserve(10'000, kStart), 50ms);
  EXPECT_EQ(link.reserve(1, kStart), 150ms);
  EXPECT_EQ(link.reserve(1, kStart + 1s), 0ns);
  EXPECT_EQ(link.reserve(5000, kStart + 3600s), 0ns);
  EXPECT_EQ(link.reserve(1, kStart + 3600s), 0ns);  // no more than the burst is kept
  EXPECT_EQ(link.reserve(1, kStart + 3600s), 10us);
}

TEST(Bandwidth, WhatDidNotLeaveIsGivenBack) {
  Bandwidth link(100'000);
  link.reserve(5000, kStart);
  link.reserve(10'000, kStart);
  link.give_back(7000);
  EXPECT_EQ(link.reserve(1, kStart), 30ms);
  // Pieces of it are no more than the whole.
  Bandwidth odd(3'000'000), whole(3'000'000);
  for (int i = 0; i < 1000; ++i) {
    odd.reserve(1000, kStart);
    whole.reserve(1000, kStart);
  }
  for (int i = 0; i < 1000; ++i) odd.give_back(1);
  whole.give_back(1000);
  EXPECT_GE(odd.reserve(1, kStart), whole.reserve(1, kStart));
}

TEST(Bandwidth, BringsItsRateIntoBounds) {
  EXPECT_EQ(Bandwidth(0).rate(), Bandwidth::kLeast);
  EXPECT_EQ(Bandwidth(1023).rate(), 1024u);
  EXPECT_EQ(Bandwidth(1025).rate(), 1025u);
  EXPECT_EQ(Bandwidth(~std::uint64_t{0}).rate(), Bandwidth::kMost);
  Bandwidth slowest(0);
  slowest.reserve(~std::uint64_t{0}, kStart);  // counts as 8 GiB: the price fits
  EXPECT_GT(slowest.reserve(1, kStart), 0ns);
}

TEST(Bandwidth, ANewRateHoldsFromTheNextSend) {
  Bandwidth link(100'000);
  link.reserve(15'000, kStart);  // 50 ms of it are the burst
  EXPECT_EQ(link.reserve(10'000, kStart), 100ms);
  link.set_rate(1'000'000);
  EXPECT_EQ(link.reserve(10'000, kStart), 200ms);
  EXPECT_EQ(link.reserve(10'000, kStart), 210ms);
}

TEST(Bandwidth, Pieces) {
  EXPECT_EQ(Bandwidth(1024).piece(), 1024u);
  EXPECT_EQ(Bandwidth(1'000'000).piece(), 50'000u);
  EXPECT_EQ(Bandwidth(1'000'000'000).piece(), 256u << 10);
  Bandwidth wide(10'000'000), narrow(100'000);
  EXPECT_EQ(piece(nullptr, nullptr, 65'536), 65'536u);
  EXPECT_EQ(piece(&wide, nullptr, 65'536), 65'536u);
  EXPECT_EQ(piece(&wide, &narrow, 65'536), 5000u);
}

TEST(Bandwidth, AGroupAndItsServerAreBothCharged) {
  Bandwidth server(1'000'000), group(100'000);
  EXPECT_EQ(reserve(nullptr, nullptr, 1 << 30, kStart), 0ns);
  EXPECT_EQ(reserve(&server, &group, 15'000, kStart), 0ns);
  EXPECT_EQ(reserve(&server, &group, 10'000, kStart), 100ms);  // the group's
  EXPECT_EQ(reserve(&server, nullptr, 125'000, kStart), 0ns);
  EXPECT_EQ(reserve(&server, nullptr, 1, kStart), 100ms);  // 150,000 less the burst
  give_back(&server, &group, 10'000);
  EXPECT_EQ(group.reserve(1, kStart), 100ms);
}

// The model keeps every send and when it left. In any stretch of time leave at most its bytes, the
// burst and one piece; and a link that is always asked is never idle.
TEST(Bandwidth, AsTheModelSays) {
  std::mt19937_64 random(1234);
  for (int round = 0; round < 20; ++round) {
    const std::uint64_t rate = 1024 + random() % 10'000'000;
    Bandwidth link(rate);
    struct Sent {
      base::Instant at;
      std::uint64_t bytes;
    };
    std::deque<Sent> sent;
    base::Instant now = kStart, last{};
    for (int i = 0; i < 400; ++i) {
      now += std::chrono::microseconds(random() % 20'000);
      const std::uint64_t bytes = 1 + random() % link.piece();
      const base::Instant leaves = now + link.reserve(bytes, now);
      ASSERT_GE(leaves, last);  // in order
      last = leaves;
      sent.push_back({leaves, bytes});
    }
    for (std::size_t from = 0; from < sent.size(); ++from) {
      std::uint64_t bytes = 0;
      for (std::size_t to = from; to < sent.size(); ++to) {
        bytes += sent[to].bytes;
        const double seconds =
            std::chrono::duration<double>(sent[to].at - sent[from].at + Bandwidth::kBurst).count();
        const double may = seconds * static_cast<double>(rate) + static_cast<double>(link.piece());
        ASSERT_LE(static_cast<double>(bytes), may + 1) << round << ' ' << from << ' ' << to;
      }
    }
    // Asked without a pause it gives what it has.
    Bandwidth busy(rate);
    base::Duration wait{0};
    for (int i = 0; i < 200; ++i) wait = busy.reserve(busy.piece(), kStart);
    const double spent = std::chrono::duration<double>(wait + Bandwidth::kBurst).count();
    EXPECT_NEAR(spent * static_cast<double>(rate), 199.0 * static_cast<double>(busy.piece()),
                static_cast<double>(busy.piece()));
  }
}

// Sends of several shards queue up behind each other: no two have the same place.
TEST(Bandwidth, ShardsShareItExactly) {
  Bandwidth link(1'000'000);
  constexpr int kThreads = 4, kSends = 2000;
  std::vector<base::Duration> waits;
  std::mutex mutex;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      std::vector<base::Duration> mine;
      for (int i = 0; i < kSends; ++i) mine.push_back(link.reserve(1000, kStart));
      const std::lock_guard lock(mutex);
      waits.insert(waits.end(), mine.begin(), mine.end());
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::sort(waits.begin(), waits.end());
  for (std::size_t i = 0; i < waits.size(); ++i) {
    const base::Duration place = 1ms * static_cast<std::int64_t>(i);
    ASSERT_EQ(waits[i], std::max<base::Duration>(0ns, place - Bandwidth::kBurst)) << i;
  }
}

}  // namespace
}  // namespace sluice::core
