// tests/base/allocation_test.cpp - what base asks of the heap, and what happens when it says no.
//
// Layer: tests.
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <string>
#include <utility>

#include "base/arena.hpp"
#include "base/shared_bytes.hpp"
#include "base/task.hpp"
#include "base/timer_wheel.hpp"
#include "support/new_hook.hpp"

namespace sluice::base {
namespace {

using test::count_news;
using test::fail_each_new;

TEST(Allocation, SmallTasksNeedNone) {
  std::array<char, Task::kInline - sizeof(int*)> ballast{};
  int calls = 0;
  EXPECT_EQ(count_news([&] {
              Task task = [ballast, &calls] { calls += 1 + ballast[0]; };
              Task moved = std::move(task);
              moved();
            }),
            0u);
  EXPECT_EQ(calls, 1);
}

// Not inlined: else clang sees the whole life of the call and leaves its memory out.
[[gnu::noinline]] Task large_task(int& calls) {
  std::array<char, 1000> ballast{};
  return [ballast, &calls] { calls += 1 + ballast[0]; };
}

TEST(Allocation, ALargeTaskNeedsOneAndMovesWithoutMore) {
  int calls = 0;
  EXPECT_EQ(count_news([&] {
              Task task = large_task(calls);
              Task moved = std::move(task);
              task = std::move(moved);
              task();
            }),
            1u);
  EXPECT_EQ(fail_each_new([&] { large_task(calls)(); }), 1u);
  EXPECT_EQ(calls, 2);
}

TEST(Allocation, TimersNeedNone) {
  struct Nothing {
    static void fired(void*) {}
  };
  EXPECT_EQ(count_news([] {
              const Instant start{std::chrono::hours(1)};
              TimerWheel wheel(start);
              std::array<Timer, 3> timers{Timer(&Nothing::fired, nullptr),
                                          Timer(&Nothing::fired, nullptr),
                                          Timer(&Nothing::fired, nullptr)};
              for (Timer& timer : timers) wheel.set(timer, start + std::chrono::seconds(1));
              wheel.advance(start + std::chrono::seconds(2));
            }),
            0u);
}

TEST(Allocation, AnArenaThatWorksAgainNeedsNone) {
  Arena arena;
  const auto exchange = [&arena] {
    arena.reset();
    for (int i = 0; i < 100; ++i) arena.copy("a field value of some length, as requests have them");
  };
  for (int i = 0; i < 4; ++i) exchange();  // finds its size
  EXPECT_EQ(count_news([&] {
              for (int i = 0; i < 1000; ++i) exchange();
            }),
            0u);
}

TEST(Allocation, AnArenaKeepsNoMoreThanItMay) {
  Arena arena(1024, 4096);
  arena.text(100000);
  arena.reset();
  EXPECT_EQ(count_news([&] { arena.text(100); }), 1u);  // the large chunk is gone
}

TEST(Allocation, AnArenaSurvivesEachFailure) {
  Arena arena(64);
  std::size_t failures = fail_each_new([&arena] {
    arena.reset();
    for (std::size_t bytes = 1; bytes < 3000; bytes = bytes * 3 / 2 + 1) {
      char* text = arena.text(bytes);
      std::memset(text, int(bytes % 100), bytes);
    }
  });
  EXPECT_GT(failures, 2u);
  EXPECT_EQ(arena.copy("still works"), "still works");
}

TEST(Allocation, SharedBytesTakeOneForAStringAndSurviveWithoutIt) {
  const std::string text(1000, 'x');
  EXPECT_EQ(fail_each_new([&] { EXPECT_EQ(SharedBytes::copy(as_bytes(text)).size(), 1000u); }), 2u);
  SharedBytes kept = SharedBytes::own(text);
  EXPECT_EQ(count_news([&] {
              SharedBytes copy = kept;
              SharedBytes second;
              second = std::exchange(copy, SharedBytes());
              EXPECT_EQ(second.size(), 1000u);
            }),
            0u);
}

}  // namespace
}  // namespace sluice::base
