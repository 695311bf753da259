// apps/sluice/stop_signals.hpp - SIGINT and SIGTERM as something to wait for.
//
// Layer: apps. Make it on the main thread before any other thread starts: threads inherit the
// blocked signals.
#pragma once

#include <csignal>

#include <functional>

namespace sluice::app {

class StopSignals {
 public:
  // Blocks both signals, also where the parent had them ignored (a background job of a shell
  // script).
  StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  // Returns when one of the two arrives.
  void wait() const;
  // Runs `work` on this thread. If a signal arrives meanwhile, `hurried` runs on another one: it is
  // expected to end the process.
  void wait_during(const std::function<void()>& work, const std::function<void()>& hurried) const;

 private:
  sigset_t set_{};
};

}  // namespace sluice::app
