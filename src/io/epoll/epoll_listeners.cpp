// io/epoll/epoll_listeners.cpp - accepting: so many per wake-up, and how a listener ends.
#include <errno.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "io/epoll/epoll_engine.hpp"

namespace sluice::io {
namespace {

// Listener::flags. `extra` is how many accepts one wake-up tries, `pending` how often in a row that
// was not too much.
enum : std::uint16_t {
  kListenerClosing = 1 << 0,
  kListenerLeaving = 1 << 1,
  kListenerResting = 1 << 2
};

constexpr std::size_t kBacklog = 65536;    // more than any kernel keeps
constexpr std::uint16_t kFullAccepts = 4;  // wake-ups in a row with all accepts used up, then more
constexpr auto kAcceptRest = std::chrono::milliseconds(100);

}  // namespace

void EpollEngine::listen(Listener& listener, int fd, ListenerEvents& events) {
  listener.fd = fd;
  listener.flags = listener.pending = 0;
  listener.extra = 1;
  listener.events = &events;
  int yes = 1;
  counters_.syscalls += 1;
  ::ioctl(fd, FIONBIO, &yes);
  watch_listener(listener, EPOLL_CTL_ADD, EPOLLIN);
}

// Level-triggered: what accepts_per_wake left in the backlog is reported again.
void EpollEngine::watch_listener(Listener& listener, int operation, std::uint32_t events) {
  epoll_event event{.events = events, .data = {.u64 = {}}};
  event.data.u64 = reinterpret_cast<std::uintptr_t>(&listener) | kListenerTag;
  ++counters_.syscalls;
  ::epoll_ctl(epoll_, operation, listener.fd, &event);
}

// As many as there were the last times: to find out that there is no more, the kernel makes a
// socket and throws it away. What is left is reported again.
void EpollEngine::accept_some(Listener& listener) {
  const std::size_t most = std::min<std::size_t>(listener.extra, options_.accepts_per_wake);
  for (std::size_t i = 0; i < most; ++i) {
    if (listener.flags & (kListenerClosing | kListenerLeaving)) return;
    if (!accept_one(listener)) {
      listener.extra = std::max<std::size_t>(i, 1);
      listener.pending = 0;
      return;
    }
  }
  if (++listener.pending == kFullAccepts) {
    listener.extra = most * 2;
    listener.pending = 0;
  }
}

// False when the backlog is empty or cannot be accepted now.
bool EpollEngine::accept_one(Listener& listener) {
  ++counters_.syscalls;
  sockaddr_storage peer;
  peer.ss_family = AF_UNSPEC;
  socklen_t size = sizeof peer;
  int fd = ::accept4(listener.fd, reinterpret_cast<sockaddr*>(&peer), &size,
                     SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd >= 0) {
    ++counters_.accepted;
    listener.events->on_accepted(fd, &peer);
    return true;
  }
  switch (errno) {
    case EAGAIN:
      return false;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOBUFS:
    case EBADF:
    case EINVAL:
    case ENOTSOCK:
      break;
    default:
      return true;  // that connection is gone; the next one may be well
  }
  Failure failure = failure_of(errno);
  if (!(listener.flags & (kListenerClosing | kListenerLeaving | kListenerResting))) {
    watch_listener(listener, EPOLL_CTL_MOD, 0);
    listener.flags |= kListenerResting;
    resting_listeners_.push_back(&listener);
    retry_at_ = std::min(retry_at_, now_ + kAcceptRest);
  }
  listener.events->on_accept_failed(to_error(failure));
  return false;
}

void EpollEngine::retry_listeners() {
  retry_at_ = base::never;
  std::vector<Listener*> resting;
  resting.swap(resting_listeners_);
  for (Listener* listener : resting) {
    listener->flags &= std::uint16_t(~kListenerResting);
    if (!(listener->flags & (kListenerClosing | kListenerLeaving))) {
      watch_listener(*listener, EPOLL_CTL_MOD, EPOLLIN);
    }
  }
}

void EpollEngine::close_listener(Listener& listener) { end_listener(listener, kListenerClosing); }
void EpollEngine::leave_listener(Listener& listener) { end_listener(listener, kListenerLeaving); }

// The kernel has forgotten it when it was closed.
void EpollEngine::forget_listener(Listener& listener) {
  if (listener.flags & (kListenerClosing | kListenerLeaving)) return;
  listener.flags |= kListenerLeaving;
  finished_listeners_.push_back(&listener);
  wake();
}

void EpollEngine::end_listener(Listener& listener, std::uint16_t how) {
  if (listener.flags & (kListenerClosing | kListenerLeaving)) return;
  listener.flags |= how;
  ++counters_.syscalls;
  ::epoll_ctl(epoll_, EPOLL_CTL_DEL, listener.fd, nullptr);
  finished_listeners_.push_back(&listener);
}

void EpollEngine::finish_listeners() {
  std::vector<Listener*> done;
  done.swap(finished_listeners_);
  for (Listener* listener : done) finish_listener(*listener);
}

void EpollEngine::finish_listener(Listener& listener) {
  std::erase(resting_listeners_, &listener);
  if (listener.flags & kListenerClosing) {
    for (std::size_t i = 0; i < kBacklog && accept_one(listener); ++i) {
    }
    ++counters_.syscalls;
    ::close(listener.fd);
    listener.fd = -1;
  }
  ListenerEvents* events = std::exchange(listener.events, nullptr);
  events->on_listener_closed(std::exchange(listener.fd, -1));
}

}  // namespace sluice::io
