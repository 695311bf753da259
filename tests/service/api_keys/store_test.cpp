// tests/service/api_keys/store_test.cpp - what every store promises, in memory and in SQLite.
//
// Layer: tests.
#include "service/api_keys/store.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "service/api_keys/memory_store.hpp"
#include "service/api_keys/records.hpp"
#include "service/api_keys/sqlite_store.hpp"
#include "service/temp_dir.hpp"

namespace sluice::api_keys {
namespace {

class AnyStore : public ::testing::TestWithParam<const char*> {
 protected:
  std::unique_ptr<Store> make(StoreLimits limits = {}) {
    if (std::string_view(GetParam()) == "memory") return std::make_unique<MemoryStore>(limits);
    SqliteOptions options;
    options.limits = limits;
    auto opened = SqliteStore::open(folder_ / "keys", options);
    EXPECT_TRUE(opened) << opened.error().message();
    return std::move(*opened);
  }
  test::TempDir folder_;
};

Store::Edit revoking(Time at) {
  return [at](KeyRecord& key, std::optional<KeyRecord>&) -> Result<void> {
    key.revoked = at;
    return {};
  };
}

TEST_P(AnyStore, KeepsWhatItIsGiven) {
  const auto store = make();
  EXPECT_TRUE(store->all()->empty());
  const KeyRecord plain = record("joe"), full = full_record();
  EXPECT_EQ(store->add(plain, entry(plain)).value(), false);
  EXPECT_EQ(store->add(full, entry(full, 1s)).value(), false);
  EXPECT_EQ(store->all().value(), (std::vector<KeyRecord>{plain, full}));
  EXPECT_EQ(store->audit(10).value(), (std::vector<AuditEntry>{entry(full, 1s), entry(plain)}));
  EXPECT_EQ(store->audit(1)->size(), 1u);
  EXPECT_EQ(store->audit(0)->size(), 0u);
}

TEST_P(AnyStore, ASecretThatStays) {
  const auto store = make();
  const auto first = store->secret();
  ASSERT_TRUE(first);
  EXPECT_EQ(first->size(), 32u);
  EXPECT_EQ(store->secret()->view(), first->view());
  EXPECT_NE(first->view(), std::string(32, '\0'));
}

TEST_P(AnyStore, TwoOfAKindAreRefused) {
  const auto store = make();
  const KeyRecord first = record("joe");
  ASSERT_TRUE(store->add(first, entry(first)));
  KeyRecord same_id = record("jim"), same_hash = record("jack");
  same_id.id = first.id;
  same_hash.hash = first.hash;
  EXPECT_EQ(store->add(same_id, entry(same_id)).error().code, Errc::invalid_argument);
  EXPECT_EQ(store->add(same_hash, entry(same_hash)).error().code, Errc::invalid_argument);
  EXPECT_EQ(store->all().value(), std::vector<KeyRecord>{first});
  EXPECT_EQ(store->audit(10)->size(), 1u);
}

TEST_P(AnyStore, Edits) {
  const auto store = make();
  const KeyRecord joe = record("joe"), jim = record("jim");
  ASSERT_TRUE(store->add(joe, entry(joe)));
  ASSERT_TRUE(store->add(jim, entry(jim)));
  const auto edited = store->edit(joe.id, revoking(kStart + 5s), entry(joe, 5s));
  ASSERT_TRUE(edited) << edited.error().message();
  KeyRecord revoked = joe;
  revoked.revoked = kStart + 5s;
  EXPECT_EQ(edited->key, revoked);
  EXPECT_FALSE(edited->replacement);
  EXPECT_EQ(store->all().value(), (std::vector<KeyRecord>{revoked, jim}));
  EXPECT_EQ(store->audit(1).value(), std::vector<AuditEntry>{entry(joe, 5s)});
  EXPECT_EQ(store->edit(new_id(), revoking(kStart), entry(joe)).error().code, Errc::no_such_key);
  EXPECT_EQ(store->edit("", revoking(kStart), entry(joe)).error().code, Errc::no_such_key);
}

TEST_P(AnyStore, EditsWithAReplacement) {
  const auto store = make();
  const KeyRecord joe = record("joe"), next = record("joe");
  ASSERT_TRUE(store->add(joe, entry(joe)));
  const auto edit = [&](KeyRecord& key, std::optional<KeyRecord>& replacement) -> Result<void> {
    key.replaced_by = next.id;
    key.grace_until = kStart + 1h;
    replacement = next;
    return {};
  };
  const auto edited = store->edit(joe.id, edit, entry(joe, 5s));
  ASSERT_TRUE(edited) << edited.error().message();
  EXPECT_EQ(edited->replacement, next);
  KeyRecord old = joe;
  old.replaced_by = next.id;
  old.grace_until = kStart + 1h;
  EXPECT_EQ(store->all().value(), (std::vector<KeyRecord>{old, next}));
  EXPECT_EQ(store->audit(1)->front().detail, next.id);
}

TEST_P(AnyStore, AnEditThatFailsChangesNothing) {
  const auto store = make();
  const KeyRecord joe = record("joe"), jim = record("jim");
  ASSERT_TRUE(store->add(joe, entry(joe)));
  ASSERT_TRUE(store->add(jim, entry(jim)));
  const auto refuse = [](KeyRecord& key, std::optional<KeyRecord>&) -> Result<void> {
    key.owner = "nobody";
    return Error(Errc::key_revoked, "as the test says");
  };
  const auto refused = store->edit(joe.id, refuse, entry(joe));
  EXPECT_EQ(refused.error().code, Errc::key_revoked);
  EXPECT_EQ(refused.error().detail, "as the test says");
  const auto clash = [&jim](KeyRecord& key, std::optional<KeyRecord>& replacement) -> Result<void> {
    key.owner = "nobody";
    replacement = jim;  // which is there
    return {};
  };
  EXPECT_EQ(store->edit(joe.id, clash, entry(joe)).error().code, Errc::invalid_argument);
  EXPECT_EQ(store->all().value(), (std::vector<KeyRecord>{joe, jim}));
  EXPECT_EQ(store->audit(10)->size(), 2u);
}

TEST_P(AnyStore, IsBounded) {
  const auto store = make({.keys = 4, .audit = 10});
  std::vector<KeyRecord> keys;
  for (int i = 0; i < 4; ++i) {
    keys.push_back(record("joe", i < 2 ? kNever : kStart + std::chrono::seconds(20 - i)));
    EXPECT_EQ(store->add(keys.back(), entry(keys.back())).value(), false) << i;
  }
  const KeyRecord more = record("jim");
  const auto full = store->add(more, entry(more, 16s));
  EXPECT_EQ(full.error().code, Errc::too_many_keys);
  EXPECT_NE(full.error().detail.find("4"), std::string::npos);
  EXPECT_EQ(store->all().value(), keys);
  // The one that ended first makes room, at the very second.
  EXPECT_EQ(store->add(more, entry(more, 17s)).value(), true);
  EXPECT_EQ(store->all().value(), (std::vector<KeyRecord>{keys[0], keys[1], keys[2], more}));
  EXPECT_EQ(store->add(keys[3], entry(more, 17s)).error().code, Errc::too_many_keys);
  // A revoked one does, too; a replacement is one more key.
  ASSERT_TRUE(store->edit(keys[0].id, revoking(kStart + 1s), entry(more, 17s)));
  const auto replace = [](KeyRecord& key, std::optional<KeyRecord>& replacement) -> Result<void> {
    replacement = record("jim");
    key.replaced_by = replacement->id;
    key.grace_until = kStart + 1h;
    return {};
  };
  const auto edited = store->edit(more.id, replace, entry(more, 17s));
  ASSERT_TRUE(edited) << edited.error().message();
  EXPECT_TRUE(edited->made_room);
  EXPECT_EQ(store->all()->size(), 4u);
  EXPECT_EQ(store->edit(keys[1].id, replace, entry(more, 17s)).error().code, Errc::too_many_keys);
  EXPECT_EQ(store->all()->size(), 4u);
}

TEST_P(AnyStore, ASixteenthMakesRoomAtOnce) {
  const auto store = make({.keys = 64, .audit = 10});
  for (int i = 0; i < 64; ++i) {
    const KeyRecord key = record("joe", kStart + std::chrono::seconds(i));
    ASSERT_TRUE(store->add(key, {kStart - 1s, "test", "issue", key.id, {}}));
  }
  const KeyRecord more = record("jim");
  EXPECT_EQ(store->add(more, entry(more, 63s)).value(), true);
  const auto left = store->all().value();
  EXPECT_EQ(left.size(), 60u);
  EXPECT_EQ(left.front().expires, kStart + 5s);
  EXPECT_EQ(left.back(), more);
}

TEST_P(AnyStore, TheAuditKeepsTheNewest) {
  const auto store = make({.keys = 100, .audit = 3});
  std::vector<std::string> ids;
  for (int i = 0; i < 5; ++i) {
    const KeyRecord key = record("joe");
    ids.push_back(key.id);
    ASSERT_TRUE(store->add(key, entry(key, std::chrono::seconds(i))));
  }
  const auto kept = store->audit(100).value();
  ASSERT_EQ(kept.size(), 3u);
  EXPECT_EQ(kept[0].key, ids[4]);
  EXPECT_EQ(kept[2].key, ids[2]);
}

INSTANTIATE_TEST_SUITE_P(Stores, AnyStore, ::testing::Values("memory", "sqlite"));

}  // namespace
}  // namespace sluice::api_keys
