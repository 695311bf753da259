// api/watchdog.cpp - looks at intervals.
#include "api/watchdog.hpp"

#include <pthread.h>
#include <signal.h>

#include <utility>

namespace sluice::api {

Watchdog::Watchdog(std::chrono::milliseconds interval, std::function<void(Watchdog&)> look)
    : interval_(interval), look_(std::move(look)) {
  // Signals are the application's: no thread of ours takes them.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

Watchdog::~Watchdog() {
  {
    std::lock_guard lock(mutex_);
    ending_ = true;
    changed_.notify_all();
  }
  thread_.join();
}

bool Watchdog::wait_until(std::chrono::steady_clock::time_point until) {
  std::unique_lock lock(mutex_);
  return changed_.wait_until(lock, until, [this] { return ending_; });
}

void Watchdog::run() {
  while (!wait_until(std::chrono::steady_clock::now() + interval_)) look_(*this);
}

}  // namespace sluice::api
