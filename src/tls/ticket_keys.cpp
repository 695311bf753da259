// tls/ticket_keys.cpp - see ticket_keys.hpp.
//
// RFC 5077. Layer: tls. Thread: any.
#include "tls/ticket_keys.hpp"

#include <algorithm>

#include "base/check.hpp"
#include "crypto/digest.hpp"
#include "crypto/secret.hpp"

namespace sluice::tls {
namespace {

TicketKey random_key() {
  TicketKey key;
  crypto::random_bytes(key.name);
  crypto::random_bytes(key.cipher);
  crypto::random_bytes(key.mac);
  return key;
}

}  // namespace

TicketKey::~TicketKey() {
  crypto::wipe(cipher);
  crypto::wipe(mac);
}

TicketKeys::TicketKeys(base::Instant now, base::Duration period)
    : period_(period), change_(now + period) {
  SLUICE_CHECK(period > base::Duration::zero());
  for (TicketKey& key : keys_) key = random_key();
}

void TicketKeys::turn(base::Instant now) {
  const std::lock_guard lock(mutex_);
  for (std::size_t times = 0; change_ <= now && times < keys_.size(); ++times) {
    keys_[kPrevious] = keys_[kCurrent];
    keys_[kCurrent] = keys_[kNext];
    keys_[kNext] = random_key();
    change_ += period_;
  }
  if (change_ <= now) change_ = now + period_;
}

TicketKey TicketKeys::current() const {
  const std::lock_guard lock(mutex_);
  return keys_[kCurrent];
}

TicketKeys::Match TicketKeys::find(Bytes name, TicketKey& key) const {
  const std::lock_guard lock(mutex_);
  for (std::size_t i = 0; i < keys_.size(); ++i) {
    if (!std::equal(name.begin(), name.end(), keys_[i].name.begin(), keys_[i].name.end())) continue;
    key = keys_[i];
    return i == kCurrent ? Match::current : Match::other;
  }
  return Match::none;
}

}  // namespace sluice::tls
