// io/epoll/epoll_engine.cpp - one turn: epoll_wait, serve what is ready, then tell of what has
// ended.
//
// A socket that has ended is told so only after all events of the turn have been handled, because
// later events of the same turn may still point to it.
#include "io/epoll/epoll_engine.hpp"

#include <errno.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "base/check.hpp"

namespace sluice::io {
namespace {

// Socket::flags.
enum : std::uint16_t {
  kListed = 1 << 0,    // in next_turn_, turn_, adopted_ or finished_
  kStarved = 1 << 1,   // in starved_
  kReadable = 1 << 2,  // the kernel may have bytes, an end or an error for us
  kHangup =
      1 << 3,  // an end or an error is behind the bytes: a short receive does not mean drained
  kSendable = 1 << 4,     // the outstanding send is worth another try
  kRoomWatched = 1 << 5,  // EPOLLOUT is in the registration
  kPaused = 1 << 6,
  kEnded = 1 << 7,  // on_end has been told
  kShutdownLater = 1 << 8,
  kDetaching = 1 << 9,
  kClosing = 1 << 10,  // close() was called, or it failed
  kAborting = 1 << 11,
  kWatched = 1 << 12,  // registered
  kBulk = 1 << 13,     // what came last filled a block
  kExpectsBulk = 1 << 14,
};
constexpr std::uint16_t kLeaving = kDetaching | kClosing;

constexpr std::uint64_t kWakeTag = 2;
constexpr int kPushes = 4;                                 // tries of one send in one turn
constexpr std::size_t kFileWindow = std::size_t{1} << 20;  // bytes of a file in one try
constexpr std::size_t kBulkBytes = 1 << 20;                // the largest that the pool keeps
constexpr std::size_t kBulkUnits = 4;  // how many blocks' worth a larger block has
constexpr int kMemoryRest = 10;        // milliseconds

void set(Socket& socket, std::uint16_t bits) { socket.flags = std::uint16_t(socket.flags | bits); }
void clear(Socket& socket, std::uint16_t bits) {
  socket.flags = std::uint16_t(socket.flags & ~bits);
}

}  // namespace

EpollEngine::EpollEngine(const EngineOptions& options)
    : options_(options), kept_(options.receive_block_bytes), bulk_kept_(kBulkBlock) {}

EpollEngine::~EpollEngine() {
  if (event_ >= 0) ::close(event_);
  if (epoll_ >= 0) ::close(epoll_);
}

Result<void> EpollEngine::open() {
  epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  if (epoll_ < 0) return system_error("epoll_create1", errno);
  event_ = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (event_ < 0) return system_error("eventfd", errno);
  // Edge-triggered, so that the counter need never be read.
  epoll_event event{.events = EPOLLIN | EPOLLET, .data = {.u64 = kWakeTag}};
  if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, event_, &event) < 0)
    return system_error("epoll_ctl", errno);
  return {};
}

// --- what the shard asks for ---------------------------------------------------------------------

void EpollEngine::adopt(Socket& socket, int fd, Bytes already) {
  socket.begin(fd);
  Activity* activity = activities_.of(socket);
  if (!activity || (!already.empty() && !activities_.hold_unread(socket, pool_, already))) {
    fail(socket, ENOMEM);
    return;
  }
  // A client speaks at once, as a rule.
  set(socket, kReadable | kListed);
  adopted_.push_back(*activity);
}

std::size_t EpollEngine::send(Socket& socket, std::span<const iovec> parts, bool more) {
  SLUICE_CHECK(socket.is_adopted() && !socket.sending() && parts.size() <= kMaxParts);
  std::size_t total = total_size(parts), sent = 0;
  if (total == 0) return 0;
  if (socket.flags & kLeaving) return 0;
  if (options_.inline_completions) {
    ++counters_.syscalls;
    const ssize_t n = push_now(socket.fd, parts, more);
    if (n < 0 && errno != EAGAIN) {
      fail(socket, errno);
      return 0;
    }
    if (n > 0) sent = std::size_t(n);
    counters_.sent_bytes += sent;
    if (sent == total) return sent;
  }
  if (!activities_.hold(socket, parts, sent)) {
    fail(socket, ENOMEM);
    return sent;
  }
  if (sent == 0 && options_.inline_completions) {
    watch_for_room(socket);
  } else {
    // A short send does not prove that the buffer is full; one more try does.
    set(socket, kSendable);
    want_turn(socket);
  }
  return sent;
}

