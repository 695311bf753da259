// tests/front/wire/bandwidth_test.cpp - limits.bandwidth: no more leaves than may, nothing is lost,
// and who waits for it is not taken for a slow reader.
//
// Layer: tests.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include "front/wire/harness.hpp"
#include "service/temp_dir.hpp"

namespace sluice::test {
namespace {

constexpr std::uint64_t kRate = 100'000;  // bytes per second
constexpr std::uint64_t kAhead = 5'000;   // what a twentieth of a second may burst
constexpr std::uint64_t kPiece = 5'000;   // what leaves at a time
constexpr std::size_t kBody = 150'000;

std::string pattern(std::size_t size) {
  std::string text;
  for (int i = 0; text.size() < size; ++i) text += std::to_string(i) + ",";
  text.resize(size);
  return text;
}

struct LimitOfBandwidth : testing::Test {
  LimitOfBandwidth() {
    rig.settings.limits.bandwidth = kRate;
    rig.events.on_http_request = [this](sluice::Connection, const HttpRequest&,
                                        HttpResponse& response) { response.content_text(body); };
  }
  // Lets time pass until all peers together have got `all` bytes or more; what they have got at any
  // time is no more than may have left. Returns how long it took, in milliseconds.
  int receive(std::vector<io::SimPeer>& peers, std::vector<std::string>& got, std::uint64_t all) {
    std::uint64_t sum = 0;
    for (int elapsed = 0; elapsed < 60'000; elapsed += 10) {
      sum = 0;
      for (std::size_t i = 0; i < peers.size(); ++i) {
        got[i] += peers[i].take_received();
        sum += got[i].size();
      }
      EXPECT_LE(sum, kRate * std::uint64_t(elapsed) / 1000 + kAhead + kPiece) << elapsed;
      if (sum >= all) return elapsed;
      rig.pass(10ms);
    }
    ADD_FAILURE() << "only " << sum << " of " << all;
    return 60'000;
  }

