// tests/api/http_late_test.cpp - answers that come later: Reply.
//
// Layer: tests.
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "api/harness.hpp"

namespace sluice::test {
namespace {

class LateAnswers : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    server.on_http_request = [this](Connection, const HttpRequest&, HttpResponse& response) {
      replies.put(response.header("X-Early", "1").defer());
    };
  }
  Handover<Reply> replies;
};

TEST_P(LateAnswers, ComeFromAnotherThread) {
  Running running = start();
  HttpClient http = client();
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(http.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    std::optional<Reply> reply = replies.take();
    ASSERT_TRUE(reply);
    EXPECT_FALSE(reply->aborted());
    EXPECT_EQ(reply->response_no(202).content_text("late").header("X-Late", "2").send(),
              Errc::none);
    HttpReply answer = http.read();
    ASSERT_TRUE(answer.complete);
    EXPECT_EQ(answer.status, 202);
    EXPECT_EQ(answer.field("X-Early"), "1");
    EXPECT_EQ(answer.field("X-Late"), "2");
    EXPECT_EQ(answer.body, "late");
  }
}

TEST_P(LateAnswers, KeepWhatTheRequestsViewsPointTo) {
  struct Seen {
    std::string_view document, field, body;
    Reply reply;
  };
  Handover<Seen> seen;
  server.on_http_request = [&](Connection, const HttpRequest& request, HttpResponse& response) {
    seen.put(
        {request.document(), request.header("X-Field"), request.body().text(), response.defer()});
  };
  Running running = start();
  HttpClient http = client();
  for (std::size_t size : {std::size_t{10}, std::size_t{60'000}, std::size_t{200'000}}) {
    const std::string body = pattern(size);
    std::jthread sender([&] {
      http.send("POST /some%20where HTTP/1.1\r\nHost: a\r\nX-Field: value\r\nContent-Length: " +
                std::to_string(size) + "\r\n\r\n" + body);
    });
    std::optional<Seen> late = seen.take();
    sender.join();
    ASSERT_TRUE(late);
    // Another connection uses the buffers meanwhile.
    HttpClient other = client();
    ASSERT_TRUE(other.send("GET /zzzzzzzzzzzz HTTP/1.1\r\nHost: zzzzzzzzzzzzzzzzzzzzzz\r\n\r\n"));
    std::optional<Seen> second = seen.take();
    ASSERT_TRUE(second);
    EXPECT_EQ(late->document, "/some where");
    EXPECT_EQ(late->field, "value");
    EXPECT_TRUE(late->body == body);
    EXPECT_EQ(late->reply.send(), Errc::none);
    EXPECT_EQ(second->reply.send(), Errc::none);
    EXPECT_EQ(http.read().status, 200);
    EXPECT_EQ(other.read().status, 200);
  }
}

