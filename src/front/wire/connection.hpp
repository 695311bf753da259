// front/wire/connection.hpp - one client on a socket of ours: HTTP/1.1, then perhaps a byte stream,
// of which HTTP/2 is one.
//
// RFC 9112. One object per connection: what core knows of it and its socket. Requests, answers and
// what waits to be sent are its Work, which an idle byte stream has none of. Layer: front/wire.
// Thread: shard.
#pragma once

#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <string_view>

#include "base/block.hpp"
#include "core/connection.hpp"
#include "core/front.hpp"
#include "front/wire/http2_connection.hpp"
#include "front/wire/secure_client.hpp"
#include "front/wire/secure_port.hpp"
#include "front/wire/work.hpp"
#include "io/engine.hpp"
#include "proto/http1/response_encoder.hpp"

namespace sluice::wire {

class Loop;

class Connection final : public core::Connection, public io::Socket {
 public:
  // In a cell of the loop's.
  static Connection* make(Loop& loop, const core::Endpoint& peer, core::DestinationRef destination);

  // Before open(): what comes is TLS. std::bad_alloc.
  void secure_with(const SecurePort& port);
  // Takes the descriptor over and starts to receive.
  void open(int descriptor);
  // 503, then the end: there are too many connections.
  void open_busy(int descriptor);

  // Sends what is queued. Called once a turn.
  void flush();
  // Goes on with received bytes that waited for an answer.
  void go_on();
  // The server stops: ends now if idle, after the answer if not. WebSockets get `close_code` after
  // `delay`.
  void drain(std::uint16_t close_code, base::Duration delay);
  void abort_now(const Error& why);
  // Called now and then while bytes wait: ends a connection whose peer takes less than
  // min_send_rate, or nothing for write_timeout.
  void check_send_rate();
  bool waits_to_send() const { return work_ && !work_->out.empty(); }
  // What the engine knows of it.
  io::Socket& socket() { return secured_ ? static_cast<io::Socket&>(*secure()) : *this; }
  const TlsInfo* tls() const override { return secured_ ? secure()->info() : nullptr; }

  // core::Connection
  void disconnect(const Error& why) override;
  void pool_pause() override;
  void pool_resume() override;

  // What core::ExchangePort asks for: see Work.
  void respond(core::Exchange& exchange);
  void begin_stream(core::Exchange& exchange);
  bool write_stream(core::Exchange& exchange, Bytes bytes);
  void interim(core::Exchange& exchange, int status, std::string_view fields);
  bool write_stream_shared(core::Exchange& exchange, const base::SharedBytes& bytes);
  void end_stream(core::Exchange& exchange, std::string_view trailer_lines);
  void break_off(core::Exchange& exchange, const Error& why);
  void pause_body(core::Exchange& exchange);
  void resume_body(core::Exchange& exchange);
  void wait_for_thread(core::Exchange& exchange);
  void decided(core::Exchange& exchange);
  void upgrade(core::Exchange& exchange, std::string_view fields, core::StreamPtr events);

  // core::ByteStream
  std::byte* reserve(std::size_t bytes) override;
  void commit(std::size_t bytes, core::Marks marks) override;
  void write(Bytes bytes) override;
  void write_block(base::Block& block, Bytes part, core::Marks marks) override;
  void write_shared(const base::SharedBytes& bytes, core::Marks marks) override;
  void tell_when_sent(std::shared_ptr<core::Receipt> receipt) override;
  void cork() override;
  void uncork() override;
  std::size_t drop_oldest(std::size_t room) override;
  std::size_t drop(core::Marks marks) override;
  bool is_held() const override { return sending() || is_rationed(); }
  bool is_rationed() const override;
  std::size_t droppable(core::Marks marks) const override;
  std::size_t queued() const override;
  void want_writable() override;
  void pause_reading() override;
  void resume_reading() override;
  void set_deadline(std::uint64_t milliseconds) override;
  void finish(std::uint64_t linger_milliseconds, bool until_peer_ends) override;
  void abort(const Error& why) override;

