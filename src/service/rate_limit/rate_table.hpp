// service/rate_limit/rate_table.hpp - counts for any number of keys, in memory of one size.
//
// A key may stand in one of eight places, which a keyed hash chooses, so that nobody can aim. A new
// key takes a place that owes nothing; where all eight owe, that of the one that owes least. What
// was displaced is not forgotten: each set has a ninth count, its floor, which owes at least what
// any key that was displaced from the set would still owe, and whoever comes new to the set begins
// with the floor instead of nothing (the idea of the Space-Saving sketch of Metwally et al., 2005).
// So:
//
//   - nobody's count is ever lowered, neither his own by himself nor another's: however many keys
//     come, and in whatever order, none of them gets more than the rule allows;
//   - who owes much stays where he is: seven others would have to owe more;
//   - a key that is refused takes no place and raises no floor;
//   - the price is paid by newcomers to a set that eight others have filled: they begin with what
//     the least of these owed, and are refused when that is the limit, until it has been earned. To
//     do that to one set somebody must find eight keys of it and use up the limit of each; to all
//     sets, more keys than the table has entries, at their full rate.
//
// Layer: service. Thread: any. A lock is held for one look-up, and there are 64 for the sets: two
// shards meet when they ask for the same key, or in one of 64 cases. Counting is exact. Allocates
// when it is made, then never.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "base/check.hpp"
#include "base/clock.hpp"
#include "service/rate_limit/rate_rule.hpp"

namespace sluice::service {

class RateCounts {
 public:
  virtual ~RateCounts() = default;
  // Takes one for the key with this hash, if the answer's `wait` is 0.
  virtual RateCount take(std::uint64_t hash, base::Instant now) = 0;
  // What take() would answer now.
  virtual RateCount peek(std::uint64_t hash, base::Instant now) const = 0;
  virtual std::uint64_t displaced() const = 0;  // ever: who took the place of one that owed
};

// `Algorithm` is TokenBucket or SlidingWindow.
template <class Algorithm>
class RateTable final : public RateCounts {
 public:
  static constexpr std::size_t kWays = 8;

  // Precondition: check(rule) found nothing.
  explicit RateTable(const RateRule& rule)
      : pace_(rule), sets_(rule.entries / kWays), stripes_(kStripes) {
    SLUICE_CHECK(!sets_.empty());
  }

  RateCount take(std::uint64_t hash, base::Instant now) override {
    const std::size_t index = hash % sets_.size();
    Set& set = sets_[index];
    Stripe& stripe = stripes_[index % kStripes];
    const std::lock_guard lock(stripe.mutex);
    const Place place = place_of(set, hash, now);
    Algorithm next = place.state;
    const RateCount count = next.take(pace_, now);
    if (count.wait > base::Duration(0)) return count;
    if (place.displaces) {
      set.floor = place.state;
      ++stripe.displaced;
    }
    set.entries[place.way] = {hash, next};
    return count;
  }

  RateCount peek(std::uint64_t hash, base::Instant now) const override {
    const std::size_t index = hash % sets_.size();
    const std::lock_guard lock(stripes_[index % kStripes].mutex);
    Algorithm next = place_of(sets_[index], hash, now).state;
    return next.take(pace_, now);
  }

  std::uint64_t displaced() const override {
    std::uint64_t sum = 0;
    for (const Stripe& stripe : stripes_) {
      const std::lock_guard lock(stripe.mutex);
      sum += stripe.displaced;
    }
    return sum;
  }

 private:
  static constexpr std::size_t kStripes = 64;
  struct Entry {
    std::uint64_t hash = 0;
    Algorithm state;
  };
  struct Set {
    std::array<Entry, kWays> entries;
    Algorithm floor;
  };
  struct alignas(64) Stripe {
    mutable std::mutex mutex;
    std::uint64_t displaced = 0;  // guarded by mutex
  };
  struct Place {
    std::size_t way = 0;
    Algorithm state;  // what the key begins with
    bool displaces = false;
  };

  Place place_of(const Set& set, std::uint64_t hash, base::Instant now) const {
    std::size_t least = 0;
    std::uint64_t least_debt = ~std::uint64_t{0};
    for (std::size_t way = 0; way < kWays; ++way) {
      const Entry& entry = set.entries[way];
      if (entry.hash == hash) return {way, entry.state, false};
      if (const std::uint64_t debt = entry.state.debt(pace_, now); debt < least_debt) {
        least = way;
        least_debt = debt;
      }
    }
    Place place{least, set.floor, least_debt > 0};
    if (place.displaces) place.state.merge(pace_, set.entries[least].state);
    return place;
  }

  const typename Algorithm::Pace pace_;
  std::vector<Set> sets_;  // a set is guarded by its stripe's mutex
  std::vector<Stripe> stripes_;
};

}  // namespace sluice::service
