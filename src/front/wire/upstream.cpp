// front/wire/upstream.cpp - one connection to somebody else: requests out, answers in.
#include "front/wire/upstream.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "front/wire/loop.hpp"
#include "front/wire/secure_upstream.hpp"
#include "proto/http1/request_encoder.hpp"
#include "proto/http1/response_decoder.hpp"

namespace sluice::wire {
namespace {

// How long a connection waits for its next request.
constexpr base::Duration kKeepAlive = std::chrono::seconds(60);

}  // namespace

UpstreamConnection::UpstreamConnection(UpstreamPool& pool, UpstreamPool::Host& host)
    : pool_(pool), host_(host), timer_(&UpstreamConnection::timer_fired, this) {
  ++host_.connections;
}

UpstreamConnection::~UpstreamConnection() {
  --host_.connections;
  out_.clear(pool_.loop_.segments());
  if (secured_) delete &secure();
}

SecureUpstream& UpstreamConnection::secure() {
  return static_cast<SecureUpstream&>(Secure::of(*this));
}

// What the engine knows of it.
io::Socket& UpstreamConnection::socket() {
  return secured_ ? static_cast<io::Socket&>(secure()) : *this;
}

Result<void> UpstreamConnection::secure_with(const core::UpstreamSecurity& security) {
  auto made = SecureUpstream::make(pool_.loop_, *this, static_cast<const UpstreamTls&>(security));
  if (!made) return made.error();
  kept = made->release()->as_kept();
  secured_ = true;
  return {};
}

void UpstreamConnection::open(int descriptor) {
  if (secured_) return secure().adopt(descriptor);
  pool_.loop_.engine().adopt(*this, descriptor);
}

void UpstreamConnection::close(io::CloseMode mode) {
  if (std::exchange(closing_, true)) return;
  if (state_ == State::idle) pool_.forget_idle(*this);
  pool_.loop_.shard().timers.cancel(timer_);
  if (secured_) return secure().close(mode);
  pool_.loop_.engine().close(*this, mode);
}

void UpstreamConnection::on_detached(int descriptor, Bytes) {
  ::close(descriptor);
  on_closed(Errc::gone);
}

template <class Work>
void UpstreamConnection::guarded(Work&& work) {
  try {
    work();
  } catch (const std::bad_alloc&) {
    core::UpstreamEvents* told = std::exchange(events_, nullptr);
    close(io::CloseMode::abort);
    try {
      if (told) told->on_failed(Errc::out_of_memory, answered_);
    } catch (const std::bad_alloc&) {  // whoever is told ends its connection
    }
  }
}

void UpstreamConnection::on_closed(const Error& why) {
  pool_.loop_.enter();
  guarded([&] { closed(why); });
  pool_.gone(*this);
}

void UpstreamConnection::closed(const Error& why) {
  if (!std::exchange(closing_, true) && state_ == State::idle) pool_.forget_idle(*this);
  pool_.loop_.shard().timers.cancel(timer_);
  if (events_) {
    if (!connected_) {
      fail({Errc::upstream_unreachable, why.message()});
    } else {
      fail({Errc::upstream_broken, why.message()});
    }
  }
}

// --- The request ---------------------------------------------------------------------------------

bool UpstreamConnection::begin(const core::UpstreamRequest& request,
                               const core::UpstreamTimes& times, core::UpstreamEvents& events,
                               bool reused) {
  http1::RequestHeadOut head;
  head.method = request.method_text;
  head.target = request.target;
  head.host = request.host;
  head.fields = request.fields;
  head.content_length = request.content_length;
  head.framing = request.body == http::BodyKind::chunked  ? http1::Framing::chunked
                 : request.body == http::BodyKind::length ? http1::Framing::length
                                                          : http1::Framing::none;
  if (request.upgrade) head.connection = http1::ConnectionField::upgrade;
  events_ = &events;
  times_ = times;
  state_ = State::head;
  method_ = request.method;
  reused_ = reused;
  connected_ = reused;
  told_connected_ = false;
  upgrade_ = request.upgrade;
  chunked_out_ = request.body == http::BodyKind::chunked;
  ended_out_ = request.body == http::BodyKind::none ||
               (request.body == http::BodyKind::length && request.content_length == 0);
  answered_ = keep_alive_ = full_ = false;
  interims_ = 0;
  const std::size_t bound = http1::request_head_bound(head);
  core::Shard& shard = pool_.loop_.shard();
  if (bound <= core::Scratch::kLargest) {
    std::byte* at = shard.scratch.reserve(bound);
    if (!at) return false;
    char* end = http1::write_request_head(reinterpret_cast<char*>(at), head);
    const auto size = std::size_t(end - reinterpret_cast<char*>(at));
    shard.scratch.commit(size);
    if (!out_.append(pool_.loop_.segments(), shard.scratch.block(), {at, size}, core::kKept)) {
      return false;
    }
  } else {
    base::BlockRef block = shard.blocks.take(bound);
    if (!block) return false;
    char* end = http1::write_request_head(block->text(), head);
    const auto size = std::size_t(end - block->text());
    if (!out_.append(pool_.loop_.segments(), *block, {block->data(), size}, core::kKept)) {
      return false;
    }
  }
  mark_dirty();
  set_timer();
  return true;
}

void UpstreamConnection::mark_dirty() {
  if (dirty_ || closing_) return;
  pool_.dirty_.push_back(this);
  dirty_ = true;
}

// Copies. False when memory is out.
bool UpstreamConnection::put(Bytes bytes) {
  core::Shard& shard = pool_.loop_.shard();
  while (!bytes.empty()) {
    const Bytes piece = bytes.first(std::min(bytes.size(), core::Scratch::kLargest));
    std::byte* at = shard.scratch.reserve(piece.size());
    if (!at) return false;
    std::memcpy(at, piece.data(), piece.size());
    shard.scratch.commit(piece.size());
    if (!out_.append(pool_.loop_.segments(), shard.scratch.block(), {at, piece.size()},
                     core::kKept)) {
      return false;
    }
    bytes = bytes.subspan(piece.size());
  }
  return true;
}

// Copies: what waits for slow servers must not be all that the shard receives into.
bool UpstreamConnection::write(Bytes bytes) {
  if (closing_ || ended_out_ || bytes.empty()) return !full_;
  const bool framed = state_ != State::tunnel && chunked_out_;
  bool fine = true;
  if (framed) {
    char head[http1::kChunkHeadBound];
    char* end = http1::write_chunk_head(head, bytes.size());
    fine = put(as_bytes(std::string_view(head, std::size_t(end - head))));
  }
  fine = fine && put(bytes);
  if (framed) fine = fine && put(as_bytes(http1::kChunkTail));
  mark_dirty();
  if (!fine) {
    close(io::CloseMode::abort);  // told by on_closed
    return true;
  }
  full_ = full_ || out_.size() >= kRoom;
  set_timer();
  return !full_;
}

void UpstreamConnection::end(std::string_view trailer_lines) {
  if (closing_ || ended_out_) return;
  ended_out_ = true;
  bool fine = true;
  if (state_ != State::tunnel && chunked_out_) {
    fine = put(as_bytes(http1::kLastChunk));
    if (!trailer_lines.empty()) fine = fine && put(as_bytes(trailer_lines));
    fine = fine && put(as_bytes(std::string_view("\r\n")));
  }
  mark_dirty();
  if (!fine) return close(io::CloseMode::abort);
  set_timer();
}

void UpstreamConnection::flush() {
  if (secured_ && !closing_) secure().go_on();
  if (!closing_) guarded([this] { send_queued(); });
}

void UpstreamConnection::send_queued() {
  iovec parts[16];
  io::Engine& engine = pool_.loop_.engine();
  while (!out_.empty() && !sending() && !closing_) {
    bool file_next = false;
    const std::size_t count = out_.gather(parts, file_next);
    const std::size_t gone =
        secured_ ? secure().send({parts, count}) : engine.send(*this, {parts, count});
    if (gone > 0) sent(gone);
    if (gone == 0 && !sending()) return;  // failed: on_closed follows
  }
  if (out_.empty() && state_ == State::tunnel && ended_out_ && !shut_ && !closing_) {
    shut_ = true;
    secured_ ? secure().shutdown_send() : engine.shutdown_send(*this);
  }
}

void UpstreamConnection::on_sent(std::uint64_t bytes) {
  pool_.loop_.enter();
  guarded([&] { sent(bytes); });
  if (!sending() && !dirty_) flush();
}

void UpstreamConnection::sent(std::uint64_t bytes) {
  out_.consume(pool_.loop_.segments(), bytes);
  connected_ = true;
  set_timer();
  if (!std::exchange(told_connected_, true) && events_) events_->on_connected();
  if (full_ && out_.size() < kRoom / 2) {
    full_ = false;
    if (events_) events_->on_room();
  }
}

// --- The answer ----------------------------------------------------------------------------------

void UpstreamConnection::pause() {
  if (closing_ || std::exchange(paused_, true)) return;
  secured_ ? secure().pause() : pool_.loop_.engine().pause(*this);
  set_timer();
}

void UpstreamConnection::resume() {
  if (closing_ || !std::exchange(paused_, false)) return;
  secured_ ? secure().resume() : pool_.loop_.engine().resume(*this);
  set_timer();
}

void UpstreamConnection::cancel() {
  events_ = nullptr;
  close(io::CloseMode::abort);
}

void UpstreamConnection::on_received(const io::Received& received) {
  pool_.loop_.enter();
  if (!closing_) guarded([&] { receive(received); });
}

void UpstreamConnection::receive(const io::Received& received) {
  if (!in_) {
    const std::size_t used = process(*received.block, received.bytes);
    if (used < received.bytes.size() && !closing_) keep_bytes(received.bytes.subspan(used));
    return;
  }
  keep_bytes(received.bytes);
  if (closing_) return;
  const base::BlockRef block = std::exchange(in_, {});
  const std::span<std::byte> bytes{block->data(), std::exchange(in_size_, 0)};
  const std::size_t used = process(*block, bytes);
  if (used < bytes.size() && !closing_) keep_bytes(bytes.subspan(used));
}

// Of a head that is not complete.
void UpstreamConnection::keep_bytes(std::span<const std::byte> bytes) {
  if (!in_ || in_size_ + bytes.size() > in_->capacity()) {
    base::BlockRef larger = pool_.loop_.shard().blocks.take((in_size_ + bytes.size()) * 2);
    if (!larger) return fail(Errc::out_of_memory);
    if (in_) std::memcpy(larger->data(), in_->data(), in_size_);
    in_ = std::move(larger);
  }
  std::memcpy(in_->data() + in_size_, bytes.data(), bytes.size());
  in_size_ += std::uint32_t(bytes.size());
}

// Returns how much was used.
std::size_t UpstreamConnection::process(base::Block& block, std::span<std::byte> bytes) {
  std::size_t used = 0;
  while (used < bytes.size() && !closing_) {
    const std::span<std::byte> rest = bytes.subspan(used);
    switch (state_) {
      case State::idle:  // nobody has asked for this
        close(io::CloseMode::abort);
        return bytes.size();
      case State::head: {
        const std::size_t head = read_head(rest);
        if (head == 0) return used;
        used += head;
        if (state_ == State::idle && used < bytes.size()) {  // see complete()
          close(io::CloseMode::abort);
        }
        break;
      }
      case State::counted: {
        const auto size = std::size_t(std::min<std::uint64_t>(left_, rest.size()));
        left_ -= size;
        used += size;
        set_timer();
        events_->on_piece(block, rest.first(size));
        if (!closing_ && left_ == 0) {
          complete({}, used < bytes.size());
          return bytes.size();
        }
        break;
      }
      case State::chunked: {
        auto parsed = chunks_.decode(rest, http::HeadLimits{});
        if (parsed.needs_more()) return bytes.size();
        if (parsed.is_bad()) {
          fail({Errc::upstream_bad_answer, Error(parsed.error()).message()});
          return bytes.size();
        }
        used += parsed.used();
        const Bytes run = parsed.value().data;
        set_timer();
        if (!run.empty()) {
          events_->on_piece(block, {const_cast<std::byte*>(run.data()), run.size()});
        }
        if (!closing_ && parsed.value().end) {
          complete(chunks_.trailers(), used < bytes.size());
          return bytes.size();
        }
        break;
      }
      case State::until_close:
      case State::tunnel:
        set_timer();
        events_->on_piece(block, rest);
        return bytes.size();
    }
  }
  return bytes.size();
}

// 0: it is not complete, or the connection has ended.
std::size_t UpstreamConnection::read_head(std::span<std::byte> bytes) {
  http1::ResponseDecoder decoder;
  auto parsed = decoder.decode(bytes, method_, UpstreamPool::kHeadLimits, head_);
  if (parsed.needs_more()) return 0;
  if (parsed.is_bad()) {
    fail({Errc::upstream_bad_answer, Error(parsed.error()).message()});
    return bytes.size();
  }
  const std::size_t used = parsed.used();
  const bool switches = head_.status == 101;
  if ((switches && !upgrade_) || head_.status > 599) {
    fail({Errc::upstream_bad_answer, switches ? "101 without a request to upgrade"
                                              : "the status is " + std::to_string(head_.status)});
    return bytes.size();
  }
  set_timer();
  if (head_.status < 200 && !switches) {
    if (++interims_ > UpstreamPool::kInterims) {
      fail({Errc::upstream_bad_answer, "it says 1xx again and again"});
      return bytes.size();
    }
    events_->on_interim(head_);
    return used;
  }
  keep_alive_ = head_.keep_alive;
  answered_ = true;
  left_ = head_.content_length;
  if (switches) {
    state_ = State::tunnel;
    ended_out_ = false;
    set_timer();
  } else {
    switch (head_.body) {
      case http::BodyKind::length:
        state_ = State::counted;
        break;
      case http::BodyKind::chunked:
        state_ = State::chunked;
        chunks_.reset();
        break;
      case http::BodyKind::until_close:
        state_ = State::until_close;
        break;
      case http::BodyKind::none:
        break;
    }
  }
  events_->on_response(head_);
  if (closing_ || head_.body != http::BodyKind::none || switches) return used;
  complete({}, used < bytes.size());
  return bytes.size();
}

// `rest`: more has come than was asked for.
void UpstreamConnection::complete(std::string_view trailer_lines, bool rest) {
  const std::string trailers(trailer_lines);
  core::UpstreamEvents* told = std::exchange(events_, nullptr);
  const bool again = keep_alive_ && ended_out_ && out_.empty() && !sending() && !rest;
  state_ = State::idle;
  if (again && pool_.keep(*this)) {
    resume();
    set_timer();
  } else {
    close(io::CloseMode::graceful);
  }
  if (told) told->on_end(trailers);
}

void UpstreamConnection::on_end() {
  pool_.loop_.enter();
  if (!closing_) guarded([this] { end_of_input(); });
}

void UpstreamConnection::ended(bool truncated) {
  truncated_ = truncated;
  on_end();
}

void UpstreamConnection::refused(const std::string& why) {
  guarded([&] {
    if (!connected_) {
      fail({Errc::upstream_unreachable, why});
    } else if (events_) {
      fail({Errc::upstream_broken, why});
    } else {
      close(io::CloseMode::graceful);
    }
  });
}

void UpstreamConnection::end_of_input() {
  if (state_ == State::until_close && truncated_) {
    return fail({Errc::upstream_broken, "its answer may not be whole: TLS ended without a word"});
  }
  if (state_ == State::until_close) return complete({}, false);
  if (state_ == State::tunnel) {
    core::UpstreamEvents* told = std::exchange(events_, nullptr);
    close(io::CloseMode::graceful);
    if (told) told->on_end({});
  } else if (state_ == State::idle) {
    close(io::CloseMode::graceful);
  } else {
    fail({Errc::upstream_broken, answered_ ? "it ended in the middle of its answer"
                                           : "it closed the connection without an answer"});
  }
}

void UpstreamConnection::fail(const Error& why) {
  core::UpstreamEvents* told = std::exchange(events_, nullptr);
  close(io::CloseMode::abort);
  if (told) told->on_failed(why, answered_);
}

// --- Time ----------------------------------------------------------------------------------------

// Only what the server owes is waited for with a clock.
void UpstreamConnection::set_timer() {
  if (closing_) return;
  base::Duration wait{};
  if (state_ == State::idle) {
    wait = kKeepAlive;
  } else if (!connected_) {
    wait = timer_.armed() ? base::Duration{-1} : times_.connect;  // one for all of it
  } else if (!out_.empty()) {
    wait = times_.idle;
  } else if (state_ == State::head) {
    wait = ended_out_ ? times_.response : base::Duration{};
  } else if (state_ != State::tunnel && !paused_) {
    wait = times_.idle;
  }
  if (wait.count() < 0) return;
  base::TimerWheel& timers = pool_.loop_.shard().timers;
  if (wait.count() > 0) {
    timers.set(timer_, pool_.loop_.shard().now + wait);
  } else if (timer_.armed()) {
    timers.cancel(timer_);
  }
}

void UpstreamConnection::timer_fired(void* self) {
  auto& here = *static_cast<UpstreamConnection*>(self);
  here.guarded([&here] { here.time_is_over(); });
}

void UpstreamConnection::time_is_over() {
  if (state_ == State::idle) return close(io::CloseMode::graceful);
  if (!connected_) return fail({Errc::upstream_timeout, "no connection in time"});
  fail({Errc::upstream_timeout, answered_      ? "its answer stands still"
                                : out_.empty() ? "no answer in time"
                                               : "it does not take the request"});
}

}  // namespace sluice::wire
