// tests/base/block_test.cpp - pooled blocks and who keeps them.
//
// Layer: tests.
#include "base/block.hpp"

#include <gtest/gtest.h>
#include <malloc.h>
#include <sys/resource.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <random>
#include <utility>
#include <vector>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SLUICE_TEST_SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SLUICE_TEST_SANITIZED
#endif
#endif

namespace sluice::base {
namespace {

constexpr std::size_t kKiB = 1024, kMiB = kKiB * kKiB;

TEST(BlockPool, RoundsUpToItsSizeClasses) {
  BlockPool pool;
  const std::pair<std::size_t, std::size_t> table[] = {
      {0, kKiB},
      {1, kKiB},
      {kKiB - 1, kKiB},
      {kKiB, kKiB},
      {kKiB + 1, 2 * kKiB},
      {2 * kKiB, 2 * kKiB},
      {16 * kKiB, 16 * kKiB},
      {16 * kKiB + 1, 32 * kKiB},
      {kMiB - 1, kMiB},
      {kMiB, kMiB},
      {kMiB + 1, kMiB + 1},  // beyond the classes: as asked
      {3 * kMiB + 5, 3 * kMiB + 5},
  };
  for (auto [asked, given] : table) {
    BlockRef block = pool.take(asked);
    ASSERT_TRUE(block) << asked;
    EXPECT_EQ(block->capacity(), given) << asked;
    std::memset(block->data(), 0x5a, block->capacity());  // all of it is ours
  }
  EXPECT_EQ(pool.blocks_in_use(), 0u);
}

TEST(BlockPool, CountsWhatIsOut) {
  BlockPool pool;
  BlockRef a = pool.take(1), b = pool.take(5 * kKiB), c = pool.take(2 * kMiB);
  EXPECT_EQ(pool.blocks_in_use(), 3u);
  EXPECT_EQ(pool.bytes_in_use(), kKiB + 8 * kKiB + 2 * kMiB);
  b.reset();
  EXPECT_EQ(pool.blocks_in_use(), 2u);
  EXPECT_EQ(pool.bytes_in_use(), kKiB + 2 * kMiB);
  a.reset();
  c.reset();
  EXPECT_EQ(pool.blocks_in_use(), 0u);
  EXPECT_EQ(pool.bytes_in_use(), 0u);
}

TEST(BlockPool, HandsOutTheLastOneGivenBack) {
  BlockPool pool;
  BlockRef a = pool.take(1), b = pool.take(1);
  Block *first = a.get(), *second = b.get();
  a.reset();
  b.reset();
  BlockRef c = pool.take(1), d = pool.take(1);
  EXPECT_EQ(c.get(), second);
  EXPECT_EQ(d.get(), first);
}

TEST(BlockPool, ASizeClassServesOnlyItself) {
  BlockPool pool;
  Block* small = pool.take(1).get();
  BlockRef large = pool.take(2 * kKiB);
  EXPECT_NE(large.get(), small);
  EXPECT_EQ(pool.take(1).get(), small);
}

TEST(BlockPool, KeepsNoMoreThanItMay) {
  BlockPool pool(4 * kKiB);  // four blocks of 1 KiB, two of 2 KiB, none of 8 KiB
  std::vector<BlockRef> blocks;
  blocks.reserve(10);
  for (int i = 0; i < 10; ++i) blocks.push_back(pool.take(kKiB));
  blocks.clear();
  BlockRef big = pool.take(8 * kKiB);
  big.reset();
  EXPECT_EQ(pool.blocks_in_use(), 0u);
  EXPECT_EQ(pool.bytes_in_use(), 0u);  // LeakSanitizer knows about the others
}

TEST(BlockPool, MoreThanABlockCanBeIsRefused) {
  BlockPool pool;
  EXPECT_FALSE(pool.take(std::size_t{1} << 32));
  EXPECT_FALSE(pool.take(~std::size_t{0} >> 1));
  EXPECT_FALSE(pool.take(~std::size_t{0}));
  EXPECT_EQ(pool.blocks_in_use(), 0u);
}

#ifndef SLUICE_TEST_SANITIZED  // a sanitizer has a heap of its own, and more addresses than any
                               // limit

// Takes 64 KiB blocks from a system that has no more of them. The exit code is 0 when all went
// well.
[[noreturn]] void use_memory_up() {
  const rlimit limit{256 * kMiB, 256 * kMiB};
  setrlimit(RLIMIT_AS, &limit);
  BlockPool pool;
  std::vector<BlockRef> blocks;
  blocks.reserve(10000);
  while (BlockRef block = pool.take(64 * kKiB)) {
    block->data()[64 * kKiB - 1] = std::byte{1};
    if (blocks.size() == blocks.capacity()) std::_Exit(2);  // there was no limit
    blocks.push_back(std::move(block));
  }
  const std::size_t most = blocks.size();
  if (pool.blocks_in_use() != most || pool.bytes_in_use() != most * 64 * kKiB) std::_Exit(3);
  blocks.pop_back();
  if (!pool.take(64 * kKiB)) std::_Exit(4);  // what came back can be had again
  if (pool.take(kMiB)) std::_Exit(5);
  std::_Exit(0);
}

TEST(BlockPool, GivesTheSystemBackWhatItMayNotKeep) {
  for (std::size_t keep : {0u, 4u, 50u, 100u}) {
    BlockPool pool(keep * 16 * kKiB);
    std::vector<BlockRef> blocks;
    blocks.reserve(100);
    const std::size_t before = mallinfo2().uordblks;
    for (int i = 0; i < 100; ++i) blocks.push_back(pool.take(16 * kKiB));
    EXPECT_GE(mallinfo2().uordblks - before, 100 * 16 * kKiB);
    blocks.clear();
    const std::size_t kept = mallinfo2().uordblks - before;
    EXPECT_GE(kept, keep * 16 * kKiB);
    EXPECT_LT(kept, keep * 17 * kKiB + 1);
  }
}

TEST(BlockPoolDeathTest, SaysSoWhenMemoryIsOut) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(use_memory_up(), testing::ExitedWithCode(0), "");
}

#endif

TEST(BlockRef, ACopyIsASecondUse) {
  BlockPool pool;
  BlockRef a = pool.take(1);
  EXPECT_EQ(a->refs(), 1u);
  BlockRef b = a;
  EXPECT_EQ(a->refs(), 2u);
  BlockRef c = BlockRef::share(*a);
  EXPECT_EQ(a->refs(), 3u);
  a.reset();
  EXPECT_FALSE(a);
  EXPECT_EQ(b->refs(), 2u);
  b = c;
  EXPECT_EQ(c->refs(), 2u);
  b = BlockRef();
  EXPECT_EQ(c->refs(), 1u);
  EXPECT_EQ(pool.blocks_in_use(), 1u);
  c.reset();
  EXPECT_EQ(pool.blocks_in_use(), 0u);
}

TEST(BlockRef, AMoveHandsItOver) {
  BlockPool pool;
  BlockRef a = pool.take(1);
  Block* block = a.get();
  BlockRef b = std::move(a);
  EXPECT_FALSE(a);  // NOLINT(bugprone-use-after-move): empty by contract
  EXPECT_EQ(b.get(), block);
  EXPECT_EQ(b->refs(), 1u);
  BlockRef& same = b;
  b = same;
  EXPECT_EQ(b.get(), block);
  EXPECT_EQ(b->refs(), 1u);
}

TEST(BlockRef, LeavesAndAdopts) {
  BlockPool pool;
  BlockRef a = pool.take(1);
  Block* block = a.leave();
  EXPECT_FALSE(a);
  EXPECT_EQ(block->refs(), 1u);
  BlockRef adopted(block);
  adopted.reset();
  EXPECT_EQ(pool.blocks_in_use(), 0u);
}

TEST(BlockPoolDeathTest, MustOutliveItsBlocks) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        BlockRef kept;
        BlockPool pool;
        kept = pool.take(1);
      },
      "check failed: blocks_ == 0");
}

