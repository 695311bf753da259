// front/wire/http2_connection.hpp - a connection that speaks HTTP/2.
//
// RFC 9113. Towards the connection it is what a WebSocket is, the owner of a byte stream, so that
// TLS, budgets, bandwidth, a client's pace and the end are the connection's as with HTTP/1.1; in it
// is an http2::Session. Layer: front/wire. Thread: shard.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "core/front.hpp"
#include "front/wire/http2_stream.hpp"
#include "proto/http2/session.hpp"

namespace sluice::core {
class Shard;
}

namespace sluice::wire {

class Connection;
class Loop;

class Http2 final : public core::StreamEvents, private http2::Events, private http2::Out {
 public:
  // Its settings leave with the first push(). std::bad_alloc.
  static std::unique_ptr<Http2> make(Connection& connection);
  ~Http2() override;

  // Something has happened outside of the session: push() follows in this turn.
  void schedule();
  // Sends what there is, tells what has to be told. Not inside an event of the session.
  void push();
  // A request that cannot be answered to its end: its client is told, the others go on.
  void cut(Http2Stream& stream, http2::Code code, const Error& why);

  Connection& connection() { return connection_; }
  Loop& loop();
  core::Shard& shard();
  http2::Session& session() { return *session_; }
  // It, if it is one of those that are not over; else null: `stream` may be gone.
  Http2Stream* find(const Http2Stream* stream, std::uint32_t use) const;
  // Bytes that answers keep in memory until clients take them, all streams of the connection.
  std::size_t held = 0;
  std::chrono::milliseconds idle_time{0};  // how long it may be so, after the last request

  // core::StreamEvents
  void on_bytes(base::Block& block, std::span<std::byte> bytes) override;
  void on_end() override;
  void on_writable() override;
  void on_drain(std::uint16_t close_code) override;
  void on_timer() override;
  void on_ended(const Error& why) override;

 private:
  explicit Http2(Connection& connection) : connection_(connection) {}

  // http2::Events
  void on_request(http2::Stream& stream, http2::Request& request) override;
  void on_refused(std::uint32_t id, Errc why) override;
  void on_data(http2::Stream& stream, std::span<std::byte> data) override;
  void on_trailers(http2::Stream& stream, std::span<const http::Field> fields) override;
  void on_end(http2::Stream& stream) override;
  void on_closed(http2::Stream& stream, http2::Code code) override;

  // http2::Out
  bool put(Bytes frames) noexcept override;
  http2::Piece next(http2::Stream& stream, std::size_t most) noexcept override;
  bool put_body(http2::Stream& stream, std::size_t bytes) noexcept override;

  static Http2Stream& of(http2::Stream& stream) {
    return *static_cast<Http2Stream*>(stream.context);
  }
  std::size_t most_ahead() const;
  void send();
  void give_up_stuck();
  void tell_streams();
  void judge_end();
  void rest();
  void over(Http2Stream& stream, http2::Code code);
  void bury();

  Connection& connection_;
  std::unique_ptr<http2::Session> session_;
  Http2Stream* first_ = nullptr;  // those that are not over
  Http2Stream* dead_ = nullptr;   // those that are; given back when nobody looks at them
  base::Block* block_ = nullptr;  // that is being read
  std::uint32_t waiting_ = 0;     // streams that wait for others
  bool busy_ = false;             // in feed(), send() or what they tell
  bool again_ = false;            // something has changed meanwhile
  bool scheduled_ = false;
  bool has_news_ = false;    // a stream has
  bool wants_room_ = false;  // likewise
  bool has_broken_ = false;  // likewise
  bool has_leaving_ = false;
  bool begun_ = false;  // a request has come
  bool idle_ = false;   // the deadline is that of an idle connection
  bool draining_ = false, ended_ = false;
  std::uint16_t drain_code_ = 0;
  bool tells_drain_ = false;  // tunnels have not been told yet
  bool told_ = false;         // of a failure
  friend class Http2Stream;
};

}  // namespace sluice::wire
