// tests/service/api_keys/full_disk_test.cpp - a disk that is full at every moment: what was told is
// kept, what was not is not there, and once there is room all goes on.
//
// Layer: tests.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "service/api_keys/records.hpp"
#include "service/api_keys/sqlite_store.hpp"
#include "support/small_disk.hpp"

namespace sluice::api_keys {
namespace {

namespace fs = std::filesystem;
using test::on_small_disk;
using test::SmallDisk;

constexpr std::size_t kDisk = 1 << 20;

// The manager of that store; null with the reason when it cannot be opened.
std::unique_ptr<KeyManager> manager_of(const std::string& file, Error* why = nullptr) {
  auto store = SqliteStore::open(file);
  if (!store) {
    if (why) *why = store.error();
    return nullptr;
  }
  auto keys = std::make_unique<KeyManager>(std::move(*store), at_once);
  const auto opened = open(*keys);
  if (opened) return keys;
  if (why) *why = opened.error();
  return nullptr;
}

// What is told of a full disk is for whoever runs the server.
void expect_full(const Error& error, const std::string& file) {
  EXPECT_EQ(error.code, Errc::io_failed) << error.message();
  EXPECT_NE(error.detail.find(file), std::string::npos) << error.detail;
}

bool is_good(const KeyManager& keys, const std::string& text) {
  return KeyReader(keys).validate(text, {}, "", after(0s)).code == Errc::none;
}

// Issues until the disk is full, or often enough. Answers the error.
Error issue_until_full(KeyManager& keys, std::vector<std::string>& texts) {
  for (int i = 0; i < 10'000; ++i) {
    const auto issued = issue(keys, {.owner = "joe"});
    if (!issued) return issued.error();
    texts.emplace_back(issued->text.view());
  }
  return {};
}

// The store holds those keys and no others.
void expect_keys(const std::string& file, const std::vector<std::string>& texts) {
  const auto keys = manager_of(file);
  ASSERT_TRUE(keys);
  EXPECT_EQ(keys->size(), texts.size());
  EXPECT_TRUE(std::all_of(texts.begin(), texts.end(),
                          [&](const std::string& text) { return is_good(*keys, text); }));
}

TEST(FullDisk, KeysThatWereToldOfStay) {
  SKIP_WITHOUT(small_disk);
  on_small_disk(kDisk, [](const SmallDisk& disk) {
    const std::string file = disk / "keys";
    std::vector<std::string> texts;
    {
      const auto keys = manager_of(file);
      ASSERT_TRUE(keys);
      const auto first = issue(*keys, {.owner = "joe"});
      ASSERT_TRUE(first);
      texts.emplace_back(first->text.view());
      disk.fill();
      expect_full(issue_until_full(*keys, texts), file);
      EXPECT_TRUE(is_good(*keys, texts.front()));  // reading goes on
      EXPECT_EQ(keys->size(), texts.size());
      // A key that cannot be revoked on the disk is not said to be revoked.
      const auto revoked = revoke(*keys, first->record.id);
      ASSERT_FALSE(revoked);
      expect_full(revoked.error(), file);
      EXPECT_TRUE(is_good(*keys, texts.front()));
      disk.make_room();
      const auto next = issue(*keys, {.owner = "joe"});
      ASSERT_TRUE(next) << next.error().message();
      texts.emplace_back(next->text.view());
    }
    expect_keys(file, texts);
  });
}

// However much room is left when it begins.
TEST(FullDisk, FoundWhileIssuing) {
  SKIP_WITHOUT(small_disk);
  on_small_disk(kDisk, [](const SmallDisk& disk) {
    std::size_t failed = 0;
    for (std::size_t blocks = 0; blocks < 24; ++blocks) {
      SCOPED_TRACE(testing::Message() << blocks << " blocks free");
      const std::string file = disk / ("keys" + std::to_string(blocks));
      std::vector<std::string> texts;
      {
        const auto keys = manager_of(file);
        ASSERT_TRUE(keys);
        disk.fill(blocks);
        expect_full(issue_until_full(*keys, texts), file);
        failed += !texts.empty();
      }
      // Whoever opens it next finds it full, too, or not: nothing is lost either way.
      disk.make_room();
      expect_keys(file, texts);
      for (const char* end : {"", "-wal", "-shm", ".secret"}) fs::remove(file + end);
      if (testing::Test::HasFailure()) return;
    }
    EXPECT_GT(failed, 10u) << "else no key was issued";
  });
}

// A store that could not be made leaves nothing that stands in the way of the next attempt.
TEST(FullDisk, FoundWhileAStoreIsMade) {
  SKIP_WITHOUT(small_disk);
  on_small_disk(kDisk, [](const SmallDisk& disk) {
    std::size_t failed = 0;
    for (std::size_t blocks = 0; blocks < 40; ++blocks) {
      SCOPED_TRACE(testing::Message() << blocks << " blocks free");
      const std::string file = disk / ("keys" + std::to_string(blocks));
      disk.fill(blocks);
      Error why;
      if (!manager_of(file, &why)) {
        ++failed;
        expect_full(why, file);
      }
      disk.make_room();
      const auto keys = manager_of(file, &why);
      ASSERT_TRUE(keys) << why.message();
      EXPECT_TRUE(issue(*keys, {.owner = "joe"}));
      EXPECT_EQ(keys->size(), 1u);
      for (const auto& left : fs::directory_iterator(disk.path())) {
        const std::string name = left.path().filename().string();
        EXPECT_TRUE(name.ends_with("keys" + std::to_string(blocks)) || name.ends_with("-wal") ||
                    name.ends_with("-shm") || name.ends_with(".secret"))
            << name;
      }
      for (const char* end : {"", "-wal", "-shm", ".secret"}) fs::remove(file + end);
      if (testing::Test::HasFailure()) return;
    }
    EXPECT_GT(failed, 4u);
    EXPECT_LT(failed, 40u) << "else no attempt had room enough";
  });
}

}  // namespace
}  // namespace sluice::api_keys