TEST(BlockPoolProperty, TheCountsAreThoseOfAModel) {
  std::mt19937 random(11);
  BlockPool pool(64 * kKiB);
  std::vector<BlockRef> held;
  std::map<Block*, std::uint32_t> uses;
  for (int step = 0; step < 20000; ++step) {
    const auto dice = random() % 3;
    if (dice == 0 && held.size() < 200) {
      held.push_back(pool.take(random() % (random() % 16 == 0 ? 2 * kMiB : 40 * kKiB)));
      ASSERT_TRUE(held.back());
      ASSERT_EQ(uses.count(held.back().get()), 0u) << "a block in use was handed out again";
      uses[held.back().get()] = 1;
      held.back()->data()[0] = std::byte(step);
      held.back()->data()[held.back()->capacity() - 1] = std::byte(step);
    } else if (dice == 1 && !held.empty() && held.size() < 200) {
      held.push_back(held[random() % held.size()]);
      ++uses[held.back().get()];
    } else if (!held.empty()) {
      std::swap(held[random() % held.size()], held.back());
      Block* block = held.back().get();
      if (--uses[block] == 0) uses.erase(block);
      held.pop_back();
    }
    std::size_t bytes = 0;
    for (auto [block, count] : uses) {
      ASSERT_EQ(block->refs(), count);
      bytes += block->capacity();
    }
    ASSERT_EQ(pool.blocks_in_use(), uses.size());
    ASSERT_EQ(pool.bytes_in_use(), bytes);
  }
}

}  // namespace
}  // namespace sluice::base
