// core/front.hpp - the portability seam: whoever delivers exchanges implements this.
//
// A front (own sockets, the broker's streams, the Windows driver) gives the core one Exchange per
// request and carries the answer away. What becomes a WebSocket becomes a ByteStream. Layer: core.
// Thread: the connection's shard, all of it.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

#include <sluice/bytes.hpp>
#include <sluice/error.hpp>

#include "base/block.hpp"
#include "base/shared_bytes.hpp"

namespace sluice::core {

class Exchange;

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
  virtual void commit(std::size_t bytes, bool droppable) = 0;  // droppable: see write_block()
  virtual void write(Bytes bytes) = 0;                         // copies
  // Sends a part of `block` and keeps the block until then. `droppable`: a whole message that
  // drop_oldest() may take back.
  virtual void write_block(base::Block& block, Bytes part, bool droppable) = 0;
  virtual void write_shared(const base::SharedBytes& bytes, bool droppable) = 0;
  // What is written in between leaves with uncork() and not at the end of the turn. Nobody is told
  // of anything meanwhile.
  virtual void cork() = 0;
  virtual void uncork() = 0;
  // Takes back the oldest droppable messages that are not under way until `room` bytes are free.
  // Returns how many messages.
  virtual std::size_t drop_oldest(std::size_t room) = 0;

  virtual std::size_t queued() const = 0;  // bytes that wait to be sent
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
  virtual void end_stream(Exchange& exchange, std::string_view trailer_lines) = 0;
  // No answer can be given, or not to its end: the connection (or stream) is closed.
  virtual void break_off(Exchange& exchange, const Error& why) = 0;
  virtual void pause_body(Exchange& exchange) = 0;
  virtual void resume_body(Exchange& exchange) = 0;
  // Sends the 101 with `fields` (complete lines) and ends the exchange. The connection is a byte
  // stream from here on, of which `events` is told.
  virtual void upgrade(Exchange& exchange, std::string_view fields, StreamPtr events) = 0;

 protected:
  ~ExchangePort() = default;
};

// What a front must do with a request's body, as the core decided from its head.
struct BodyPlan {
  enum class Kind : std::uint8_t {
    read,      // give it to ServerSession::on_body
    answered,  // the exchange was answered from its head alone: do not read the body
  } kind = Kind::read;
  std::uint64_t limit = 0;  // more than this: 413
};

}  // namespace sluice::core
