// apps/sluice/stop_signals.hpp - SIGINT, SIGTERM and SIGHUP as something to wait for.
//
// Layer: apps. Make it on the main thread before any other thread starts: threads inherit the
// blocked signals.
#pragma once

#include <csignal>

#include <functional>

namespace sluice::app {

class StopSignals {
 public:
  // Blocks these signals, also where the parent had them ignored (a background job of a shell
  // script).
  StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  // Returns when SIGINT or SIGTERM arrives; calls `again` for each SIGHUP meanwhile.
  void wait(const std::function<void()>& again = {}) const;
  // Runs `work` on this thread. If a signal arrives meanwhile, `hurried` runs on another one: it is
  // expected to end the process.
  void wait_during(const std::function<void()>& work, const std::function<void()>& hurried) const;

 private:
  sigset_t set_{};
};

}  // namespace sluice::app
