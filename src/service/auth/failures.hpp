// service/auth/failures.hpp - addresses that fail again and again: slowed down, then refused for a
// while.
//
// The table has one size, whatever comes: an address that does not fit takes the place of the one
// with the fewest failures among the four it could stand in for. Which four is a keyed hash, so
// that nobody can aim. An IPv6 address counts as its /64. Layer: service. Thread: any; a lock is
// held for each call.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

#include "base/clock.hpp"
#include "service/auth/address.hpp"
#include "service/auth/keyed_hash.hpp"

namespace sluice::service {

struct FailureLimits {
  std::size_t addresses = 4096;                // a multiple of four
  std::uint32_t free = 5;                      // failures that cost nothing
  std::uint32_t refuse_after = 20;             // so many failures, and the address is refused
  std::chrono::milliseconds first_delay{250};  // of the failure behind the free ones; then doubled
  std::chrono::milliseconds most_delay{4000};
  std::chrono::seconds refuse_for{300};    // then one more failure is enough
  std::chrono::seconds forget_after{900};  // without a failure

  friend bool operator==(const FailureLimits&, const FailureLimits&) = default;
};

class Failures {
 public:
  explicit Failures(FailureLimits limits = {});
  const FailureLimits& limits() const { return limits_; }

  // What an address has earned.
  struct Standing {
    base::Duration refused_for{0};  // above 0: answer 429 and verify nothing
    base::Duration delay{0};        // hold the answer to a failure back for so long
  };
  // Before anything is verified. Credentials that Verified knows need not ask.
  Standing standing(const core::Endpoint& peer, base::Instant now) const;

  // After a failure. `what` is a keyed hash of the credentials, or 0: the same wrong ones again are
  // no new guess and do not count, so that a page whose forty requests carry an old password is one
  // failure. A success changes nothing: it would let anyone with an account guess at another's.
  Standing failed(const core::Endpoint& peer, std::uint64_t what, base::Instant now);

  // A mark for failed().
  std::uint64_t mark(std::string_view user, std::string_view secret) const;

  std::size_t size(base::Instant now) const;  // addresses that are known

 private:
  struct Entry {
    AddressKey address;
    std::uint32_t failures = 0;  // 0: nobody
    std::uint64_t what = 0;
    base::Instant last{};
    base::Instant refused_until{};
  };
  static constexpr std::size_t kWays = 4;

  std::size_t set_of(const AddressKey& address) const;
  bool is_forgotten(const Entry& entry, base::Instant now) const;
  Standing standing_of(const Entry& entry, base::Instant now) const;
  Entry& place_for(const AddressKey& address, base::Instant now);

  const FailureLimits limits_;
  const HashKey key_;
  mutable std::mutex mutex_;
  std::vector<Entry> entries_;  // empty until the first failure
};

}  // namespace sluice::service
