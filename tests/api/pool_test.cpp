// tests/api/pool_test.cpp - handlers on the thread pool: order, concurrency, limits. And handlers
// on the shard that take too long.
//
// Layer: tests.
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "api/ws_harness.hpp"

namespace sluice::test {
namespace {

using namespace std::chrono_literals;

class Pool : public WsTest {
 protected:
  void SetUp() override {
    WsTest::SetUp();
    server.dispatch = Dispatch::thread_pool;
  }
  bool rejected(Errc code) { return told_error(code) && logged(code); }
};

TEST_P(Pool, RunsConnectionsInParallel) {
  // Each handler waits for the other one.
  std::atomic<int> inside{0};
  Gate both;
  server.on_http_request = [&](Connection, const HttpRequest&, HttpResponse& response) {
    if (++inside == 2) both.open();
    response.content_text(both.wait() ? "met" : "alone");
  };
  Running running = start();
  HttpClient one = client(), two = client();
  ASSERT_TRUE(one.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  ASSERT_TRUE(two.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  EXPECT_EQ(one.read().body, "met");
  EXPECT_EQ(two.read().body, "met");
}

TEST_P(Pool, RunsEventsOfAConnectionOneAtATimeAndInOrder) {
  std::atomic<int> inside{0};
  std::atomic<bool> overlapped{false};
  Told<int> order;
  server.on_message = [&](Connection, std::string_view text) {
    if (++inside > 1) overlapped = true;
    order.tell(std::stoi(std::string(text)));
    --inside;
  };
  Running running = start();
  WsClient socket = ws();
  std::string all;
  for (int i = 0; i < 2000; ++i) all += WsClient::frame(WsClient::kText, std::to_string(i));
  ASSERT_TRUE(socket.send(all));
  ASSERT_TRUE(order.wait_for(2000));
  const std::vector<int> got = order.all();
  for (int i = 0; i < 2000; ++i) ASSERT_EQ(got[static_cast<std::size_t>(i)], i);
  EXPECT_FALSE(overlapped);
}

TEST_P(Pool, StopsReadingWhenTooMuchWaitsAndLosesNothing) {
  Gate gate;
  Told<std::size_t> handled;
  server.on_binary = [&](Connection connection, Bytes bytes) {
    gate.wait();
    handled.tell(bytes.size());
    connection.write_data("done");
  };
  Running running = start();
  WsClient socket = ws();
  Connection connection = next_connection();
  constexpr std::size_t kMessages = 1500, kSize = 20'000;
  std::jthread sender([&] {
    const std::string frame = WsClient::frame(WsClient::kBinary, std::string(kSize, 'b'));
    for (std::size_t i = 0; i < kMessages; ++i) {
      if (!socket.send(frame)) return;
    }
  });
  // The first handler holds everything up: what arrives comes to an end before it is all.
  std::uint64_t last = 0;
  for (int quiet = 0; quiet < 5 && last < kMessages * kSize;) {
    ::poll(nullptr, 0, 50);
    const std::uint64_t now = connection.bytes_received();
    quiet = now == last && now > kSize ? quiet + 1 : 0;
    last = now;
  }
  EXPECT_LT(last, 4'000'000u);
  EXPECT_EQ(handled.size(), 0u);
  gate.open();
  sender.join();
  ASSERT_TRUE(handled.wait_for(kMessages));
  EXPECT_EQ(handled.count(kSize), kMessages);
  for (std::size_t i = 0; i < kMessages; ++i) ASSERT_EQ(socket.read(), "done") << i;
}

TEST_P(Pool, StopsReadingWhenTooManyWaitAndLosesNothing) {
  Gate gate;
  Told<int> handled;
  server.on_message = [&](Connection, std::string_view text) {
    gate.wait();
    handled.tell(std::stoi(std::string(text)));
  };
  Running running = start();
  WsClient socket = ws();
  std::string all;
  for (int i = 0; i < 500; ++i) all += WsClient::frame(WsClient::kText, std::to_string(i));
  ASSERT_TRUE(socket.send(all));
  ASSERT_TRUE(socket.close());
  EXPECT_TRUE(eventually([&] { return server.counters().bytes_received > all.size(); }));
  EXPECT_EQ(handled.size(), 0u);
  EXPECT_EQ(events.count("disconnect 1000"), 0u);
  gate.open();
  ASSERT_TRUE(told("disconnect 1000"));
  ASSERT_EQ(handled.size(), 500u);
  for (int i = 0; i < 500; ++i) EXPECT_EQ(handled.all()[static_cast<std::size_t>(i)], i);
  EXPECT_EQ(socket.read_close(), 1000);
}

// A handler that sends without end to a client that does not read is told so.
TEST_P(Pool, TellsAHandlerThatSendsTooMuch) {
  server.limits.send_queue_bytes = 100'000;
  Told<std::size_t> sent;
  server.on_message = [&](Connection connection, std::string_view) {
    std::size_t count = 0;
    while (count < 5000 && connection.write_data(std::string(20'000, 'm')) == SendStatus::queued) {
      ++count;
    }
    sent.tell(count);
  };
  Running running = start();
  WsClient socket = ws();
  socket.text("go");
  ASSERT_TRUE(sent.wait_for(1));
  EXPECT_LT(sent.all()[0], 5000u);
  // What was queued arrives.
  for (std::size_t i = 0; i < sent.all()[0]; ++i) ASSERT_EQ(socket.read().size(), 20'000u);
}

TEST_P(Pool, RefusesWhatDoesNotFitIntoTheQueue) {
  server.thread_pool_size = 1;
  server.fine_tune.queue_length = 1;
  Gate gate;
  Told<bool> begun;
  server.on_http_request = [&](Connection, const HttpRequest&, HttpResponse& response) {
    begun.tell(true);
    gate.wait();
    response.content_text("done");
  };
  Running running = start();
  HttpClient first = client(), second = client(), third = client();
  ASSERT_TRUE(first.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  ASSERT_TRUE(begun.wait_for(1));
  ASSERT_TRUE(second.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  ASSERT_TRUE(eventually([&] { return server.counters().requests == 2; }));
  HttpReply refused = third.get("/");
  EXPECT_EQ(refused.status, 503);
  EXPECT_TRUE(refused.has("Retry-After"));
  gate.open();
  EXPECT_EQ(first.read().body, "done");
  EXPECT_EQ(second.read().body, "done");
  EXPECT_TRUE(rejected(Errc::queue_full));
  EXPECT_EQ(refused.field("Connection"), "close");
  EXPECT_EQ(client().get("/").body, "done");
}

TEST_P(Pool, AnswersWhatWaitsTooLongInTheQueue) {
  server.thread_pool_size = 1;
  server.timeouts.request_queue = 50ms;
  Gate gate;
  Told<std::string> begun;
  server.on_http_request = [&](Connection, const HttpRequest& request, HttpResponse& response) {
    begun.tell(std::string(request.document()));
    gate.wait();
    response.content_text("done");
  };
  Running running = start();
  HttpClient first = client(), second = client();
  ASSERT_TRUE(first.send("GET /first HTTP/1.1\r\nHost: a\r\n\r\n"));
  ASSERT_TRUE(begun.wait_for(1));
  EXPECT_EQ(second.get("/second").status, 503);
  gate.open();
  // Who has begun in time is not interrupted.
  EXPECT_EQ(first.read().body, "done");
  EXPECT_TRUE(rejected(Errc::queue_timeout));
  EXPECT_EQ(begun.all(), std::vector<std::string>{"/first"});
}

TEST_P(Pool, SurvivesClientsThatGoWhileTheirHandlerRuns) {
  Gate gate;
  Told<bool> begun, ended;
  server.on_http_request = [&](Connection connection, const HttpRequest& request,
                               HttpResponse& response) {
    begun.tell(true);
    gate.wait();
    // The views are still good, though the client has gone.
    EXPECT_EQ(request.document(), "/some/where");
    EXPECT_EQ(request.body().text(), "body");
    response.content_text(request.document());
    EXPECT_EQ(connection.ip(), "127.0.0.1");
    ended.tell(true);
  };
  Running running = start();
  {
    HttpClient one = client(), two = client();
    for (HttpClient* http : {&one, &two}) {
      ASSERT_TRUE(
          http->send("POST /some/where HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"));
    }
    ASSERT_TRUE(begun.wait_for(2));
    one.reset();
  }
  EXPECT_TRUE(eventually([&] { return server.counters().connections <= 1; }));
  gate.open();
  EXPECT_TRUE(ended.wait_for(2));
  EXPECT_EQ(client().request("POST", "/some/where", "", "body").status, 200);
}

TEST_P(Pool, StopsWhileHandlersRun) {
  Gate gate;
  Told<bool> begun;
  server.on_http_request = [&](Connection, const HttpRequest&, HttpResponse& response) {
    begun.tell(true);
    gate.wait();
    response.content_text("done");
  };
  Running running = start();
  HttpClient http = client();
  ASSERT_TRUE(http.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  ASSERT_TRUE(begun.wait_for(1));
  std::jthread stopping([&] { EXPECT_TRUE(server.stop(20s)); });
  EXPECT_TRUE(eventually([&] { return !client().connected(); }));
  gate.open();
  EXPECT_EQ(http.read().body, "done");
  stopping.join();
}

INSTANTIATE_TEST_SUITE_P(Api, Pool, engines(), name_of);

class SlowHandlers : public ServerTest {};

TEST_P(SlowHandlers, OnAShardAreReported) {
  server.handler_limit = 50ms;
  ASSERT_TRUE(server.route("GET", "/slow", [](Connection, const HttpRequest&, HttpResponse&) {
    const auto until = std::chrono::steady_clock::now() + 120ms;
    while (std::chrono::steady_clock::now() < until) {
    }
  }));
  Running running = start();
  EXPECT_EQ(client().get("/slow").status, 200);
  ASSERT_TRUE(logged(Errc::handler_stalled));
  for (const LogLine& line : log.all()) {
    if (line.code != Errc::handler_stalled) continue;
    EXPECT_EQ(line.level, LogLevel::warning);
    EXPECT_NE(line.message.find("GET /slow"), std::string::npos) << line.message;
  }
}

INSTANTIATE_TEST_SUITE_P(Api, SlowHandlers, engines(), name_of);

}  // namespace
}  // namespace sluice::test
