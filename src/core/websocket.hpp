// core/websocket.hpp - RFC 6455 over any byte stream.
//
// Layer: core. Thread: shard.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include <sluice/server.hpp>

#include "base/block.hpp"
#include "base/clock.hpp"
#include "core/channel.hpp"
#include "core/connection.hpp"
#include "core/front.hpp"
#include "proto/ws/decoder.hpp"

namespace sluice::core {

class Shard;
struct Incoming;
struct SessionSettings;

// Ten thousand idle ones shall take little: what is needed for part of a message is in `incoming_`.
class WebSocket final : public StreamEvents {
 public:
  // In a cell of the shard. The connection's destination has its handlers, which outlive it.
  static StreamPtr make(Connection& connection);
  static ws::DecoderOptions decoder_options(const SessionSettings& settings);

  void attach();  // the 101 has been sent
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
  void destroy() override;

  Connection& connection() { return connection_; }
  Shard& shard() { return connection_.shard(); }

  Subscriptions subscriptions;
  std::uint32_t place = 0;  // in Shard::websockets

 private:
  explicit WebSocket(Connection& connection);
  ~WebSocket() override;
  const WebSocketHandlers& handlers() const { return *connection_.destination().handlers; }
  Incoming& incoming();
  void rest();
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
    return attached_ && !ended_ && !close_sent_ && !failed_ && !finishing_ && !slow_closing_;
  }
  bool blocked() const { return queue_pause_ || pool_pause_; }
  void pause_when_full();
  void update_reading();

  // In the order that packs them best.
  std::uint16_t close_code_ = 0;  // what on_disconnect will say; 0: none yet
  bool attached_ : 1 = false, close_sent_ : 1 = false, finishing_ : 1 = false,
                   connected_ : 1 = false, ended_ : 1 = false, slow_ : 1 = false,
                   queue_pause_ : 1 = false, pool_pause_ : 1 = false;
  bool reading_ : 1 = true, peer_ended_ : 1 = false, failed_ : 1 = false, slow_closing_ : 1 = false;
  Connection& connection_;
  Incoming* incoming_ = nullptr;  // ours; null between messages
};

static_assert(sizeof(WebSocket) <= 40);

}  // namespace sluice::core
