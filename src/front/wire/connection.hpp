// front/wire/connection.hpp - one client on a socket of ours: HTTP/1.1, then perhaps a byte stream.
//
// RFC 9112. One object per connection: what core knows of it, its socket, its queue and the state
// of its parser; no buffer while it is idle. Layer: front/wire. Thread: shard.
#pragma once

#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <string_view>

#include "base/block.hpp"
#include "base/timer_wheel.hpp"
#include "core/connection.hpp"
#include "core/front.hpp"
#include "front/wire/out_queue.hpp"
#include "io/engine.hpp"
#include "proto/http1/chunked_decoder.hpp"
#include "proto/http1/request_decoder.hpp"
#include "proto/http1/response_encoder.hpp"

namespace sluice::wire {

class Loop;

class Connection final : public core::Connection,
                         public core::ExchangePort,
                         public core::ByteStream,
                         public io::SocketEvents {
 public:
  Connection(Loop& loop, core::Endpoint peer, core::Endpoint own);

  // Takes the descriptor over and starts to receive.
  void open(int fd);
  // 503, then the end: there are too many connections.
  void open_busy(int fd);

  // Sends what is queued. Called once a turn.
  void flush();
  // Goes on with received bytes that waited for an answer.
  void go_on();
  // The server stops: ends now if idle, after the answer if not. WebSockets get `close_code` after
  // `delay`.
  void drain(std::uint16_t close_code, base::Duration delay);
  void abort_now(const Error& why);
  // Called every few seconds while bytes wait: ends a connection whose peer takes less than
  // min_send_rate.
  void check_send_rate();
  bool waits_to_send() const { return !out_.empty(); }

  // core::Connection
  void disconnect(const Error& why) override;
  void pool_pause() override;
  void pool_resume() override;

  // core::ExchangePort
  void respond(core::Exchange& exchange) override;
  void begin_stream(core::Exchange& exchange) override;
  bool write_stream(core::Exchange& exchange, Bytes bytes) override;
  void end_stream(core::Exchange& exchange, std::string_view trailer_lines) override;
  void break_off(core::Exchange& exchange, const Error& why) override;
  void pause_body(core::Exchange& exchange) override;
  void resume_body(core::Exchange& exchange) override;
  core::ByteStream& upgrade(core::Exchange& exchange, std::string_view fields,
                            std::unique_ptr<core::StreamEvents> events) override;

  // core::ByteStream
  std::byte* reserve(std::size_t bytes) override;
  void commit(std::size_t bytes, bool droppable) override;
  void write(Bytes bytes) override;
  void write_block(base::Block& block, Bytes part, bool droppable) override;
  void write_shared(const base::SharedBytes& bytes, bool droppable) override;
  std::size_t drop_oldest(std::size_t room) override;
  std::size_t queued() const override;
  void pause_reading() override;
  void resume_reading() override;
  void set_deadline(std::uint64_t milliseconds) override;
  void finish(std::uint64_t linger_milliseconds, bool until_peer_ends) override;
  void abort(const Error& why) override;

  // io::SocketEvents
  void on_received(const io::Received& received) override;
  void on_end() override;
  void on_sent(std::uint64_t total) override;
  void on_closed(const Error& why) override;
  void on_detached(int fd, Bytes unread) override;

  Connection* next_dirty = nullptr;

 private:
  friend class Loop;
  // How long a client may go on sending after the last answer when the server stops, in
  // milliseconds.
  static constexpr std::uint64_t kDrainLinger = 1'000;
  enum class Phase : std::uint8_t { none, header, idle, body, queue, linger, stream, drain_wait };
  ~Connection() override;

  // Without memory for a step of one connection, that connection ends; nothing leaves this class.
  template <class Work>
  void guarded(Work&& work) {
    try {
      work();
    } catch (const std::bad_alloc&) {
      processing_ = false;
      out_of_memory();
    }
  }
  void out_of_memory();

  // Reading.
  void receive(const io::Received& received);
  void end_of_input();
  std::size_t process(base::Block& block, std::span<std::byte> bytes);
  std::size_t begin_request(base::Block& block, std::span<std::byte> bytes);
  std::size_t feed_body(base::Block& block, std::span<std::byte> bytes);
  void after_head(core::Exchange& exchange, bool more_here);
  void finish_body();
  void settle();
  void keep(std::span<const std::byte> bytes);
  void process_kept();
  // An answer without an exchange: 408, 503.
  void plain_error(Errc code);
  void set_reading();

  // Answering.
  bool stays_alive(const core::Exchange& exchange) const;
  http1::ResponseHeadOut make_head(core::Exchange& exchange, bool stay);
  void send_head(const http1::ResponseHeadOut& head, std::string_view body);
  std::size_t budget() const;
  bool budget_is_used_up() const;
  bool wants_on_writable();
  void send_parts(core::Exchange& exchange);
  void complete(core::Exchange& exchange, bool stay);

  // Sending and closing.
  void mark_dirty();
  void sent(std::uint64_t bytes);
  void send_queued();
  void send_file_window();
  void after_drained();
  void close_when_drained(bool linger);
  void begin_linger(std::uint64_t milliseconds);
  std::uint64_t taken() const;
  void close_now(io::CloseMode mode);
  void set_phase(Phase phase, std::uint64_t milliseconds);
  static void timer_fired(void* self);
  void on_timer();
  void time_is_over();
  void begin_drain(std::uint16_t close_code, base::Duration delay);
  void judge_send_rate();

  Loop& loop_;
  io::Socket socket_;
  OutQueue out_;
  core::Exchange* exchange_ = nullptr;
  std::unique_ptr<core::StreamEvents> stream_;
  base::Timer timer_;
  base::BlockRef in_;  // received bytes that wait
  std::uint32_t in_at_ = 0, in_size_ = 0;
  std::unique_ptr<http1::ChunkedDecoder> chunks_;
  std::uint64_t body_left_ = 0;    // of a body with a length
  std::uint64_t stream_left_ = 0;  // of a streamed answer with a length
  std::uint64_t sent_seen_ = 0;    // of Socket::sent_total
  std::uint64_t rate_mark_ = 0;    // bytes that the peer had taken at rate_since_
  base::Instant rate_since_ = base::never;
  std::uint64_t file_window_ = 0;   // bytes of the file in front that are known to be cached
  std::uint64_t linger_mark_ = 0;   // bytes that the peer had taken when lingering began (anew)
  std::uint32_t linger_limit_ = 0;  // milliseconds
  std::uint16_t drain_code_ = 0;
  Phase phase_ = Phase::none;
  bool reading_body_ = false, body_chunked_ = false, body_paused_ = false, body_done_ = false;
  bool in_event_ = false;  // what is queued leaves at the end of on_received
  bool processing_ = false, dirty_ = false, reading_paused_ = false, stream_paused_ = false;
  bool over_budget_ = false, warming_ = false, peer_ended_ = false, pool_paused_ = false;
  bool close_after_ = false;  // no further request is read
  bool closing_ = false;      // close as soon as the queue is empty
  bool linger_ = false;       // with a FIN first, and reading on until the peer's
  bool lingering_ = false;    // the FIN has been sent
  bool close_called_ = false, closed_ = false;
  bool counted_stream_ = false, chunked_stream_ = false, head_only_stream_ = false,
       stream_stays_ = false;
  bool waits_for_room_ = false;  // requests wait until the queue is shorter
};

}  // namespace sluice::wire
