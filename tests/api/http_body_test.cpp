// tests/api/http_body_test.cpp - request bodies: whole, on disk, streamed, expected, too large.
//
// RFC 9112 sections 6 and 7, RFC 9110 section 10.1.1. Layer: tests.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "api/harness.hpp"

namespace sluice::test {
namespace {

std::string chunked(std::string_view body, std::size_t chunk, std::string_view trailers = {}) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string text;
  while (!body.empty()) {
    std::string_view piece = body.substr(0, chunk);
    body.remove_prefix(piece.size());
    std::string size;
    for (std::size_t left = piece.size(); left > 0; left /= 16) size.insert(0, 1, kHex[left % 16]);
    text.append(size).append(";ext=\"a;b\"\r\n").append(piece).append("\r\n");
  }
  return text.append("0\r\n").append(trailers).append("\r\n");
}

constexpr std::string_view kChunkedPost =
    "POST /body HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

class HttpBodies : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    server.on_http_request = [this](Connection, const HttpRequest& request,
                                    HttpResponse& response) {
      handled.tell(request.body().size());
      EXPECT_EQ(request.body().size(), request.body().bytes().size());
      response.content_text(request.body().text());
    };
  }
  static std::string with_length(std::size_t size, std::string_view fields = {}) {
    return "POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(size) + "\r\n" +
           std::string(fields) + "\r\n";
  }
  Told<std::uint64_t> handled;
};

