// core/websocket.hpp - RFC 6455 over any byte stream.
//
// Layer: core. Thread: shard.
#pragma once

#include <cstdint>
#include <span>
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

  // `own`: called in an event of this very connection. Such a send is accepted while the queue is
  // below the budget, and reading pauses when it is over; any other send over the budget obeys
  // options.slow_reader.
  // `promised`: its handler, on the pool, has been told that it is queued.
  SendStatus send(ws::Opcode opcode, Bytes payload, std::size_t fragment_size, bool own,
                  bool promised = false);
  // A broadcast's frame, made once for the shard. False when it was dropped.
  bool send_frame(base::Block& block, Bytes frame);
  // Several of them, side by side in `run`.
  void send_frames(base::Block& block, Bytes run, std::span<const std::uint32_t> sizes);
  SendStatus ping(std::string_view payload);
  SendStatus close(std::uint16_t code, std::string_view reason);
  void disconnect(const Error& why);
  // The connection is being ended: nothing more is told but on_disconnect, nothing more is sent.
  void cut_off() { failed_ = true; }
  // The thread pool has too much of this connection, or room again.
  void pool_pause(bool paused);

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
  void decode(base::Block& block, std::span<std::byte> bytes);
  void on_event(base::Block& block, const ws::Event& event);
  void on_piece(base::Block& block, const ws::Event& event);
  bool collect(std::span<const std::byte> piece);
  void deliver(base::Block& block, ws::Opcode opcode, Bytes message);
  void deliver_fragment(base::Block& block, ws::Opcode opcode, Bytes fragment, bool more);
  // Runs `call` where handlers run; `block` is kept until it has returned.
  template <class Call>
  void dispatch(std::string_view name, base::Block* block, std::size_t bytes, Call&& call);
  void handler_threw();
  void end_after_events(bool by_close);
  void answer_close();
  void end_quietly();
  void peer_closed(const ws::Event& event);
  void fail(Errc code);
  void send_close(std::uint16_t code, std::string_view reason);
  void write(ws::Opcode opcode, bool fin, Bytes payload, bool droppable);
  // What slow_reader says about a send of `bytes` that finds the queue full.
  bool make_room(std::size_t bytes);
  bool can_send() const {
    return stream_ && !ended_ && !close_sent_ && !failed_ && !finishing_ && !slow_closing_;
  }
  bool blocked() const { return queue_pause_ || pool_pause_; }
  void pause_when_full();
  void update_reading();

  Shard& shard_;
  Connection& connection_;
  const WebSocketHandlers& handlers_;
  ByteStream* stream_ = nullptr;
  ws::Decoder decoder_;
  base::BlockRef message_;  // the pieces of a message so far
  base::BlockRef kept_;     // received bytes that wait until reading goes on
  std::uint32_t message_size_ = 0, kept_size_ = 0, kept_at_ = 0;
  std::uint32_t fragment_at_ = 0;  // where the current frame began in message_
  std::uint16_t close_code_ = 0;   // what on_disconnect will say; 0: none yet
  std::uint16_t drain_code_ = 0;
  bool close_sent_ = false, finishing_ = false, connected_ = false, ended_ = false, slow_ = false;
  bool queue_pause_ = false, pool_pause_ = false, reading_ = true, peer_ended_ = false,
       failed_ = false, slow_closing_ = false;
};

}  // namespace sluice::core
