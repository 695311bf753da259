// api/watchdog.hpp - the thread that looks after a running server.
//
// Layer: api. Thread: its own; the constructor and the destructor are whoever starts and stops the
// server.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace sluice::api {

class Watchdog {
 public:
  // Calls `look` every `interval`, first after one of them.
  Watchdog(std::chrono::milliseconds interval, std::function<void(Watchdog&)> look);
  // Waits for a look that has begun; after this nothing is done any more.
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  // For a look that waits: returns early, with true, when the watchdog ends.
  bool wait_until(std::chrono::steady_clock::time_point until);

 private:
  void run();
  const std::chrono::milliseconds interval_;
  const std::function<void(Watchdog&)> look_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace sluice::api
