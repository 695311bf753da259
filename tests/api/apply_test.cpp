// tests/api/apply_test.cpp - other settings for a server that runs: all of them or none.
#include <atomic>
#include <functional>
#include <string>
#include <thread>

#include "api/ws_harness.hpp"

namespace sluice::test {
namespace {

using namespace std::chrono_literals;

class Apply : public WsTest {
 protected:
  void SetUp() override {
    WsTest::SetUp();
    server.on_http_request = [](Connection, const HttpRequest& request, HttpResponse& response) {
      response.content_text(std::to_string(request.body().size()));
    };
  }
  Settings settings() const { return server; }
  static int post(HttpClient& http, std::size_t bytes) {
    return http.request("POST", "/", {}, std::string(bytes, 'x')).status;
  }
};

TEST_P(Apply, ChangesWhatMayChangeAtOnce) {
  Running running = start();
  HttpClient http = client();
  EXPECT_EQ(post(http, 1'000), 200);
  Settings next = settings();
  next.limits.body_bytes = 100;
  next.limits.head_bytes = 300;
  ASSERT_TRUE(server.apply(next));
  EXPECT_EQ(server.limits.body_bytes, 100u);
  EXPECT_EQ(post(http, 100), 200) << "connections go on";
  EXPECT_EQ(post(http, 101), 413);
  HttpClient other = client();
  EXPECT_EQ(other.get("/", "X: " + std::string(400, 'x') + "\r\n").status, 431);
  next.limits = {};
  ASSERT_TRUE(server.apply(next));
  HttpClient third = client();
  EXPECT_EQ(post(third, 1'000), 200);
}

TEST_P(Apply, ChangesNothingWhenAnythingIsWrong) {
  Running running = start();
  struct Case {
    std::string_view name;
    std::function<void(Settings&)> set;
  };
  const Case cases[] = {
      {"limits.head_bytes", [](Settings& s) { s.limits.head_bytes = 1; }},
      {"heartbeat.interval", [](Settings& s) { s.heartbeat.interval = 0ms; }},
      {"header_wait", [](Settings& s) { s.timeouts.header_wait = -1ms; }},
      {"host", [](Settings& s) { s.host = "*"; }},
      {"port", [](Settings& s) { s.port = 1; }},
      {"bindings", [](Settings& s) { s.bindings.add("http://127.0.0.1:0/x/"); }},
      {"url_groups", [](Settings& s) { s.url_groups["new"].active = false; }},
      {"fine_tune.operating_mode",
       [](Settings& s) {
         s.fine_tune.operating_mode = s.fine_tune.operating_mode == OperatingMode::classic
                                          ? OperatingMode::high_perf
                                          : OperatingMode::classic;
       }},
      {"fine_tune.inline_completions", [](Settings& s) { s.fine_tune.inline_completions = false; }},
      {"tcp_keep_alive", [](Settings& s) { s.tcp_keep_alive.enabled = true; }},
      {"watchdog", [](Settings& s) { s.watchdog.enabled = true; }},
      {"thread_pool_size", [](Settings& s) { s.thread_pool_size = 7; }},
      {"shards", [](Settings& s) { s.shards = 5; }},
      {"read_buffer_size", [](Settings& s) { s.read_buffer_size = 4096; }},
      {"protocols", [](Settings& s) { s.protocols.add("new"); }},
      {"asynchronous", [](Settings& s) { s.asynchronous = true; }},
  };
  for (const Case& one : cases) {
    Settings next = settings();
    next.limits.body_bytes = 1;
    one.set(next);
    Result<void> applied = server.apply(next);
    ASSERT_FALSE(applied) << one.name;
    EXPECT_EQ(applied.error().code, Errc::bad_setting) << one.name;
    EXPECT_NE(applied.error().message().find(one.name), std::string::npos)
        << applied.error().message();
    EXPECT_NE(server.limits.body_bytes, 1u);
    HttpClient http = client();
    EXPECT_EQ(post(http, 10), 200) << one.name;
  }
}

TEST_P(Apply, ReachesOpenWebSockets) {
  Running running = start();
  WsClient socket = ws();
  ASSERT_TRUE(told("connect"));
  socket.text(pattern(2'000));
  EXPECT_EQ(socket.read().size(), 2'000u);
  Settings next = settings();
  next.limits.message_bytes = 1'000;
  next.heartbeat.enabled = true;
  next.heartbeat.interval = 20ms;
  ASSERT_TRUE(server.apply(next));
  const std::optional<WsFrame> frame = socket.read_frame();
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->opcode, WsClient::kPing);
  socket.text(pattern(1'001));
  EXPECT_TRUE(told("disconnect 1009"));
}

TEST_P(Apply, ChangesGroupsQueueAndAdmission) {
  server.bindings.add("http://127.0.0.1:0/", {.url_group = "all"});
  server.url_groups["all"].active = true;
  server.request_queue.active = false;
  Running running = start();
  HttpClient waits = client();
  ASSERT_TRUE(waits.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  ASSERT_TRUE(eventually([&] { return server.counters().requests == 1; }));
  Settings next = settings();
  next.request_queue.active = true;
  ASSERT_TRUE(server.apply(next));
  EXPECT_EQ(waits.read().status, 200);
  next.url_groups["all"].active = false;
  ASSERT_TRUE(server.apply(next));
  EXPECT_EQ(client().get("/").status, 503);
  next.url_groups["all"].active = true;
  next.limits.connections = 1;
  ASSERT_TRUE(server.apply(next));
  waits.disconnect();
  ASSERT_TRUE(eventually([&] { return server.counters().connections == 0; }));
  HttpClient one = client();
  EXPECT_EQ(one.get("/").status, 200);
  EXPECT_EQ(client().get("/").status, 503);
  next.limits.connections = std::nullopt;
  ASSERT_TRUE(server.apply(next));
  EXPECT_EQ(client().get("/").status, 200);
}

TEST_P(Apply, BeforeTheStartTakesEverything) {
  Settings next = settings();
  next.limits.body_bytes = 5;
  next.shards = 1;
  ASSERT_TRUE(server.apply(next));
  Running running = start();
  EXPECT_EQ(server.shard_count(), 1u);
  HttpClient http = client();
  EXPECT_EQ(post(http, 6), 413);
}

TEST_P(Apply, WouldDeadlockInAHandler) {
  Told<Errc> codes;
  server.on_http_request = [&](Connection, const HttpRequest&, HttpResponse&) {
    codes.tell(server.apply(Settings()).error().code);
  };
  Running running = start();
  EXPECT_EQ(client().get("/").status, 200);
  EXPECT_EQ(codes.all(), std::vector<Errc>{Errc::would_deadlock});
}

TEST_P(Apply, AgainAndAgainUnderLoadHarmsNobody) {
  Running running = start();
  std::atomic<bool> over{false};
  std::thread changes([&] {
    Settings next = settings();
    for (std::uint64_t i = 0; !over; ++i) {
      next.limits.body_bytes = 5'000 + i % 2;
      next.limits.message_bytes = 5'000 + i % 3;
      next.timeouts.idle_connection = 60s + std::chrono::seconds(i % 2);
      next.options.slow_reader = i % 2 ? SlowReader::drop_oldest : SlowReader::close;
      EXPECT_TRUE(server.apply(next));
    }
  });
  WsClient socket = ws();
  HttpClient http = client();
  for (int i = 0; i < 300; ++i) {
    EXPECT_EQ(post(http, 4'000), 200);
    socket.text("hello");
    EXPECT_EQ(socket.read(), "hello");
  }
  over = true;
  changes.join();
}

INSTANTIATE_TEST_SUITE_P(Setups, Apply, engines_and_dispatches(), name_of);

}  // namespace
}  // namespace sluice::test
