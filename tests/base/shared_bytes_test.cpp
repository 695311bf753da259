// tests/base/shared_bytes_test.cpp - immutable bytes with many readers.
//
// Layer: tests.
#include "base/shared_bytes.hpp"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace sluice::base {
namespace {

TEST(SharedBytes, IsEmptyAtFirst) {
  SharedBytes none;
  EXPECT_FALSE(none);
  EXPECT_EQ(none.size(), 0u);
  EXPECT_TRUE(none.bytes().empty());
}

TEST(SharedBytes, NoBytesAreStillSome) {
  SharedBytes empty = SharedBytes::own("");
  EXPECT_TRUE(empty);
  EXPECT_EQ(empty.size(), 0u);
}

TEST(SharedBytes, OwnsShortAndLongText) {
  for (std::size_t size : {1u, 15u, 16u, 22u, 23u, 1000u, 100000u}) {
    const std::string text(size, 'x');
    SharedBytes bytes = SharedBytes::own(text);
    EXPECT_EQ(as_text(bytes.bytes()), text);
    SharedBytes copied = SharedBytes::copy(as_bytes(text));
    EXPECT_EQ(as_text(copied.bytes()), text);
    EXPECT_NE(static_cast<const void*>(copied.bytes().data()), text.data());
  }
}

TEST(SharedBytes, TakesALongStringOverAsItIs) {
  std::string text(1000, 'x');
  const void* where = text.data();
  SharedBytes bytes = SharedBytes::own(std::move(text));
  EXPECT_EQ(bytes.bytes().data(), where);
}

TEST(SharedBytes, ACopySharesAndOutlivesTheFirst) {
  SharedBytes copy;
  {
    SharedBytes first = SharedBytes::own("short");  // inside the string object itself
    copy = first;
    EXPECT_EQ(copy.bytes().data(), first.bytes().data());
  }
  EXPECT_EQ(as_text(copy.bytes()), "short");
  SharedBytes moved = std::move(copy);
  EXPECT_EQ(as_text(moved.bytes()), "short");
}

TEST(SharedBytes, HasReadersOnManyThreads) {
  std::vector<SharedBytes> kept;
  kept.reserve(100);
  for (int i = 0; i < 100; ++i) kept.push_back(SharedBytes::own(std::string(100, 'a')));
  std::vector<std::thread> threads;
  std::vector<std::size_t> sums(4);
  for (std::size_t t = 0; t < sums.size(); ++t) {
    threads.emplace_back([&sum = sums[t], mine = kept]() mutable {
      for (SharedBytes& bytes : mine) {
        for (std::byte b : bytes.bytes()) sum += std::to_integer<std::size_t>(b);
        bytes = {};
      }
    });
  }
  kept.clear();  // the last reader frees
  for (std::thread& thread : threads) thread.join();
  for (std::size_t sum : sums) EXPECT_EQ(sum, 100u * 100u * 'a');
}

}  // namespace
}  // namespace sluice::base
