// apps/sluice/demo.hpp - what `sluice serve` shows when it is given no folder.
//
//   /                     the site: examples/site in the source tree, share/sluice/site when
//   installed /chat                 WebSocket: chat.hpp /live                 WebSocket: the answer
//   of /api/counters, once a second /api/counters         what runs here and its counters, as JSON
//   /download/large.bin   a large file to interrupt and resume: large_file.hpp
//
// Layer: apps.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include <sluice/server.hpp>

#include "sluice/chat.hpp"
#include "sluice/large_file.hpp"

namespace sluice::app {

// Must outlive the running of `server`.
class Demo {
 public:
  explicit Demo(Server& server) : server_(server), chat_(server) {}
  // Before start(). Errors: the site is not found, no room for the large file, or a path that is
  // taken.
  Result<void> add_routes();
  // After start(): tells those who listen on /live.
  void start();
  // Removes what lies on disk. Thread: any.
  void remove_files() const noexcept;

 private:
  Result<void> add_counters();
  Result<void> add_live();
  std::string counters_json() const;

  Server& server_;
  Chat chat_;
  std::unique_ptr<LargeFile> large_file_;
  const std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
  std::atomic<int> listeners_{0};  // on /live
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::jthread ticker_;  // last: ends before what it uses
};

}  // namespace sluice::app
