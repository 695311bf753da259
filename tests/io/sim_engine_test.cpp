// tests/io/sim_engine_test.cpp - what only the sim can arrange: cuts, windows, time, and the Nth
// failure.
//
// Layer: tests.
#include "io/sim/sim_engine.hpp"

#include <gtest/gtest.h>

#include "harness.hpp"

namespace sluice::io {
namespace {

using namespace std::chrono_literals;

TEST(SimEngine, DeliversInTheSizesAskedFor) {
  SimNetwork network;
  SimEngine engine(network);
  auto [fd, peer] = network.open_connection();
  std::vector<std::size_t> sizes;
  Recorder recorder(engine);
  recorder.when_received = [&](const Received& received) {
    sizes.push_back(received.bytes.size());
  };
  recorder.adopt(engine, fd);
  network.deliver_at_most(3);
  peer.send("abcdefgh");
  EXPECT_EQ(engine.run(), 3u);
  EXPECT_EQ(sizes, (std::vector<std::size_t>{3, 3, 2}));
  EXPECT_EQ(recorder.received, "abcdefgh");
  recorder.close();
  engine.run();
  EXPECT_EQ(network.open_count(), 0u);
  EXPECT_TRUE(peer.saw_end());
}

TEST(SimEngine, AWindowMakesSendsShort) {
  SimNetwork network;
  SimEngine engine(network);
  auto [fd, peer] = network.open_connection();
  Recorder recorder(engine);
  recorder.adopt(engine, fd);
  peer.set_window(4);
  EXPECT_EQ(recorder.send("0123456789"), 4u);
  engine.run();
  EXPECT_TRUE(recorder.socket.sending());
  EXPECT_EQ(recorder.order, "");
  peer.open_window(4);
  engine.run();
  EXPECT_EQ(recorder.sent, (std::vector<std::uint64_t>{8}));
  peer.open_window(100);
  engine.run();
  EXPECT_EQ(recorder.sent, (std::vector<std::uint64_t>{8, 10}));
  EXPECT_EQ(peer.received(), "0123456789");
  recorder.close();
  engine.run();
}

TEST(SimEngine, APeerThatIsGoneResetsWhatIsSentToIt) {
  SimNetwork network;
  SimEngine engine(network);
  auto [fd, peer] = network.open_connection();
  Recorder recorder(engine);
  recorder.adopt(engine, fd);
  peer.close();
  engine.run();
  EXPECT_EQ(recorder.order, "e");
  recorder.send("too late");
  engine.run();
  EXPECT_EQ(recorder.order, "ec");
  EXPECT_EQ(recorder.why.code, Errc::connection_reset);
}

TEST(SimEngine, AFailedAcceptIsTriedAgainAfterAWhile) {
  SimNetwork network;
  SimEngine engine(network);
  ListenRecorder listener;
  int listening = network.open_listener();
  engine.listen(listener.listener, listening, listener);
  SimPeer peer = network.connect(listening);
  network.fail_nth(SimOperation::accept, 1, Errc::too_many_files);
  engine.run();
  EXPECT_EQ(listener.failures, 1);
  EXPECT_EQ(listener.why.code, Errc::too_many_files);
  EXPECT_EQ(network.backlog(listening), 1u);
  network.advance(99ms);
  engine.run();
  EXPECT_TRUE(listener.accepted.empty());
  network.advance(1ms);
  engine.run();
  EXPECT_EQ(listener.accepted.size(), 1u);
  engine.close_listener(listener.listener);
  engine.run();
  EXPECT_EQ(listener.closed, 1);
}

// Two connections that talk, one of which is handed to another engine. Whatever fails, each is told
// once of its end, and nothing is left.
struct Conversation {
  SimNetwork network;
  SimEngine engine{network}, other{network};
  Recorder first{engine}, second{engine};
  ListenRecorder listener;
  std::vector<base::BlockRef> shared;

  void run() {
    int listening = network.open_listener();
    listener.when_accepted = [&](int fd) {
      (first.socket.is_adopted() || first.is_over() ? second : first).adopt(engine, fd);
    };
    engine.listen(listener.listener, listening, listener);
    SimPeer one = network.connect(listening), two = network.connect(listening);
    two.set_window(5);
    first.when_received = [this](const Received& received) {
      shared.push_back(base::BlockRef::share(*received.block));
      if (!first.socket.sending()) first.send("an answer that is long enough");
    };
    second.when_received = [this](const Received&) {
      if (!second.socket.sending()) second.send("a long answer to a slow reader");
    };
    second.when_detached = [this] {
      std::string unread = second.unread;
      second.adopt(other, second.given, as_bytes(unread));
    };
    network.deliver_at_most(4);
    one.send("a request in pieces");
    two.send("another one");
    turns();
    two.open_window(1000);
    turns();
    if (second.socket.is_adopted() && !second.socket.sending()) engine.detach(second.socket);
    two.send("and more");
    turns();
    one.end();
    two.end();
    turns();
    network.advance(1s);
    turns();
    shared.clear();
    if (first.socket.is_adopted()) first.close();
    if (second.socket.is_adopted()) second.close(CloseMode::abort);
    engine.close_listener(listener.listener);
    turns();
  }
  void turns() {
    while (engine.run() + other.run() > 0) {
    }
  }
};

TEST(SimEngine, WhicheverOperationFailsNothingIsLeft) {
  for (SimOperation operation :
       {SimOperation::adopt, SimOperation::receive, SimOperation::send, SimOperation::accept}) {
    std::uint64_t total = 0;
    {
      Conversation whole;
      whole.run();
      total = whole.network.count(operation);
      EXPECT_EQ(whole.first.why.code, Errc::none);
      EXPECT_EQ(whole.second.received, "another oneand more");
    }
    ASSERT_GT(total, 0u);
    for (std::uint64_t nth = 1; nth <= total; ++nth) {
      SCOPED_TRACE(nth);
      Conversation conversation;
      conversation.network.fail_nth(operation, nth, Errc::io_failed);
      conversation.run();
      for (Recorder* recorder : {&conversation.first, &conversation.second}) {
        EXPECT_FALSE(recorder->socket.is_adopted());
        EXPECT_EQ(recorder->count('c'), 1);
      }
      EXPECT_EQ(conversation.listener.closed, 1);
      EXPECT_EQ(conversation.network.open_count(), 0u);
      EXPECT_EQ(conversation.engine.blocks().blocks_in_use(), 0u);
      EXPECT_EQ(conversation.other.blocks().blocks_in_use(), 0u);
    }
  }
}

}  // namespace
}  // namespace sluice::io
