// io/epoll/epoll_engine.hpp - the engine over epoll(7): works wherever Linux does.
//
// Edge-triggered: each socket is registered once, and what epoll said is remembered in its flags.
// Pausing, resuming and waiting for a block therefore cost no system call. A socket is registered
// after it has been received from once, so that one that lives for a single exchange never is.
// Sends go out inside send(); EPOLLOUT is asked for only when one came up short. Layer: io. Thread:
// the shard's, except wake().
#pragma once

#include <sys/epoll.h>

#include <array>
#include <atomic>
#include <memory>
#include <vector>

#include "io/activity_pool.hpp"
#include "io/engine.hpp"
#include "io/failure.hpp"
#include "io/kept_blocks.hpp"
#include "io/socket_list.hpp"

namespace sluice::io {

// On cache lines of its own: another shard's never lie on them.
class alignas(64) EpollEngine final : public Engine {
 public:
  explicit EpollEngine(const EngineOptions& options);
  ~EpollEngine() override;
  EpollEngine(const EpollEngine&) = delete;
  EpollEngine& operator=(const EpollEngine&) = delete;

  // Makes the descriptors of its own. Before anything else.
  Result<void> open();

  const char* name() const override { return "epoll"; }
  void adopt(Socket& socket, int fd, Bytes already) override;
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
  void wait(base::Instant until) override;
  bool tells_more() const override {
    return events_left_ > 0 || !turn_.empty() || !next_turn_.empty();
  }
  void wake() override;
  bool failed() const override { return failed_; }
  void abandon() override;
  void abandon(Socket& socket) override;
  void forget_listener(Listener& listener) override;
  base::Instant now() const override { return now_; }
  base::BlockPool& blocks() override { return pool_; }
  const Counters& counters() const override { return counters_; }

 private:
  static constexpr std::uint64_t kListenerTag = 1;  // in epoll_data, beside the pointer
  int milliseconds_to_wait(base::Instant until) const;
  void handle(const epoll_event& event);
  void serve(Socket& socket);
  void serve_starved();
  void starve(Socket& socket);
  void receive(Socket& socket, bool second);
  void watch(Socket& socket);
  void deliver_unread(Socket& socket);
  void push(Socket& socket);
  void watch_for_room(Socket& socket);
  void want_turn(Socket& socket);
  void fail(Socket& socket, int number);
  void end_watch(Socket& socket);
  void finish(Socket& socket);
  void accept_some(Listener& listener);
  bool accept_one(Listener& listener);
  void watch_listener(Listener& listener, int operation, std::uint32_t events);
  void end_listener(Listener& listener, std::uint16_t how);
  void finish_listener(Listener& listener);
  void finish_listeners();
  void retry_listeners();

  const EngineOptions options_;
  base::BlockPool pool_;
  KeptBlocks kept_, bulk_kept_;
  ActivityPool activities_;
  SocketList next_turn_;  // to be served at the next wait()
  SocketList turn_;       // to be served in this one
  SocketList adopted_;    // to be served for the first time, in the wait() that is under way
  SocketList starved_;    // readable, but no block was left; in order of arrival
  EndedList finished_;    // on_closed or on_detached is due
  std::vector<Listener*> finished_listeners_;
  std::vector<Listener*> resting_listeners_;  // accepting failed; tried again at retry_at_
  base::Instant retry_at_ = base::never;
  bool out_of_memory_ = false;  // a block could not be had although there is room for one more
  int epoll_ = -1, event_ = -1;
  std::atomic<bool> woken_{false};
  base::Instant now_ = base::read_clock();
  Counters counters_;
  bool failed_ = false;
  std::array<epoll_event, 512> ready_;
  int events_left_ = 0;  // of those that wait() found
};

}  // namespace sluice::io
