// tests/service/api_keys/records.hpp - records, times and peers for a test.
//
// Layer: tests.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "crypto/digest.hpp"
#include "service/api_keys/key.hpp"
#include "service/api_keys/manager.hpp"
#include "service/api_keys/record.hpp"

namespace sluice::api_keys {

using namespace std::chrono_literals;

inline constexpr Time kStart{1'795'392'000s};

inline Moment after(std::chrono::seconds passed) {
  return {kStart + passed, base::Instant{1000s} + passed};
}

inline core::Endpoint peer4(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d) {
  core::Endpoint peer;
  peer.family = core::Endpoint::Family::ip4;
  peer.address = {a, b, c, d};
  return peer;
}

inline KeyRecord record(const std::string& owner, Time expires = kNever) {
  KeyRecord key;
  key.id = new_id();
  crypto::random_bytes(key.hash);
  key.prefix = "slk";
  key.owner = owner;
  key.created = kStart;
  key.expires = expires;
  return key;
}

inline KeyRecord full_record() {
  KeyRecord key = record("J\xc3\xb6rg 'O\"Neil'; --");
  key.prefix = "live";
  key.scopes = {"orders:*", "read"};
  key.networks = {*Network::parse("10.0.0.0/8"), *Network::parse("2001:db8::/32"),
                  *Network::parse("192.0.2.7")};
  key.rate = {100, 3600s};
  key.expires = kStart + 24h;
  key.revoked = kStart + 3h;
  key.replaced_by = new_id();
  key.grace_until = kStart + 2h;
  return key;
}

inline AuditEntry entry(const KeyRecord& key, std::chrono::seconds passed = 0s) {
  return {kStart + passed, "test", "issue", key.id, {}};
}

// Runs what is posted at once.
inline bool at_once(const std::function<void()>& task) {
  task();
  return true;
}

// What a Done was told. Taken once.
template <class T>
class Told {
 public:
  KeyManager::Done<T> done() {
    return [this](Result<T> result) {
      EXPECT_FALSE(result_.has_value()) << "told twice";
      result_.emplace(std::move(result));
    };
  }
  bool is_told() const { return result_.has_value(); }
  Result<T> take() {
    if (!result_) {
      ADD_FAILURE() << "nothing was told";
      return Errc::gone;
    }
    return *std::exchange(result_, std::nullopt);
  }

 private:
  std::optional<Result<T>> result_;
};

// The manager's methods as calls that answer, with an executor that runs things at once.
inline Result<void> open(KeyManager& keys, Moment now = after(0s)) {
  Told<void> told;
  keys.open(now, told.done());
  return told.take();
}
inline Result<IssuedKey> issue(KeyManager& keys, KeyRequest request, Moment now = after(0s)) {
  Told<IssuedKey> told;
  keys.issue(std::move(request), "test", now, told.done());
  return told.take();
}
inline Result<KeyRecord> revoke(KeyManager& keys, const std::string& id, Moment now = after(0s)) {
  Told<KeyRecord> told;
  keys.revoke(id, "test", now, told.done());
  return told.take();
}
inline Result<KeyManager::Rotation> rotate(KeyManager& keys, const std::string& id, Moment now,
                                           std::optional<std::chrono::seconds> grace = {}) {
  Told<KeyManager::Rotation> told;
  if (grace) {
    keys.rotate(id, *grace, "test", now, told.done());
  } else {
    keys.rotate(id, "test", now, told.done());
  }
  return told.take();
}
inline Result<KeyRecord> renew(KeyManager& keys, const std::string& id, Time expires, Moment now) {
  Told<KeyRecord> told;
  keys.renew(id, expires, "test", now, told.done());
  return told.take();
}

}  // namespace sluice::api_keys
