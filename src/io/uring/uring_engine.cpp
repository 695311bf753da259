// io/uring/uring_engine.cpp - one turn: enter the kernel once, handle every completion, then tell
// of what has ended.
#include "io/uring/uring_engine.hpp"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
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
  kListed = 1 << 0,          // in next_turn_ or finished_
  kStarved = 1 << 1,         // in starved_
  kReceiving = 1 << 2,       // the multishot receive is armed
  kSending = 1 << 3,         // a send, or a poll for room, is with the kernel
  kCancelsReceive = 1 << 4,  // a cancellation is with the kernel
  kCancelsSend = 1 << 5,
  kSendable = 1 << 6,  // the outstanding file send is worth another try
  kPaused = 1 << 7,
  kEndSeen = 1 << 8,  // the kernel has told of the end
  kEndTold = 1 << 9,  // on_end has been called
  kShutdownLater = 1 << 10,
  kDetaching = 1 << 11,
  kClosing = 1 << 12,  // close() was called, or it failed
  kAborting = 1 << 13,
};
constexpr std::uint16_t kLeaving = kDetaching | kClosing;

constexpr unsigned kSubmissions = 1024, kCompletions = 32768;
constexpr std::size_t kSendMost = std::size_t{1} << 30;    // an operation's length has 32 bits
constexpr std::size_t kFileWindow = std::size_t{1} << 20;  // bytes of a file in one try
constexpr int kPushes = 4;
constexpr auto kMemoryRest = std::chrono::milliseconds(10);

static_assert(alignof(Socket) >= 8 && alignof(Listener) >= 8, "three bits beside the pointer");

void set(Socket& socket, std::uint16_t bits) { socket.flags = std::uint16_t(socket.flags | bits); }
void clear(Socket& socket, std::uint16_t bits) {
  socket.flags = std::uint16_t(socket.flags & ~bits);
}

std::uint64_t data_of(Socket& socket, std::uint64_t operation) {
  return reinterpret_cast<std::uintptr_t>(&socket) | operation;
}

}  // namespace

UringEngine::UringEngine(const EngineOptions& options)
    : options_(options),
      receive_ring_(pool_, options.receive_block_bytes, options.receive_blocks,
                    options.piecewise_receive) {}

UringEngine::~UringEngine() {
  for (const Accepted& accepted : accepted_) ::close(accepted.fd);
  if (ring_made_) ::io_uring_queue_exit(&ring_);
  if (event_ >= 0) ::close(event_);
}

Result<void> UringEngine::open() {
  event_ = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (event_ < 0) return system_error("eventfd", errno);
  io_uring_params params{};
  params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_R_DISABLED |
                 IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
  params.cq_entries = kCompletions;
  if (int n = ::io_uring_queue_init_params(kSubmissions, &ring_, &params); n < 0) {
    return system_error("io_uring_setup", -n);
  }
  ring_made_ = true;
  if (Result<void> opened = receive_ring_.open(ring_); !opened) return opened;
  arm_wake();
  return {};
}

// --- the ring ------------------------------------------------------------------------------------

void UringEngine::enable() {
  if (enabled_) return;
  enabled_ = true;
  ++counters_.syscalls;
  // io_uring_enable_rings is declared by liburing 2.3 but missing from its shared library.
  SLUICE_CHECK(::syscall(SYS_io_uring_register, ring_.ring_fd, IORING_REGISTER_ENABLE_RINGS,
                         nullptr, 0) == 0);
}

// The next free submission entry. A full queue is handed to the kernel first.
io_uring_sqe& UringEngine::entry() {
  io_uring_sqe* sqe = ::io_uring_get_sqe(&ring_);
  while (!sqe) [[unlikely]] {
      enable();
      receive_ring_.publish();
      ++counters_.syscalls;
      int n = ::io_uring_submit(&ring_);
      SLUICE_CHECK(n >= 0 || n == -EINTR || n == -EAGAIN || n == -EBUSY || n == -ENOMEM);
      sqe = ::io_uring_get_sqe(&ring_);
    }
  return *sqe;
}

bool UringEngine::must_not_wait(base::Instant until) const {
  return until <= now_ || !next_turn_.empty() || !finished_.empty() || !accepted_.empty() ||
         !finished_listeners_.empty() || (!starved_.empty() && receive_ring_.posted() > 0);
}

