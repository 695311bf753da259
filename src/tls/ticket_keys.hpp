// tls/ticket_keys.hpp - the keys that session tickets are sealed with, and their change with time.
//
// RFC 5077 section 4 (what a ticket is), RFC 8446 section 4.6.1. A server keeps nothing of a
// session: the ticket holds it, and whoever has the key can read it. So a key seals tickets for one
// period and opens them for two; the one before it seals, it is in memory only. Layer: tls. Thread:
// any: all shards share one.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <mutex>

#include <sluice/bytes.hpp>

#include "base/clock.hpp"

namespace sluice::tls {

// One key. Wiped when it goes.
struct TicketKey {
  std::array<std::byte, 16> name{};    // in clear, in front of each ticket
  std::array<std::byte, 32> cipher{};  // AES-256
  std::array<std::byte, 32> mac{};     // HMAC-SHA256

  TicketKey() = default;
  TicketKey(const TicketKey&) = default;
  TicketKey& operator=(const TicketKey&) = default;
  ~TicketKey();
};

class TicketKeys {
 public:
  static constexpr base::Duration kPeriod = std::chrono::hours(12);

  // Random keys. `period` is how long new tickets are sealed with one of them.
  explicit TicketKeys(base::Instant now, base::Duration period = kPeriod);
  TicketKeys(const TicketKeys&) = delete;
  TicketKeys& operator=(const TicketKeys&) = delete;

  // Changes the keys when it is time: the next one becomes the current one, that becomes the
  // previous one, and the one before is wiped. After two periods without a call all are new. Called
  // by a timer; how late it is only makes keys live longer.
  void turn(base::Instant now);

  base::Duration period() const { return period_; }
  TicketKey current() const;

  enum class Match { none, current, other };
  // The key of this name; `other` is the previous or the next one: the client gets a new ticket.
  Match find(Bytes name, TicketKey& key) const;

 private:
  static constexpr std::size_t kPrevious = 0, kCurrent = 1, kNext = 2;

  const base::Duration period_;
  mutable std::mutex mutex_;
  base::Instant change_;
  std::array<TicketKey, 3> keys_;
};

}  // namespace sluice::tls
