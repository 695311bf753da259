// io/uring/uring_send.cpp - sending: at once where the kernel takes it, else by the ring.
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/check.hpp"
#include "io/uring/uring_engine.hpp"
#include "io/uring/uring_socket.hpp"

namespace sluice::io {

using namespace uring;

namespace {

constexpr std::size_t kSendMost = std::size_t{1} << 30;    // an operation's length has 32 bits
constexpr std::size_t kFileWindow = std::size_t{1} << 20;  // bytes of a file in one try
constexpr int kPushes = 4;

}  // namespace

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

}  // namespace sluice::io