void UringEngine::enter(base::Instant until) {
  ++counters_.syscalls;
  if (must_not_wait(until)) {
    ::io_uring_submit_and_get_events(&ring_);
    return;
  }
  until = std::min(until, retry_at_);
  if (!starved_.empty() && receive_ring_.may_post_more()) {
    until = std::min(until, now_ + kMemoryRest);  // memory is out, not blocks
  }
  if (until == base::never) {
    ::io_uring_submit_and_wait(&ring_, 1);
    return;
  }
  auto left = std::max(until - base::clock_for(until, now_), base::Duration(0));
  if (left == base::Duration(0)) {
    ::io_uring_submit_and_get_events(&ring_);
    return;
  }
  __kernel_timespec limit{left.count() / 1'000'000'000, left.count() % 1'000'000'000};
  io_uring_cqe* first = nullptr;
  ::io_uring_submit_and_wait_timeout(&ring_, &first, 1, &limit, nullptr);
}

void UringEngine::wait(base::Instant until) {
  enable();
  receive_ring_.reclaim(!starved_.empty());
  rearm_starved();
  receive_ring_.publish();
  ++counters_.waits;
  enter(until);
  now_ = base::read_clock();
  accepted_in_turn_ = 0;
  if (!accepted_.empty()) tell_accepted(options_.accepts_per_wake);

  SocketList turn;
  turn.splice(next_turn_);  // what this turn adds is served in the next
  // Only what is there now: handlers may cause more.
  unsigned head = *ring_.cq.khead, tail = io_uring_smp_load_acquire(ring_.cq.ktail);
  for (; head != tail; ++head) {
    const io_uring_cqe& completion = ring_.cq.cqes[head & ring_.cq.ring_mask];
    std::uint64_t data = completion.user_data;
    int result = completion.res;
    unsigned flags = completion.flags;
    io_uring_cq_advance(&ring_, 1);
    handle(data, result, flags);
  }
  if (std::exchange(ran_dry_, false)) receive_ring_.grow();
  while (Socket* socket = turn.pop_front()) {
    clear(*socket, kListed);
    serve(*socket);
  }
  if (now_ >= retry_at_) retry_listeners();
  EndedList done = std::exchange(finished_, {});
  while (Socket* socket = done.pop_front()) finish(*socket);
  if (!finished_listeners_.empty()) finish_listeners();
}

void UringEngine::handle(std::uint64_t data, int result, unsigned flags) {
  auto operation = Operation(data & kOperationMask);
  void* owner = reinterpret_cast<void*>(std::uintptr_t(data & ~std::uint64_t(kOperationMask)));
  switch (operation) {
    case kReceive:
      received(*static_cast<Socket*>(owner), result, flags);
      return;
    case kSend:
      sent(*static_cast<Socket*>(owner), result);
      return;
    case kAccept:
      accepted(*static_cast<Listener*>(owner), result, flags);
      return;
    case kCancelReceive:
    case kCancelSend:
      cancelled(*static_cast<Socket*>(owner), operation, result);
      return;
    case kCancelAccept: {
      auto& listener = *static_cast<Listener*>(owner);
      --listener.pending;
      settle_listener(listener);
      return;
    }
    case kWakePoll:
      woken_.exchange(false, std::memory_order_acq_rel);
      if (!(flags & IORING_CQE_F_MORE)) arm_wake();
      return;
    default:
      return;
  }
}

// A multishot poll tells of each write, so the counter need never be read.
void UringEngine::arm_wake() {
  io_uring_sqe& sqe = entry();
  io_uring_prep_poll_multishot(&sqe, event_, POLLIN);
  io_uring_sqe_set_data64(&sqe, kWakePoll);
}

void UringEngine::wake() {
  if (woken_.exchange(true, std::memory_order_acq_rel)) return;
  std::uint64_t one = 1;
  // Fails only when the counter is full, and then the event is there already.
  [[maybe_unused]] ssize_t n = ::write(event_, &one, sizeof one);
}

// --- receiving -----------------------------------------------------------------------------------

void UringEngine::adopt(Socket& socket, int fd, Bytes already) {
  socket.begin(fd);
  if (!already.empty()) hold(socket, already);
  want_turn(socket);
  settle(socket);
}

