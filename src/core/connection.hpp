// core/connection.hpp - what is known of one connection, behind the public handle.
//
// The front derives from it, so that a connection is one object. Handles share it: it goes with the
// last of them, the socket long before. Layer: core. Thread: as each member says.
#pragma once

#include <any>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>

#include <sluice/authentication.hpp>
#include <sluice/connection.hpp>
#include <sluice/error.hpp>
#include <sluice/tls_info.hpp>

#include "base/task.hpp"
#include "core/destination.hpp"
#include "core/endpoint.hpp"
#include "core/front.hpp"
#include "core/home.hpp"

namespace sluice::core {

class Bandwidth;
class Shard;
class WebSocket;
struct DeflateContexts;
struct UrlGroupView;
struct PoolQueue;

// A connection that has become a byte stream is that stream. Laid out so that ten thousand idle
// ones take little: what few have is behind `extras_`, what many share behind `home` and the
// destination.
class Connection : public ByteStream {
 public:
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Thread: any.
  void retain() { refs_.fetch_add(1, std::memory_order_relaxed); }
  void release() {
    if (refs_.fetch_sub(1, std::memory_order_acq_rel) == 1) destroy();
  }
  sluice::Connection handle() {
    retain();
    return sluice::Connection(this);
  }
  static Connection* of(const sluice::Connection& handle) { return handle.connection_; }

  ConnectionId id() const;

  bool is_open() const { return open_.load(std::memory_order_acquire); }
  bool is_websocket() const { return websocket_flag_.load(std::memory_order_acquire); }

  // Runs `task` on the shard, at once when called there. `bytes` is what the task keeps alive.
  SendStatus run_on_shard(base::Task task, std::size_t bytes);
  bool on_own_shard() const;

  Mailbox& mailbox() const { return *destination().home->mailbox; }
  // Null: nobody in particular. Lives as long as the connection.
  const Identity* identity() const;
  // Views live as long as the connection.
  const Destination& destination() const {
    return *std::atomic_ref(destination_).load(std::memory_order_acquire);
  }
  std::chrono::system_clock::time_point created_at() const {
    return std::chrono::system_clock::time_point(std::chrono::seconds(created_seconds_));
  }
  std::chrono::system_clock::time_point last_message_at() const {
    return std::chrono::system_clock::time_point(
        std::chrono::seconds(last_message_seconds.load(std::memory_order_relaxed)));
  }

  // Thread: the shard.
  Home& home() const { return *destination_->home; }
  Shard& shard() const { return *home().shard; }
  // Once, before on_connect. Somebody may be reading the one before: it stays until this goes.
  void set_destination(DestinationRef destination);
  // From attach() until it has ended.
  WebSocket* websocket() const;
  // Who opened the WebSocket. Once, before any of its events.
  void set_identity(const Identity& identity);
  // Made at the first call, on the shard or in a handler of this connection.
  std::any& data();
  // False: the group has as many connections as it may have. Counted once, until leave_groups().
  bool enter_group(const UrlGroupView& group);
  void leave_groups();
  // Whose limit of bandwidth what is sent from now on counts for, beside the server's. Null: none.
  void charge(const std::shared_ptr<Bandwidth>& group);
  const std::shared_ptr<Bandwidth>& bandwidth() const;
  // There is a limit of bandwidth: all that is sent is looked at.
  bool is_paced() const { return paced_; }
  void pace() { paced_ = true; }
  // Of this WebSocket's messages, where its URL group says it; else 0.
  std::uint64_t message_bytes() const;
  void limit_messages(std::uint64_t bytes);
  // What its compressed messages refer to, with context takeover. Made at the first call.
  DeflateContexts& deflate_contexts();
  // Events that wait for the thread pool. Made on the shard, before any of them runs.
  PoolQueue& pool_queue();

  // Fields in the order that packs them best.

  // Thread: the shard.
  StreamPtr stream;  // who is told, once this is a byte stream

  // Thread: written on the shard, read on any.
  std::atomic<std::uint64_t> bytes_received{0}, bytes_sent{0};
  std::atomic<std::uint32_t> last_message_seconds{0};  // system clock; 0: none yet

  // Set before any handle is given out; not changed afterwards.
  std::uint32_t slot = 0, generation = 0;
  Endpoint remote;

  // Thread: written on the shard, read on any. So much waits to be sent that not even this
  // connection's own handlers on the pool may send.
  std::atomic<bool> send_full{false};

  // Set when it is made. Another connection carries it: it has no socket of its own.
  bool is_tunnel() const { return is_tunnel_; }
  // Any. What TLS has agreed on: null without it, or before. Lives as long as the connection.
  virtual const TlsInfo* tls() const { return nullptr; }
  // Shard. Ends the connection at once (the front's business).
  virtual void disconnect(const Error& why) = 0;
  // Shard. Reading stops while the thread pool has too much of this connection.
  virtual void pool_pause() = 0;
  virtual void pool_resume() = 0;

 protected:
  explicit Connection(DestinationRef destination);
  virtual ~Connection();
  // The last use is gone. Thread: any.
  virtual void destroy() { delete this; }
  void set_open(bool open) { open_.store(open, std::memory_order_release); }

 private:
  friend class WebSocket;
  struct Extras;
  Extras& extras();

  std::atomic<bool> open_{true}, websocket_flag_{false};

 protected:
  // What a front remembers of its socket: here, because there is room.
  bool in_event_ : 1 = false;  // what is queued leaves at the end of on_received
  bool dirty_ : 1 = false, reading_paused_ : 1 = false, stream_paused_ : 1 = false,
                over_budget_ : 1 = false, peer_ended_ : 1 = false, pool_paused_ : 1 = false;
  bool close_after_ : 1 = false;  // no further request is read
  bool closing_ : 1 = false;      // close as soon as the queue is empty
  bool linger_ : 1 = false;       // with a FIN first, and reading on until the peer's
  bool lingering_ : 1 = false;    // the FIN has been sent
  bool close_called_ : 1 = false, closed_ : 1 = false;
  bool paced_ : 1 = false;
  bool secured_ : 1 = false;      // TLS stands between it and the engine
  bool multiplexed_ : 1 = false;  // it speaks HTTP/2
  bool is_tunnel_ : 1 = false;    // it is a stream of one that does

 private:
  std::atomic<std::uint32_t> refs_{1};
  const std::uint32_t created_seconds_;
  // Written on the shard, which may read it plainly.
  mutable const Destination* destination_;
  // Made at the first use, on the shard or in a handler of this connection.
  std::atomic<Extras*> extras_{nullptr};
};

}  // namespace sluice::core
