// tests/front/wire/scenario.hpp - a little of everything that a server does, in six connections, as
// a script: what stays the same when one operation in it fails?
//
// Layer: tests.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <sluice/event_stream.hpp>

#include "front/wire/harness.hpp"
#include "service/temp_dir.hpp"

namespace sluice::test {

class Scenario {
 public:
  Scenario() {
    static const TempDir dir;
    static const bool written = [] {
      dir.write("small.txt", std::string(1000, 's'));
      dir.write("large.bin", std::string(200'000, 'l'));
      return true;
    }();
    static_cast<void>(written);
    rig.directories.emplace_back("/f/", dir.path().string());
    rig.events.on_http_request = echo;
    add("GET", "/stream", [](sluice::Connection, const HttpRequest&, HttpResponse& response) {
      BodyWriter writer = response.stream();
      for (int i = 0; i < 5; ++i) writer.write(std::string(3000, char('a' + i)));
      static_cast<void>(writer.end({{"X-Trailer", "1"}}));
    });
    add("GET", "/events", [](sluice::Connection, const HttpRequest&, HttpResponse& response) {
      EventStream events = response.event_stream({.retry = 5s});
      static_cast<void>(events.send({.id = "1", .data = std::string(5000, 'e')}));
    });
    add("GET", "/produced", [](sluice::Connection, const HttpRequest&, HttpResponse& response) {
      response.content_producer([left = 3](std::span<std::byte> room) mutable -> std::size_t {
        return left-- > 0 ? room.size() / 4 : 0;
      });
    });
    add("GET", "/late", [this](sluice::Connection, const HttpRequest&, HttpResponse& response) {
      response.content_text("late");
      replies.push_back(response.defer());
    });
    add("POST", "/sink",
        [](sluice::Connection, const HttpRequest& request, HttpResponse& response) {
          response.content_text(std::to_string(request.body().size()));
        });
    rig.events.websocket.on_connect = [this](sluice::Connection connection) {
      told(connection).connected++;
      static_cast<void>(connection.subscribe("news"));
    };
    rig.events.websocket.on_message = [](sluice::Connection connection, std::string_view text) {
      static_cast<void>(connection.write_data(text));
    };
    rig.events.websocket.on_binary = [](sluice::Connection connection, Bytes bytes) {
      static_cast<void>(connection.write_data(bytes, 5000));
    };
    rig.events.websocket.on_disconnect = [this](sluice::Connection connection, std::uint16_t) {
      told(connection).disconnected++;
    };
    rig.start();
  }
  ~Scenario() {
    replies.clear();
    rig.settle();
    rig.stop();
    for (const auto& [unused, told] : life) {
      EXPECT_EQ(told.connected, told.disconnected) << "on_disconnect once for each on_connect";
    }
  }

  // `connect` makes the next connection.
  template <class Connect>
  void run(Connect&& connect) {
    using W = WsClient;
    for (std::size_t i = 0; i < kPeers; ++i) peers.push_back(connect());
    io::SimPeer &http = peers[0], &upload = peers[1], &stream = peers[2], &files = peers[3],
                &talker = peers[4], &listener = peers[5];
    const std::string body(100'000, 'u');
    http.send(get("/one") + get("/two"));
    upload.send("POST /sink HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" +
                body.substr(0, 30'000));
    stream.send(get("/stream") + get("/late"));
    files.send(get("/f/large.bin") + get("/f/small.txt"));
    talker.send(W::handshake("/talk"));
    listener.send(W::handshake("/listen", "Sec-WebSocket-Protocol: none\r\n"));
    pause();
    http.send(post("/echo", "a small body"));
    upload.send(body.substr(30'000) +
                "POST /sink HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                "5\r\nhello\r\n0\r\n\r\n");
    talker.send(W::frame(W::kText, "hello") + W::frame(W::kPing, "p") +
                W::frame(W::kBinary, std::string(20'000, 'b')));
    pause();
    rig.on(0, [&] { rig.session->broadcast(ws::Opcode::text, as_bytes(news_), {}); });
    rig.on(0, [&] {
      rig.session->broadcast(ws::Opcode::text, as_bytes(news_), {"news", {}, {}, {}});
    });
    for (Reply& reply : replies) static_cast<void>(reply.send());
    replies.clear();
    files.send(get("/f/small.txt", "Range: bytes=1-5\r\n") + get("/f/missing"));
    pause();
    talker.send(W::frame(W::kText, "in two", false) + W::frame(W::kContinuation, " pieces") +
                W::close_frame(1000));
    listener.send(W::frame(W::kText, "\xff"));  // no UTF-8
    http.send("BAD\r\n\r\n");
    stream.send(get("/events") + get("/produced") + get("/stream", "Connection: close\r\n"));
    files.end();
    pause();
  }
  // What each peer got, and how it ended.
  std::vector<std::string> transcripts() {
    std::vector<std::string> all;
    for (const io::SimPeer& peer : peers) all.push_back(transcript_of(peer));
    return all;
  }
  // Somebody who comes afterwards is served as if nothing had happened.
  void expect_service() {
    io::SimPeer peer = rig.connect();
    peer.send(get("/after") + get("/f/small.txt") + get("/stream") + WsClient::handshake("/after"));
    rig.settle();
    std::string got = peer.take_received();
    EXPECT_NE(got.find("\r\n\r\n/after"), std::string::npos);
    EXPECT_NE(got.find(std::string(1000, 's')), std::string::npos);
    EXPECT_NE(got.find("X-Trailer: 1"), std::string::npos);
    EXPECT_NE(got.find("HTTP/1.1 101"), std::string::npos);
    peer.send(WsClient::frame(WsClient::kText, "echoed"));
    rig.settle();
    EXPECT_NE(peer.take_received().find("echoed"), std::string::npos);
    peer.send(WsClient::close_frame(1000));
    peer.end();
    rig.settle();
  }

  struct Told {
    int connected = 0, disconnected = 0;
  };
  Rig rig;
  std::vector<io::SimPeer> peers;
  std::vector<Reply> replies;
  std::map<core::Connection*, Told> life;

 private:
  static constexpr std::size_t kPeers = 6;
  Told& told(sluice::Connection connection) {
    ServerRuns server(false);  // the test's own memory never fails
    return life[core::Connection::of(connection)];
  }
  void add(std::string_view method, std::string_view pattern, RequestHandler handler) {
    EXPECT_TRUE(rig.router.add(method, pattern, std::move(handler), {}));
  }
  void pause() {
    rig.settle();
    rig.pass(200ms);
  }
  const std::string news_ = std::string(500, 'n');
};

}  // namespace sluice::test
