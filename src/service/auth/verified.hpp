// service/auth/verified.hpp - basic credentials that were verified a short while ago.
//
// A password hash costs some 20 ms of a core, and a browser sends the same credentials with each
// request. Layer: service. Thread: any; a lock is held for a look-up.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <mutex>
#include <string_view>
#include <unordered_map>

#include "base/clock.hpp"
#include "service/auth/keyed_hash.hpp"

namespace sluice::service {

struct VerifiedLimits {
  std::chrono::seconds ttl{300};  // from the verification; using an entry does not prolong it
  std::size_t entries = 4096;     // beyond: the oldest goes

  friend bool operator==(const VerifiedLimits&, const VerifiedLimits&) = default;
};

class Verified {
 public:
  explicit Verified(VerifiedLimits limits = {}) : limits_(limits) {}
  const VerifiedLimits& limits() const { return limits_; }

  // Whether these were verified within the ttl, for this version of the user (Users::version): a
  // user who was changed or removed has another.
  bool knows(std::string_view user, std::string_view password, std::uint64_t version,
             base::Instant now);
  // `version` is the one whose hash the password was verified against.
  void remember(std::string_view user, std::string_view password, std::uint64_t version,
                base::Instant now);
  void clear();

  std::size_t size() const;

 private:
  struct Entry {
    KeyedHash hash;
    std::uint64_t version;
    base::Instant expires;
  };
  KeyedHash hash_of(std::string_view user, std::string_view password) const;
  void drop_front();

  const VerifiedLimits limits_;
  const HashKey key_;
  mutable std::mutex mutex_;
  std::list<Entry> entries_;  // the front was verified first
  std::unordered_map<KeyedHash, std::list<Entry>::iterator, KeyedHashHash> index_;
};

}  // namespace sluice::service
