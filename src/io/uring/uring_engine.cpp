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
#include "io/uring/uring_socket.hpp"

namespace sluice::io {

using namespace uring;

namespace {

constexpr unsigned kSubmissions = 1024, kCompletions = 32768;
constexpr auto kMemoryRest = std::chrono::milliseconds(10);

static_assert(alignof(Socket) >= 8 && alignof(Listener) >= 8, "three bits beside the pointer");

bool receives_bulk(const Socket& socket) {
  const Activity* activity = socket.activity();
  return activity && activity->bulk;
}

}  // namespace

UringEngine::UringEngine(const EngineOptions& options)
    : options_(options),
      receive_ring_(pool_, options.receive_block_bytes, options.receive_blocks,
                    options.piecewise_receive),
      bulk_kept_(kBulkBlock) {}

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
  if (::syscall(SYS_io_uring_register, ring_.ring_fd, IORING_REGISTER_ENABLE_RINGS, nullptr, 0) !=
      0) {
    SLUICE_CHECK(!went_well(-errno));
  }
}

// The next free submission entry. A full queue is handed to the kernel first.
// What does not pass: the ring's descriptor is closed, or is something else by now.
bool UringEngine::went_well(int result) {
  switch (-result) {
    case EBADF:
    case EBADFD:
    case EINVAL:
    case ENXIO:
    case EOPNOTSUPP:
      failed_ = true;
      return false;
    default:
      return true;
  }
}

io_uring_sqe& UringEngine::entry() {
  if (failed_) [[unlikely]]
    return *nowhere_;
  io_uring_sqe* sqe = ::io_uring_get_sqe(&ring_);
  while (!sqe) [[unlikely]] {
      enable();
      receive_ring_.publish();
      ++counters_.syscalls;
      int n = ::io_uring_submit(&ring_);
      if (!went_well(n)) return *nowhere_;
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
    went_well(::io_uring_submit_and_get_events(&ring_));
    return;
  }
  until = std::min(until, retry_at_);
  if (!starved_.empty() && receive_ring_.may_post_more()) {
    until = std::min(until, now_ + kMemoryRest);  // memory is out, not blocks
  }
  if (until == base::never) {
    went_well(::io_uring_submit_and_wait(&ring_, 1));
    return;
  }
  auto left = std::max(until - base::clock_for(until, now_), base::Duration(0));
  if (left == base::Duration(0)) {
    went_well(::io_uring_submit_and_get_events(&ring_));
    return;
  }
  __kernel_timespec limit{left.count() / 1'000'000'000, left.count() % 1'000'000'000};
  io_uring_cqe* first = nullptr;
  went_well(::io_uring_submit_and_wait_timeout(&ring_, &first, 1, &limit, nullptr));
}

void UringEngine::wait(base::Instant until) {
  enable();
  receive_ring_.reclaim(!starved_.empty());
  if (bulk_kept_.size() > 0) bulk_kept_.reclaim(true);
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
    completions_left_ = tail - head - 1;
    handle(data, result, flags);
  }
  if (std::exchange(ran_dry_, false)) receive_ring_.grow();
  while (Socket* socket = turn.pop_front()) {
    clear(*socket, kListed);
    serving_ = !turn.empty();
    serve(*socket);
  }
  serving_ = false;
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

// --- the end of a ring ---------------------------------------------------------------------------

void UringEngine::abandon() {
  failed_ = true;
  for (const Accepted& accepted : accepted_) ::close(accepted.fd);
  accepted_.clear();
  finished_listeners_.clear();
  resting_listeners_.clear();
  if (ring_made_) {
    // Whose number this is now, nobody knows; the kernel lets the ring go with its memory.
    ring_.ring_fd = ring_.enter_ring_fd = -1;
    ::io_uring_queue_exit(&ring_);
    ring_made_ = false;
  }
  EndedList done = std::exchange(finished_, {});
  while (Socket* socket = done.pop_front()) finish(*socket);
}

