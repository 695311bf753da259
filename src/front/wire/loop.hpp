// front/wire/loop.hpp - one shard's thread: its engine, its listeners, its turns.
//
// Layer: front/wire. Thread: run() is the shard's thread; the others as they say.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <sluice/result.hpp>

#include "core/mailbox.hpp"
#include "core/session.hpp"
#include "core/shard.hpp"
#include "front/wire/connection.hpp"
#include "front/wire/http2_stream.hpp"
#include "front/wire/out_queue.hpp"
#include "front/wire/secure_port.hpp"
#include "front/wire/upstream.hpp"
#include "io/engine.hpp"

namespace sluice::wire {

// A listening socket that is lent to a loop.
struct ListenSocket {
  int fd = -1;
  core::Endpoint local = {};  // port 0 and family none when it must be asked of each connection
  bool any_address = false;
  std::shared_ptr<const SecurePort> secure = {};  // null: what comes is in clear
};

// On cache lines of its own: another shard's never lie on them.
class alignas(64) Loop final : public core::Waker, public std::enable_shared_from_this<Loop> {
 public:
  Loop(std::shared_ptr<core::ServerSession> session, std::uint32_t index,
       std::unique_ptr<io::Engine> engine);
  ~Loop();
  // Once, before run(): makes the shard keep this object for late answers.
  void tie();

  // Before run(). `deal`: accepted connections go to these loops in turn (classic mode); empty:
  // they stay here. `only_backlog`: what waits there is accepted, then it is closed.
  void add_listener(const ListenSocket& socket, bool only_backlog = false);
  void deal_to(std::vector<Loop*> loops) { deal_ = std::move(loops); }

  // The turns, until finish() was posted and nothing is left. Begins with listen().
  void run();
  // Opens the listeners.
  void listen();
  // One turn, for tests on the sim engine: no waiting.
  void turn(base::Instant until);

  // --- Through post() only ---
  // Stops accepting. `keep`: descriptors are left open, for the next start; otherwise they are
  // closed.
  void close_listeners(bool keep);
  void drain(std::uint16_t close_code, base::Duration spread);
  void abort_all(const Error& why);
  // Goes on with an engine of the same kind, after lost().
  void revive(std::unique_ptr<io::Engine> engine);
  // A listening socket has gone under its number `old`: this one takes its place. `ours`: the
  // number is still that socket's, which is closed.
  void replace_listener(int old, bool ours, int fd);
  // Another loop listens in its place.
  void drop_listener(int fd);
  void finish();  // run() returns when no connection and no listener is left

  // --- Any thread ---
  bool post(base::Task task) { return shard_.mailbox->post_always(std::move(task)); }
  void wake() override;
  // Its engine has failed: its connections have ended, and nothing is accepted until revive().
  bool lost() const { return lost_.load(std::memory_order_acquire); }
  // Another engine is on its way to it.
  void promise() { promised_.store(true, std::memory_order_release); }
  bool is_promised() const { return promised_.load(std::memory_order_acquire); }
  std::size_t connections() const { return connections_.load(std::memory_order_relaxed); }
  std::size_t listeners() const { return open_listeners_.load(std::memory_order_acquire); }
  // Called on the shard's thread each time a connection or listener has gone.
  std::function<void()> on_change;

  core::Shard& shard() { return shard_; }
  io::Engine& engine() { return *engine_; }
  const io::Engine& engine() const { return *engine_; }
  core::ServerSession& session() { return *session_; }
  SegmentPool& segments() { return segments_; }
  WorkPool& works() { return works_; }
  Http2StreamPool& http2_streams() { return http2_streams_; }
  http2::Memory& http2_memory() { return http2_memory_; }
  // For connections that come; std::bad_alloc.
  std::shared_ptr<const http2::Context> http2_context();
  // Of the one connection that is in an event.
  FirstRun first_run;

  // The turn's time and date are right from here on. Called first by every event.
  void enter() {
    base::Instant now = engine_->now();
    if (now != shard_.now) shard_.begin_turn(now);
  }
  void mark_dirty(Connection& connection);
  void want_to_go_on(Connection& connection);
  void want_rate_check();
  // `peer` is the far address if it is known already.
  void adopt(int fd, const ListenSocket& from, const sockaddr_storage* peer = nullptr);
  void gone(Connection& connection);

 private:
  struct Accepting final : public io::ListenerEvents {
    Accepting(Loop& owner, const ListenSocket& from) : loop(owner), socket(from) {}
    void on_accepted(int fd, const sockaddr_storage* peer) override;
    void on_accept_failed(const Error& why) override;
    void on_listener_closed(int fd) override;
    Loop& loop;
    ListenSocket socket;
    io::Listener listener;
    bool open = false, only_backlog = false;
    int next_fd = -1;  // takes its place when it has closed
  };
  void lose();
  void rest_until_woken();
  bool done() const {
    return finishing_ && listeners() == 0 && connections() == 0 && upstreams_.empty();
  }
  bool begin_tls(Connection& connection, const SecurePort& port,
                 core::ServerSession::Admission admission);
  void turn_away(int fd);
  void log_turned_away();
  // Those that have a socket.
  template <class F>
  void for_each_socket(F&& each) {
    shard_.registry.for_each([&](core::Connection& one) {
      if (!one.is_tunnel()) each(static_cast<Connection&>(one));
    });
  }
  static void rate_timer_fired(void* self);
  void check_rates();
  void flush_dirty();

  std::shared_ptr<core::ServerSession> session_;
  std::vector<std::unique_ptr<io::Engine>> failed_engines_;  // whose blocks are in use
  std::unique_ptr<io::Engine> engine_;
  std::atomic<io::Engine*> waking_;  // the same, for other threads
  std::atomic<bool> lost_{false}, promised_{false};
  std::mutex lost_mutex_;
  std::condition_variable woken_;  // while it is lost
  core::Shard shard_;
  SegmentPool segments_;
  WorkPool works_;
  http2::Memory http2_memory_;
  Http2StreamPool http2_streams_;
  std::shared_ptr<const http2::Context> http2_context_;
  UpstreamPool upstreams_{*this};
  std::vector<std::unique_ptr<Accepting>> listeners_;
  std::vector<Loop*> deal_;
  std::size_t next_deal_ = 0;
  Connection* first_dirty_ = nullptr;
  Connection* last_dirty_ = nullptr;
  std::vector<Connection*> going_on_;
  base::Timer rate_timer_;
  std::atomic<std::size_t> connections_{0}, open_listeners_{0};
  bool finishing_ = false;
};

}  // namespace sluice::wire
