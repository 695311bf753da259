// core/mailbox.cpp - two vectors that change places, so that a steady load allocates nothing.
#include "core/mailbox.hpp"

#include <new>
#include <utility>

namespace sluice::core {

SendStatus Mailbox::post(base::Task task, std::size_t bytes) {
  std::lock_guard lock(mutex_);
  if (closed_) return SendStatus::gone;
  if (waiting_.size() >= kPosts || bytes_ + bytes > kBytes) return SendStatus::would_block;
  bytes_ += bytes;
  waiting_.push_back(std::move(task));
  if (waiting_.size() == 1) waker_->wake();
  return SendStatus::queued;
}

bool Mailbox::post_always(base::Task task) {
  std::lock_guard lock(mutex_);
  if (closed_) return false;
  waiting_.push_back(std::move(task));
  if (waiting_.size() == 1) waker_->wake();
  return true;
}

void Mailbox::open(Waker& waker) {
  std::lock_guard lock(mutex_);
  waker_ = &waker;
  closed_ = false;
}

void Mailbox::close() {
  std::vector<base::Task> last;
  {
    std::lock_guard lock(mutex_);
    closed_ = true;
    waker_ = nullptr;
    last.swap(waiting_);
    bytes_ = 0;
  }
  run_all(last);
}

std::size_t Mailbox::run() {
  {
    std::lock_guard lock(mutex_);
    if (waiting_.empty()) return 0;
    running_.swap(waiting_);
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

bool Mailbox::empty() {
  std::lock_guard lock(mutex_);
  return waiting_.empty();
}

}  // namespace sluice::core
