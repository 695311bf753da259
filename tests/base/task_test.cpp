// tests/base/task_test.cpp - calls to make later.
//
// Layer: tests.
#include "base/task.hpp"

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

namespace sluice::base {
namespace {

// Counts the objects of its kind that live.
template <std::size_t Size, bool Quiet = true>
struct Counted {
  explicit Counted(int& living, int& calls) : living_(&living), calls_(&calls) { ++*living_; }
  Counted(Counted&& other) noexcept(Quiet)  // NOLINT(performance-noexcept-move-constructor)
      : living_(other.living_), calls_(other.calls_) {
    ++*living_;
  }
  Counted(const Counted& other) : living_(other.living_), calls_(other.calls_) { ++*living_; }
  ~Counted() { --*living_; }
  void operator()() { ++*calls_; }

  int* living_;
  int* calls_;
  std::array<char, Size> ballast_{};
};

TEST(Task, IsEmptyAtFirst) {
  Task task;
  EXPECT_FALSE(task);
  Task moved = std::move(task);
  EXPECT_FALSE(moved);
}

TEST(Task, CallsAsOftenAsAsked) {
  int calls = 0;
  Task task = [&calls] { ++calls; };
  ASSERT_TRUE(task);
  task();
  task();
  EXPECT_EQ(calls, 2);
}

TEST(Task, HoldsWhatOnlyMoves) {
  int seen = 0;
  Task task = [value = std::make_unique<int>(7), &seen] { seen = *value; };
  Task moved = std::move(task);
  moved();
  EXPECT_EQ(seen, 7);
}

TEST(Task, KeepsTheStateOfTheCall) {
  std::vector<int> seen;
  Task task = [n = 0, &seen]() mutable { seen.push_back(++n); };
  task();
  Task moved = std::move(task);
  moved();
  EXPECT_EQ(seen, (std::vector<int>{1, 2}));
}

TEST(Task, HoldsAPlainFunction) {
  static int calls = 0;
  Task task = +[] { ++calls; };
  task();
  EXPECT_EQ(calls, 1);
}

template <class Call>
void destroys_exactly_once() {
  int living = 0, calls = 0;
  {
    Task task = Call(living, calls);
    EXPECT_EQ(living, 1);
    Task moved = std::move(task);
    EXPECT_FALSE(task);  // NOLINT(bugprone-use-after-move): empty by contract
    EXPECT_EQ(living, 1);
    moved();
    Task& same = moved;
    moved = std::move(same);
    EXPECT_TRUE(moved);
    EXPECT_EQ(living, 1);
    moved = Call(living, calls);
    EXPECT_EQ(living, 1);
    moved();
    std::vector<Task> tasks;
    tasks.reserve(5);  // grows once, and moves them all
    for (int i = 0; i < 10; ++i) tasks.emplace_back(Call(living, calls));
    EXPECT_EQ(living, 11);
    for (Task& each : tasks) each();
    tasks.erase(tasks.begin(), tasks.begin() + 5);
    EXPECT_EQ(living, 6);
    moved = Task();
    EXPECT_EQ(living, 5);
  }
  EXPECT_EQ(living, 0);
  EXPECT_EQ(calls, 12);
}

TEST(Task, DestroysSmallCallsOnce) { destroys_exactly_once<Counted<1>>(); }
TEST(Task, DestroysCallsThatJustFitOnce) {
  static_assert(sizeof(Counted<Task::kInline - 2 * sizeof(int*)>) == Task::kInline);
  destroys_exactly_once<Counted<Task::kInline - 2 * sizeof(int*)>>();
}
TEST(Task, DestroysCallsThatDoNotFitOnce) {
  destroys_exactly_once<Counted<Task::kInline - 2 * sizeof(int*) + 1>>();
  destroys_exactly_once<Counted<1000>>();
}
TEST(Task, DestroysCallsThatMayThrowWhenMovedOnce) { destroys_exactly_once<Counted<1, false>>(); }

TEST(Task, LetsAnExceptionThrough) {
  Task task = [] { throw std::runtime_error("from the call"); };
  EXPECT_THROW(task(), std::runtime_error);
  EXPECT_TRUE(task);
}

TEST(Task, MayReplaceItselfOnceItHasReturned) {
  int calls = 0;
  Task next;
  Task task = [&] {
    next = [&] { calls += 10; };
    ++calls;
  };
  task();
  task = std::move(next);
  task();
  EXPECT_EQ(calls, 11);
}

}  // namespace
}  // namespace sluice::base
