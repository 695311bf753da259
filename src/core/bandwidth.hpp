// core/bandwidth.hpp - how long a send must wait so that no more bytes leave than may.
//
// limits.bandwidth of a server, and of a URL group (docs/reference/http-server-api.md, section
// 1.8). A token bucket for bytes, kept as the time at which all that was sent will have been paid
// for. Layer: core. Thread: any; shards share one without a lock.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/clock.hpp"

namespace sluice::core {

// A send first reserves its bytes, then waits as long as it is told, then leaves. So sends leave in
// the order in which they came, whichever shards they come from, and there is no race to lose: in
// any stretch of time leave at most the bytes of its length, those of the burst, and one piece.
class Bandwidth {
 public:
  static constexpr std::uint64_t kLeast = 1024;  // bytes per second
  static constexpr std::uint64_t kMost = std::uint64_t{1} << 40;
  static constexpr base::Duration kBurst = std::chrono::milliseconds(50);

  // `bytes_per_second` is brought into kLeast to kMost.
  explicit Bandwidth(std::uint64_t bytes_per_second);
  Bandwidth(const Bandwidth&) = delete;
  Bandwidth& operator=(const Bandwidth&) = delete;

  // How long a send of `bytes` must wait; 0: it may leave now. The bytes are counted at once. `now`
  // may be the time of a turn: an old one makes the wait no shorter than it has to be, seen from
  // the clock. At most piece() bytes should be asked for at a time, for all others wait as well.
  base::Duration reserve(std::uint64_t bytes, base::Instant now);
  // Of what was reserved, `bytes` will not leave: the kernel took less, or the connection has gone.
  // Before the next rate is set.
  void give_back(std::uint64_t bytes);

  // What a send is cut into: a twentieth of a second's bytes, 1 KiB to 256 KiB.
  std::size_t piece() const;

  std::uint64_t rate() const { return rate_.load(std::memory_order_relaxed); }
  // From the next reservation on; what was reserved before stays as it was priced.
  void set_rate(std::uint64_t bytes_per_second);

 private:
  std::int64_t price(std::uint64_t bytes) const;

  std::atomic<std::uint64_t> rate_;
  std::atomic<std::int64_t> paid_{0};  // when all will have been paid for, as Instant's count
};

// A send that counts for a server and for its URL group: both are charged, the longer wait holds.
// Null: no limit.
base::Duration reserve(Bandwidth* server, Bandwidth* group, std::uint64_t bytes, base::Instant now);
void give_back(Bandwidth* server, Bandwidth* group, std::uint64_t bytes);
// The smaller of both pieces; `most` where there is no limit.
std::size_t piece(const Bandwidth* server, const Bandwidth* group, std::size_t most);

}  // namespace sluice::core