  const std::string body = pattern(kBody);
  Rig rig;
};

TEST_F(LimitOfBandwidth, IsSharedByAllConnections) {
  rig.start();
  std::vector<io::SimPeer> peers;
  for (int i = 0; i < 4; ++i) peers.push_back(rig.connect());
  for (io::SimPeer& peer : peers) peer.send(get("/"));
  rig.settle();
  std::vector<std::string> got(peers.size());
  const int elapsed = receive(peers, got, 4 * kBody);
  EXPECT_LT(elapsed, 7000);  // 6 s, and what the timers' ticks and the burst come to
  rig.pass(1s);
  for (std::size_t i = 0; i < peers.size(); ++i) {
    got[i] += peers[i].take_received();
    std::string_view text = got[i];
    EXPECT_TRUE(take_reply(text).body == body);
    EXPECT_EQ(text, "");
  }
  EXPECT_TRUE(rig.errors.empty());
}

TEST_F(LimitOfBandwidth, HoldsForFiles) {
  TempDir folder;
  std::ofstream(folder.path() / "file.txt") << body;
  rig.directories = {{"/files/", folder.path().string()}};
  rig.start();
  std::vector<io::SimPeer> peers{rig.connect()};
  std::vector<std::string> got(1);
  peers[0].send(get("/files/file.txt"));
  rig.settle();
  receive(peers, got, kBody);
  rig.pass(1s);
  got[0] += peers[0].take_received();
  std::string_view text = got[0];
  EXPECT_TRUE(take_reply(text).body == body);
}

TEST_F(LimitOfBandwidth, HoldsForWebSockets) {
  rig.events.websocket.on_message = [](sluice::Connection c, std::string_view text) {
    c.write_data(text);
  };
  rig.start();
  std::vector<io::SimPeer> peers;
  for (int i = 0; i < 10; ++i) peers.push_back(rig.websocket());
  std::vector<std::string> got(peers.size());
  const std::string message = body.substr(0, 20'000);
  rig.on(0, [&] { rig.session->broadcast(ws::Opcode::text, as_bytes(message), {}); });
  peers[0].send(WsClient::frame(WsClient::kText, "echo"));
  rig.settle();
  receive(peers, got, peers.size() * message.size());
  rig.pass(1s);
  for (std::size_t i = 0; i < peers.size(); ++i) {
    got[i] += peers[i].take_received();
    auto frames = take_frames(got[i]);
    ASSERT_EQ(frames.size(), i == 0 ? 2u : 1u);
    EXPECT_TRUE(frames[0].payload == message);
    if (i == 0) {
      EXPECT_EQ(frames[1].payload, "echo");
    }
  }
}

// The peer takes less than min_send_rate, because it gets no more.
TEST_F(LimitOfBandwidth, MakesNobodyASlowReader) {
  rig.settings.limits.bandwidth = 1024;
  rig.settings.options.write_timeout = 5s;
  rig.start();
  std::vector<io::SimPeer> peers;
  for (int i = 0; i < 50; ++i) {
    peers.push_back(rig.connect());
    peers.back().send(get("/"));
  }
  for (int second = 0; second < 120; ++second) rig.pass(1s);
  EXPECT_TRUE(rig.errors.empty());
  EXPECT_EQ(rig.loop().connections(), 50u);
}

// Pings wait behind what is rationed, and so do their pongs.
TEST_F(LimitOfBandwidth, IsNoReasonForTheHeartbeat) {
  rig.settings.limits.bandwidth.reset();
  rig.settings.heartbeat = {.enabled = true, .interval = 2s, .timeout = 2s};
  rig.events.websocket.on_connect = [](sluice::Connection) {};
  rig.start();
  std::vector<io::SimPeer> peers;
  for (int i = 0; i < 20; ++i) peers.push_back(rig.websocket());
  io::SimPeer gone = rig.websocket();
  core::SessionSettings next = rig.settings;
  next.limits.bandwidth = 1024;
  rig.session->apply(next, nullptr);
  rig.settle();
  const std::string message = body.substr(0, 3000);
  rig.on(0, [&] { rig.session->broadcast(ws::Opcode::text, as_bytes(message), {}); });
  std::vector<std::string> got(peers.size());
  std::size_t pings = 0, messages = 0;
  for (int second = 0; second < 120; ++second) {
    rig.pass(1s);
    for (std::size_t i = 0; i < peers.size(); ++i) {
      got[i] += peers[i].take_received();
      for (const WsFrame& frame : take_frames(got[i])) {
        messages += frame.payload == message;
        if (frame.opcode != WsClient::kPing) continue;
        ++pings;
        peers[i].send(WsClient::frame(WsClient::kPong, ""));
      }
    }
  }
  EXPECT_EQ(messages, peers.size());
  EXPECT_GT(pings, peers.size());
  EXPECT_EQ(rig.shard().websockets.size(), peers.size());  // who never answered is found
  EXPECT_EQ(rig.count_errors(Errc::heartbeat_timeout), 1u);
}

TEST_F(LimitOfBandwidth, IsNotUsedUpByThoseWhoLeave) {
  rig.start();
  for (int i = 0; i < 200; ++i) {
    io::SimPeer peer = rig.connect();
    peer.send(get("/"));
    rig.settle();
    peer.reset();
    rig.settle();
  }
  rig.pass(1s);
  std::vector<io::SimPeer> peers{rig.connect()};
  std::vector<std::string> got(1);
  peers[0].send(get("/"));
  rig.settle();
  EXPECT_LT(receive(peers, got, kBody), 2500);
}

TEST_F(LimitOfBandwidth, ComesAndGoesWhileTheServerRuns) {
  rig.settings.limits.bandwidth.reset();
  rig.start();
  std::vector<io::SimPeer> peers{rig.connect()};
  std::vector<std::string> got(1);
  peers[0].send(get("/"));
  rig.settle();
  EXPECT_TRUE(take_reply(peers[0]).body == body);  // at once

  core::SessionSettings next = rig.settings;
  next.limits.bandwidth = kRate;
  rig.session->apply(next, nullptr);
  rig.pass(1s);
  peers[0].send(get("/"));  // on a connection that was there before
  rig.settle();
  const std::string first = peers[0].take_received();
  EXPECT_LE(first.size(), kAhead + kPiece);
  EXPECT_GT(first.size(), 0u);

  next.limits.bandwidth.reset();
  rig.session->apply(next, nullptr);
  rig.settle();
  rig.pass(100ms);  // what waited was told to wait no longer than this
  std::string all = first + peers[0].take_received();
  std::string_view text = all;
  EXPECT_TRUE(take_reply(text).body == body);
  peers[0].send(get("/"));
  rig.settle();
  EXPECT_TRUE(take_reply(peers[0]).body == body);
}

// Pipelined answers, taken in small pieces by a peer with a small window.
TEST_F(LimitOfBandwidth, KeepsTheOrderAndEveryByte) {
  rig.start();
  std::vector<io::SimPeer> peers{rig.connect()};
  std::string asked;
  for (int i = 0; i < 3; ++i) asked += get("/" + std::to_string(i));
  peers[0].set_window(0);
  peers[0].send(asked);
  rig.settle();
  std::string got;
  for (int i = 0; i < 3000 && got.size() < 3 * kBody; ++i) {
    peers[0].open_window(777);
    rig.pass(10ms);
    got += peers[0].take_received();
  }
  std::string_view text = got;
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(take_reply(text).body == body) << i;
}

}  // namespace
}  // namespace sluice::test
