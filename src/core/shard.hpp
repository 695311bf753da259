// core/shard.hpp - what one thread owns: time, memory, connections, channels.
//
// The front drives it: each turn begins with begin_turn(), then events, then the mailbox and the
// timers. Layer: core. Thread: its own; post() and the counters from any.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/block.hpp"
#include "base/cells.hpp"
#include "base/clock.hpp"
#include "base/timer_wheel.hpp"
#include "core/broadcast_run.hpp"
#include "core/channel.hpp"
#include "core/deflate_pool.hpp"
#include "core/destination.hpp"
#include "core/encoder_pool.hpp"
#include "core/gate.hpp"
#include "core/heartbeat.hpp"
#include "core/home.hpp"
#include "core/incoming.hpp"
#include "core/mailbox.hpp"
#include "core/registry.hpp"
#include "core/scratch.hpp"
#include "core/sends.hpp"
#include "core/url_router.hpp"

namespace sluice::core {

class EventStream;
class Exchange;
class ServerSession;
class Upstreams;
struct SessionSettings;

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
      messages_compressed, bytes_received, bytes_sent, receive_buffers_exhausted, slow_readers,
      messages_dropped, bytes_queued;
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

  // The handler that holds this shard now; empty: none, or nobody wants to know. Thread: any.
  std::string running_handler() const;
  // Called before each handler, where its name is wanted.
  static void handler_begins(std::string_view name);

  // In force; the same until the end of the turn.
  const SessionSettings& settings() const { return *settings_; }
  void set_settings(std::shared_ptr<const SessionSettings> settings);
  // Of requests that come from here on; those under way keep theirs. Null: everybody may.
  KeptGate* gate() const { return gate_; }
  void set_gate(std::unique_ptr<KeptGate> gate);

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
  DeflatePool deflate;
  EncoderPool encoders;  // of answers
  UrlRouter urls;
  std::vector<Exchange*> in_queue;  // whose queue is inactive, with one use each
  Heartbeat heartbeat;
  EndedSends ended_sends;                // told of at the end of the turn
  Upstreams* upstreams = nullptr;        // the front's
  EventStream* event_streams = nullptr;  // the first of a list
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
  std::shared_ptr<const SessionSettings> settings_;
  KeptGate* gate_ = nullptr;       // one use is ours
  std::int64_t handler_limit_ns_;  // 0: none
  std::int64_t coarse_ns_ = 0;     // when the turn began or the last handler ended
  char date_[29];
  std::atomic<const std::string*> running_{nullptr};
  std::map<std::string, std::string, std::less<>> names_;  // of handlers, for as long as this lives
  Exchange* idle_ = nullptr;                               // the first of a list
  std::size_t idle_count_ = 0;
};

}  // namespace sluice::core
