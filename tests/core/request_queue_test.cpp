// tests/core/request_queue_test.cpp - how many may wait, exactly.
//
// Layer: tests.
#include "core/request_queue.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace sluice::test {
namespace {

using core::RequestQueue;
using Admission = RequestQueue::Admission;

std::shared_ptr<RequestQueue> queue_of(std::uint32_t length) {
  return *RequestQueue::create("", length);
}

TEST(RequestQueue, Defaults) {
  std::shared_ptr<RequestQueue> queue = *RequestQueue::create("shop");
  EXPECT_EQ(queue->name(), "shop");
  EXPECT_EQ(queue->length(), 1000u);
  EXPECT_EQ(queue->verbosity(), Verbosity503::limited);
  EXPECT_TRUE(queue->active());
  EXPECT_EQ(queue->waiting(), 0u);
  EXPECT_EQ(queue->refused(), 0u);
}

TEST(RequestQueue, LengthHasLimits) {
  for (std::uint32_t good : {1u, 65535u}) {
    EXPECT_TRUE(RequestQueue::create("", good)) << good;
    EXPECT_TRUE(queue_of(10)->set_length(good)) << good;
  }
  for (std::uint32_t bad : {0u, 65536u, 0xffff'ffffu}) {
    EXPECT_EQ(RequestQueue::create("", bad).error().code, Errc::bad_setting) << bad;
    std::shared_ptr<RequestQueue> queue = queue_of(10);
    Result<void> set = queue->set_length(bad);
    ASSERT_FALSE(set) << bad;
    EXPECT_NE(set.error().detail.find("from 1 to 65535"), std::string::npos);
    EXPECT_EQ(queue->length(), 10u) << "nothing changed";
  }
}

TEST(RequestQueue, NamesHaveLimits) {
  EXPECT_TRUE(RequestQueue::create(std::string(260, 'a')));
  for (const std::string& bad : {std::string(261, 'a'), std::string("a/b"), std::string("a\\b"),
                                 std::string("a\nb"), std::string("a\0b", 3)}) {
    EXPECT_EQ(RequestQueue::create(bad).error().code, Errc::bad_setting) << bad;
  }
}

TEST(RequestQueue, WhatRunsAtOnceNeverWaits) {
  std::shared_ptr<RequestQueue> queue = queue_of(1);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(queue->admit(true), Admission::run);
  EXPECT_EQ(queue->waiting(), 0u);
}

TEST(RequestQueue, ExactlyItsLengthWaits) {
  std::shared_ptr<RequestQueue> queue = queue_of(3);
  for (std::uint32_t i = 1; i <= 3; ++i) {
    EXPECT_EQ(queue->admit(false), Admission::queued);
    EXPECT_EQ(queue->waiting(), i);
  }
  EXPECT_EQ(queue->admit(false), Admission::full);
  EXPECT_EQ(queue->admit(false), Admission::full);
  EXPECT_EQ(queue->waiting(), 3u) << "who is refused is not counted";
  EXPECT_EQ(queue->refused(), 2u);
  queue->leave();
  EXPECT_EQ(queue->admit(false), Admission::queued) << "one place is free again";
  EXPECT_EQ(queue->admit(false), Admission::full);
}

// The answer to `full` is that of the error table.
TEST(RequestQueue, FullHasItsReason) {
  EXPECT_EQ(info(Errc::queue_full).wire, 503);
  EXPECT_EQ(info(Errc::queue_full).reason, "QueueFull");
}

TEST(RequestQueue, WhileInactiveEverybodyWaits) {
  std::shared_ptr<RequestQueue> queue = queue_of(2);
  EXPECT_TRUE(queue->set_active(false));
  EXPECT_FALSE(queue->set_active(false)) << "it was so already";
  EXPECT_EQ(queue->admit(true), Admission::queued) << "though a handler is free";
  EXPECT_EQ(queue->admit(false), Admission::queued);
  EXPECT_EQ(queue->admit(true), Admission::full);
  EXPECT_TRUE(queue->set_active(true));
  EXPECT_EQ(queue->waiting(), 2u) << "activating starts nothing by itself";
  EXPECT_EQ(queue->admit(true), Admission::run);
  queue->leave();
  queue->leave();
  EXPECT_EQ(queue->waiting(), 0u);
}

TEST(RequestQueue, AShorterLengthThrowsNobodyOut) {
  std::shared_ptr<RequestQueue> queue = queue_of(4);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(queue->admit(false), Admission::queued);
  ASSERT_TRUE(queue->set_length(2));
  EXPECT_EQ(queue->waiting(), 4u);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(queue->admit(false), Admission::full);
    queue->leave();
  }
  EXPECT_EQ(queue->admit(false), Admission::full) << "two wait, two may";
  queue->leave();
  EXPECT_EQ(queue->admit(false), Admission::queued);
  ASSERT_TRUE(queue->set_length(3));
  EXPECT_EQ(queue->admit(false), Admission::queued);
}

TEST(RequestQueue, VerbosityCanChange) {
  std::shared_ptr<RequestQueue> queue = queue_of(1);
  for (Verbosity503 each : {Verbosity503::basic, Verbosity503::full, Verbosity503::limited}) {
    queue->set_verbosity(each);
    EXPECT_EQ(queue->verbosity(), each);
  }
}

// Several shards: never more than the length wait, nobody is refused while there is room, and in
// the end everybody is accounted for.
TEST(RequestQueue, ManyShardsCountExactly) {
  constexpr std::uint32_t kLength = 3;
  constexpr int kThreads = 4, kRounds = 20000;
  std::shared_ptr<RequestQueue> queue = queue_of(kLength);
  std::atomic<std::uint32_t> inside{0};
  std::atomic<std::uint64_t> refused{0};
  std::atomic<bool> too_many{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < kRounds; ++i) {
        if (queue->admit(false) == Admission::full) {
          refused.fetch_add(1);
          continue;
        }
        if (inside.fetch_add(1) + 1 > kLength) too_many = true;
        inside.fetch_sub(1);
        queue->leave();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_FALSE(too_many);
  EXPECT_EQ(queue->waiting(), 0u);
  EXPECT_EQ(queue->refused(), refused);
}

// One place, and two who want it: who is refused was refused because the other one had it. Counting
// first and taking back what was too much would turn both away now and then.
TEST(RequestQueue, NobodyIsRefusedWhileThereIsRoom) {
  constexpr int kRounds = 500;
  std::shared_ptr<RequestQueue> queue = queue_of(1);
  std::atomic<int> round{0}, decided{0}, done{0}, attempt{0}, taken_by{0};
  std::thread other([&] {
    for (int i = 1; i <= kRounds; ++i) {
      while (round < i) std::this_thread::yield();
      taken_by = 0;
      for (int n = 1; taken_by == 0 && decided < i; ++n) {
        attempt = n;
        if (queue->admit(false) == Admission::queued) taken_by = n;
      }
      done = i;
    }
  });
  for (int i = 1; i <= kRounds; ++i) {
    EXPECT_EQ(queue->admit(false), Admission::queued);
    attempt = 0;
    round = i;
    while (attempt == 0) std::this_thread::yield();
    queue->leave();
    const bool again = queue->admit(false) == Admission::queued;
    const int until = attempt;
    decided = i;
    while (done < i) std::this_thread::yield();
    EXPECT_TRUE(again != (taken_by > 0));
    EXPECT_TRUE(again || taken_by <= until) << "the place was free in round " << i;
    if (again || taken_by > 0) queue->leave();
  }
  other.join();
  EXPECT_EQ(queue->waiting(), 0u);
}

TEST(RequestQueueDeathTest, LeavingWithoutHavingWaitedIsABug) {
  EXPECT_DEATH(queue_of(1)->leave(), "before > 0");
}

}  // namespace
}  // namespace sluice::test
