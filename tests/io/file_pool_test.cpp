// tests/io/file_pool_test.cpp - jobs in order, the queue's limit, and what is in the page cache.
//
// Layer: tests.
#include "io/file_pool.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <fstream>
#include <future>
#include <iterator>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace sluice::io {
namespace {

TEST(FilePool, OneThreadRunsJobsInOrder) {
  std::vector<int> order;
  {
    FilePool pool(1);
    for (int i = 0; i < 1000; ++i) {
      ASSERT_TRUE(pool.submit([&order, i] { order.push_back(i); }));
    }
  }
  ASSERT_EQ(order.size(), 1000u);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(order[std::size_t(i)], i);
}

TEST(FilePool, ManyThreadsSubmitAndEveryJobRunsOnce) {
  std::atomic<int> ran{0};
  {
    FilePool pool(3);
    std::vector<std::thread> submitters;
    submitters.reserve(4);
    for (int t = 0; t < 4; ++t) {
      submitters.emplace_back([&] {
        for (int i = 0; i < 2000; ++i) {
          while (!pool.submit([&ran] { ran.fetch_add(1); })) std::this_thread::yield();
        }
      });
    }
    for (std::thread& submitter : submitters) submitter.join();
  }
  EXPECT_EQ(ran.load(), 8000);
}

TEST(FilePool, JobsRunAtTheSameTimeOnSeveralThreads) {
  std::promise<void> one, two, both;
  std::future<void> one_runs = one.get_future(), two_runs = two.get_future();
  FilePool pool(2);  // ends before what its jobs use
  ASSERT_TRUE(pool.submit([&] {
    one.set_value();
    two_runs.wait();
    both.set_value();
  }));
  ASSERT_TRUE(pool.submit([&] {
    two.set_value();
    one_runs.wait();
  }));
  EXPECT_EQ(both.get_future().wait_for(std::chrono::seconds(30)), std::future_status::ready);
}

// They are the application's; a file that cannot grow is an error of write(2). But who looks into
// crashes wants to see those.
TEST(FilePool, TakesNoSignals) {
  sigset_t blocked;
  sigset_t before;
  ASSERT_EQ(::pthread_sigmask(SIG_BLOCK, nullptr, &before), 0);
  {
    FilePool pool(1);
    ASSERT_TRUE(pool.submit([&] { ::pthread_sigmask(SIG_BLOCK, nullptr, &blocked); }));
  }
  for (const int one : {SIGTERM, SIGINT, SIGHUP, SIGCHLD, SIGPIPE, SIGXFSZ}) {
    EXPECT_EQ(::sigismember(&blocked, one), 1) << one;
  }
  for (const int one : {SIGSEGV, SIGBUS, SIGFPE, SIGILL}) {
    EXPECT_EQ(::sigismember(&blocked, one), 0) << one;
  }
  sigset_t after;
  ASSERT_EQ(::pthread_sigmask(SIG_BLOCK, nullptr, &after), 0);
  EXPECT_EQ(::sigismember(&after, SIGTERM), ::sigismember(&before, SIGTERM));
}

TEST(FilePool, RefusesTheJobThatIsOneTooMany) {
  std::atomic<int> ran{0};
  {
    FilePool pool(1);
    std::promise<void> started, go;
    std::shared_future<void> gate = go.get_future().share();
    ASSERT_TRUE(pool.submit([&started, gate] {
      started.set_value();
      gate.wait();
    }));
    started.get_future().wait();
    for (int i = 0; i < 65536; ++i) ASSERT_TRUE(pool.submit([&ran] { ++ran; }));
    EXPECT_FALSE(pool.submit([&ran] { ++ran; }));
    go.set_value();
  }
  EXPECT_EQ(ran.load(), 65536);
}

// A job that ends when it is told to, and whose thread can be watched.
class Held {
 public:
  void submit_to(FilePool& pool) {
    ASSERT_TRUE(pool.submit([this] {
      began_.set_value(::gettid());
      go_.get_future().wait();
      ended_ = true;
    }));
    thread_ = began_.get_future().get();
  }
  // Returns when its thread waits for the next job.
  void end() {
    go_.set_value();
    while (!ended_) std::this_thread::yield();
    while (state() != 'S') std::this_thread::yield();
  }
  pid_t thread() const { return thread_; }

 private:
  char state() const {
    std::ifstream in("/proc/self/task/" + std::to_string(thread_) + "/stat");
    std::string text((std::istreambuf_iterator<char>(in)), {});
    const std::size_t name_end = text.rfind(") ");
    return name_end == std::string::npos ? '?' : text[name_end + 2];
  }

  std::promise<pid_t> began_;
  std::promise<void> go_;
  std::atomic<bool> ended_{false};
  pid_t thread_ = 0;
};

TEST(FilePool, CallsTheThreadThatWasBusyLast) {
  std::array<Held, 3> first;  // the pool ends before them
  std::array<Held, 20> later;
  FilePool pool(3);
  for (Held& one : first) one.submit_to(pool);
  for (const std::size_t i : {2u, 0u, 1u}) first[i].end();
  for (Held& one : later) {
    one.submit_to(pool);
    EXPECT_EQ(one.thread(), first[1].thread());
    one.end();
  }
}

TEST(FilePool, WithoutThreadsThereIsOne) {
  std::promise<void> ran;
  FilePool pool(0);
  ASSERT_TRUE(pool.submit([&ran] { ran.set_value(); }));
  EXPECT_EQ(ran.get_future().wait_for(std::chrono::seconds(30)), std::future_status::ready);
}

class CachedFile : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/var/tmp/sluice-cache-XXXXXX";
    fd_ = ::mkstemp(name);
    ASSERT_GE(fd_, 0);
    ::unlink(name);
    std::string content(kSize, 'x');
    ASSERT_EQ(::write(fd_, content.data(), content.size()), ssize_t(content.size()));
    ASSERT_EQ(::fsync(fd_), 0);
  }
  void TearDown() override { ::close(fd_); }

  static constexpr std::size_t kSize = 1'000'000;
  int fd_ = -1;
};

TEST_F(CachedFile, WhatWasWrittenIsCachedUntilItIsDropped) {
  EXPECT_TRUE(is_cached(fd_, 0, kSize));
  EXPECT_TRUE(is_cached(fd_, 0, 0));
  EXPECT_TRUE(is_cached(fd_, kSize, 1000)) << "behind the end there is nothing to wait for";
  EXPECT_TRUE(is_cached(fd_, kSize - 1, 1000));
  ASSERT_EQ(::posix_fadvise(fd_, 0, 0, POSIX_FADV_DONTNEED), 0);
  if (is_cached(fd_, 0, kSize)) return;  // a file system that lives in memory drops nothing
  EXPECT_FALSE(is_cached(fd_, kSize / 2, 1));
  warm(fd_, 0, kSize);
  EXPECT_TRUE(is_cached(fd_, 0, kSize));
  EXPECT_TRUE(is_cached(fd_, 12345, 67890));
}

TEST_F(CachedFile, WarmingBehindTheEndDoesNothing) {
  warm(fd_, kSize - 10, 1'000'000);
  warm(fd_, 10 * kSize, 1'000'000);
  EXPECT_TRUE(is_cached(fd_, kSize - 10, 10));
}

}  // namespace
}  // namespace sluice::io
