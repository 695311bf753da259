// tests/support/ws_client.hpp - a small blocking WebSocket client that sends exactly what it is
// told.
//
// RFC 6455. Knows nothing of the server's code; masks with a key that shows when it is not undone.
// Layer: tests. Thread: one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "support/http_client.hpp"

namespace sluice::test {

// A frame as it was received.
struct WsFrame {
  int opcode = 0;
  bool fin = true, masked = false;
  int reserved = 0;  // the three bits
  std::string payload;

  // Of a Close frame; 1005 when it has none.
  int close_code() const {
    if (payload.size() < 2) return 1005;
    return static_cast<unsigned char>(payload[0]) << 8 | static_cast<unsigned char>(payload[1]);
  }
};

class WsClient {
 public:
  static constexpr int kContinuation = 0, kText = 1, kBinary = 2, kClose = 8, kPing = 9, kPong = 10;
  static constexpr std::string_view kKey = "dGhlIHNhbXBsZSBub25jZQ==";
  static constexpr std::string_view kAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

  // Connects, and shakes hands for `target`; `fields` are complete lines that go along.
  explicit WsClient(std::uint16_t port, std::string_view target = "/", std::string_view fields = {},
                    std::chrono::milliseconds timeout = std::chrono::seconds(20))
      : http_(port, "127.0.0.1", timeout) {
    http_.send(handshake(target, fields));
    reply_ = http_.read();
  }

  static std::string handshake(std::string_view target, std::string_view fields = {}) {
    std::string text("GET ");
    text.append(target).append(
        " HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ");
    text.append(kKey).append("\r\n").append(fields).append("\r\n");
    return text;
  }

  // Header and payload; `reserved` are the three bits behind FIN.
  static std::string frame(int opcode, std::string_view payload, bool fin = true, bool mask = true,
                           int reserved = 0) {
    std::string text;
    text.push_back(static_cast<char>((fin ? 0x80 : 0) | reserved << 4 | opcode));
    const int masked = mask ? 0x80 : 0;
    if (payload.size() < 126) {
      text.push_back(static_cast<char>(masked | static_cast<int>(payload.size())));
    } else {
      const bool large = payload.size() > 0xffff;
      text.push_back(static_cast<char>(masked | (large ? 127 : 126)));
      for (int shift = large ? 56 : 8; shift >= 0; shift -= 8) {
        text.push_back(
            static_cast<char>(static_cast<std::uint64_t>(payload.size()) >> shift & 255));
      }
    }
    if (!mask) return text.append(payload);
    constexpr char kMask[] = {'\x5a', '\x13', '\x7f', '\xc1'};
    text.append(kMask, 4);
    for (std::size_t i = 0; i < payload.size(); ++i) {
      text.push_back(static_cast<char>(payload[i] ^ kMask[i % 4]));
    }
    return text;
  }
  static std::string close_frame(int code, std::string_view reason = {}) {
    std::string payload{static_cast<char>(code >> 8), static_cast<char>(code & 255)};
    return frame(kClose, payload.append(reason));
  }

  bool is_open() const { return reply_.status == 101; }
  const HttpReply& reply() const { return reply_; }
  HttpClient& http() { return http_; }

  bool send(std::string_view bytes) { return http_.send(bytes); }
  bool text(std::string_view message) { return send(frame(kText, message)); }
  bool binary(std::string_view message) { return send(frame(kBinary, message)); }
  bool ping(std::string_view payload = {}) { return send(frame(kPing, payload)); }
  bool close(int code = 1000, std::string_view reason = {}) {
    return send(close_frame(code, reason));
  }

  // Nothing at the end of the connection and when time is over.
  std::optional<WsFrame> read_frame() {
    std::string head;
    if (!http_.read_bytes(2, head)) return std::nullopt;
    WsFrame frame;
    const int first = static_cast<unsigned char>(head[0]);
    const int second = static_cast<unsigned char>(head[1]);
    frame.fin = (first & 0x80) != 0;
    frame.reserved = first >> 4 & 7;
    frame.opcode = first & 15;
    frame.masked = (second & 0x80) != 0;
    std::uint64_t size = static_cast<std::uint64_t>(second & 0x7f);
    if (size >= 126) {
      std::string more;
      if (!http_.read_bytes(size == 126 ? 2 : 8, more)) return std::nullopt;
      size = 0;
      for (char c : more) size = size << 8 | static_cast<unsigned char>(c);
    }
    if (!http_.read_bytes(static_cast<std::size_t>(size), frame.payload)) return std::nullopt;
    return frame;
  }
  // The payload of the next frame that is no ping or pong; "(end)" when there is none, and
  // "(close CODE)" for a Close.
  std::string read() {
    for (;;) {
      std::optional<WsFrame> frame = read_frame();
      if (!frame) return "(end)";
      if (frame->opcode == kPing || frame->opcode == kPong) continue;
      if (frame->opcode != kClose) return std::move(frame->payload);
      return "(close " + std::to_string(frame->close_code()) + ")";
    }
  }
  // Reads up to a Close frame and gives its code; 0 when the connection ended without one.
  int read_close() {
    for (;;) {
      std::optional<WsFrame> frame = read_frame();
      if (!frame) return 0;
      if (frame->opcode == kClose) return frame->close_code();
    }
  }
  // The whole closing handshake from our side: the server's code, and its FIN.
  bool close_and_wait(int code = 1000) { return close(code) && read_close() != 0 && at_end(); }
  bool at_end() { return http_.at_end(); }
  void end_sending() { http_.end_sending(); }

 private:
  HttpClient http_;
  HttpReply reply_;
};

}  // namespace sluice::test
