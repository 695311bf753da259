// service/rate_limit/token_bucket.hpp - a rate and a burst, in one number.
//
// The bucket is not filled by anybody: what is kept is the time at which everything that was taken
// will have been earned (the generic cell rate algorithm of ITU-T I.371). Layer: service. Values;
// whoever shares one locks it.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/clock.hpp"
#include "service/rate_limit/rate_rule.hpp"

namespace sluice::service {

class TokenBucket {
 public:
  // What all buckets of a rule have in common.
  class Pace {
   public:
    explicit Pace(const RateRule& rule)
        : interval_((base::Duration(rule.window).count() + rule.requests - 1) / rule.requests),
          burst_(rule.burst != 0 ? rule.burst : rule.requests) {}

   private:
    friend class TokenBucket;
    base::Duration interval_;  // in which one is earned, rounded up: never more than `requests`
    std::uint32_t burst_;
  };

  // How much of it is not yet earned; zero: it is as good as new.
  std::uint64_t debt(const Pace&, base::Instant now) const {
    return static_cast<std::uint64_t>(std::max<base::Duration>(paid_ - now, {}).count());
  }

  // Owes from now on at least what `other` owes, at any time.
  void merge(const Pace&, const TokenBucket& other) { paid_ = std::max(paid_, other.paid_); }

  // Takes one, if the answer's `wait` is 0. A time before one that was seen already (a shard that
  // reads its clock less often) earns nothing.
  RateCount take(const Pace& pace, base::Instant now) {
    const base::Duration room = pace.interval_ * (pace.burst_ - 1);
    RateCount count;
    if (paid_ - now > room) {
      count.wait = count.refill_in = paid_ - now - room;
      return count;
    }
    paid_ = std::max(paid_, now) + pace.interval_;
    const base::Duration left = room + pace.interval_ - (paid_ - now);
    count.remaining = static_cast<std::uint32_t>(left / pace.interval_);
    if (count.remaining == 0) count.refill_in = pace.interval_ - left;
    return count;
  }

 private:
  base::Instant paid_{};
};

}  // namespace sluice::service
