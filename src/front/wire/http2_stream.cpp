// front/wire/http2_stream.cpp - a body that comes, an answer that goes.
#include "front/wire/http2_stream.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/exchange.hpp"
#include "core/session.hpp"
#include "core/step.hpp"
#include "front/wire/connection.hpp"
#include "front/wire/http2_connection.hpp"
#include "front/wire/http2_tunnel.hpp"
#include "front/wire/loop.hpp"
#include "front/wire/times.hpp"
#include "proto/http/token.hpp"

namespace sluice::wire {
namespace {

// A body up to this size is copied behind its head, so that both leave in one run.
constexpr std::size_t kCopied = 4096;
// What each stream may have waiting though its connection has too much.
constexpr std::size_t kShare = 16 * 1024;

}  // namespace

// --- The pool ------------------------------------------------------------------------------------

Http2Stream* Http2StreamPool::take() {
  if (idle_.empty()) return std::make_unique<Http2Stream>().release();
  Http2Stream* stream = idle_.back().release();
  idle_.pop_back();
  return stream;
}

void Http2StreamPool::give_back(Http2Stream* stream) {
  std::unique_ptr<Http2Stream> own(stream);
  static_cast<Http2StreamState&>(*stream) = {};
  stream->previous_stream = stream->next_stream = nullptr;
  if (idle_.size() == kIdle) return;
  try {
    idle_.push_back(std::move(own));
  } catch (const std::bad_alloc&) {  // then it goes
  }
}

Http2Stream::Http2Stream()
    : timer([](void* self) { static_cast<Http2Stream*>(self)->on_timer(); }, this),
      stall_timer([](void* self) { static_cast<Http2Stream*>(self)->on_stalled(); }, this) {}

void Http2Stream::clear() {
  core::Shard& shard = owner->shard();
  shard.timers.cancel(timer);
  shard.timers.cancel(stall_timer);
  const std::size_t bytes = pending();
  shard.queued_bytes -= bytes;
  if (counts) owner->held -= bytes;
  out.clear(owner->loop().segments());
  ahead.reset();
  ahead_size = 0;
  kept.reset();
  trailers_in.clear();
  trailers_out.clear();
  ++use;
}

// --- The request ---------------------------------------------------------------------------------

void Http2Stream::begin() {
  core::Exchange& own = *exchange;
  core::Hold<core::Exchange> hold(own);
  core::ServerSession& session = owner->loop().session();
  if (error != Errc::none) return session.respond_error(own, error);
  own.body_complete = own.ends_with_head();
  const core::BodyPlan plan = session.on_head(own);
  owner->idle_time = times_of(own).idle_connection;
  if (!is_mine(own)) return;
  refused = plan.kind == core::BodyPlan::Kind::answered;
  if (plan.kind == core::BodyPlan::Kind::read) begin_body();
  set_time();
}

void Http2Stream::begin_body() {
  core::Exchange& own = *exchange;
  if (own.body_complete) return owner->loop().session().on_body_end(own);
  reading = true;
  if (own.head.expect_continue && !kept && !ended && !own.streaming) {
    owner->session().interim(*stream, 100, {});
    owner->schedule();
  }
  if (kept || ended) tell_news();
}

void Http2Stream::decided(core::Exchange& which) {
  if (!is_mine(which)) return;
  core::Hold<core::Exchange> hold(which);
  begin_body();
  if (!is_mine(which)) return;
  if (phase == Phase::queue && !which.queue_state) set_phase(Phase::none, {});
  set_time();
  owner->schedule();
}

// How long what it waits for may take.
void Http2Stream::set_time() {
  if (!exchange || !stream) return;
  const Times times = times_of(*exchange);
  if (reading && !is_paused() && !ended) {
    set_phase(Phase::body, times.entity_body);
  } else if (phase == Phase::queue) {
    // It waits for a thread, or somebody decides about it: that time goes on.
  } else if (exchange->undecided) {
    set_phase(Phase::queue, times.request_queue);
  } else {
    set_phase(Phase::none, {});
  }
}

void Http2Stream::set_phase(Phase next, std::chrono::milliseconds time) {
  phase = next;
  base::TimerWheel& timers = owner->shard().timers;
  if (next == Phase::none || time.count() == 0) {
    if (timer.armed()) timers.set(timer, base::never);
    return;
  }
  timers.set(timer, owner->shard().now + time);
}

void Http2Stream::on_timer() {
  owner->connection().guarded([this] {
    core::ServerSession& session = owner->loop().session();
    const Phase was = std::exchange(phase, Phase::none);
    if (was == Phase::stream || was == Phase::linger) {
      if (!stream || !tunnel || !tunnel->stream) return;
      if (was == Phase::linger) {
        give_up(http2::Code::cancel);
      } else {
        tunnel->stream->on_timer();
      }
      return owner->schedule();
    }
    if (!exchange || !stream) return;
    core::Exchange& own = *exchange;
    core::Hold<core::Exchange> hold(own);
    if (was == Phase::queue) {
      session.on_queue_timeout(own);
    } else if (was == Phase::body && !is_paused()) {
      if (!own.answered && !own.late) {
        session.respond_error(own, Errc::body_timeout);
      } else {
        break_off(own, Errc::body_timeout);
      }
    }
    owner->schedule();
  });
}

void Http2Stream::consume(std::size_t bytes) {
  if (stream) owner->session().consume(*stream, bytes);
}

void Http2Stream::take(std::span<std::byte> data, base::Block& block) {
  if (is_tunnel()) {
    if (is_paused() || kept) return keep(data);
    tunnel->receive(block, data);
    return consume(data.size());
  }
  if (!exchange) return consume(data.size());  // nobody reads the rest
  if (refused) {
    owed += data.size();
  } else if (!reading || is_paused() || kept) {
    keep(data);
  } else {
    give(block, data);
    if (exchange && reading && !is_paused()) set_time();
  }
}

void Http2Stream::give(base::Block& block, std::span<std::byte> piece) {
  core::Hold<core::Exchange> hold(*exchange);
  owner->loop().session().on_body(*exchange, block, piece);
  consume(piece.size());
}

// At most what the window allows: 256 KiB.
void Http2Stream::keep(std::span<const std::byte> bytes) {
  const std::size_t left = kept_size - kept_at;
  if (!kept || kept_size + bytes.size() > kept->capacity()) {
    base::BlockRef larger = owner->shard().blocks.take((left + bytes.size()) * (kept ? 2 : 1));
    if (!larger) throw std::bad_alloc();
    if (left > 0) std::memcpy(larger->data(), kept->data() + kept_at, left);
    kept = std::move(larger);
    kept_at = 0;
    kept_size = std::uint32_t(left);
  }
  std::memcpy(kept->data() + kept_size, bytes.data(), bytes.size());
  kept_size += std::uint32_t(bytes.size());
}

void Http2Stream::take_trailers(std::span<const http::Field> fields) {
  if (!exchange) return;
  for (const http::Field& field : fields) {
    trailers_in.append(field.name).append(": ").append(field.value).append("\r\n");
  }
}

void Http2Stream::end_body() {
  ended = true;
  if (is_tunnel() && !is_paused() && !kept) return tunnel->receive_end();
  if (exchange && reading && !is_paused() && !kept) finish_body();
}

void Http2Stream::finish_body() {
  core::Exchange& own = *exchange;
  core::Hold<core::Exchange> hold(own);
  reading = false;
  if (phase == Phase::body) set_phase(Phase::none, {});
  owner->loop().session().on_body_end(own);
}

void Http2Stream::deliver() {
  has_news = false;
  if (is_tunnel()) {
    if (!is_paused() && kept) {
      const base::BlockRef block = std::move(kept);
      kept = {};
      const std::uint32_t at = std::exchange(kept_at, 0), size = std::exchange(kept_size, 0);
      tunnel->receive(*block, {block->data() + at, size - at});
      consume(size - at);
    }
    if (is_tunnel() && !is_paused() && !kept && ended) tunnel->receive_end();
    return;
  }
  if (exchange && reading && !is_paused() && kept) {
    const base::BlockRef block = std::move(kept);
    kept = {};
    const std::uint32_t at = std::exchange(kept_at, 0), size = std::exchange(kept_size, 0);
    give(*block, {block->data() + at, size - at});
  }
  if (exchange && reading && !is_paused() && !kept && ended) finish_body();
  set_time();
}

void Http2Stream::tell_news() {
  has_news = owner->has_news_ = true;
  owner->schedule();
}

std::string_view Http2Stream::trailers(const core::Exchange& which) {
  return exchange == &which ? std::string_view(trailers_in) : std::string_view();
}

void Http2Stream::pause_body(core::Exchange& which) {
  if (exchange == &which) paused = true;
}

void Http2Stream::resume_body(core::Exchange& which) {
  if (!is_mine(which) || !paused) return;
  paused = false;
  tell_news();
}

void Http2Stream::pool_pause(core::Exchange& which) {
  if (exchange == &which) pool_paused = true;
}

void Http2Stream::pool_resume(core::Exchange& which) {
  if (!is_mine(which) || !pool_paused) return;
  pool_paused = false;
  tell_news();
}

void Http2Stream::wait_for_thread(core::Exchange& which) {
  if (is_mine(which)) set_phase(Phase::queue, times_of(which).request_queue);
}

// --- The answer ----------------------------------------------------------------------------------

namespace {

http2::AnswerHead head_of(const core::Exchange& exchange) {
  const core::Answer& answer = exchange.answer;
  http2::AnswerHead head;
  head.status = answer.status;
  head.fields = answer.fields;
  if (!answer.has_date) head.date = exchange.shard.date();
  if (answer.has_type && answer.status != 204) head.type = answer.type;
  return head;
}

}  // namespace

void Http2Stream::respond(core::Exchange& which) {
  if (!is_mine(which)) return;
  const core::Answer& answer = which.answer;
  const std::uint64_t size = answer.body_size();
  http2::AnswerHead head = head_of(which);
  const bool none = answer.status == 204 || answer.status == 304;
  if (!none) {
    const bool known = which.head_only && answer.extras().length_without_body;
    head.content_length = known ? *answer.extras().length_without_body : size;
  }
  head.ends = none || which.head_only || size == 0;
  if (!owner->session().answer(*stream, head)) return owner->schedule();  // it has failed
  owner->connection().guarded([&] {
    if (!head.ends) append_parts(which);
    finished = true;
    complete();
  });
}

void Http2Stream::append_parts(core::Exchange& which) {
  core::Answer& answer = which.answer;
  if (answer.extras().parts.empty()) {
    counts = true;
    if (answer.text.size() <= kCopied) return append(as_bytes(answer.text));
    const auto text = base::SharedBytes::own(std::exchange(answer.text, {}));
    return append_shared(text.owner(), text.bytes());
  }
  for (const core::BodyPart& part : answer.extras().parts) {
    if (part.file) {
      if (!out.append_file(owner->loop().segments(), part.file, part.offset, part.length)) {
        throw std::bad_alloc();
      }
      owner->shard().queued_bytes += part.length;
    } else if (part.shared && part.bytes.size() > kCopied) {
      append_shared(part.shared.owner(), part.bytes);
    } else {
      append(part.bytes);
    }
  }
}

// A copy.
void Http2Stream::append(Bytes bytes) {
  core::Shard& shard = owner->shard();
  if (bytes.empty()) return;
  if (bytes.size() <= core::Scratch::kLargest) {
    std::byte* at = shard.scratch.reserve(bytes.size());
    if (!at) throw std::bad_alloc();
    std::memcpy(at, bytes.data(), bytes.size());
    shard.scratch.commit(bytes.size());
    if (!out.append(owner->loop().segments(), shard.scratch.block(), {at, bytes.size()},
                    core::kKept)) {
      throw std::bad_alloc();
    }
  } else {
    const base::BlockRef block = shard.blocks.take(bytes.size());
    if (!block) throw std::bad_alloc();
    std::memcpy(block->data(), bytes.data(), bytes.size());
    if (!out.append(owner->loop().segments(), *block, {block->data(), bytes.size()}, core::kKept)) {
      throw std::bad_alloc();
    }
  }
  shard.queued_bytes += bytes.size();
  if (counts) owner->held += bytes.size();
}

void Http2Stream::append_shared(std::shared_ptr<const void> keeper, Bytes bytes) {
  if (!out.append(owner->loop().segments(), std::move(keeper), bytes, core::kKept)) {
    throw std::bad_alloc();
  }
  owner->shard().queued_bytes += bytes.size();
  if (counts) owner->held += bytes.size();
}

// The exchange is done with; what is left of its answer is here.
void Http2Stream::complete() {
  core::Exchange* left = std::exchange(exchange, nullptr);
  reading = paused = pool_paused = has_news = false;
  if (phase != Phase::none) set_phase(Phase::none, {});
  const std::size_t unread = kept_size - kept_at + std::exchange(owed, 0);
  kept.reset();
  kept_at = kept_size = 0;
  if (unread > 0) consume(unread);
  left->port = nullptr;
  left->release();
  owner->schedule();
}

void Http2Stream::begin_stream(core::Exchange& which) {
  if (!is_mine(which)) return;
  const core::Answer& answer = which.answer;
  http2::AnswerHead head = head_of(which);
  without_body = which.head_only || answer.status == 204 || answer.status == 304;
  if (answer.status != 204 && answer.status != 304) {
    head.content_length = answer.extras().stream_length;
  }
  counted = answer.extras().stream_length.has_value();
  length_left = answer.extras().stream_length.value_or(0);
  counts = true;
  which.streaming = true;
  // The end follows with end_stream(), also where no body does: until then its handler is at work.
  owner->session().answer(*stream, head);
  owner->schedule();
}

// False: there is nobody to write to.
bool Http2Stream::may_write(std::uint64_t bytes) {
  if (!counted) return true;
  if (bytes > length_left) {
    break_off(*exchange, Errc::http_length_mismatch);
    return false;
  }
  length_left -= bytes;
  return true;
}

bool Http2Stream::write_stream(core::Exchange& which, Bytes bytes) {
  if (!is_mine(which) || broken) return false;
  if (without_body || bytes.empty()) return true;
  if (!may_write(bytes.size())) return false;
  bool has_room = false;
  owner->connection().guarded([&] {
    append(bytes);
    more_to_send();
    has_room = !wants_on_writable();
  });
  return has_room;
}

bool Http2Stream::write_stream_shared(core::Exchange& which, const base::SharedBytes& bytes) {
  if (!is_mine(which) || broken || without_body || bytes.size() <= kCopied) {
    return write_stream(which, bytes.bytes());
  }
  if (!may_write(bytes.size())) return false;
  bool has_room = false;
  owner->connection().guarded([&] {
    append_shared(bytes.owner(), bytes.bytes());
    more_to_send();
    has_room = !wants_on_writable();
  });
  return has_room;
}

bool Http2Stream::is_over_budget() const {
  const std::size_t budget = owner->shard().settings().limits.send_queue_bytes;
  const std::size_t here = pending();
  if (here == 0) return false;
  return here >= budget || (owner->held >= budget && here >= kShare) ||
         owner->shard().queued_bytes >= owner->shard().settings().limits.send_queue_total;
}

bool Http2Stream::has_room() const {
  const std::size_t budget = owner->shard().settings().limits.send_queue_bytes;
  const std::size_t here = pending();
  return here == 0 || (here < budget / 2 && (owner->held < budget || here < kShare / 2));
}

bool Http2Stream::wants_on_writable() {
  if (!is_over_budget()) return false;
  over_budget = true;
  return true;
}

void Http2Stream::interim(core::Exchange& which, int status, std::string_view fields) {
  if (!is_mine(which) || broken) return;
  owner->session().interim(*stream, status, fields);
  owner->schedule();
}

void Http2Stream::end_stream(core::Exchange& which, std::string_view trailer_lines) {
  if (!is_mine(which) || broken) return;
  if (counted && length_left > 0 && !without_body)
    return break_off(which, Errc::http_length_mismatch);
  owner->connection().guarded([&] {
    if (!without_body) trailers_out = trailer_lines;
    finished = true;
    owner->session().resume(*stream);
    complete();
  });
}

// Its stream is reset in push(): whoever calls may be in the middle of something.
void Http2Stream::break_off(core::Exchange& which, const Error& why) {
  if (!is_mine(which) || broken) return;
  give_up(http2::Code::internal_error);
  owner->loop().session().reject(&owner->connection(), why, owner->shard());
}

// --- Tunnels -------------------------------------------------------------------------------------

bool Http2Stream::is_tunnel() const { return tunnel && tunnel->stream && stream; }

core::Connection& Http2Stream::stream_connection(core::Exchange& which) {
  if (!tunnel) tunnel = Http2Tunnel::make(owner->connection(), *this);
  core::Connection* before = which.connection;
  tunnel->retain();
  which.connection = tunnel;
  before->release();
  return *tunnel;
}

// The fields are those of a 101: what is of HTTP/1.1 goes, the rest is said with 200.
void Http2Stream::upgrade(core::Exchange& which, std::string_view fields, core::StreamPtr events) {
  std::string said;
  for (std::string_view rest = fields; !rest.empty();) {
    const std::size_t end = std::min(rest.find("\r\n") + 2, rest.size());
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end);
    const std::string_view name = line.substr(0, line.find(':'));
    if (!http::equal_nocase(name, "sec-websocket-accept")) said.append(line);
  }
  stream_connection(which);
  tunnel->stream = std::move(events);
  http2::AnswerHead head;
  head.date = owner->shard().date();
  head.fields = said;
  owner->session().answer(*stream, head);
  core::Exchange* left = std::exchange(exchange, nullptr);
  reading = refused = paused = pool_paused = false;
  set_phase(Phase::none, {});
  left->port = nullptr;
  left->release();
  if (kept || ended) tell_news();
  owner->schedule();
}

