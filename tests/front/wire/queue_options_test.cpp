// tests/front/wire/queue_options_test.cpp - queue_options: what waits for a peer that is behind.
//
// Layer: tests.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "front/wire/harness.hpp"

namespace sluice::test {
namespace {

struct QueueLevels : testing::Test {
  QueueLevels() {
    rig.events.websocket.on_connect = [](sluice::Connection) {};
  }
  // A WebSocket whose peer takes nothing; one message is under way to it.
  io::SimPeer held() {
    io::SimPeer peer = rig.websocket();
    peer.set_window(1);
    broadcast("first");
    return peer;
  }
  void broadcast(std::string_view text, ws::Opcode opcode = ws::Opcode::text) {
    rig.on(0, [&] { rig.session->broadcast(opcode, as_bytes(text), {}); });
    rig.settle();
  }
  static std::vector<std::string> all_of(Rig& rig, io::SimPeer& peer) {
    peer.open_window(1 << 20);
    rig.settle();
    std::vector<std::string> payloads;
    for (WsFrame& frame : take_frames(peer)) payloads.push_back(std::move(frame.payload));
    return payloads;
  }
  std::uint64_t dropped() { return rig.shard().counters.messages_dropped.get(); }

  Rig rig;
};

using Payloads = std::vector<std::string>;

TEST_F(QueueLevels, AllWaitUnlessToldOtherwise) {
  rig.start();
  io::SimPeer peer = held();
  for (const char* text : {"a", "b", "c"}) broadcast(text);
  EXPECT_EQ(all_of(rig, peer), (Payloads{"first", "a", "b", "c"}));
  EXPECT_EQ(dropped(), 0u);
}

TEST_F(QueueLevels, OnlyTheLastWaits) {
  rig.settings.queue.text = QueueLevel::last;
  rig.start();
  io::SimPeer peer = held();
  for (const char* text : {"a", "b", "c"}) broadcast(text);
  broadcast("data", ws::Opcode::binary);
  broadcast("more", ws::Opcode::binary);  // another kind, of which all wait
  EXPECT_EQ(all_of(rig, peer), (Payloads{"first", "c", "data", "more"}));
  EXPECT_EQ(dropped(), 2u);
  broadcast("d");
  broadcast("e");  // the peer keeps up
  EXPECT_EQ(all_of(rig, peer), (Payloads{"d", "e"}));
  EXPECT_EQ(dropped(), 2u);
}

TEST_F(QueueLevels, NothingWaits) {
  rig.settings.queue.binary = QueueLevel::none;
  rig.start();
  io::SimPeer peer = held();
  broadcast("a", ws::Opcode::binary);
  broadcast("b");
  sluice::Connection client = rig.newest();
  const std::string data = "c";
  EXPECT_EQ(client.write_data(as_bytes(data)), SendStatus::queued);  // from another thread: in time
  rig.settle();
  EXPECT_EQ(all_of(rig, peer), (Payloads{"first", "b"}));
  EXPECT_EQ(dropped(), 2u);
}

// Several messages of one turn are no sign of a slow peer.
TEST_F(QueueLevels, AreNotAskedWhileThePeerKeepsUp) {
  rig.settings.queue.text = QueueLevel::none;
  rig.settings.queue.binary = QueueLevel::last;
  rig.start();
  io::SimPeer peer = rig.websocket();
  rig.on(0, [&] {
    for (const char* text : {"a", "b", "c"}) {
      rig.session->broadcast(ws::Opcode::text, as_bytes(std::string_view(text)), {});
      rig.session->broadcast(ws::Opcode::binary, as_bytes(std::string_view(text)), {});
    }
  });
  rig.settle();
  EXPECT_EQ(all_of(rig, peer), (Payloads{"a", "a", "b", "b", "c", "c"}));
}

// More in one turn than the peer can have taken.
TEST_F(QueueLevels, BoundWhatOneTurnWrites) {
  rig.settings.queue.text = QueueLevel::last;
  rig.settings.limits.send_queue_bytes = 10'000;
  rig.start();
  io::SimPeer peer = rig.websocket();
  rig.on(0, [&] {
    for (int i = 0; i < 100; ++i) {
      const std::string text = std::to_string(i) + std::string(1000, 'x');
      rig.session->broadcast(ws::Opcode::text, as_bytes(text), {});
    }
  });
  rig.settle();
  const Payloads got = all_of(rig, peer);
  EXPECT_LT(got.size(), 100u);
  EXPECT_EQ(got.back().substr(0, 2), "99");
  EXPECT_TRUE(rig.errors.empty());
}

// Where the newest finds no room the one that waits stays.
TEST_F(QueueLevels, LoseTheOldOneOnlyForANewOne) {
  rig.settings.queue.text = QueueLevel::last;
  rig.settings.limits.send_queue_bytes = 10'000;
  rig.settings.options.slow_reader = SlowReader::drop_newest;
  rig.start();
  io::SimPeer peer = held();
  broadcast("old");
  const std::string large(9000, 'b'), larger(5000, 't');
  broadcast(large, ws::Opcode::binary);
  broadcast(larger);
  EXPECT_EQ(all_of(rig, peer), (Payloads{"first", "old", large}));
  EXPECT_EQ(dropped(), 1u);
}

// What a connection's own handlers answer is never dropped.
TEST_F(QueueLevels, SpareAnswers) {
  rig.settings.queue.text = QueueLevel::none;
  rig.events.websocket.on_message = [](sluice::Connection c, std::string_view text) {
    c.write_data(text);
  };
  rig.start();
  io::SimPeer peer = held();
  peer.send(WsClient::frame(WsClient::kText, "one"));
  peer.send(WsClient::frame(WsClient::kText, "two"));
  rig.settle();
  EXPECT_EQ(all_of(rig, peer), (Payloads{"first", "one", "two"}));
}

TEST_F(QueueLevels, HoldForPings) {
  rig.settings.queue.ping = QueueLevel::last;
  rig.start();
  io::SimPeer peer = held();
  sluice::Connection client = rig.newest();
  for (const char* text : {"p", "q"}) {
    rig.on(0, [&] { EXPECT_EQ(client.ping(text), SendStatus::queued); });
  }
  EXPECT_EQ(all_of(rig, peer), (Payloads{"first", "q"}));
}

// A message of which part has left stays whole.
TEST_F(QueueLevels, NeverCutAMessage) {
  rig.settings.queue.text = QueueLevel::last;
  rig.start();
  io::SimPeer peer = rig.websocket();
  peer.set_window(0);
  const std::string large(100'000, 'x');
  broadcast(large);
  peer.open_window(10);
  rig.settle();
  broadcast("a");
  broadcast("b");
  EXPECT_EQ(all_of(rig, peer), (Payloads{large, "b"}));
}

// A limit of bandwidth makes every peer one that is behind.
TEST_F(QueueLevels, HoldUnderALimitOfBandwidth) {
  rig.settings.queue.text = QueueLevel::last;
  rig.settings.limits.bandwidth = 1024;
  rig.start();
  io::SimPeer peer = rig.websocket();
  const std::string large(3000, 'x');
  broadcast(large);
  rig.pass(1s);  // part of it leaves
  for (int i = 0; i < 100; ++i) broadcast(std::to_string(i));
  std::string got = peer.take_received();
  ASSERT_GT(got.size(), 0u);
  for (int second = 0; second < 10; ++second) {
    rig.pass(1s);
    got += peer.take_received();
  }
  auto frames = take_frames(got);
  ASSERT_EQ(frames.size(), 2u);
  EXPECT_TRUE(frames[0].payload == large);
  EXPECT_EQ(frames[1].payload, "99");
}

}  // namespace
}  // namespace sluice::test
