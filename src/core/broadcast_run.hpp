// core/broadcast_run.hpp - broadcasts of one turn to the same WebSockets, handed out together.
//
// Sixteen messages to a thousand WebSockets are one walk over the thousand, not sixteen: a walk
// costs a cache miss or two for each. Before a long walk the shard looks twice whether more has
// come. What else is written to a WebSocket, and each change of who
// listens, calls hand_out() first, so that nobody sees another order than without it.
// Layer: core. Thread: shard.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include <sluice/bytes.hpp>

#include "base/block.hpp"

namespace sluice::core {

class WebSocket;

class BroadcastRun {
 public:
  static constexpr std::size_t kFrames = 64;
  // A walk over so many costs more than a look at what else has come.
  static constexpr std::size_t kWorthALook = 256;
  // Looks that find no other frame, and looks in all.
  static constexpr std::uint8_t kVainLooks = 2, kLooks = 16;

  // A frame for all of `members`, in a block that keeps it. One that stands right behind the last
  // joins its run; else the run so far is handed out before.
  void add(const std::vector<WebSocket*>& members, base::Block& block, Bytes frame);
  bool waits() const { return members_ != nullptr; }
  // At the end of a turn: whether the walk had better wait for the next, which must not sleep.
  bool should_wait() {
    if (!members_ || members_->size() < kWorthALook) return false;
    vain_ = count_ == seen_ ? std::uint8_t(vain_ + 1) : std::uint8_t(0);
    seen_ = count_;
    return vain_ < kVainLooks && ++looks_ <= kLooks;
  }
  void hand_out() {
    if (members_) give_to_all(false);
  }
  // At the end of the turn: nothing is written behind them any more, so each WebSocket sends what
  // it has got while it is in the cache.
  void hand_out_and_send() {
    if (members_) give_to_all(true);
  }

 private:
  void give_to_all(bool send);

  const std::vector<WebSocket*>* members_ = nullptr;  // null: nothing waits
  base::BlockRef block_;
  Bytes run_;
  std::size_t count_ = 0, seen_ = 0;  // frames; those of the last look
  std::uint8_t vain_ = 0, looks_ = 0;
  std::array<std::uint32_t, kFrames> sizes_;  // of each frame
};

}  // namespace sluice::core
