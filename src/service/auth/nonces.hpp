// service/auth/nonces.hpp - nonces of Digest: nothing is kept for one until it is used by somebody
// who knows a password.
//
// RFC 7616 section 3.3 (nonce, stale), 3.4 (nc), 5.4, 5.12. A nonce is the time, 64 random bits and
// an HMAC of both under a key of this object. Layer: service. Thread: any; a lock is held in use().
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.hpp"
#include "service/auth/keyed_hash.hpp"

namespace sluice::service {

struct NonceLimits {
  std::chrono::seconds ttl{300};
  std::size_t tracked = 8192;  // nonces in use; beyond: the oldest is stale, with all before it

  friend bool operator==(const NonceLimits&, const NonceLimits&) = default;
};

enum class NonceVerdict {
  good,
  // Too old, not ours (a restart), or forgotten: if the response is right, the challenge says
  // stale=true and the client tries again without asking its user.
  stale,
  replayed,  // this count has been used: the same, and worth a line in the log
};

class Nonces {
 public:
  // Counts that arrive out of order, as from several connections, are taken within this distance.
  static constexpr std::uint32_t kWindow = 64;

  explicit Nonces(NonceLimits limits = {}) : limits_(limits) {}
  const NonceLimits& limits() const { return limits_; }

  std::string issue(base::Instant now) const;

  // Whether it is ours and not too old: before the response is verified.
  bool is_fresh(std::string_view nonce, base::Instant now) const;
  // Uses `count` of it up. Only after the response was found right: so nobody without a password
  // makes anything grow here, or drives another's nonce out.
  NonceVerdict use(std::string_view nonce, std::uint32_t count, base::Instant now);

  std::size_t size() const;  // that are tracked

 private:
  // In the order in which they were issued.
  struct Id {
    std::int64_t issued;
    std::uint64_t random;
    friend bool operator<(const Id& a, const Id& b) {
      return a.issued != b.issued ? a.issued < b.issued : a.random < b.random;
    }
  };
  struct Counts {
    std::uint32_t highest = 0;
    std::uint64_t seen = 0;  // bit i: highest - i
  };
  std::optional<Id> read(std::string_view nonce, base::Instant now) const;
  void make_room(std::int64_t oldest);

  const NonceLimits limits_;
  const HashKey key_;
  mutable std::mutex mutex_;
  std::map<Id, Counts> tracked_;
  std::optional<Id> dropped_;  // the newest that was; what is older and not tracked is stale
};

}  // namespace sluice::service
