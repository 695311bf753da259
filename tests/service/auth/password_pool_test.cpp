// tests/service/auth/password_pool_test.cpp - two run, 256 wait, one more is told so; nobody is
// lost.
//
// Layer: tests.
#include "service/auth/password_pool.hpp"

#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <semaphore>

namespace sluice::service {
namespace {

using enum PasswordVerdict;
using Secret = crypto::Secret;

// Verifications that end when the test says so.
class Gate {
 public:
  PasswordPool::Verify verify() {
    return [this](std::string_view password, std::string_view hash) {
      {
        const std::lock_guard lock(mutex_);
        most_ = std::max(most_, ++running_);
      }
      begun_.release();
      open_.acquire();
      const std::lock_guard lock(mutex_);
      --running_;
      return password == hash;
    };
  }
  void await_begun(int count) {
    for (int i = 0; i < count; ++i) begun_.acquire();
  }
  void open(int count) { open_.release(count); }
  int most() {
    const std::lock_guard lock(mutex_);
    return most_;
  }

 private:
  std::mutex mutex_;
  std::counting_semaphore<> begun_{0}, open_{0};
  int running_ = 0, most_ = 0;
};

std::future<PasswordVerdict> ask(PasswordPool& pool, const char* password, const char* hash) {
  auto promise = std::make_shared<std::promise<PasswordVerdict>>();
  auto future = promise->get_future();
  const auto asked =
      pool.verify(Secret(std::string_view(password)), hash,
                  [promise](PasswordVerdict verdict) { promise->set_value(verdict); });
  EXPECT_TRUE(asked) << asked.error().message();
  return future;
}

TEST(PasswordPool, VerifiesHashes) {
  PasswordPool pool;
  const char* const hash = "$5$saltsalt$gOjOtoMpVhru2uyjeJSEc/JaLQWOXMNmlOnj6T4AtC.";
  auto yes = ask(pool, "password", hash), no = ask(pool, "passwort", hash);
  auto none = ask(pool, "password", "no hash");
  EXPECT_EQ(yes.get(), right);
  EXPECT_EQ(no.get(), wrong);
  EXPECT_EQ(none.get(), wrong);
}

TEST(PasswordPool, TwoRunAndTheRestWaitsUpToItsLimit) {
  Gate gate;
  PasswordPool pool({.parallel = 2, .waiting = 256}, gate.verify());
  std::vector<std::future<PasswordVerdict>> answers;
  for (int i = 0; i < 2 + 256; ++i) answers.push_back(ask(pool, "a", i % 2 == 0 ? "a" : "b"));
  bool told = false;
  EXPECT_EQ(pool.verify(Secret(std::string_view("a")), "a", [&](PasswordVerdict) { told = true; })
                .error()
                .code,
            Errc::auth_busy);
  gate.await_begun(2);
  EXPECT_EQ(pool.waiting(), 256u);
  gate.open(1);
  gate.await_begun(1);
  EXPECT_EQ(pool.waiting(), 255u);  // room for one
  answers.push_back(ask(pool, "a", "a"));
  EXPECT_EQ(pool.verify(Secret(std::string_view("a")), "a", [&](PasswordVerdict) { told = true; })
                .error()
                .code,
            Errc::auth_busy);
  gate.open(258);
  for (std::size_t i = 0; i < answers.size(); ++i) {
    EXPECT_EQ(answers[i].get(), i % 2 == 0 ? right : wrong) << i;
  }
  EXPECT_EQ(gate.most(), 2);
  pool.stop();
  EXPECT_FALSE(told);
}

TEST(PasswordPool, WaitingMayBeForbidden) {
  Gate gate;
  PasswordPool pool({.parallel = 0, .waiting = 0}, gate.verify());  // parallel: one at least
  auto first = ask(pool, "a", "a");
  EXPECT_EQ(pool.verify(Secret(std::string_view("a")), "a", [](PasswordVerdict) {}).error().code,
            Errc::auth_busy);
  gate.open(1);
  EXPECT_EQ(first.get(), right);
}

TEST(PasswordPool, StopCancelsWhatWaitsAndFinishesWhatRuns) {
  Gate gate;
  PasswordPool pool({.parallel = 1, .waiting = 8}, gate.verify());
  auto running = ask(pool, "a", "a");
  auto waiting = std::make_shared<std::promise<PasswordVerdict>>();
  auto cancelled_one = waiting->get_future();
  ASSERT_TRUE(
      pool.verify(Secret(std::string_view("a")), "a", [&gate, waiting](PasswordVerdict verdict) {
        waiting->set_value(verdict);
        gate.open(1);  // stop() has told this one, and waits for the other now
      }));
  gate.await_begun(1);
  pool.stop();
  EXPECT_EQ(running.get(), right);
  EXPECT_EQ(cancelled_one.get(), cancelled);
  EXPECT_EQ(pool.verify(Secret(std::string_view("a")), "a", [](PasswordVerdict) {}).error().code,
            Errc::server_stopping);
  pool.stop();  // once more changes nothing
}

TEST(PasswordPool, WithoutMemoryNothingIsFoundOut) {
  PasswordPool pool({}, [](std::string_view, std::string_view) -> bool { throw std::bad_alloc(); });
  EXPECT_EQ(ask(pool, "a", "a").get(), cancelled);
}

TEST(PasswordPool, ADoneMayAskAgain) {
  std::promise<PasswordVerdict> second;  // outlives the pool, whose thread sets it
  PasswordPool pool({.parallel = 1, .waiting = 1},
                    [](std::string_view a, std::string_view b) { return a == b; });
  ASSERT_TRUE(pool.verify(Secret(std::string_view("a")), "a", [&](PasswordVerdict) {
    const auto asked = pool.verify(Secret(std::string_view("a")), "b",
                                   [&](PasswordVerdict verdict) { second.set_value(verdict); });
    EXPECT_TRUE(asked);
  }));
  EXPECT_EQ(second.get_future().get(), wrong);
}

}  // namespace
}  // namespace sluice::service
