// base/clock.hpp - time as the shards see it: nanoseconds on a clock that never goes back.
//
// Layer: base. A shard reads the clock once a wake-up; on the sim engine the test is the clock.
#pragma once

#include <chrono>
#include <cstdint>

namespace sluice::base {

using Duration = std::chrono::nanoseconds;
using Instant = std::chrono::time_point<std::chrono::steady_clock, Duration>;

inline constexpr Instant never = Instant::max();

inline Instant read_clock() { return std::chrono::steady_clock::now(); }

// The time to measure a wait for `until` from: `turn`, when that is far away, for then a turn's
// length does not matter; else the clock.
inline Instant clock_for(Instant until, Instant turn) {
  return until - turn > std::chrono::milliseconds(100) ? turn : read_clock();
}

}  // namespace sluice::base
