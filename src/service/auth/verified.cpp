// service/auth/verified.cpp - see verified.hpp.
//
// Layer: service. Thread: any.
#include "service/auth/verified.hpp"

#include <iterator>
#include <span>

namespace sluice::service {

KeyedHash Verified::hash_of(std::string_view user, std::string_view password) const {
  // The length in front: `a` + `bc` is not `ab` + `c`.
  const std::uint64_t size = user.size();
  return key_({std::as_bytes(std::span(&size, 1)), as_bytes(user), as_bytes(password)});
}

void Verified::drop_front() {
  index_.erase(entries_.front().hash);
  entries_.pop_front();
}

bool Verified::knows(std::string_view user, std::string_view password, std::uint64_t version,
                     base::Instant now) {
  const KeyedHash hash = hash_of(user, password);
  const std::lock_guard lock(mutex_);
  while (!entries_.empty() && entries_.front().expires <= now) drop_front();
  const auto found = index_.find(hash);
  if (found == index_.end()) return false;
  if (found->second->version == version && found->second->expires > now) return true;
  entries_.erase(found->second);
  index_.erase(found);
  return false;
}

void Verified::remember(std::string_view user, std::string_view password, std::uint64_t version,
                        base::Instant now) {
  const KeyedHash hash = hash_of(user, password);
  const std::lock_guard lock(mutex_);
  if (const auto found = index_.find(hash); found != index_.end()) {
    entries_.erase(found->second);
    index_.erase(found);
  }
  if (limits_.entries == 0) return;
  while (entries_.size() >= limits_.entries) drop_front();
  entries_.push_back({hash, version, now + limits_.ttl});
  index_.emplace(hash, std::prev(entries_.end()));
}

void Verified::clear() {
  const std::lock_guard lock(mutex_);
  index_.clear();
  entries_.clear();
}

std::size_t Verified::size() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

}  // namespace sluice::service
