// core/mailbox.cpp - two vectors that change places, so that a steady load allocates nothing.
#include "core/mailbox.hpp"

#include <new>
#include <utility>

namespace sluice::core {

SendStatus Mailbox::post(base::Task task, std::size_t bytes) {
  {
    std::lock_guard lock(mutex_);
    if (closed_) return SendStatus::gone;
    if (waiting_.size() >= kPosts || bytes_ + bytes > kBytes) return SendStatus::would_block;
    waiting_.push_back(std::move(task));
    bytes_ += bytes;
    some_.store(true, std::memory_order_release);
    if (waiting_.size() > 1) return SendStatus::queued;
  }
  wake();
  return SendStatus::queued;
}

bool Mailbox::post_always(base::Task task) {
  {
    std::lock_guard lock(mutex_);
    if (closed_) return false;
    waiting_.push_back(std::move(task));
    some_.store(true, std::memory_order_release);
    if (waiting_.size() > 1) return true;
  }
  wake();
  return true;
}

// Under a lock of its own: the shard that is woken must not have to wait for who woke it.
void Mailbox::wake() {
  std::lock_guard lock(waker_mutex_);
  if (waker_) waker_->wake();
}

void Mailbox::open(Waker& waker) {
  std::scoped_lock lock(mutex_, waker_mutex_);
  waker_ = &waker;
  closed_ = false;
}

void Mailbox::close() {
  {
    std::lock_guard lock(waker_mutex_);
    waker_ = nullptr;
  }
  std::vector<base::Task> last;
  {
    std::lock_guard lock(mutex_);
    closed_ = true;
    last.swap(waiting_);
    some_.store(false, std::memory_order_relaxed);
    bytes_ = 0;
  }
  run_all(last);
}

std::size_t Mailbox::run() {
  if (empty()) return 0;
  {
    std::lock_guard lock(mutex_);
    running_.swap(waiting_);
    some_.store(false, std::memory_order_relaxed);
    bytes_ = 0;
  }
  std::size_t count = running_.size();
  run_all(running_);
  running_.clear();
  return count;
}

void Mailbox::run_all(std::vector<base::Task>& tasks) {
  for (base::Task& task : tasks) {
    try {
      task();
    } catch (const std::bad_alloc&) {
    }
  }
}

}  // namespace sluice::core
