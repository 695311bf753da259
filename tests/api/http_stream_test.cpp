// tests/api/http_stream_test.cpp - answers bit by bit: BodyWriter.
//
// RFC 9112 section 7.1 (chunks and trailers). Layer: tests.
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

class StreamedAnswers : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    server.on_http_request = [this](Connection, const HttpRequest&, HttpResponse& response) {
      writers.put(response.content_type("text/plain").stream());
    };
  }
  Handover<BodyWriter> writers;
};

TEST_P(StreamedAnswers, AreWrittenInTheHandler) {
  server.on_http_request = [](Connection, const HttpRequest&, HttpResponse& response) {
    BodyWriter writer = response.response_no(201).content_type("text/plain").stream();
    EXPECT_TRUE(writer.write("ab"));
    EXPECT_TRUE(writer.write(""));
    EXPECT_TRUE(writer.write(as_bytes("c")));
    EXPECT_EQ(writer.end({{"X-Sum", "3"}, {"bad name", "x"}, {"Content-Length", "9"}}), Errc::none);
    EXPECT_EQ(writer.end(), Errc::already_replied);
    EXPECT_FALSE(writer.write("behind the end"));
  };
  Running running = start();
  HttpClient http = client();
  for (int i = 0; i < 2; ++i) {
    HttpReply reply = http.get("/");
    ASSERT_TRUE(reply.complete);
    EXPECT_EQ(reply.status, 201);
    EXPECT_EQ(reply.field("Transfer-Encoding"), "chunked");
    EXPECT_FALSE(reply.has("Content-Length"));
    EXPECT_EQ(reply.body, "abc");
    ASSERT_EQ(reply.trailers.size(), 1u);
    EXPECT_EQ(reply.trailers[0].first, "X-Sum");
    EXPECT_EQ(reply.trailers[0].second, "3");
  }
  HttpReply head = http.request("HEAD", "/");
  EXPECT_EQ(head.status, 201);
  ASSERT_TRUE(http.send("GET / HTTP/1.0\r\n\r\n"));
  HttpReply old = http.read();
  EXPECT_TRUE(old.until_close);
  EXPECT_FALSE(old.has("Transfer-Encoding"));
  EXPECT_EQ(old.body, "abc");
}

TEST_P(StreamedAnswers, ArriveWhileTheyAreWritten) {
  Running running = start();
  HttpClient http = client();
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(http.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    std::optional<BodyWriter> writer = writers.take();
    ASSERT_TRUE(writer);
    EXPECT_TRUE(writer->write("hello"));
    std::size_t here = 0;
    while (http.wait_for(here + 1).size() > here) {
      here = http.wait_for(1).size();
      if (http.wait_for(1).find("hello") != std::string_view::npos) break;
    }
    ASSERT_NE(http.wait_for(1).find("hello"), std::string_view::npos);
    BodyWriter copy = *writer;
    EXPECT_TRUE(copy.write(", world"));
    EXPECT_EQ(writer->end(), Errc::none);
    HttpReply reply = http.read();
    ASSERT_TRUE(reply.complete);
    EXPECT_EQ(reply.body, "hello, world");
  }
}