std::size_t EpollEngine::send_file(Socket& socket, int file, std::uint64_t offset,
                                   std::size_t length) {
  SLUICE_CHECK(socket.is_adopted() && !socket.sending());
  if (length == 0 || (socket.flags & kLeaving)) return 0;
  std::size_t sent = 0;
  if (options_.inline_completions) {
    ++counters_.syscalls;
    ssize_t n = push_file(socket.fd, file, offset, std::min(length, kFileWindow));
    if (n > 0) sent = std::size_t(n);
    counters_.sent_bytes += sent;
    if (sent == length) return sent;
  }
  if (!activities_.hold_file(socket, file, offset + sent, length - sent)) {
    fail(socket, ENOMEM);
    return sent;
  }
  set(socket, kSendable);
  want_turn(socket);
  return sent;
}

void EpollEngine::pause(Socket& socket) { set(socket, kPaused); }

void EpollEngine::resume(Socket& socket) {
  clear(socket, kPaused);
  want_turn(socket);
}

void EpollEngine::expect_bulk(Socket& socket, bool bulk) {
  if (bool(socket.flags & kExpectsBulk) == bulk || (socket.flags & kLeaving)) return;
  ++counters_.syscalls;
  wait_for_bytes(socket.fd, bulk ? kBulkWait : 1);
  if (bulk) {
    set(socket, kExpectsBulk);
  } else {
    clear(socket, kExpectsBulk);
    set(socket, kReadable);  // perhaps: the kernel may have kept it to itself
    want_turn(socket);
  }
}

void EpollEngine::shutdown_send(Socket& socket) {
  if (socket.flags & kLeaving) return;
  if (socket.sending()) {
    set(socket, kShutdownLater);
    return;
  }
  ++counters_.syscalls;
  ::shutdown(socket.fd, SHUT_WR);
}

void EpollEngine::close(Socket& socket, CloseMode mode) {
  if (mode == CloseMode::abort) set(socket, kAborting);
  if (socket.flags & kClosing) return;
  bool watched = !(socket.flags & kDetaching);
  set(socket, kClosing);
  if (watched) end_watch(socket);
}

void EpollEngine::detach(Socket& socket) {
  if (socket.flags & kLeaving) return;
  SLUICE_CHECK(!socket.sending());
  expect_bulk(socket, false);
  set(socket, kDetaching);
  end_watch(socket);
}

// The socket leaves: no more events, and its end is told at the end of a turn.
void EpollEngine::end_watch(Socket& socket) {
  // Explicitly, because a forked child may hold the same open file, and then close() alone ends no
  // watch.
  if (socket.flags & kWatched) {
    ++counters_.syscalls;
    ::epoll_ctl(epoll_, EPOLL_CTL_DEL, socket.fd, nullptr);
  }
  if (socket.flags & (kListed | kStarved)) SocketList::remove(socket);
  clear(socket, kStarved);
  set(socket, kListed);
  finished_.push_back(socket);
}

void EpollEngine::fail(Socket& socket, int number) {
  if (socket.flags & kLeaving) return;
  socket.failure = failure_byte(number);
  set(socket, kClosing);
  end_watch(socket);
}

void EpollEngine::wake() {
  if (woken_.exchange(true, std::memory_order_acq_rel)) return;
  std::uint64_t one = 1;
  // Fails only when the counter is full, and then the event is there already.
  [[maybe_unused]] ssize_t n = ::write(event_, &one, sizeof one);
}

// --- a turn --------------------------------------------------------------------------------------

