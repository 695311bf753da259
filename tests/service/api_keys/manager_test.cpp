// tests/service/api_keys/manager_test.cpp - keys from their issue to their end.
//
// Layer: tests.
#include "service/api_keys/manager.hpp"

#include <gtest/gtest.h>

#include <deque>

#include "service/api_keys/memory_store.hpp"
#include "service/api_keys/records.hpp"
#include "service/api_keys/sqlite_store.hpp"
#include "service/temp_dir.hpp"

namespace sluice::api_keys {
namespace {

const core::Endpoint kPeer = peer4(192, 0, 2, 7);

// A store that fails when it is told to.
struct Faults {
  bool read = false, write = false;
  std::size_t reads = 0;  // of all keys
  std::uint64_t version = 0;
};
class FaultyStore final : public Store {
 public:
  explicit FaultyStore(Faults& faults, StoreLimits limits = {}) : faults_(faults), keys_(limits) {}
  Result<crypto::Secret> secret() override {
    if (faults_.read) return broken();
    return keys_.secret();
  }
  Result<bool> add(const KeyRecord& key, const AuditEntry& entry) override {
    if (faults_.write) return broken();
    return keys_.add(key, entry);
  }
  Result<Edited> edit(std::string_view id, const Edit& edit, AuditEntry entry) override {
    if (faults_.write) return broken();
    return keys_.edit(id, edit, std::move(entry));
  }
  Result<std::vector<KeyRecord>> all() override {
    ++faults_.reads;
    if (faults_.read) return broken();
    return keys_.all();
  }
  Result<std::vector<AuditEntry>> audit(std::size_t most) override {
    if (faults_.read) return broken();
    return keys_.audit(most);
  }
  Result<std::uint64_t> version() override {
    if (faults_.read) return broken();
    return faults_.version;
  }

 private:
  static Error broken() { return {Errc::io_failed, "the disk is gone"}; }
  Faults& faults_;
  MemoryStore keys_;
};

class Keys : public ::testing::Test {
 protected:
  Keys() { remake(); }

  void remake(KeySettings settings = {}, StoreLimits limits = {}) {
    reader_.reset();
    keys_.reset();
    KeyEvents events;
    events.issued = [this](const KeyRecord& key) { told("issued", key); };
    events.validated = [this](const KeyRecord& key) { told("validated", key); };
    events.revoked = [this](const KeyRecord& key) { told("revoked", key); };
    events.rotated = [this](const KeyRecord& old, const KeyRecord& next) {
      told("rotated", old);
      told("by", next);
    };
    events.expired = [this](const KeyRecord& key) { told("expired", key); };
    events.store_failed = [this](const Error& error) {
      log_ += "failed " + error.message() + "; ";
    };
    keys_ = std::make_unique<KeyManager>(
        std::make_unique<FaultyStore>(faults_, limits),
        [this](std::function<void()> task) { return post(std::move(task)); }, settings, events);
    reader_ = std::make_unique<KeyReader>(*keys_);
    EXPECT_TRUE(open(*keys_));
    log_.clear();
  }

  bool post(std::function<void()> task) {
    if (refuses_) return false;
    if (holds_) {
      held_.push_back(std::move(task));
    } else {
      task();
    }
    return true;
  }

  // Issues a key, and keeps its text.
  IssuedKey made(KeyRequest request = {.owner = "joe"}, Moment now = after(0s)) {
    auto issued = issue(*keys_, std::move(request), now);
    EXPECT_TRUE(issued) << issued.error().message();
    log_.clear();
    return issued ? std::move(*issued) : IssuedKey();
  }
  Errc code(const IssuedKey& key, Moment now = after(0s), std::string_view scope = "",
            const core::Endpoint& peer = kPeer) {
    return reader_->validate(key.text.view(), peer, scope, now).code;
  }
  std::string log() { return std::exchange(log_, {}); }

  Faults faults_;
  bool refuses_ = false, holds_ = false;
  std::deque<std::function<void()>> held_;
  std::string log_;
  std::unique_ptr<KeyManager> keys_;
  std::unique_ptr<KeyReader> reader_;

