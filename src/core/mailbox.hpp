// core/mailbox.hpp - the only door into a shard.
//
// Bounded: 65,536 posts or 64 MiB wait at most, then would_block. It outlives its shard: a post to
// a shard that has ended answers gone. Layer: core. Thread: post() from any, the rest on the shard.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

#include <sluice/connection.hpp>

#include "base/task.hpp"

namespace sluice::core {

// Makes the shard's next or current wait return.
class Waker {
 public:
  virtual void wake() = 0;

 protected:
  ~Waker() = default;
};

// On cache lines of its own: another shard's never lie on them.
class alignas(64) Mailbox {
 public:
  static constexpr std::size_t kPosts = 65536;
  static constexpr std::size_t kBytes = std::size_t{64} << 20;

  // `bytes` is what the task keeps alive. Tasks run in order of arrival.
  SendStatus post(base::Task task, std::size_t bytes = 0);
  // For completions whose number is bounded by something else: never would_block. False when the
  // shard has ended.
  bool post_always(base::Task task);

  // On the shard.
  void open(Waker& waker);
  void close();  // runs what waits, then answers gone. The last thing that a shard does
  // Runs what had arrived when it was called. Returns how many. A task without memory is lost
  // (where that matters, it sees to it itself): the others run all the same.
  std::size_t run();
  bool empty() const { return !some_.load(std::memory_order_acquire); }

 private:
  static void run_all(std::vector<base::Task>& tasks);
  void wake();

  std::mutex waker_mutex_;
  Waker* waker_ = nullptr;
  std::mutex mutex_;  // of all below
  bool closed_ = true;
  std::size_t bytes_ = 0;
  std::vector<base::Task> waiting_, running_;
  // Whether something waits, for the shard's look in each turn. Who posts wakes the shard
  // afterwards, so what is missed here is seen in the next turn, which follows at once.
  std::atomic<bool> some_{false};
};

}  // namespace sluice::core
