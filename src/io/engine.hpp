// io/engine.hpp - what a shard asks of the kernel, and what it is told. The same on every engine.
//
// Completion-shaped, because that is the only shape that all engines can offer. One suite
// (tests/io/engine_contract_test.cpp) runs on uring, epoll and sim.
// Layer: io. Thread: everything on the thread that calls wait(), except wake().
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include <sluice/bytes.hpp>
#include <sluice/result.hpp>

#include "base/block.hpp"
#include "base/clock.hpp"
#include "io/activity.hpp"

namespace sluice::io {

class Engine;

// Bytes that were received, lent for one call of on_received. They may be changed in place.
// Who needs them longer shares `block`; the engine then posts another block in its place, and the
// shared one goes back to the pool with its last user. Shared blocks must be released on the shard.
struct Received {
  base::Block* block;
  std::span<std::byte> bytes;
};

// One socket: the base of the connection, which is told what happens on it and must live until
// on_closed or on_detached: exactly one of them is called, exactly once, and last. A handler may
// call any method of the engine, also for its own socket; it may destroy the socket in on_closed
// and on_detached. Fields are the engine's; readers use the methods. An idle connection pays for
// each byte of it.
class Socket {
 public:
  virtual void on_received(const Received& received) = 0;
  // The peer ended its side (FIN). Sending still works. At most once, after every on_received.
  virtual void on_end() = 0;
  // An outstanding send made progress: so many bytes more have gone, besides those that send()
  // returned. The send is finished when sending() is false, and the next may be given right here.
  virtual void on_sent(std::uint64_t bytes) = 0;
  // Errc::none after close(); otherwise what ended it (connection_reset, io_failed, ...).
  virtual void on_closed(const Error& why) = 0;
  // After detach(): the descriptor is the caller's again, with what was received and not yet given
  // to on_received, in order. `unread` lives until the call returns.
  virtual void on_detached(int fd, Bytes unread) = 0;

  int fd = -1;
  std::uint16_t flags = 0;   // engine-private state bits
  std::uint8_t pending = 0;  // kernel operations that have not had their last completion
  std::uint8_t failure = 0;  // engine-private: the errno that ended it
  // Engine-private: an Activity, or a tagged link in an EndedList. Idle: 0.
  std::uintptr_t kept = 0;

  Socket() = default;
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  // From adopt() until on_closed or on_detached.
  bool is_adopted() const { return fd >= 0; }
  bool sending() const { return send_left() != 0; }
  // Bytes of the outstanding send that have not gone yet.
  std::uint64_t send_left() const {
    Activity* here = activity();
    return here ? here->send_left : 0;
  }

  static constexpr std::uintptr_t kEndedTag = 1;
  Activity* activity() const {
    return kept & kEndedTag ? nullptr : reinterpret_cast<Activity*>(kept);
  }
  void begin(int descriptor) {
    fd = descriptor;
    flags = 0;
    pending = failure = 0;
    kept = 0;
  }

 protected:
  ~Socket() = default;  // never deleted through this interface
};
static_assert(sizeof(Socket) == 24);

class ListenerEvents {
 public:
  // A connected stream socket, non-blocking and close-on-exec; whoever is told owns it. `peer` is
  // its far address, for the call, where the kernel gave it with the socket; null: getpeername(2)
  // has it.
  virtual void on_accepted(int fd, const sockaddr_storage* peer) = 0;
  // Accepting failed for a reason that does not go away by itself (descriptors, memory). The engine
  // tries again after a while by itself; connections wait in the backlog.
  virtual void on_accept_failed(const Error& why) = 0;
  // Closed: last call. `fd` is given back after leave_listener(), else -1 (it was closed).
  virtual void on_listener_closed(int fd) = 0;

 protected:
  ~ListenerEvents() = default;
};

// One listening socket: a member of whoever listens; alive until on_listener_closed.
struct Listener {
  int fd = -1;  // the fields are the engine's
  std::uint16_t flags = 0;
  std::uint16_t pending = 0;
  ListenerEvents* events = nullptr;
  Listener* next = nullptr;
  Listener* previous = nullptr;
  std::uint64_t extra = 0;

  Listener() = default;
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
};

struct EngineOptions {
  // Capacity of each posted receive block. epoll lends four times as much to a socket whose block
  // was filled.
  std::size_t receive_block_bytes = 16384;
  std::size_t receive_blocks = 1024;  // at most so many are posted or lent; allocated on use
  // io_uring from kernel 6.12 on: small messages share a block instead of filling one each.
  bool piecewise_receive = true;
  std::size_t accepts_per_wake = 64;  // accepts taken in one wake-up before other work
  bool inline_completions = true;     // what can complete at once may complete inside the call
};

enum class CloseMode {
  graceful,  // FIN after what the kernel already has; an outstanding send is abandoned
  abort,     // RST
};

class Engine {
 public:
  virtual ~Engine() = default;

  virtual const char* name() const = 0;  // "uring", "epoll", "sim"

  // Takes over a connected stream socket (TCP or AF_UNIX) and starts to receive. `already` was read
  // from it before and is delivered first, from wait(). Precondition: the descriptor is
  // non-blocking, as on_accepted and on_detached give it.
  virtual void adopt(Socket& socket, int fd, Bytes already = {}) = 0;

