// tests/api/timeouts_test.cpp - every timer, with short times. What is awaited is the answer or the
// end.
//
// Layer: tests.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "api/ws_harness.hpp"

namespace sluice::test {
namespace {

using namespace std::chrono_literals;

class Timers : public WsTest {
 protected:
  void SetUp() override {
    WsTest::SetUp();
    server.on_http_request = [](Connection, const HttpRequest&, HttpResponse& response) {
      response.content_text("ok");
    };
  }
};

TEST_P(Timers, EndAConnectionWithoutARequest) {
  server.timeouts.header_wait = 100ms;
  Running running = start();
  HttpClient http = client();
  EXPECT_TRUE(http.at_end());
  EXPECT_FALSE(http.was_reset());
  EXPECT_TRUE(logged(Errc::header_timeout));
}

TEST_P(Timers, AnswerAHeadThatDoesNotComeToItsEnd) {
  server.timeouts.header_wait = 100ms;
  Running running = start();
  HttpClient http = client();
  ASSERT_TRUE(http.send("GET / HTTP/1.1\r\nHost:"));
  HttpReply reply = http.read();
  EXPECT_EQ(reply.status, 408);
  EXPECT_EQ(reply.field("Connection"), "close");
  EXPECT_TRUE(http.at_end());
  EXPECT_TRUE(told_error(Errc::header_timeout));
  // The second request's head has its own time.
  HttpClient second = client();
  EXPECT_EQ(second.get("/").status, 200);
  ASSERT_TRUE(second.send("GET"));
  EXPECT_EQ(second.read().status, 408);
}

TEST_P(Timers, DoNotLetAHeadTrickleIn) {
  server.timeouts.header_wait = 300ms;
  Running running = start();
  HttpClient http = client();
  std::size_t sent = 0;
  // One byte again and again does not start the time anew.
  for (; sent < 100'000 && http.send(sent == 0 ? "GET / HTTP/1.1\r\nX: " : "x"); ++sent) {
    pollfd answered{http.fd(), POLLIN, 0};
    if (::poll(&answered, 1, 20) > 0) break;
  }
  EXPECT_EQ(http.read().status, 408);
  EXPECT_LT(sent, 1000u);
}

TEST_P(Timers, EndAConnectionThatIsIdle) {
  server.timeouts.idle_connection = 100ms;
  Running running = start();
  HttpClient http = client();
  EXPECT_EQ(http.get("/").status, 200);
  EXPECT_TRUE(http.at_end());
  EXPECT_FALSE(http.was_reset());
}

TEST_P(Timers, NeverEndAWebSocketThatIsIdle) {
  server.timeouts.idle_connection = 50ms;
  server.timeouts.header_wait = 50ms;
  server.timeouts.entity_body = 50ms;
  Running running = start();
  WsClient socket = ws();
  HttpClient http = client();
  EXPECT_EQ(http.get("/").status, 200);
  EXPECT_TRUE(http.at_end());  // a time longer than all of them has gone
  EXPECT_TRUE(client().at_end());
  socket.text("still here");
  EXPECT_EQ(socket.read(), "still here");
}

TEST_P(Timers, AnswerABodyThatDoesNotComeToItsEnd) {
  server.timeouts.entity_body = 100ms;
  Running running = start();
  HttpClient http = client();
  ASSERT_TRUE(http.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc"));
  EXPECT_EQ(http.read().status, 408);
  EXPECT_TRUE(http.at_end());
  EXPECT_TRUE(told_error(Errc::body_timeout));
  HttpClient silent = client();
  ASSERT_TRUE(silent.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"));
  EXPECT_EQ(silent.read().status, 408);
}

TEST_P(Timers, EndTheDrainOfABodyThatNobodyWants) {
  server.timeouts.drain_entity_body = 100ms;
  server.limits.body_bytes = 10;
  Running running = start();
  HttpClient http = client();
  ASSERT_TRUE(http.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc"));
  EXPECT_EQ(http.read().status, 413);
  // The client neither sends the rest nor ends its side.
  EXPECT_TRUE(eventually([&] { return server.counters().connections == 0; }));
}

TEST_P(Timers, MayBeOff) {
  server.timeouts = Timeouts{0ms, 0ms, 0ms, 0ms, 0ms, 0};
  Running running = start();
  HttpClient http = client();
  ASSERT_TRUE(http.send("POST / HTTP/1.1\r\nHo"));
  EXPECT_TRUE(eventually([&] { return server.counters().bytes_received > 0; }));
  ASSERT_TRUE(http.send("st: a\r\nContent-Length: 2\r\n\r\na"));
  ASSERT_TRUE(http.send("b"));
  EXPECT_EQ(http.read().body, "ok");
  EXPECT_EQ(http.get("/").body, "ok");
}

// A peer's pace is judged over ten seconds: this test takes longer than others. It ends who does
// not read, and neither who reads slowly nor who waits.
// In real time, so once; front/wire's tests have the rule itself in simulated time.
class RealTimer : public Timers {};

TEST_P(RealTimer, EndsAConnectionWhosePeerTakesTooLittle) {
  server.timeouts.min_send_rate = 1000;
  server.on_http_request = [](Connection, const HttpRequest&, HttpResponse& response) {
    response.content_text(std::string(30'000'000, 'x'));
  };
  Running running = start();
  HttpClient deaf = client();
  ASSERT_TRUE(deaf.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  HttpClient slow(port, "127.0.0.1", 1min);
  slow.receive_buffer(16'384);
  ASSERT_TRUE(slow.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  std::size_t taken = 0;
  while (!logged_now(Errc::send_rate_timeout) && taken < 30'000'000) {
    taken += 20'000;
    if (slow.wait_for(taken).size() < taken) break;
    ::poll(nullptr, 0, 100);
  }
  EXPECT_TRUE(told_error(Errc::send_rate_timeout));
  EXPECT_EQ(errors.size(), 1u);
  HttpReply whole = slow.read();
  EXPECT_TRUE(whole.complete);
  EXPECT_FALSE(deaf.read().complete);
}

INSTANTIATE_TEST_SUITE_P(Api, Timers, engines(), name_of);
INSTANTIATE_TEST_SUITE_P(Api, RealTimer,
                         testing::Values(Setup{EngineKind::epoll, OperatingMode::high_perf,
                                               Dispatch::inline_}),
                         name_of);

}  // namespace
}  // namespace sluice::test
