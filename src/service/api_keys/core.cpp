// service/api_keys/core.cpp - what tasks do with the store, and the picture that they publish.
//
// Layer: service. Thread: those of the executor.
#include "service/api_keys/core.hpp"

#include <algorithm>
#include <utility>

#include "base/check.hpp"
#include "crypto/hmac.hpp"
#include "proto/auth/credentials.hpp"

namespace sluice::api_keys {
namespace {

Error invalid(std::string words) { return {Errc::invalid_argument, std::move(words)}; }

// Why a key cannot be changed any more; none when it can.
Error ended_for_good(const KeyRecord& key) {
  if (key.revoked != kNever) {
    return {Errc::key_revoked, key.id + " was revoked " + text_of(key.revoked)};
  }
  if (!key.replaced_by.empty()) {
    return invalid(key.id + " was replaced by " + key.replaced_by + " already");
  }
  return {};
}

}  // namespace

// --- its life ------------------------------------------------------------------------------------

bool KeyManager::Core::begin() {
  const std::lock_guard lock(life);
  if (closed) return false;
  ++running;
  return true;
}

void KeyManager::Core::end() {
  const std::lock_guard lock(life);
  if (--running == 0) idle.notify_all();
}

void KeyManager::Core::close() {
  std::unique_lock lock(life);
  closed = true;
  idle.wait(lock, [this] { return running == 0; });
}

// --- what readers see ----------------------------------------------------------------------------

std::shared_ptr<const KeySnapshot> KeyManager::Core::snapshot() const {
  const std::lock_guard lock(mutex);
  return current;
}

void KeyManager::Core::publish(KeyIndex index, std::shared_ptr<const crypto::Secret> secret) {
  auto next = std::make_shared<const KeySnapshot>(
      KeySnapshot{current->generation + 1, std::move(secret), std::move(index)});
  {
    const std::lock_guard lock(mutex);
    current.swap(next);
  }
  generation.store(current->generation, std::memory_order_release);
}

KeyHash KeyManager::Core::hash_of(std::string_view text) const {
  return crypto::hmac_sha256(as_bytes(current->secret->view()), as_bytes(text));
}

Result<void> KeyManager::Core::reload() {
  const auto version = store->version();  // first: what changes meanwhile is seen by the next check
  if (!version) return version.error();
  auto secret = current->secret;
  if (!secret) {
    auto read = store->secret();
    if (!read) return read.error();
    if (read->size() < 32) {
      return Error(Errc::bad_setting, "the store's secret is shorter than 32 bytes");
    }
    secret = std::make_shared<const crypto::Secret>(std::move(*read));
  }
  auto keys = store->all();
  if (!keys) return keys.error();
  next_end = kNever;
  for (const KeyRecord& key : *keys) {
    if (key.ends() > expired_until) next_end = std::min(next_end, key.ends());
  }
  publish(KeyIndex(std::move(*keys), current->index), std::move(secret));
  seen_version = *version;
  return {};
}

Result<void> KeyManager::Core::keep(KeyRecord key, bool made_room) {
  if (made_room) return reload();
  if (key.ends() > expired_until) next_end = std::min(next_end, key.ends());
  publish(current->index.with(std::move(key)), current->secret);
  return {};
}

// --- is the store there --------------------------------------------------------------------------

void KeyManager::Core::judge(const Result<void>& done, Moment now) {
  const auto good = now.steady + settings.stale_after;
  good_until = done ? good.time_since_epoch().count() : std::numeric_limits<std::int64_t>::min();
  failing = !done;
}

void KeyManager::Core::tell_failure(const Result<void>& done) {
  bool tell = false;
  {
    const std::lock_guard lock(work);
    tell = !done && !told_failure;
    told_failure = !done;
  }
  if (tell && events.store_failed) events.store_failed(done.error());
}

Result<void> KeyManager::Core::open(Moment now) {
  Result<void> done;
  {
    const std::lock_guard lock(work);
    if (!current->secret) expired_until = now.wall;
    done = reload();
    judge(done, now);
  }
  tell_failure(done);
  return done;
}

void KeyManager::Core::look(Moment now) {
  Result<void> done;
  std::vector<KeyRecord> over;
  {
    const std::lock_guard lock(work);
    if (!current->secret) expired_until = now.wall;
    const auto version = store->version();
    if (!version) {
      done = version.error();
    } else if (failing || !current->secret || *version != seen_version) {
      done = reload();
    }
    judge(done, now);
    over = take_expired(now.wall);
  }
  tell_failure(done);
  if (!events.expired) return;
  for (const KeyRecord& key : over) events.expired(key);
}

std::vector<KeyRecord> KeyManager::Core::take_expired(Time now) {
  std::vector<KeyRecord> over;
  if (now < next_end) return over;
  Time next = kNever;
  current->index.each([&](const KeyRecord& key) {
    const Time ends = key.ends();
    if (ends <= expired_until) return;
    if (ends > now) {
      next = std::min(next, ends);
    } else if (key.revoked == kNever) {
      over.push_back(key);
    }
  });
  expired_until = now;
  next_end = next;
  return over;
}

// --- changes -------------------------------------------------------------------------------------

Error KeyManager::Core::refusal(std::string_view actor) const {
  if (!current->secret) {
    return {Errc::keys_unavailable, "the keys have not been read yet"};
  }
  if (!auth::is_user_name(actor)) {
    return invalid("who asks is named in 1 to 255 bytes of UTF-8 without controls");
  }
  return {};
}

Result<IssuedKey> KeyManager::Core::issue(KeyRequest request, std::string actor, Moment now) {
  if (!is_prefix(request.prefix)) {
    return invalid("a prefix has 1 to 16 of a-z and 0-9, a letter first");
  }
  IssuedKey issued;
  {
    const std::lock_guard lock(work);
    if (Error error = refusal(actor)) return error;
    KeyRecord& key = issued.record;
    issued.text = new_key(request.prefix);
    key.id = new_id();
    key.hash = hash_of(issued.text.view());
    key.prefix = std::move(request.prefix);
    key.owner = std::move(request.owner);
    key.scopes = std::move(request.scopes);
    key.networks = std::move(request.networks);
    key.rate = request.rate;
    key.created = now.wall;
    key.expires = request.expires;
    if (auto problem = problem_of(key)) return invalid(std::move(*problem));
    if (key.expires <= now.wall) return invalid("the key would have expired already");
    const auto added = store->add(key, {now.wall, std::move(actor), "issue", key.id, {}});
    if (!added) return added.error();
    judge_change(keep(key, *added), now);
  }
  if (events.issued) events.issued(issued.record);
  return issued;
}

Result<KeyRecord> KeyManager::Core::revoke(const std::string& id, std::string actor, Moment now) {
  bool changed = false;
  Result<Store::Edited> edited = Store::Edited();
  {
    const std::lock_guard lock(work);
    if (Error error = refusal(actor)) return error;
    const auto edit = [&](KeyRecord& key, std::optional<KeyRecord>&) -> Result<void> {
      changed = key.revoked == kNever;
      if (changed) key.revoked = now.wall;
      return {};
    };
    edited = store->edit(id, edit, {now.wall, std::move(actor), "revoke", id, {}});
    if (!edited) return edited.error();
    judge_change(keep(edited->key, edited->made_room), now);
  }
  if (changed && events.revoked) events.revoked(edited->key);
  return std::move(edited->key);
}

Result<KeyManager::Rotation> KeyManager::Core::rotate(const std::string& id,
                                                      std::chrono::seconds grace, std::string actor,
                                                      Moment now) {
  if (grace.count() < 0 || grace > kMostTime.time_since_epoch()) {
    return invalid("a grace is not below zero");
  }
  Rotation rotation;
  {
    const std::lock_guard lock(work);
    if (Error error = refusal(actor)) return error;
    crypto::Secret text;
    const auto edit = [&](KeyRecord& key, std::optional<KeyRecord>& replacement) -> Result<void> {
      if (Error error = ended_for_good(key)) return error;
      if (key.ends() <= now.wall) {
        return Error(Errc::key_expired, key.id + " expired " + text_of(key.expires) +
                                            "; renew it first, or issue a new one");
      }
      text = new_key(key.prefix);
      replacement = key;
      replacement->id = new_id();
      replacement->hash = hash_of(text.view());
      replacement->created = now.wall;
      if (key.expires != kNever) {
        replacement->expires = std::min(kMostTime, now.wall + (key.expires - key.created));
      }
      key.replaced_by = replacement->id;
      key.grace_until = std::min(kMostTime, now.wall + grace);
      return {};
    };
    auto edited = store->edit(id, edit, {now.wall, std::move(actor), "rotate", id, {}});
    if (!edited) return edited.error();
    SLUICE_CHECK(edited->replacement.has_value());
    rotation = {{std::move(*edited->replacement), std::move(text)}, std::move(edited->key)};
    judge_change(keep(rotation.old, edited->made_room), now);
    judge_change(keep(rotation.issued.record, edited->made_room), now);
  }
  if (events.rotated) events.rotated(rotation.old, rotation.issued.record);
  return rotation;
}

Result<KeyRecord> KeyManager::Core::renew(const std::string& id, Time expires, std::string actor,
                                          Moment now) {
  if (expires <= now.wall) return invalid("the key would have expired already");
  if (expires > kMostTime && expires != kNever) return invalid("so far away is never");
  const std::lock_guard lock(work);
  if (Error error = refusal(actor)) return error;
  const auto edit = [&](KeyRecord& key, std::optional<KeyRecord>&) -> Result<void> {
    if (Error error = ended_for_good(key)) return error;
    if (expires < key.expires) {
      return invalid(key.id + " expires " + text_of(key.expires) + ", which is later");
    }
    key.expires = expires;
    return {};
  };
  auto edited = store->edit(id, edit, {now.wall, std::move(actor), "renew", id, text_of(expires)});
  if (!edited) return edited.error();
  judge_change(keep(edited->key, edited->made_room), now);
  return std::move(edited->key);
}

// The change is kept; if the picture could not be brought up to it, that is the store failing.
void KeyManager::Core::judge_change(const Result<void>& kept, Moment now) {
  if (!kept) judge(kept, now);
}

Result<std::vector<KeyRecord>> KeyManager::Core::list(const std::string& owner) {
  const std::lock_guard lock(work);
  auto keys = store->all();
  if (keys && !owner.empty()) {
    std::erase_if(*keys, [&owner](const KeyRecord& key) { return key.owner != owner; });
  }
  return keys;
}

Result<std::vector<AuditEntry>> KeyManager::Core::audit(std::size_t most) {
  const std::lock_guard lock(work);
  return store->audit(most);
}

}  // namespace sluice::api_keys