  // Sends all of `parts` in order. Precondition: open, !sending(), at most 64 parts, parts not
  // empty. The bytes (not the array of parts) stay valid until the send has finished or the socket
  // has closed. Returns how many bytes went at once: when that is all, sending() is false and no
  // on_sent follows for them. Otherwise on_sent tells of the rest. Errors arrive as on_closed, from
  // wait(), never from inside this call; then sending() may be false although not all went.
  // `more`: another send follows at once, so that these bytes may wait for it (MSG_MORE).
  virtual std::size_t send(Socket& socket, std::span<const iovec> parts, bool more = false) = 0;

  // The same for a region of a regular file, by sendfile. The caller has seen to it that the region
  // is cached. A file that has become shorter closes the socket with Errc::io_failed.
  virtual std::size_t send_file(Socket& socket, int file, std::uint64_t offset,
                                std::size_t length) = 0;

  // Stops and starts delivery of on_received (and on_end). What the kernel has already handed over
  // is kept by the engine and delivered after resume. Bounded: at most what was posted when pause
  // was called.
  virtual void pause(Socket& socket) = 0;
  virtual void resume(Socket& socket) = 0;

  // Much is awaited in a row, and nobody minds when it is told a little later: a large upload. It
  // comes in blocks of kBulkBlock bytes while fewer than kBulkBlocks of them are out, else as
  // usual; and only when kBulkWait bytes are there, or the end, or an error. The caller sees to it
  // that so many do come, or switches it off, which tells of what is there from the next wait() on.
  virtual void expect_bulk(Socket& socket, bool bulk) = 0;
  static constexpr std::size_t kBulkBlock = 512 * 1024, kBulkWait = 448 * 1024, kBulkBlocks = 4;

  // FIN after the outstanding send. Receiving goes on.
  virtual void shutdown_send(Socket& socket) = 0;

  // No event but on_closed follows, from wait() (never from inside this call).
  virtual void close(Socket& socket, CloseMode mode) = 0;

  // Precondition: !sending(). Cancels, waits for the last completion of every operation, then
  // answers on_detached.
  virtual void detach(Socket& socket) = 0;

  // Starts accepting on a bound and listening socket, which the engine owns from here.
  virtual void listen(Listener& listener, int fd, ListenerEvents& events) = 0;
  // Cancel, wait for the last completion (sockets accepted meanwhile are told, the backlog is
  // accepted), close.
  virtual void close_listener(Listener& listener) = 0;
  // The same without accepting the backlog and without closing: on_listener_closed gives the
  // descriptor back.
  virtual void leave_listener(Listener& listener) = 0;

  // Submits what was asked for, waits until something happens, `until` has come or wake() was
  // called, and tells of everything that is ready. Instant::min() (or the past) means: do not wait.
  virtual void wait(base::Instant until) = 0;

  // Inside wait(): whether it may tell of more that had happened before it began to tell. What has
  // happened since is always unknown.
  virtual bool tells_more() const = 0;

  // Any thread: makes the current or next wait() return soon. Calls may be folded into one.
  virtual void wake() = 0;

  // The kernel takes nothing from this engine any more: its descriptor has gone. Nothing will
  // happen until abandon() is called.
  virtual bool failed() const = 0;
  // After failed(): gives back what the kernel still has of this engine. It is of no more use, but
  // its blocks live on. Listeners keep their descriptors, untold.
  virtual void abandon() = 0;
  // Then, for each socket: closed with a reset, on_closed(io_failed) from inside this call.
  virtual void abandon(Socket& socket) = 0;
  // The listener's descriptor is no listening socket any more, perhaps not even ours: accepting
  // stops, and nobody touches it. on_listener_closed follows from wait().
  virtual void forget_listener(Listener& listener) = 0;

  // The time of this wake-up.
  virtual base::Instant now() const = 0;

  // Blocks for receiving come from here, and connections may use it too. Lives as long as the
  // engine.
  virtual base::BlockPool& blocks() = 0;

  struct Counters {
    std::uint64_t accepted = 0, received_bytes = 0, sent_bytes = 0;
    std::uint64_t out_of_blocks = 0;        // receives that had to wait for a block
    std::uint64_t waits = 0, syscalls = 0;  // syscalls: those the engine makes
  };
  virtual const Counters& counters() const = 0;
};

// io_uring (kernel 6.1 and up, liburing 2.3). Errc::unavailable with the reason where it is
// forbidden or too old.
Result<std::unique_ptr<Engine>> make_uring_engine(const EngineOptions& options);
Result<std::unique_ptr<Engine>> make_epoll_engine(const EngineOptions& options);

enum class EngineKind { automatic, uring, epoll };

struct EngineChoice {
  std::unique_ptr<Engine> engine;
  std::string why;  // which won and why, for the start-up line
};

// automatic: uring, then epoll. Asking for one by name gets that one or an error that says why not.
Result<EngineChoice> make_engine(EngineKind kind, const EngineOptions& options);

// Raises the soft limit of descriptors to the hard limit; returns the limit in force.
std::size_t raise_descriptor_limit();

}  // namespace sluice::io
