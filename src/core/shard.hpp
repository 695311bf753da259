// core/shard.hpp - what one thread owns: time, memory, connections, channels.
//
// The front drives it: each turn begins with begin_turn(), then events, then the mailbox and the
// timers. Layer: core. Thread: its own; post() and the counters from any.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base/block.hpp"
#include "base/cells.hpp"
#include "base/clock.hpp"
#include "base/timer_wheel.hpp"
#include "core/broadcast_run.hpp"
#include "core/channel.hpp"
#include "core/destination.hpp"
#include "core/home.hpp"
#include "core/incoming.hpp"
#include "core/mailbox.hpp"
#include "core/registry.hpp"
#include "core/scratch.hpp"

namespace sluice::core {

class Exchange;
class ServerSession;

// Written by the shard without locked operations, read by anyone.
class Counter {
 public:
  void add(std::uint64_t n = 1) {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  void subtract(std::uint64_t n = 1) {
    value_.store(value_.load(std::memory_order_relaxed) - n, std::memory_order_relaxed);
  }
  void set(std::uint64_t n) { value_.store(n, std::memory_order_relaxed); }
  std::uint64_t get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

struct ShardCounters {
  Counter connections, websockets, accepted, requests, rejected, messages_received, messages_sent,
      bytes_received, bytes_sent, receive_buffers_exhausted, slow_readers, messages_dropped;
};

class Shard {
 public:
  Shard(ServerSession& session, std::uint32_t index, base::BlockPool& blocks, base::Instant now);
  ~Shard();
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;

  // The shard whose thread this is, or null.
  static Shard* current();
  static void set_current(Shard* shard);

  void begin_turn(base::Instant now);
  // Posts, then timers. True when more posts wait: the next turn is due at once.
  bool finish_turn();

  // "Sun, 06 Nov 1994 08:49:37 GMT", of this turn.
  std::string_view date() const { return {date_, sizeof date_}; }
  std::int64_t wall_seconds() const { return wall_seconds_; }

  Exchange* take_exchange();  // with one use
  void give_back(Exchange* exchange);

  // Called after each handler: reports the one that held this thread's shard, if it has one, for
  // longer than the limit.
  static void handler_ended(std::string_view name);

  ServerSession& session;
  std::weak_ptr<void> self;  // whatever owns this shard and its memory; a Late keeps it
  const std::uint32_t index;
  base::BlockPool& blocks;
  base::Instant now;
  base::TimerWheel timers;
  Scratch scratch;
  const std::shared_ptr<Mailbox> mailbox;
  Home* const home;  // one use is ours
  Destinations destinations{home};
  Registry registry;
  Channels channels;
  std::vector<WebSocket*> websockets;  // every open one, in no order
  base::Cells websocket_cells;         // in which they lie
  IncomingPool incoming;               // of those that have part of a message
  BroadcastRun broadcasts;             // of this turn
  ShardCounters counters;
  std::size_t queued_bytes = 0;  // waiting to be sent, all connections
  bool draining = false;

 private:
  static constexpr std::size_t kIdleExchanges = 256;
  // Room for so many is set apart: pages that nobody touches cost nothing, growing leaves holes.
  static constexpr std::size_t kExpected = 65536;
  void report_stall(std::string_view name, std::int64_t nanoseconds);
  base::Instant date_until_{};
  std::int64_t wall_seconds_ = 0;
  const std::int64_t handler_limit_ns_;  // 0: none
  std::int64_t coarse_ns_ = 0;           // when the turn began or the last handler ended
  char date_[29];
  Exchange* idle_ = nullptr;  // the first of a list
  std::size_t idle_count_ = 0;
};

}  // namespace sluice::core
