// tests/front/wire/failure/coding_scenario.hpp - bodies that are coded and undone, in six
// connections: whole, streamed, produced and late answers, requests, a file.
//
// Layer: tests.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/coding_policy.hpp"
#include "front/wire/harness.hpp"
#include "proto/coding/decoder.hpp"
#include "proto/coding/encoder.hpp"

namespace sluice::test {

class CodingScenario {
 public:
  CodingScenario() {
    auto policy = std::make_shared<core::CodingPolicy>();
    policy->offered = {http::ContentCoding::zstd, http::ContentCoding::br,
                       http::ContentCoding::gzip};
    policy->rules.offered = policy->offered;
    policy->encoder_bytes = 32 << 20;
    rig.settings.codings = std::move(policy);
    rig.settings.decodes_bodies = true;
    rig.events.on_http_request = [](sluice::Connection, const HttpRequest& request,
                                    HttpResponse& response) {
      response.content_type("text/plain").content_text(request.body().text());
    };
    add("GET", "/whole", [this](HttpResponse& response) { response.content_text(text_); });
    add("GET", "/stream", [this](HttpResponse& response) {
      BodyWriter writer = response.stream();
      for (int i = 0; i < 4; ++i) writer.write(text_);
      static_cast<void>(writer.end());
    });
    add("GET", "/produced", [](HttpResponse& response) {
      response.content_producer([left = 3](std::span<std::byte> room) mutable -> std::size_t {
        const std::size_t now = left-- > 0 ? room.size() / 2 : 0;
        std::fill_n(room.begin(), now, std::byte{'p'});
        return now;
      });
    });
    add("GET", "/late", [this](HttpResponse& response) {
      response.content_text(text_);
      replies_.push_back(response.defer());
    });
    rig.start();
  }
  ~CodingScenario() {
    replies_.clear();
    rig.settle();
    rig.stop();
  }

  void run() {
    for (std::size_t i = 0; i < 6; ++i) peers.push_back(rig.connect());
    const std::string body = coded(text_);
    peers[0].send(ask("/whole", "gzip") + ask("/whole", "br"));
    peers[1].send(ask("/stream", "zstd"));
    peers[2].send(ask("/produced", "gzip"));
    peers[3].send(ask("/late", "br"));
    peers[4].send(upload(body).substr(0, 300));
    peers[5].send(ask("/stream", "br"));
    pause();
    for (Reply& reply : replies_) static_cast<void>(reply.send());
    replies_.clear();
    peers[4].send(upload(body).substr(300) + upload("damaged"));
    peers[5].send(ask("/whole", "zstd"));
    pause();
  }
  std::vector<std::string> transcripts() {
    std::vector<std::string> all;
    for (const io::SimPeer& peer : peers) all.push_back(transcript_of(peer));
    return all;
  }
  void expect_service() {
    io::SimPeer peer = rig.connect();
    peer.send(ask("/whole", "gzip"));
    rig.settle();
    const std::string whole = peer.take_received();
    EXPECT_NE(whole.find("Content-Encoding: gzip"), std::string::npos);
    EXPECT_TRUE(undone(whole.substr(whole.find("\r\n\r\n") + 4)) == text_);
    peer.send(upload(coded(text_)));
    rig.settle();
    EXPECT_TRUE(peer.take_received().ends_with("\r\n\r\n" + text_));
    peer.end();
    rig.settle();
  }

  Rig rig;
  std::vector<io::SimPeer> peers;

 private:
  template <class Answer>
  void add(std::string_view method, std::string_view pattern, Answer answer) {
    EXPECT_TRUE(
        rig.router.add(method, pattern,
                       [answer](sluice::Connection, const HttpRequest&, HttpResponse& response) {
                         response.content_type("text/plain");
                         answer(response);
                       },
                       {}));
  }
  static std::string ask(std::string_view target, std::string_view coding) {
    return get(target, "Accept-Encoding: " + std::string(coding) + "\r\n");
  }
  static std::string upload(const std::string& body) {
    return "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-Length: " +
           std::to_string(body.size()) + "\r\n\r\n" + body;
  }
  static std::string coded(std::string_view text) {
    const auto encoder = coding::Encoder::make(http::ContentCoding::gzip);
    std::string made;
    std::array<std::byte, 4096> room;
    for (bool done = false; !done;) {
      const auto step = encoder->encode(as_bytes(text), coding::Encoder::Until::finished, room);
      text.remove_prefix(step.used);
      made.append(as_text(Bytes(room).first(step.made)));
      done = step.done;
    }
    return made;
  }
  static std::string undone(std::string_view text) {
    const http::ContentCoding gzip = http::ContentCoding::gzip;
    const auto decoder = coding::Decoder::make(std::span(&gzip, 1), {});
    std::string made;
    std::array<std::byte, 4096> room;
    for (bool done = false; !done;) {
      const auto step = decoder->decode(as_bytes(text), true, room);
      text.remove_prefix(step.used);
      made.append(as_text(Bytes(room).first(step.made)));
      done = step.done || step.error != Errc::none;
    }
    return made;
  }
  void pause() {
    rig.settle();
    rig.pass(200ms);
  }

  const std::string text_ = [] {
    std::string text;
    for (int i = 0; text.size() < 8000; ++i) text += "line " + std::to_string(i) + " shrinks\n";
    return text;
  }();
  std::vector<Reply> replies_;
};

}  // namespace sluice::test
