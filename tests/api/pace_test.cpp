// tests/api/pace_test.cpp - limits of bandwidth and queue_options over real sockets.
//
// Layer: tests.
#include <chrono>
#include <string>

#include "api/ws_harness.hpp"
#include "support/client_process.hpp"

namespace sluice::test {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

class Paces : public WsTest {
 protected:
  static constexpr std::uint64_t kRate = 40'000;  // bytes per second
  static constexpr std::size_t kBody = 60'000;
  // What may leave at once: a twentieth of a second's bytes, and a piece of as many.
  static constexpr std::uint64_t kAtOnce = 2 * kRate / 20;

  void SetUp() override {
    WsTest::SetUp();
    if (testing::Test::IsSkipped()) return;
    server.on_http_request = [this](Connection, const HttpRequest&, HttpResponse& response) {
      response.content_text(body);
    };
  }
  // How long a request takes, at the least; no upper bound, for machines may be slow.
  Clock::duration get(std::string_view target) {
    const Clock::time_point from = Clock::now();
    HttpClient http = client();
    EXPECT_TRUE(http.send("GET " + std::string(target) + " HTTP/1.1\r\nHost: a\r\n\r\n"));
    EXPECT_TRUE(http.read().body == body);
    return Clock::now() - from;
  }
  static Clock::duration least(std::size_t bodies) {
    return std::chrono::duration_cast<Clock::duration>(
        std::chrono::duration<double>(double(bodies * kBody - kAtOnce) / double(kRate)));
  }

  const std::string body = std::string(kBody, 'x');
};

TEST_P(Paces, LimitsOfBandwidthHoldForTheServer) {
  server.limits.bandwidth = kRate;
  Running running = start();
  EXPECT_GE(get("/"), least(1));
  EXPECT_GE(get("/") + get("/"), least(2));
}

TEST_P(Paces, LimitsOfBandwidthHoldForAGroup) {
  server.url_groups["slow"].bandwidth = kRate;
  const std::string port_text = std::to_string(free_port());
  server.bindings.add("http://127.0.0.1:" + port_text + "/");
  server.bindings.add("http://127.0.0.1:" + port_text + "/slow/", {.url_group = "slow"});
  Running running = start();
  get("/fast");
  EXPECT_GE(get("/slow/a"), least(1));
  Settings next = server;
  next.url_groups["slow"].bandwidth.reset();
  ASSERT_TRUE(server.apply(next));
  get("/slow/a");
  next.url_groups["slow"].bandwidth = kRate;
  ASSERT_TRUE(server.apply(next));
  EXPECT_GE(get("/slow/a") + get("/slow/b"), least(2));
}

// A request of another group behind each one that is limited.
TEST_P(Paces, LimitsOfBandwidthHoldForPipelinedRequests) {
  server.on_http_request = [this](Connection, const HttpRequest& request, HttpResponse& response) {
    response.content_text(request.document() == "/slow/" ? body : "fast");
  };
  server.url_groups["slow"].bandwidth = kRate;
  const std::string port_text = std::to_string(free_port());
  server.bindings.add("http://127.0.0.1:" + port_text + "/");
  server.bindings.add("http://127.0.0.1:" + port_text + "/slow/", {.url_group = "slow"});
  Running running = start();
  std::string asked;
  for (int i = 0; i < 2; ++i) {
    for (const char* target : {"/slow/", "/"}) {
      asked += "GET " + std::string(target) + " HTTP/1.1\r\nHost: a\r\n\r\n";
    }
  }
  const Clock::time_point from = Clock::now();
  HttpClient http = client();
  ASSERT_TRUE(http.send(asked));
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(http.read().body == body);
    EXPECT_EQ(http.read().body, "fast");
  }
  EXPECT_GE(Clock::now() - from, least(2));
}

TEST_P(Paces, LimitsOfBandwidthAreChecked) {
  server.limits.bandwidth = 1023;
  EXPECT_EQ(server.start().error().code, Errc::bad_setting);
  server.limits.bandwidth = 1024;
  server.url_groups["g"].bandwidth = 0;
  EXPECT_EQ(server.start().error().code, Errc::bad_setting);
  EXPECT_NE(server.start().error().detail.find("url_groups[\"g\"].bandwidth"), std::string::npos);
}

TEST_P(Paces, AGroupLimitsItsMessages) {
  server.url_groups["small"].message_bytes = 10;
  const std::string port_text = std::to_string(free_port());
  server.bindings.add("http://127.0.0.1:" + port_text + "/");
  server.bindings.add("http://127.0.0.1:" + port_text + "/small/", {.url_group = "small"});
  Running running = start();
  WsClient other = ws("/");
  ASSERT_TRUE(other.text("more than ten bytes"));
  EXPECT_EQ(other.read(), "more than ten bytes");
  WsClient small = ws("/small/x");
  ASSERT_TRUE(small.text("ten bytes!"));
  EXPECT_EQ(small.read(), "ten bytes!");
  ASSERT_TRUE(small.text("eleven byte"));
  EXPECT_EQ(small.read(), "(close 1009)");
  EXPECT_TRUE(told_error(Errc::ws_message_too_big));
}

// A client that has stopped, and broadcasts of which only the newest may wait.
TEST_P(Paces, OnlyTheNewestMessageWaitsForAStoppedClient) {
  server.queue_options.text = QueueLevel::last;
  server.timeouts.min_send_rate = 0;
  Running running = start();
  ClientProcess stopped(port, ClientProcess::Does::reads);
  ASSERT_TRUE(told("connect"));
  ASSERT_TRUE(stopped.stop());
  const std::string message(40'000, 'm');
  std::uint64_t most = 0;
  std::size_t sent = 0;
  while (server.counters().messages_dropped < 50 && sent < 2000) {
    server.broadcast(message);
    ++sent;
    ASSERT_TRUE(eventually([&] { return server.counters().messages_sent >= sent; }));
    most = std::max(most, server.counters().bytes_queued);
  }
  EXPECT_GE(server.counters().messages_dropped, 50u);
  EXPECT_LE(most, 3 * (message.size() + 10));  // under way, waiting, and one that comes
  EXPECT_EQ(server.counters().slow_readers, 0u);
  stopped.go_on();
  EXPECT_TRUE(eventually([&] { return server.counters().bytes_queued == 0; }));
  EXPECT_EQ(server.counters().websockets, 1u);
}

TEST_P(Paces, NothingWaitsForAStoppedClient) {
  server.queue_options.text = QueueLevel::none;
  server.timeouts.min_send_rate = 0;
  Running running = start();
  ClientProcess stopped(port, ClientProcess::Does::reads);
  ASSERT_TRUE(told("connect"));
  ASSERT_TRUE(stopped.stop());
  Connection client = next_connection();
  const std::string message(40'000, 'm');
  std::uint64_t most = 0;
  for (std::size_t sent = 0; server.counters().messages_dropped < 10 && sent < 2000;) {
    client.write_data(message);
    ++sent;
    ASSERT_TRUE(eventually([&] {
      const Counters now = server.counters();
      return now.messages_sent + now.messages_dropped >= sent;
    }));
    most = std::max(most, server.counters().bytes_queued);
  }
  EXPECT_LE(most, message.size() + 10);  // what is under way
  EXPECT_GE(server.counters().messages_dropped, 10u);
  stopped.go_on();
  EXPECT_TRUE(eventually([&] { return server.counters().bytes_queued == 0; }));
  EXPECT_EQ(server.counters().websockets, 1u);
}

INSTANTIATE_TEST_SUITE_P(Api, Paces, engines(), name_of);

}  // namespace
}  // namespace sluice::test
