// tests/front/wire/event_stream_test.cpp - streams of events while time passes: heartbeats, the
// drain, and what an idle one keeps.
//
// Layer: tests.
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/event_stream.hpp>

#include "front/wire/harness.hpp"

namespace sluice::test {
namespace {

constexpr std::string_view kBeat = "2\r\n:\n\r\n";
constexpr std::string_view kEvent = "9\r\ndata: x\n\n\r\n";
constexpr std::string_view kEnd = "0\r\n\r\n";

struct Events : testing::Test {
  Events() {
    rig.events.on_http_request = [this](sluice::Connection, const HttpRequest&,
                                        HttpResponse& response) {
      streams.push_back(response.event_stream(options));
      streams.back().on_close([this] { ++closed; });
    };
  }
  void TearDown() override {
    streams.clear();
    rig.stop();
  }
  io::SimPeer listen() {
    io::SimPeer peer = rig.connect();
    peer.send(get("/"));
    rig.settle();
    EXPECT_TRUE(peer.received().ends_with("\r\n\r\n")) << peer.received();
    peer.take_received();
    return peer;
  }
  void send() {
    EXPECT_EQ(streams.back().send({.data = "x"}), Errc::none);
    rig.settle();
  }

  Rig rig;
  EventStreamOptions options;
  std::vector<EventStream> streams;
  int closed = 0;
};

TEST_F(Events, BeatOnlyWhenNothingWasSentForSoLong) {
  rig.start();
  io::SimPeer peer = listen();
  rig.pass(14'900ms);
  EXPECT_EQ(peer.take_received(), "");
  rig.pass(200ms);
  EXPECT_EQ(peer.take_received(), kBeat);
  rig.pass(10s);
  EXPECT_EQ(peer.take_received(), "");
  send();
  EXPECT_EQ(peer.take_received(), kEvent);
  rig.pass(14'900ms);  // more than 15 s behind the last beat
  EXPECT_EQ(peer.take_received(), "");
  rig.pass(200ms);
  EXPECT_EQ(peer.take_received(), kBeat);
  rig.pass(15'100ms);
  EXPECT_EQ(peer.take_received(), kBeat);
}

TEST_F(Events, WithoutAHeartbeatAreSilentForEver) {
  options.heartbeat = 0ms;
  rig.start();
  io::SimPeer peer = listen();
  for (int hour = 0; hour < 24; ++hour) rig.pass(1h);
  EXPECT_EQ(peer.take_received(), "");
  EXPECT_TRUE(streams.back().is_open());
  send();
  EXPECT_EQ(peer.take_received(), kEvent);
}

// A peer that takes nothing is sent no heartbeats on top, and is not kept for ever.
TEST_F(Events, DoNotPileUpHeartbeats) {
  rig.settings.limits.send_queue_bytes = 50;
  rig.settings.timeouts.min_send_rate = 0;
  rig.start();
  io::SimPeer peer = listen();
  peer.set_window(0);
  Errc sent = Errc::none;
  while ((sent = streams.back().send({.data = "x"})) == Errc::none) rig.settle();
  EXPECT_EQ(sent, Errc::would_block);
  const std::size_t queued = rig.shard().queued_bytes;
  EXPECT_LT(queued, 100u);
  for (int i = 0; i < 100; ++i) rig.pass(15s);
  EXPECT_EQ(rig.shard().queued_bytes, queued);
  peer.open_window(1'000'000);
  rig.settle();
  EXPECT_EQ(peer.take_received().size(), queued);
  rig.pass(15'100ms);
  EXPECT_EQ(peer.take_received(), kBeat);
  EXPECT_EQ(streams.back().send({.data = "x"}), Errc::none);
}

TEST_F(Events, ThatNobodyTakesAreEndedBySendRate) {
  rig.start();
  io::SimPeer peer = listen();
  peer.set_window(0);
  send();
  for (int i = 0; i < 10; ++i) rig.pass(5s);
  EXPECT_EQ(closed, 1);
  EXPECT_EQ(streams.back().send({.data = "x"}), Errc::gone);
  EXPECT_EQ(rig.network.open_count(), 0u);
}

TEST_F(Events, FindOutThatTheirClientHasLeft) {
  rig.start();
  io::SimPeer peer = listen();
  peer.close();
  rig.settle();
  EXPECT_EQ(closed, 0) << "a FIN alone is no end";
  rig.pass(15'100ms);
  rig.pass(15'100ms);
  EXPECT_EQ(closed, 1);
  EXPECT_EQ(rig.network.open_count(), 0u);
}

// An idle stream keeps no receive block, with handles or without requests behind it.
TEST_F(Events, KeepNoBlockWhileTheyAreIdle) {
  rig.start();
  std::vector<io::SimPeer> peers;
  for (int i = 0; i < 50; ++i) peers.push_back(listen());
  rig.shard().scratch.release();
  EXPECT_EQ(rig.engine().blocks().blocks_in_use(), 0u);
}

TEST_F(Events, AreEndedByTheDrainSpreadOverAMoment) {
  constexpr std::size_t kMany = 400;
  rig.start();
  std::vector<io::SimPeer> peers;
  for (std::size_t i = 0; i < kMany; ++i) peers.push_back(listen());
  rig.on(0, [&] { rig.loop().drain(1001, 10s); });
  rig.settle();
  const int at_once = closed;
  EXPECT_LT(at_once, int(kMany) / 2);
  rig.pass(50ms);
  EXPECT_GT(closed, at_once);
  EXPECT_LT(closed, int(kMany));
  rig.pass(100ms);
  EXPECT_EQ(closed, int(kMany));
  for (io::SimPeer& peer : peers) {
    EXPECT_EQ(peer.take_received(), kEnd);
    EXPECT_TRUE(peer.saw_end());
    EXPECT_FALSE(peer.saw_reset());
  }
  EXPECT_EQ(rig.network.open_count(), 0u);
}

TEST_F(Events, DoNotBeginDuringTheDrain) {
  rig.start();
  io::SimPeer peer = rig.connect();
  peer.send("GET / HT");
  rig.settle();
  rig.on(0, [&] { rig.loop().drain(1001, {}); });
  rig.settle();
  peer.send("TP/1.1\r\nHost: a\r\n\r\n");
  rig.settle();
  EXPECT_EQ(closed, 1);
  EXPECT_TRUE(peer.received().ends_with(kEnd));
  EXPECT_TRUE(peer.saw_end());
}

}  // namespace
}  // namespace sluice::test
