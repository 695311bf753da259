// front/wire/http2_stream.hpp - one request of HTTP/2, and its answer on the way out.
//
// RFC 9113 section 5. Between core and http2::Session, which has its stream: what of the request's
// body nobody takes yet, what of the answer the client's window does not let out. Layer:
// front/wire. Thread: shard.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/block.hpp"
#include "base/timer_wheel.hpp"
#include "core/front.hpp"
#include "front/wire/out_queue.hpp"
#include "proto/http2/session.hpp"

namespace sluice::wire {

class Connection;
class Http2;
class Http2Tunnel;

// Forgotten when it is over.
struct Http2StreamState {
  enum class Phase : std::uint8_t { none, body, queue, stream, linger };

  Http2* owner = nullptr;
  http2::Stream* stream = nullptr;     // the session's; null: it is over
  core::Exchange* exchange = nullptr;  // one use; null once it is answered
  Http2Tunnel* tunnel = nullptr;       // of a WebSocket, or of a request to become one: one use
  Phase phase = Phase::none;

  // The request.
  Errc error = Errc::none;  // of its head, which is to be answered
  bool in_line = false;     // for answers before it to leave; core has not seen it
  bool reading = false;     // core takes its body
  bool refused = false;     // nobody will take its body
  bool paused = false, pool_paused = false;
  bool ended = false;     // its body is complete
  bool has_news = false;  // of the body, to be given when nobody is in the middle of anything
  std::uint32_t kept_at = 0, kept_size = 0;
  std::size_t owed = 0;  // bytes of the body that were dropped; the client may not send more yet

  // The answer.
  bool finished = false;  // all of its body is here
  bool counted = false;   // its length was said
  bool without_body = false;
  bool counts = false;            // its bytes are the answer's own: they count for Http2::held
  bool over_budget = false;       // who makes it waits for on_writable
  bool broken = false;            // it cannot go on: it is reset in the next push()
  bool leaves_at_once = false;    // of a tunnel: nobody waits for its peer's end
  bool end_sent = false;          // then, when that has left
  bool warming = false;           // the disk is read
  std::uint64_t length_left = 0;  // of a length that was said
  std::size_t ahead_at = 0, ahead_size = 0;
  http2::Code code = http2::Code::internal_error;  // of a broken one
  std::size_t warmed = 0;                          // bytes of the file in front
  std::uint64_t moved = 0;                         // bytes that have left
  // Since when it has not moved, and since when its pace is judged, from where on.
  std::uint64_t stall_mark = 0, rate_mark = 0;
  base::Instant stall_since{}, rate_since{};
};

class Http2Stream final : public core::ExchangePort, public Http2StreamState {
 public:
  Http2Stream();

  // --- What comes ---
  // Core's turn: the head is there.
  void begin();
  void take(std::span<std::byte> data, base::Block& block);
  void take_trailers(std::span<const http::Field> fields);
  void end_body();
  // Gives what was kept, and the end, as far as somebody takes it.
  void deliver();

  // --- What goes ---
  std::size_t pending() const { return ahead_size + out.size(); }  // bytes of the answer
  http2::Piece next(std::size_t most) noexcept;
  bool put_body(std::size_t bytes) noexcept;
  bool is_over_budget() const;
  bool has_room() const;  // again, for whoever had too much
  // Whether a client that takes nothing has been given up.
  void watch();

  // --- What a tunnel needs ---
  // False: there is no memory.
  bool add(base::Block& block, Bytes bytes, core::Marks marks);
  bool add_shared(std::shared_ptr<const void> keeper, Bytes bytes, core::Marks marks);
  OutQueue& waiting() { return out; }
  std::size_t drop(std::size_t bytes, core::Marks marks);
  void more_to_send();
  void tell_news();
  // Of the tunnel's owner, or of its end when it is closing; 0: none.
  void set_stream_time(std::uint64_t milliseconds);
  // Reset in the next push().
  void give_up(http2::Code code);

  // Lets go of everything but the exchange.
  void clear();

  // core::ExchangePort
  void respond(core::Exchange& which) override;
  void begin_stream(core::Exchange& which) override;
  bool write_stream(core::Exchange& which, Bytes bytes) override;
  bool write_stream_shared(core::Exchange& which, const base::SharedBytes& bytes) override;
  void interim(core::Exchange& which, int status, std::string_view fields) override;
  std::string_view trailers(const core::Exchange& which) override;
  void end_stream(core::Exchange& which, std::string_view trailer_lines) override;
  void break_off(core::Exchange& which, const Error& why) override;
  void pause_body(core::Exchange& which) override;
  void resume_body(core::Exchange& which) override;
  void pool_pause(core::Exchange& which) override;
  void pool_resume(core::Exchange& which) override;
  void wait_for_thread(core::Exchange& which) override;
  void decided(core::Exchange& which) override;
  core::Connection& stream_connection(core::Exchange& which) override;
  void upgrade(core::Exchange& which, std::string_view fields, core::StreamPtr events) override;

  std::uint32_t use = 0;  // changes when it is used again
  // In the list of its connection.
  Http2Stream* previous_stream = nullptr;
  Http2Stream* next_stream = nullptr;

 private:
  enum class Loaded : std::uint8_t { yes, later, failed };

  bool is_mine(const core::Exchange& which) const { return exchange == &which && stream; }
  bool is_tunnel() const;
  bool is_paused() const { return paused || pool_paused; }
  void begin_body();
  void finish_body();
  void give(base::Block& block, std::span<std::byte> piece);
  void keep(std::span<const std::byte> bytes);
  void consume(std::size_t bytes);
  void set_time();
  void set_phase(Phase next, std::chrono::milliseconds time);
  void on_timer();
  void look_again();
  void on_stalled();
  void append(Bytes bytes);
  void append_shared(std::shared_ptr<const void> owner, Bytes bytes);
  void append_parts(core::Exchange& which);
  bool may_write(std::uint64_t bytes);
  bool wants_on_writable();
  void complete();
  Loaded load() noexcept;
  void warm(std::size_t bytes);
  void is_warm(std::size_t bytes);

  OutQueue out;
  base::BlockRef ahead;  // read from the file in front
  base::BlockRef kept;   // of the request's body
  std::string trailers_in, trailers_out;
  base::Timer timer, stall_timer;
};

// Those of one shard, used again.
class Http2StreamPool {
 public:
  Http2Stream* take();  // std::bad_alloc
  void give_back(Http2Stream* stream);

 private:
  static constexpr std::size_t kIdle = 1024;
  std::vector<std::unique_ptr<Http2Stream>> idle_;
};

}  // namespace sluice::wire
