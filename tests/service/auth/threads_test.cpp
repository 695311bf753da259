// tests/service/auth/threads_test.cpp - what may be used once is used by one thread of several.
//
// Layer: tests.
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "service/auth/failures.hpp"
#include "service/auth/nonces.hpp"
#include "service/auth/peers.hpp"
#include "service/auth/sessions.hpp"
#include "service/auth/verified.hpp"

namespace sluice::service {
namespace {

constexpr int kThreads = 4;

template <class Work>
void at_the_same_time(const Work& work) {
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) threads.emplace_back([&work, i] { work(i); });
  for (std::thread& thread : threads) thread.join();
}

TEST(Threads, ATokenIsTakenOnce) {
  Sessions sessions;
  std::vector<std::string> tokens;
  for (int i = 0; i < 200; ++i) tokens.push_back(sessions.issue("joe", ip4(1), kStart).value());
  std::atomic<int> taken{0};
  at_the_same_time([&](int thread) {
    for (const std::string& token : tokens) {
      if (sessions.take(token, ip4(1), kStart)) ++taken;
      (void)sessions.issue("user" + std::to_string(thread), ip4(2), kStart);
    }
  });
  EXPECT_EQ(taken, 200);
}

TEST(Threads, ACountIsGoodOnce) {
  Nonces nonces;
  const std::string nonce = nonces.issue(kStart);
  std::atomic<int> good{0}, others{0};
  at_the_same_time([&](int) {
    for (std::uint32_t count = 1; count <= 500; ++count) {
      const NonceVerdict verdict = nonces.use(nonce, count, kStart);
      ++(verdict == NonceVerdict::good ? good : others);
    }
  });
  EXPECT_LE(good, 500);
  EXPECT_EQ(good + others, 500 * kThreads);
}

TEST(Threads, EveryFailureCounts) {
  Failures failures({.free = 0, .refuse_after = 401});
  Verified verified({.entries = 16});
  at_the_same_time([&](int thread) {
    for (int i = 0; i < 100; ++i) {
      failures.failed(ip4(1), 0, kStart);
      verified.remember("user" + std::to_string(i), "p", 1, kStart);
      (void)verified.knows("user" + std::to_string(i + thread), "p", 1, kStart);
    }
  });
  EXPECT_EQ(failures.standing(ip4(1), kStart).refused_for, 0ns);
  EXPECT_GT(failures.failed(ip4(1), 0, kStart).refused_for, 0ns);  // the 401st
  EXPECT_EQ(verified.size(), 16u);
}

}  // namespace
}  // namespace sluice::service
