// tests/service/api_keys/threads_test.cpp - shards validate while others issue, revoke and go.
//
// Layer: tests.
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "service/api_keys/manager.hpp"
#include "service/api_keys/memory_store.hpp"
#include "service/api_keys/records.hpp"

namespace sluice::api_keys {
namespace {

// Threads that run what is posted.
class Pool {
 public:
  explicit Pool(int threads) {
    for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { run(); });
  }
  ~Pool() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    asked_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }
  Post post() {
    return [this](std::function<void()> task) {
      {
        const std::lock_guard lock(mutex_);
        tasks_.push_back(std::move(task));
      }
      asked_.notify_one();
      return true;
    };
  }

 private:
  void run() {
    for (;;) {
      std::unique_lock lock(mutex_);
      asked_.wait(lock, [this] { return stopping_ || !tasks_.empty(); });
      if (tasks_.empty()) return;
      const auto task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.unlock();
      task();
    }
  }

  std::mutex mutex_;
  std::condition_variable asked_;
  std::deque<std::function<void()>> tasks_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

// Waits for what another thread tells.
template <class T>
class Awaited {
 public:
  KeyManager::Done<T> done() {
    return [this](Result<T> result) {
      const std::lock_guard lock(mutex_);
      result_.emplace(std::move(result));
      told_.notify_all();
    };
  }
  Result<T> wait() {
    std::unique_lock lock(mutex_);
    told_.wait(lock, [this] { return result_.has_value(); });
    return *std::exchange(result_, std::nullopt);
  }

 private:
  std::mutex mutex_;
  std::condition_variable told_;
  std::optional<Result<T>> result_;
};

TEST(Threads, ShardsValidateWhileKeysChange) {
  Pool pool(2);
  std::atomic<std::uint64_t> validated{0};
  KeyEvents events;
  events.validated = [&validated](const KeyRecord&) { ++validated; };
  KeyManager keys(std::make_unique<MemoryStore>(), pool.post(), {.check_interval = 0ms}, events);
  Awaited<void> opened;
  keys.open(after(0s), opened.done());
  ASSERT_TRUE(opened.wait());
  Awaited<IssuedKey> issued;
  keys.issue({.owner = "kept", .rate = {1000, 86400s}}, "test", after(0s), issued.done());
  const auto kept = issued.wait();
  keys.issue({.owner = "revoked"}, "test", after(0s), issued.done());
  const auto revoked = issued.wait();

  std::atomic<bool> gone{false}, stop{false};
  std::atomic<std::uint64_t> taken{0}, wrong{0};
  std::vector<std::thread> shards;
  for (int i = 0; i < 4; ++i) {
    shards.emplace_back([&] {
      KeyReader reader(keys);
      while (!stop) {
        keys.check(after(0s));
        const bool was_gone = gone;
        const auto one = reader.validate(kept->text.view(), {}, "", after(0s));
        taken += one.code == Errc::none;
        if (one.code != Errc::none && one.code != Errc::key_throttled) ++wrong;
        if (!one.key || one.key->owner != "kept") ++wrong;
        // Once the answer to the revocation is known, no shard takes the key any more.
        const auto other = reader.validate(revoked->text.view(), {}, "", after(0s));
        if (was_gone && other.code != Errc::key_revoked) ++wrong;
      }
    });
  }
  for (int i = 0; i < 100; ++i) {
    keys.issue({.owner = "more"}, "test", after(0s), issued.done());
    const auto more = issued.wait();
    ASSERT_TRUE(more);
    if (i == 50) {
      Awaited<KeyRecord> done;
      keys.revoke(revoked->record.id, "test", after(0s), done.done());
      ASSERT_TRUE(done.wait());
      gone = true;
    }
  }
  while (taken < 1000) std::this_thread::yield();
  stop = true;
  for (std::thread& shard : shards) shard.join();
  EXPECT_EQ(wrong, 0u);
  EXPECT_EQ(taken, 1000u);  // the rate is counted across shards
  EXPECT_GE(validated, 1000u);
}

// Several shards ask at the same time, and one check begins.
TEST(Threads, OneCheckInAnInterval) {
  constexpr int kShards = 3, kRounds = 3000;
  std::atomic<int> begun{0};
  const Post at_once = [&begun](const std::function<void()>& task) {
    ++begun;
    task();
    return true;
  };
  KeyManager keys(std::make_unique<MemoryStore>(), at_once, {.check_interval = 1000ms});
  std::atomic<int> arrived{0};
  std::vector<std::thread> shards;
  for (int i = 0; i < kShards; ++i) {
    shards.emplace_back([&] {
      for (int round = 0; round < kRounds; ++round) {
        ++arrived;
        while (arrived < (round + 1) * kShards) std::this_thread::yield();
        keys.check(after(std::chrono::seconds(round)));
      }
    });
  }
  for (std::thread& shard : shards) shard.join();
  EXPECT_EQ(begun, kRounds);
}

TEST(Threads, AManagerGoesWhileItsTasksRun) {
  Pool pool(2);
  std::atomic<int> told{0};
  for (int round = 0; round < 50; ++round) {
    KeyManager keys(std::make_unique<MemoryStore>(), pool.post());
    keys.open(after(0s), [&told](const Result<void>&) { ++told; });
    for (int i = 0; i < 3; ++i) {
      keys.issue({.owner = "joe"}, "test", after(0s),
                 [&told](const Result<IssuedKey>&) { ++told; });
    }
  }
  while (told < 200) std::this_thread::yield();
  EXPECT_EQ(told, 200);
}

}  // namespace
}  // namespace sluice::api_keys
