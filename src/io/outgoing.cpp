// io/outgoing.cpp - keeping, advancing and forgetting an outstanding send.
#include "io/outgoing.hpp"

#include <pthread.h>
#include <signal.h>
#include <sys/sendfile.h>

#include <algorithm>
#include <new>

namespace sluice::io {

OutgoingPool::~OutgoingPool() {
  while (Outgoing* outgoing = idle_) {
    idle_ = outgoing->next;
    delete outgoing;
  }
}

Outgoing* OutgoingPool::take() {
  Outgoing* outgoing = idle_;
  if (!outgoing) return new (std::nothrow) Outgoing();
  idle_ = outgoing->next;
  --idle_count_;
  return outgoing;
}

void OutgoingPool::give_back(Outgoing* outgoing) {
  if (idle_count_ >= kKeep) {
    delete outgoing;
    return;
  }
  outgoing->file = -1;
  outgoing->next = idle_;
  idle_ = outgoing;
  ++idle_count_;
}

bool OutgoingPool::hold(Socket& socket, std::span<const iovec> parts, std::size_t skip) {
  while (!parts.empty() && skip >= parts.front().iov_len) {
    skip -= parts.front().iov_len;
    parts = parts.subspan(1);
  }
  socket.send_left = total_size(parts) - skip;
  if (parts.empty()) return true;
  socket.send_at = static_cast<const std::byte*>(parts.front().iov_base) + skip;
  if (parts.size() == 1) return true;
  Outgoing* outgoing = take();
  if (!outgoing) return false;
  std::copy(parts.begin(), parts.end(), outgoing->parts);
  outgoing->parts[0].iov_base = const_cast<std::byte*>(socket.send_at);
  outgoing->parts[0].iov_len -= skip;
  outgoing->message = msghdr{};
  outgoing->message.msg_iov = outgoing->parts;
  outgoing->message.msg_iovlen = parts.size();
  socket.send_more = outgoing;
  return true;
}

bool OutgoingPool::hold_file(Socket& socket, int file, std::uint64_t offset, std::size_t length) {
  socket.send_left = length;
  Outgoing* outgoing = take();
  if (!outgoing) return false;
  outgoing->file = file;
  outgoing->offset = offset;
  socket.send_more = outgoing;
  return true;
}

void OutgoingPool::advance(Socket& socket, std::size_t sent) {
  socket.sent_total += sent;
  socket.send_left -= sent;
  if (socket.send_left == 0) {
    drop(socket);
    return;
  }
  Outgoing* outgoing = outgoing_of(socket);
  if (!outgoing) {
    socket.send_at += sent;
    return;
  }
  if (outgoing->file >= 0) {
    outgoing->offset += sent;
    return;
  }
  msghdr& message = outgoing->message;
  while (sent >= message.msg_iov->iov_len) {
    sent -= message.msg_iov->iov_len;
    ++message.msg_iov;
    --message.msg_iovlen;
  }
  message.msg_iov->iov_base = static_cast<std::byte*>(message.msg_iov->iov_base) + sent;
  message.msg_iov->iov_len -= sent;
}

void OutgoingPool::drop(Socket& socket) {
  if (Outgoing* outgoing = outgoing_of(socket)) give_back(outgoing);
  socket.send_more = nullptr;
  socket.send_at = nullptr;
  socket.send_left = 0;
}

std::size_t total_size(std::span<const iovec> parts) {
  std::size_t total = 0;
  for (const iovec& part : parts) total += part.iov_len;
  return total;
}

ssize_t push_file(const Socket& socket, std::size_t most) {
  thread_local bool blocked = false;
  if (!blocked) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    blocked = pthread_sigmask(SIG_BLOCK, &set, nullptr) == 0;
  }
  const Outgoing& outgoing = *outgoing_of(socket);
  auto offset = off_t(outgoing.offset);
  return ::sendfile(socket.fd, outgoing.file, &offset,
                    std::min<std::size_t>(most, socket.send_left));
}

}  // namespace sluice::io
