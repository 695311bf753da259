// service/api_keys/manager.cpp - handing tasks to the executor, and what a shard does.
//
// Layer: service. Thread: any.
#include "service/api_keys/manager.hpp"

#include <new>
#include <utility>

#include "crypto/hmac.hpp"
#include "service/api_keys/core.hpp"

namespace sluice::api_keys {

Moment read_clocks() {
  return {std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()),
          base::read_clock()};
}

KeyManager::KeyManager(std::unique_ptr<Store> store, Post post, KeySettings settings,
                       KeyEvents events)
    : core_(
          std::make_shared<Core>(std::move(store), std::move(post), settings, std::move(events))) {}

KeyManager::~KeyManager() { core_->close(); }

template <class T, class Work>
void KeyManager::run(Work work, Done<T> done) const {
  const auto task = [core = core_, work = std::move(work), done]() mutable {
    if (!core->begin()) return done(Errc::cancelled);
    Result<T> result = Errc::out_of_memory;
    try {
      result = work(*core);
    } catch (const std::bad_alloc&) {
      core->give_up();
    }
    done(std::move(result));
    core->end();
  };
  if (!core_->post(task)) {
    done(Error(Errc::keys_unavailable, "the executor takes no more tasks"));
  }
}

void KeyManager::open(Moment now, Done<void> done) {
  run<void>([now](Core& core) { return core.open(now); }, std::move(done));
}

void KeyManager::check(Moment now) {
  const std::int64_t at = now.steady.time_since_epoch().count();
  if (at < core_->next_check.load(std::memory_order_relaxed)) return;
  if (core_->checking.exchange(true)) return;
  if (at < core_->next_check) {  // another shard's check began and ended since it was asked
    core_->checking = false;
    return;
  }
  core_->next_check =
      at + std::chrono::duration_cast<base::Duration>(core_->settings.check_interval).count();
  const auto task = [core = core_, now] {
    if (core->begin()) {
      try {
        core->look(now);
      } catch (const std::bad_alloc&) {
        core->give_up();
      }
      core->end();
    }
    core->checking = false;
  };
  if (!core_->post(task)) core_->checking = false;
}

void KeyManager::issue(KeyRequest request, std::string actor, Moment now, Done<IssuedKey> done) {
  run<IssuedKey>([request = std::move(request), actor = std::move(actor),
                  now](Core& core) { return core.issue(request, actor, now); },
                 std::move(done));
}

void KeyManager::revoke(std::string id, std::string actor, Moment now, Done<KeyRecord> done) {
  run<KeyRecord>([id = std::move(id), actor = std::move(actor),
                  now](Core& core) { return core.revoke(id, actor, now); },
                 std::move(done));
}

void KeyManager::rotate(std::string id, std::string actor, Moment now, Done<Rotation> done) {
  rotate(std::move(id), core_->settings.grace, std::move(actor), now, std::move(done));
}

void KeyManager::rotate(std::string id, std::chrono::seconds grace, std::string actor, Moment now,
                        Done<Rotation> done) {
  run<Rotation>([id = std::move(id), grace, actor = std::move(actor),
                 now](Core& core) { return core.rotate(id, grace, actor, now); },
                std::move(done));
}

void KeyManager::renew(std::string id, Time expires, std::string actor, Moment now,
                       Done<KeyRecord> done) {
  run<KeyRecord>([id = std::move(id), expires, actor = std::move(actor),
                  now](Core& core) { return core.renew(id, expires, actor, now); },
                 std::move(done));
}

void KeyManager::list(std::string owner, Done<std::vector<KeyRecord>> done) {
  run<std::vector<KeyRecord>>([owner = std::move(owner)](Core& core) { return core.list(owner); },
                              std::move(done));
}

void KeyManager::audit(std::size_t most, Done<std::vector<AuditEntry>> done) {
  run<std::vector<AuditEntry>>([most](Core& core) { return core.audit(most); }, std::move(done));
}

bool KeyManager::is_failing() const { return core_->failing.load(); }
std::size_t KeyManager::size() const { return core_->snapshot()->index.size(); }

// A count of its own around the one that all readers share.
struct KeyReader::Mine {
  explicit Mine(std::shared_ptr<const KeySnapshot> newest)
      : held(std::make_shared<std::shared_ptr<const KeySnapshot>>(std::move(newest))) {}
  const KeySnapshot& keys() const { return **held; }

  std::shared_ptr<std::shared_ptr<const KeySnapshot>> held;
};

KeyReader::KeyReader(const KeyManager& manager)
    : core_(manager.core_), mine_(std::make_unique<Mine>(core_->snapshot())) {}

KeyReader::~KeyReader() = default;

KeyReader::Verdict KeyReader::validate(std::string_view text, const core::Endpoint& peer,
                                       std::string_view scope, Moment now) {
  if (core_->generation.load(std::memory_order_acquire) != mine_->keys().generation) {
    *mine_ = Mine(core_->snapshot());
  }
  const KeySnapshot& keys = mine_->keys();
  if (!keys.secret || (core_->settings.fail_closed && core_->is_stale(now.steady))) {
    return {Errc::keys_unavailable, nullptr, {}};
  }
  if (!parse_key(text)) return {Errc::auth_malformed, nullptr, {}};
  const KeyHash hash = crypto::hmac_sha256(as_bytes(keys.secret->view()), as_bytes(text));
  const IndexedKey* found = keys.index.find(hash);
  if (found == nullptr) return {Errc::auth_refused, nullptr, {}};
  const KeyRecord& key = found->record;
  Verdict verdict{Errc::none, std::shared_ptr<const KeyRecord>(mine_->held, &key), {}};
  const auto refused = [&verdict](Errc code) {
    verdict.code = code;
    return std::move(verdict);
  };
  if (key.revoked != kNever) return refused(Errc::key_revoked);
  if (key.ends() <= now.wall) return refused(Errc::key_expired);
  if (!allows(key.networks, peer)) return refused(Errc::key_address);
  if (!covers(key.scopes, scope)) return refused(Errc::key_scope);
  if (found->meter) {
    verdict.retry_after = found->meter->take(key.rate, now.steady);
    if (verdict.retry_after.count() > 0) return refused(Errc::key_throttled);
  }
  if (core_->events.validated) core_->events.validated(key);
  return verdict;
}

}  // namespace sluice::api_keys
