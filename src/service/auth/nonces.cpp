// service/auth/nonces.cpp - see nonces.hpp.
//
// Layer: service. Thread: any.
#include "service/auth/nonces.hpp"

#include <array>
#include <cstring>
#include <span>

#include "crypto/base64.hpp"

namespace sluice::service {
namespace {

constexpr std::size_t kIdBytes = 16;
constexpr std::size_t kMacBytes = 16;
constexpr std::size_t kNonceChars = 43;  // both in base64url

using NonceBytes = std::array<std::byte, kIdBytes + kMacBytes>;

std::int64_t nanoseconds(base::Instant time) { return time.time_since_epoch().count(); }

}  // namespace

std::string Nonces::issue(base::Instant now) const {
  NonceBytes bytes;
  const std::int64_t issued = nanoseconds(now);
  std::memcpy(bytes.data(), &issued, sizeof issued);
  crypto::random_bytes(std::span(bytes).subspan(sizeof issued, sizeof(Id::random)));
  const KeyedHash mac = key_(Bytes(bytes).first(kIdBytes));
  std::memcpy(bytes.data() + kIdBytes, mac.data(), kMacBytes);
  return crypto::base64url(bytes);
}

std::optional<Nonces::Id> Nonces::read(std::string_view nonce, base::Instant now) const {
  if (nonce.size() != kNonceChars) return std::nullopt;
  std::array<std::byte, crypto::base64_room(kNonceChars)> bytes;
  if (crypto::decode_base64url(nonce, bytes) != kIdBytes + kMacBytes) return std::nullopt;
  const KeyedHash mac = key_(Bytes(bytes).first(kIdBytes));
  if (!crypto::same_secret(Bytes(mac).first(kMacBytes),
                           Bytes(bytes).subspan(kIdBytes, kMacBytes))) {
    return std::nullopt;
  }
  Id id;
  std::memcpy(&id.issued, bytes.data(), sizeof id.issued);
  std::memcpy(&id.random, bytes.data() + sizeof id.issued, sizeof id.random);
  if (nanoseconds(now) - id.issued >= base::Duration(limits_.ttl).count()) return std::nullopt;
  return id;
}

bool Nonces::is_fresh(std::string_view nonce, base::Instant now) const {
  return read(nonce, now).has_value();
}

// Forgets what was issued at `oldest` or before, and the oldest when there is no room.
void Nonces::make_room(std::int64_t oldest) {
  while (!tracked_.empty() &&
         (tracked_.begin()->first.issued <= oldest || tracked_.size() >= limits_.tracked)) {
    if (!dropped_ || *dropped_ < tracked_.begin()->first) dropped_ = tracked_.begin()->first;
    tracked_.erase(tracked_.begin());
  }
}

NonceVerdict Nonces::use(std::string_view nonce, std::uint32_t count, base::Instant now) {
  const auto id = read(nonce, now);
  if (!id || count == 0) return NonceVerdict::stale;
  const std::lock_guard lock(mutex_);
  auto found = tracked_.find(*id);
  if (found == tracked_.end()) {
    if (dropped_ && !(*dropped_ < *id)) return NonceVerdict::stale;
    make_room(nanoseconds(now) - base::Duration(limits_.ttl).count());
    if (dropped_ && !(*dropped_ < *id)) return NonceVerdict::stale;
    found = tracked_.emplace(*id, Counts{}).first;
  }
  Counts& counts = found->second;
  if (count > counts.highest) {
    const std::uint32_t ahead = count - counts.highest;
    counts.seen = (ahead < kWindow ? counts.seen << ahead : 0) | 1;
    counts.highest = count;
    return NonceVerdict::good;
  }
  const std::uint32_t behind = counts.highest - count;
  if (behind >= kWindow) return NonceVerdict::stale;
  const std::uint64_t bit = std::uint64_t{1} << behind;
  if ((counts.seen & bit) != 0) return NonceVerdict::replayed;
  counts.seen |= bit;
  return NonceVerdict::good;
}

std::size_t Nonces::size() const {
  const std::lock_guard lock(mutex_);
  return tracked_.size();
}

}  // namespace sluice::service
