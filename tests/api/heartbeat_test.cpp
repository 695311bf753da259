// tests/api/heartbeat_test.cpp - peers that have gone without a word are found: pings, and what
// they do not take.
//
// The times themselves are in front/wire's tests, where time is simulated. Layer: tests.
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/ws_harness.hpp"
#include "support/client_process.hpp"

namespace sluice::test {
namespace {

using namespace std::chrono_literals;

class Heartbeats : public WsTest {
 protected:
  void SetUp() override {
    WsTest::SetUp();
    server.heartbeat.enabled = true;
    server.heartbeat.interval = 50ms;
  }
};

TEST_P(Heartbeats, AreWebSocketPings) {
  Running running = start();
  WsClient socket = ws();
  for (int i = 0; i < 3; ++i) {
    std::optional<WsFrame> frame = socket.read_frame();
    ASSERT_TRUE(frame);
    EXPECT_EQ(frame->opcode, WsClient::kPing);
    EXPECT_EQ(frame->payload, "");
  }
  socket.text("x");
  EXPECT_EQ(socket.read(), "x");
}

TEST_P(Heartbeats, EndAPeerThatNeverAnswers) {
  server.heartbeat.timeout = 100ms;
  Running running = start();
  WsClient socket = ws();
  EXPECT_EQ(socket.read(), "(end)");
  EXPECT_TRUE(socket.http().was_reset());
  EXPECT_TRUE(told_error(Errc::heartbeat_timeout));
  EXPECT_TRUE(told("disconnect 1006"));
  EXPECT_TRUE(logged(Errc::heartbeat_timeout));
  EXPECT_EQ(errors.size(), 1u);
}

TEST_P(Heartbeats, FindAClientThatIsStopped) {
  server.heartbeat.timeout = 3s;  // it has to answer while this machine is busy, too
  std::atomic<int> asked{0};
  server.on_before_heartbeat = [&](Connection, bool&) { ++asked; };
  Running running = start();
  ClientProcess client(port, ClientProcess::Does::answers_pings);
  ASSERT_TRUE(told("connect"));
  EXPECT_TRUE(eventually([&] { return asked.load() >= 5; }));
  EXPECT_EQ(server.counters().websockets, 1u);
  ASSERT_TRUE(client.stop());
  EXPECT_TRUE(told("disconnect 1006"));
  EXPECT_TRUE(told_error(Errc::heartbeat_timeout));
  EXPECT_EQ(errors.size(), 1u);
}

TEST_P(Heartbeats, MayBeTheApplicationsOwn) {
  server.heartbeat.timeout = 10ms;
  server.on_before_heartbeat = [](Connection connection, bool& handled) {
    handled = true;
    connection.write_data("tick");
  };
  Running running = start();
  WsClient socket = ws();
  for (int i = 0; i < 5; ++i) EXPECT_EQ(socket.read(), "tick");
  EXPECT_EQ(errors.size(), 0u);
}

TEST_P(Heartbeats, OneThatFailsDoesNotStopTheOthers) {
  server.on_before_heartbeat = [](Connection connection, bool&) {
    if (connection.url() == "/bad") throw std::runtime_error("no heart");
  };
  server.shards = 1;
  Told<std::string> thrown;
  server.on_exception = [&](Connection connection, std::exception_ptr) {
    thrown.tell(std::string(connection.url()));
  };
  Running running = start();
  WsClient one = ws("/one"), bad = ws("/bad"), two = ws("/two");
  EXPECT_EQ(bad.read(), "(close 1011)");
  for (WsClient* socket : {&one, &two}) {
    for (int i = 0; i < 3; ++i) {
      std::optional<WsFrame> frame = socket->read_frame();
      ASSERT_TRUE(frame);
      EXPECT_EQ(frame->opcode, WsClient::kPing);
    }
  }
  EXPECT_EQ(thrown.all(), std::vector<std::string>{"/bad"});
}

// --- write_timeout -------------------------------------------------------------------------------

class WriteTimeout : public WsTest {
 protected:
  void SetUp() override {
    WsTest::SetUp();
    server.timeouts.min_send_rate = 0;
    server.options.write_timeout = 300ms;
    server.limits.send_queue_bytes = 64 << 20;
  }
};

TEST_P(WriteTimeout, EndsAClientThatIsStopped) {
  Running running = start();
  WsClient idle = ws();
  ASSERT_TRUE(told("connect"));
  ClientProcess client(port, ClientProcess::Does::reads);
  ASSERT_TRUE(told("connect", 2));
  next_connection();
  ASSERT_TRUE(client.stop());
  EXPECT_EQ(next_connection().write_data(pattern(20'000'000)), SendStatus::queued);
  EXPECT_TRUE(told("disconnect 1006"));
  EXPECT_TRUE(told_error(Errc::write_timeout));
  EXPECT_EQ(errors.size(), 1u);
  idle.text("still here");
  EXPECT_EQ(idle.read(), "still here");
}

TEST_P(WriteTimeout, EndsAnAnswerThatNobodyTakes) {
  server.on_http_request = [](Connection, const HttpRequest&, HttpResponse& response) {
    response.content_text(std::string(20'000'000, 'x'));
  };
  Running running = start();
  HttpClient deaf = client();
  ASSERT_TRUE(deaf.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  EXPECT_TRUE(told_error(Errc::write_timeout));
  EXPECT_TRUE(eventually([&] { return server.counters().connections == 0; }));
  EXPECT_FALSE(deaf.read().complete);
}

INSTANTIATE_TEST_SUITE_P(Api, Heartbeats, engines_and_dispatches(), name_of);
INSTANTIATE_TEST_SUITE_P(Api, WriteTimeout, engines(), name_of);

}  // namespace
}  // namespace sluice::test
