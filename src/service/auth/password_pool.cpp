// service/auth/password_pool.cpp - see password_pool.hpp.
//
// Layer: service. Thread: any.
#include "service/auth/password_pool.hpp"

#include <signal.h>

#include <algorithm>
#include <new>
#include <system_error>
#include <utility>

namespace sluice::service {

PasswordPool::PasswordPool(PasswordPoolLimits limits, Verify verify)
    : limits_{std::max<std::size_t>(limits.parallel, 1), limits.waiting},
      verify_(std::move(verify)) {}

PasswordPool::~PasswordPool() { stop(); }

// Signals are for the threads of the application: a new thread inherits what is blocked here.
bool PasswordPool::start_thread() {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  bool started = true;
  try {
    threads_.emplace_back([this] { run(); });
  } catch (const std::system_error&) {
    started = false;
  } catch (const std::bad_alloc&) {
    started = false;
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return started;
}

Result<void> PasswordPool::verify(crypto::Secret password, std::string hash, Done done) {
  const std::lock_guard lock(mutex_);
  if (stopping_) return Errc::server_stopping;
  // A job that an idle thread will take does not wait.
  if (jobs_.size() >= idle_) {
    const bool started = threads_.size() < limits_.parallel && start_thread();
    if (started) {
      ++idle_;  // counted as such until it takes a job
    } else if (threads_.empty()) {
      return Errc::unavailable;
    } else if (jobs_.size() - idle_ >= limits_.waiting) {
      return Errc::auth_busy;
    }
  }
  jobs_.push_back({std::move(password), std::move(hash), std::move(done)});
  asked_.notify_one();
  return {};
}

void PasswordPool::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    asked_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
    if (stopping_) return;
    --idle_;
    Job job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    PasswordVerdict verdict = PasswordVerdict::cancelled;
    try {
      verdict =
          verify_(job.password.view(), job.hash) ? PasswordVerdict::right : PasswordVerdict::wrong;
    } catch (const std::bad_alloc&) {
      // Nothing was found out.
    }
    job.done(verdict);
    job = {};  // wiped, and what the Done holds released, before another is waited for
    lock.lock();
    ++idle_;
  }
}

void PasswordPool::stop() {
  std::deque<Job> left;
  std::vector<std::thread> threads;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    left.swap(jobs_);
    threads.swap(threads_);
  }
  asked_.notify_all();
  for (const Job& job : left) job.done(PasswordVerdict::cancelled);
  for (std::thread& thread : threads) thread.join();
}

std::size_t PasswordPool::waiting() const {
  const std::lock_guard lock(mutex_);
  return jobs_.size() > idle_ ? jobs_.size() - idle_ : 0;
}

}  // namespace sluice::service
