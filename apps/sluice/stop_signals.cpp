// apps/sluice/stop_signals.cpp - see stop_signals.hpp.
#include "sluice/stop_signals.hpp"

#include <pthread.h>

#include <atomic>
#include <thread>

namespace sluice::app {

StopSignals::StopSignals() {
  sigemptyset(&set_);
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    std::signal(number, SIG_DFL);  // an ignored signal would never be pending
    sigaddset(&set_, number);
  }
  pthread_sigmask(SIG_BLOCK, &set_, nullptr);
}

void StopSignals::wait(const std::function<void()>& again) const {
  for (;;) {
    int number = 0;
    sigwait(&set_, &number);
    if (number != SIGHUP) return;
    if (again) again();
  }
}

void StopSignals::wait_during(const std::function<void()>& work,
                              const std::function<void()>& hurried) const {
  std::atomic<bool> done{false};
  std::thread watcher([&] {
    wait();
    if (!done) hurried();
  });
  work();
  done = true;
  // To that thread alone: the signal is blocked, so sigwait takes it, sees `done` and returns.
  pthread_kill(watcher.native_handle(), SIGTERM);  // NOLINT(bugprone-bad-signal-to-kill-thread)
  watcher.join();
}

}  // namespace sluice::app