void UringEngine::arm_receive(Socket& socket) {
  io_uring_sqe& sqe = entry();
  io_uring_prep_recv_multishot(&sqe, socket.fd, nullptr, 0, 0);
  sqe.flags |= IOSQE_BUFFER_SELECT;
  sqe.buf_group = ReceiveRing::kGroup;
  io_uring_sqe_set_data64(&sqe, data_of(socket, kReceive));
  ++socket.pending;
  set(socket, kReceiving);
}

void UringEngine::received(Socket& socket, int result, unsigned flags) {
  bool more = flags & IORING_CQE_F_MORE;
  if (!more) {
    --socket.pending;
    clear(socket, kReceiving);
  }
  if (result > 0) [[likely]] {
    auto id = std::uint16_t(flags >> IORING_CQE_BUFFER_SHIFT);
    auto size = std::size_t(result);
    const Received received = receive_ring_.received(id, size);
    counters_.received_bytes += size;
    if (!(socket.flags & (kPaused | kLeaving)) && !has_unread(socket)) [[likely]] {
      socket.on_received(received);
    } else if (!(socket.flags & kClosing)) {
      hold(socket, received.bytes);
    }
    receive_ring_.recycle(id, size);
  } else {
    if (flags & IORING_CQE_F_BUFFER) {
      receive_ring_.recycle(std::uint16_t(flags >> IORING_CQE_BUFFER_SHIFT), 0);
    }
    if (result == 0) {
      set(socket, kEndSeen);
      want_turn(socket);
    } else if (result == -ENOBUFS) {
      starve(socket);
    } else if (result != -ECANCELED && result != -EINTR && result != -EAGAIN) {
      fail(socket, -result);
    }
  }
  if (!more) settle(socket);
}

// Keeps bytes that the handler does not want now, and stops more from coming.
void UringEngine::hold(Socket& socket, Bytes bytes) {
  if (!activities_.hold_unread(socket, pool_, bytes)) {
    fail(socket, ENOMEM);
    return;
  }
  if (socket.flags & kReceiving) cancel(socket, kCancelReceive);
}

void UringEngine::starve(Socket& socket) {
  ++counters_.out_of_blocks;
  ran_dry_ = true;
  if (socket.flags & (kLeaving | kPaused | kListed)) return;  // armed again when it is served
  Activity* activity = activities_.of(socket);
  if (!activity) {
    fail(socket, ENOMEM);
    return;
  }
  set(socket, kStarved);
  starved_.push_back(*activity);
}

// In order of arrival, and no more than there are blocks: the others would only run dry again. Only
// the first goes last: it may have so much to say that it takes all blocks, time after time.
void UringEngine::rearm_starved() {
  std::size_t left = receive_ring_.posted();
  Socket* first = left > 0 ? starved_.pop_front() : nullptr;
  if (!first) return;
  while (--left > 0) {
    Socket* socket = starved_.pop_front();
    if (!socket) break;
    rearm(*socket);
  }
  rearm(*first);
}

void UringEngine::rearm(Socket& socket) {
  clear(socket, kStarved);
  activities_.rest(socket);
  settle(socket);
}

void UringEngine::pause(Socket& socket) { set(socket, kPaused); }

void UringEngine::resume(Socket& socket) {
  clear(socket, kPaused);
  want_turn(socket);
  settle(socket);
}

// --- sending -------------------------------------------------------------------------------------

std::size_t UringEngine::send(Socket& socket, std::span<const iovec> parts, bool more) {
  SLUICE_CHECK(socket.is_adopted() && !socket.sending() && parts.size() <= kMaxParts);
  const std::size_t total = total_size(parts);
  if (total == 0 || (socket.flags & kLeaving)) return 0;
  std::size_t sent = 0;
  if (more && options_.inline_completions) {
    // What follows need not wait for a completion.
    ++counters_.syscalls;
    const ssize_t n = push_now(socket.fd, parts, true);
    if (n > 0) sent = std::size_t(n);
    counters_.sent_bytes += sent;
    if (sent == total) return sent;  // an error comes back below
  }
  if (activities_.hold(socket, parts, sent)) {
    queue_send(socket);
  } else {
    fail(socket, ENOMEM);
  }
  return sent;
}

