// core/websocket.hpp - RFC 6455 over any byte stream.
//
// Layer: core. Thread: shard.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include <sluice/server.hpp>

#include "base/block.hpp"
#include "base/clock.hpp"
#include "core/channel.hpp"
#include "core/front.hpp"
#include "proto/ws/decoder.hpp"

namespace sluice::core {

class Connection;
class Shard;

class WebSocket final : public StreamEvents {
 public:
  // `handlers` outlives it. The stream is set by attach(), once the 101 has been sent.
  WebSocket(Shard& shard, Connection& connection, const WebSocketHandlers& handlers);
  ~WebSocket() override;

  void attach(ByteStream& stream);
  void opened();  // on_connect

  // Frames and queues. `from_peer_event`: an answer to this peer's own message; others obey slow_reader.
  SendStatus send(ws::Opcode opcode, Bytes payload, std::size_t fragment_size);
  // A broadcast's frame, made once for the shard. False when it was dropped.
  bool send_frame(base::Block& block, Bytes frame);
  SendStatus ping(std::string_view payload);
  SendStatus close(std::uint16_t code, std::string_view reason);
  void disconnect(const Error& why);

  void on_bytes(base::Block& block, std::span<std::byte> bytes) override;
  void on_end() override;
  void on_writable() override;
  void on_drain(std::uint16_t close_code) override;
  void on_timer() override;
  void on_ended(const Error& why) override;

  Connection& connection() { return connection_; }
  Shard& shard() { return shard_; }

  std::vector<Subscription> subscriptions;
  std::uint32_t place = 0;  // in Shard::websockets

 private:
  void on_piece(base::Block& block, const ws::Event& event);
  void deliver(base::Block& block, ws::Opcode opcode, Bytes message);
  void deliver_fragment(base::Block& block, Bytes fragment, bool more);
  bool collect(std::span<const std::byte> piece);
  void control(const ws::Event& event);
  void peer_closed(const ws::Event& event);
  void fail(Errc code);
  void send_close(std::uint16_t code, std::string_view reason);
  bool has_room(std::size_t bytes);
  bool slow_reader_full(std::size_t bytes);
  void leave();

  Shard& shard_;
  Connection& connection_;
  const WebSocketHandlers& handlers_;
  ByteStream* stream_ = nullptr;
  ws::Decoder decoder_;
  base::BlockRef message_;         // the pieces of a message so far
  std::uint32_t message_size_ = 0;
  std::uint32_t fragment_at_ = 0;  // where the current frame began in message_
  std::uint16_t close_code_ = 0;   // what on_disconnect will say; 0: none yet
  std::uint16_t drain_code_ = 0;
  bool close_sent_ = false, close_received_ = false, connected_ = false, reading_paused_ = false;
  bool ended_ = false, slow_ = false;
};

}  // namespace sluice::core
