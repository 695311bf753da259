// service/rate_limit/sliding_window.hpp - at most so many in any window, wherever it begins.
//
// A window is cut into seven slices, and eight are counted: the one that has begun and seven whole
// ones. So nothing of the last window is ever forgotten, and the limit holds exactly; what lies
// behind is remembered for up to a seventh of a window too long. Layer: service. Values; whoever
// shares one locks it.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>

#include "base/clock.hpp"
#include "service/rate_limit/rate_rule.hpp"

namespace sluice::service {

class SlidingWindow {
 public:
  static constexpr std::uint32_t kSlices = 7;

  class Pace {
   public:
    explicit Pace(const RateRule& rule)
        : slice_((base::Duration(rule.window).count() + kSlices - 1) / kSlices),
          requests_(rule.requests) {}

   private:
    friend class SlidingWindow;
    base::Duration slice_;
    std::uint32_t requests_;
  };

  std::uint64_t debt(const Pace& pace, base::Instant now) const {
    SlidingWindow later = *this;
    later.advance(number(pace, now));
    return later.sum();
  }

  void merge(const Pace&, const SlidingWindow& other) {
    SlidingWindow later = other;
    later.advance(slice_);
    advance(later.slice_);
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      counts_[i] = std::max(counts_[i], later.counts_[i]);
    }
  }

  // As TokenBucket::take.
  RateCount take(const Pace& pace, base::Instant now) {
    advance(number(pace, now));
    RateCount count;
    if (const std::uint32_t taken = sum(); taken < pace.requests_) {
      ++counts_[slice_ % counts_.size()];
      count.remaining = pace.requests_ - taken - 1;
    } else {
      count.wait = forgotten_in(pace, now);
    }
    if (count.remaining == 0) count.refill_in = forgotten_in(pace, now);
    return count;
  }

 private:
  // 2^32 slices are 19 years of the shortest window; the clock counts from the machine's start.
  static std::uint32_t number(const Pace& pace, base::Instant now) {
    return static_cast<std::uint32_t>(now.time_since_epoch() / pace.slice_);
  }

  // A slice before the newest is that of a shard that reads its clock less often: counted there.
  void advance(std::uint32_t now) {
    if (now <= slice_) return;
    if (now - slice_ >= counts_.size()) {
      counts_ = {};
    } else {
      for (std::uint32_t slice = slice_ + 1; slice <= now; ++slice) {
        counts_[slice % counts_.size()] = 0;
      }
    }
    slice_ = now;
  }

  std::uint32_t sum() const {
    return std::accumulate(counts_.begin(), counts_.end(), std::uint32_t{0});
  }

  // How long until so many are forgotten that one may be taken.
  base::Duration forgotten_in(const Pace& pace, base::Instant now) const {
    std::uint32_t left = sum();
    for (auto age = static_cast<std::uint32_t>(counts_.size()); age-- > 0;) {
      left -= counts_[(slice_ - age) % counts_.size()];
      if (left >= pace.requests_) continue;
      return base::Instant(pace.slice_ * (std::int64_t{slice_} - age + kSlices + 1)) - now;
    }
    return {};
  }

  std::array<std::uint16_t, kSlices + 1> counts_{};  // of the slice n at n % 8
  std::uint32_t slice_ = 0;                          // the newest
};

static_assert(RateRule::kMostSlidingRequests <= std::numeric_limits<std::uint16_t>::max());

}  // namespace sluice::service