void UringEngine::queue_send(Socket& socket) {
  io_uring_sqe& sqe = entry();
  const Activity& left = *socket.activity();
  if (left.outgoing) {
    io_uring_prep_sendmsg(&sqe, socket.fd, &left.outgoing->message, MSG_NOSIGNAL);
  } else {
    std::size_t size = std::min<std::size_t>(left.send_left, kSendMost);
    io_uring_prep_send(&sqe, socket.fd, left.send_at, size, MSG_NOSIGNAL);
  }
  io_uring_sqe_set_data64(&sqe, data_of(socket, kSend));
  ++socket.pending;
  set(socket, kSending);
}

void UringEngine::sent(Socket& socket, int result) {
  --socket.pending;
  clear(socket, kSending);
  bool again = result == -EAGAIN || result == -EINTR;
  if (socket.flags & kLeaving) {
    settle(socket);
  } else if (result < 0 && !again) {
    fail(socket, -result);
  } else if (socket.activity()->file >= 0) {
    std::size_t sent = push(socket);
    if (sent > 0) progressed(socket, sent);
  } else if (again || result == 0) {
    queue_send(socket);
  } else {
    counters_.sent_bytes += std::uint64_t(result);
    activities_.advance(socket, std::size_t(result));
    if (socket.sending()) queue_send(socket);
    progressed(socket, std::size_t(result));
  }
}

void UringEngine::progressed(Socket& socket, std::size_t sent) {
  if (socket.flags & kLeaving) return;
  if (!socket.sending() && (socket.flags & kShutdownLater)) {
    clear(socket, kShutdownLater);
    ++counters_.syscalls;
    ::shutdown(socket.fd, SHUT_WR);
  }
  socket.on_sent(sent);
}

std::size_t UringEngine::send_file(Socket& socket, int file, std::uint64_t offset,
                                   std::size_t length) {
  SLUICE_CHECK(socket.is_adopted() && !socket.sending());
  if (length == 0 || (socket.flags & kLeaving)) return 0;
  if (!activities_.hold_file(socket, file, offset, length)) {
    fail(socket, ENOMEM);
    return 0;
  }
  if (options_.inline_completions) return push(socket);
  set(socket, kSendable);
  want_turn(socket);
  return 0;
}

// Pushes what the socket takes of the outstanding file send, at most some windows of it. sendfile
// is no operation of the ring, so it is called here, and the ring only tells when there is room
// again.
std::size_t UringEngine::push(Socket& socket) {
  clear(socket, kSendable);
  std::size_t total = 0;
  for (int i = 0; i < kPushes && socket.sending(); ++i) {
    ++counters_.syscalls;
    const Activity& left = *socket.activity();
    ssize_t n = push_file(socket.fd, left.file, left.offset,
                          std::min<std::size_t>(left.send_left, kFileWindow));
    if (n > 0) {
      total += std::size_t(n);
      counters_.sent_bytes += std::uint64_t(n);
      activities_.advance(socket, std::size_t(n));
    } else if (n == 0) {
      fail(socket, EIO);  // the file has become shorter
      return total;
    } else if (errno == EAGAIN) {
      io_uring_sqe& sqe = entry();
      io_uring_prep_poll_add(&sqe, socket.fd, POLLOUT);
      io_uring_sqe_set_data64(&sqe, data_of(socket, kSend));
      ++socket.pending;
      set(socket, kSending);
      return total;
    } else if (errno != EINTR) {
      fail(socket, errno);
      return total;
    }
  }
  if (socket.sending()) {
    set(socket, kSendable);
    want_turn(socket);
  }
  return total;
}

void UringEngine::shutdown_send(Socket& socket) {
  if (socket.flags & kLeaving) return;
  if (socket.sending()) {
    set(socket, kShutdownLater);
    return;
  }
  ++counters_.syscalls;
  ::shutdown(socket.fd, SHUT_WR);
}

// --- turns and ends ------------------------------------------------------------------------------

