// tests/io/engine_turn_test.cpp - what every engine promises about listeners, waiting and waking.
//
// Layer: tests.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <string>
#include <thread>

#include "harness.hpp"
#include "io/failure.hpp"

namespace sluice::io {
namespace {

using namespace std::chrono_literals;

class EngineTurn : public EngineTest {
 protected:
  bool is_simulated() const { return GetParam().transport == Transport::simulated; }
};

INSTANTIATE_TEST_SUITE_P(Engines, EngineTurn, testing::ValuesIn(all_setups()),
                         [](const auto& setup) { return name_of(setup.param); });

// --- listeners -----------------------------------------------------------------------------------

TEST_P(EngineTurn, AcceptsAndServes) {
  ListenRecorder listener;
  int listening = harness().listening();
  engine().listen(listener.listener, listening, listener);
  auto peer = harness().connect_to(listening);
  ASSERT_TRUE(harness().until([&] { return listener.accepted.size() == 1; }));
  Recorder recorder(engine());
  recorder.adopt(engine(), listener.accepted[0]);
  peer->send("hello");
  ASSERT_TRUE(harness().until([&] { return recorder.received == "hello"; }));
  EXPECT_EQ(engine().counters().accepted, 1u);
  recorder.close();
  engine().close_listener(listener.listener);
  EXPECT_EQ(listener.closed, 0) << "told inside close_listener()";
  ASSERT_TRUE(harness().until([&] { return recorder.is_over() && listener.closed == 1; }));
  EXPECT_EQ(listener.fd, -1);
}

TEST_P(EngineTurn, ClosingAListenerServesItsBacklogFirst) {
  ListenRecorder listener;
  int listening = harness().listening();
  engine().listen(listener.listener, listening, listener);
  std::vector<std::unique_ptr<Peer>> peers;
  peers.reserve(20);
  for (int i = 0; i < 5; ++i) peers.push_back(harness().connect_to(listening));
  engine().close_listener(listener.listener);
  engine().close_listener(listener.listener);  // a second time changes nothing
  ASSERT_TRUE(harness().until([&] { return listener.closed == 1; }));
  EXPECT_EQ(listener.accepted.size(), 5u);
  harness().some_turns();
  EXPECT_EQ(listener.closed, 1);
  for (std::size_t i = 0; i < peers.size(); ++i) {
    Recorder recorder(engine());
    recorder.adopt(engine(), listener.accepted[i]);
    peers[i]->send("served");
    ASSERT_TRUE(harness().until([&] { return recorder.received == "served"; }));
    recorder.close();
    ASSERT_TRUE(harness().until([&] { return recorder.is_over(); }));
  }
}

TEST_P(EngineTurn, TheSameAddressCanBeBoundAgainAtOnce) {
  if (GetParam().transport != Transport::tcp) return;  // only TCP has ports
  int first = harness().listening();
  sockaddr_in address{};
  socklen_t size = sizeof address;
  ASSERT_EQ(::getsockname(first, reinterpret_cast<sockaddr*>(&address), &size), 0);
  for (int round = 0; round < 20; ++round) {
    ListenRecorder listener;
    engine().listen(listener.listener, first, listener);
    if (round % 2) harness().some_turns(1);
    engine().close_listener(listener.listener);
    ASSERT_TRUE(harness().until([&] { return listener.closed == 1; }));
    first = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSERT_EQ(::bind(first, reinterpret_cast<sockaddr*>(&address), sizeof address), 0)
        << "round " << round;
    ASSERT_EQ(::listen(first, 16), 0);
  }
  ::close(first);
}

TEST_P(EngineTurn, LeavingAListenerKeepsItAndItsBacklog) {
  ListenRecorder listener;
  int listening = harness().listening();
  std::vector<std::unique_ptr<Peer>> peers;
  peers.reserve(20);
  engine().listen(listener.listener, listening, listener);
  peers.push_back(harness().connect_to(listening));
  ASSERT_TRUE(harness().until([&] { return listener.accepted.size() == 1; }));
  engine().leave_listener(listener.listener);
  ASSERT_TRUE(harness().until([&] { return listener.closed == 1; }));
  ASSERT_EQ(listener.fd, listening);
  for (int i = 0; i < 3; ++i) peers.push_back(harness().connect_to(listening));
  harness().some_turns();
  EXPECT_EQ(listener.accepted.size(), 1u);

  ListenRecorder next;
  harness().other().listen(next.listener, listening, next);
  ASSERT_TRUE(harness().until([&] { return next.accepted.size() == 3; }));
  harness().other().close_listener(next.listener);
  ASSERT_TRUE(harness().until([&] { return next.closed == 1; }));
  for (int fd : listener.accepted) harness().close(fd);
  for (int fd : next.accepted) harness().close(fd);
}

TEST_P(EngineTurn, AListenerMayBeClosedWhileItAccepts) {
  ListenRecorder listener;
  int listening = harness().listening();
  engine().listen(listener.listener, listening, listener);
  listener.when_accepted = [&](int) { engine().close_listener(listener.listener); };
  std::vector<std::unique_ptr<Peer>> peers;
  peers.reserve(20);
  for (int i = 0; i < 4; ++i) peers.push_back(harness().connect_to(listening));
  ASSERT_TRUE(harness().until([&] { return listener.closed == 1; }));
  EXPECT_EQ(listener.accepted.size(), 4u);
  for (int fd : listener.accepted) harness().close(fd);
}

TEST_P(EngineTurn, NoMoreIsAcceptedInOneTurnThanAllowed) {
  start({.accepts_per_wake = 3});
  ListenRecorder listener;
  int listening = harness().listening();
  engine().listen(listener.listener, listening, listener);
  std::vector<std::unique_ptr<Peer>> peers;
  peers.reserve(20);
  for (int i = 0; i < 10; ++i) peers.push_back(harness().connect_to(listening));
  std::size_t before = 0;
  ASSERT_TRUE(harness().until([&] {
    EXPECT_LE(listener.accepted.size() - before, 3u);
    before = listener.accepted.size();
    return before == 10;
  }));
  // What was taken from the backlog and not yet told is told before the end.
  for (int i = 0; i < 10; ++i) peers.push_back(harness().connect_to(listening));
  harness().some_turns(1);
  engine().close_listener(listener.listener);
  ASSERT_TRUE(harness().until([&] { return listener.closed == 1; }));
  EXPECT_EQ(listener.accepted.size(), 20u);
  for (int fd : listener.accepted) harness().close(fd);
}

int highest_descriptor() {
  int highest = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    highest = std::max(highest, std::stoi(entry.path().filename().string()));
  }
  return highest;
}

// In a process of its own: it runs out of descriptors.
int run_out_of_descriptors(const Setup& setup) {
  Harness harness(setup, {});
  ListenRecorder listener;
  int listening = harness.listening();
  std::vector<std::unique_ptr<Peer>> peers;
  peers.reserve(20);
  // All that is called goes well first: UBSan's look at an object's type needs descriptors, once.
  static_cast<void>(system_error("before", EMFILE));
  ListenRecorder first;
  int other = harness.listening();
  harness.engine().listen(first.listener, other, first);
  peers.push_back(harness.connect_to(other));
  if (!harness.until([&] { return first.accepted.size() == 1; })) return 7;
  harness.engine().close_listener(first.listener);
  if (!harness.until([&] { return first.closed == 1; })) return 8;
  for (int i = 0; i < 4; ++i) peers.push_back(harness.connect_to(listening));
  std::vector<int> plugs;
  // Above what is open already: whoever started the tests may have left us any number.
  const rlim_t most = rlim_t(highest_descriptor()) + 10;
  rlimit limit{most, most};
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) return 1;
  for (int fd; (fd = ::dup(listening)) >= 0;) plugs.push_back(fd);
  harness.engine().listen(listener.listener, listening, listener);
  if (!harness.until([&] { return listener.failures > 1; })) return 2;
  if (listener.why.code != Errc::too_many_files || !listener.accepted.empty()) return 3;
  for (int fd : plugs) ::close(fd);
  if (!harness.until([&] { return listener.accepted.size() == 4; })) return 4;
  harness.engine().close_listener(listener.listener);
  if (!harness.until([&] { return listener.closed == 1; })) return 5;
  return testing::Test::HasFailure() ? 6 : 0;
}

