// tests/io/engine_contract_test.cpp - what every engine promises about sockets: one suite, every
// engine, every transport.
//
// Layer: tests.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>

#include "harness.hpp"

namespace sluice::io {
namespace {

class EngineContract : public EngineTest {};

INSTANTIATE_TEST_SUITE_P(Engines, EngineContract, testing::ValuesIn(all_setups()),
                         [](const auto& setup) { return name_of(setup.param); });

TEST_P(EngineContract, TellsInOrderAndOfTheEndOnce) {
  auto [fd, peer] = harness().connect();
  Recorder recorder(engine());
  recorder.adopt(engine(), fd);
  peer->send("ping");
  ASSERT_TRUE(harness().until([&] { return recorder.received == "ping"; }));
  recorder.send("pong");
  std::string answer;
  ASSERT_TRUE(harness().until([&, &far = peer] { return (answer += far->take()) == "pong"; }));
  ASSERT_TRUE(harness().until([&] { return !recorder.socket.sending(); }));
  peer->end();
  ASSERT_TRUE(harness().until([&] { return recorder.count('e') == 1; }));
  recorder.close();
  EXPECT_EQ(recorder.count('c'), 0) << "told inside close()";
  ASSERT_TRUE(harness().until([&] { return recorder.is_over(); }));
  EXPECT_EQ(recorder.why.code, Errc::none);
  EXPECT_FALSE(recorder.socket.is_adopted());
  ASSERT_TRUE(harness().until([&, &far = peer] {
    far->take();
    return far->saw_end();
  }));
  harness().some_turns();
  EXPECT_EQ(recorder.count('e'), 1);
  EXPECT_EQ(recorder.count('c'), 1);
}

// Which handler closes must make no difference to what follows.
TEST_P(EngineContract, ClosingInsideAnyHandlerEndsWithOneOnClosed) {
  for (char event : {'r', 'e', 's'}) {
    for (CloseMode mode : {CloseMode::graceful, CloseMode::abort}) {
      auto [fd, peer] = harness().connect(true);
      Recorder recorder(engine());
      recorder.adopt(engine(), fd);
      auto close = [&] {
        recorder.close(mode);
        recorder.close(mode);  // a second time changes nothing
        EXPECT_EQ(recorder.count('c'), 0) << "told inside close()";
      };
      if (event == 'r') recorder.when_received = [&](const Received&) { close(); };
      if (event == 'e') recorder.when_ended = close;
      if (event == 's') recorder.when_sent = close;
      std::string large = numbered(8'000'000);
      if (event == 's') recorder.send(large);
      peer->send("some bytes");
      if (event == 'e') peer->end();
      ASSERT_TRUE(harness().until([&, &far = peer] {
        if (event == 's') far->take(1000);
        return recorder.is_over();
      })) << event;
      harness().some_turns();
      EXPECT_EQ(recorder.count('c'), 1);
      EXPECT_EQ(recorder.order.find(event), recorder.order.rfind(event)) << recorder.order;
      EXPECT_EQ(recorder.why.code, Errc::none);
    }
  }
}

TEST_P(EngineContract, TheSocketMayBeDestroyedWhenItIsTold) {
  auto [fd, peer] = harness().connect();
  auto recorder = std::make_unique<Recorder>(engine());
  recorder->adopt(engine(), fd);
  recorder->when_received = [&](const Received&) { recorder->close(); };
  recorder->when_closed = [&] { recorder.reset(); };
  peer->send("bytes");
  ASSERT_TRUE(harness().until([&] { return !recorder; }));

  auto [fd2, peer2] = harness().connect();
  recorder = std::make_unique<Recorder>(engine());
  recorder->adopt(engine(), fd2);
  int given_back = -1;
  recorder->when_detached = [&] {
    given_back = recorder->given;
    recorder.reset();
  };
  engine().detach(recorder->socket);
  ASSERT_TRUE(harness().until([&] { return !recorder; }));
  EXPECT_EQ(given_back, fd2);
  harness().close(given_back);
}

TEST_P(EngineContract, WhatWasReadBeforeIsDeliveredFirst) {
  auto [fd, peer] = harness().connect();
  peer->send("behind");
  Recorder recorder(engine());
  {
    std::string already = "before, ";
    recorder.adopt(engine(), fd, as_bytes(already));
  }
  EXPECT_EQ(recorder.order, "") << "told inside adopt()";
  ASSERT_TRUE(harness().until([&] { return recorder.received == "before, behind"; }));
  recorder.close();
  ASSERT_TRUE(harness().until([&] { return recorder.is_over(); }));
}

TEST_P(EngineContract, DetachGivesBackWhatWasNotDelivered) {
  auto [fd, peer] = harness().connect();
  Recorder recorder(engine());
  recorder.adopt(engine(), fd, as_bytes("never delivered"));
  engine().detach(recorder.socket);
  EXPECT_EQ(recorder.order, "") << "told inside detach()";
  ASSERT_TRUE(harness().until([&] { return recorder.is_over(); }));
  EXPECT_EQ(recorder.order, "d");
  EXPECT_EQ(recorder.given, fd);
  EXPECT_EQ(recorder.unread, "never delivered");
  EXPECT_FALSE(recorder.socket.is_adopted());
  harness().close(fd);
}

// The peer never stops sending while the socket goes to and fro; nothing may be lost, doubled or
// moved.
TEST_P(EngineContract, DetachAndAdoptElsewhereKeepEveryByte) {
  auto [fd, peer] = harness().connect();
  Recorder recorder(engine());
  recorder.adopt(engine(), fd);
  const std::string text = numbered(3'000'000);
  std::size_t given = 0, hops = 0, seen_at_hop = 0;
  std::vector<Engine*> engines{&engine(), &harness().other()};
  recorder.when_received = [&](const Received&) {
    if (recorder.received.size() - seen_at_hop < 20'000) return;
    if (hops % 3 == 1) recorder.engine().pause(recorder.socket);  // some is held when it goes
    recorder.engine().detach(recorder.socket);
  };
  recorder.when_detached = [&] {
    ++hops;
    seen_at_hop = recorder.received.size();
    recorder.adopt(*engines[hops % 2], recorder.given, as_bytes(std::string(recorder.unread)));
  };
  ASSERT_TRUE(harness().until([&, &far = peer] {
    given += far->send(std::string_view(text).substr(given, 100'000));
    return recorder.received.size() >= text.size();
  }));
  EXPECT_EQ(recorder.received, text);
  EXPECT_GT(hops, 10u);
  recorder.when_received = nullptr;
  peer->end();
  ASSERT_TRUE(harness().until([&] { return recorder.count('e') == 1; }));
  recorder.close();
  ASSERT_TRUE(harness().until([&] { return recorder.count('c') == 1; }));
}

TEST_P(EngineContract, SendingGoesOnAfterThePeerEnded) {
  auto [fd, peer] = harness().connect();
  Recorder recorder(engine());
  recorder.adopt(engine(), fd);
  peer->end();
  ASSERT_TRUE(harness().until([&] { return recorder.count('e') == 1; }));
  const std::string text = numbered(1'000'000);
  recorder.send(text);
  std::string got;
  ASSERT_TRUE(
      harness().until([&, &far = peer] { return (got += far->take()).size() >= text.size(); }));
  EXPECT_EQ(got, text);
  recorder.close();
  ASSERT_TRUE(harness().until([&] { return recorder.is_over(); }));
  EXPECT_EQ(recorder.why.code, Errc::none);
}

TEST_P(EngineContract, ShutdownComesAfterTheOutstandingSendAndReceivingGoesOn) {
  auto [fd, peer] = harness().connect(true);
  Recorder recorder(engine());
  recorder.adopt(engine(), fd);
  const std::string text = numbered(3'000'000);
  recorder.send(text);
  engine().shutdown_send(recorder.socket);
  std::string got;
  ASSERT_TRUE(harness().until([&, &far = peer] {
    got += far->take();
    return far->saw_end();
  }));
  EXPECT_EQ(got, text);
  EXPECT_FALSE(recorder.socket.sending());
  EXPECT_EQ(recorder.total, text.size());
  peer->send("still here");
  ASSERT_TRUE(harness().until([&] { return recorder.received == "still here"; }));
  peer->end();
  ASSERT_TRUE(harness().until([&] { return recorder.count('e') == 1; }));
  harness().some_turns();
  EXPECT_EQ(recorder.count('c'), 0);
  recorder.close();
  ASSERT_TRUE(harness().until([&] { return recorder.is_over(); }));
}

TEST_P(EngineContract, GracefulCloseLosesNothingThatTheKernelHas) {
  auto [fd, peer] = harness().connect();
  Recorder recorder(engine());
  recorder.adopt(engine(), fd);
  recorder.send("the last words");
  ASSERT_TRUE(harness().until([&] { return !recorder.socket.sending(); }));
  recorder.close(CloseMode::graceful);
  std::string got;
  ASSERT_TRUE(harness().until([&, &far = peer] {
    got += far->take();
    return far->saw_end();
  }));
  EXPECT_EQ(got, "the last words");
  EXPECT_FALSE(peer->saw_reset());
  ASSERT_TRUE(harness().until([&] { return recorder.is_over(); }));
}

TEST_P(EngineContract, AbortResets) {
  auto [fd, peer] = harness().connect();
  Recorder recorder(engine());
  recorder.adopt(engine(), fd);
  harness().some_turns();
  recorder.close(CloseMode::abort);
  ASSERT_TRUE(harness().until([&] { return recorder.is_over(); }));
  EXPECT_EQ(recorder.why.code, Errc::none);
  ASSERT_TRUE(harness().until([&, &far = peer] {
    far->take();
    return far->saw_end() || far->saw_reset();
  }));
  // AF_UNIX knows no reset.
  EXPECT_EQ(peer->saw_reset(), GetParam().transport != Transport::local);
}

TEST_P(EngineContract, AResetOfThePeerIsTold) {
  if (GetParam().transport == Transport::local) return;  // AF_UNIX knows no reset
  for (bool sends : {false, true}) {
    auto [fd, peer] = harness().connect(true);
    Recorder recorder(engine());
    recorder.adopt(engine(), fd);
    std::string large = numbered(8'000'000);
    if (sends) recorder.send(large);
    harness().some_turns();
    peer->reset();
    ASSERT_TRUE(harness().until([&] { return recorder.is_over(); }));
    EXPECT_EQ(recorder.why.code, Errc::connection_reset);
    harness().some_turns();
    EXPECT_EQ(recorder.count('c'), 1);
  }
}

TEST_P(EngineContract, ASendToAClosedPeerEndsTheSocketFromWait) {
  auto [fd, peer] = harness().connect();
  Recorder recorder(engine());
  recorder.adopt(engine(), fd);
  engine().pause(recorder.socket);
  peer->reset();
  std::string text = numbered(100'000);
  for (int i = 0; i < 1000 && !recorder.is_over(); ++i) {
    // Allowed until on_closed, whatever the engine may know already.
    if (!recorder.socket.sending()) recorder.send(text);
    harness().turn();
  }
  ASSERT_TRUE(recorder.is_over());
  EXPECT_EQ(recorder.why.code, Errc::connection_reset);
}

TEST_P(EngineContract, ManyPartsReachASlowPeerInOrder) {
  auto [fd, peer] = harness().connect(true);
  Recorder recorder(engine());
  recorder.adopt(engine(), fd);
  const std::string text = numbered(4'000'000);
  std::vector<iovec> parts;
  std::size_t at = 0;
  for (std::size_t i = 0; i < 64; ++i) {
    // Of all sizes, an empty one among them.
    std::size_t size = i == 63 ? text.size() - at : i * i * 20;
    parts.push_back({const_cast<char*>(text.data()) + at, size});
    at += size;
  }
  std::size_t now = recorder.send(parts);
  parts.assign(64, iovec{nullptr, 0});  // the array need not stay
  EXPECT_LT(now, text.size());
  EXPECT_TRUE(recorder.socket.sending());
  std::string got;
  ASSERT_TRUE(harness().until(
      [&, &far = peer] { return (got += far->take(50'000)).size() >= text.size(); }));
  EXPECT_EQ(got, text);
  ASSERT_TRUE(harness().until([&] { return !recorder.socket.sending(); }));
  ASSERT_FALSE(recorder.sent.empty());
  EXPECT_EQ(recorder.sent.back(), text.size());
  recorder.close();
  ASSERT_TRUE(harness().until([&] { return recorder.is_over(); }));
}

TEST_P(EngineContract, TheNextSendMayBeGivenWhenOneHasFinished) {
  auto [fd, peer] = harness().connect();
  Recorder recorder(engine());
  recorder.adopt(engine(), fd);
  const std::string text = numbered(500'000);
  std::size_t next = 0;
  auto feed = [&] {
    while (!recorder.socket.sending() && next < text.size()) {
      std::size_t size = std::min<std::size_t>(5'000, text.size() - next);
      std::string_view piece = std::string_view(text).substr(next, size);
      next += size;
      recorder.send(piece);
    }
  };
  recorder.when_sent = feed;
  feed();
  std::string got;
  ASSERT_TRUE(harness().until([&, &far = peer] {
    got += far->take();
    feed();
    return got.size() >= text.size();
  }));
  EXPECT_EQ(got, text);
  ASSERT_TRUE(harness().until([&] { return !recorder.socket.sending(); }));
  EXPECT_EQ(recorder.total, text.size());
  recorder.close();
  ASSERT_TRUE(harness().until([&] { return recorder.is_over(); }));
}

TEST_P(EngineContract, ClosingWithAnOutstandingSendAbandonsIt) {
  for (CloseMode mode : {CloseMode::graceful, CloseMode::abort}) {
    auto [fd, peer] = harness().connect(true);
    Recorder recorder(engine());
    recorder.adopt(engine(), fd);
    auto text = std::make_unique<std::string>(numbered(16'000'000));
    recorder.send(*text);
    harness().some_turns();
    ASSERT_TRUE(recorder.socket.sending());
    recorder.close(mode);
    ASSERT_TRUE(harness().until([&] { return recorder.is_over(); }));
    text.reset();  // from on_closed on nobody reads it
    EXPECT_FALSE(recorder.socket.sending());
    harness().some_turns();
    EXPECT_EQ(recorder.count('c'), 1);
  }
}

// --- files ---------------------------------------------------------------------------------------

class TemporaryFile {
 public:
  explicit TemporaryFile(std::string_view content) {
    char name[] = "/tmp/sluice-io-XXXXXX";
    fd_ = ::mkstemp(name);
    ::unlink(name);
    EXPECT_EQ(::write(fd_, content.data(), content.size()), ssize_t(content.size()));
  }
  ~TemporaryFile() { ::close(fd_); }
  int fd() const { return fd_; }

 private:
  int fd_;
};

TEST_P(EngineContract, AFileRegionIsSentBetweenOtherSends) {
  const std::string text = numbered(3'000'000);
  TemporaryFile file(text);
  for (bool narrow : {false, true}) {
    auto [fd, peer] = harness().connect(narrow);
    Recorder recorder(engine());
    recorder.adopt(engine(), fd);
    int step = 0;
    auto go_on = [&] {
      while (!recorder.socket.sending() && step < 3) {
        ++step;
        if (step == 1) recorder.send("head ", narrow);  // may wait for the file
        if (step == 2) recorder.send_file(file.fd(), 1000, 2'500'000);
        if (step == 3) recorder.send(" tail");
      }
    };
    recorder.when_sent = go_on;
    go_on();
    const std::string expected = "head " + text.substr(1000, 2'500'000) + " tail";
    std::string got;
    ASSERT_TRUE(harness().until([&, &far = peer] {
      go_on();
      return (got += far->take(100'000)).size() >= expected.size();
    }));
    EXPECT_TRUE(got == expected);
    ASSERT_TRUE(harness().until([&] { return !recorder.socket.sending(); }));
    EXPECT_EQ(recorder.total, expected.size());
    recorder.close();
    ASSERT_TRUE(harness().until([&] { return recorder.is_over(); }));
  }
}

TEST_P(EngineContract, AFileThatBecameShorterEndsTheSocket) {
  TemporaryFile file(numbered(100'000));
  auto [fd, peer] = harness().connect();
  Recorder recorder(engine());
  recorder.adopt(engine(), fd);
  recorder.send_file(file.fd(), 0, 200'000);
  std::string got;
  ASSERT_TRUE(harness().until([&, &far = peer] {
    got += far->take();
    return recorder.is_over();
  }));
  EXPECT_EQ(recorder.why.code, Errc::io_failed);
  EXPECT_LE(got.size(), 100'000u);
}

// --- pause ---------------------------------------------------------------------------------------

TEST_P(EngineContract, PausingUnderLoadLosesNothing) {
  auto [fd, peer] = harness().connect();
  Recorder recorder(engine());
  recorder.adopt(engine(), fd);
  const std::string text = numbered(4'000'000);
  std::size_t given = 0;
  bool paused = false, ended = false;
  int pauses = 0;
  recorder.when_received = [&](const Received&) {
    EXPECT_FALSE(paused) << "delivered while paused";
    paused = true;
    ++pauses;
    engine().pause(recorder.socket);
  };
  recorder.when_ended = [&] { EXPECT_FALSE(paused) << "the end was told while paused"; };
  int turns = 0;
  ASSERT_TRUE(harness().until([&, &far = peer] {
    given += far->send(std::string_view(text).substr(given, 200'000));
    if (given == text.size() && !ended) {
      far->end();
      ended = true;
    }
    if (++turns % 3 == 0) {
      paused = false;
      engine().resume(recorder.socket);
    }
    return recorder.count('e') == 1;
  }));
  EXPECT_TRUE(recorder.received == text);
  EXPECT_GT(pauses, 50);
  recorder.close();
  ASSERT_TRUE(harness().until([&] { return recorder.is_over(); }));
}

// However many blocks came at once: what a handler does to its socket holds from the next one on.
TEST_P(EngineContract, PausingDetachingAndClosingHoldBetweenTheBlocksOfOneFlood) {
  const std::string text = numbered(64 * 1024);
  for (const char* what : {"pause", "detach", "close"}) {
    for (std::size_t nth = 1; nth <= 12; ++nth) {
      start({.receive_block_bytes = 1024});
      auto [fd, peer] = harness().connect();
      Recorder recorder(engine());
      bool stopped = false;
      recorder.when_received = [&](const Received&) {
        EXPECT_FALSE(stopped);
        if (std::size_t(recorder.count('r')) != nth) return;
        stopped = true;
        if (*what == 'p') engine().pause(recorder.socket);
        if (*what == 'd') engine().detach(recorder.socket);
        if (*what == 'c') recorder.close();
      };
      recorder.adopt(engine(), fd);
      harness().some_turns(2);
      for (std::size_t sent = 0; sent < text.size();) {
        sent += peer->send(std::string_view(text).substr(sent));
      }
      ASSERT_TRUE(harness().until([&] { return stopped; }));
      harness().some_turns(3);
      if (*what == 'p') {
        stopped = false;
        recorder.when_received = nullptr;
        engine().resume(recorder.socket);
        ASSERT_TRUE(harness().until([&] { return recorder.received.size() == text.size(); }));
        EXPECT_EQ(recorder.received, text);
        recorder.close();
      }
      ASSERT_TRUE(harness().until([&] { return recorder.is_over(); }));
      if (*what == 'c') {
        EXPECT_EQ(recorder.received, text.substr(0, recorder.received.size()));
        EXPECT_EQ(recorder.count('r'), int(nth));
      }
      if (*what == 'd') {
        const std::string got = recorder.received + recorder.unread;
        EXPECT_EQ(got, text.substr(0, got.size()));
        // The rest is still in the socket.
        Recorder second(harness().other());
        second.adopt(harness().other(), recorder.given);
        ASSERT_TRUE(
            harness().until([&] { return second.received.size() + got.size() == text.size(); }));
        EXPECT_EQ(got + second.received, text);
        second.close();
        ASSERT_TRUE(harness().until([&] { return second.is_over(); }));
      }
    }
  }
}

TEST_P(EngineContract, APausedSocketHoldsBackItsPeer) {
  auto [fd, peer] = harness().connect();
  Recorder recorder(engine());
  recorder.adopt(engine(), fd);
  harness().some_turns();
  engine().pause(recorder.socket);
  std::string block = numbered(65536);
  std::size_t given = 0;
  if (!harness().is_simulated()) {  // the sim's wire takes everything
    for (int i = 0; i < 300; ++i) {
      given += peer->send(block);
      harness().turn();
    }
    EXPECT_LT(given, 300 * block.size()) << "the engine reads on";
  }
  EXPECT_EQ(recorder.order, "");
  recorder.close();
  ASSERT_TRUE(harness().until([&] { return recorder.is_over(); }));
}

TEST_P(EngineContract, ADescriptorThatCannotBeAdoptedIsToldOf) {
  if (harness().is_simulated()) return;  // sim_engine_test makes an adoption fail
  Recorder recorder(engine());
  recorder.adopt(engine(), 1'000'000'000);
  EXPECT_EQ(recorder.order, "");
  ASSERT_TRUE(harness().until([&] { return recorder.is_over(); }));
  EXPECT_EQ(recorder.order, "c");
  EXPECT_EQ(recorder.why.code, Errc::io_failed);
}

}  // namespace
}  // namespace sluice::io