 private:
  void told(const char* what, const KeyRecord& key) {
    log_.append(what).append(" ").append(key.owner).append("; ");
  }
};

// --- issue and validate --------------------------------------------------------------------------

TEST_F(Keys, IssuedAndValidated) {
  const auto issued = issue(*keys_, {.owner = "joe", .scopes = {"read"}, .prefix = "live"});
  ASSERT_TRUE(issued);
  EXPECT_EQ(log(), "issued joe; ");
  EXPECT_TRUE(issued->text.view().starts_with("live_"));
  EXPECT_TRUE(is_id(issued->record.id));
  EXPECT_EQ(issued->record.created, kStart);
  const auto verdict = reader_->validate(issued->text.view(), kPeer, "read", after(0s));
  EXPECT_EQ(verdict.code, Errc::none);
  ASSERT_TRUE(verdict.key);
  EXPECT_EQ(*verdict.key, issued->record);
  EXPECT_EQ(log(), "validated joe; ");
  EXPECT_EQ(keys_->size(), 1u);
}

TEST_F(Keys, WhatIsNotOurs) {
  const IssuedKey ours = made();
  std::string typo(ours.text.view());
  typo.back() = typo.back() == '0' ? '1' : '0';
  EXPECT_EQ(reader_->validate("", kPeer, "", after(0s)).code, Errc::auth_malformed);
  EXPECT_EQ(reader_->validate(typo, kPeer, "", after(0s)).code, Errc::auth_malformed);
  EXPECT_EQ(reader_->validate(std::string(1 << 20, 'x'), kPeer, "", after(0s)).code,
            Errc::auth_malformed);
  // Well made, of a known or an unknown prefix: the same answer, with nothing in it.
  for (const char* prefix : {"slk", "other"}) {
    const auto verdict = reader_->validate(new_key(prefix).view(), kPeer, "", after(0s));
    EXPECT_EQ(verdict.code, Errc::auth_refused) << prefix;
    EXPECT_EQ(verdict.key, nullptr);
    EXPECT_EQ(verdict.retry_after, 0ns);
  }
  EXPECT_EQ(log(), "");
}

TEST_F(Keys, RequestsThatAreRefused) {
  const auto refused = [this](KeyRequest request) {
    const auto issued = issue(*keys_, std::move(request));
    EXPECT_EQ(issued.error().code, Errc::invalid_argument);
    EXPECT_FALSE(issued.error().detail.empty());
  };
  refused({.owner = ""});
  refused({.owner = "joe", .scopes = {"a b"}});
  refused({.owner = "joe", .networks = std::vector<Network>(33)});
  refused({.owner = "joe", .rate = {1, 0s}});
  refused({.owner = "joe", .expires = kStart});
  refused({.owner = "joe", .prefix = "Nope"});
  Told<IssuedKey> told;
  keys_->issue({.owner = "joe"}, "", after(0s), told.done());
  EXPECT_EQ(told.take().error().code, Errc::invalid_argument);
  EXPECT_EQ(keys_->size(), 0u);
  EXPECT_EQ(log(), "");
}

TEST_F(Keys, ExpireAtTheirSecond) {
  const IssuedKey key = made({.owner = "joe", .expires = kStart + 60s});
  const Moment last{kStart + 59s, after(6s).steady}, over{kStart + 60s, after(6s).steady};
  EXPECT_EQ(code(key, last), Errc::none);
  EXPECT_EQ(code(key, over), Errc::key_expired);
}

TEST_F(Keys, ExpiryIsToldOnce) {
  remake({.check_interval = 0ms});
  made({.owner = "joe", .expires = kStart + 60s});
  made({.owner = "jim", .expires = kStart + 61s});
  const IssuedKey revoked = made({.owner = "jack", .expires = kStart + 60s});
  made({.owner = "jill"});
  ASSERT_TRUE(revoke(*keys_, revoked.record.id));
  log();
  keys_->check(after(59s));
  EXPECT_EQ(log(), "");
  keys_->check(after(60s));
  EXPECT_EQ(log(), "expired joe; ");
  keys_->check(after(60s));
  EXPECT_EQ(log(), "");
  keys_->check(after(1h));
  EXPECT_EQ(log(), "expired jim; ");
  faults_.version = 1;  // all is read anew, and nothing told again
  keys_->check(after(2h));
  EXPECT_EQ(log(), "");
}

TEST_F(Keys, Networks) {
  const IssuedKey key =
      made({.owner = "joe",
            .networks = {*Network::parse("192.0.2.0/24"), *Network::parse("2001:db8::/32")}});
  EXPECT_EQ(code(key), Errc::none);
  EXPECT_EQ(code(key, after(0s), "", peer4(192, 0, 3, 7)), Errc::key_address);
  EXPECT_EQ(code(key, after(0s), "", core::Endpoint{}), Errc::key_address);
  const auto refused = reader_->validate(key.text.view(), {}, "", after(0s));
  EXPECT_EQ(refused.key->owner, "joe");  // for the log
  EXPECT_EQ(code(made({.owner = "jim"}), after(0s), "", core::Endpoint{}), Errc::none);
}

TEST_F(Keys, Scopes) {
  const IssuedKey key = made({.owner = "joe", .scopes = {"orders:*", "read"}});
  EXPECT_EQ(code(key), Errc::none);
  EXPECT_EQ(code(key, after(0s), "orders:write"), Errc::none);
  EXPECT_EQ(code(key, after(0s), "write"), Errc::key_scope);
  EXPECT_EQ(code(made(), after(0s), "read"), Errc::key_scope);
}

TEST_F(Keys, Rates) {
  const IssuedKey key = made({.owner = "joe", .scopes = {"read"}, .rate = {2, 60s}});
  EXPECT_EQ(code(key, after(0s), "write"), Errc::key_scope);  // takes none of it
  EXPECT_EQ(code(key), Errc::none);
  KeyReader other(*keys_);  // another shard counts along
  EXPECT_EQ(other.validate(key.text.view(), kPeer, "", after(0s)).code, Errc::none);
  const auto over = reader_->validate(key.text.view(), kPeer, "", after(1s));
  EXPECT_EQ(over.code, Errc::key_throttled);
  EXPECT_EQ(over.retry_after, 29s);
  made();  // a change of others, and all read anew: it goes on counting
  EXPECT_EQ(code(key), Errc::key_throttled);
  faults_.version = 1;
  keys_->check(after(2s));
  EXPECT_EQ(code(key, after(2s)), Errc::key_throttled);
  keys_->check(after(30s));
  EXPECT_EQ(code(key, after(30s)), Errc::none);
}

// --- revoke, rotate, renew -----------------------------------------------------------------------

TEST_F(Keys, Revoked) {
  const IssuedKey key = made();
  EXPECT_EQ(code(key), Errc::none);
  log();
  const auto revoked = revoke(*keys_, key.record.id, after(1s));
  ASSERT_TRUE(revoked);
  EXPECT_EQ(revoked->revoked, kStart + 1s);
  EXPECT_EQ(log(), "revoked joe; ");
  EXPECT_EQ(code(key, after(1s)), Errc::key_revoked);
  EXPECT_EQ(code(key, after(0s)), Errc::key_revoked);  // whatever this machine's clock says
  EXPECT_EQ(revoke(*keys_, key.record.id, after(2s))->revoked, kStart + 1s);
  EXPECT_EQ(log(), "");
  EXPECT_EQ(revoke(*keys_, new_id()).error().code, Errc::no_such_key);
  EXPECT_EQ(revoke(*keys_, "").error().code, Errc::no_such_key);
}

TEST_F(Keys, RotatedWithAGrace) {
  remake({.stale_after = 1h * 48});
  const IssuedKey old = made({.owner = "joe",
                              .scopes = {"read"},
                              .networks = {*Network::parse("192.0.2.0/24")},
                              .rate = {50, 1s},
                              .expires = kStart + 24h * 100,
                              .prefix = "live"});
  const auto rotation = rotate(*keys_, old.record.id, after(24h));
  ASSERT_TRUE(rotation) << rotation.error().message();
  EXPECT_EQ(log(), "rotated joe; by joe; ");
  KeyRecord expected = old.record;
  const KeyRecord& next = rotation->issued.record;
  EXPECT_NE(next.id, old.record.id);
  EXPECT_NE(next.hash, old.record.hash);
  EXPECT_TRUE(rotation->issued.text.view().starts_with("live_"));
  expected.id = next.id;
  expected.hash = next.hash;
  expected.created = kStart + 24h;
  expected.expires = kStart + 24h * 101;  // the span is the same
  EXPECT_EQ(next, expected);
  EXPECT_EQ(rotation->old.replaced_by, next.id);
  EXPECT_EQ(rotation->old.grace_until, kStart + 48h);
  EXPECT_EQ(rotation->old.expires, old.record.expires);
  // Both, until the grace is over.
  EXPECT_EQ(code(old, after(24h)), Errc::none);
  EXPECT_EQ(code(rotation->issued, after(24h)), Errc::none);
  EXPECT_EQ(code(old, after(48h - 1s)), Errc::none);
  EXPECT_EQ(code(old, after(48h)), Errc::key_expired);
  EXPECT_EQ(code(rotation->issued, after(48h)), Errc::none);
  log();
  keys_->check(after(48h));
  EXPECT_EQ(log(), "expired joe; ");
}

TEST_F(Keys, AGraceIsNoLongerThanTheKeyWouldHaveLived) {
  const IssuedKey old = made({.owner = "joe", .expires = kStart + 5s});
  const auto rotation = rotate(*keys_, old.record.id, after(0s));
  ASSERT_TRUE(rotation);
  EXPECT_EQ(code(old, after(4s)), Errc::none);
  EXPECT_EQ(code(old, after(5s)), Errc::key_expired);
}

TEST_F(Keys, AGraceOfOnesOwn) {
  const IssuedKey first = made(), second = made();
  const auto none = rotate(*keys_, first.record.id, after(1s), 0s);
  ASSERT_TRUE(none);
  EXPECT_EQ(code(first, after(1s)), Errc::key_expired);
  EXPECT_EQ(code(none->issued, after(1s)), Errc::none);
  EXPECT_EQ(none->issued.record.expires, kNever);
  ASSERT_TRUE(rotate(*keys_, second.record.id, after(1s), 3s));
  EXPECT_EQ(code(second, after(3s)), Errc::none);
  EXPECT_EQ(code(second, after(4s)), Errc::key_expired);
  EXPECT_EQ(rotate(*keys_, second.record.id, after(1s), -1s).error().code, Errc::invalid_argument);
  const IssuedKey third = made();
  EXPECT_EQ(rotate(*keys_, third.record.id, after(1s), std::chrono::seconds::max()).error().code,
            Errc::invalid_argument);
}

TEST_F(Keys, WhatCannotBeRotated) {
  const IssuedKey revoked = made(), expired = made({.owner = "joe", .expires = kStart + 5s}),
                  replaced = made();
  ASSERT_TRUE(revoke(*keys_, revoked.record.id));
  ASSERT_TRUE(rotate(*keys_, replaced.record.id, after(0s)));
  EXPECT_EQ(rotate(*keys_, revoked.record.id, after(1s)).error().code, Errc::key_revoked);
  EXPECT_EQ(rotate(*keys_, expired.record.id, after(5s)).error().code, Errc::key_expired);
  EXPECT_EQ(rotate(*keys_, replaced.record.id, after(1s)).error().code, Errc::invalid_argument);
  EXPECT_EQ(rotate(*keys_, new_id(), after(1s)).error().code, Errc::no_such_key);
  EXPECT_EQ(keys_->size(), 4u);
}

TEST_F(Keys, RevokingTheNewOneLeavesTheOldOneItsGrace) {
  const IssuedKey old = made();
  const auto rotation = rotate(*keys_, old.record.id, after(0s));
  ASSERT_TRUE(revoke(*keys_, rotation->issued.record.id));
  EXPECT_EQ(code(old), Errc::none);
  ASSERT_TRUE(revoke(*keys_, old.record.id));
  EXPECT_EQ(code(old), Errc::key_revoked);
}

TEST_F(Keys, Renewed) {
  const IssuedKey key = made({.owner = "joe", .expires = kStart + 5s});
  EXPECT_EQ(code(key, after(5s)), Errc::key_expired);
  const auto renewed = renew(*keys_, key.record.id, kStart + 60s, after(6s));
  ASSERT_TRUE(renewed) << renewed.error().message();
  EXPECT_EQ(renewed->expires, kStart + 60s);
  EXPECT_EQ(code(key, after(6s)), Errc::none);
  ASSERT_TRUE(renew(*keys_, key.record.id, kNever, after(7s)));
  const IssuedKey revoked = made(), replaced = made();
  ASSERT_TRUE(revoke(*keys_, revoked.record.id));
  ASSERT_TRUE(rotate(*keys_, replaced.record.id, after(0s)));
  EXPECT_EQ(renew(*keys_, revoked.record.id, kStart + 90s, after(1s)).error().code,
            Errc::key_revoked);
  EXPECT_EQ(renew(*keys_, replaced.record.id, kStart + 90s, after(1s)).error().code,
            Errc::invalid_argument);
  EXPECT_EQ(renew(*keys_, key.record.id, kStart + 90s, after(1s)).error().code,
            Errc::invalid_argument);  // sooner than never
  EXPECT_EQ(renew(*keys_, key.record.id, kStart, after(1s)).error().code, Errc::invalid_argument);
  EXPECT_EQ(renew(*keys_, key.record.id, kMostTime + 1s, after(1s)).error().code,
            Errc::invalid_argument);
}

TEST_F(Keys, ListAndAudit) {
  const IssuedKey joe = made(), jim = made({.owner = "jim"});
  ASSERT_TRUE(revoke(*keys_, joe.record.id, after(1s)));
  const auto rotation = rotate(*keys_, jim.record.id, after(2s));
  ASSERT_TRUE(renew(*keys_, rotation->issued.record.id, kNever, after(3s)));
  Told<std::vector<KeyRecord>> all, joes;
  keys_->list("", all.done());
  keys_->list("joe", joes.done());
  EXPECT_EQ(all.take()->size(), 3u);
  const auto his = joes.take();
  ASSERT_EQ(his->size(), 1u);
  EXPECT_EQ(his->front().id, joe.record.id);
  Told<std::vector<AuditEntry>> told;
  keys_->audit(100, told.done());
  const auto audit = told.take();
  ASSERT_EQ(audit->size(), 5u);
  EXPECT_EQ((*audit)[0],
            (AuditEntry{kStart + 3s, "test", "renew", rotation->issued.record.id, "never"}));
  EXPECT_EQ((*audit)[1],
            (AuditEntry{kStart + 2s, "test", "rotate", jim.record.id, rotation->issued.record.id}));
  EXPECT_EQ((*audit)[2], (AuditEntry{kStart + 1s, "test", "revoke", joe.record.id, ""}));
  EXPECT_EQ((*audit)[4], (AuditEntry{kStart, "test", "issue", joe.record.id, ""}));
}

// --- a store that fails --------------------------------------------------------------------------

TEST_F(Keys, AFailingStoreRefuses) {
  remake({.check_interval = 1s, .stale_after = 10s});
  const IssuedKey key = made();
  EXPECT_EQ(code(key, after(1s)), Errc::none);
  faults_.read = true;
  log();
  keys_->check(after(1s));
  EXPECT_TRUE(keys_->is_failing());
  EXPECT_EQ(log(), "failed input or output failed: the disk is gone; ");
  EXPECT_EQ(code(key, after(1s)), Errc::keys_unavailable);
  EXPECT_EQ(reader_->validate("nonsense", kPeer, "", after(1s)).code, Errc::keys_unavailable);
  keys_->check(after(2s));
  EXPECT_EQ(log(), "");  // told once
  faults_.read = false;
  const std::size_t before = faults_.reads;
  keys_->check(after(3s));
  EXPECT_FALSE(keys_->is_failing());
  EXPECT_EQ(faults_.reads, before + 1);  // what was missed meanwhile
  EXPECT_EQ(code(key, after(3s)), Errc::none);
}

TEST_F(Keys, AStoreThatHangsRefuses) {
  remake({.check_interval = 1s, .stale_after = 10s});
  const IssuedKey key = made();
  holds_ = true;  // as a thread that waits for a disk
  for (int i = 1; i <= 11; ++i) keys_->check(after(std::chrono::seconds(i)));
  EXPECT_EQ(held_.size(), 1u);  // one check is under way at most
  EXPECT_EQ(code(key, after(10s)), Errc::none);
  EXPECT_EQ(code(key, Moment{kStart, after(10s).steady + 1ns}), Errc::keys_unavailable);
  holds_ = false;
  held_.front()();
  // It began at 1 s: what it saw is as old as that.
  EXPECT_EQ(code(key, after(11s)), Errc::none);
  EXPECT_EQ(code(key, after(12s)), Errc::keys_unavailable);
  keys_->check(after(12s));
  EXPECT_EQ(code(key, after(12s)), Errc::none);
  refuses_ = true;
  keys_->check(after(14s));
  refuses_ = false;
  keys_->check(after(16s));  // a check that was not taken is not under way
  EXPECT_EQ(code(key, after(26s)), Errc::none);
}

TEST_F(Keys, WithoutFailClosedWhatIsKnownGoesOn) {
  remake({.fail_closed = false, .check_interval = 0ms});
  const IssuedKey key = made(), revoked = made();
  ASSERT_TRUE(revoke(*keys_, revoked.record.id));
  faults_.read = true;
  keys_->check(after(1s));
  EXPECT_TRUE(keys_->is_failing());
  EXPECT_EQ(code(key, after(1h)), Errc::none);
  EXPECT_EQ(code(revoked, after(1h)), Errc::key_revoked);
  EXPECT_EQ(reader_->validate(new_key("slk").view(), kPeer, "", after(1h)).code,
            Errc::auth_refused);
}

TEST(KeyManager, BeforeItHasReadTheKeysAllAreRefused) {
  for (const bool fail_closed : {true, false}) {
    Faults faults;
    faults.read = true;
    KeyManager keys(std::make_unique<FaultyStore>(faults), at_once,
                    {.fail_closed = fail_closed, .check_interval = 0ms});
    KeyReader reader(keys);
    const auto code = [&] {
      return reader.validate(new_key("slk").view(), kPeer, "", after(0s)).code;
    };
    EXPECT_EQ(code(), Errc::keys_unavailable);
    EXPECT_EQ(open(keys).error().code, Errc::io_failed);
    EXPECT_EQ(code(), Errc::keys_unavailable);
    EXPECT_EQ(issue(keys, {.owner = "joe"}).error().code, Errc::keys_unavailable);
    faults.read = false;
    keys.check(after(0s));
    EXPECT_EQ(code(), Errc::auth_refused);
    EXPECT_TRUE(issue(keys, {.owner = "joe"}));
  }
}

TEST_F(Keys, AChangeThatFailsChangesNothing) {
  const IssuedKey key = made();
  faults_.write = true;
  EXPECT_EQ(issue(*keys_, {.owner = "jim"}).error().code, Errc::io_failed);
  EXPECT_EQ(revoke(*keys_, key.record.id).error().code, Errc::io_failed);
  EXPECT_EQ(rotate(*keys_, key.record.id, after(0s)).error().code, Errc::io_failed);
  EXPECT_EQ(renew(*keys_, key.record.id, kNever, after(0s)).error().code, Errc::io_failed);
  EXPECT_EQ(code(key), Errc::none);
  EXPECT_EQ(log(), "validated joe; ");
  EXPECT_EQ(keys_->size(), 1u);
}

TEST_F(Keys, AnExecutorThatTakesNoMore) {
  refuses_ = true;
  EXPECT_EQ(issue(*keys_, {.owner = "joe"}).error().code, Errc::keys_unavailable);
}

TEST_F(Keys, TasksOutliveTheManager) {
  const IssuedKey key = made();
  holds_ = true;
  Told<KeyRecord> told;
  keys_->revoke(key.record.id, "test", after(0s), told.done());
  keys_->check(after(100s));
  keys_.reset();
  log();
  while (!held_.empty()) {
    held_.front()();
    held_.pop_front();
  }
  EXPECT_EQ(told.take().error().code, Errc::cancelled);
  EXPECT_EQ(log(), "");
  EXPECT_EQ(code(key), Errc::none);  // a reader outlives it, too
}

TEST_F(Keys, FromADoneMoreCanBeAsked) {
  Told<KeyRecord> told;
  keys_->issue({.owner = "joe"}, "test", after(0s), [&](Result<IssuedKey> issued) {
    ASSERT_TRUE(issued);
    keys_->revoke(issued->record.id, "test", after(1s), told.done());
  });
  EXPECT_TRUE(told.take());
}

TEST_F(Keys, WhatMadeRoomIsForgotten) {
  remake({}, {.keys = 2, .audit = 10});
  const IssuedKey first = made(), second = made();
  EXPECT_EQ(issue(*keys_, {.owner = "joe"}).error().code, Errc::too_many_keys);
  ASSERT_TRUE(revoke(*keys_, first.record.id));
  const IssuedKey third = made();
  EXPECT_EQ(keys_->size(), 2u);
  EXPECT_EQ(code(first), Errc::auth_refused);
  EXPECT_EQ(code(second), Errc::none);
  EXPECT_EQ(code(third), Errc::none);
}

// --- the index -----------------------------------------------------------------------------------

TEST(KeyIndex, FindsEachOfMany) {
  std::vector<KeyRecord> keys;
  for (int i = 0; i < 2000; ++i) keys.push_back(record("joe"));
  for (std::size_t i = 0; i < 8; ++i) {  // whose first bytes are the same
    keys.push_back(keys[0]);
    keys.back().id = new_id();
    keys.back().hash[20] = static_cast<std::byte>(i + (keys[0].hash[20] == std::byte(i) ? 100 : 0));
  }
  const std::vector<KeyRecord> half(keys.begin(), keys.begin() + 1000);
  KeyIndex index(half, KeyIndex());
  for (std::size_t i = 1000; i < keys.size(); ++i) index = index.with(keys[i]);
  EXPECT_EQ(index.size(), keys.size());
  for (const KeyRecord& key : keys) {
    const IndexedKey* const found = index.find(key.hash);
    ASSERT_NE(found, nullptr);
    EXPECT_EQ(found->record.id, key.id);
  }
  EXPECT_EQ(index.find(record("jim").hash), nullptr);
  KeyRecord changed = keys[3];
  changed.owner = "jim";
  const KeyIndex next = index.with(changed);
  EXPECT_EQ(next.size(), keys.size());
  EXPECT_EQ(next.find(changed.hash)->record.owner, "jim");
  EXPECT_EQ(index.find(changed.hash)->record.owner, "joe");  // a picture never changes
  std::size_t visited = 0;
  index.each([&visited](const KeyRecord&) { ++visited; });
  EXPECT_EQ(visited, keys.size());
}

// --- two processes -------------------------------------------------------------------------------

TEST(KeyManager, WhatAnotherProcessChangesIsSeenByTheNextCheck) {
  const test::TempDir folder;
  KeyManager server(std::move(*SqliteStore::open(folder / "keys")), at_once,
                    {.check_interval = 1s});
  ASSERT_TRUE(open(server));
  KeyReader reader(server);
  KeyManager command(std::move(*SqliteStore::open(folder / "keys")), at_once);
  ASSERT_TRUE(open(command));
  const auto key = issue(command, {.owner = "joe"});
  ASSERT_TRUE(key);
  const auto code = [&](Moment now) {
    return reader.validate(key->text.view(), kPeer, "", now).code;
  };
  EXPECT_EQ(code(after(0s)), Errc::auth_refused);
  server.check(after(0s));
  EXPECT_EQ(code(after(0s)), Errc::none);
  ASSERT_TRUE(revoke(command, key->record.id));
  server.check(after(0s));  // too soon
  EXPECT_EQ(code(after(0s)), Errc::none);
  server.check(after(1s));
  EXPECT_EQ(code(after(1s)), Errc::key_revoked);
  // Each changes what the other wrote, seen or not.
  const auto theirs = issue(command, {.owner = "jim"}, after(1s));
  EXPECT_TRUE(revoke(server, theirs->record.id, after(1s)));
}

}  // namespace
}  // namespace sluice::api_keys