TEST_P(HttpBodies, OfEverySizeComeBackByteForByte) {
  Running running = start();
  HttpClient http = client();
  for (std::size_t size :
       {std::size_t{0}, std::size_t{1}, std::size_t{16'384}, std::size_t{65'535},
        std::size_t{65'536}, std::size_t{65'537}, std::size_t{300'000}, std::size_t{5'000'000}}) {
    const std::string body = pattern(size);
    std::jthread sender([&] {
      http.send(with_length(size));
      http.send(body);
    });
    HttpReply reply = http.read();
    sender.join();
    ASSERT_TRUE(reply.complete) << size;
    EXPECT_EQ(reply.status, 200) << size;
    EXPECT_TRUE(reply.body == body) << size << " came back as " << reply.body.size();
  }
}

TEST_P(HttpBodies, InChunksComeBackByteForByte) {
  Running running = start();
  HttpClient http = client();
  for (std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{65'536}, std::size_t{65'537},
                           std::size_t{1'000'000}}) {
    const std::string body = pattern(size);
    std::jthread sender([&] {
      http.send(kChunkedPost);
      http.send(chunked(body, 7'001, "X-Trailer: 1\r\nContent-Length: 3\r\n"));
    });
    HttpReply reply = http.read();
    sender.join();
    ASSERT_TRUE(reply.complete) << size;
    EXPECT_EQ(reply.status, 200) << size;
    EXPECT_TRUE(reply.body == body) << size << " came back as " << reply.body.size();
  }
}

TEST_P(HttpBodies, LeaveTheNextRequestInPlace) {
  Running running = start();
  HttpClient http = client();
  const std::string large = pattern(200'000);
  std::jthread sender([&] {
    http.send(with_length(3) + "abc" + std::string(kChunkedPost) + chunked("defg", 2) +
              with_length(large.size()) + large + with_length(0) + with_length(1) + "z");
  });
  EXPECT_EQ(http.read().body, "abc");
  EXPECT_EQ(http.read().body, "defg");
  EXPECT_TRUE(http.read().body == large);
  EXPECT_EQ(http.read().body, "");
  EXPECT_EQ(http.read().body, "z");
  sender.join();
}

TEST_P(HttpBodies, AreHeldToTheLimit) {
  server.limits.body_bytes = 100;
  RouteOptions larger;
  larger.body_bytes = 200;
  ASSERT_TRUE(server.route("POST", "/larger", server.on_http_request, larger));
  Running running = start();
  auto ask = [this](const std::string& request) {
    HttpClient http = client();
    EXPECT_TRUE(http.send(request));
    HttpReply reply = http.read();
    EXPECT_TRUE(reply.complete);
    EXPECT_TRUE(reply.status == 200 || http.at_end());
    EXPECT_FALSE(http.was_reset());
    return reply.status;
  };
  const std::string chunked_post(kChunkedPost);
  EXPECT_EQ(ask(with_length(100) + pattern(100)), 200);
  EXPECT_EQ(ask(with_length(101) + pattern(101)), 413);
  EXPECT_EQ(ask(chunked_post + chunked(pattern(100), 30)), 200);
  EXPECT_EQ(ask(chunked_post + chunked(pattern(101), 30)), 413);
  EXPECT_TRUE(told_error(Errc::http_body_too_large));
  EXPECT_TRUE(logged(Errc::http_body_too_large));
  EXPECT_EQ(handled.all(), (std::vector<std::uint64_t>{100, 100}));
  const std::string to_larger = "POST /larger HTTP/1.1\r\nHost: a\r\nContent-Length: ";
  EXPECT_EQ(ask(to_larger + "200\r\n\r\n" + pattern(200)), 200);
  EXPECT_EQ(ask(to_larger + "201\r\n\r\n" + pattern(201)), 413);
}

TEST_P(HttpBodies, ThatAreExpectedAreAskedFor) {
  server.limits.body_bytes = 100;
  Running running = start();
  HttpClient http = client();
  ASSERT_TRUE(http.send(with_length(3, "Expect: 100-continue\r\n")));
  EXPECT_EQ(http.wait_for(25).substr(0, 25), "HTTP/1.1 100 Continue\r\n\r\n");
  ASSERT_TRUE(http.send("abc"));
  HttpReply reply = http.read();
  EXPECT_EQ(reply.interim, std::vector<int>{100});
  EXPECT_EQ(reply.body, "abc");
  // The body is there already: nobody waits for a 100.
  ASSERT_TRUE(http.send(with_length(3, "Expect: 100-continue\r\n") + "def"));
  reply = http.read();
  EXPECT_EQ(reply.interim, std::vector<int>());
  EXPECT_EQ(reply.body, "def");
  // The head alone decides.
  ASSERT_TRUE(http.send(with_length(101, "Expect: 100-continue\r\n")));
  reply = http.read();
  EXPECT_EQ(reply.interim, std::vector<int>());
  EXPECT_EQ(reply.status, 413);
  EXPECT_TRUE(http.at_end());
  HttpClient other = client();
  ASSERT_TRUE(other.send(with_length(3, "Expect: something\r\n")));
  EXPECT_EQ(other.read().status, 417);
  EXPECT_TRUE(told_error(Errc::http_expectation_failed));
  HttpClient old = client();
  ASSERT_TRUE(old.send("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx"));
  reply = old.read();
  EXPECT_EQ(reply.interim, std::vector<int>());
  EXPECT_EQ(reply.body, "x");
}

TEST_P(HttpBodies, ThatEndTooEarlyReachNoHandler) {
  Running running = start();
  for (const std::string& sent : {with_length(10) + "abc", std::string(kChunkedPost) + "5\r\nabc",
                                  std::string(kChunkedPost)}) {
    const std::size_t before = errors.size();
    HttpClient http = client();
    ASSERT_TRUE(http.send(sent));
    http.end_sending();
    const std::string answer = http.read_to_end();
    EXPECT_NE(answer.substr(0, 12), "HTTP/1.1 200");
    ASSERT_TRUE(errors.wait_for(before + 1));
    EXPECT_EQ(errors.all()[before], Errc::http_body_truncated);
  }
  EXPECT_EQ(handled.size(), 0u);
}

TEST_P(HttpBodies, ThatAreMalformedAreRefused) {
  Running running = start();
  for (std::string_view body : {"g\r\n", "5\r\nabcdefg\r\n", "-1\r\n", "1\nx\r\n0\r\n\r\n",
                                "ffffffffffffffffff\r\n", "1\r\nxy0\r\n\r\n"}) {
    HttpClient http = client();
    ASSERT_TRUE(http.send(std::string(kChunkedPost).append(body)));
    HttpReply reply = http.read();
    EXPECT_EQ(reply.status, 400) << body;
    EXPECT_TRUE(http.at_end()) << body;
  }
  EXPECT_EQ(handled.size(), 0u);
}

// --- BodyMode::stream ----------------------------------------------------------------------------

class StreamedBodies : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    RouteOptions options;
    options.body_mode = BodyMode::stream;
    auto handler = [this](Connection, const HttpRequest& request, HttpResponse& response) {
      begun.tell(request.body().size());
      response.content_text("done");
      request.body().on_data([this](Bytes piece, bool last) {
        pieces.tell({std::string(as_text(piece)), last});
      });
    };
    ASSERT_TRUE(server.route("POST", "/body", handler, options));
  }
  struct Piece {
    std::string text;
    bool last;
  };
  // Everything up to the last piece, which must have come once and at the end.
  std::string collected() {
    EXPECT_TRUE(pieces.wait_until(
        [](const std::vector<Piece>& list) { return !list.empty() && list.back().last; }));
    std::string text;
    std::size_t ends = 0;
    for (const Piece& piece : pieces.all()) {
      text += piece.text;
      ends += piece.last ? 1 : 0;
    }
    EXPECT_EQ(ends, 1u);
    return text;
  }
  Told<std::uint64_t> begun;
  Told<Piece> pieces;
};

TEST_P(StreamedBodies, BeginBeforeTheBodyIsThere) {
  Running running = start();
  HttpClient http = client();
  ASSERT_TRUE(http.send("POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n"));
  ASSERT_TRUE(begun.wait_for(1));
  ASSERT_TRUE(http.send("abc"));
  ASSERT_TRUE(pieces.wait_for(1));
  EXPECT_EQ(pieces.all()[0].text, "abc");
  EXPECT_FALSE(pieces.all()[0].last);
  ASSERT_TRUE(http.send("def"));
  HttpReply reply = http.read();
  EXPECT_EQ(reply.body, "done");
  EXPECT_EQ(collected(), "abcdef");
}

TEST_P(StreamedBodies, MayBeLargeOrChunked) {
  Running running = start();
  const std::string body = pattern(3'000'000);
  HttpClient http = client();
  std::jthread sender([&] {
    http.send(kChunkedPost);
    http.send(chunked(body, 50'000));
  });
  EXPECT_EQ(http.read().body, "done");
  sender.join();
  EXPECT_TRUE(collected() == body);
}

TEST_P(StreamedBodies, AreAskedForWhenExpected) {
  Running running = start();
  HttpClient http = client();
  ASSERT_TRUE(http.send(
      "POST /body HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n"));
  EXPECT_EQ(http.wait_for(25).substr(0, 25), "HTTP/1.1 100 Continue\r\n\r\n");
  ASSERT_TRUE(http.send("x"));
  EXPECT_EQ(http.read().body, "done");
  EXPECT_EQ(collected(), "x");
}

TEST_P(StreamedBodies, ThatAreEmptyEndOnce) {
  Running running = start();
  for (std::string_view framing : {"", "Content-Length: 0\r\n", "Transfer-Encoding: chunked\r\n"}) {
    const std::size_t before = pieces.size();
    HttpClient http = client();
    std::string request("POST /body HTTP/1.1\r\nHost: a\r\n");
    request.append(framing).append("\r\n");
    if (framing.starts_with("T")) request += "0\r\n\r\n";
    ASSERT_TRUE(http.send(request));
    EXPECT_EQ(http.read().body, "done") << framing;
    ASSERT_TRUE(pieces.wait_for(before + 1)) << framing;
    ASSERT_EQ(pieces.size(), before + 1) << framing;
    EXPECT_TRUE(pieces.all()[before].last) << framing;
  }
}

TEST_P(StreamedBodies, ArePausedAndResumed) {
  Handover<Connection> paused;
  std::atomic<bool> stopped{false};
  std::atomic<std::uint64_t> received{0};
  RouteOptions options;
  options.body_mode = BodyMode::stream;
  Handover<RequestBody> bodies;
  auto handler = [&](Connection connection, const HttpRequest& request, HttpResponse& response) {
    response.content_text("done");
    RequestBody body = request.body();
    bodies.put(body);
    body.on_data([&, body, connection](Bytes piece, bool) mutable {
      // On the pool, pieces that had been queued may still come.
      EXPECT_TRUE(on_pool() || !stopped.load());
      if (received.fetch_add(piece.size()) == 0) {
        stopped = true;
        body.pause();
        paused.put(connection);
      }
    });
  };
  ASSERT_TRUE(server.route("POST", "/paused", handler, options));
  Running running = start();
  HttpClient http = client();
  constexpr std::size_t kSize = 48'000'000;
  const std::string body(kSize, 'b');
  ASSERT_TRUE(http.send(
      "POST /paused HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(kSize) + "\r\n\r\n"));
  // As much as is taken while nobody reads.
  std::size_t sent = 0;
  for (;;) {
    pollfd room{http.fd(), POLLOUT, 0};
    if (::poll(&room, 1, sent == 0 ? 20'000 : 500) <= 0 || sent == kSize) break;
    const ssize_t went =
        ::send(http.fd(), body.data() + sent, kSize - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (went > 0) sent += static_cast<std::size_t>(went);
  }
  EXPECT_LT(sent, kSize);
  std::optional<Connection> connection = paused.take();
  std::optional<RequestBody> of_request = bodies.take();
  ASSERT_TRUE(connection && of_request);
  EXPECT_EQ(connection->post([&] {
    stopped = false;
    of_request->resume();
  }),
            SendStatus::queued);
  ASSERT_TRUE(http.send(std::string_view(body).substr(sent)));
  EXPECT_EQ(http.read().body, "done");
  EXPECT_EQ(received.load(), kSize);
}

TEST_P(StreamedBodies, MayBeAnsweredEarlyWithoutBeingRead) {
  RouteOptions options;
  options.body_mode = BodyMode::stream;
  ASSERT_TRUE(server.route(
      "POST", "/early",
      [](Connection, const HttpRequest&, HttpResponse& response) { response.response_no(403); },
      options));
  Running running = start();
  HttpClient http = client();
  ASSERT_TRUE(http.send("POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nab"));
  HttpReply reply = http.read();
  EXPECT_EQ(reply.status, 403);
  EXPECT_EQ(reply.field("Connection"), "close");
  EXPECT_TRUE(http.at_end());
  EXPECT_FALSE(http.was_reset());
}

TEST_P(StreamedBodies, MayBeAnsweredLate) {
  RouteOptions options;
  options.body_mode = BodyMode::stream;
  Handover<Reply> replies;
  auto handler = [&](Connection, const HttpRequest& request, HttpResponse& response) {
    auto reply = std::make_shared<Reply>(response.defer());
    auto text = std::make_shared<std::string>();
    request.body().on_data([&replies, reply, text](Bytes piece, bool last) {
      text->append(as_text(piece));
      if (last) {
        reply->content_text(*text);
        replies.put(std::move(*reply));
      }
    });
  };
  ASSERT_TRUE(server.route("POST", "/late", handler, options));
  Running running = start();
  HttpClient http = client();
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(http.send("POST /late HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"));
    std::optional<Reply> reply = replies.take();
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->send(), Errc::none);
    EXPECT_EQ(http.read().body, "hello");
  }
}

TEST_P(StreamedBodies, AreHeldToTheLimitWhenTheLengthIsNotKnown) {
  server.limits.body_bytes = 1000;
  Running running = start();
  HttpClient http = client();
  ASSERT_TRUE(http.send(kChunkedPost));
  ASSERT_TRUE(http.send(chunked(pattern(1001), 500)));
  EXPECT_EQ(http.read().status, 413);
  EXPECT_TRUE(told_error(Errc::http_body_too_large));
}

TEST_P(StreamedBodies, WhoseReceiverThrowsAreAnswered500) {
  RouteOptions options;
  options.body_mode = BodyMode::stream;
  Told<bool> thrown;
  server.on_exception = [&](Connection, std::exception_ptr) { thrown.tell(true); };
  auto handler = [](Connection, const HttpRequest& request, HttpResponse&) {
    request.body().on_data([](Bytes, bool) { throw std::runtime_error("no"); });
  };
  ASSERT_TRUE(server.route("POST", "/throws", handler, options));
  Running running = start();
  HttpClient http = client();
  ASSERT_TRUE(http.send("POST /throws HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"));
  EXPECT_EQ(http.read().status, 500);
  EXPECT_TRUE(thrown.wait_for(1));
}

TEST_P(StreamedBodies, TakeTheModeOfTheirPrefix) {
  RouteOptions options;
  options.body_mode = BodyMode::stream;
  ASSERT_TRUE(server.body_mode("/up/", options));
  server.on_http_request = [&](Connection, const HttpRequest& request, HttpResponse& response) {
    begun.tell(request.body().size());
    response.content_text(request.body().text());
  };
  Running running = start();
  EXPECT_EQ(client().request("POST", "/up/x", "", "abc").body, "");
  EXPECT_EQ(client().request("POST", "/other", "", "abc").body, "abc");
  EXPECT_EQ(begun.all(), (std::vector<std::uint64_t>{0, 3}));
}

INSTANTIATE_TEST_SUITE_P(Api, HttpBodies, engines_and_dispatches(), name_of);
INSTANTIATE_TEST_SUITE_P(Api, StreamedBodies, engines_and_dispatches(), name_of);

}  // namespace
}  // namespace sluice::test
