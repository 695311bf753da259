// tests/front/wire/drain_test.cpp - the server stops: who is idle is closed, who is served is
// served to the end, WebSockets are sent away one after the other.
//
// Layer: tests.
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "front/wire/harness.hpp"

namespace sluice::test {
namespace {

struct Drain : testing::Test {
  Drain() {
    rig.events.on_http_request = [this](sluice::Connection, const HttpRequest& request,
                                        HttpResponse& response) {
      response.content_text("done");
      if (request.document() == "/late") reply = response.defer();
      if (request.document() == "/stream") writer = response.stream();
    };
    rig.events.websocket.on_message = [](sluice::Connection, std::string_view) {};
    rig.events.websocket.on_disconnect = [this](sluice::Connection, std::uint16_t code) {
      ++codes[code];
    };
  }
  void TearDown() override {
    reply.reset();
    writer.reset();
    rig.stop();
  }
  void drain(base::Duration spread = {}) {
    rig.on(0, [&] { rig.loop().drain(1001, spread); });
    rig.settle();
  }
  bool gone() const { return rig.network.open_count() == 0; }

  Rig rig;
  std::optional<Reply> reply;
  std::optional<BodyWriter> writer;
  std::map<int, int> codes;
};

TEST_F(Drain, IdleConnectionsAreClosed) {
  rig.start();
  io::SimPeer served = rig.connect();
  served.send(get("/"));
  rig.settle();
  drain();
  EXPECT_TRUE(gone());
  EXPECT_TRUE(served.saw_end());
  EXPECT_FALSE(served.saw_reset());
  EXPECT_EQ(take_replies(served).size(), 1u);
}

// Who has just connected, or has sent a part of a request, is answered when the rest comes soon.
TEST_F(Drain, WhoHasJustConnectedIsServedOnce) {
  rig.start();
  io::SimPeer silent = rig.connect(), fresh = rig.connect(), half = rig.connect();
  half.send("GET / HT");
  rig.settle();
  drain();
  EXPECT_EQ(rig.network.open_count(), 3u);
  fresh.send(get("/"));
  half.send("TP/1.1\r\nHost: a\r\n\r\n");
  rig.settle();
  EXPECT_EQ(take_reply(fresh).field("Connection"), "close");
  EXPECT_EQ(take_reply(half).field("Connection"), "close");
  EXPECT_TRUE(fresh.saw_end());
  EXPECT_TRUE(half.saw_end());
  EXPECT_FALSE(silent.saw_end());
  rig.pass(5s);
  EXPECT_TRUE(gone());
  EXPECT_TRUE(silent.saw_end());
}

TEST_F(Drain, WhatWasBegunIsFinished) {
  rig.start();
  io::SimPeer late = rig.connect(), stream = rig.connect(), body = rig.connect();
  late.send(get("/late"));
  stream.send(get("/stream"));
  body.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbo");
  rig.settle();
  drain();
  EXPECT_EQ(rig.network.open_count(), 3u);
  body.send("dy");
  EXPECT_EQ(reply->send(), Errc::none);
  writer->write("streamed");
  EXPECT_EQ(writer->end(), Errc::none);
  rig.settle();
  HttpReply answer = take_reply(late);
  EXPECT_EQ(answer.body, "done");
  EXPECT_EQ(answer.field("Connection"), "close");
  EXPECT_EQ(take_reply(stream).body, "streamed");
  EXPECT_EQ(take_reply(body).field("Connection"), "close");
  EXPECT_TRUE(gone());
}

TEST_F(Drain, AnAnswerOnItsWayArrives) {
  rig.events.on_http_request = [](sluice::Connection, const HttpRequest&, HttpResponse& response) {
    response.content_text(std::string(100'000, 'x'));
  };
  rig.start();
  io::SimPeer peer = rig.connect();
  peer.set_window(1000);
  peer.send(get("/"));
  rig.settle();
  drain();
  EXPECT_EQ(rig.network.open_count(), 1u);
  peer.set_window(SIZE_MAX);
  rig.settle();
  EXPECT_EQ(take_reply(peer).body.size(), 100'000u);
  EXPECT_TRUE(gone());
  EXPECT_FALSE(peer.saw_reset());
}

TEST_F(Drain, ANewConnectionIsNotKept) {
  rig.start();
  drain();
  io::SimPeer peer = rig.connect(), served = rig.connect();
  served.send(get("/"));
  rig.settle();
  EXPECT_EQ(take_reply(served).field("Connection"), "close");
  rig.pass(5s);
  EXPECT_TRUE(peer.saw_end());
  EXPECT_TRUE(gone());
}

TEST_F(Drain, NoUpgradeWhileDraining) {
  rig.start();
  io::SimPeer peer = rig.connect();
  peer.send(get("/late") + WsClient::handshake("/"));
  rig.settle();
  drain();
  EXPECT_EQ(reply->send(), Errc::none);
  rig.settle();
  std::vector<HttpReply> replies = take_replies(peer);
  ASSERT_EQ(replies.size(), 1u) << "the first says close: the second is not looked at";
  EXPECT_TRUE(codes.empty());
}

TEST_F(Drain, WebSocketsGetTheirCode) {
  rig.start();
  io::SimPeer peer = rig.websocket();
  drain();
  EXPECT_EQ(take_frames(peer)[0].close_code(), 1001);
  peer.send(WsClient::close_frame(1001));
  peer.end();
  rig.settle();
  EXPECT_TRUE(gone());
  EXPECT_EQ(codes[1001], 1);
}

// Many of them, so that their clients do not all come back at once.
TEST_F(Drain, WebSocketsAreSentAwayOneAfterTheOther) {
  rig.start();
  std::vector<io::SimPeer> peers;
  for (int i = 0; i < 2000; ++i) peers.push_back(rig.websocket());
  drain(400ms);
  std::size_t told_before = 0;
  int steps = 0, largest = 0;
  for (int i = 0; i <= 42; ++i) {
    int told = 0;
    for (io::SimPeer& peer : peers) told += !peer.received().empty();
    largest = std::max(largest, told - int(told_before));
    steps += std::size_t(told) != told_before;
    told_before = std::size_t(told);
    rig.pass(10ms);
  }
  EXPECT_EQ(told_before, 2000u);
  EXPECT_GT(steps, 30);
  EXPECT_LT(largest, 200);
  for (io::SimPeer& peer : peers) {
    EXPECT_EQ(take_frames(peer)[0].close_code(), 1001);
    peer.close();
  }
  rig.settle();
  EXPECT_TRUE(gone());
  EXPECT_EQ(codes[1001], 2000);
}

TEST_F(Drain, AbortBreaksOffWhatIsLeft) {
  rig.start();
  io::SimPeer late = rig.connect(), websocket = rig.websocket(), slow = rig.connect();
  late.send(get("/late"));
  int aborted = 0;
  rig.settle();
  reply->on_abort([&] { ++aborted; });
  drain();
  rig.on(0, [&] { rig.loop().abort_all(Errc::server_stopping); });
  rig.settle();
  EXPECT_TRUE(gone());
  EXPECT_TRUE(late.saw_reset());
  EXPECT_TRUE(websocket.saw_reset());
  EXPECT_EQ(aborted, 1);
  EXPECT_EQ(codes[1001], 1);
}

// --- Listeners -----------------------------------------------------------------------------------

struct Listening : testing::Test {
  Listening() { rig.events.on_http_request = echo; }
  void listen(int fd, std::size_t index = 0, bool only_backlog = false) {
    rig.loop(index).add_listener({fd, {}, false}, only_backlog);
    rig.on(index, [&] { rig.loop(index).listen(); });
  }
  Rig rig;
};

TEST_F(Listening, Accepts) {
  rig.start();
  int listener = rig.network.open_listener();
  listen(listener);
  std::vector<io::SimPeer> peers;
  for (int i = 0; i < 200; ++i) {
    peers.push_back(rig.network.connect(listener));
    peers.back().send(get("/" + std::to_string(i)));
  }
  rig.settle();
  for (int i = 0; i < 200; ++i) {
    EXPECT_EQ(take_reply(peers[std::size_t(i)]).body, "/" + std::to_string(i));
  }
  EXPECT_EQ(rig.shard().counters.accepted.get(), 200u);
  EXPECT_EQ(rig.loop().listeners(), 1u);
}

TEST_F(Listening, GoesOnWhenAcceptingFails) {
  std::vector<Errc> logged;
  rig.events.on_log = [&](LogLevel level, Errc code, std::string_view) {
    if (level == LogLevel::error) logged.push_back(code);
  };
  rig.start();
  int listener = rig.network.open_listener();
  listen(listener);
  rig.network.fail_nth(io::SimOperation::accept, 2, Errc::too_many_files);
  io::SimPeer first = rig.network.connect(listener), second = rig.network.connect(listener);
  first.send(get("/1"));
  second.send(get("/2"));
  rig.settle();
  EXPECT_EQ(take_reply(first).body, "/1");
  EXPECT_EQ(second.received(), "");
  EXPECT_EQ(logged, std::vector<Errc>{Errc::too_many_files});
  rig.pass(1s);
  EXPECT_EQ(take_reply(second).body, "/2");
}

// Classic mode: one accepts, all serve in turn.
TEST_F(Listening, DealsConnectionsOut) {
  rig.start(3);
  int listener = rig.network.open_listener();
  rig.loop().deal_to({rig.loops[0].get(), rig.loops[1].get(), rig.loops[2].get()});
  listen(listener);
  std::vector<io::SimPeer> peers;
  for (int i = 0; i < 30; ++i) {
    peers.push_back(rig.network.connect(listener));
    peers.back().send(get("/" + std::to_string(i)));
  }
  rig.settle();
  for (int i = 0; i < 30; ++i) {
    EXPECT_EQ(take_reply(peers[std::size_t(i)]).body, "/" + std::to_string(i));
  }
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(rig.loop(i).connections(), 10u);
}

TEST_F(Listening, ClosesAndServesTheBacklog) {
  rig.start();
  int listener = rig.network.open_listener();
  listen(listener);
  io::SimPeer waiting = rig.network.connect(listener);
  rig.on(0, [&] { rig.loop().close_listeners(false); });
  waiting.send(get("/waiting"));
  rig.settle();
  EXPECT_EQ(rig.loop().listeners(), 0u);
  EXPECT_FALSE(rig.network.is_open(listener));
  EXPECT_EQ(take_reply(waiting).body, "/waiting");
}

TEST_F(Listening, KeepsTheSocketForTheNextStart) {
  rig.start(2);
  int listener = rig.network.open_listener();
  listen(listener);
  rig.settle();
  rig.on(0, [&] { rig.loop().close_listeners(true); });
  rig.settle();
  EXPECT_EQ(rig.loop().listeners(), 0u);
  EXPECT_TRUE(rig.network.is_open(listener));
  io::SimPeer meanwhile = rig.network.connect(listener);
  meanwhile.send(get("/meanwhile"));
  rig.settle();
  EXPECT_EQ(meanwhile.received(), "");
  // Whoever takes the socket over serves who has come meanwhile.
  listen(listener, 1, true);
  rig.settle();
  EXPECT_EQ(take_reply(meanwhile).body, "/meanwhile");
  EXPECT_FALSE(rig.network.is_open(listener));
}

}  // namespace
}  // namespace sluice::test
