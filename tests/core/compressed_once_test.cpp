// tests/core/compressed_once_test.cpp - one compresses, the others wait, and only for what they
// need.
//
// Layer: tests.
#include "core/compressed_once.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <new>
#include <string_view>
#include <thread>
#include <vector>

namespace sluice::core {
namespace {

using namespace std::chrono_literals;

TEST(CompressedOnce, IsMadeOnceForEachWindow) {
  CompressedOnce once;
  int made = 0;
  for (int turn = 0; turn < 3; ++turn) {
    for (unsigned bits = 8; bits <= 15; ++bits) {
      const auto bytes = once.of(bits, [&] {
        ++made;
        return as_bytes(std::string_view("0123456789abcdef").substr(0, bits));
      });
      EXPECT_EQ(as_text(bytes), std::string_view("0123456789abcdef").substr(0, bits));
    }
  }
  EXPECT_EQ(made, 8);
}

// What does not shrink is looked at once, too.
TEST(CompressedOnce, NothingIsAnAnswer) {
  CompressedOnce once;
  int made = 0;
  for (int turn = 0; turn < 3; ++turn) {
    EXPECT_TRUE(once.of(12,
                        [&] {
                          ++made;
                          return Bytes();
                        })
                    .empty());
  }
  EXPECT_EQ(made, 1);
}

TEST(CompressedOnce, ThoseThatNeedTheSameWaitForIt) {
  CompressedOnce once;
  std::atomic<int> made{0};
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (const unsigned bits : {12u, 9u, 12u}) {
        EXPECT_EQ(
            as_text(once.of(bits,
                            [&] {
                              ++made;
                              return as_bytes(std::string_view(bits == 9 ? "nine" : "twelve"));
                            })),
            bits == 9 ? "nine" : "twelve");
      }
    });
  }
  threads.clear();
  EXPECT_EQ(made, 2);
}

TEST(CompressedOnce, AnotherWindowIsNotWaitedFor) {
  CompressedOnce once;
  std::promise<void> begun, other;
  std::jthread slow([&] {
    once.of(12, [&] {
      begun.set_value();
      EXPECT_EQ(other.get_future().wait_for(20s), std::future_status::ready);
      return as_bytes(std::string_view("slow"));
    });
  });
  begun.get_future().wait();
  EXPECT_EQ(as_text(once.of(9, [] { return as_bytes(std::string_view("fast")); })), "fast");
  other.set_value();
}

// It goes as it is, to some; the broadcast is not lost.
TEST(CompressedOnce, WithoutMemoryTheNextTriesAgain) {
  CompressedOnce once;
  EXPECT_TRUE(once.of(12, []() -> Bytes { throw std::bad_alloc(); }).empty());
  EXPECT_EQ(as_text(once.of(12, [] { return as_bytes(std::string_view("made")); })), "made");
}

}  // namespace
}  // namespace sluice::core
