// tests/service/file_cache_test.cpp - the bounds of what a shard remembers, each at n and n+1.
#include "service/files/file_cache.hpp"

#include <gtest/gtest.h>

#include <string>

namespace sluice::service {
namespace {

FoundRef page_of(std::size_t bytes) {
  auto found = std::make_shared<Found>();
  found->kind = Found::Kind::listing;
  found->page = base::SharedBytes::own(std::string(bytes, 'x'));
  return found;
}
FoundRef failure() { return std::make_shared<Found>(); }

FileKey key(const std::string& name, std::uint32_t root = 1) { return {root, name}; }

TEST(FileCache, KeepsAsManyEntriesAsItMayAndDropsTheOneUsedLongestAgo) {
  FileCache cache({.entries = 3, .bytes = 1 << 20, .failures = 2});
  for (const char* name : {"a", "b", "c"}) cache.put(key(name), page_of(1));
  EXPECT_EQ(cache.size(), 3u);
  ASSERT_NE(cache.find(key("a")), nullptr);  // used: b is the oldest now
  cache.put(key("d"), page_of(1));
  EXPECT_EQ(cache.size(), 3u);
  EXPECT_EQ(cache.find(key("b")), nullptr);
  for (const char* name : {"a", "c", "d"}) EXPECT_NE(cache.find(key(name)), nullptr) << name;
}

TEST(FileCache, FailuresHaveABoundOfTheirOwn) {
  FileCache cache({.entries = 2, .bytes = 1 << 20, .failures = 2});
  cache.put(key("good"), page_of(1));
  for (int i = 0; i < 100; ++i) cache.put(key("bad" + std::to_string(i)), failure());
  EXPECT_NE(cache.find(key("good")), nullptr);
  EXPECT_EQ(cache.size(), 3u);
  EXPECT_EQ(cache.find(key("bad97")), nullptr);
  EXPECT_NE(cache.find(key("bad98")), nullptr);
  EXPECT_NE(cache.find(key("bad99")), nullptr);
}

TEST(FileCache, BytesAreBounded) {
  constexpr std::size_t kMost = 64 * 1024;
  FileCache cache({.entries = 1000, .bytes = kMost, .failures = 10});
  for (int i = 0; i < 100; ++i) {
    cache.put(key("f" + std::to_string(i)), page_of(4000));
    EXPECT_LE(cache.bytes(), kMost);
  }
  EXPECT_GE(cache.size(), 10u);
  EXPECT_LE(cache.size(), 16u);
  EXPECT_NE(cache.find(key("f99")), nullptr);
  // Long names count.
  for (int i = 0; i < 100; ++i)
    cache.put(key(std::string(4000, 'n') + std::to_string(i)), failure());
  EXPECT_LE(cache.bytes(), kMost);
}

TEST(FileCache, WhatIsLargerThanAnEighthIsNotKept) {
  FileCache cache({.entries = 10, .bytes = 80'000, .failures = 10});
  cache.put(key("small"), page_of(100));
  cache.put(key("large"), page_of(10'001));
  EXPECT_EQ(cache.find(key("large")), nullptr);
  EXPECT_NE(cache.find(key("small")), nullptr);
  // It was known, and has grown: what was known is wrong now.
  cache.put(key("small"), page_of(10'001));
  EXPECT_EQ(cache.find(key("small")), nullptr);
  EXPECT_EQ(cache.bytes(), 0u);
}

TEST(FileCache, ReplacingChangesKindAndAccount) {
  FileCache cache({.entries = 2, .bytes = 1 << 20, .failures = 2});
  cache.put(key("a"), page_of(5000));
  const std::size_t before = cache.bytes();
  cache.put(key("a"), failure());
  EXPECT_EQ(cache.size(), 1u);
  EXPECT_LT(cache.bytes(), before);
  ASSERT_NE(cache.find(key("a")), nullptr);
  EXPECT_EQ((*cache.find(key("a")))->kind, Found::Kind::failure);
  cache.put(key("a"), page_of(5000));
  EXPECT_EQ(cache.bytes(), before);
}

TEST(FileCache, RootsDoNotMix) {
  FileCache cache;
  cache.put(key("a", 1), page_of(1));
  EXPECT_EQ(cache.find(key("a", 2)), nullptr);
  cache.put(key("a", 2), page_of(2));
  EXPECT_EQ((*cache.find(key("a", 1)))->page.size(), 1u);
  EXPECT_EQ((*cache.find(key("a", 2)))->page.size(), 2u);
}

}  // namespace
}  // namespace sluice::service