TEST_P(EngineTurn, AcceptingGoesOnAfterDescriptorsRanOut) {
  if (is_simulated()) return;  // sim_engine_test has its own
  harness_.reset();
  pid_t child = ::fork();
  if (child == 0) ::_exit(run_out_of_descriptors(GetParam()));
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

// --- waiting and waking --------------------------------------------------------------------------

TEST_P(EngineTurn, WaitEndsWhenTheTimeHasComeAndNotBefore) {
  engine().wait(base::Instant::min());  // never waits
  if (is_simulated()) {
    base::Instant before = engine().now();
    harness().network().advance(30s);
    engine().wait(base::never);
    EXPECT_EQ(engine().now() - before, base::Duration(30s));
    return;
  }
  for (auto length : {0us, 1us, 700us, 20'000us}) {
    base::Instant until = base::read_clock() + length;
    while (engine().now() < until) engine().wait(until);
    EXPECT_GE(base::read_clock(), until);
    EXPECT_LT(engine().counters().waits, 1000u) << "it spins";
  }
}

TEST_P(EngineTurn, SaysWhetherItTellsMore) {
  if (harness().is_simulated()) return;  // it says that it might
  auto first = harness().connect(), second = harness().connect();
  std::vector<bool> more;
  Recorder one(engine()), two(engine());
  for (Recorder* recorder : {&one, &two}) {
    recorder->when_received = [&](const Received&) { more.push_back(engine().tells_more()); };
  }
  one.adopt(engine(), first.first);
  two.adopt(engine(), second.first);
  harness().some_turns();
  first.second->send("x");
  second.second->send("x");
  ASSERT_TRUE(harness().until([&] { return more.size() == 2; }));
  EXPECT_TRUE(more[0]);
  EXPECT_FALSE(more[1]);
  first.second->send("x");
  ASSERT_TRUE(harness().until([&] { return more.size() == 3; }));
  EXPECT_FALSE(more[2]);
  one.close();
  two.close();
  ASSERT_TRUE(harness().until([&] { return one.is_over() && two.is_over(); }));
}

TEST_P(EngineTurn, WakeEndsTheCurrentWait) {
  if (is_simulated()) {
    engine().wake();
    EXPECT_TRUE(static_cast<SimEngine&>(engine()).is_woken());
    return;
  }
  constexpr int kRounds = 200;
  std::atomic<int> posted{0}, seen{0};
  std::thread poster([&] {
    for (int i = 1; i <= kRounds; ++i) {
      posted.store(i, std::memory_order_relaxed);
      engine().wake();
      // The next only when this one was noticed: each must work on its own.
      while (seen.load() < i) std::this_thread::yield();
    }
  });
  while (seen.load() < kRounds) {
    engine().wait(base::never);
    seen.store(posted.load(std::memory_order_relaxed));
  }
  poster.join();
}

TEST_P(EngineTurn, WakeBeforeTheWaitIsNotLost) {
  if (is_simulated()) return;  // its wait() never blocks
  for (int i = 0; i < 3; ++i) {
    engine().wake();
    engine().wake();
    engine().wait(base::never);
  }
  // Folded into few: nothing is left over that would make later waits return early for ever.
  std::uint64_t before = engine().counters().waits;
  base::Instant until = base::read_clock() + 20ms;
  while (base::read_clock() < until) engine().wait(until);
  EXPECT_LT(engine().counters().waits - before, 10u);
}

TEST_P(EngineTurn, ManyThreadsMayWakeWhileTheEngineWorks) {
  auto [fd, peer] = harness().connect();
  Recorder recorder(engine());
  recorder.adopt(engine(), fd);
  std::atomic<bool> over{false};
  std::vector<std::thread> wakers;
  wakers.reserve(3);
  for (int i = 0; i < 3; ++i) {
    wakers.emplace_back([&] {
      while (!over.load()) {
        engine().wake();
        std::this_thread::yield();
      }
    });
  }
  const std::string text = numbered(500'000);
  std::size_t given = 0;
  EXPECT_TRUE(harness().until([&, &far = peer] {
    given += far->send(std::string_view(text).substr(given, 10'000));
    return recorder.received.size() == text.size();
  }));
  over.store(true);
  for (std::thread& waker : wakers) waker.join();
  EXPECT_EQ(recorder.received, text);
  recorder.close();
  ASSERT_TRUE(harness().until([&] { return recorder.is_over(); }));
}

// Shards are made by the thread that starts the server, and run and end elsewhere.
TEST_P(EngineTurn, AnEngineMadeOnOneThreadRunsOnAnother) {
  auto [fd, peer] = harness().connect();
  peer->send("from the other thread");
  Recorder recorder(engine());
  std::thread shard([&, descriptor = fd] {
    recorder.adopt(engine(), descriptor);
    while (!recorder.is_over()) {
      engine().wait(base::read_clock() + 10ms);
      if (recorder.received == "from the other thread" && recorder.socket.is_adopted())
        recorder.close();
    }
  });
  engine().wake();
  shard.join();
  EXPECT_EQ(recorder.count('c'), 1);
  harness_.reset();
}

TEST(MakeEngine, SaysWhichWonAndWhy) {
  Result<EngineChoice> choice = make_engine(EngineKind::automatic, {});
  ASSERT_TRUE(choice);
  EXPECT_FALSE(choice->why.empty());
  bool uring = test::missing_io_uring().empty();
  EXPECT_STREQ(choice->engine->name(), uring ? "uring" : "epoll");
  choice = make_engine(EngineKind::epoll, {});
  ASSERT_TRUE(choice);
  EXPECT_STREQ(choice->engine->name(), "epoll");
  choice = make_engine(EngineKind::uring, {});
  EXPECT_EQ(bool(choice), uring);
  if (!choice) {
    EXPECT_EQ(choice.error().code, Errc::unavailable);
    EXPECT_FALSE(choice.error().detail.empty());
  }
}

TEST(DescriptorLimit, IsRaisedToTheHardLimit) {
  std::size_t limit = raise_descriptor_limit();
  rlimit now{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &now), 0);
  EXPECT_EQ(now.rlim_cur, now.rlim_max);
  EXPECT_EQ(limit, std::size_t(now.rlim_cur));
}

}  // namespace
}  // namespace sluice::io
