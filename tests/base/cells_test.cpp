// tests/base/cells_test.cpp - cells are used again, lie apart, and come back from any thread.
//
// Layer: tests.
#include "base/cells.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <set>
#include <thread>
#include <vector>

namespace sluice::test {
namespace {

TEST(Cells, LieApartAndAreUsedAgain) {
  base::Cells cells(40);
  std::set<std::byte*> taken;
  for (int i = 0; i < 5000; ++i) {
    auto* cell = static_cast<std::byte*>(cells.take());
    std::memset(cell, i & 255, 40);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(cell) % 8, 0u);
    EXPECT_TRUE(taken.insert(cell).second);
  }
  for (auto at = taken.begin(); std::next(at) != taken.end(); ++at) {
    EXPECT_GE(*std::next(at) - *at, 40) << "no two overlap";
  }
  for (std::byte* cell : taken) cells.give_back(cell);
  for (int i = 0; i < 5000; ++i) {
    EXPECT_EQ(taken.count(static_cast<std::byte*>(cells.take())), 1u) << "no new memory";
  }
}

TEST(Cells, TheLastGivenBackIsTakenFirst) {
  base::Cells cells(64);
  void* first = cells.take();
  void* second = cells.take();
  cells.give_back(first);
  cells.give_back(second);
  EXPECT_EQ(cells.take(), second);
  EXPECT_EQ(cells.take(), first);
}

TEST(Cells, ComeBackFromOtherThreads) {
  base::Cells cells(48);
  for (int round = 0; round < 50; ++round) {
    std::vector<std::vector<void*>> shares(4);
    for (int i = 0; i < 400; ++i) shares[std::size_t(i) % 4].push_back(cells.take());
    std::vector<std::thread> threads;
    for (auto& share : shares) {
      threads.emplace_back([&] {
        for (void* cell : share) cells.give_back(cell);
      });
    }
    std::set<void*> meanwhile;
    for (int i = 0; i < 100; ++i) EXPECT_TRUE(meanwhile.insert(cells.take()).second);
    for (std::thread& thread : threads) thread.join();
    for (void* cell : meanwhile) cells.give_back(cell);
  }
}

}  // namespace
}  // namespace sluice::test
