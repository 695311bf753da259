// service/auth/failures.cpp - see failures.hpp.
//
// Layer: service. Thread: any.
#include "service/auth/failures.hpp"

#include <algorithm>
#include <cstring>
#include <span>

#include "base/check.hpp"

namespace sluice::service {

Failures::Failures(FailureLimits limits) : limits_(limits) {
  SLUICE_CHECK(limits_.addresses > 0 && limits_.addresses % kWays == 0);
}

std::size_t Failures::set_of(const AddressKey& address) const {
  const KeyedHash hash = key_(std::as_bytes(std::span(address.bytes)));
  return KeyedHashHash{}(hash) % (limits_.addresses / kWays) * kWays;
}

bool Failures::is_forgotten(const Entry& entry, base::Instant now) const {
  return entry.failures == 0 ||
         (now >= entry.refused_until && now - entry.last >= limits_.forget_after);
}

Failures::Standing Failures::standing_of(const Entry& entry, base::Instant now) const {
  Standing standing;
  if (entry.refused_until > now) standing.refused_for = entry.refused_until - now;
  if (entry.failures > limits_.free) {
    base::Duration delay = limits_.first_delay;
    for (std::uint32_t i = limits_.free + 1; i < entry.failures && delay < limits_.most_delay;
         ++i) {
      delay *= 2;
    }
    standing.delay = std::min<base::Duration>(delay, limits_.most_delay);
  }
  return standing;
}

Failures::Standing Failures::standing(const core::Endpoint& peer, base::Instant now) const {
  const AddressKey address = network_key(peer);
  const std::size_t set = set_of(address);
  const std::lock_guard lock(mutex_);
  if (entries_.empty()) return {};
  for (std::size_t i = set; i < set + kWays; ++i) {
    const Entry& entry = entries_[i];
    if (entry.address == address && !is_forgotten(entry, now)) return standing_of(entry, now);
  }
  return {};
}

Failures::Entry& Failures::place_for(const AddressKey& address, base::Instant now) {
  const std::size_t set = set_of(address);
  Entry* place = &entries_[set];
  for (std::size_t i = set; i < set + kWays; ++i) {
    Entry& entry = entries_[i];
    if (is_forgotten(entry, now)) entry = {};
    if (entry.failures > 0 && entry.address == address) return entry;
    if (entry.failures < place->failures ||
        (entry.failures == place->failures && entry.last < place->last)) {
      place = &entry;
    }
  }
  *place = {};
  place->address = address;
  return *place;
}

Failures::Standing Failures::failed(const core::Endpoint& peer, std::uint64_t what,
                                    base::Instant now) {
  const std::lock_guard lock(mutex_);
  if (entries_.empty()) entries_.resize(limits_.addresses);
  Entry& entry = place_for(network_key(peer), now);
  entry.last = now;
  if (what == 0 || what != entry.what || entry.failures == 0) {
    if (entry.failures < limits_.refuse_after) ++entry.failures;
    if (entry.failures >= limits_.refuse_after) entry.refused_until = now + limits_.refuse_for;
  }
  entry.what = what;
  return standing_of(entry, now);
}

std::uint64_t Failures::mark(std::string_view user, std::string_view secret) const {
  // A hash of two hashes: no two pairs run together.
  const KeyedHash parts[] = {key_(as_bytes(user)), key_(as_bytes(secret))};
  const KeyedHash hash = key_(std::as_bytes(std::span(parts)));
  std::uint64_t mark = 0;
  std::memcpy(&mark, hash.data(), sizeof mark);
  return mark;
}

std::size_t Failures::size(base::Instant now) const {
  const std::lock_guard lock(mutex_);
  return static_cast<std::size_t>(
      std::count_if(entries_.begin(), entries_.end(),
                    [&](const Entry& entry) { return !is_forgotten(entry, now); }));
}

}  // namespace sluice::service
