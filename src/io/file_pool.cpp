// io/file_pool.cpp - a bounded queue of jobs and the threads that take them; what the page cache
// holds.
#include "io/file_pool.hpp"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "base/signals.hpp"

namespace sluice::io {

struct FilePool::State {
  static constexpr std::size_t kMost = 65536;

  // An idle thread. The one that went to sleep last is called first: its caches are warm.
  struct Sleeper {
    std::condition_variable woken;
    bool called = false;
  };

  std::mutex mutex;  // of all below
  std::deque<base::Task> jobs;
  bool ending = false;
  std::deque<Sleeper> sleepers;  // one for each thread
  std::vector<Sleeper*> asleep;  // has room for all
  std::vector<std::thread> threads;

  void run(Sleeper& self) {
    std::unique_lock lock(mutex);
    while (true) {
      while (jobs.empty()) {
        if (ending) return;
        self.called = false;
        asleep.push_back(&self);
        self.woken.wait(lock, [&self] { return self.called; });
      }
      base::Task job = std::move(jobs.front());
      jobs.pop_front();
      lock.unlock();
      job();
      job = base::Task();  // what it captured goes before the lock is taken
      lock.lock();
    }
  }
  // With the lock held. Null: nobody sleeps.
  Sleeper* call_one() {
    if (asleep.empty()) return nullptr;
    Sleeper* const last = asleep.back();
    asleep.pop_back();
    last->called = true;
    return last;
  }
};

FilePool::FilePool(std::size_t threads) : state_(std::make_unique<State>()) {
  const base::SignalsBlocked blocked;
  const std::size_t count = std::max<std::size_t>(threads, 1);
  state_->sleepers.resize(count);
  state_->asleep.reserve(count);
  for (State::Sleeper& one : state_->sleepers) {
    state_->threads.emplace_back([state = state_.get(), &one] { state->run(one); });
  }
}

FilePool::~FilePool() {
  {
    std::lock_guard lock(state_->mutex);
    state_->ending = true;
    while (State::Sleeper* one = state_->call_one()) one->woken.notify_one();
  }
  for (std::thread& thread : state_->threads) thread.join();
}

bool FilePool::submit(base::Task job) {
  State::Sleeper* called;
  {
    std::lock_guard lock(state_->mutex);
    if (state_->jobs.size() >= State::kMost) return false;
    state_->jobs.push_back(std::move(job));
    called = state_->call_one();
  }
  if (called) called->woken.notify_one();
  return true;
}

namespace {

constexpr std::uint64_t kStride = 32768;

// cachestat(2), Linux 6.5; glibc 2.36 has neither the call nor its types.
struct CacheRange {
  std::uint64_t offset, length;
};
struct CacheCounts {
  std::uint64_t cached, dirty, writeback, evicted, recently_evicted;
};
constexpr long kCachestat = 451;

enum class Answer { yes, no, unknown };

Answer ask_cachestat(int file, std::uint64_t offset, std::uint64_t length) {
  static const auto page = std::uint64_t(::sysconf(_SC_PAGESIZE));
  CacheRange range{offset, length};
  CacheCounts counts{};
  if (::syscall(kCachestat, file, &range, &counts, 0) != 0) return Answer::unknown;
  std::uint64_t pages = (offset + length - 1) / page - offset / page + 1;
  return counts.cached >= pages ? Answer::yes : Answer::no;
}

// One byte at `offset`, if that needs no waiting. True at the end of the file too.
bool at_hand(int file, std::uint64_t offset) {
  char byte;
  iovec part{&byte, 1};
  ssize_t n;
  do n = ::preadv2(file, &part, 1, off_t(offset), RWF_NOWAIT);
  while (n < 0 && errno == EINTR);
  return n >= 0;
}

}  // namespace

bool is_cached(int file, std::uint64_t offset, std::size_t length) {
  if (length == 0) return true;
  const Answer answer = ask_cachestat(file, offset, length);
  if (answer == Answer::yes) return true;
  // The file may have become shorter: what is not there needs no waiting.
  struct stat info {};
  if (::fstat(file, &info) != 0) return false;
  auto size = std::uint64_t(info.st_size);
  if (offset >= size) return true;
  const std::uint64_t end = std::min(size, offset + length);
  if (answer == Answer::no) {
    return end < offset + length && ask_cachestat(file, offset, end - offset) == Answer::yes;
  }
  for (std::uint64_t at = offset; at < end; at += kStride) {
    if (!at_hand(file, at)) return false;
  }
  return at_hand(file, end - 1);
}

void warm(int file, std::uint64_t offset, std::size_t length) {
  constexpr std::size_t kBuffer = 65536;
  thread_local std::unique_ptr<char[]> buffer(new char[kBuffer]);
  ::posix_fadvise(file, off_t(offset), off_t(length), POSIX_FADV_WILLNEED);
  while (length > 0) {
    ssize_t n = ::pread(file, buffer.get(), std::min(length, kBuffer), off_t(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    offset += std::uint64_t(n);
    length -= std::size_t(n);
  }
}

}  // namespace sluice::io
