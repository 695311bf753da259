// service/api_keys/core.hpp - the inside of a KeyManager, which its tasks and readers share.
//
// Layer: service. Thread: as each part says.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>

#include "service/api_keys/manager.hpp"

namespace sluice::api_keys {

// One state of all keys, whole. Immutable.
struct KeySnapshot {
  std::uint64_t generation = 0;
  std::shared_ptr<const crypto::Secret> secret;  // null: nothing has been read yet
  KeyIndex index;
};

struct KeyManager::Core {
  Core(std::unique_ptr<Store> with, Post to, KeySettings set, KeyEvents told)
      : settings(set), events(std::move(told)), post(std::move(to)), store(std::move(with)) {}

  // What runs in tasks. `work` is held while they are with the store, not while they tell.
  Result<void> open(Moment now);
  void look(Moment now);  // one check
  Result<IssuedKey> issue(KeyRequest request, std::string actor, Moment now);
  Result<KeyRecord> revoke(const std::string& id, std::string actor, Moment now);
  Result<Rotation> rotate(const std::string& id, std::chrono::seconds grace, std::string actor,
                          Moment now);
  Result<KeyRecord> renew(const std::string& id, Time expires, std::string actor, Moment now);
  Result<std::vector<KeyRecord>> list(const std::string& owner);
  Result<std::vector<AuditEntry>> audit(std::size_t most);

  // False: the manager is gone, and nothing may begin.
  bool begin();
  void end();
  void close();  // waits for what runs
  // Memory is used up, and the picture may be behind the store: the next check reads it anew.
  void give_up() {
    good_until = std::numeric_limits<std::int64_t>::min();
    failing = true;
  }

  // Any thread.
  std::shared_ptr<const KeySnapshot> snapshot() const;
  bool is_stale(base::Instant now) const {
    return now.time_since_epoch().count() > good_until.load(std::memory_order_relaxed);
  }

  const KeySettings settings;
  const KeyEvents events;
  const Post post;

  std::atomic<std::uint64_t> generation{0};  // of the newest snapshot
  std::atomic<std::int64_t> good_until{std::numeric_limits<std::int64_t>::min()};  // steady clock
  std::atomic<std::int64_t> next_check{std::numeric_limits<std::int64_t>::min()};
  std::atomic<bool> checking{false};
  std::atomic<bool> failing{false};

 private:
  // With `work` held.
  Error refusal(std::string_view actor) const;
  Result<void> reload();
  Result<void> keep(KeyRecord key, bool made_room);
  void publish(KeyIndex index, std::shared_ptr<const crypto::Secret> secret);
  void judge(const Result<void>& done, Moment now);
  void judge_change(const Result<void>& kept, Moment now);
  std::vector<KeyRecord> take_expired(Time now);
  KeyHash hash_of(std::string_view text) const;
  // Tells once that the store fails. Without `work`.
  void tell_failure(const Result<void>& done);

  std::mutex work;
  const std::unique_ptr<Store> store;  // with `work` held
  std::uint64_t seen_version = 0;
  Time expired_until{};  // what ended up to then has been told
  Time next_end = kNever;
  bool told_failure = false;

  mutable std::mutex mutex;  // for a moment
  std::shared_ptr<const KeySnapshot> current = std::make_shared<const KeySnapshot>();

  std::mutex life;
  std::condition_variable idle;
  std::size_t running = 0;
  bool closed = false;
};

}  // namespace sluice::api_keys
