// tests/base/arena_test.cpp - memory that is given back all at once.
//
// Layer: tests.
#include "base/arena.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace sluice::base {
namespace {

TEST(Arena, IsAlignedForAnything) {
  Arena arena(64);
  for (std::size_t bytes : {1u, 2u, 3u, 7u, 8u, 15u, 16u, 17u, 63u, 64u, 65u, 1000u, 5000u}) {
    auto at = reinterpret_cast<std::uintptr_t>(arena.allocate(bytes));
    EXPECT_EQ(at % alignof(std::max_align_t), 0u) << bytes;
  }
}

TEST(Arena, CopiesText) {
  Arena arena;
  std::string text = "some text";
  std::string_view copy = arena.copy(text);
  text = "something else";
  EXPECT_EQ(copy, "some text");
  EXPECT_TRUE(arena.copy("").empty());
}

TEST(Arena, NothingOverlaps) {
  std::mt19937 random(5);
  Arena arena(256, 4096);
  for (int round = 0; round < 50; ++round) {
    std::vector<std::pair<char*, std::size_t>> pieces;
    const auto count = 1 + random() % 200;
    for (unsigned i = 0; i < count; ++i) {
      std::size_t bytes = 1 + random() % (random() % 20 == 0 ? 20000 : 300);
      pieces.emplace_back(arena.text(bytes), bytes);
      std::memset(pieces.back().first, static_cast<int>(i % 251), bytes);
    }
    for (unsigned i = 0; i < count; ++i) {
      auto [text, bytes] = pieces[i];
      const auto want = static_cast<char>(i % 251);
      ASSERT_EQ(text[0], want);
      ASSERT_EQ(text[bytes - 1], want);
      ASSERT_EQ(std::string_view(text, bytes).find_first_not_of(want), std::string_view::npos);
    }
    arena.reset();
  }
}

TEST(Arena, ResetStartsAtTheSamePlaceAgain) {
  Arena arena;
  void* first = arena.allocate(100);
  arena.allocate(100);
  arena.reset();
  EXPECT_EQ(arena.allocate(100), first);
}

TEST(Arena, ResetBeforeTheFirstUseIsNothing) {
  Arena arena;
  arena.reset();
  arena.reset();
  EXPECT_EQ(arena.copy("a"), "a");
}

TEST(Arena, ServesOneLargePiece) {
  Arena arena(16, 1024);
  char* text = arena.text(100000);
  std::memset(text, 'x', 100000);
  EXPECT_EQ(text[99999], 'x');
  arena.reset();  // more than it keeps
  EXPECT_EQ(arena.copy("y"), "y");
}

}  // namespace
}  // namespace sluice::base
