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

}  // namespace sluice::base
