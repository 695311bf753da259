// tests/front/wire/failure/http2_scenario.hpp - what a server does over HTTP/2, in five
// connections: requests, bodies, a file and a streamed answer, WebSockets (RFC 8441), a reset.
//
// Layer: tests.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "front/wire/http2_rig.hpp"
#include "front/wire/scenario.hpp"

namespace sluice::test {

class Http2Scenario : public Scenario {
 public:
  void run() {
    using W = WsClient;
    for (std::size_t i = 0; i < 5; ++i) h2_.push_back(std::make_unique<H2Peer>(rig));
    H2Peer &http = *h2_[0], &upload = *h2_[1], &files = *h2_[2], &talker = *h2_[3],
           &streams = *h2_[4];
    http.wire.send(h2::headers(1, h2::get("/one")) + h2::headers(3, h2::get("/two")));
    upload.wire.send(h2::headers(1, h2::post("/sink"), false) +
                     h2::data(1, std::string(10'000, 'u')));
    files.wire.send(h2::window(0, 1 << 20) + h2::headers(1, h2::get("/f/large.bin")) +
                    h2::window(1, 1 << 20) + h2::headers(3, h2::get("/f/small.txt")));
    talker.wire.send(h2::headers(1, chat(), false));
    streams.wire.send(h2::headers(1, h2::get("/stream")) + h2::headers(3, h2::get("/late")));
    pause();
    http.wire.send(h2::headers(5, h2::post("/echo"), false) + h2::data(5, "a small body", true));
    upload.wire.send(h2::data(1, std::string(10'000, 'v'), true));
    talker.wire.send(h2::data(1, W::frame(W::kText, "hello") + W::frame(W::kPing, "p")) +
                     h2::data(1, W::frame(W::kBinary, std::string(12'000, 'b'))));
    pause();
    for (Reply& reply : replies) static_cast<void>(reply.send());
    replies.clear();
    streams.wire.send(h2::headers(5, h2::get("/produced")) + h2::headers(7, h2::get("/late")) +
                      h2::headers(9, h2::get("/f/missing")));
    pause();
    streams.wire.send(h2::reset(7));
    talker.wire.send(h2::data(1, W::close_frame(1000), true));
    pause();
  }
  // What each connection's streams were answered.
  std::vector<std::string> transcripts() {
    std::vector<std::string> all;
    for (const std::unique_ptr<H2Peer>& peer : h2_) {
      std::string text;
      for (const auto& [id, answer] : peer->answers) {
        std::string fields = answer.fields;
        for (std::size_t at = 0; (at = fields.find("date=", at)) != std::string::npos;) {
          fields.erase(at, fields.find("GMT", at) + 4 - at);
        }
        text.append(std::to_string(id)).append(": ").append(fields).append(answer.body);
        text += answer.was_reset ? "(reset)" : answer.ended ? "(end)" : "(open)";
      }
      all.push_back(text);
    }
    return all;
  }
  void expect_service() {
    Scenario::expect_service();
    H2Peer peer(rig);
    EXPECT_EQ(peer.ask(h2::get("/after")).body, "/after");
    EXPECT_EQ(peer.ask(h2::get("/f/small.txt")).body, std::string(1000, 's'));
    const std::uint32_t id = peer.next();
    peer.run(h2::headers(id, chat(), false));
    EXPECT_TRUE(peer.answers[id].has(":status=200 "));
    peer.run(h2::data(id, WsClient::frame(WsClient::kText, "echoed")));
    EXPECT_NE(peer.answers[id].body.find("echoed"), std::string::npos);
    peer.run(h2::data(id, WsClient::close_frame(1000), true));
    EXPECT_TRUE(peer.answers[id].ended);
    peer.wire.end();
    rig.settle();
  }

 private:
  static h2::FieldList chat() {
    return {{":method", "CONNECT"}, {":protocol", "websocket"}, {":scheme", "http"},
            {":path", "/chat"},     {":authority", "a"},        {"sec-websocket-version", "13"}};
  }
  void pause() {
    rig.settle();
    rig.pass(200ms);
    rig.settle();
    for (const std::unique_ptr<H2Peer>& peer : h2_) peer->read();
  }

  std::vector<std::unique_ptr<H2Peer>> h2_;
};

}  // namespace sluice::test