void UringEngine::abandon(Socket& socket) {
  if (!socket.is_adopted()) return;
  leave_lists(socket);
  if (receives_bulk(socket)) {
    bulk_kept_.add(base::BlockRef(std::exchange(socket.activity()->bulk, nullptr)));
  }
  socket.pending = 0;
  socket.flags = kClosing | kAborting;
  socket.failure = failure_byte(EIO);
  finish(socket);
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
  if ((socket.flags & kExpectsBulk) && arm_bulk(socket)) return;
  io_uring_sqe& sqe = entry();
  io_uring_prep_recv_multishot(&sqe, socket.fd, nullptr, 0, 0);
  sqe.flags |= IOSQE_BUFFER_SELECT;
  sqe.buf_group = ReceiveRing::kGroup;
  io_uring_sqe_set_data64(&sqe, data_of(socket, kReceive));
  ++socket.pending;
  set(socket, kReceiving);
}

// One receive into a block of its own. False: there is none.
bool UringEngine::arm_bulk(Socket& socket) {
  if (bulk_armed_ + bulk_kept_.size() >= kBulkBlocks) return false;
  base::BlockRef block = pool_.take(kBulkBlock);
  Activity* activity = activities_.of(socket);
  if (!block || !activity) return false;
  io_uring_sqe& sqe = entry();
  io_uring_prep_recv(&sqe, socket.fd, block->data(), kBulkBlock, 0);
  sqe.ioprio |= IORING_RECVSEND_POLL_FIRST;  // which waits for kBulkWait
  io_uring_sqe_set_data64(&sqe, data_of(socket, kReceive));
  activity->bulk = block.leave();
  ++bulk_armed_;
  ++socket.pending;
  set(socket, kReceiving);
  return true;
}

void UringEngine::received(Socket& socket, int result, unsigned flags) {
  bool more = flags & IORING_CQE_F_MORE;
  if (!more) {
    --socket.pending;
    clear(socket, kReceiving);
  }
  const bool bulk = receives_bulk(socket);
  base::BlockRef block;
  if (bulk) [[unlikely]] {
    block = base::BlockRef(std::exchange(socket.activity()->bulk, nullptr));
    --bulk_armed_;
  }
  if (bulk && result > 0) {
    const std::span<std::byte> bytes(block->data(), std::size_t(result));
    counters_.received_bytes += bytes.size();
    if (!(socket.flags & (kPaused | kLeaving)) && !has_unread(socket)) {
      socket.on_received({block.get(), bytes});
    } else if (!(socket.flags & kClosing)) {
      hold(socket, bytes);
    }
    if (block->refs() > 1) bulk_kept_.add(std::move(block));
  } else if (result > 0) [[likely]] {
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
  if (bulk) activities_.rest(socket);
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

// What is armed already ends, and the other kind of receive takes its place.
void UringEngine::expect_bulk(Socket& socket, bool bulk) {
  if (bool(socket.flags & kExpectsBulk) == bulk || (socket.flags & kLeaving)) return;
  ++counters_.syscalls;
  wait_for_bytes(socket.fd, bulk ? kBulkWait : 1);
  if (bulk) {
    set(socket, kExpectsBulk);
  } else {
    clear(socket, kExpectsBulk);
  }
  if (socket.flags & kReceiving) cancel(socket, kCancelReceive);
}

void UringEngine::resume(Socket& socket) {
  clear(socket, kPaused);
  want_turn(socket);
  settle(socket);
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
  // Not found, although its last completion has not come: it was being worked on. Or another
  // receive has taken the place of what it was for. Once more.
  bool still = operation == kCancelSend || (socket.flags & (kPaused | kLeaving));
  bool again = result < 0 || (operation == kCancelReceive && receives_bulk(socket));
  if (again && still) cancel(socket, operation);
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
  expect_bulk(socket, false);
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
