// core/bandwidth.cpp - see bandwidth.hpp.
//
// Layer: core. Thread: any.
#include "core/bandwidth.hpp"

#include <algorithm>

namespace sluice::core {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;
// The price of more does not fit, and no send is that large.
constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 33;

}  // namespace

Bandwidth::Bandwidth(std::uint64_t bytes_per_second)
    : rate_(std::clamp(bytes_per_second, kLeast, kMost)) {}

// In nanoseconds: rounded up, so that never more leaves than may.
std::int64_t Bandwidth::price(std::uint64_t bytes) const {
  const std::uint64_t rate = this->rate();
  return static_cast<std::int64_t>((std::min(bytes, kMostBytes) * kSecond + rate - 1) / rate);
}

base::Duration Bandwidth::reserve(std::uint64_t bytes, base::Instant now) {
  const std::int64_t cost = price(bytes), time = now.time_since_epoch().count();
  std::int64_t paid = paid_.load(std::memory_order_relaxed);
  std::int64_t from = 0;
  do {
    // What was not used is kept for a burst, and no longer.
    from = std::max(paid, time - kBurst.count());
  } while (!paid_.compare_exchange_weak(paid, from + cost, std::memory_order_relaxed));
  return base::Duration(std::max<std::int64_t>(0, from - time));
}

void Bandwidth::give_back(std::uint64_t bytes) {
  // Rounded down: pieces given back are together no more than was reserved.
  const std::uint64_t worth = std::min(bytes, kMostBytes) * kSecond / rate();
  paid_.fetch_sub(static_cast<std::int64_t>(worth), std::memory_order_relaxed);
}

std::size_t Bandwidth::piece() const {
  return static_cast<std::size_t>(std::clamp<std::uint64_t>(rate() / 20, 1024, 256 << 10));
}

void Bandwidth::set_rate(std::uint64_t bytes_per_second) {
  rate_.store(std::clamp(bytes_per_second, kLeast, kMost), std::memory_order_relaxed);
}

base::Duration reserve(Bandwidth* server, Bandwidth* group, std::uint64_t bytes,
                       base::Instant now) {
  base::Duration wait{0};
  for (Bandwidth* one : {server, group}) {
    if (one != nullptr) wait = std::max(wait, one->reserve(bytes, now));
  }
  return wait;
}

void give_back(Bandwidth* server, Bandwidth* group, std::uint64_t bytes) {
  for (Bandwidth* one : {server, group}) {
    if (one != nullptr) one->give_back(bytes);
  }
}

std::size_t piece(const Bandwidth* server, const Bandwidth* group, std::size_t most) {
  for (const Bandwidth* one : {server, group}) {
    if (one != nullptr) most = std::min(most, one->piece());
  }
  return most;
}

}  // namespace sluice::core