void UringEngine::serve(Socket& socket) {
  if ((socket.flags & (kSendable | kLeaving)) == kSendable) {
    std::size_t sent = push(socket);
    if (sent > 0) progressed(socket, sent);
  }
  if (!(socket.flags & (kPaused | kLeaving))) {
    if (has_unread(socket)) {
      auto [block, size] = activities_.take_unread(socket);
      socket.on_received({block.get(), {block->data(), size}});
    } else if ((socket.flags & (kEndSeen | kEndTold)) == kEndSeen) {
      set(socket, kEndTold);
      socket.on_end();
    }
  }
  want_turn(socket);
  activities_.rest(socket);
  settle(socket);
}

// Asks for a turn when there is anything to do in it.
void UringEngine::want_turn(Socket& socket) {
  if (socket.flags & (kListed | kLeaving)) return;
  bool tells = !(socket.flags & kPaused) &&
               (has_unread(socket) || (socket.flags & (kEndSeen | kEndTold)) == kEndSeen);
  if (!tells && !(socket.flags & kSendable)) return;
  Activity* activity = activities_.of(socket);
  if (!activity) {
    fail(socket, ENOMEM);
    return;
  }
  leave_lists(socket);
  set(socket, kListed);
  next_turn_.push_back(*activity);
}

// After an operation has ended or the wishes have changed: arms the receive again, or ends the
// socket.
void UringEngine::settle(Socket& socket) {
  if (socket.flags & kLeaving) {
    if (socket.pending != 0 || (socket.flags & kListed)) return;
    set(socket, kListed);
    finished_.push_back(socket);
    return;
  }
  constexpr std::uint16_t kNotNow = kReceiving | kPaused | kEndSeen | kStarved;
  if (!(socket.flags & kNotNow) && !has_unread(socket)) arm_receive(socket);
}

// Not the list of those that have ended, which nobody leaves.
void UringEngine::leave_lists(Socket& socket) {
  if (socket.flags & (kListed | kStarved)) SocketList::remove(socket);
  clear(socket, kListed | kStarved);
}

void UringEngine::cancel(Socket& socket, Operation operation) {
  bool receive = operation == kCancelReceive;
  std::uint16_t flag = receive ? kCancelsReceive : kCancelsSend;
  if ((socket.flags & flag) || !(socket.flags & (receive ? kReceiving : kSending))) return;
  io_uring_sqe& sqe = entry();
  io_uring_prep_cancel64(&sqe, data_of(socket, receive ? kReceive : kSend), 0);
  io_uring_sqe_set_data64(&sqe, data_of(socket, operation));
  ++socket.pending;
  set(socket, flag);
}

void UringEngine::cancelled(Socket& socket, Operation operation, int result) {
  --socket.pending;
  clear(socket, operation == kCancelReceive ? kCancelsReceive : kCancelsSend);
  // Not found, although its last completion has not come: it was being worked on. Once more.
  bool still = operation == kCancelSend || (socket.flags & (kPaused | kLeaving));
  if (result < 0 && still) cancel(socket, operation);
  settle(socket);
}

void UringEngine::close(Socket& socket, CloseMode mode) {
  if (mode == CloseMode::abort) set(socket, kAborting);
  if (socket.flags & kClosing) return;
  bool ended = (socket.flags & kDetaching) && (socket.flags & kListed);
  set(socket, kClosing);
  if (ended) return;
  leave_lists(socket);
  bool cut = mode == CloseMode::abort;
  if (!cut && socket.pending > 0) {
    ++counters_.syscalls;
    cut = ::shutdown(socket.fd, SHUT_RDWR) < 0;  // ends what is armed
  }
  if (cut) {
    cancel(socket, kCancelReceive);
    cancel(socket, kCancelSend);
  }
  settle(socket);
}

void UringEngine::detach(Socket& socket) {
  if (socket.flags & kLeaving) return;
  SLUICE_CHECK(!socket.sending());
  set(socket, kDetaching);
  leave_lists(socket);
  cancel(socket, kCancelReceive);
  settle(socket);
}

void UringEngine::fail(Socket& socket, int number) {
  if (socket.flags & kClosing) return;
  socket.failure = failure_byte(number);
  set(socket, kClosing);
  leave_lists(socket);
  cancel(socket, kCancelReceive);
  cancel(socket, kCancelSend);
  settle(socket);
}

void UringEngine::finish(Socket& socket) {
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

}  // namespace sluice::io