bool Http2Stream::add(base::Block& block, Bytes bytes, core::Marks marks) {
  if (!out.append(owner->loop().segments(), block, bytes, marks)) return false;
  owner->shard().queued_bytes += bytes.size();
  return true;
}

bool Http2Stream::add_shared(std::shared_ptr<const void> keeper, Bytes bytes, core::Marks marks) {
  if (!out.append(owner->loop().segments(), std::move(keeper), bytes, marks)) return false;
  owner->shard().queued_bytes += bytes.size();
  return true;
}

std::size_t Http2Stream::drop(std::size_t bytes, core::Marks marks) {
  const std::size_t before = out.size();
  const std::size_t dropped = out.drop(owner->loop().segments(), 0, bytes, marks);
  owner->shard().queued_bytes -= before - out.size();
  return dropped;
}

void Http2Stream::more_to_send() {
  owner->session().resume(*stream);
  owner->schedule();
}

void Http2Stream::set_stream_time(std::uint64_t milliseconds) {
  set_phase(milliseconds == 0 ? Phase::none
            : finished        ? Phase::linger
                              : Phase::stream,
            std::chrono::milliseconds(milliseconds));
}

void Http2Stream::give_up(http2::Code why) {
  if (broken) return;
  code = why;
  broken = owner->has_broken_ = true;
  owner->schedule();
}

}  // namespace sluice::wire
