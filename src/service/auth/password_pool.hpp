// service/auth/password_pool.hpp - the threads that passwords are verified on.
//
// A verification costs some 20 ms of a core and up to 64 MiB: a shard would be gone for that long,
// and many at once would take the machine. Layer: service. Thread: any may ask.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <sluice/result.hpp>

#include "crypto/password.hpp"
#include "crypto/secret.hpp"

namespace sluice::service {

struct PasswordPoolLimits {
  std::size_t parallel = 2;   // run at a time; at least 1
  std::size_t waiting = 256;  // beyond: auth_busy

  friend bool operator==(const PasswordPoolLimits&, const PasswordPoolLimits&) = default;
};

enum class PasswordVerdict { right, wrong, cancelled };

class PasswordPool {
 public:
  // Told once, on a thread of the pool, or on the one that calls stop(). It must not throw; it
  // posts to the shard that asked.
  using Done = std::function<void(PasswordVerdict)>;
  using Verify = std::function<bool(std::string_view password, std::string_view hash)>;

  // Starts its threads when they are first needed.
  explicit PasswordPool(PasswordPoolLimits limits = {}, Verify verify = crypto::verify_password);
  const PasswordPoolLimits& limits() const { return limits_; }
  // As stop().
  ~PasswordPool();
  PasswordPool(const PasswordPool&) = delete;
  PasswordPool& operator=(const PasswordPool&) = delete;

  // In the order of asking. Errors: auth_busy, server_stopping, unavailable (no thread can be had);
  // `done` is not told then.
  Result<void> verify(crypto::Secret password, std::string hash, Done done);

  // Cancels what waits, and waits for what runs. Not from a Done.
  void stop();

  std::size_t waiting() const;

 private:
  struct Job {
    crypto::Secret password;
    std::string hash;
    Done done;
  };
  void run();
  bool start_thread();

  const PasswordPoolLimits limits_;
  const Verify verify_;
  mutable std::mutex mutex_;
  std::condition_variable asked_;
  std::deque<Job> jobs_;
  std::vector<std::thread> threads_;
  std::size_t idle_ = 0;  // threads that nothing was given to
  bool stopping_ = false;
};

}  // namespace sluice::service
