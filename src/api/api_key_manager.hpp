// api/api_key_manager.hpp - what stands behind an ApiKeyManager: its thread, and the service's own.
//
// Layer: api. Thread: any.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include <sluice/api_keys.hpp>

#include "service/api_keys/manager.hpp"

namespace sluice {

// The thread that waits for the store: runs tasks in their order, and looks at the store each
// interval.
class KeyThread {
 public:
  KeyThread();
  // Runs what was posted, then ends the thread.
  ~KeyThread();
  KeyThread(const KeyThread&) = delete;
  KeyThread& operator=(const KeyThread&) = delete;

  bool post(std::function<void()> task);
  void look_each(std::chrono::milliseconds interval, std::function<void()> look);
  // No look begins from here on, and none is under way.
  void stop_looking();
  bool is_current() const { return thread_.get_id() == std::this_thread::get_id(); }

 private:
  static constexpr std::size_t kMostTasks = 65'536;
  void run();
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;
  std::function<void()> look_;
  std::chrono::milliseconds interval_{0};
  bool ending_ = false, looking_ = false;
  std::thread thread_;
};

struct ApiKeyManager::Impl {
  static Result<std::shared_ptr<ApiKeyManager>> open(std::unique_ptr<api_keys::Store> store,
                                                     ApiKeySettings settings);
  explicit Impl(ApiKeySettings wanted) : settings(std::move(wanted)) {}
  ~Impl();

  // Whether a thread that asks may wait for an answer.
  bool may_wait() const;
  // Calls `begin` with a Done, and waits for what that is told.
  template <class T, class Begin>
  Result<T> wait_for(Begin begin) const;

  const ApiKeySettings settings;
  KeyThread thread;
  std::shared_ptr<api_keys::KeyManager> keys;
};

}  // namespace sluice
