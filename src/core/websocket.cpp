// core/websocket.cpp - messages in, frames out.
#include "core/websocket.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <new>
#include <utility>

#include "core/connection.hpp"
#include "core/handshake_scope.hpp"
#include "core/incoming.hpp"
#include "core/session.hpp"
#include "core/shard.hpp"
#include "proto/ws/handshake.hpp"

namespace sluice::core {
namespace {

// How long a peer may take to answer a Close frame, and to end its side afterwards.
constexpr std::uint64_t kCloseWait = 5000, kLinger = 2000;
constexpr std::size_t kReasonBytes = 123;

// A text is cut where a character begins.
std::string_view cut(std::string_view text, std::size_t bytes) {
  if (text.size() <= bytes) return text;
  while (bytes > 0 && (static_cast<unsigned char>(text[bytes]) & 0xc0) == 0x80) --bytes;
  return text.substr(0, bytes);
}

}  // namespace

ws::DecoderOptions WebSocket::decoder_options(const SessionSettings& settings) {
  ws::DecoderOptions options;
  options.validate_utf8 = settings.options.validate_utf8;
  options.message_bytes = settings.limits.message_bytes;
  options.fragments = settings.limits.message_fragments;
  return options;
}

StreamPtr WebSocket::make(Connection& connection) {
  Shard& shard = connection.shard();
  // attach() must not fail: there is room in the list from here on.
  std::vector<WebSocket*>& all = shard.websockets;
  if (all.size() == all.capacity()) all.reserve(std::max<std::size_t>(16, all.capacity() * 2));
  return StreamPtr(new (shard.websocket_cells.take()) WebSocket(connection));
}

WebSocket::WebSocket(Connection& connection)
    : asynchronous_(connection.shard().session.settings.asynchronous),
      deflate_(connection.destination().deflate.has_value()),
      connection_(connection) {}

WebSocket::~WebSocket() { delete incoming_; }

void WebSocket::destroy() {
  base::Cells& cells = shard().websocket_cells;
  this->~WebSocket();
  cells.give_back(this);
}

void WebSocket::attach() {
  attached_ = true;
  Shard& own = shard();
  own.broadcasts.hand_out();  // not to those who come later
  place = std::uint32_t(own.websockets.size());
  own.websockets.push_back(this);
  own.counters.websockets.add();
  own.deflate.opened(sent_window());
  connection_.websocket_flag_.store(true, std::memory_order_release);
  if (own.heartbeat.enabled()) own.heartbeat.begin();
}

Incoming& WebSocket::incoming() {
  if (!incoming_) {
    incoming_ = shard().incoming.take(connection_.message_bytes());
    if (deflate_) incoming_->decoder.set_compression(true);
  }
  return *incoming_;
}

// Between messages there is nothing to remember.
void WebSocket::rest() {
  if (incoming_ && incoming_->at_rest()) {
    if (deflate_) incoming_->decoder.set_compression(false);
    shard().incoming.give_back(std::exchange(incoming_, nullptr));
  }
}

template <class Call>
void WebSocket::dispatch(std::string_view name, base::Block* block, std::size_t bytes,
                         Call&& call) {
  Dispatcher& dispatcher = shard().session.dispatcher;
  if (!dispatcher.uses_pool()) {
    if (!dispatcher.call(connection_, name, call)) handler_threw();
    return;
  }
  if (block) block->retain();
  connection_.retain();
  auto threw = std::make_shared<bool>(false);
  PoolQueue::Event event;
  event.bytes = bytes;
  event.work = [connection = &connection_, &dispatcher, name, threw,
                run = std::forward<Call>(call)]() mutable {
    *threw = !dispatcher.call(*connection, name, run);
  };
  event.done = [connection = &connection_, block, threw] {
    if (block) block->release();
    if (WebSocket* socket = connection->websocket(); socket && *threw) socket->handler_threw();
    connection->release();
  };
  dispatcher.submit(connection_, std::move(event));
}

// Ends when the handlers of what came before have run, so that what they send goes first.
void WebSocket::end_after_events(bool by_close) {
  Dispatcher& dispatcher = shard().session.dispatcher;
  if (!dispatcher.uses_pool()) return by_close ? answer_close() : end_quietly();
  connection_.retain();
  PoolQueue::Event event;
  event.work = [] {};
  event.done = [connection = &connection_, by_close] {
    WebSocket* socket = connection->websocket();
    if (socket && !socket->ended_) by_close ? socket->answer_close() : socket->end_quietly();
    connection->release();
  };
  dispatcher.submit(connection_, std::move(event));
}

void WebSocket::handler_threw() {
  if (!ended_) close(1011, {});
}

void WebSocket::opened(const http::RequestHead& head) {
  connected_ = true;
  const auto& handler =
      handlers().on_connect ? handlers().on_connect : shard().session.events.websocket.on_connect;
  if (!handler) return;
  if (!shard().session.dispatcher.uses_pool()) {
    HandshakeScope request(connection_, head);
    dispatch("on_connect", nullptr, 0,
             [&handler, connection = &connection_] { handler(connection->handle()); });
    return;
  }
  auto fields = std::make_shared<const Headers>(copy_of(head));
  dispatch("on_connect", nullptr, 0, [&handler, connection = &connection_, fields] {
    HandshakeScope request(*connection, *fields);
    handler(connection->handle());
  });
}

// --- In ------------------------------------------------------------------------------------------

void WebSocket::on_bytes(base::Block& block, std::span<std::byte> bytes) {
  if (failed_ || finishing_) return;  // nothing counts any more: what comes is dropped
  heard_ = true;
  Incoming& in = incoming();
  if (!blocked() && !in.kept) {
    decode(block, bytes);
    rest();
    return;
  }
  // Behind what waits already.
  std::size_t left = in.kept_size - in.kept_at;
  base::BlockRef joined = shard().blocks.take(left + bytes.size());
  if (!joined) return fail(Errc::out_of_memory);
  if (left > 0) std::memcpy(joined->data(), in.kept->data() + in.kept_at, left);
  std::memcpy(joined->data() + left, bytes.data(), bytes.size());
  in.kept = std::move(joined);
  in.kept_at = 0;
  in.kept_size = std::uint32_t(left + bytes.size());
}

void WebSocket::decode(base::Block& block, std::span<std::byte> bytes) {
  Incoming& in = *incoming_;
  while (!bytes.empty()) {
    auto parsed = in.decoder.decode(bytes);
    if (parsed.needs_more()) return;
    if (parsed.is_bad()) return fail(parsed.error());
    bytes = bytes.subspan(parsed.used());
    on_event(block, parsed.value());
    if (failed_ || finishing_ || ended_) return;
    if (blocked() && !bytes.empty()) {
      in.kept = shard().blocks.take(bytes.size());
      if (!in.kept) return fail(Errc::out_of_memory);
      std::memcpy(in.kept->data(), bytes.data(), bytes.size());
      in.kept_at = 0;
      in.kept_size = std::uint32_t(bytes.size());
      return;
    }
  }
}

void WebSocket::on_event(base::Block& block, const ws::Event& event) {
  switch (event.kind) {
    case ws::Event::Kind::piece:
      on_piece(block, event);
      break;
    case ws::Event::Kind::pong:
      on_pong();
      break;
    case ws::Event::Kind::ping:
      if (close_sent_) break;
      write(ws::Opcode::pong, true, event.data, kKept);
      pause_when_full();  // a peer that reads no pongs is not read either
      break;
    case ws::Event::Kind::close:
      peer_closed(event);
      break;
  }
}

void WebSocket::on_piece(base::Block& block, const ws::Event& event) {
  if (event.compressed) [[unlikely]]
    return on_compressed(event);
  FragmentedMessages mode = shard().settings().options.fragmented_messages;
  bool fragments = mode != FragmentedMessages::only_buffer;
  if (event.message_begin && event.message_end) {
    if (fragments) deliver_fragment(block, event.opcode, event.data, false);
    if (mode != FragmentedMessages::only_fragmented && !ended_)
      deliver(block, event.opcode, event.data);
    return;
  }
  Incoming& in = *incoming_;
  if (event.message_begin) {
    in.message_size = in.fragment_at = 0;
    std::size_t expected = event.data.size() + std::min<std::uint64_t>(event.frame_left, 16384);
    if (!in.message) in.message = shard().blocks.take(std::max<std::size_t>(expected, 1));
  }
  if (!collect(event.data)) return fail(Errc::out_of_memory);
  if (event.frame_end) frame_ended(event);
}

// A frame is whole, and its bytes are the last of the message so far.
void WebSocket::frame_ended(const ws::Event& event) {
  const FragmentedMessages mode = shard().settings().options.fragmented_messages;
  Incoming& in = *incoming_;
  // What the handler gets stays in the block that was filled; the rest of the message gets another.
  base::BlockRef filled = in.message;
  Bytes all{filled->data(), in.message_size};
  Bytes fragment = all.subspan(in.fragment_at);
  if (mode != FragmentedMessages::only_buffer) {
    deliver_fragment(*filled, event.opcode, fragment, !event.message_end);
  }
  if (ended_) return;
  in.fragment_at = in.message_size;
  if (mode == FragmentedMessages::only_fragmented) {
    in.message.reset();
    in.message_size = in.fragment_at = 0;
    if (!event.message_end) in.message = shard().blocks.take(1);
  }
  if (!event.message_end) return;
  in.message.reset();
  if (mode != FragmentedMessages::only_fragmented) deliver(*filled, event.opcode, all);
}

// Appends to the message. The block is shared with handlers on the pool in the `all` mode: growing
// makes a new one.
bool WebSocket::collect(std::span<const std::byte> piece) {
  Incoming& in = *incoming_;
  std::size_t size = in.message_size + piece.size();
  if (!in.message || size > in.message->capacity()) {
    base::BlockRef larger = shard().blocks.take(
        std::max(size, in.message ? std::size_t{in.message->capacity()} * 2 : size));
    if (!larger) return false;
    if (in.message) std::memcpy(larger->data(), in.message->data(), in.message_size);
    in.message = std::move(larger);
  }
  if (!piece.empty()) std::memcpy(in.message->data() + in.message_size, piece.data(), piece.size());
  in.message_size = std::uint32_t(size);
  return true;
}

void WebSocket::deliver(base::Block& block, ws::Opcode opcode, Bytes message) {
  Shard& here = shard();
  here.counters.messages_received.add();
  connection_.last_message_seconds.store(std::uint32_t(here.wall_seconds()),
                                         std::memory_order_relaxed);
  const WebSocketHandlers& of_route = handlers();
  const WebSocketHandlers& own = here.session.events.websocket;
  if (opcode == ws::Opcode::text) {
    const auto& handler = of_route.on_message ? of_route.on_message : own.on_message;
    if (!handler) return;
    dispatch("on_message", &block, message.size(), [&handler, connection = &connection_, message] {
      handler(connection->handle(), as_text(message));
    });
  } else {
    const auto& handler = of_route.on_binary ? of_route.on_binary : own.on_binary;
    if (!handler) return;
    dispatch("on_binary", &block, message.size(), [&handler, connection = &connection_, message] {
      handler(connection->handle(), message);
    });
  }
}

void WebSocket::deliver_fragment(base::Block& block, ws::Opcode opcode, Bytes fragment, bool more) {
  const auto& handler = handlers().on_fragmented ? handlers().on_fragmented
                                                 : shard().session.events.websocket.on_fragmented;
  if (!handler) return;
  auto kind = opcode == ws::Opcode::text ? sluice::Opcode::text : sluice::Opcode::binary;
  dispatch("on_fragmented", &block, fragment.size(),
           [&handler, connection = &connection_, fragment, kind, more] {
             handler(connection->handle(), fragment, kind, more);
           });
}

void WebSocket::peer_closed(const ws::Event& event) {
  close_code_ = event.close_code;
  end_after_events(true);
}

void WebSocket::answer_close() {
  if (finishing_) return;
  if (!close_sent_) send_close(close_code_ == 1005 ? std::uint16_t{1000} : close_code_, {});
  finishing_ = true;
  // Each side has closed: the server ends TCP first, at once (RFC 6455, section 7.1.1).
  connection_.finish(kLinger, false);
}

void WebSocket::on_end() {
  peer_ended_ = true;
  end_after_events(false);
}

// No Close frame came (or none will): what is queued still goes out.
void WebSocket::end_quietly() {
  if (finishing_) return;
  shard().broadcasts.hand_out();
  finishing_ = true;
  connection_.finish(kLinger, true);
}

// A protocol error of the peer's: Close with its code, then the end.
void WebSocket::fail(Errc code) {
  if (failed_ || ended_) return;
  failed_ = true;
  if (incoming_) {  // may be much, and the peer has time to end its side: nobody reads on
    incoming_->message.reset();
    incoming_->kept.reset();
    incoming_->inflater.reset();
  }
  shard().session.failed_event(connection_, code);
  int wire = info(code).wire;
  auto close_code = std::uint16_t(wire >= 1000 && wire < 5000 ? wire : 1011);
  if (!close_sent_) {
    send_close(close_code, info(code).sentence);
    close_code_ = close_code;
  }
  finishing_ = true;
  connection_.finish(kLinger, true);
}

// --- The end -------------------------------------------------------------------------------------

void WebSocket::send_close(std::uint16_t code, std::string_view reason) {
  std::byte payload[kControlBytes];
  reason = cut(reason, kReasonBytes);
  payload[0] = std::byte(code >> 8);
  payload[1] = std::byte(code & 255);
  if (!reason.empty()) std::memcpy(payload + 2, reason.data(), reason.size());
  write(ws::Opcode::close, true, {payload, 2 + reason.size()}, kKept);
  close_sent_ = true;
}

SendStatus WebSocket::close(std::uint16_t code, std::string_view reason) {
  if (!can_send()) return SendStatus::gone;
  if (!shard().settings().options.clean_disconnect) {
    disconnect({});
    return SendStatus::queued;
  }
  if (!ws::may_be_sent(code)) code = 1000;
  send_close(code, reason);
  close_code_ = code;
  connection_.set_deadline(kCloseWait);
  return SendStatus::queued;
}

void WebSocket::disconnect(const Error& why) {
  if (!ended_ && attached_) connection_.abort(why);
}

void WebSocket::on_drain(std::uint16_t close_code) {
  if (close_sent_ && !finishing_) {
    connection_.set_deadline(kCloseWait);  // the drain's own delay took the place of this one
  } else {
    close(close_code, {});
  }
}

void WebSocket::on_timer() {
  // The peer has not answered our Close frame.
  if (close_sent_ && !finishing_) {
    finishing_ = true;
    connection_.finish(kLinger, true);
  }
}

// --- Pausing -------------------------------------------------------------------------------------

void WebSocket::pool_pause(bool paused) {
  pool_pause_ = paused;
  update_reading();
}

void WebSocket::on_writable() {
  slow_ = false;
  connection_.send_full.store(false, std::memory_order_relaxed);
  if (!queue_pause_) return;
  queue_pause_ = false;
  update_reading();
}

void WebSocket::update_reading() {
  if (ended_ || !attached_) return;
  if (blocked()) {
    if (reading_) connection_.pause_reading();
    reading_ = false;
    return;
  }
  if (incoming_ && incoming_->kept) {
    Incoming& in = *incoming_;
    base::BlockRef waited = std::move(in.kept);
    std::span<std::byte> bytes{waited->data() + in.kept_at, in.kept_size - in.kept_at};
    in.kept_size = in.kept_at = 0;
    if (!failed_ && !finishing_) decode(*waited, bytes);
    if (blocked() || ended_) return;
  }
  rest();
  if (!reading_) {
    reading_ = true;
    connection_.resume_reading();
  }
}

void WebSocket::on_ended(const Error& why) {
  if (ended_) return;
  shard().broadcasts.hand_out();
  ended_ = true;
  shard().channels.unsubscribe_all(*this);
  std::vector<WebSocket*>& all = shard().websockets;
  WebSocket* last = all.back();
  all[place] = last;
  last->place = place;
  all.pop_back();
  shard().counters.websockets.subtract();
  shard().deflate.closed(sent_window());
  connection_.websocket_flag_.store(false, std::memory_order_release);
  delete std::exchange(incoming_, nullptr);
  if (deflate_) drop_contexts();
  if (asynchronous_) {
    connection_.home().pending_sends->end_all(connection_);
    shard().ended_sends.tell(shard().session);
  }
  if (why && why.code != Errc::connection_closed && close_code_ == 0) {
    try {
      shard().session.failed_event(connection_, why);
    } catch (const std::bad_alloc&) {  // on_disconnect comes all the same
    }
  }
  if (!connected_) return;
  std::uint16_t code = close_code_ ? close_code_ : std::uint16_t{1006};
  const auto& handler = handlers().on_disconnect ? handlers().on_disconnect
                                                 : shard().session.events.websocket.on_disconnect;
  if (!handler) return;
  dispatch("on_disconnect", nullptr, 0,
           [&handler, connection = &connection_, code] { handler(connection->handle(), code); });
}

}  // namespace sluice::core
