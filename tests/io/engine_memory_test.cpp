// tests/io/engine_memory_test.cpp - an idle socket has nothing of the engine's, a steady load
// allocates nothing, and running out of memory ends one socket, or one question to
// the resolver, only.
//
// Layer: tests.
#include <future>
#include <memory>
#include <vector>

#include "harness.hpp"
#include "io/resolver.hpp"
#include "support/fake_dns.hpp"
#include "support/new_hook.hpp"

namespace sluice::io {
namespace {

class EngineMemory : public EngineTest {};

INSTANTIATE_TEST_SUITE_P(Engines, EngineMemory, testing::ValuesIn(all_setups()),
                         [](const auto& setup) { return name_of(setup.param); });

// Notes what it is told, and asks for no memory.
class Counting final : public Socket {
 public:
  Socket& socket = *this;
  std::size_t received = 0;
  int closed = 0;
  Errc why = Errc::none;

  void on_received(const Received& bytes) override { received += bytes.bytes.size(); }
  void on_end() override {}
  void on_sent(std::uint64_t) override {}
  void on_closed(const Error& error) override {
    ++closed;
    why = error.code;
  }
  void on_detached(int, Bytes) override { ADD_FAILURE(); }
};

void turns(Engine& engine) {
  for (int i = 0; i < 6; ++i) engine.wait(base::Instant::min());
}

// What a socket lives through while the nth request for memory fails, until none does.
template <class Life>
void fail_each(Harness& harness, Life&& life) {
  Engine& engine = harness.engine();
  int ended = 0;
  for (std::size_t nth = 1;; ++nth) {
    ASSERT_LT(nth, 100u);
    Counting failing, other;
    auto [fd, peer] = harness.connect(true);
    auto [other_fd, other_peer] = harness.connect();
    engine.adopt(other, other_fd);
    life(failing, fd, *peer, nth);
    const bool all_went_well = test::fail_after != 0;
    test::fail_after = 0;
    turns(engine);
    if (failing.closed > 0) {
      EXPECT_EQ(failing.why, Errc::out_of_memory);
      ++ended;
    }
    other_peer->send("x");
    ASSERT_TRUE(harness.until([&, &other = other] { return other.received == 1; }));
    engine.close(other.socket, CloseMode::graceful);
    if (failing.closed == 0) engine.close(failing.socket, CloseMode::abort);
    ASSERT_TRUE(harness.until(
        [&, &failing = failing, &other = other] { return failing.closed + other.closed == 2; }));
    if (all_went_well) break;
  }
  if (!harness.is_simulated()) {
    EXPECT_GT(ended, 0);
  }
}

TEST_P(EngineMemory, AnIdleSocketHasNothingOfTheEngines) {
  auto [fd, peer] = harness().connect();
  Recorder recorder(engine());
  recorder.when_received = [&](const Received&) { recorder.send("pong"); };
  recorder.adopt(engine(), fd, as_bytes(std::string_view("already")));
  std::string got;
  ASSERT_TRUE(harness().until([&, &far = peer] { return (got += far->take()) == "pong"; }));
  for (int i = 0; i < 10; ++i) {
    got.clear();
    peer->send("ping");
    ASSERT_TRUE(harness().until([&, &far = peer] { return (got += far->take()) == "pong"; }));
  }
  engine().pause(recorder.socket);
  peer->send("more");
  harness().some_turns();
  engine().resume(recorder.socket);
  ASSERT_TRUE(harness().until([&, &far = peer] { return (got += far->take()) == "pongpong"; }));
  harness().some_turns();
  EXPECT_FALSE(recorder.socket.sending());
  // The sim keeps all of its sockets in lists.
  if (!harness().is_simulated()) {
    EXPECT_EQ(recorder.socket.kept, 0u);
  }
  recorder.close();
  ASSERT_TRUE(harness().until([&] { return recorder.is_over(); }));
}

TEST_P(EngineMemory, OutstandingSendsAllocateNothingInTheLongRun) {
  if (harness().is_simulated()) return;  // its peers keep strings
  auto [fd, peer] = harness().connect(true);
  Counting events;
  engine().adopt(events, fd);
  const std::string text = numbered(50'000);
  auto* bytes = const_cast<char*>(text.data());
  iovec parts[] = {{bytes, 20'000}, {bytes + 20'000, 10'000}, {bytes + 30'000, 20'000}};
  char sink[65536];
  std::size_t asked = 0;
  for (int round = 0; round < 300; ++round) {
    std::size_t taken = engine().send(events.socket, parts);
    std::size_t got = 0;
    ASSERT_TRUE(harness().until([&, &far = peer] {
      got += far->take(sizeof sink).size();
      asked += test::count_news([&] { engine().wait(base::Instant::min()); });
      return got == text.size();
    }));
    ASSERT_TRUE(harness().until([&] { return !events.socket.sending(); }));
    if (round == 10) asked = 0;
    ASSERT_LE(taken, text.size());
  }
  EXPECT_EQ(asked, 0u);
  engine().close(events.socket, CloseMode::abort);
  ASSERT_TRUE(harness().until([&] { return events.closed == 1; }));
}

TEST_P(EngineMemory, NoneForASendEndsThatSocketOnly) {
  if (harness().is_simulated()) return;  // the memory is the peer's
  const std::string text = numbered(1 << 20);
  auto* bytes = const_cast<char*>(text.data());
  iovec parts[] = {{bytes, 400'000}, {bytes + 400'000, 300'000}, {bytes + 700'000, 300'000}};
  fail_each(harness(), [&](Counting& events, int fd, Peer&, std::size_t nth) {
    engine().adopt(events, fd);
    turns(engine());
    test::fail_after = nth;
    std::size_t gone = engine().send(events.socket, parts);
    EXPECT_LT(gone, text.size());
    if (!events.socket.sending()) {
      EXPECT_EQ(engine().send(events.socket, parts), 0u);
    }
    turns(engine());
  });
}

TEST_P(EngineMemory, NoneForHeldBytesEndsThatSocketOnly) {
  fail_each(harness(), [&](Counting& events, int fd, Peer& peer, std::size_t nth) {
    test::fail_after = nth;
    engine().adopt(events, fd, as_bytes(std::string_view("read before")));
    test::fail_after = 0;
    turns(engine());
    if (events.closed > 0) return;
    EXPECT_EQ(events.received, 11u);
    engine().pause(events.socket);
    for (int i = 0; i < 3; ++i) peer.send("some more");
    test::fail_after = nth;
    turns(engine());
    engine().resume(events.socket);
    turns(engine());
  });
}

TEST_P(EngineMemory, NoneForClosingIsNeeded) {
  std::vector<std::unique_ptr<Counting>> all;
  std::vector<std::unique_ptr<Peer>> peers;
  for (int i = 0; i < 20; ++i) {
    auto [fd, peer] = harness().connect();
    peers.push_back(std::move(peer));
    all.push_back(std::make_unique<Counting>());
    engine().adopt(*all.back(), fd);
  }
  turns(engine());
  EXPECT_EQ(test::count_news([&] {
              for (auto& each : all) engine().close(each->socket, CloseMode::graceful);
            }),
            0u);
  ASSERT_TRUE(harness().until([&] {
    for (auto& each : all) {
      if (each->closed != 1) return false;
    }
    return true;
  }));
  for (auto& each : all) EXPECT_EQ(each->why, Errc::none);
}

// The resolver's thread has no memory for one question, at any of its steps; the next one is
// answered.
TEST(ResolverMemory, OneQuestionFailsAndTheNextIsAnswered) {
  test::FakeDns dns({{"a.example", {{{"10.0.0.1"}, {"10.0.0.2"}}}}});
  std::size_t failed = 0;
  for (std::size_t nth = 1;; ++nth) {
    ASSERT_LT(nth, 100u);
    auto made = Resolver::create({dns.address()}, std::chrono::seconds(30));
    ASSERT_TRUE(made);
    Resolver& resolver = **made;
    std::promise<void> told, asked;
    resolver.resolve("127.0.0.1", [&](const Resolved&) {
      told.set_value();
      asked.get_future().wait();
      test::fail_after = nth;
    });
    told.get_future().wait();
    std::promise<Resolved> answer;
    bool got_through = false;
    resolver.resolve("a.example", [&](Resolved result) {
      got_through = test::fail_after != 0;
      test::fail_after = 0;
      answer.set_value(std::move(result));
    });
    asked.set_value();
    const Resolved result = answer.get_future().get();
    if (got_through) {
      EXPECT_EQ(result.addresses.size(), 2u) << result.error.message();
      break;
    }
    ++failed;
    EXPECT_EQ(result.error.code, Errc::out_of_memory) << nth;
    std::promise<Resolved> next;
    resolver.resolve("a.example", [&](Resolved again) { next.set_value(std::move(again)); });
    EXPECT_EQ(next.get_future().get().addresses.size(), 2u);
  }
  EXPECT_GE(failed, 3u);
}

}  // namespace
}  // namespace sluice::io