int EpollEngine::milliseconds_to_wait(base::Instant until) const {
  bool block_left = kept_.size() < options_.receive_blocks && !out_of_memory_;
  if (!next_turn_.empty() || !adopted_.empty() || !finished_.empty() ||
      !finished_listeners_.empty() || (!starved_.empty() && block_left)) {
    return 0;
  }
  until = std::min(until, retry_at_);
  int most = out_of_memory_ ? kMemoryRest : -1;
  if (until == base::never) return most;
  if (until <= now_) return 0;
  base::Instant now = base::clock_for(until, now_);
  if (until <= now) return 0;
  auto left = std::chrono::ceil<std::chrono::milliseconds>(until - now).count();
  int wanted = int(std::min<std::int64_t>(left, 3600 * 1000));
  return most < 0 ? wanted : std::min(wanted, most);
}

void EpollEngine::wait(base::Instant until) {
  kept_.reclaim(!starved_.empty());
  if (bulk_kept_.size() > 0) bulk_kept_.reclaim(true);
  ++counters_.waits;
  ++counters_.syscalls;
  int count = ::epoll_wait(epoll_, ready_.data(), int(ready_.size()), milliseconds_to_wait(until));
  if (count < 0 && errno != EINTR) [[unlikely]]
    failed_ = true;
  now_ = base::read_clock();
  out_of_memory_ = false;
  turn_.splice(next_turn_);  // what this turn's events add is served in the next
  serve_starved();
  for (int i = 0; i < count; ++i) {
    events_left_ = count - i - 1;
    handle(ready_[std::size_t(i)]);
  }
  turn_.splice(adopted_);
  while (Socket* socket = turn_.pop_front()) {
    clear(*socket, kListed);
    serve(*socket);
  }
  if (now_ >= retry_at_) retry_listeners();
  EndedList done = std::exchange(finished_, {});
  while (Socket* socket = done.pop_front()) finish(*socket);
  if (!finished_listeners_.empty()) finish_listeners();
}

void EpollEngine::handle(const epoll_event& event) {
  if (event.data.u64 == kWakeTag) {
    woken_.exchange(false, std::memory_order_acq_rel);
    return;
  }
  if (event.data.u64 & kListenerTag) {
    accept_some(*reinterpret_cast<Listener*>(event.data.u64 - kListenerTag));
    return;
  }
  Socket& socket = *static_cast<Socket*>(event.data.ptr);
  if (socket.flags & kLeaving) return;
  constexpr std::uint32_t kOver = EPOLLRDHUP | EPOLLHUP | EPOLLERR;
  if (event.events & (EPOLLIN | kOver)) set(socket, kReadable);
  if (event.events & kOver) set(socket, kHangup);
  if ((event.events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) && socket.sending()) set(socket, kSendable);
  if ((event.events & EPOLLERR) && (socket.flags & (kPaused | kEnded))) {
    // Nobody receives here, so nobody else would notice that the peer is gone.
    int number = 0;
    socklen_t size = sizeof number;
    ++counters_.syscalls;
    ::getsockopt(socket.fd, SOL_SOCKET, SO_ERROR, &number, &size);
    if (number != 0) fail(socket, number);
  }
  if (!(socket.flags & (kListed | kLeaving))) serve(socket);
}

// One try of the outstanding send and one receive, or two if the first filled its block.
void EpollEngine::serve(Socket& socket) {
  if (socket.flags & kSendable) push(socket);
  if (socket.flags & kLeaving) return;
  if (!(socket.flags & (kPaused | kStarved))) {
    if (has_unread(socket)) {
      deliver_unread(socket);
    } else if ((socket.flags & (kReadable | kEnded)) == kReadable) {
      if (!starved_.empty()) {
        starve(socket);
      } else {
        receive(socket, false);
      }
    }
  }
  if (!(socket.flags & (kWatched | kLeaving))) watch(socket);
  want_turn(socket);
}