TEST_P(LateAnswers, ThatWereDroppedAre500) {
  Running running = start();
  HttpClient http = client();
  ASSERT_TRUE(http.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  ASSERT_TRUE(replies.take());  // and away
  HttpReply answer = http.read();
  EXPECT_EQ(answer.status, 500);
  EXPECT_FALSE(answer.has("X-Early"));
  EXPECT_TRUE(told_error(Errc::reply_abandoned));
  EXPECT_TRUE(logged(Errc::reply_abandoned));
}

TEST_P(LateAnswers, ThatWereDroppedInTheHandlerAre500) {
  server.on_http_request = [](Connection, const HttpRequest&, HttpResponse& response) {
    static_cast<void>(response.defer());
  };
  Running running = start();
  HttpClient http = client();
  EXPECT_EQ(http.get("/").status, 500);
  EXPECT_EQ(http.get("/").status, 500);
  EXPECT_TRUE(told_error(Errc::reply_abandoned));
}

TEST_P(LateAnswers, AreGivenOnce) {
  Told<Errc> second;
  server.on_http_request = [&](Connection, const HttpRequest&, HttpResponse& response) {
    Reply reply = response.defer();
    EXPECT_EQ(reply.content_text("once").send(), Errc::none);
    second.tell(reply.content_text("twice").send());
    BodyWriter writer = reply.stream();
    EXPECT_FALSE(writer.write("x"));
    EXPECT_EQ(writer.end(), Errc::already_replied);
  };
  Running running = start();
  HttpClient http = client();
  EXPECT_EQ(http.get("/").body, "once");
  EXPECT_EQ(http.get("/").body, "once");
  ASSERT_TRUE(second.wait_for(2));
  EXPECT_EQ(second.all(), (std::vector<Errc>{Errc::already_replied, Errc::already_replied}));
}

TEST_P(LateAnswers, AreGivenOnceByAnotherThread) {
  Running running = start();
  HttpClient http = client();
  ASSERT_TRUE(http.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  std::optional<Reply> reply = replies.take();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->send(), Errc::none);
  EXPECT_EQ(reply->send(), Errc::already_replied);
  EXPECT_EQ(http.read().status, 200);
  EXPECT_EQ(reply->send(), Errc::already_replied);
}

TEST_P(LateAnswers, AreDeferredOnce) {
  server.on_http_request = [](Connection, const HttpRequest&, HttpResponse& response) {
    Reply first = response.defer();
    Reply second = response.defer();
    EXPECT_EQ(second.content_text("second").send(), Errc::already_replied);
    EXPECT_FALSE(response.stream().write("third"));
    EXPECT_EQ(first.content_text("first").send(), Errc::none);
  };
  Running running = start();
  EXPECT_EQ(client().get("/").body, "first");
}

TEST_P(LateAnswers, WithAFieldThatMayNotBeSentBecome500) {
  Running running = start();
  HttpClient http = client();
  ASSERT_TRUE(http.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  std::optional<Reply> reply = replies.take();
  ASSERT_TRUE(reply);
  reply->header("X-A", "b\r\nX-C: d");
  EXPECT_EQ(reply->error(), Errc::http_response_splitting);
  EXPECT_EQ(reply->send(), Errc::none);
  EXPECT_EQ(http.read().status, 500);
  EXPECT_TRUE(told_error(Errc::http_response_splitting));
}

TEST_P(LateAnswers, AreAbortedOnceWhenTheClientGoes) {
  Running running = start();
  HttpClient http = client();
  ASSERT_TRUE(http.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  std::optional<Reply> reply = replies.take();
  ASSERT_TRUE(reply);
  Told<std::string> aborted;
  reply->on_abort([&] { aborted.tell("first"); });
  http.reset();
  ASSERT_TRUE(aborted.wait_for(1));
  EXPECT_TRUE(reply->aborted());
  EXPECT_EQ(reply->content_text("nobody").send(), Errc::gone);
  EXPECT_EQ(aborted.size(), 1u);
}

TEST_P(LateAnswers, TellOfAnAbortThatCameBefore) {
  Running running = start();
  HttpClient http = client();
  ASSERT_TRUE(http.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  std::optional<Reply> reply = replies.take();
  ASSERT_TRUE(reply);
  http.reset();
  ASSERT_TRUE(eventually([&] { return reply->aborted(); }));
  Told<bool> aborted;
  reply->on_abort([&] { aborted.tell(true); });
  EXPECT_TRUE(aborted.wait_for(1));
}

TEST_P(LateAnswers, AreNotAbortedWhenTheyWereGiven) {
  Running running = start();
  Told<bool> aborted;
  HttpClient http = client();
  ASSERT_TRUE(http.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  std::optional<Reply> reply = replies.take();
  ASSERT_TRUE(reply);
  reply->on_abort([&] { aborted.tell(true); });
  EXPECT_EQ(reply->send(), Errc::none);
  EXPECT_EQ(http.read().status, 200);
  http.reset();
  EXPECT_TRUE(eventually([&] { return server.counters().connections == 0; }));
  EXPECT_EQ(aborted.size(), 0u);
}

TEST_P(LateAnswers, AreLimitedInNumber) {
  server.limits.deferred = 2;
  Told<Errc> refused;
  server.on_http_request = [&](Connection, const HttpRequest&, HttpResponse& response) {
    Reply reply = response.content_text("early").defer();
    if (reply.error() == Errc::none) return replies.put(std::move(reply));
    refused.tell(reply.response_no(200).content_text("no").send());
  };
  Running running = start();
  std::vector<std::unique_ptr<HttpClient>> clients;
  std::vector<Reply> held;
  for (int i = 0; i < 2; ++i) {
    clients.push_back(std::make_unique<HttpClient>(port, "127.0.0.1", kPatience));
    ASSERT_TRUE(clients.back()->send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    std::optional<Reply> reply = replies.take();
    ASSERT_TRUE(reply);
    held.push_back(std::move(*reply));
  }
  HttpClient third = client();
  HttpReply answer = third.get("/");
  EXPECT_EQ(answer.status, 503);
  EXPECT_TRUE(answer.has("Retry-After"));
  EXPECT_EQ(answer.body.find("early"), std::string::npos);
  EXPECT_EQ(refused.all(), std::vector<Errc>{Errc::deferred_full});
  EXPECT_TRUE(told_error(Errc::deferred_full));
  EXPECT_TRUE(logged(Errc::deferred_full));
  EXPECT_EQ(server.counters().rejected, 1u);
  // One answered, and there is room again.
  EXPECT_EQ(held[0].send(), Errc::none);
  EXPECT_EQ(clients[0]->read().body, "early");
  ASSERT_TRUE(third.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  std::optional<Reply> fourth = replies.take();
  ASSERT_TRUE(fourth);
  EXPECT_EQ(fourth->send(), Errc::none);
  EXPECT_EQ(third.read().status, 200);
}

TEST_P(LateAnswers, AreAbortedWhenTheServerStops) {
  Told<bool> aborted;
  std::optional<Reply> reply;
  {
    Running running = start();
    HttpClient http = client();
    ASSERT_TRUE(http.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    reply = replies.take();
    ASSERT_TRUE(reply);
    reply->on_abort([&] { aborted.tell(true); });
    EXPECT_TRUE(server.stop(std::chrono::milliseconds(1)));
    EXPECT_EQ(aborted.size(), 1u);
    EXPECT_TRUE(http.at_end());
  }
  EXPECT_TRUE(reply->aborted());
  EXPECT_EQ(reply->content_text("x").send(), Errc::gone);
}

TEST_P(LateAnswers, MayOutliveTheServer) {
  std::optional<Reply> sent, dropped;
  {
    Server other;
    prepare(other);
    other.on_http_request = server.on_http_request;
    ASSERT_TRUE(other.start());
    HttpClient one(other.bound_port(), "127.0.0.1", kPatience);
    HttpClient two(other.bound_port(), "127.0.0.1", kPatience);
    ASSERT_TRUE(one.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    ASSERT_TRUE(two.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    sent = replies.take();
    dropped = replies.take();
    ASSERT_TRUE(sent && dropped);
    // Destroyed while it runs.
  }
  EXPECT_EQ(sent->header("X", "y").content_text("x").send(), Errc::gone);
  EXPECT_TRUE(dropped->aborted());
  dropped.reset();
}

TEST_P(LateAnswers, AreMovable) {
  Running running = start();
  HttpClient one = client(), two = client();
  ASSERT_TRUE(one.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  std::optional<Reply> first = replies.take();
  ASSERT_TRUE(two.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  std::optional<Reply> second = replies.take();
  ASSERT_TRUE(first && second);
  Reply reply;
  EXPECT_EQ(reply.send(), Errc::gone);
  EXPECT_TRUE(reply.aborted());
  reply = std::move(*first);
  EXPECT_EQ(first->send(), Errc::gone);
  reply = std::move(*second);  // the first is dropped
  EXPECT_EQ(one.read().status, 500);
  EXPECT_EQ(reply.send(), Errc::none);
  EXPECT_EQ(two.read().status, 200);
}

TEST_P(LateAnswers, ComeFromManyThreads) {
  std::atomic<bool> over{false};
  Running running = start();
  std::vector<std::jthread> threads;
  std::atomic<int> answered{0};
  constexpr int kClients = 4, kRequests = 50;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      while (!over) {
        std::optional<Reply> reply = replies.take();
        if (!reply) return;
        if (over) return;
        static_cast<void>(reply->content_text("x").send());
      }
    });
  }
  std::vector<std::jthread> clients;
  for (int i = 0; i < kClients; ++i) {
    clients.emplace_back([&] {
      HttpClient http = client();
      for (int n = 0; n < kRequests; ++n) answered += http.get("/").status == 200 ? 1 : 0;
    });
  }
  for (std::jthread& thread : clients) thread.join();
  over = true;
  for (int i = 0; i < 3; ++i) replies.put(Reply());
  for (std::jthread& thread : threads) thread.join();
  EXPECT_EQ(answered.load(), kClients * kRequests);
}

INSTANTIATE_TEST_SUITE_P(Api, LateAnswers, engines_and_dispatches(), name_of);

}  // namespace
}  // namespace sluice::test
