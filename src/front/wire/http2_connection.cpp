// front/wire/http2_connection.cpp - between an http2::Session, core and the connection's queue.
#include "front/wire/http2_connection.hpp"

#include <algorithm>
#include <new>
#include <string>
#include <utility>

#include "core/exchange.hpp"
#include "core/session.hpp"
#include "front/wire/connection.hpp"
#include "front/wire/http2_tunnel.hpp"
#include "front/wire/loop.hpp"

namespace sluice::wire {
namespace {

// What is in the connection's queue can no longer be overtaken by what is more urgent.
constexpr std::size_t kMostAhead = 256 * 1024;
// When the server stops: how long requests that are on their way may take to come.
constexpr std::uint64_t kDrainRound = 250;

Errc code_of(const http2::Failure& failure) {
  switch (failure.reason) {
    case http2::Reason::bad_preface:
      return Errc::http2_bad_preface;
    case http2::Reason::flood:
      return Errc::http2_flood;
    case http2::Reason::out_of_memory:
      return Errc::out_of_memory;
    default:
      return Errc::http2_protocol;
  }
}

}  // namespace

std::unique_ptr<Http2> Http2::make(Connection& connection) {
  std::unique_ptr<Http2> made(new Http2(connection));
  Loop& loop = connection.loop();
  auto session = http2::Session::accept(loop.http2_context(), loop.http2_memory(), *made);
  if (!session) throw std::bad_alloc();
  made->session_ = std::move(*session);
  made->idle_time = made->shard().settings().timeouts.idle_connection;
  return made;
}

Http2::~Http2() { bury(); }

Loop& Http2::loop() { return connection_.loop(); }
core::Shard& Http2::shard() { return connection_.shard(); }

// --- The connection's news -----------------------------------------------------------------------

void Http2::on_bytes(base::Block& block, std::span<std::byte> bytes) {
  block_ = &block;
  busy_ = true;
  session_->feed(shard().now, bytes);
  busy_ = false;
  block_ = nullptr;
  push();
}

// Bodies that are not here yet will not come any more; answers go out.
void Http2::on_end() {
  for (Http2Stream* each = first_; each; each = each->next_stream) {
    if (each->tunnel && !each->ended) {
      each->ended = each->has_news = has_news_ = true;
    } else if (!each->ended && each->exchange && !each->exchange->body_complete) {
      each->broken = has_broken_ = true;
      loop().session().reject(&connection_, Errc::http_body_truncated, shard());
    }
  }
  push();
}

void Http2::on_writable() { push(); }

void Http2::on_drain(std::uint16_t close_code) {
  if (draining_) return;
  draining_ = tells_drain_ = true;
  drain_code_ = close_code;
  session_->announce_end();
  connection_.set_deadline(kDrainRound);
  push();
}

void Http2::on_timer() {
  if (draining_ && !ended_) {
    ended_ = true;
    session_->end();
  } else if (!begun_) {
    busy_ = true;  // what it tells of is looked at in push()
    session_->abort(http2::Code::no_error, "no request has come in time");
    busy_ = false;
    told_ = true;
    loop().session().reject(
        &connection_,
        session_->settings_acknowledged() ? Errc::header_timeout : Errc::http2_settings_timeout,
        shard());
  } else if (!first_ && !connection_.waits_to_send()) {
    session_->end();
  } else if (!first_) {  // a client that still takes what was sent; min_send_rate watches it
    connection_.set_deadline(std::uint64_t(idle_time.count()));
  }
  push();
}

void Http2::on_ended(const Error&) {
  busy_ = true;
  while (first_) {
    first_->stream = nullptr;
    try {
      over(*first_, http2::Code::cancel);
    } catch (const std::bad_alloc&) {  // of whoever was told
    }
  }
  busy_ = false;
}

// --- The session's news --------------------------------------------------------------------------

void Http2::on_request(http2::Stream& stream, http2::Request& request) {
  core::Exchange& exchange = *shard().take_exchange();
  Http2Stream* own = nullptr;
  try {
    own = loop().http2_streams().take();
    request.keep(exchange.arena.text(request.text.size()), exchange.head);
  } catch (const std::bad_alloc&) {
    if (own) loop().http2_streams().give_back(own);
    exchange.release();
    throw;
  }
  own->owner = this;
  own->stream = &stream;
  own->exchange = &exchange;
  own->error = request.error;
  if (request.protocol == "websocket") {  // as the GET that it stands for
    exchange.head.method = http::Method::get;
    exchange.head.method_text = "GET";
    exchange.head.body = http::BodyKind::none;
    exchange.head.upgrade = true;
    exchange.head.protocol = "websocket";
  }
  own->next_stream = first_;
  if (first_) first_->previous_stream = own;
  first_ = own;
  stream.context = own;
  exchange.head.major = 2;
  exchange.head.minor = 0;
  exchange.head_size = request.text.size();
  exchange.port = own;
  exchange.connection = &connection_;
  connection_.retain();
  exchange.parallel = true;
  if ((!begun_ || idle_) && !draining_) connection_.set_deadline(0);
  begun_ = true;
  idle_ = false;
  if (connection_.close_called_ || waiting_ > 0 ||
      held >= 4 * shard().settings().limits.send_queue_bytes) {
    own->in_line = true;
    ++waiting_;
  } else {
    own->begin();
  }
}

void Http2::on_refused(std::uint32_t id, Errc why) {
  loop().session().reject(&connection_, {why, "in the head of stream " + std::to_string(id)},
                          shard());
}

void Http2::on_data(http2::Stream& stream, std::span<std::byte> data) {
  if (!connection_.close_called_) of(stream).take(data, *block_);
}

void Http2::on_trailers(http2::Stream& stream, std::span<const http::Field> fields) {
  if (!connection_.close_called_) of(stream).take_trailers(fields);
}

void Http2::on_end(http2::Stream& stream) {
  if (!connection_.close_called_) of(stream).end_body();
}

void Http2::on_closed(http2::Stream& stream, http2::Code code) {
  if (!stream.context) return;  // there was no memory for it, which has ended the session
  Http2Stream& own = of(stream);
  own.stream = nullptr;
  over(own, code);
}

// Nothing follows, neither way.
void Http2::over(Http2Stream& own, http2::Code code) {
  (own.previous_stream ? own.previous_stream->next_stream : first_) = own.next_stream;
  if (own.next_stream) own.next_stream->previous_stream = own.previous_stream;
  own.previous_stream = nullptr;
  own.next_stream = dead_;
  dead_ = &own;
  if (own.in_line) --waiting_;
  own.clear();
  again_ = true;
  if (Http2Tunnel* tunnel = std::exchange(own.tunnel, nullptr)) {
    tunnel->end(code == http2::Code::no_error ? Error() : Error(Errc::connection_closed));
  }
  core::Exchange* left = std::exchange(own.exchange, nullptr);
  if (!left) return;
  struct Release {
    core::Exchange& exchange;
    ~Release() { exchange.release(); }
  } release{*left};
  if (own.in_line) {
    left->port = nullptr;  // core has never seen it
  } else {
    loop().session().on_abort(*left);
  }
}

Http2Stream* Http2::find(const Http2Stream* stream, std::uint32_t use) const {
  for (Http2Stream* each = first_; each; each = each->next_stream) {
    if (each == stream) return each->use == use ? each : nullptr;
  }
  return nullptr;
}

void Http2::bury() {
  while (Http2Stream* stream = dead_) {
    dead_ = stream->next_stream;
    loop().http2_streams().give_back(stream);
  }
}

void Http2::cut(Http2Stream& own, http2::Code code, const Error& why) {
  http2::Stream* stream = std::exchange(own.stream, nullptr);
  if (!stream) return;
  session_->reset(*stream, code);
  over(own, code);
  if (why) loop().session().reject(&connection_, why, shard());
  schedule();
}

// --- What leaves ---------------------------------------------------------------------------------

void Http2::schedule() {
  again_ = true;
  if (busy_ || scheduled_) return;
  scheduled_ = true;
  loop().want_to_go_on(connection_);
}

void Http2::push() {
  scheduled_ = false;
  if (busy_ || connection_.close_called_) return;
  busy_ = true;
  do {
    again_ = false;
    send();
    tell_streams();
    judge_end();
  } while (again_ && !connection_.close_called_ && !connection_.closing_);
  busy_ = false;
  bury();
  if (connection_.close_called_ || connection_.closing_) return;
  rest();
}

std::size_t Http2::most_ahead() const { return std::min(kMostAhead, connection_.budget()); }

void Http2::send() {
  const std::size_t most = std::max(most_ahead(), std::size_t{1024});
  while (!connection_.close_called_) {
    const std::size_t here = connection_.waiting();
    if (here + http2::Session::kLeastRoom >= most) return;
    const std::size_t room = most - here;
    const std::size_t gone = session_->send(*this, room);
    if (gone + http2::Session::kLeastRoom <= room) return;
  }
}

bool Http2::put(Bytes frames) noexcept {
  connection_.write(frames);
  return !connection_.close_called_;
}

http2::Piece Http2::next(http2::Stream& stream, std::size_t most) noexcept {
  return of(stream).next(most);
}

bool Http2::put_body(http2::Stream& stream, std::size_t bytes) noexcept {
  return of(stream).put_body(bytes);
}

// Whose window is shut, and nobody will open it again.
void Http2::give_up_stuck() {
  for (Http2Stream* each = first_; each; each = each->next_stream) {
    if (each->pending() > 0 && session_->waits_for_window(*each->stream)) {
      each->give_up(http2::Code::cancel);
    }
  }
}

// What has happened in the middle of something else. Each may change the list.
void Http2::tell_streams() {
  if (connection_.peer_ended_) give_up_stuck();
  if (std::exchange(has_leaving_, false)) {
    for (Http2Stream* each = first_; each; each = each->next_stream) {
      if (each->end_sent) each->give_up(http2::Code::no_error);
    }
  }
  while (!connection_.close_called_ && std::exchange(has_broken_, false)) {
    for (Http2Stream* each = first_; each; each = each->next_stream) {
      if (!each->broken) continue;
      cut(*each, each->code, {});
      has_broken_ = true;
      break;
    }
  }
  if (std::exchange(tells_drain_, false)) {
    // What one of them does may end others, but nothing is given back before the end of push().
    for (Http2Stream* each = first_; each;) {
      Http2Stream* next = each->next_stream;
      if (each->tunnel) each->tunnel->drain(drain_code_);
      each = next;
    }
  }
  while (!connection_.close_called_ && std::exchange(has_news_, false)) {
    for (Http2Stream* each = first_; each; each = each->next_stream) {
      if (!each->has_news) continue;
      each->deliver();
      has_news_ = again_ = true;  // and its window may be open again
      break;
    }
  }
  while (!connection_.close_called_ && std::exchange(wants_room_, false)) {
    for (Http2Stream* each = first_; each; each = each->next_stream) {
      if (!each->over_budget || !each->has_room()) continue;
      each->over_budget = false;
      if (each->tunnel && each->tunnel->stream) {
        each->tunnel->stream->on_writable();
      } else if (each->exchange && each->exchange->streaming) {
        loop().session().on_writable(*each->exchange);
      }
      wants_room_ = true;
      break;
    }
  }
  // The oldest first: the list begins with the newest.
  while (!connection_.close_called_ && waiting_ > 0 &&
         held < 4 * shard().settings().limits.send_queue_bytes) {
    Http2Stream* oldest = nullptr;
    for (Http2Stream* each = first_; each; each = each->next_stream) {
      if (each->in_line) oldest = each;
    }
    oldest->in_line = false;
    --waiting_;
    oldest->begin();
    again_ = true;
  }
}

void Http2::judge_end() {
  if (session_->has_failed() && !told_) {
    told_ = true;
    const http2::Failure& failure = session_->failure();
    loop().session().reject(&connection_, {code_of(failure), failure.detail}, shard());
  }
  const bool left = connection_.peer_ended_ && !first_ && !session_->has_output();
  if ((session_->is_over() || left) && !connection_.closing_) {
    // Its client may be sending still, window updates at least: a plain close would take away what
    // it has not read yet.
    connection_.close_when_drained(true);
  }
}

// Nothing is to be done at the moment.
void Http2::rest() {
  if (connection_.waits_to_send()) connection_.want_writable();
  for (Http2Stream* each = first_; each; each = each->next_stream) each->watch();
  if (first_ || idle_ || !begun_ || draining_) return;
  idle_ = true;
  connection_.set_deadline(std::uint64_t(idle_time.count()));
}

}  // namespace sluice::wire
