// service/api_keys/manager.hpp - API keys: issued, validated, revoked, rotated, renewed.
//
// What touches the store runs where the caller's `post` runs it, one piece at a time. What shards
// do, validate(), is memory alone: a KeyReader takes the newest picture of all keys without a lock,
// as long as nothing has changed (docs/adr, 17). Layer: service.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/result.hpp>

#include "base/clock.hpp"
#include "crypto/secret.hpp"
#include "service/api_keys/index.hpp"
#include "service/api_keys/key.hpp"
#include "service/api_keys/record.hpp"
#include "service/api_keys/store.hpp"

namespace sluice::api_keys {

// Both clocks, read once for many questions: expiry is told by the wall's, rates and the age of
// what is known by the one that never goes back.
struct Moment {
  Time wall{};
  base::Instant steady{};
};
Moment read_clocks();

struct KeySettings {
  std::chrono::seconds grace{std::chrono::hours(24)};  // of a rotation that names none
  // A store that fails refuses every key. Off: the keys that are known go on working, and what was
  // revoked elsewhere meanwhile does, too. Before open() has succeeded nothing works either way.
  bool fail_closed = true;
  // How often check() asks the store. A change that another process made (the command line) is
  // seen so much later, at most, plus the time of the check.
  std::chrono::milliseconds check_interval{1000};
  // Without a check that succeeded for so long, the store counts as failing: also when it hangs.
  std::chrono::milliseconds stale_after{10'000};
};

struct KeyRequest {
  std::string owner;
  std::vector<std::string> scopes = {};
  std::vector<Network> networks = {};
  Rate rate = {};
  Time expires = kNever;
  std::string prefix = std::string(kPrefix);
};

// `text` is the key itself: seen here, and never again.
struct IssuedKey {
  KeyRecord record;
  crypto::Secret text;
};

// Told what happened. They must not throw. All but `validated` run where `post` runs things and
// tell what this manager did, not what other processes did; `validated` runs on the thread that
// asked, so on several at a time, and must not wait.
struct KeyEvents {
  std::function<void(const KeyRecord&)> issued = {};
  std::function<void(const KeyRecord&)> validated = {};
  std::function<void(const KeyRecord&)> revoked = {};
  std::function<void(const KeyRecord& old, const KeyRecord& replacement)> rotated = {};
  // Its time, or its grace, is over: told once, by the first check after.
  std::function<void(const KeyRecord&)> expired = {};
  // The store fails: told once, until it works again.
  std::function<void(const Error&)> store_failed = {};
};

// Where things may wait for a disk: runs each task it takes once, on any thread, or at once in the
// call. False: it takes no more now.
using Post = std::function<bool(std::function<void()>)>;

class KeyReader;

// Thread: any may call. Nothing here waits, unless `post` runs things at once. `done` is always
// told, once: where `post` runs things, or at once when `post` takes no more (keys_unavailable). It
// must not throw.
class KeyManager {
 public:
  template <class T>
  using Done = std::function<void(Result<T>)>;

  KeyManager(std::unique_ptr<Store> store, Post post, KeySettings settings = {},
             KeyEvents events = {});
  // What has not begun is cancelled; waits for what runs. Not from an event or a Done.
  ~KeyManager();
  KeyManager(const KeyManager&) = delete;
  KeyManager& operator=(const KeyManager&) = delete;

  // Reads all keys. Until it has succeeded every key is refused; check() tries again.
  void open(Moment now, Done<void> done);

  // To be called at least each check_interval, from a timer; from several shards, if that is
  // easier: one check is under way at most, and one begins in an interval.
  void check(Moment now);

  // `actor` is who asks, for the audit. Errors of all: keys_unavailable, cancelled, those of the
  // store, and as follows.

  // invalid_argument: what is wrong with the request, in words; too_many_keys.
  void issue(KeyRequest request, std::string actor, Moment now, Done<IssuedKey> done);
  // From the next validation of each shard on. A second time changes nothing. no_such_key.
  void revoke(std::string id, std::string actor, Moment now, Done<KeyRecord> done);
  // A new key with the same owner, scopes, networks, rate and span of life. The old one goes on for
  // the grace, but not longer than it would have. no_such_key, key_revoked, key_expired;
  // invalid_argument (it was replaced already; a grace below zero).
  struct Rotation {
    IssuedKey issued;
    KeyRecord old;
  };
  void rotate(std::string id, std::string actor, Moment now, Done<Rotation> done);
  void rotate(std::string id, std::chrono::seconds grace, std::string actor, Moment now,
              Done<Rotation> done);
  // A later end, also for a key that has expired. no_such_key, key_revoked; invalid_argument (in
  // the past; it was replaced).
  void renew(std::string id, Time expires, std::string actor, Moment now, Done<KeyRecord> done);

  // As the store has them; of one owner, if one is named.
  void list(std::string owner, Done<std::vector<KeyRecord>> done);
  void audit(std::size_t most, Done<std::vector<AuditEntry>> done);

  // Whether the store answered the last check.
  bool is_failing() const;
  // Keys that are known, also those that have ended.
  std::size_t size() const;

 private:
  friend class KeyReader;
  struct Core;
  template <class T, class Work>
  void run(Work work, Done<T> done) const;

  std::shared_ptr<Core> core_;  // tasks that `post` has not run yet hold it, too
};

// A shard's way to validate keys. Thread: the shard's alone. It may outlive the manager, and then
// goes on with what was known, and with telling `validated`.
class KeyReader {
 public:
  explicit KeyReader(const KeyManager& manager);
  ~KeyReader();
  KeyReader(const KeyReader&) = delete;
  KeyReader& operator=(const KeyReader&) = delete;

  struct Verdict {
    // none, or: auth_malformed (no key, or mistyped), auth_refused (unknown), key_revoked,
    // key_expired, key_address, key_scope, key_throttled, keys_unavailable.
    Errc code = Errc::none;
    // Also of a key that is refused; null for an unknown one. Counted apart for each reader, so
    // that an exchange may keep it without touching what another shard counts.
    std::shared_ptr<const KeyRecord> key;
    base::Duration retry_after{0};  // with key_throttled
  };
  // `scope` is what the request needs, or empty. Takes one of the key's rate if all else is well.
  // Costs a hash and a look-up; after a change a lock for a moment, and may throw std::bad_alloc.
  Verdict validate(std::string_view text, const core::Endpoint& peer, std::string_view scope,
                   Moment now);

 private:
  struct Mine;
  std::shared_ptr<KeyManager::Core> core_;
  std::unique_ptr<Mine> mine_;
};

}  // namespace sluice::api_keys
