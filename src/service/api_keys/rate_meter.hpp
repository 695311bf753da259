// service/api_keys/rate_meter.hpp - how much of its rate a key has used: one word, without a lock.
//
// The generic cell rate algorithm (ITU-T I.371): `requests` at once, then one more each
// period/requests. Counted in this process alone. Layer: service. Thread: any.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <limits>

#include "base/clock.hpp"
#include "service/api_keys/record.hpp"

namespace sluice::api_keys {

class RateMeter {
 public:
  // Takes one, and answers 0; or takes none, and answers how long it is until there is one.
  // Precondition: rate.requests > 0.
  base::Duration take(const Rate& rate, base::Instant now) {
    const std::int64_t period = base::Duration(rate.period).count();
    const std::int64_t interval = std::max<std::int64_t>(1, period / rate.requests);
    const std::int64_t at = now.time_since_epoch().count();
    std::int64_t before = paid_until_.load(std::memory_order_relaxed);
    for (;;) {
      const std::int64_t from = std::max(before, at);
      const std::int64_t over = from - at - (period - interval);
      if (over > 0) return base::Duration(over);
      if (paid_until_.compare_exchange_weak(before, from + interval, std::memory_order_relaxed)) {
        return base::Duration(0);
      }
    }
  }

 private:
  std::atomic<std::int64_t> paid_until_{std::numeric_limits<std::int64_t>::min()};
};

}  // namespace sluice::api_keys
