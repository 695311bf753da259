// io/uring/uring_engine.hpp - the engine over io_uring(7).
//
// One multishot receive per socket, one multishot accept per listener, sends as queued operations:
// all that one turn asks for is submitted by the io_uring_enter(2) that waits for the next. An
// operation holds a use of its socket (Socket::pending) until its last completion, and on_closed or
// on_detached comes when there is none left. Layer: io. Thread: the shard's, except wake().
#pragma once

#include <liburing.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "io/activity_pool.hpp"
#include "io/engine.hpp"
#include "io/failure.hpp"
#include "io/socket_list.hpp"
#include "io/uring/receive_ring.hpp"

namespace sluice::io {

// On cache lines of its own: another shard's never lie on them.
class alignas(64) UringEngine final : public Engine {
 public:
  explicit UringEngine(const EngineOptions& options);
  ~UringEngine() override;
  UringEngine(const UringEngine&) = delete;
  UringEngine& operator=(const UringEngine&) = delete;

  // Makes the ring, disabled: the thread that first submits becomes its owner.
  Result<void> open();

  const char* name() const override { return "uring"; }
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
    return completions_left_ > 0 || serving_ || !next_turn_.empty();
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
  // Which operation a completion ends: the low bits of its user data, beside the pointer.
  enum Operation : std::uint64_t {
    kWakePoll,
    kReceive,
    kSend,  // also the poll for room of a file send
    kAccept,
    kCancelReceive,
    kCancelSend,
    kCancelAccept,
    kIgnored,
    kOperationMask = 7,
  };

  bool went_well(int result);
  io_uring_sqe& entry();
  void enable();
  void enter(base::Instant until);
  bool must_not_wait(base::Instant until) const;
  void handle(std::uint64_t data, int result, unsigned flags);
  void arm_wake();

  void arm_receive(Socket& socket);
  bool arm_bulk(Socket& socket);
  void received(Socket& socket, int result, unsigned flags);
  void hold(Socket& socket, Bytes bytes);
  void starve(Socket& socket);
  void rearm_starved();
  void rearm(Socket& socket);
  void queue_send(Socket& socket);
  void sent(Socket& socket, int result);
  std::size_t push(Socket& socket);
  void progressed(Socket& socket, std::size_t sent);
  void cancel(Socket& socket, Operation operation);
  void cancelled(Socket& socket, Operation operation, int result);
  void serve(Socket& socket);
  void want_turn(Socket& socket);
  void settle(Socket& socket);
  void leave_lists(Socket& socket);
  void fail(Socket& socket, int number);
  void finish(Socket& socket);

  void arm_accept(Listener& listener);
  void accepted(Listener& listener, int result, unsigned flags);
  void tell_accepted(std::size_t most);
  void end_listener(Listener& listener, std::uint16_t how);
  void settle_listener(Listener& listener);
  void retry_listeners();
  void finish_listeners();
  void finish_listener(Listener& listener);
  void accept_backlog(Listener& listener);

  struct Accepted {
    Listener* listener;
    int fd;
  };

  const EngineOptions options_;
  base::BlockPool pool_;
  ReceiveRing receive_ring_;
  KeptBlocks bulk_kept_;
  std::size_t bulk_armed_ = 0;
  ActivityPool activities_;
  io_uring ring_{};
  bool ring_made_ = false, enabled_ = false;
  SocketList next_turn_;            // to be served at the next wait()
  SocketList starved_;              // bytes have come, but no block was left; in order of arrival
  EndedList finished_;              // on_closed or on_detached is due
  bool ran_dry_ = false;            // in this turn
  bool serving_ = false;            // those that were in next_turn_
  unsigned completions_left_ = 0;   // of those that wait() found
  std::vector<Accepted> accepted_;  // to be told, when more came than one turn may take
  std::size_t accepted_in_turn_ = 0;
  std::vector<Listener*> finished_listeners_, resting_listeners_;
  base::Instant retry_at_ = base::never;
  int event_ = -1;
  std::atomic<bool> woken_{false};
  base::Instant now_ = base::read_clock();
  Counters counters_;
  bool failed_ = false;
  // For what is asked of an engine that has failed.
  const std::unique_ptr<io_uring_sqe> nowhere_ = std::make_unique<io_uring_sqe>();
};

// Whether io_uring does here what the engine needs, by trying it on a ring of its own.
Result<void> probe_uring();

}  // namespace sluice::io
