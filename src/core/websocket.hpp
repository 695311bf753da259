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
#include "proto/http/head.hpp"
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

  void attach();                               // the 101 has been sent
  void opened(const http::RequestHead& head);  // on_connect

  // `own`: called in an event of this very connection. Such a send is accepted while the queue is
  // below the budget, and reading pauses when it is over; any other send over the budget obeys
  // options.slow_reader.
  // `promised`: its handler, on the pool, has been told that it is queued.
  SendStatus send(ws::Opcode opcode, Bytes payload, std::size_t fragment_size, bool own,
                  bool promised = false);
  // The same, with a receipt that is told once it has been queued; else it is the caller's.
  SendStatus send_told(ws::Opcode opcode, Bytes payload, std::size_t fragment_size, bool own,
                       bool promised, const std::shared_ptr<Receipt>& receipt);
  // send(), of which on_asynchronous is told if it is to be told of all.
  SendStatus send_tagged(ws::Opcode opcode, Bytes payload, std::size_t fragment_size, bool own,
                         std::uint64_t tag);
  // A broadcast's frame, made once for the shard. False when it was dropped.
  bool send_frame(base::Block& block, Bytes frame);
  // Several of them, side by side in `run`.
  void send_frames(base::Block& block, Bytes run, std::span<const std::uint32_t> sizes);
  // The window of compressed messages that it is sent; 0: it gets none.
  unsigned sent_window() const {
    return deflate_ ? connection_.destination().deflate->server_window_bits : 0;
  }
  SendStatus ping(std::string_view payload);
  SendStatus close(std::uint16_t code, std::string_view reason);
  void disconnect(const Error& why);
  // The connection is being ended: nothing more is told but on_disconnect, nothing more is sent.
  void cut_off() { failed_ = true; }
  // The heartbeat's (heartbeat.cpp): this connection's turn has come; its pong has not.
  void beat();
  void no_pong(std::uint64_t sent);
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
  static constexpr std::size_t kControlBytes = 125;  // in a control frame at most
  explicit WebSocket(Connection& connection);
  ~WebSocket() override;
  const WebSocketHandlers& handlers() const { return *connection_.destination().handlers; }
  Incoming& incoming();
  void rest();
  void decode(base::Block& block, std::span<std::byte> bytes);
  void on_event(base::Block& block, const ws::Event& event);
  void on_piece(base::Block& block, const ws::Event& event);
  bool collect(std::span<const std::byte> piece);
  void frame_ended(const ws::Event& event);
  // Compressed messages (websocket_deflate.cpp).
  void on_compressed(const ws::Event& event);
  bool begin_inflating(ws::Opcode opcode, std::uint64_t limit);
  bool make_message_room(std::uint64_t limit);
  struct Packed {
    base::BlockRef block;  // null: the message goes as it is
    Bytes bytes;
  };
  // `refers`: to messages before, where that was agreed upon.
  Packed pack(Bytes payload, bool refers);
  SendStatus put_compressed(ws::Opcode opcode, Bytes payload, std::size_t fragment_size, bool own,
                            bool promised);
  void forget_sent();
  void drop_contexts() noexcept;
  void deliver(base::Block& block, ws::Opcode opcode, Bytes message);
  void deliver_fragment(base::Block& block, ws::Opcode opcode, Bytes fragment, bool more);
  // Runs `call` where handlers run; `block` is kept until it has returned.
  template <class Call>
  void dispatch(std::string_view name, base::Block* block, std::size_t bytes, Call&& call);
  void handler_threw();
  void send_heartbeat();
  void on_pong();
  void end_after_events(bool by_close);
  void answer_close();
  void end_quietly();
  void peer_closed(const ws::Event& event);
  void fail(Errc code);
  void send_close(std::uint16_t code, std::string_view reason);
  void write(ws::Opcode opcode, bool fin, Bytes payload, Marks marks, bool compressed = false);
  SendStatus put(ws::Opcode opcode, Bytes payload, std::size_t fragment_size, bool own,
                 bool promised);
  // One message as it goes out, compressed or not. `keeps`: it is never taken back.
  SendStatus put_bytes(ws::Opcode opcode, Bytes bytes, std::size_t fragment_size, bool own,
                       bool promised, bool compressed, bool keeps);
  // What slow_reader says about a send of `bytes` that finds the queue full.
  bool make_room(std::size_t bytes);
  // What queue_options say about a message of this kind and size. False: it is dropped.
  bool may_wait(Marks kind, std::size_t bytes);
  bool can_send() const {
    return attached_ && !ended_ && !close_sent_ && !failed_ && !finishing_ && !slow_closing_;
  }
  bool sends_plainly() const { return can_send() && !asynchronous_; }
  bool blocked() const { return queue_pause_ || pool_pause_; }
  void pause_when_full();
  void update_reading();

  // In the order that packs them best.
  std::uint16_t close_code_ = 0;  // what on_disconnect will say; 0: none yet
  bool attached_ : 1 = false, close_sent_ : 1 = false, finishing_ : 1 = false,
                   connected_ : 1 = false, ended_ : 1 = false, slow_ : 1 = false,
                   queue_pause_ : 1 = false, pool_pause_ : 1 = false;
  bool reading_ : 1 = true, peer_ended_ : 1 = false, failed_ : 1 = false, slow_closing_ : 1 = false;
  // For the heartbeat: bytes came since its last look (the handshake, at first); a pong is due.
  bool heard_ : 1 = true, awaits_pong_ : 1 = false;
  bool asynchronous_ : 1 = false;  // the setting
  bool deflate_ : 1 = false;       // the destination says what was agreed upon
  Connection& connection_;
  Incoming* incoming_ = nullptr;  // ours; null between messages
};

static_assert(sizeof(WebSocket) <= 40);

}  // namespace sluice::core
