// io/activity_pool.cpp - keeping, advancing and forgetting what is under way.
#include "io/activity_pool.hpp"

#include <pthread.h>
#include <signal.h>
#include <sys/sendfile.h>

#include <algorithm>
#include <new>

namespace sluice::io {

ActivityPool::~ActivityPool() {
  while (Activity* activity = spare_) {
    spare_ = activity->next_spare;
    delete activity;
  }
  while (Outgoing* outgoing = idle_) {
    idle_ = outgoing->next;
    delete outgoing;
  }
}

Activity* ActivityPool::take(Socket& socket) {
  if (socket.kept != 0) return nullptr;  // a place among the ended
  Activity* activity = spare_;
  if (activity) {
    spare_ = std::exchange(activity->next_spare, nullptr);
    least_spare_ = std::min(least_spare_, --spare_count_);
  } else {
    activity = new (std::nothrow) Activity();
    if (!activity) return nullptr;
  }
  activity->socket = &socket;
  socket.kept = reinterpret_cast<std::uintptr_t>(activity);
  return activity;
}

void ActivityPool::give_back(Socket& socket, Activity& activity) {
  socket.kept = 0;
  activity.socket = nullptr;
  activity.next_spare = spare_;
  spare_ = &activity;
  ++spare_count_;
  if (--until_trim_ == 0) trim();
}

void ActivityPool::trim() {
  for (std::size_t i = least_spare_ / 2; i > 0; --i) {
    Activity* activity = spare_;
    spare_ = activity->next_spare;
    --spare_count_;
    delete activity;
  }
  least_spare_ = spare_count_;
  until_trim_ = kPeriod;
}

Outgoing* ActivityPool::take_outgoing() {
  Outgoing* outgoing = idle_;
  if (!outgoing) return new (std::nothrow) Outgoing();
  idle_ = outgoing->next;
  --idle_count_;
  return outgoing;
}

void ActivityPool::give_back_outgoing(Outgoing* outgoing) {
  if (!outgoing) return;
  if (idle_count_ >= kKeepOutgoings) {
    delete outgoing;
    return;
  }
  outgoing->next = idle_;
  idle_ = outgoing;
  ++idle_count_;
}

bool ActivityPool::hold(Socket& socket, std::span<const iovec> parts, std::size_t skip) {
  while (!parts.empty() && skip >= parts.front().iov_len) {
    skip -= parts.front().iov_len;
    parts = parts.subspan(1);
  }
  if (parts.empty()) return true;
  Activity* activity = of(socket);
  if (!activity) return false;
  const std::byte* at = static_cast<const std::byte*>(parts.front().iov_base) + skip;
  if (parts.size() > 1) {
    Outgoing* outgoing = take_outgoing();
    if (!outgoing) {
      rest(socket);
      return false;
    }
    std::copy(parts.begin(), parts.end(), outgoing->parts);
    outgoing->parts[0].iov_base = const_cast<std::byte*>(at);
    outgoing->parts[0].iov_len -= skip;
    outgoing->message = msghdr{};
    outgoing->message.msg_iov = outgoing->parts;
    outgoing->message.msg_iovlen = parts.size();
    activity->outgoing = outgoing;
  }
  activity->send_at = at;
  activity->send_left = total_size(parts) - skip;
  return true;
}

bool ActivityPool::hold_file(Socket& socket, int file, std::uint64_t offset, std::size_t length) {
  Activity* activity = of(socket);
  if (!activity) return false;
  activity->file = file;
  activity->offset = offset;
  activity->send_left = length;
  return true;
}

void ActivityPool::advance(Socket& socket, std::size_t sent) {
  Activity& activity = *socket.activity();
  activity.send_left -= sent;
  if (activity.send_left == 0) {
    give_back_outgoing(std::exchange(activity.outgoing, nullptr));
    activity.file = -1;
    rest(socket);
    return;
  }
  if (activity.file >= 0) {
    activity.offset += sent;
    return;
  }
  if (!activity.outgoing) {
    activity.send_at += sent;
    return;
  }
  msghdr& message = activity.outgoing->message;
  while (sent >= message.msg_iov->iov_len) {
    sent -= message.msg_iov->iov_len;
    ++message.msg_iov;
    --message.msg_iovlen;
  }
  message.msg_iov->iov_base = static_cast<std::byte*>(message.msg_iov->iov_base) + sent;
  message.msg_iov->iov_len -= sent;
}

bool ActivityPool::hold_unread(Socket& socket, base::BlockPool& blocks, Bytes bytes) {
  Activity* activity = of(socket);
  if (!activity) return false;
  if (!activity->unread) activity->unread = new (std::nothrow) Unread();
  return activity->unread && activity->unread->append(blocks, bytes);
}

std::pair<base::BlockRef, std::size_t> ActivityPool::take_unread(Socket& socket) {
  Activity& activity = *socket.activity();
  auto piece = activity.unread->take();
  if (activity.unread->empty()) {
    delete std::exchange(activity.unread, nullptr);
    rest(socket);
  }
  return piece;
}

std::unique_ptr<Unread> ActivityPool::drop(Socket& socket) {
  Activity* activity = socket.activity();
  if (!activity) {
    socket.kept = 0;
    return nullptr;
  }
  std::unique_ptr<Unread> unread(std::exchange(activity->unread, nullptr));
  give_back_outgoing(std::exchange(activity->outgoing, nullptr));
  activity->send_left = 0;
  activity->file = -1;
  activity->ended = false;
  give_back(socket, *activity);
  return unread;
}

std::size_t total_size(std::span<const iovec> parts) {
  std::size_t total = 0;
  for (const iovec& part : parts) total += part.iov_len;
  return total;
}

ssize_t push_file(int fd, int file, std::uint64_t offset, std::size_t most) {
  thread_local bool blocked = false;
  if (!blocked) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    blocked = pthread_sigmask(SIG_BLOCK, &set, nullptr) == 0;
  }
  auto at = off_t(offset);
  return ::sendfile(fd, file, &at, most);
}

void wait_for_bytes(int fd, std::size_t bytes) {
  const int wanted = int(bytes);
  ::setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &wanted, sizeof wanted);
}

ssize_t push_now(int fd, std::span<const iovec> parts, bool more) {
  const int flags = MSG_NOSIGNAL | MSG_DONTWAIT | (more ? MSG_MORE : 0);
  ssize_t n;
  do {
    if (parts.size() == 1) {
      n = ::send(fd, parts[0].iov_base, parts[0].iov_len, flags);
    } else {
      msghdr message{};
      message.msg_iov = const_cast<iovec*>(parts.data());
      message.msg_iovlen = parts.size();
      n = ::sendmsg(fd, &message, flags);
    }
  } while (n < 0 && errno == EINTR);
  return n;
}

}  // namespace sluice::io