// Tells at once of what came between the last receive and this.
void EpollEngine::watch(Socket& socket) {
  set(socket, kWatched);
  epoll_event event{.events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data = {.ptr = &socket}};
  if (socket.flags & kRoomWatched) event.events |= EPOLLOUT;
  ++counters_.syscalls;
  if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, socket.fd, &event) < 0) fail(socket, errno);
}

// Asks for a turn when there is anything to do in it, else gives back what an idle socket does not
// need.
void EpollEngine::want_turn(Socket& socket) {
  if (socket.flags & (kListed | kLeaving)) return;
  bool sends = socket.flags & kSendable;
  bool receives = !(socket.flags & (kPaused | kStarved)) &&
                  (has_unread(socket) || (socket.flags & (kReadable | kEnded)) == kReadable);
  if (!sends && !receives) {
    activities_.rest(socket);
    return;
  }
  Activity* activity = activities_.of(socket);
  if (!activity) {
    fail(socket, ENOMEM);
    return;
  }
  if (socket.flags & kStarved) {
    SocketList::remove(socket);
    clear(socket, kStarved);
  }
  set(socket, kListed);
  next_turn_.push_back(*activity);
}

void EpollEngine::serve_starved() {
  while (!out_of_memory_ && kept_.size() < options_.receive_blocks) {
    Socket* socket = starved_.pop_front();
    if (!socket) return;
    clear(*socket, kStarved);
    if (!(socket->flags & kPaused)) receive(*socket, true);
    want_turn(*socket);
  }
}

void EpollEngine::starve(Socket& socket) {
  ++counters_.out_of_blocks;
  if (socket.flags & kListed) return;  // a handler has asked for a turn, which tries again
  Activity* activity = activities_.of(socket);
  if (!activity) {
    fail(socket, ENOMEM);
    return;
  }
  set(socket, kStarved);
  starved_.push_back(*activity);
}

// One block, or a larger one while more comes than fits: a message or an upload is then in few
// pieces, and few calls fetch it. Unless it is the `second` try, a full block is followed by one.
void EpollEngine::receive(Socket& socket, bool second) {
  // Not while handlers keep many: a larger block counts as several of those that they may keep.
  const bool larger = (socket.flags & kBulk) && kept_.size() <= options_.receive_blocks / 8 &&
                      kBulkUnits * options_.receive_block_bytes <= kBulkBytes;
  const std::size_t units = larger ? std::min(kBulkUnits, options_.receive_blocks) : 1;
  const bool largest = (socket.flags & kExpectsBulk) && bulk_kept_.size() < kBulkBlocks;
  const std::size_t room = largest ? kBulkBlock : units * options_.receive_block_bytes;
  base::BlockRef block;
  if (kept_.size() < options_.receive_blocks) {
    block = pool_.take(room);
    if (!block) out_of_memory_ = true;
  }
  if (!block) {
    starve(socket);
    return;
  }
  ssize_t n;
  do {
    ++counters_.syscalls;
    n = ::recv(socket.fd, block->data(), room, 0);
  } while (n < 0 && errno == EINTR);
  if (n > 0) {
    auto size = std::size_t(n);
    counters_.received_bytes += size;
    if (size < room && !(socket.flags & kHangup)) clear(socket, kReadable);
    const bool full = size == options_.receive_block_bytes;
    if (full) {
      set(socket, kBulk);
    } else if (size < options_.receive_block_bytes && !second) {
      clear(socket, kBulk);
    }
    socket.on_received({block.get(), {block->data(), size}});
    if (block->refs() > 1) {
      (largest ? bulk_kept_ : kept_).add(std::move(block));
    } else {
      block.reset();
    }
    constexpr std::uint16_t kNotNow = kPaused | kLeaving | kListed;
    if (full && !second && !(socket.flags & kNotNow)) receive(socket, true);
    return;
  }
  clear(socket, kReadable);
  if (n == 0) {
    set(socket, kEnded);
    socket.on_end();
  } else if (errno != EAGAIN) {
    fail(socket, errno);
  }
}

void EpollEngine::deliver_unread(Socket& socket) {
  auto [block, size] = activities_.take_unread(socket);
  socket.on_received({block.get(), {block->data(), size}});
}

