// tests/service/rate_limit/rate_table_test.cpp - any number of keys in a table of one size: nobody
// gets more than the rule allows.
//
// Layer: tests.
#include "service/rate_limit/rate_table.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <map>
#include <random>
#include <thread>
#include <vector>

#include "service/auth/peers.hpp"
#include "service/rate_limit/sliding_window.hpp"
#include "service/rate_limit/token_bucket.hpp"

namespace sluice::service {
namespace {

RateRule rule_of(RateAlgorithm algorithm, std::size_t entries, std::uint32_t requests) {
  return {
      .name = "r", .algorithm = algorithm, .requests = requests, .window = 10s, .entries = entries};
}
RateRule bucket(std::size_t entries, std::uint32_t requests) {
  return rule_of(RateAlgorithm::token_bucket, entries, requests);
}
RateRule sliding(std::size_t entries, std::uint32_t requests) {
  return rule_of(RateAlgorithm::sliding_window, entries, requests);
}

template <class Algorithm>
bool passes(RateTable<Algorithm>& table, std::uint64_t key, base::Instant now) {
  return table.take(key, now).wait == 0ns;
}

TEST(RateTable, PeekChangesNothing) {
  RateTable<TokenBucket> table(bucket(8, 2));
  for (int i = 0; i < 5; ++i) EXPECT_EQ(table.peek(1, kStart).remaining, 1u);
  EXPECT_EQ(table.take(1, kStart).remaining, 1u);
  EXPECT_EQ(table.peek(1, kStart).remaining, 0u);
  EXPECT_EQ(table.take(1, kStart).wait, 0ns);
  EXPECT_GT(table.peek(1, kStart).wait, 0ns);
}

// One set: the ninth key stands in for the one that owes least, and begins with its debt.
TEST(RateTable, ANewcomerBeginsWithTheDebtOfWhomItDisplaces) {
  RateTable<TokenBucket> table(bucket(8, 10));
  for (std::uint64_t key = 1; key <= 8; ++key) {
    for (std::uint64_t i = 0; i < key + 1; ++i) EXPECT_TRUE(passes(table, key, kStart));
  }
  EXPECT_EQ(table.displaced(), 0u);
  EXPECT_EQ(table.take(9, kStart).remaining, 7u);  // key 1 had taken two of ten
  EXPECT_EQ(table.displaced(), 1u);
  EXPECT_EQ(table.peek(8, kStart).remaining, 0u);  // who owes most stayed
  // Key 1 comes back, and has not gained by it: key 2, which owes three, gives way.
  EXPECT_EQ(table.take(1, kStart).remaining, 6u);
}

TEST(RateTable, AFullSetRefusesNewcomersUntilOneIsEarned) {
  RateTable<TokenBucket> table(bucket(8, 10));
  for (std::uint64_t key = 1; key <= 8; ++key) {
    for (int i = 0; i < 10; ++i) EXPECT_TRUE(passes(table, key, kStart));
  }
  EXPECT_EQ(table.take(9, kStart).wait, 1s);
  EXPECT_EQ(table.displaced(), 0u);  // who is refused takes no place
  EXPECT_TRUE(passes(table, 9, kStart + 1s));
  EXPECT_FALSE(passes(table, 9, kStart + 1s));
  EXPECT_TRUE(passes(table, 9, kStart + 60s));  // and all is forgotten in time
  EXPECT_EQ(table.take(10, kStart + 60s).remaining, 9u);
}

// The attack: somebody at the limit sends from many other addresses, to be forgotten.
template <class Algorithm>
void cannot_be_flushed(const RateRule& rule) {
  RateTable<Algorithm> table(rule);
  std::uint32_t passed = 0;
  for (std::uint64_t other = 1000; other < 21'000; ++other) {
    if (passes(table, 1, kStart)) ++passed;
    table.take(other, kStart);
  }
  EXPECT_EQ(passed, rule.requests);
  EXPECT_GT(table.displaced(), 100u);
}
TEST(RateTable, NobodyIsForgottenBecauseOthersCome) {
  cannot_be_flushed<TokenBucket>(bucket(64, 20));
  cannot_be_flushed<SlidingWindow>(sliding(64, 20));
}

// Whatever comes in whatever order, in a table much too small. The model remembers each request
// that passed, of each key.
TEST(RateTable, NobodyGetsMoreThanTheRuleAllows) {
  std::mt19937_64 random(20261123);
  for (int round = 0; round < 20; ++round) {
    const auto requests = static_cast<std::uint32_t>(2 + random() % 10);
    const RateRule rule = sliding(std::size_t{8} << (round % 3), requests);
    RateTable<SlidingWindow> windows(rule);
    RateTable<TokenBucket> buckets(bucket(rule.entries, requests));
    const TokenBucket::Pace pace(bucket(rule.entries, requests));
    std::map<std::uint64_t, std::deque<base::Instant>> passed;
    std::map<std::uint64_t, TokenBucket> exact;
    base::Instant now = kStart;
    std::size_t window_passes = 0, bucket_passes = 0;
    for (int i = 0; i < 5000; ++i) {
      now += std::chrono::milliseconds(random() % 40);
      // A few come often, many seldom.
      const std::uint64_t key = random() % 2 == 0 ? random() % 4 : random() % 200;
      if (passes(windows, key, now)) {
        auto& mine = passed[key];
        mine.push_back(now);
        while (mine.front() <= now - 10s) mine.pop_front();
        ASSERT_LE(mine.size(), requests) << round << ' ' << i;
        ++window_passes;
      }
      if (passes(buckets, key, now)) {
        ASSERT_EQ(exact[key].take(pace, now).wait, 0ns) << round << ' ' << i;
        ++bucket_passes;
      }
    }
    EXPECT_GT(windows.displaced(), 0u);
    EXPECT_GT(buckets.displaced(), 0u);
    EXPECT_GT(window_passes, 100u);  // and it is no wall
    EXPECT_GT(bucket_passes, 100u);
  }
}

// With room for all, a table is as exact as one bucket for each.
TEST(RateTable, IsExactWhereNobodyIsDisplaced) {
  std::mt19937_64 random(7);
  const RateRule rule = bucket(8192, 5);
  RateTable<TokenBucket> table(rule);
  const TokenBucket::Pace pace(rule);
  std::vector<std::uint64_t> keys(300);
  for (std::uint64_t& key : keys) key = random();
  std::map<std::uint64_t, TokenBucket> exact;
  base::Instant now = kStart;
  for (int i = 0; i < 20'000; ++i) {
    now += std::chrono::milliseconds(random() % 10);
    const std::uint64_t key = keys[random() % keys.size()];
    const RateCount expected = exact[key].take(pace, now), count = table.take(key, now);
    ASSERT_EQ(count.wait, expected.wait) << i;
    ASSERT_EQ(count.remaining, expected.remaining) << i;
  }
  EXPECT_EQ(table.displaced(), 0u);
}

// Shards share a rule without an error: of all threads together exactly as many pass.
TEST(RateTable, ThreadsShareOneLimitExactly) {
  RateTable<TokenBucket> buckets(bucket(64, 1000));
  RateTable<SlidingWindow> windows(sliding(64, 1000));
  std::atomic<std::uint32_t> bucket_passes{0}, window_passes{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 2000; ++i) {
        if (passes(buckets, 1, kStart)) ++bucket_passes;
        if (passes(windows, 1, kStart)) ++window_passes;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(bucket_passes.load(), 1000u);
  EXPECT_EQ(window_passes.load(), 1000u);
}

}  // namespace
}  // namespace sluice::service
