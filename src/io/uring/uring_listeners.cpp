// io/uring/uring_listeners.cpp - accepting: one multishot accept per listener, and how a listener
// ends.
#include <errno.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "io/uring/uring_engine.hpp"

namespace sluice::io {
namespace {

// Listener::flags.
enum : std::uint16_t {
  kClosing = 1 << 0,
  kLeaving = 1 << 1,
  kResting = 1 << 2,  // accepting failed; in resting_listeners_
  kArmed = 1 << 3,
  kListed = 1 << 4,  // in finished_listeners_
};
constexpr std::uint16_t kEnding = kClosing | kLeaving;

constexpr int kBacklog = 65536;  // more than any kernel keeps
constexpr auto kAcceptRest = std::chrono::milliseconds(100);

void set(Listener& listener, std::uint16_t bits) {
  listener.flags = std::uint16_t(listener.flags | bits);
}
void clear(Listener& listener, std::uint16_t bits) {
  listener.flags = std::uint16_t(listener.flags & ~bits);
}

std::uint64_t data_of(Listener& listener, std::uint64_t operation) {
  return reinterpret_cast<std::uintptr_t>(&listener) | operation;
}

// What does not go away by itself. Anything else concerned one connection, which is gone.
bool is_lasting(int number) {
  switch (number) {
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOBUFS:
    case EBADF:
    case EINVAL:
    case ENOTSOCK:
      return true;
    default:
      return false;
  }
}

}  // namespace

void UringEngine::listen(Listener& listener, int fd, ListenerEvents& events) {
  listener.fd = fd;
  listener.flags = listener.pending = 0;
  listener.events = &events;
  int yes = 1;
  ++counters_.syscalls;
  ::ioctl(fd, FIONBIO, &yes);
  arm_accept(listener);
}

void UringEngine::arm_accept(Listener& listener) {
  io_uring_sqe& sqe = entry();
  io_uring_prep_multishot_accept(&sqe, listener.fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  io_uring_sqe_set_data64(&sqe, data_of(listener, kAccept));
  ++listener.pending;
  set(listener, kArmed);
}

void UringEngine::accepted(Listener& listener, int result, unsigned flags) {
  if (!(flags & IORING_CQE_F_MORE)) {
    --listener.pending;
    clear(listener, kArmed);
  }
  if (result >= 0) {
    ++counters_.accepted;
    if (accepted_.empty() && accepted_in_turn_ < options_.accepts_per_wake) {
      ++accepted_in_turn_;
      listener.events->on_accepted(result, nullptr);
    } else {
      accepted_.push_back({&listener, result});
    }
  } else if (is_lasting(-result) && !(listener.flags & kEnding)) {
    set(listener, kResting);
    resting_listeners_.push_back(&listener);
    retry_at_ = std::min(retry_at_, now_ + kAcceptRest);
    listener.events->on_accept_failed(to_error(failure_of(-result)));
  }
  settle_listener(listener);
}

// Tells of at most `most` of those that an earlier turn left.
void UringEngine::tell_accepted(std::size_t most) {
  std::vector<Accepted> waiting;
  waiting.swap(accepted_);
  std::size_t now = std::min(most, waiting.size());
  for (std::size_t i = 0; i < now; ++i) {
    ++accepted_in_turn_;
    waiting[i].listener->events->on_accepted(waiting[i].fd, nullptr);
  }
  accepted_.insert(accepted_.begin(), waiting.begin() + std::ptrdiff_t(now), waiting.end());
}

void UringEngine::close_listener(Listener& listener) { end_listener(listener, kClosing); }
void UringEngine::leave_listener(Listener& listener) { end_listener(listener, kLeaving); }
// It is cancelled by its own mark, whatever its descriptor is by now.
void UringEngine::forget_listener(Listener& listener) { end_listener(listener, kLeaving); }

void UringEngine::end_listener(Listener& listener, std::uint16_t how) {
  if (listener.flags & kEnding) return;
  set(listener, how);
  settle_listener(listener);
}

// Arms the accept again, or cancels it when the listener ends; lists the listener when nothing is
// left to wait for.
void UringEngine::settle_listener(Listener& listener) {
  if (!(listener.flags & kEnding)) {
    if (!(listener.flags & (kArmed | kResting))) arm_accept(listener);
    return;
  }
  if (listener.pending == 0) {
    if (listener.flags & kListed) return;
    set(listener, kListed);
    finished_listeners_.push_back(&listener);
  } else if ((listener.flags & kArmed) && listener.pending == 1) {
    // Again as long as it is armed: a cancellation misses an operation that is just being worked
    // on.
    io_uring_sqe& sqe = entry();
    io_uring_prep_cancel64(&sqe, data_of(listener, kAccept), 0);
    io_uring_sqe_set_data64(&sqe, data_of(listener, kCancelAccept));
    ++listener.pending;
  }
}

void UringEngine::retry_listeners() {
  retry_at_ = base::never;
  std::vector<Listener*> resting;
  resting.swap(resting_listeners_);
  for (Listener* listener : resting) {
    clear(*listener, kResting);
    settle_listener(*listener);
  }
}

void UringEngine::finish_listeners() {
  std::vector<Listener*> done;
  done.swap(finished_listeners_);
  for (Listener* listener : done) finish_listener(*listener);
}

void UringEngine::finish_listener(Listener& listener) {
  std::erase(resting_listeners_, &listener);
  std::vector<Accepted> waiting;
  waiting.swap(accepted_);
  for (const Accepted& one : waiting) {
    if (one.listener == &listener) {
      listener.events->on_accepted(one.fd, nullptr);
    } else {
      accepted_.push_back(one);
    }
  }
  if (listener.flags & kClosing) {
    accept_backlog(listener);
    ++counters_.syscalls;
    ::close(listener.fd);
    listener.fd = -1;
  }
  ListenerEvents* events = std::exchange(listener.events, nullptr);
  events->on_listener_closed(std::exchange(listener.fd, -1));
}

void UringEngine::accept_backlog(Listener& listener) {
  for (int i = 0; i < kBacklog; ++i) {
    ++counters_.syscalls;
    int fd = ::accept4(listener.fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      ++counters_.accepted;
      listener.events->on_accepted(fd, nullptr);
    } else if (errno == EAGAIN) {
      return;
    } else if (is_lasting(errno)) {
      listener.events->on_accept_failed(to_error(failure_of(errno)));
      return;
    }
  }
}

}  // namespace sluice::io
