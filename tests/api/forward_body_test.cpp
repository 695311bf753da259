// tests/api/forward_body_test.cpp - forwarded bodies: framed anew, at the pace of who takes them.
//
// Layer: tests.
#include <string>
#include <string_view>

#include "api/harness.hpp"
#include "support/scripted_server.hpp"

namespace sluice::test {
namespace {

using Peer = ScriptedServer::Peer;

std::string in_chunks(std::string_view text, std::size_t size, std::string_view trailers = {}) {
  std::string out;
  while (!text.empty()) {
    const std::string_view piece = text.substr(0, size);
    char head[20];
    std::snprintf(head, sizeof head, "%zx\r\n", piece.size());
    out.append(head).append(piece).append("\r\n");
    text.remove_prefix(piece.size());
  }
  return out.append("0\r\n").append(trailers).append("\r\n");
}

class ForwardedBodies : public ServerTest {
 protected:
  void to(const ScriptedServer& upstream, ForwardOptions options = {}) {
    options.upstreams = {upstream.url()};
    ASSERT_TRUE(server.forward("/", options));
  }
  const std::string large = pattern(3'000'000);
  Handover<SeenRequest> seen;
};

TEST_P(ForwardedBodies, WithALengthBothWays) {
  ScriptedServer upstream(ScriptedServer::requests(
      [](Peer& peer, const SeenRequest& request) { peer.answer(request.body); }));
  to(upstream);
  Running running = start();
  HttpClient http = client();
  for (std::size_t size : {std::size_t{1}, std::size_t{4096}, std::size_t{70'000}, large.size()}) {
    const HttpReply reply = http.request("POST", "/", {}, large.substr(0, size));
    EXPECT_TRUE(reply.complete);
    EXPECT_TRUE(reply.body == large.substr(0, size)) << size;
  }
}

TEST_P(ForwardedBodies, InChunksBothWaysWithTrailers) {
  ScriptedServer upstream(ScriptedServer::requests([this](Peer& peer, const SeenRequest& request) {
    seen.put(request);
    peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" +
              in_chunks(request.body, 1000, "X-Sum: 2\r\n"));
  }));
  to(upstream);
  Running running = start();
  HttpClient http = client();
  for (const bool wants : {true, false}) {
    http.send(std::string("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n") +
              (wants ? "TE: trailers\r\nConnection: TE\r\n" : "") + "\r\n" +
              in_chunks(large, 777, "X-Sum: 1\r\nContent-Length: 3\r\n"));
    const HttpReply reply = http.read();
    EXPECT_TRUE(reply.complete);
    EXPECT_TRUE(reply.body == large);
    EXPECT_EQ(reply.trailers.size(), wants ? 1u : 0u);
    const SeenRequest request = seen.take().value_or(SeenRequest{});
    EXPECT_TRUE(request.chunked);
    EXPECT_TRUE(request.body == large);
    EXPECT_EQ(request.trailers, "X-Sum: 1\r\n");
    EXPECT_EQ(request.field("TE"), wants ? "trailers" : "");
  }
  EXPECT_EQ(upstream.connections(), 1);
}

TEST_P(ForwardedBodies, UpToTheEndOfTheConnection) {
  ScriptedServer upstream([this](Peer& peer) {
    SeenRequest request;
    if (peer.read(request)) peer.send("HTTP/1.0 200 OK\r\n\r\n" + large);
  });
  to(upstream);
  Running running = start();
  HttpClient http = client();
  for (int i = 0; i < 2; ++i) {
    const HttpReply reply = http.get("/");
    EXPECT_TRUE(reply.complete);
    EXPECT_FALSE(reply.until_close);
    EXPECT_TRUE(reply.body == large);
  }
}

TEST_P(ForwardedBodies, ForAClientOfHttp10) {
  ScriptedServer upstream(ScriptedServer::requests([this](Peer& peer, const SeenRequest& request) {
    seen.put(request);
    peer.send(
        "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n"
        "Transfer-Encoding: chunked\r\n\r\n" +
        in_chunks("0123456789", 3));
  }));
  to(upstream);
  Running running = start();
  HttpClient http = client();
  http.send("GET / HTTP/1.0\r\n\r\n");
  const HttpReply reply = http.read();
  EXPECT_TRUE(reply.until_close);
  EXPECT_TRUE(reply.interim.empty());
  EXPECT_EQ(reply.body, "0123456789");
  const SeenRequest request = seen.take().value_or(SeenRequest{});
  EXPECT_EQ(request.line, "GET / HTTP/1.1");
  EXPECT_EQ(request.field("Host"), upstream.url().substr(7));
  EXPECT_EQ(request.field("Via"), "1.0 sluice");
}

TEST_P(ForwardedBodies, WithWhatIsSaidBefore) {
  ScriptedServer upstream(ScriptedServer::requests([](Peer& peer, const SeenRequest&) {
    peer.send(
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nKeep-Alive: x\r\n\r\n"
        "HTTP/1.1 102 Processing\r\n\r\n");
    peer.answer("done");
  }));
  to(upstream);
  Running running = start();
  HttpClient http = client();
  http.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  const std::string_view begin = http.wait_for(40);
  EXPECT_TRUE(begin.starts_with("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")) << begin;
  const HttpReply reply = http.read();
  EXPECT_EQ(reply.interim, (std::vector<int>{103, 102}));
  EXPECT_EQ(reply.body, "done");
}

TEST_P(ForwardedBodies, ThatAreAskedForByTheUpstream) {
  Gate gate;
  ScriptedServer upstream([&](Peer& peer) {
    SeenRequest request;
    while (peer.read_head(request)) {
      EXPECT_EQ(request.field("Expect"), "100-continue");
      if (request.target() == "/no") {
        peer.answer("no", {}, 401);
        return;
      }
      gate.wait();
      peer.send("HTTP/1.1 100 Continue\r\n\r\n");
      if (!peer.read_body(request)) return;
      peer.answer(request.body);
    }
  });
  to(upstream);
  Running running = start();
  const std::string fields = "Host: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
  HttpClient http = client();
  http.send("POST /yes HTTP/1.1\r\n" + fields);
  gate.open();
  const std::string_view begin = http.wait_for(25);
  EXPECT_EQ(begin, "HTTP/1.1 100 Continue\r\n\r\n");
  http.send("12345");
  const HttpReply reply = http.read();
  EXPECT_EQ(reply.interim, std::vector<int>{100});
  EXPECT_EQ(reply.body, "12345");
  HttpClient other = client();
  other.send("POST /no HTTP/1.1\r\n" + fields);
  const HttpReply refused = other.read();
  EXPECT_TRUE(refused.interim.empty());
  EXPECT_EQ(refused.status, 401);
}

TEST_P(ForwardedBodies, ThatTheUpstreamDoesNotAskFor) {
  ScriptedServer upstream(ScriptedServer::requests(  // it knows nothing of Expect
      [](Peer& peer, const SeenRequest& request) { peer.answer(request.body); }));
  to(upstream);
  Running running = start();
  HttpClient http = client();
  http.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
  EXPECT_EQ(http.wait_for(25), "HTTP/1.1 100 Continue\r\n\r\n");
  http.send("12345");
  EXPECT_EQ(http.read().body, "12345");
}

TEST_P(ForwardedBodies, OverTheLimitAreRefused) {
  ScriptedServer upstream(ScriptedServer::requests(
      [](Peer& peer, const SeenRequest& request) { peer.answer(request.body); }));
  server.limits.body_bytes = 10;
  to(upstream, {.upstreams = {}, .body_bytes = 100'000});
  Running running = start();
  EXPECT_EQ(client().request("POST", "/", {}, large.substr(0, 100'000)).status, 200);
  EXPECT_EQ(client().request("POST", "/", {}, large.substr(0, 100'001)).status, 413);
  HttpClient http = client();
  http.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" +
            in_chunks(large.substr(0, 100'001), 1000));
  EXPECT_EQ(http.read().status, 413);
}

// The upstream answers before it has the body: the client gets that answer.
TEST_P(ForwardedBodies, ThatNobodyWaitsFor) {
  ScriptedServer upstream([](Peer& peer) {
    SeenRequest request;
    if (!peer.read_head(request)) return;
    peer.answer("early", "Connection: close\r\n", 403);
    peer.read_to_end();
  });
  to(upstream);
  Running running = start();
  HttpClient http = client();
  http.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n" +
            large.substr(0, 1000));
  const HttpReply reply = http.read();
  EXPECT_EQ(reply.status, 403);
  EXPECT_EQ(reply.body, "early");
  EXPECT_EQ(reply.field("Connection"), "close");
}

// --- Back-pressure -------------------------------------------------------------------------------

TEST_P(ForwardedBodies, WaitForAClientThatDoesNotRead) {
  constexpr std::size_t kPiece = 1 << 20;
  std::atomic<std::size_t> sent{0};
  ScriptedServer upstream([&](Peer& peer) {
    SeenRequest request;
    if (!peer.read(request)) return;
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(64 * kPiece) + "\r\n\r\n");
    const std::string piece = pattern(kPiece);
    for (int i = 0; i < 64 && peer.send(piece); ++i) sent += kPiece;
  });
  to(upstream);
  Running running = start();
  HttpClient http = client();
  http.receive_buffer(64 << 10);
  http.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  http.wait_for(1);
  // It comes to a stop: nothing moves any more, though not everything was sent.
  std::size_t last = ~std::size_t{0};
  for (int quiet = 0; quiet < 5; ::poll(nullptr, 0, 50)) {
    quiet = sent == last ? quiet + 1 : 0;
    last = sent;
  }
  EXPECT_LT(sent, 64 * kPiece);
  EXPECT_LT(server.counters().bytes_queued, 4 * kPiece);
  const HttpReply reply = http.read();
  EXPECT_TRUE(reply.complete);
  EXPECT_EQ(reply.body.size(), 64 * kPiece);
}

TEST_P(ForwardedBodies, WaitForAnUpstreamThatDoesNotRead) {
  Gate gate;
  ScriptedServer upstream([&](Peer& peer) {
    SeenRequest request;
    if (!peer.read_head(request)) return;
    gate.wait();
    if (peer.read_body(request)) peer.answer(std::to_string(request.body.size()));
  });
  constexpr std::size_t kSize = 48 << 20;
  to(upstream);
  Running running = start();
  HttpClient http = client();
  std::atomic<std::size_t> sent{0};
  std::jthread sender([&] {
    http.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(kSize) +
              "\r\n\r\n");
    const std::string piece = pattern(1 << 16);
    for (std::size_t i = 0; i < kSize && http.send(piece); i += piece.size()) sent += piece.size();
  });
  std::size_t last = ~std::size_t{0};
  for (int quiet = 0; quiet < 5; ::poll(nullptr, 0, 50)) {
    quiet = sent == last ? quiet + 1 : 0;
    last = sent;
  }
  EXPECT_LT(sent, kSize);
  gate.open();
  sender.join();
  EXPECT_EQ(http.read().body, std::to_string(kSize));
}

INSTANTIATE_TEST_SUITE_P(Api, ForwardedBodies, engines_and_dispatches(), name_of);

}  // namespace
}  // namespace sluice::test