  // io::Socket
  void on_received(const io::Received& received) override;
  void on_end() override;
  void on_sent(std::uint64_t bytes) override;
  void on_closed(const Error& why) override;
  void on_detached(int descriptor, Bytes unread) override;

 private:
  friend class Http2;
  friend class Http2Stream;
  friend class Loop;
  friend class SecureClient;
  friend struct Pace;
  friend struct Work;
  // How long a client may go on sending after the last answer when the server stops, in
  // milliseconds.
  static constexpr std::uint64_t kDrainLinger = 1'000;
  Connection(const core::Endpoint& peer, core::DestinationRef destination);
  ~Connection() override;
  void destroy() override;
  Loop& loop() const { return *static_cast<Loop*>(home().front); }
  // Precondition: secured_. It is the connection's until the end of both.
  SecureClient* secure() const { return static_cast<SecureClient*>(&Secure::of(*this)); }

  // For what is about to be under way; std::bad_alloc.
  Work& work() { return work_ ? *work_ : begin_work(); }
  Work& begin_work();
  bool has_work() noexcept;  // begins it; false when memory is out
  // An upgraded connection with nothing under way keeps nothing for it.
  void rest() {
    if (work_ && stream && work_->at_rest() && !dirty_ && !in_event_) end_work();
  }
  void end_work();
  void end_used_work();
  bool out_empty() const { return !work_ || work_->out.empty(); }  // but for the first run
  bool joins_first_run(base::Block& block, Bytes part, core::Marks marks);
  void queue_first_run();
  void write_kept(std::shared_ptr<const void> keeper, Bytes bytes);
  void send_first_run();
  void leave_event();
  std::size_t waiting() const;  // bytes, the first run included

  // Without memory for a step of one connection, that connection ends; nothing leaves this class.
  template <class Work>
  void guarded(Work&& work) {
    try {
      work();
    } catch (const std::bad_alloc&) {
      if (work_) work_->processing = false;
      out_of_memory();
    }
  }
  void out_of_memory();

  // Reading. An event is: begin, receive once or more, end.
  void begin_event() { in_event_ = !dirty_; }  // else it waits in the list already
  void receive_guarded(const io::Received& received) {
    guarded([&] { receive(received); });
  }
  void end_event();
  void leave_received();
  void receive(const io::Received& received);
  void end_of_input();
  std::size_t process(base::Block& block, std::span<std::byte> bytes);
  std::size_t begin_request(base::Block& block, std::span<std::byte> bytes);
  bool begin_raw(std::span<std::byte> bytes);
  void begin_http2();
  // Precondition: multiplexed_, and it has not closed.
  Http2& http2() const { return static_cast<Http2&>(*stream); }
  std::size_t feed_body(base::Block& block, std::span<std::byte> bytes);
  void after_head(core::Exchange& exchange, bool more_here);
  void begin_body(core::Exchange& exchange, bool more_here);
  void finish_body();
  void wait_for_body();
  void settle();
  void expect_bulk(std::size_t waiting);
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
  std::size_t send_file(int file, std::uint64_t offset, std::size_t length);
  std::size_t send_memory(std::span<const iovec> parts, bool more);
  void mark_dirty();
  void sent(std::uint64_t bytes);
  void send_queued();
  void send_file_window();
  std::uint64_t allowed();
  void pay_back();
  void after_drained();
  void close_when_drained(bool linger);
  void begin_linger(std::uint64_t milliseconds);
  std::uint64_t taken() const;
  void close_now(io::CloseMode mode);
  void set_phase(Phase phase, std::uint64_t milliseconds);
  static void timer_fired(void* self);
  static void pace_fired(void* self);
  void on_timer();
  void time_is_over();
  void begin_drain(std::uint16_t close_code, base::Duration delay);
  void judge_send_rate();

  Work* work_ = nullptr;  // the loop's; null while an upgraded connection is idle
};

}  // namespace sluice::wire
