// io/sim/sim_engine.hpp - an engine without a kernel and without a clock, for tests of everything
// above it.
//
//   SimNetwork network;
//   SimEngine engine(network);
//   auto [fd, peer] = network.open_connection();
//   engine.adopt(socket, fd, events);          // or: listen() on network.open_listener(), then
//   network.connect() peer.send("GET / HTTP/1.1\r\n\r\n"); engine.run(); // turns until nothing
//   more happens EXPECT_EQ(peer.take_received(), "..."); network.advance(std::chrono::seconds(30));
//   // time passes only here engine.run();
//
// What can be arranged: how many bytes each on_received carries (deliver_at_most), how many bytes a
// peer takes (window), ends, resets and closes of the peer, and that the Nth receive, send, accept
// or adoption fails (fail_nth). Several engines may share a network, so that a connection detached
// from one can be adopted by another. Descriptors are numbers that no process has; those of files
// given to send_file are real. Layer: io. Thread: one for all of it, except wake().
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io/activity_pool.hpp"
#include "io/engine.hpp"
#include "io/failure.hpp"
#include "io/kept_blocks.hpp"
#include "io/socket_list.hpp"

namespace sluice::io {

class SimEngine;

// Both directions of one simulated connection.
struct SimConnection {
  std::string to_server, to_peer;
  std::size_t window = SIZE_MAX;  // bytes that the peer still takes
  bool peer_ended = false, peer_reset = false, peer_closed = false;
  bool server_ended = false, server_reset = false, server_closed = false;
  Errc failure = Errc::none;  // what the engine will tell
};

// The far end of a connection. A value: copies are the same peer.
class SimPeer {
 public:
  SimPeer() = default;

  void send(std::string_view bytes) { state_->to_server.append(bytes); }
  // FIN: nothing more comes from this side, which still receives.
  void end() { state_->peer_ended = true; }
  // RST: what was not yet received by the other side is lost.
  void reset();
  // The process behind the peer is gone: FIN, and whatever is sent to it from now on fails as a
  // reset.
  void close() { state_->peer_ended = state_->peer_closed = true; }

  // How many bytes are taken from now on, before sends come up short. Without limit at first.
  void set_window(std::size_t bytes) { state_->window = bytes; }
  void open_window(std::size_t bytes) { state_->window += bytes; }

  const std::string& received() const { return state_->to_peer; }
  std::string take_received() { return std::exchange(state_->to_peer, {}); }
  bool saw_end() const { return state_->server_ended; }
  bool saw_reset() const { return state_->server_reset; }

 private:
  friend class SimNetwork;
  explicit SimPeer(std::shared_ptr<SimConnection> state) : state_(std::move(state)) {}
  std::shared_ptr<SimConnection> state_;
};

enum class SimOperation { adopt, receive, send, accept };

// What lies between engines and peers. Outlives the engines.
class SimNetwork {
 public:
  // A connected descriptor for adopt(), and its peer.
  std::pair<int, SimPeer> open_connection();
  // A listening descriptor for listen().
  int open_listener();
  // A connection in the backlog of `listener`.
  SimPeer connect(int listener);
  bool is_open(int fd) const;  // false after the engine has closed it
  std::size_t open_count() const { return open_; }
  std::size_t backlog(int listener) const;

  base::Instant now() const { return now_; }
  void advance(base::Duration by) { now_ += by; }

  // Every on_received carries at most so many bytes.
  void deliver_at_most(std::size_t bytes) { most_ = bytes; }

  // The nth operation of that kind from now on (1: the next) fails with `code`; later ones work.
  void fail_nth(SimOperation operation, std::uint64_t nth, Errc code);
  // How many of that kind there have been.
  std::uint64_t count(SimOperation operation) const { return counts_[std::size_t(operation)]; }

 private:
  friend class SimEngine;
  static constexpr int kFirst = 1 << 30;
  struct Entry {
    std::shared_ptr<SimConnection> connection;  // null for a listener
    std::vector<int> backlog;
    bool open = true;
  };
  struct Fault {
    std::uint64_t at = 0;
    Errc code = Errc::none;
  };
  int add(Entry entry);
  Entry& at(int fd);
  void close(int fd, bool reset);
  // Counts one operation. Errc::none, or what it shall fail with.
  Errc count_one(SimOperation operation);

  std::vector<Entry> entries_;
  std::array<std::uint64_t, 4> counts_{};
  std::array<Fault, 4> faults_{};
  std::size_t most_ = SIZE_MAX, open_ = 0;
  base::Instant now_{std::chrono::hours(1)};
};

class SimEngine : public Engine {
 public:
  explicit SimEngine(SimNetwork& network, const EngineOptions& options = {})
      : network_(network),
        options_(options),
        kept_(options.receive_block_bytes),
        now_(network.now()) {}

  // Turns until one tells nobody anything and leaves nothing to do. Returns how many events were
  // told.
  std::size_t run();
  // Whether wake() was called since the last wait().
  bool is_woken() const { return woken_.load(); }

  const char* name() const override { return "sim"; }
  void adopt(Socket& socket, int fd, Bytes already = {}) override;
  std::size_t send(Socket& socket, std::span<const iovec> parts, bool more = false) override;
  std::size_t send_file(Socket& socket, int file, std::uint64_t offset,
                        std::size_t length) override;
  void pause(Socket& socket) override;
  void resume(Socket& socket) override;
  void expect_bulk(Socket& socket, bool bulk) override;
  void shutdown_send(Socket& socket) override;
  void close(Socket& socket, CloseMode mode) override;
  void detach(Socket& socket) override;
  void listen(Listener& listener, int fd, ListenerEvents& events) override;
  void close_listener(Listener& listener) override;
  void leave_listener(Listener& listener) override;
  // One turn. Never blocks: time passes only when the network's does.
  void wait(base::Instant until) override;
  bool tells_more() const override { return true; }
  void wake() override { woken_.store(true); }
  bool failed() const override { return false; }
  void abandon() override {}
  void abandon(Socket& socket) override { close(socket, CloseMode::abort); }
  void forget_listener(Listener& listener) override { leave_listener(listener); }
  base::Instant now() const override { return now_; }
  base::BlockPool& blocks() override { return pool_; }
  const Counters& counters() const override { return counters_; }

 protected:
  // What a socket is told goes through these; who wants to know of it overrides them.
  virtual void tell_received(Socket& socket, const Received& received) {
    socket.on_received(received);
  }
  virtual void tell_end(Socket& socket) { socket.on_end(); }
  virtual void tell_sent(Socket& socket, std::uint64_t bytes) { socket.on_sent(bytes); }
  virtual void tell_closed(Socket& socket, const Error& why) { socket.on_closed(why); }

 private:
  SimConnection& connection(const Socket& socket);
  void serve(Socket& socket);
  void receive(Socket& socket);
  std::size_t push(Socket& socket);
  ssize_t push_some(Socket& socket);
  void starve(Socket& socket);
  void leave(Socket& socket, std::uint16_t how);
  void fail(Socket& socket, Errc code);
  void finish(Socket& socket);
  void accept_some(Listener& listener, std::size_t most);
  void finish_listener(Listener& listener);

  SimNetwork& network_;
  const EngineOptions options_;
  base::BlockPool pool_;
  KeptBlocks kept_;
  ActivityPool activities_;
  SocketList open_, starved_;  // every socket that has not ended is in one of them
  EndedList finished_;
  std::vector<Listener*> listeners_;
  std::size_t events_ = 0;  // told so far
  std::atomic<bool> woken_{false};
  base::Instant now_;
  Counters counters_;
};

}  // namespace sluice::io
