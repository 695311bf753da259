// tests/core/mailbox_test.cpp - bounded, in order, one wake-up for many posts, from many threads.
//
// Layer: tests.
#include "core/mailbox.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "core/harness.hpp"

namespace sluice::test {
namespace {

using core::Mailbox;

TEST(Mailbox, RunsInOrderOfArrival) {
  Mailbox mailbox;
  CountingWaker waker;
  mailbox.open(waker);
  std::vector<int> ran;
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(mailbox.post([&ran, i] { ran.push_back(i); }), SendStatus::queued);
  }
  EXPECT_TRUE(ran.empty());
  EXPECT_EQ(mailbox.run(), 5u);
  EXPECT_EQ(ran, (std::vector<int>{0, 1, 2, 3, 4}));
  EXPECT_EQ(mailbox.run(), 0u);
  mailbox.close();
}

TEST(Mailbox, WakesOnceForManyPosts) {
  Mailbox mailbox;
  CountingWaker waker;
  mailbox.open(waker);
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(mailbox.post_always([] {}));
  EXPECT_EQ(waker.wakes, 1);
  mailbox.run();
  EXPECT_EQ(mailbox.post([] {}), SendStatus::queued);
  EXPECT_EQ(waker.wakes, 2);
  mailbox.close();
}

TEST(Mailbox, WhatIsPostedWhileItRunsWaitsForTheNextRun) {
  Mailbox mailbox;
  CountingWaker waker;
  mailbox.open(waker);
  int again = 0;
  mailbox.post_always([&] {
    ++again;
    mailbox.post_always([&] { ++again; });
  });
  EXPECT_EQ(mailbox.run(), 1u);
  EXPECT_EQ(again, 1);
  EXPECT_FALSE(mailbox.empty());
  EXPECT_EQ(waker.wakes, 2) << "the shard must not go to sleep over it";
  mailbox.run();
  EXPECT_EQ(again, 2);
  mailbox.close();
}

TEST(Mailbox, TakesSoManyPostsAndNotOneMore) {
  Mailbox mailbox;
  CountingWaker waker;
  mailbox.open(waker);
  for (std::size_t i = 0; i < Mailbox::kPosts; ++i) {
    ASSERT_EQ(mailbox.post([] {}), SendStatus::queued);
  }
  EXPECT_EQ(mailbox.post([] {}), SendStatus::would_block);
  EXPECT_TRUE(mailbox.post_always([] {})) << "completions always find room";
  EXPECT_EQ(mailbox.run(), Mailbox::kPosts + 1);
  EXPECT_EQ(mailbox.post([] {}), SendStatus::queued);
  mailbox.close();
}

TEST(Mailbox, TakesSoManyBytesAndNotOneMore) {
  Mailbox mailbox;
  CountingWaker waker;
  mailbox.open(waker);
  EXPECT_EQ(mailbox.post([] {}, Mailbox::kBytes - 1), SendStatus::queued);
  EXPECT_EQ(mailbox.post([] {}, 2), SendStatus::would_block);
  EXPECT_EQ(mailbox.post([] {}, 1), SendStatus::queued);
  EXPECT_EQ(mailbox.post([] {}, 1), SendStatus::would_block);
  EXPECT_EQ(mailbox.post([] {}, 0), SendStatus::queued);
  mailbox.run();
  EXPECT_EQ(mailbox.post([] {}, Mailbox::kBytes), SendStatus::queued);
  EXPECT_EQ(mailbox.post([] {}, Mailbox::kBytes + 1), SendStatus::would_block);
  mailbox.close();
}

TEST(Mailbox, CloseRunsWhatWaitsAndThenAnswersGone) {
  Mailbox mailbox;
  CountingWaker waker;
  EXPECT_EQ(mailbox.post([] {}), SendStatus::gone) << "not open yet";
  mailbox.open(waker);
  auto kept = std::make_shared<int>(0);
  mailbox.post_always([kept] { ++*kept; });
  mailbox.close();
  EXPECT_EQ(*kept, 1);
  EXPECT_EQ(kept.use_count(), 1) << "the task has gone";
  EXPECT_EQ(mailbox.post([] {}), SendStatus::gone);
  EXPECT_FALSE(mailbox.post_always([] {}));
}

// Nothing is lost, each thread's posts keep their order, and a closed mailbox refuses.
TEST(Mailbox, FromManyThreads) {
  constexpr int kThreads = 4, kEach = 5000;
  Mailbox mailbox;
  CountingWaker waker;
  mailbox.open(waker);
  std::vector<int> last(kThreads, -1);
  std::atomic<int> queued{0};
  int ran = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) {
        SendStatus status = mailbox.post([&, t, i] {
          ++ran;
          EXPECT_GT(i, last[std::size_t(t)]);
          last[std::size_t(t)] = i;
        });
        if (status == SendStatus::gone) return;
        queued += status == SendStatus::queued;
      }
    });
  }
  while (ran < kThreads * kEach / 2) mailbox.run();
  mailbox.close();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(ran, queued);
}

}  // namespace
}  // namespace sluice::test
