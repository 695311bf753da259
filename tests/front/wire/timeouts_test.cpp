// tests/front/wire/timeouts_test.cpp - every timeout at its time and not a millisecond before.
//
// Layer: tests.
#include <gtest/gtest.h>

#include <future>
#include <string>

#include "front/wire/harness.hpp"

namespace sluice::test {
namespace {

// The wheel fires at its next tick, 10 ms at the latest; all times here are on a tick.
constexpr auto kJustBefore = 1ms;

// Nothing happens until 1 ms before `time` is over, and `happened` at `time`.
template <class Happened>
void expect_at(Rig& rig, base::Duration time, Happened&& happened) {
  rig.pass(time - kJustBefore);
  EXPECT_FALSE(happened()) << "too early";
  rig.pass(kJustBefore);
  EXPECT_TRUE(happened()) << "not in time";
}

struct Timeouts : testing::Test {
  Timeouts() { rig.events.on_http_request = echo; }
  Rig rig;
  auto gone() {
    return [this] { return rig.network.open_count() == 0; };
  }
};

TEST_F(Timeouts, HeaderWaitCountsFromAccept) {
  rig.start();
  io::SimPeer peer = rig.connect();
  rig.settle();
  expect_at(rig, 30s, gone());
  EXPECT_EQ(peer.received(), "") << "who said nothing is told nothing";
  EXPECT_TRUE(peer.saw_end());
  EXPECT_FALSE(peer.saw_reset());
  EXPECT_EQ(rig.count_errors(Errc::header_timeout), 1u);
}

TEST_F(Timeouts, HalfAHeadIsAnswered408) {
  rig.start();
  io::SimPeer peer = rig.connect();
  rig.pass(10s);
  peer.send("GET / HTTP/1.1\r\nHo");
  rig.pass(10s);
  peer.send("st: a\r\n");
  rig.settle();
  expect_at(rig, 10s, [&] { return !peer.received().empty(); });
  EXPECT_EQ(take_reply(peer).status, 408);
  EXPECT_TRUE(peer.saw_end());
  peer.end();
  rig.settle();
  EXPECT_TRUE(gone()());
}

TEST_F(Timeouts, HeaderWaitCountsFromARequestsFirstByte) {
  rig.start();
  io::SimPeer peer = rig.connect();
  peer.send(get("/one"));
  rig.settle();
  EXPECT_EQ(take_reply(peer).body, "/one");
  rig.pass(100s);
  peer.send("G");
  rig.settle();
  for (int i = 0; i < 2; ++i) {  // what trickles in moves nothing
    rig.pass(10s);
    peer.send("E");
  }
  expect_at(rig, 10s, [&] { return !peer.received().empty(); });
  EXPECT_EQ(take_reply(peer).status, 408);
}

// The first request's clock must not run for the second.
TEST_F(Timeouts, HeaderWaitOfAPipelinedRequestIsItsOwn) {
  rig.start();
  io::SimPeer peer = rig.connect();
  rig.pass(29s);
  peer.send(get("/one") + "GET /two HT");
  rig.settle();
  EXPECT_EQ(take_reply(peer).body, "/one");
  expect_at(rig, 30s, [&] { return !peer.received().empty(); });
  EXPECT_EQ(take_reply(peer).status, 408);
}

TEST_F(Timeouts, IdleCountsFromTheAnswer) {
  rig.start();
  io::SimPeer peer = rig.connect();
  peer.send(get("/one"));
  rig.pass(0s);
  rig.pass(119s);
  peer.send(get("/two"));
  rig.settle();
  expect_at(rig, 120s, gone());
  EXPECT_TRUE(peer.saw_end());
  EXPECT_FALSE(peer.saw_reset());
  EXPECT_EQ(take_replies(peer).size(), 2u);
}

TEST_F(Timeouts, IdleCountsFromALateAnswer) {
  std::optional<Reply> reply;
  rig.events.on_http_request = [&](sluice::Connection, const HttpRequest&, HttpResponse& response) {
    reply = response.defer();
  };
  rig.start();
  io::SimPeer peer = rig.connect();
  peer.send(get("/"));
  rig.settle();
  rig.pass(600s);  // the application may take its time
  rig.on(0, [&] { EXPECT_EQ(reply->content_text("late").send(), Errc::none); });
  rig.settle();
  EXPECT_EQ(take_reply(peer).body, "late");
  expect_at(rig, 120s, gone());
}

TEST_F(Timeouts, EntityBodyCountsBetweenPieces) {
  rig.start();
  io::SimPeer peer = rig.connect();
  peer.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n");
  for (int i = 0; i < 5; ++i) {
    rig.pass(119s);
    peer.send("x");
  }
  rig.settle();
  EXPECT_EQ(peer.received(), "");
  expect_at(rig, 120s, [&] { return !peer.received().empty(); });
  EXPECT_EQ(take_reply(peer).status, 408);
  EXPECT_EQ(rig.count_errors(Errc::body_timeout), 1u);
}

TEST_F(Timeouts, EntityBodyOfAStreamedAnswerBreaksItOff) {
  rig.events.on_http_request = [](sluice::Connection, const HttpRequest& request,
                                  HttpResponse& response) {
    auto writer = std::make_shared<BodyWriter>(response.stream());
    request.body().on_data([writer](Bytes, bool last) {
      writer->write("piece");
      if (last) static_cast<void>(writer->end());
    });
  };
  ASSERT_TRUE(rig.router.add_body_mode("/", {BodyMode::stream, {}}));
  rig.start();
  io::SimPeer peer = rig.connect();
  peer.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nx");
  rig.settle();
  expect_at(rig, 120s, gone());
  EXPECT_TRUE(peer.saw_reset()) << "an answer that breaks off must not look complete";
}

// What nobody wants is read and dropped for a while, so that the answer is not lost to a reset.
TEST_F(Timeouts, TheRestOfABodyIsDrained) {
  rig.settings.limits.body_bytes = 10;
  rig.settings.timeouts.drain_entity_body = 5s;
  rig.start();
  io::SimPeer peer = rig.connect();
  peer.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");
  rig.settle();
  EXPECT_EQ(take_reply(peer).status, 413);
  EXPECT_TRUE(peer.saw_end());
  rig.pass(2s);
  peer.send(std::string(50'000, 'x'));
  rig.settle();
  expect_at(rig, 3s, gone());
  EXPECT_TRUE(peer.saw_reset());
}

TEST_F(Timeouts, RequestQueue) {
  rig.settings.dispatch = Dispatch::thread_pool;
  rig.settings.thread_pool_size = 1;
  std::promise<void> entered, go_on;
  rig.events.on_http_request = [&](sluice::Connection, const HttpRequest& request, HttpResponse&) {
    if (request.document() != "/block") return;
    entered.set_value();
    go_on.get_future().wait();
  };
  rig.events.on_error = [](sluice::Connection, const Error&) {};
  rig.start();
  io::SimPeer busy = rig.connect();
  busy.send(get("/block"));
  rig.settle();
  entered.get_future().wait();
  io::SimPeer waits = rig.connect();
  waits.send(get("/waits"));
  rig.settle();
  expect_at(rig, 120s, [&] { return !waits.received().empty(); });
  HttpReply reply = take_reply(waits);
  EXPECT_EQ(reply.status, 503);
  EXPECT_EQ(reply.field("Retry-After"), "1");
  EXPECT_EQ(busy.received(), "") << "a handler that runs is not waiting";
  go_on.set_value();
  rig.session->dispatcher.stop();
  rig.settle();
  EXPECT_EQ(take_reply(busy).status, 200);
}

// 1 MiB for a peer that takes `rate` bytes per second. Returns how long it was served, at most 90
// s.
int seconds_served(Rig& rig, std::size_t rate) {
  io::SimPeer peer = rig.connect();
  peer.set_window(0);
  peer.send(get("/"));
  rig.settle();
  for (int second = 1; second <= 90; ++second) {
    peer.open_window(rate);
    rig.pass(1s);
    if (rig.network.open_count() == 0) {
      EXPECT_TRUE(peer.saw_reset());
      return second;
    }
  }
  return 90;
}

TEST_F(Timeouts, MinSendRate) {
  rig.events.on_http_request = [](sluice::Connection, const HttpRequest&, HttpResponse& response) {
    response.content_text(std::string(1 << 20, 'x'));
  };
  rig.start();
  int stalled = seconds_served(rig, 0);
  EXPECT_GE(stalled, 10);
  EXPECT_LE(stalled, 20);
  EXPECT_EQ(rig.count_errors(Errc::send_rate_timeout), 1u);
  int slow = seconds_served(rig, 149);
  EXPECT_GE(slow, 10);
  EXPECT_LE(slow, 20);
  EXPECT_EQ(seconds_served(rig, 150), 90) << "exactly the rate is enough";
}

// A queue that empties now and then starts the measure anew.
TEST_F(Timeouts, MinSendRateCountsOnlyWhileBytesWait) {
  rig.events.on_http_request = [](sluice::Connection, const HttpRequest&, HttpResponse& response) {
    response.content_text(std::string(100, 'x'));
  };
  rig.start();
  io::SimPeer peer = rig.connect();
  for (int i = 0; i < 20; ++i) {  // about 25 bytes per second, each within 9 s
    peer.set_window(0);
    peer.send(get("/"));
    rig.pass(9s);
    EXPECT_EQ(rig.network.open_count(), 1u);
    peer.set_window(SIZE_MAX);
    rig.pass(1s);
  }
  EXPECT_EQ(take_replies(peer).size(), 20u);
}

TEST_F(Timeouts, ZeroTurnsEachOff) {
  rig.settings.timeouts = {0ms, 0ms, 0ms, 0ms, 0ms, 0};
  rig.start();
  io::SimPeer silent = rig.connect(), half = rig.connect(), idle = rig.connect(),
              body = rig.connect(), slow = rig.connect();
  half.send("GET / HT");
  idle.send(get("/"));
  body.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nx");
  slow.set_window(10);
  slow.send(get("/"));
  rig.settle();
  for (int hour = 0; hour < 3; ++hour) rig.pass(1h);
  EXPECT_EQ(rig.network.open_count(), 5u);
}

TEST_F(Timeouts, AWebSocketIsNeverIdle) {
  rig.events.websocket.on_message = [](sluice::Connection, std::string_view) {};
  rig.start();
  io::SimPeer peer = rig.websocket();
  for (int hour = 0; hour < 3; ++hour) rig.pass(1h);
  EXPECT_EQ(rig.network.open_count(), 1u);
  EXPECT_EQ(peer.received(), "");
}

TEST_F(Timeouts, APeerThatAnswersNoCloseFrame) {
  rig.events.websocket.on_connect = [](sluice::Connection connection) {
    static_cast<void>(connection.close(1000));
  };
  std::vector<std::uint16_t> codes;
  rig.events.websocket.on_disconnect = [&](sluice::Connection, std::uint16_t code) {
    codes.push_back(code);
  };
  rig.start();
  io::SimPeer peer = rig.connect();
  peer.send(WsClient::handshake("/"));
  rig.settle();
  expect_at(rig, 5s, [&] { return peer.saw_end(); });  // the Close frame is not answered
  expect_at(rig, 2s, gone());                          // and neither is the FIN
  EXPECT_EQ(codes, std::vector<std::uint16_t>{1000});
}

// The same while the server stops, and later than that.
TEST_F(Timeouts, APeerThatAnswersNoCloseFrameBeforeADrain) {
  rig.events.websocket.on_message = [](sluice::Connection connection, std::string_view) {
    static_cast<void>(connection.close(1000));
  };
  rig.start();
  std::vector<io::SimPeer> peers;
  for (int i = 0; i < 400; ++i) peers.push_back(rig.websocket());
  for (io::SimPeer& peer : peers) peer.send(WsClient::frame(WsClient::kText, "x"));
  rig.settle();
  rig.on(0, [&] { rig.loop().drain(1001, 100ms); });
  rig.settle();
  rig.pass(100ms);
  rig.pass(5s);
  rig.pass(2s);
  EXPECT_EQ(rig.network.open_count(), 0u);
}

}  // namespace
}  // namespace sluice::test
