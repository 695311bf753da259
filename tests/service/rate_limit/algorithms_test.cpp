// tests/service/rate_limit/algorithms_test.cpp - each algorithm by itself, and against a model that
// remembers every request.
//
// Layer: tests.
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <random>

#include "service/auth/peers.hpp"
#include "service/rate_limit/sliding_window.hpp"
#include "service/rate_limit/token_bucket.hpp"

namespace sluice::service {
namespace {

RateRule bucket(std::uint32_t requests, std::chrono::seconds window, std::uint32_t burst = 0) {
  return {.name = "r", .requests = requests, .window = window, .burst = burst};
}
RateRule sliding(std::uint32_t requests, std::chrono::seconds window) {
  RateRule rule = bucket(requests, window);
  rule.algorithm = RateAlgorithm::sliding_window;
  return rule;
}

TEST(TokenBucket, ABurstAndThenEvenly) {
  const TokenBucket::Pace pace(bucket(10, 10s, 3));
  TokenBucket one;
  EXPECT_EQ(one.debt(pace, kStart), 0u);
  for (const std::uint32_t remaining : {2u, 1u, 0u}) {
    const RateCount count = one.take(pace, kStart);
    EXPECT_EQ(count.wait, 0ns);
    EXPECT_EQ(count.remaining, remaining);
    EXPECT_EQ(count.refill_in, remaining > 0 ? 0ns : 1s);
  }
  EXPECT_EQ(one.take(pace, kStart).wait, 1s);  // and changes nothing
  EXPECT_EQ(one.take(pace, kStart + 1s - 1ns).wait, 1ns);
  EXPECT_EQ(one.take(pace, kStart + 1s).wait, 0ns);
  EXPECT_EQ(one.take(pace, kStart + 1s).wait, 1s);
  EXPECT_EQ(one.debt(pace, kStart + 1s), static_cast<std::uint64_t>(base::Duration(3s).count()));
  EXPECT_EQ(one.debt(pace, kStart + 4s), 0u);
  EXPECT_EQ(one.take(pace, kStart + 3600s).remaining, 2u);  // no more than the burst is kept
}

TEST(TokenBucket, AClockThatIsBehindEarnsNothing) {
  const TokenBucket::Pace pace(bucket(10, 10s, 2));
  TokenBucket one;
  EXPECT_EQ(one.take(pace, kStart + 5s).wait, 0ns);
  EXPECT_EQ(one.take(pace, kStart).wait, 5s);  // until 1 s before it is paid
  EXPECT_EQ(one.take(pace, kStart + 5s).wait, 0ns);
  EXPECT_EQ(one.take(pace, kStart + 5s).wait, 1s);
}

TEST(TokenBucket, TheLargestAndTheSmallest) {
  TokenBucket::Pace pace(bucket(RateRule::kMostRequests, RateRule::kLongestWindow));
  TokenBucket one;
  for (std::uint32_t i = 0; i < RateRule::kMostRequests; ++i) {
    ASSERT_EQ(one.take(pace, kStart).wait, 0ns) << i;
  }
  EXPECT_EQ(one.take(pace, kStart).wait, 86'400us);
  pace = TokenBucket::Pace(bucket(1, 1s));
  TokenBucket other;
  EXPECT_EQ(other.take(pace, kStart).refill_in, 1s);
  EXPECT_EQ(other.take(pace, kStart).wait, 1s);
}

// 1 s is no multiple of a third: never more than three.
TEST(TokenBucket, RoundsAgainstWhoAsks) {
  const TokenBucket::Pace pace(bucket(3, 1s));
  TokenBucket one;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(one.take(pace, kStart).wait, 0ns);
  EXPECT_EQ(one.take(pace, kStart).wait, 333'333'334ns);
}

TEST(TokenBucket, AsTheModelSays) {
  std::mt19937_64 random(4711);
  for (int round = 0; round < 50; ++round) {
    const auto requests = static_cast<std::uint32_t>(1 + random() % 20);
    const auto burst = static_cast<std::uint32_t>(1 + random() % requests);
    const auto interval = base::Duration(10s) / requests;
    if (interval * requests != 10s) continue;  // the model counts in whole intervals
    const TokenBucket::Pace pace(bucket(requests, 10s, burst));
    TokenBucket one;
    base::Duration tokens = interval * burst;  // in the time that earned them
    base::Instant now = kStart, last = kStart;
    for (int i = 0; i < 500; ++i) {
      now += base::Duration(static_cast<std::int64_t>(random() % 3'000'000'000));
      tokens = std::min<base::Duration>(interval * burst, tokens + (now - last));
      last = now;
      const RateCount count = one.take(pace, now);
      ASSERT_EQ(count.wait, std::max<base::Duration>(0ns, interval - tokens)) << round << ' ' << i;
      if (count.wait == 0ns) tokens -= interval;
      ASSERT_EQ(count.remaining, count.wait > 0ns ? 0 : tokens / interval);
    }
  }
}

TEST(SlidingWindow, FillsAndForgets) {
  const SlidingWindow::Pace pace(sliding(3, 7s));  // slices of 1 s; kStart begins one
  SlidingWindow one;
  EXPECT_EQ(one.take(pace, kStart).remaining, 2u);
  EXPECT_EQ(one.take(pace, kStart + 2500ms).remaining, 1u);
  const RateCount last = one.take(pace, kStart + 2500ms);
  EXPECT_EQ(last.wait, 0ns);
  EXPECT_EQ(last.remaining, 0u);
  EXPECT_EQ(last.refill_in, 5500ms);
  EXPECT_EQ(one.take(pace, kStart + 2500ms).wait, 5500ms);
  EXPECT_EQ(one.take(pace, kStart + 8s - 1ns).wait, 1ns);
  EXPECT_EQ(one.take(pace, kStart + 8s).wait, 0ns);
  EXPECT_EQ(one.take(pace, kStart + 8s).wait, 2s);
  EXPECT_EQ(one.debt(pace, kStart + 8s), 3u);
  EXPECT_EQ(one.debt(pace, kStart + 10s), 1u);
  EXPECT_EQ(one.debt(pace, kStart + 16s), 0u);
  EXPECT_EQ(one.take(pace, kStart + 3600s).remaining, 2u);
}

TEST(SlidingWindow, AClockThatIsBehindForgetsNothing) {
  const SlidingWindow::Pace pace(sliding(2, 7s));
  SlidingWindow one;
  EXPECT_EQ(one.take(pace, kStart + 20s).wait, 0ns);
  EXPECT_EQ(one.take(pace, kStart).wait, 0ns);
  EXPECT_GT(one.take(pace, kStart).wait, 0ns);
  EXPECT_GT(one.take(pace, kStart + 20s).wait, 0ns);
}

TEST(SlidingWindow, TheLargest) {
  const SlidingWindow::Pace pace(sliding(RateRule::kMostSlidingRequests, 60s));
  SlidingWindow one;
  for (std::uint32_t i = 0; i < RateRule::kMostSlidingRequests; ++i) {
    ASSERT_EQ(one.take(pace, kStart).wait, 0ns) << i;
  }
  EXPECT_GT(one.take(pace, kStart).wait, 0ns);
}

// Never more than the limit in any window; and who is refused had as many in the last window and a
// seventh.
TEST(SlidingWindow, AsTheModelSays) {
  std::mt19937_64 random(815);
  for (int round = 0; round < 50; ++round) {
    const auto requests = static_cast<std::uint32_t>(1 + random() % 20);
    const std::chrono::seconds window(1 + random() % 30);
    const base::Duration remembered = base::Duration(window) / 7 * 8 + 8ns;
    const SlidingWindow::Pace pace(sliding(requests, window));
    SlidingWindow one;
    std::deque<base::Instant> taken;
    base::Instant now = kStart;
    const auto within = [&](base::Duration span) {
      return std::count_if(taken.begin(), taken.end(),
                           [&](base::Instant at) { return at > now - span; });
    };
    for (int i = 0; i < 500; ++i) {
      now += base::Duration(static_cast<std::int64_t>(
          random() % static_cast<std::uint64_t>(base::Duration(window).count() / 5)));
      const RateCount count = one.take(pace, now);
      if (count.wait == 0ns) {
        taken.push_back(now);
        ASSERT_LE(within(window), requests) << round << ' ' << i;
      } else {
        ASSERT_GE(within(remembered), requests) << round << ' ' << i;
        SlidingWindow before = one, at = one;
        ASSERT_GT(before.take(pace, now + count.wait - 1ns).wait, 0ns);
        ASSERT_EQ(at.take(pace, now + count.wait).wait, 0ns);
      }
    }
  }
}

// What merge() promises the table: the result refuses whenever either of the two would.
template <class Algorithm>
void merged_owes_what_both_owe(const RateRule& rule) {
  std::mt19937_64 random(99);
  const typename Algorithm::Pace pace(rule);
  for (int round = 0; round < 300; ++round) {
    Algorithm a, b;
    base::Instant now = kStart;
    for (int i = 0; i < 40; ++i) {
      now += std::chrono::milliseconds(random() % 500);
      (void)(random() % 2 == 0 ? a : b).take(pace, now);
    }
    Algorithm both = a;
    both.merge(pace, b);
    for (int i = 0; i < 40; ++i) {
      now += std::chrono::milliseconds(random() % 500);
      Algorithm c = both, d = a, e = b;
      const auto wait = c.take(pace, now).wait;
      ASSERT_GE(wait, d.take(pace, now).wait);
      ASSERT_GE(wait, e.take(pace, now).wait);
    }
  }
}

TEST(TokenBucket, MergedOwesWhatBothOwe) { merged_owes_what_both_owe<TokenBucket>(bucket(5, 7s)); }
TEST(SlidingWindow, MergedOwesWhatBothOwe) {
  merged_owes_what_both_owe<SlidingWindow>(sliding(5, 7s));
}

}  // namespace
}  // namespace sluice::service
