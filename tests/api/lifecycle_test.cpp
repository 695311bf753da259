// tests/api/lifecycle_test.cpp - start, stop, restart, wait, run; ports, bindings and bad settings.
//
// Layer: tests.
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "api/ws_harness.hpp"

namespace sluice::test {
namespace {

using namespace std::chrono_literals;

class Lifecycle : public WsTest {
 protected:
  void SetUp() override {
    WsTest::SetUp();
    server.on_http_request = [this](Connection, const HttpRequest& request,
                                    HttpResponse& response) {
      response.content_text(request.document());
      if (request.document() == "/late") replies.put(response.defer());
    };
    server.on_startup = [this] { events.tell("startup"); };
    server.on_shutdown = [this] { events.tell("shutdown"); };
  }
  Handover<Reply> replies;
};

TEST_P(Lifecycle, TellsWhatItDoes) {
  EXPECT_FALSE(server.active());
  EXPECT_EQ(server.engine_name(), "");
  EXPECT_EQ(server.bound_port(), 0);
  {
    Running running = start();
    EXPECT_TRUE(server.active());
    EXPECT_NE(port, 0);
    EXPECT_EQ(server.engine_name(), GetParam().engine == EngineKind::uring ? "uring" : "epoll");
    EXPECT_NE(server.engine_reason(), "");
    EXPECT_EQ(server.shard_count(), 2u);
    EXPECT_EQ(server.bound_prefixes(),
              std::vector<std::string>{"http://127.0.0.1:" + std::to_string(port) + "/"});
    EXPECT_EQ(events.all(), std::vector<std::string>{"startup"});
    EXPECT_EQ(server.start().error().code, Errc::already_running);
    EXPECT_EQ(server.route("GET", "/x", server.on_http_request).error().code,
              Errc::already_running);
    EXPECT_EQ(server.websocket("/x", {}).error().code, Errc::already_running);
  }
  EXPECT_FALSE(server.active());
  EXPECT_EQ(events.all(), (std::vector<std::string>{"startup", "shutdown"}));
  EXPECT_TRUE(server.stop());
  EXPECT_TRUE(server.wait());
  EXPECT_EQ(server.restart().error().code, Errc::not_running);
  EXPECT_FALSE(HttpClient(port, "127.0.0.1", kPatience).connected());
  // Once more, by the other names.
  EXPECT_TRUE(server.active(true));
  EXPECT_EQ(HttpClient(server.bound_port(), "127.0.0.1", kPatience).get("/x").body, "/x");
  EXPECT_TRUE(server.active(false));
  EXPECT_FALSE(server.active());
}

TEST_P(Lifecycle, StartsAndStopsManyTimes) {
  for (int i = 0; i < 5; ++i) {
    Running running = start();
    EXPECT_EQ(client().get("/").status, 200);
  }
  EXPECT_EQ(server.counters().requests, 5u);
  EXPECT_EQ(server.counters().connections, 0u);
}

TEST_P(Lifecycle, DrainsWhatWasBegun) {
  Running running = start();
  HttpClient begun = client(), idle = client();
  EXPECT_EQ(idle.get("/").status, 200);
  ASSERT_TRUE(
      begun.send("GET /late HTTP/1.1\r\nHost: a\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n"));
  std::optional<Reply> reply = replies.take();
  ASSERT_TRUE(reply);
  WsClient socket = ws();
  socket.text("x");
  EXPECT_EQ(socket.read(), "x");
  std::jthread stopping([&] { EXPECT_TRUE(server.stop(20s)); });
  EXPECT_TRUE(idle.at_end());
  EXPECT_EQ(socket.read_close(), 1001);
  socket.close(1001);
  EXPECT_TRUE(socket.at_end());
  EXPECT_TRUE(told("disconnect 1001"));
  EXPECT_EQ(reply->send(), Errc::none);
  HttpReply answer = begun.read();
  EXPECT_EQ(answer.body, "/late");
  EXPECT_EQ(answer.field("Connection"), "close");
  EXPECT_TRUE(begun.at_end());
  stopping.join();
  EXPECT_FALSE(logged_now(Errc::server_stopping));
}

TEST_P(Lifecycle, BreaksOffWhatDoesNotEnd) {
  Running running = start();
  HttpClient http = client();
  ASSERT_TRUE(http.send("GET /late HTTP/1.1\r\nHost: a\r\n\r\n"));
  std::optional<Reply> reply = replies.take();
  ASSERT_TRUE(reply);
  WsClient deaf = ws();
  ASSERT_TRUE(told("connect"));
  EXPECT_TRUE(server.stop(50ms));
  EXPECT_TRUE(http.at_end());
  EXPECT_TRUE(told("disconnect 1001"));
  EXPECT_TRUE(logged(Errc::server_stopping));
  EXPECT_EQ(reply->send(), Errc::gone);
}

TEST_P(Lifecycle, RefusesBlockingCallsInHandlers) {
  Told<Errc> told_codes;
  server.on_http_request = [&](Connection, const HttpRequest&, HttpResponse&) {
    told_codes.tell(server.stop().error().code);
    told_codes.tell(server.start().error().code);
    told_codes.tell(server.restart().error().code);
    told_codes.tell(server.wait().error().code);
    told_codes.tell(server.active(false).error().code);
  };
  Running running = start();
  HttpClient http = client();
  EXPECT_EQ(http.get("/").status, 200);
  EXPECT_EQ(http.get("/").status, 200);
  EXPECT_EQ(told_codes.count(Errc::would_deadlock), 10u);
}

TEST_P(Lifecycle, RefusesBlockingCallsInItsOwnEvents) {
  Told<Errc> told_codes;
  server.on_startup = [&] {
    told_codes.tell(server.stop().error().code);
    told_codes.tell(server.wait().error().code);
  };
  server.on_shutdown = [&] { told_codes.tell(server.start().error().code); };
  {
    Running running = start();
    EXPECT_EQ(client().get("/").status, 200);
  }
  EXPECT_EQ(told_codes.count(Errc::would_deadlock), 3u);
}

TEST_P(Lifecycle, StopsFromAHandlerByTheAsyncForm) {
  server.on_http_request = [&](Connection, const HttpRequest&, HttpResponse& response) {
    server.stop_async();
    response.content_text("stopping");
  };
  Running running = start();
  HttpClient http = client();
  EXPECT_EQ(http.get("/").body, "stopping");
  EXPECT_TRUE(server.wait());
  EXPECT_FALSE(server.active());
  EXPECT_TRUE(http.at_end());
  EXPECT_EQ(events.all(), (std::vector<std::string>{"startup", "shutdown"}));
}

TEST_P(Lifecycle, StartsAndRestartsByTheAsyncForms) {
  server.start_async();
  ASSERT_TRUE(told("startup"));
  port = server.bound_port();
  WsClient socket = ws();
  ASSERT_TRUE(socket.is_open());
  server.restart_async();
  EXPECT_EQ(socket.read_close(), 1012);
  socket.close(1012);
  ASSERT_TRUE(told("startup", 2));
  EXPECT_EQ(client().get("/x").body, "/x");
  server.start_async();  // it runs already: told to the log
  EXPECT_TRUE(logged(Errc::already_running));
  server.stop_async(0ms);
  EXPECT_TRUE(told("shutdown"));
  EXPECT_TRUE(server.wait());
}

TEST_P(Lifecycle, RestartsOnTheSamePort) {
  Running running = start();
  WsClient socket = ws();
  ASSERT_TRUE(told("connect"));
  const std::uint64_t before = server.counters().accepted;
  std::jthread restarting([&] { EXPECT_TRUE(server.restart()); });
  EXPECT_EQ(socket.read_close(), 1012);
  socket.close(1012);
  EXPECT_TRUE(socket.at_end());
  restarting.join();
  EXPECT_TRUE(told("disconnect 1012"));
  EXPECT_EQ(server.bound_port(), port);
  EXPECT_EQ(client().get("/x").body, "/x");
  EXPECT_GT(server.counters().accepted, before);
  EXPECT_EQ(server.counters().websockets, 0u);
  EXPECT_EQ(events.count("shutdown"), 0u);
}

TEST_P(Lifecycle, ServesWhoConnectsDuringARestart) {
  Running running = start();
  std::atomic<bool> over{false};
  std::atomic<int> served{0};
  std::vector<std::jthread> clients;
  for (int i = 0; i < 3; ++i) {
    clients.emplace_back([&] {
      while (!over) {
        HttpClient http = client();
        HttpReply reply = http.get("/x", "Connection: close\r\n");
        EXPECT_TRUE(reply.complete) << "after " << served << " answers";
        EXPECT_EQ(reply.status, 200) << reply.head << reply.body;
        ++served;
      }
    });
  }
  for (int i = 0; i < 5; ++i) {
    const int before = served;
    EXPECT_TRUE(server.restart());
    EXPECT_TRUE(eventually([&] { return served > before; }));
  }
  over = true;
  for (std::jthread& each : clients) each.join();
  EXPECT_EQ(server.bound_port(), port);
}

TEST_P(Lifecycle, RestartsWithOtherSettings) {
  Running running = start();
  EXPECT_EQ(client().get("/a/b").status, 200);
  server.limits.target_segments = 1;
  server.shards = 1;
  EXPECT_TRUE(server.restart());
  EXPECT_EQ(server.shard_count(), 1u);
  EXPECT_EQ(server.bound_port(), port);
  EXPECT_EQ(client().get("/a").status, 200);
  EXPECT_EQ(client().get("/a/b").status, 400);
  server.shards = 3;
  EXPECT_TRUE(server.restart());
  EXPECT_EQ(server.shard_count(), 3u);
  EXPECT_EQ(server.bound_port(), port);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(client().get("/a").status, 200);
  server.fine_tune.operating_mode =
      GetParam().mode == OperatingMode::classic ? OperatingMode::high_perf : OperatingMode::classic;
  EXPECT_TRUE(server.restart());
  EXPECT_EQ(server.bound_port(), port);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(client().get("/a").status, 200);
}

TEST_P(Lifecycle, WaitsUntilItIsStopped) {
  Running running = start();
  std::atomic<bool> over{false};
  std::jthread waiting([&] {
    EXPECT_TRUE(server.wait());
    over = true;
  });
  EXPECT_TRUE(server.restart());
  EXPECT_FALSE(over);
  EXPECT_TRUE(server.stop());
  waiting.join();
  EXPECT_TRUE(over);
}

TEST_P(Lifecycle, RunsUntilASignal) {
  for (int signal : {SIGTERM, SIGINT}) {
    const std::size_t round = signal == SIGTERM ? 1 : 2;
    int code = -1;
    std::jthread running([&] { code = server.run(); });
    ASSERT_TRUE(told("startup", round));
    port = server.bound_port();
    WsClient socket = ws();
    ASSERT_TRUE(socket.is_open());
    HttpClient http = client();
    ASSERT_TRUE(http.send("GET /late HTTP/1.1\r\nHost: a\r\n\r\n"));
    std::optional<Reply> reply = replies.take();
    ASSERT_TRUE(reply);
    ASSERT_EQ(::kill(::getpid(), signal), 0);
    EXPECT_EQ(socket.read_close(), 1001);
    socket.close(1001);
    EXPECT_EQ(reply->send(), Errc::none);
    EXPECT_EQ(http.read().body, "/late");
    running.join();
    EXPECT_EQ(code, 0);
    EXPECT_TRUE(told("shutdown", round));
  }
}

TEST_P(Lifecycle, HurriesAtTheSecondSignal) {
  int code = -1;
  std::jthread running([&] { code = server.run(); });
  ASSERT_TRUE(told("startup"));
  port = server.bound_port();
  HttpClient http = client(), idle = client();
  EXPECT_EQ(idle.get("/").status, 200);
  ASSERT_TRUE(http.send("GET /late HTTP/1.1\r\nHost: a\r\n\r\n"));
  std::optional<Reply> reply = replies.take();
  ASSERT_TRUE(reply);
  ASSERT_EQ(::kill(::getpid(), SIGTERM), 0);
  EXPECT_TRUE(idle.at_end());  // it drains
  ASSERT_EQ(::kill(::getpid(), SIGTERM), 0);
  running.join();
  EXPECT_EQ(code, 0);
  EXPECT_TRUE(http.at_end());
  EXPECT_EQ(reply->send(), Errc::gone);
}

TEST_P(Lifecycle, EndsRunWhenItIsStoppedElsewhere) {
  int code = -1;
  std::jthread running([&] { code = server.run(); });
  ASSERT_TRUE(told("startup"));
  EXPECT_TRUE(eventually([&] { return server.active(); }));
  EXPECT_TRUE(server.stop());
  running.join();
  EXPECT_EQ(code, 0);
}

TEST_P(Lifecycle, MayBeDestroyedWhileItRuns) {
  auto other = std::make_unique<Server>();
  prepare(*other);
  watch(*other);
  ASSERT_TRUE(other->start());
  WsClient socket(other->bound_port());
  HttpClient http(other->bound_port(), "127.0.0.1", kPatience);
  ASSERT_TRUE(told("connect"));
  other.reset();
  EXPECT_TRUE(http.at_end());
  EXPECT_TRUE(told("disconnect 1001"));
}

INSTANTIATE_TEST_SUITE_P(Api, Lifecycle, every_setup(), name_of);

}  // namespace
}  // namespace sluice::test
