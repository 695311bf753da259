// core/front.hpp - the portability seam: whoever delivers exchanges implements this.
//
// A front (own sockets, the broker's streams, the Windows driver) gives the core one Exchange per
// request and carries the answer away. What becomes a WebSocket becomes a ByteStream. Layer: core.
// Thread: the connection's shard, all of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include <sluice/bytes.hpp>
#include <sluice/error.hpp>

#include "base/block.hpp"
#include "base/shared_bytes.hpp"
#include "core/receipt.hpp"

namespace sluice::core {

class Connection;
class Exchange;

// What of a stream may be taken back while it waits, as bits.
using Marks = std::uint8_t;
inline constexpr Marks kKept = 0;
inline constexpr Marks kDroppable = 1;  // a whole message that drop_oldest() may take
// A whole message of a kind of which only the newest waits; see ByteStream::drop.
inline constexpr Marks kText = 4, kBinary = 8, kPing = 16;

// Told what happens on an upgraded connection. Owned by the connection, which calls on_ended
// exactly once and last.
class StreamEvents {
 public:
  // `bytes` may be changed in place; they live for the call, longer for whoever shares `block`.
  virtual void on_bytes(base::Block& block, std::span<std::byte> bytes) = 0;
  virtual void on_end() = 0;  // the peer will send no more
  virtual void
  on_writable() = 0;  // the queue fell below half of the budget after it had been above
  virtual void on_drain(std::uint16_t close_code) = 0;  // the server stops: say good-bye
  virtual void on_timer() = 0;  // the deadline given to ByteStream::set_deadline has come
  virtual void on_ended(const Error& why) = 0;
  virtual void destroy() { delete this; }  // where its memory came from is its own business

 protected:
  virtual ~StreamEvents() = default;
};

struct DestroyStream {
  void operator()(StreamEvents* events) const { events->destroy(); }
};
using StreamPtr = std::unique_ptr<StreamEvents, DestroyStream>;

// An upgraded connection: bytes both ways. All that one wake-up writes leaves in one send.
class ByteStream {
 public:
  // Room for `bytes` that commit() then sends; valid until the next call. At most 8,192 bytes.
  virtual std::byte* reserve(std::size_t bytes) = 0;
  virtual void commit(std::size_t bytes, Marks marks) = 0;
  virtual void write(Bytes bytes) = 0;  // copies
  // Sends a part of `block` and keeps the block until then.
  virtual void write_block(base::Block& block, Bytes part, Marks marks) = 0;
  virtual void write_shared(const base::SharedBytes& bytes, Marks marks) = 0;
  // What was written last ends a send, whose receipt this is.
  virtual void tell_when_sent(std::shared_ptr<Receipt> receipt) = 0;
  // What is written in between leaves with uncork() and not at the end of the turn. Nobody is told
  // of anything meanwhile.
  virtual void cork() = 0;
  virtual void uncork() = 0;
  // Takes back the oldest droppable messages that are not under way until `room` bytes are free.
  // Returns how many messages.
  virtual std::size_t drop_oldest(std::size_t room) = 0;
  // Takes back what waits, is not under way and has one of these marks. Returns how many messages.
  virtual std::size_t drop(Marks marks) = 0;
  // What is written now waits: the peer has not taken what was sent before, or may not get more
  // yet.
  virtual bool is_held() const = 0;
  // It waits for its share of limits.bandwidth, not for the peer.
  virtual bool is_rationed() const = 0;
  // Bytes that drop() would take back.
  virtual std::size_t droppable(Marks marks) const = 0;

  virtual std::size_t queued() const = 0;  // bytes that wait to be sent
  // What is queued is too much for whoever writes: on_writable follows.
  virtual void want_writable() {}
  virtual void pause_reading() = 0;
  virtual void resume_reading() = 0;
  // One deadline for the stream's owner, told by on_timer. Zero milliseconds: none.
  virtual void set_deadline(std::uint64_t milliseconds) = 0;
  // The end after everything queued, which the peer has `linger` to take. `until_peer_ends`: a FIN,
  // and what the peer still sends is read and ignored until its own; else both sides are closed.
  virtual void finish(std::uint64_t linger_milliseconds, bool until_peer_ends) = 0;
  // At once, with a reset.
  virtual void abort(const Error& why) = 0;

 protected:
  ~ByteStream() = default;
};

// What the core asks of the front for one exchange.
class ExchangePort {
 public:
  // The answer in `exchange.answer` is complete: send it and end the exchange.
  virtual void respond(Exchange& exchange) = 0;
  // Sends the head; the body follows by write_stream, chunked unless answer.stream_length is set.
  virtual void begin_stream(Exchange& exchange) = 0;
  // False: the budget is used up (the bytes were taken). Exchange::on_writable follows.
  virtual bool write_stream(Exchange& exchange, Bytes bytes) = 0;
  // The same; larger ones are kept until they have left instead of being copied.
  virtual bool write_stream_shared(Exchange& exchange, const base::SharedBytes& bytes) {
    return write_stream(exchange, bytes.bytes());
  }
  // A 1xx with `fields` (complete lines), in front of the answer.
  virtual void interim(Exchange& exchange, int status, std::string_view fields) {
    static_cast<void>(exchange), static_cast<void>(status), static_cast<void>(fields);
  }
  // Trailer lines of the request's body, which has just ended; for the call.
  virtual std::string_view trailers(const Exchange& exchange) {
    static_cast<void>(exchange);
    return {};
  }
  virtual void end_stream(Exchange& exchange, std::string_view trailer_lines) = 0;
  // No answer can be given, or not to its end: the connection (or stream) is closed.
  virtual void break_off(Exchange& exchange, const Error& why) = 0;
  virtual void pause_body(Exchange& exchange) = 0;
  virtual void resume_body(Exchange& exchange) = 0;
  // What on_head() left open (BodyPlan::Kind::later) is decided: the body is read now.
  virtual void decided(Exchange& exchange) = 0;
  // The connection that upgrade() makes a byte stream of; from here on it is exchange.connection,
  // which it was already unless several requests share a socket. std::bad_alloc.
  virtual Connection& stream_connection(Exchange& exchange);
  // Sends the 101 with `fields` (complete lines) and ends the exchange. The connection is a byte
  // stream from here on, of which `events` is told.
  virtual void upgrade(Exchange& exchange, std::string_view fields, StreamPtr events) = 0;
  // Too much of it waits for the thread pool: its body is to wait, whoever else has paused it.
  // Of exchanges that run in parallel; of others the connection is told.
  virtual void pool_pause(Exchange& exchange) { static_cast<void>(exchange); }
  virtual void pool_resume(Exchange& exchange) { static_cast<void>(exchange); }
  // Its handler waits for a thread of the pool from now on: ServerSession::on_queue_timeout
  // follows if it does so for too long.
  virtual void wait_for_thread(Exchange& exchange) { static_cast<void>(exchange); }

 protected:
  ~ExchangePort() = default;
};

// What a front must do with a request's body, as the core decided from its head.
struct BodyPlan {
  enum class Kind : std::uint8_t {
    read,      // give it to ServerSession::on_body
    answered,  // the exchange was answered from its head alone: do not read the body
    later,     // wait for ExchangePort::decided, an answer or an upgrade
  } kind = Kind::read;
  std::uint64_t limit = 0;  // more than this: 413
};

}  // namespace sluice::core