void EpollEngine::push(Socket& socket) {
  clear(socket, kSendable);
  if (!socket.sending()) return;
  std::uint64_t sent = 0;
  for (int i = 0;; ++i) {
    if (i == kPushes) {
      set(socket, kSendable);
      break;
    }
    const Activity& left = *socket.activity();
    ssize_t n;
    ++counters_.syscalls;
    if (left.file >= 0) {
      n = push_file(socket.fd, left.file, left.offset,
                    std::min<std::size_t>(left.send_left, kFileWindow));
    } else if (left.outgoing) {
      n = ::sendmsg(socket.fd, &left.outgoing->message, MSG_NOSIGNAL);
    } else {
      n = ::send(socket.fd, left.send_at, left.send_left, MSG_NOSIGNAL);
    }
    if (n > 0) {
      counters_.sent_bytes += std::uint64_t(n);
      sent += std::uint64_t(n);
      activities_.advance(socket, std::size_t(n));
      if (!socket.sending()) break;
    } else if (n == 0) {
      fail(socket, EIO);  // the file has become shorter
      return;
    } else if (errno == EAGAIN) {
      watch_for_room(socket);
      break;
    } else if (errno != EINTR) {
      fail(socket, errno);
      return;
    }
  }
  if (sent == 0 || (socket.flags & kLeaving)) return;
  if (!socket.sending() && (socket.flags & kShutdownLater)) {
    clear(socket, kShutdownLater);
    ++counters_.syscalls;
    ::shutdown(socket.fd, SHUT_WR);
  }
  socket.on_sent(sent);
}

void EpollEngine::watch_for_room(Socket& socket) {
  if (socket.flags & kRoomWatched) return;
  set(socket, kRoomWatched);
  if (!(socket.flags & kWatched)) {
    watch(socket);
    return;
  }
  epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data = {.ptr = &socket}};
  ++counters_.syscalls;
  if (::epoll_ctl(epoll_, EPOLL_CTL_MOD, socket.fd, &event) < 0) fail(socket, errno);
}

void EpollEngine::finish(Socket& socket) {
  std::unique_ptr<Unread> unread = activities_.drop(socket);
  int fd = std::exchange(socket.fd, -1);
  std::uint16_t flags = std::exchange(socket.flags, std::uint16_t(0));
  int failure = std::exchange(socket.failure, std::uint8_t(0));
  if (!(flags & kClosing)) {
    std::string storage;
    std::optional<Bytes> bytes = unread ? unread->gather(storage) : Bytes();
    if (bytes) {
      socket.on_detached(fd, *bytes);
      return;
    }
    failure = ENOMEM;
  }
  unread.reset();
  if (flags & kAborting) {
    linger hard{.l_onoff = 1, .l_linger = 0};
    ++counters_.syscalls;
    ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  }
  ++counters_.syscalls;
  ::close(fd);
  socket.on_closed(to_error(failure_of(failure)));
}

// --- the end of an epoll descriptor --------------------------------------------------------------

void EpollEngine::abandon() {
  failed_ = true;
  epoll_ = -1;  // whose number it is now, nobody knows
  finished_listeners_.clear();
  resting_listeners_.clear();
  EndedList done = std::exchange(finished_, {});
  while (Socket* socket = done.pop_front()) finish(*socket);
}

void EpollEngine::abandon(Socket& socket) {
  if (!socket.is_adopted()) return;
  if (socket.flags & (kListed | kStarved)) SocketList::remove(socket);
  socket.pending = 0;
  socket.flags = kClosing | kAborting;
  socket.failure = failure_byte(EIO);
  finish(socket);
}

Result<std::unique_ptr<Engine>> make_epoll_engine(const EngineOptions& options) {
  auto engine = std::make_unique<EpollEngine>(options);
  if (Result<void> opened = engine->open(); !opened) return opened.error();
  return std::unique_ptr<Engine>(std::move(engine));
}

}  // namespace sluice::io
