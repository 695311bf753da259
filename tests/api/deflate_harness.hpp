// tests/api/deflate_harness.hpp - a WebSocket client that compresses, and checks that it may be
// answered as it is.
//
// RFC 7692. What it keeps are contexts of its own, in the way that the handshake's answer says.
// Layer: tests.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/ws_harness.hpp"
#include "proto/ws/permessage_deflate.hpp"

namespace sluice::test {

class DeflateClient {
 public:
  static constexpr int kCompressed = 4;  // of the reserved bits

  DeflateClient(std::uint16_t port, std::string_view offer, std::string_view target = "/")
      : socket(port, target, "Sec-WebSocket-Extensions: " + std::string(offer) + "\r\n",
               kPatience) {
    answer = socket.reply().field("Sec-WebSocket-Extensions");
    takes_over_ = answer.find("client_no_context_takeover") == std::string::npos;
    server_takes_over_ = answer.find("server_no_context_takeover") == std::string::npos;
    deflater_ = coding::Deflater::make({bits("client_max_window_bits="), 6, 8});
    inflater_ = ws::MessageInflater::make(bits("server_max_window_bits="));
  }

  // The message as the payload of one frame.
  std::string packed(std::string_view message) {
    if (!takes_over_) deflater_->reset();
    std::string out(message.size() * 2 + 64, '\0');
    const std::size_t made =
        deflater_->flush(as_bytes(message), std::as_writable_bytes(std::span(out)));
    out.resize(made - ws::kDeflateTail);
    return out;
  }
  bool send(std::string_view message, int opcode = WsClient::kText) {
    return socket.send(WsClient::frame(opcode, packed(message), true, true, kCompressed));
  }
  // In fragments, with a ping between every two.
  bool send_pieces(std::string_view message, std::size_t piece) {
    return socket.send(pieces(message, piece));
  }
  // The same as bytes, for another client that has agreed on the same and has sent nothing yet.
  std::string pieces(std::string_view message, std::size_t piece) {
    const std::string all = packed(message);
    std::string wire;
    for (std::size_t at = 0; at < all.size(); at += piece) {
      const bool first = at == 0, last = at + piece >= all.size();
      wire += WsClient::frame(first ? WsClient::kText : WsClient::kContinuation,
                              all.substr(at, piece), last, true, first ? kCompressed : 0);
      if (!last) wire += WsClient::frame(WsClient::kPing, "p");
    }
    return wire;
  }

  // The next message, inflated if it came so; as WsClient::read() says at the end.
  std::string read() {
    std::string payload;
    frames = 0;
    for (;;) {
      auto frame = socket.read_frame();
      if (!frame) return "(end)";
      if (frame->opcode == WsClient::kPing || frame->opcode == WsClient::kPong) {
        EXPECT_EQ(frame->reserved, 0);
        continue;
      }
      if (frame->opcode == WsClient::kClose) {
        return "(close " + std::to_string(frame->close_code()) + ")";
      }
      if (frames++ == 0) {
        was_compressed = frame->reserved == kCompressed;
      } else {
        EXPECT_EQ(frame->reserved, 0) << "in a later frame of a message";
      }
      payload += frame->payload;
      if (frame->fin) break;
    }
    size = payload.size();
    return was_compressed ? inflated(payload) : payload;
  }

  WsClient socket;
  std::string answer;  // Sec-WebSocket-Extensions
  // Of what read() gave last.
  bool was_compressed = false;
  std::size_t size = 0, frames = 0;

 private:
  unsigned bits(const std::string& name) const {
    const std::size_t at = answer.find(name);
    return at == std::string::npos ? 15u : unsigned(std::stoul(answer.substr(at + name.size(), 2)));
  }
  std::string inflated(std::string_view payload) {
    if (!server_takes_over_) inflater_->reset();
    inflater_->begin(false, 1 << 28);
    std::string text, room(1 << 16, '\0');
    Bytes left = as_bytes(payload);
    for (bool done = false; !done;) {
      const auto step = inflater_->inflate(left, true, std::as_writable_bytes(std::span(room)));
      if (step.error != Errc::none) return "(cannot be inflated)";
      text.append(room, 0, step.made);
      left = left.subspan(step.used);
      done = step.done;
    }
    return text;
  }

  bool takes_over_ = true, server_takes_over_ = true;
  std::unique_ptr<coding::Deflater> deflater_;
  std::unique_ptr<ws::MessageInflater> inflater_;
};

class DeflateTest : public WsTest {
 protected:
  static constexpr std::string_view kOffer = "permessage-deflate; client_max_window_bits";

  void SetUp() override {
    WsTest::SetUp();
    deflate().enabled = true;
  }
  PerMessageDeflate& deflate() { return server.extensions.permessage_deflate; }
  void allow_takeover() {
    deflate().server_no_context_takeover = deflate().client_no_context_takeover = false;
  }
  DeflateClient open(std::string_view offer = kOffer) { return DeflateClient(port, offer); }
  // What is told afterwards was told while it ran.
  static void stop(Running) {}
  static std::string item(int number, std::size_t size = 600) {
    std::string text;
    while (text.size() < size) {
      text += "{\"item\":" + std::to_string(number) + ",\"name\":\"number " +
              std::to_string(text.size() % 77) + "\"},";
    }
    return text;
  }
};

}  // namespace sluice::test