TEST_P(StreamedAnswers, BeginFromAReplyToo) {
  Handover<Reply> replies;
  server.on_http_request = [&](Connection, const HttpRequest&, HttpResponse& response) {
    replies.put(response.defer());
  };
  Running running = start();
  HttpClient http = client();
  ASSERT_TRUE(http.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  std::optional<Reply> reply = replies.take();
  ASSERT_TRUE(reply);
  BodyWriter writer = reply->response_no(202).stream();
  EXPECT_EQ(reply->send(), Errc::already_replied);
  reply.reset();  // the writer has it now
  EXPECT_TRUE(writer.write("text"));
  EXPECT_EQ(writer.end(), Errc::none);
  HttpReply answer = http.read();
  EXPECT_EQ(answer.status, 202);
  EXPECT_EQ(answer.body, "text");
}

TEST_P(StreamedAnswers, WaitForASlowClient) {
  constexpr std::size_t kPiece = 100'000, kPieces = 600;
  server.limits.send_queue_bytes = 300'000;
  Told<bool> writable;
  Running running = start();
  HttpClient http = client();
  http.receive_buffer(16'384);
  ASSERT_TRUE(http.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  std::optional<BodyWriter> writer = writers.take();
  ASSERT_TRUE(writer);
  writer->on_writable([&] { writable.tell(true); });
  // Nobody reads: writing ends long before everything is written.
  std::size_t written = 0;
  const std::string piece = pattern(kPiece);
  auto write_until_full = [&] {
    while (written < kPieces) {
      ++written;
      if (!writer->write(piece)) return;
    }
  };
  write_until_full();
  ASSERT_LT(written, kPieces) << "a client that does not read must be felt";
  std::string body;
  std::jthread reader([&] { body = http.read().body; });
  for (std::size_t waited = 1; written < kPieces; ++waited) {
    ASSERT_TRUE(writable.wait_for(waited));
    write_until_full();
  }
  EXPECT_EQ(writer->end(), Errc::none);
  reader.join();
  ASSERT_EQ(body.size(), kPiece * kPieces);
  for (std::size_t i = 0; i < kPieces; ++i) {
    ASSERT_TRUE(std::string_view(body).substr(i * kPiece, kPiece) == piece) << i;
  }
}

TEST_P(StreamedAnswers, WithAFieldThatMayNotBeSentBecome500) {
  server.on_http_request = [](Connection, const HttpRequest&, HttpResponse& response) {
    BodyWriter writer = response.header("X-A", "b\r\nX-C: d").stream();
    writer.write("text");
    static_cast<void>(writer.end());
  };
  Running running = start();
  HttpClient http = client();
  for (int i = 0; i < 2; ++i) {
    HttpReply reply = http.get("/");
    EXPECT_EQ(reply.status, 500);
    EXPECT_FALSE(reply.has("X-C"));
    EXPECT_EQ(reply.body.find("text"), std::string::npos);
  }
  EXPECT_TRUE(told_error(Errc::http_response_splitting));
}

// The budget of all connections together is used up before that of one.
TEST_P(StreamedAnswers, ShareTheBudgetOfTheShard) {
  server.shards = 1;
  server.limits.send_queue_total = 100'000;
  Running running = start();
  std::vector<std::unique_ptr<HttpClient>> clients;
  std::vector<std::jthread> threads;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(std::make_unique<HttpClient>(port, "127.0.0.1", kPatience));
    ASSERT_TRUE(clients.back()->send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    std::optional<BodyWriter> writer = writers.take();
    ASSERT_TRUE(writer);
    threads.emplace_back([writer = std::move(*writer)]() mutable {
      auto writable = std::make_shared<Told<bool>>();
      writer.on_writable([writable] { writable->tell(true); });
      std::size_t waited = 0;
      for (int piece = 0; piece < 400; ++piece) {
        if (writer.write(std::string(30'000, 'x'))) continue;
        EXPECT_TRUE(writable->wait_for(++waited));
      }
      EXPECT_EQ(writer.end(), Errc::none);
    });
  }
  for (auto& http : clients) EXPECT_EQ(http->read().body.size(), 400u * 30'000u);
  for (std::jthread& thread : threads) thread.join();
}

TEST_P(StreamedAnswers, ThatWriteOnlyInOnWritableComeWhole) {
  static constexpr std::size_t kPiece = 20'000, kPieces = 500;
  server.limits.send_queue_bytes = 50'000;
  server.on_http_request = [](Connection, const HttpRequest&, HttpResponse& response) {
    BodyWriter writer = response.stream();
    auto left = std::make_shared<std::size_t>(kPieces);
    auto go_on = [writer, left]() mutable {
      while (*left > 0) {
        --*left;
        if (!writer.write(pattern(kPiece))) return;
      }
      static_cast<void>(writer.end());
    };
    writer.on_writable(go_on);
    go_on();
  };
  Running running = start();
  HttpReply reply = client().get("/");
  ASSERT_TRUE(reply.complete);
  EXPECT_EQ(reply.body.size(), kPiece * kPieces);
}

// The handler refers to its own writer: that must not keep it alive when the client has gone.
TEST_P(StreamedAnswers, ThatReferToThemselvesAreFreedWhenTheClientGoes) {
  auto kept = std::make_shared<int>(0);
  Told<bool> aborted;
  Told<bool> begun;
  server.limits.send_queue_bytes = 50'000;
  server.on_http_request = [&](Connection, const HttpRequest&, HttpResponse& response) {
    BodyWriter writer = response.stream();
    writer.on_writable([writer, kept]() mutable { writer.write("more"); });
    writer.on_abort([writer, kept, &aborted] { aborted.tell(writer.aborted()); });
    while (writer.write(std::string(100'000, 'x'))) {
    }
    begun.tell(true);
  };
  {
    Running running = start();
    HttpClient http = client();
    ASSERT_TRUE(http.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    ASSERT_TRUE(begun.wait_for(1));
    http.reset();
    ASSERT_TRUE(aborted.wait_for(1));
    EXPECT_EQ(aborted.all(), std::vector<bool>{true});
  }
  EXPECT_TRUE(eventually([&] { return kept.use_count() == 1; }));
}

// On the pool the handler does not notice at once that the client has gone.
TEST_P(StreamedAnswers, EndWhenTheClientGoesInTheMiddleOfTheHandler) {
  if (!on_pool()) return;
  Told<bool> begun, aborted;
  Told<Errc> ended;
  server.on_http_request = [&](Connection connection, const HttpRequest&, HttpResponse& response) {
    BodyWriter writer = response.stream();
    writer.on_abort([&] { aborted.tell(true); });
    writer.write("begun");
    begun.tell(true);
    while (connection.is_open()) std::this_thread::yield();
    while (!writer.aborted()) {
      writer.write("more");
      std::this_thread::yield();
    }
    EXPECT_TRUE(aborted.all().empty()) << "not while the handler runs";
    ended.tell(writer.end());
  };
  Running running = start();
  HttpClient http = client();
  ASSERT_TRUE(http.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  ASSERT_TRUE(begun.wait_for(1));
  http.reset();
  ASSERT_TRUE(ended.wait_for(1));
  EXPECT_EQ(ended.all()[0], Errc::gone);
}

TEST_P(StreamedAnswers, ThatWereDroppedBreakOff) {
  Running running = start();
  HttpClient http = client();
  ASSERT_TRUE(http.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  {
    std::optional<BodyWriter> writer = writers.take();
    ASSERT_TRUE(writer);
    EXPECT_TRUE(writer->write("half"));
  }
  HttpReply reply = http.read();
  EXPECT_FALSE(reply.complete);
  EXPECT_TRUE(http.at_end());
  EXPECT_TRUE(told_error(Errc::reply_abandoned));
  EXPECT_TRUE(logged(Errc::reply_abandoned));
}

TEST_P(StreamedAnswers, EndWithTheClient) {
  Running running = start();
  HttpClient http = client();
  ASSERT_TRUE(http.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  std::optional<BodyWriter> writer = writers.take();
  ASSERT_TRUE(writer);
  Told<bool> aborted;
  writer->on_abort([&] { aborted.tell(true); });
  EXPECT_TRUE(writer->write("x"));
  http.disconnect();
  // A closed socket is seen when more is written to it.
  ASSERT_TRUE(eventually([&] { return writer->write("more"), writer->aborted(); }));
  EXPECT_TRUE(aborted.wait_for(1));
  EXPECT_FALSE(writer->write("x"));
  EXPECT_EQ(writer->end(), Errc::gone);
  EXPECT_EQ(aborted.size(), 1u);
}

TEST_P(StreamedAnswers, MayOutliveTheServer) {
  std::optional<BodyWriter> writer, dropped;
  {
    Server other;
    prepare(other);
    other.on_http_request = server.on_http_request;
    ASSERT_TRUE(other.start());
    HttpClient one(other.bound_port(), "127.0.0.1", kPatience);
    HttpClient two(other.bound_port(), "127.0.0.1", kPatience);
    ASSERT_TRUE(one.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    ASSERT_TRUE(two.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    writer = writers.take();
    dropped = writers.take();
    ASSERT_TRUE(writer && dropped);
  }
  EXPECT_TRUE(writer->aborted());
  EXPECT_FALSE(writer->write("x"));
  EXPECT_EQ(writer->end(), Errc::gone);
  dropped.reset();
}

TEST_P(StreamedAnswers, ThatAreLargerThanTheBudgetAreTakenWhole) {
  server.limits.send_queue_bytes = 10'000;
  Running running = start();
  HttpClient http = client();
  ASSERT_TRUE(http.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  std::optional<BodyWriter> writer = writers.take();
  ASSERT_TRUE(writer);
  writer->write(pattern(3'000'000));
  EXPECT_EQ(writer->end(), Errc::none);
  HttpReply reply = http.read();
  ASSERT_TRUE(reply.complete);
  EXPECT_TRUE(reply.body == pattern(3'000'000));
}

TEST_P(StreamedAnswers, OfAHandlerThatThrowsBreakOff) {
  Told<bool> thrown;
  server.on_exception = [&](Connection, std::exception_ptr) { thrown.tell(true); };
  server.on_http_request = [](Connection, const HttpRequest&, HttpResponse& response) {
    BodyWriter writer = response.stream();
    writer.write("half");
    throw std::runtime_error("no");
  };
  Running running = start();
  HttpClient http = client();
  EXPECT_FALSE(http.get("/").complete);
  EXPECT_TRUE(http.at_end());
  EXPECT_TRUE(thrown.wait_for(1));
}

INSTANTIATE_TEST_SUITE_P(Api, StreamedAnswers, engines_and_dispatches(), name_of);

}  // namespace
}  // namespace sluice::test
