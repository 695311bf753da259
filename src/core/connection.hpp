// core/connection.hpp - what is known of one connection, behind the public handle.
//
// The front derives from it, so that a connection is one object. Handles share it: it goes with the
// last of them, the socket long before. Layer: core. Thread: as each member says.
#pragma once

#include <any>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/connection.hpp>
#include <sluice/error.hpp>

#include "base/task.hpp"
#include "core/endpoint.hpp"
#include "core/mailbox.hpp"

namespace sluice::core {

class Shard;
class WebSocket;
struct PoolQueue;

// Makes connection ids unguessable: one block cipher under a key of this process.
struct IdCipher {
  using Block = std::array<std::byte, 16>;
  std::function<Block(const Block&)> encrypt, decrypt;
};

class Connection {
 public:
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Thread: any.
  void retain() { refs_.fetch_add(1, std::memory_order_relaxed); }
  void release() {
    if (refs_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
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

  // Set before any handle is given out, or (url, protocol) before on_connect; not changed
  // afterwards.
  std::shared_ptr<Mailbox> mailbox;
  std::shared_ptr<const IdCipher> cipher;
  Endpoint remote, local;
  std::string url, protocol;
  std::chrono::system_clock::time_point created_at;
  std::uint32_t shard_index = 0, slot = 0, generation = 0;

  // Thread: written on the shard, read on any.
  std::atomic<std::uint64_t> bytes_received{0}, bytes_sent{0};
  std::atomic<std::int64_t> last_message_ns{0};  // system clock
  // So much waits to be sent that not even this connection's own handlers on the pool may send.
  std::atomic<bool> send_full{false};

  // Thread: the shard.
  Shard* shard = nullptr;           // null once closed
  WebSocket* websocket = nullptr;   // owned by the front as StreamEvents
  std::any data;                    // handlers of this connection
  PoolQueue* pool_queue = nullptr;  // events that wait for the thread pool

  // Shard. Ends the connection at once (the front's business).
  virtual void disconnect(const Error& why) = 0;
  // Shard. Reading stops while the thread pool has too much of this connection.
  virtual void pool_pause() = 0;
  virtual void pool_resume() = 0;

 protected:
  Connection() = default;
  virtual ~Connection();
  void set_open(bool open) { open_.store(open, std::memory_order_release); }

 private:
  friend class WebSocket;
  std::atomic<std::uint32_t> refs_{1};
  std::atomic<bool> open_{true}, websocket_flag_{false};
};

}  // namespace sluice::core
