// tests/front/wire/heartbeat_test.cpp - pings at their time, and the end of those that do not
// answer; in simulated time.
//
// Layer: tests.
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "core/websocket.hpp"
#include "front/wire/harness.hpp"

namespace sluice::test {
namespace {

struct Heartbeats : testing::Test {
  Heartbeats() {
    rig.settings.heartbeat.enabled = true;
    rig.settings.heartbeat.interval = 128s;  // a slice is a second
    rig.events.websocket.on_message = [](sluice::Connection connection, std::string_view text) {
      connection.write_data(text);
    };
    rig.events.websocket.on_disconnect = [this](sluice::Connection, std::uint16_t code) {
      codes.push_back(code);
    };
  }
  static std::size_t pings(io::SimPeer& peer) {
    std::size_t count = 0;
    for (const WsFrame& frame : take_frames(peer)) count += frame.opcode == WsClient::kPing;
    return count;
  }
  void slowly(base::Duration time) {
    for (base::Duration passed{0}; passed < time; passed += 100ms) rig.pass(100ms);
  }
  static void pong(io::SimPeer& peer, std::string_view payload = {}) {
    peer.send(WsClient::frame(WsClient::kPong, payload));
  }

  std::vector<std::uint16_t> codes;
  Rig rig;
};

TEST_F(Heartbeats, AreOffAtFirst) {
  rig.settings.heartbeat = {};
  rig.start();
  io::SimPeer peer = rig.websocket();
  rig.pass(1000s);
  EXPECT_EQ(peer.received(), "");
}

TEST_F(Heartbeats, PingEachOnceAnInterval) {
  rig.start();
  io::SimPeer peer = rig.websocket();
  rig.pass(130s);
  EXPECT_EQ(pings(peer), 1u);
  for (int i = 0; i < 5; ++i) {
    rig.pass(128s);
    EXPECT_EQ(pings(peer), 1u);
  }
  EXPECT_TRUE(rig.errors.empty());  // no answer is asked for
  // A pause of the shard is not made up for.
  rig.network.advance(10'000s);
  rig.settle();
  EXPECT_EQ(pings(peer), 1u);
}

TEST_F(Heartbeats, AreSpreadOverTheInterval) {
  rig.start();
  std::vector<io::SimPeer> peers;
  for (int i = 0; i < 256; ++i) peers.push_back(rig.websocket());
  std::size_t all = 0, most = 0;
  for (int second = 0; second < 128; ++second) {
    rig.pass(1s);
    std::size_t now = 0;
    for (io::SimPeer& peer : peers) now += pings(peer);
    most = std::max(most, now);
    all += now;
  }
  EXPECT_EQ(all, 256u);
  EXPECT_EQ(most, 2u);
}

TEST_F(Heartbeats, GoOnWhenTheFirstOnesHaveGone) {
  rig.start();
  io::SimPeer first = rig.websocket();
  first.reset();
  rig.pass(1000s);
  io::SimPeer second = rig.websocket();
  rig.pass(130s);
  EXPECT_EQ(pings(second), 1u);
}

TEST_F(Heartbeats, OnlyIfIdleLeavesOutWhoWasHeard) {
  rig.settings.heartbeat.type = HeartBeatType::only_if_idle;
  rig.start();
  io::SimPeer idle = rig.websocket(), busy = rig.websocket(), pinging = rig.websocket();
  rig.pass(128s);
  EXPECT_EQ(pings(idle) + pings(busy) + pings(pinging), 0u);  // the handshake was heard
  for (int i = 0; i < 4; ++i) {
    busy.send(WsClient::frame(WsClient::kText, "x"));
    pinging.send(WsClient::frame(WsClient::kPing, ""));  // any sign of life
    rig.pass(128s);
    EXPECT_EQ(pings(idle), 1u);
    EXPECT_EQ(pings(busy), 0u);
    EXPECT_EQ(pings(pinging), 0u);
  }
  rig.pass(128s);
  EXPECT_EQ(pings(busy), 1u);
}

TEST_F(Heartbeats, EndWhoDoesNotAnswerInTime) {
  rig.settings.heartbeat.timeout = 10s;
  rig.start();
  io::SimPeer deaf = rig.websocket(), fine = rig.websocket(), late = rig.websocket();
  std::map<io::SimPeer*, int> answered;
  for (int second = 0; second < 300; ++second) {
    rig.pass(1s);
    if (pings(fine) > 0) pong(fine);
    if (pings(late) > 0) {
      rig.pass(9s);
      pong(late, "its own words");
    }
  }
  EXPECT_TRUE(deaf.saw_reset());
  EXPECT_FALSE(fine.saw_end() || fine.saw_reset());
  EXPECT_FALSE(late.saw_end() || late.saw_reset());
  EXPECT_EQ(rig.count_errors(Errc::heartbeat_timeout), 1u);
  EXPECT_EQ(rig.errors.size(), 1u);
  EXPECT_EQ(codes, std::vector<std::uint16_t>{1006});
}

// Longer than the interval: one ping at a time is under way, and its time is its own.
TEST_F(Heartbeats, MayWaitLongerThanTheInterval) {
  rig.settings.heartbeat.timeout = 500s;
  rig.start();
  io::SimPeer peer = rig.websocket();
  for (int i = 0; i < 5; ++i) {
    rig.pass(128s);
    EXPECT_EQ(pings(peer), 1u);
    pong(peer);
    rig.settle();
  }
  rig.pass(128s);
  EXPECT_EQ(pings(peer), 1u);
  rig.pass(499s);
  EXPECT_EQ(pings(peer), 0u);
  EXPECT_FALSE(peer.saw_reset()) << "an answered ping's time must not count for a later one";
  rig.pass(2s);
  EXPECT_TRUE(peer.saw_reset());
}

TEST_F(Heartbeats, DataIsNoPong) {
  rig.settings.heartbeat.timeout = 10s;
  rig.start();
  io::SimPeer peer = rig.websocket();
  for (int second = 0; second < 150 && !peer.saw_reset(); ++second) {
    peer.send(WsClient::frame(WsClient::kText, "x"));
    rig.pass(1s);
  }
  EXPECT_TRUE(peer.saw_reset());
}

// A pong cannot overtake the frame that is under way.
TEST_F(Heartbeats, WaitForTheEndOfAFrame) {
  rig.settings.heartbeat.timeout = 10s;
  rig.start();
  io::SimPeer peer = rig.websocket();
  const std::string frame = WsClient::frame(WsClient::kText, std::string(100'000, 'x'));
  std::size_t sent = 0;
  for (int second = 0; second < 200; ++second) {  // a slow uplink
    peer.send(frame.substr(sent, 400));
    sent += 400;
    rig.pass(1s);
  }
  EXPECT_FALSE(peer.saw_reset());
  peer.send(frame.substr(sent));
  EXPECT_EQ(pings(peer), 1u);
  pong(peer);
  rig.pass(20s);
  EXPECT_FALSE(peer.saw_reset());
  // One that stops in the middle is not waited for.
  peer.send(frame.substr(0, 400));
  slowly(160s);
  EXPECT_TRUE(peer.saw_reset());
}

// The ping stands behind what a slow reader has not taken yet.
TEST_F(Heartbeats, WaitForASlowReaderThatTakesSome) {
  rig.settings.heartbeat.timeout = 10s;
  rig.settings.timeouts.min_send_rate = 0;
  rig.start();
  io::SimPeer slow = rig.websocket(), stopped = rig.websocket();
  for (io::SimPeer* peer : {&slow, &stopped}) {
    peer->set_window(0);
    peer->send(WsClient::frame(WsClient::kText, std::string(50'000, 'x')));
  }
  for (int second = 0; second < 200; ++second) {
    slow.open_window(100);
    rig.pass(1s);
  }
  EXPECT_FALSE(slow.saw_reset());
  EXPECT_TRUE(stopped.saw_reset());
  slow.open_window(1'000'000);
  rig.settle();
  EXPECT_EQ(pings(slow), 1u);
  pong(slow);
  rig.pass(100s);
  EXPECT_FALSE(slow.saw_reset());
}

TEST_F(Heartbeats, MayBeHandledByTheApplication) {
  rig.settings.heartbeat.timeout = 10s;
  std::size_t asked = 0;
  rig.events.on_before_heartbeat = [&](sluice::Connection connection, bool& handled) {
    ++asked;
    handled = connection.url() == "/own";
    if (handled) connection.write_data("are you there?");
  };
  rig.start();
  io::SimPeer own = rig.websocket("/own"), other = rig.websocket();
  rig.pass(130s);
  rig.pass(11s);
  EXPECT_EQ(asked, 2u);
  std::vector<WsFrame> frames = take_frames(own);
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0].payload, "are you there?");
  EXPECT_FALSE(own.saw_reset()) << "no pong is waited for";
  EXPECT_EQ(pings(other), 1u);
  EXPECT_TRUE(other.saw_reset());
}

TEST_F(Heartbeats, OneThatFailsDoesNotStopTheOthers) {
  std::size_t thrown = 0;
  rig.events.on_exception = [&](sluice::Connection, std::exception_ptr) { ++thrown; };
  rig.events.on_before_heartbeat = [](sluice::Connection connection, bool&) {
    if (connection.url() == "/bad") throw std::runtime_error("no heart");
    if (connection.url() == "/leaves") connection.disconnect();
  };
  rig.start();
  std::vector<io::SimPeer> peers;
  for (const char* path : {"/a", "/bad", "/b", "/leaves", "/c"})
    peers.push_back(rig.websocket(path));
  rig.pass(130s);
  EXPECT_EQ(thrown, 1u);
  for (std::size_t i : {0u, 2u, 4u}) EXPECT_EQ(pings(peers[i]), 1u) << i;
  std::vector<WsFrame> frames = take_frames(peers[1]);
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0].close_code(), 1011);
  EXPECT_TRUE(peers[3].saw_end());
}

TEST_F(Heartbeats, TakeNoMemoryForEach) {
  static_assert(sizeof(core::WebSocket) <= 40);
  static_assert(sizeof(wire::Connection) <= 128);
}

// --- write_timeout: while bytes wait, and the peer takes none of them
// ------------------------------

struct WriteTimeout : Heartbeats {
  WriteTimeout() {
    rig.settings.heartbeat = {};
    rig.settings.timeouts.min_send_rate = 0;
    rig.settings.options.write_timeout = 4s;
  }
};

TEST_F(WriteTimeout, EndsWhoTakesNothing) {
  rig.start();
  io::SimPeer stopped = rig.websocket(), slow = rig.websocket(), idle = rig.websocket();
  stopped.set_window(0);
  slow.set_window(0);
  for (io::SimPeer* peer : {&stopped, &slow}) {
    peer->send(WsClient::frame(WsClient::kText, "hello, is anybody there?"));
  }
  rig.settle();
  slowly(3900ms);
  EXPECT_FALSE(stopped.saw_reset()) << "too early";
  slow.open_window(1);
  slowly(2s);
  EXPECT_TRUE(stopped.saw_reset());
  EXPECT_FALSE(slow.saw_reset());
  EXPECT_EQ(codes, std::vector<std::uint16_t>{1006});
  EXPECT_EQ(rig.errors, std::vector<Errc>{Errc::write_timeout});
  for (int i = 0; i < 10; ++i) {  // one byte at a time is something
    slow.open_window(1);
    slowly(3s);
  }
  EXPECT_FALSE(slow.saw_reset());
  slowly(6s);
  EXPECT_TRUE(slow.saw_reset());
  rig.pass(1000s);
  EXPECT_FALSE(idle.saw_reset());
}

TEST_F(WriteTimeout, CountsAnewForWhatIsSentLater) {
  rig.start();
  io::SimPeer peer = rig.websocket();
  for (int i = 0; i < 5; ++i) {
    peer.set_window(0);
    peer.send(WsClient::frame(WsClient::kText, "x"));
    slowly(3s);
    peer.set_window(100);
    slowly(7s);
  }
  EXPECT_FALSE(peer.saw_reset());
}

TEST_F(WriteTimeout, IsOffAtFirst) {
  rig.settings.options.write_timeout = 0ms;
  rig.start();
  io::SimPeer peer = rig.websocket();
  peer.set_window(0);
  peer.send(WsClient::frame(WsClient::kText, "x"));
  rig.settle();
  rig.pass(10'000s);
  EXPECT_FALSE(peer.saw_reset());
}

}  // namespace
}  // namespace sluice::test
