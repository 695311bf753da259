// front/wire/http2_stream.cpp - a body that comes, an answer that goes.
#include "front/wire/http2_stream.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
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
#include "io/file_pool.hpp"
#include "proto/http/token.hpp"

namespace sluice::wire {
namespace {

// A body up to this size is copied behind its head, so that both leave in one run.
constexpr std::size_t kCopied = 4096;
// Read of a file at a time: sendfile() would have to be called for each frame.
constexpr std::size_t kFileAhead = 128 * 1024;
// What each stream may have waiting though its connection has too much.
constexpr std::size_t kShare = 16 * 1024;
// A client's pace is judged over so long.
constexpr base::Duration kRateSpan = std::chrono::seconds(10);

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

template <class Work>
void Http2Stream::guarded(Work&& work) {
  owner->connection().guarded(std::forward<Work>(work));
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
  guarded([this] {
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
  guarded([&] {
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
  left = answer.extras().stream_length.value_or(0);
  counts = true;
  which.streaming = true;
  // The end follows with end_stream(), also where no body does: until then its handler is at work.
  owner->session().answer(*stream, head);
  owner->schedule();
}

// False: there is nobody to write to.
bool Http2Stream::may_write(std::uint64_t bytes) {
  if (!counted) return true;
  if (bytes > left) {
    break_off(*exchange, Errc::http_length_mismatch);
    return false;
  }
  left -= bytes;
  return true;
}

bool Http2Stream::write_stream(core::Exchange& which, Bytes bytes) {
  if (!is_mine(which) || broken) return false;
  if (without_body || bytes.empty()) return true;
  if (!may_write(bytes.size())) return false;
  bool has_room = false;
  guarded([&] {
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
  guarded([&] {
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
  if (counted && left > 0 && !without_body) return break_off(which, Errc::http_length_mismatch);
  guarded([&] {
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

// --- What leaves ---------------------------------------------------------------------------------

http2::Piece Http2Stream::next(std::size_t most) noexcept {
  if (broken) return {0, http2::Piece::Then::later, {}};
  if (ahead_size == 0 && out.file_first()) {
    switch (load()) {
      case Loaded::yes:
        break;
      case Loaded::later:
        return {0, http2::Piece::Then::later, {}};
      case Loaded::failed:
        broken = owner->has_broken_ = true;
        return {0, http2::Piece::Then::later, {}};
    }
  }
  std::size_t here = ahead_size;
  if (here == 0) {
    iovec parts[16];
    bool file_next = false;
    const std::size_t count = out.gather(parts, file_next);
    for (std::size_t i = 0; i < count && here < most; ++i) here += parts[i].iov_len;
  }
  here = std::min(here, most);
  if (finished && here == pending()) {
    if (leaves_at_once) end_sent = owner->has_leaving_ = true;
    return {here, http2::Piece::Then::end, trailers_out};
  }
  return {here, here == 0 ? http2::Piece::Then::later : http2::Piece::Then::more, {}};
}

bool Http2Stream::put_body(std::size_t bytes) noexcept {
  Connection& connection = owner->connection();
  core::Shard& shard = owner->shard();
  shard.queued_bytes -= bytes;  // the connection counts them from here on
  if (counts) owner->held -= bytes;
  moved += bytes;
  if (tunnel) {
    tunnel->bytes_sent.store(tunnel->bytes_sent.load(std::memory_order_relaxed) + bytes,
                             std::memory_order_relaxed);
  }
  if (over_budget) owner->wants_room_ = true;
  SegmentPool& pool = owner->loop().segments();
  while (bytes > 0 && !connection.close_called_) {
    if (ahead_size > 0) {
      const std::size_t part = std::min(bytes, ahead_size);
      connection.write_block(*ahead, {ahead->data() + ahead_at, part}, core::kKept);
      ahead_at += part;
      ahead_size -= part;
      bytes -= part;
      if (ahead_size == 0) ahead.reset();
      continue;
    }
    const Segment& front = out.front();
    const std::size_t part = std::size_t(std::min<std::uint64_t>(bytes, front.size));
    const Bytes run{front.at, part};
    if (part <= kCopied) {
      connection.write(run);
    } else if (front.block) {
      connection.write_block(*front.block, run, core::kKept);
    } else {
      connection.write_kept(front.owner, run);
    }
    out.consume(pool, part);
    bytes -= part;
  }
  shard.queued_bytes += bytes;
  if (counts) owner->held += bytes;
  return !connection.close_called_;
}

// The next part of the file in front, as far as no disk has to be waited for.
Http2Stream::Loaded Http2Stream::load() noexcept {
  if (warming) return Loaded::later;
  const Segment& front = out.front();
  const std::size_t size = std::size_t(std::min<std::uint64_t>(front.size, kFileAhead));
  if (std::exchange(warmed, 0) < size && !io::is_cached(front.file, front.offset, size)) {
    try {
      warm(size);
    } catch (const std::bad_alloc&) {
      return Loaded::failed;
    }
    if (warming) return Loaded::later;
  }
  base::BlockRef block = owner->shard().blocks.take(size);
  if (!block) return Loaded::failed;
  ssize_t read = 0;
  do {
    read = ::pread(front.file, block->data(), size, off_t(front.offset));
  } while (read < 0 && errno == EINTR);
  if (read <= 0) return Loaded::failed;  // it has become shorter
  ahead = std::move(block);
  ahead_at = 0;
  ahead_size = std::size_t(read);
  out.consume(owner->loop().segments(), std::uint64_t(read));
  return Loaded::yes;
}

void Http2Stream::warm(std::size_t bytes) {
  const Segment& front = out.front();
  Connection& connection = owner->connection();
  core::Hold<core::Connection> hold(connection);
  warming = true;
  const bool taken = owner->loop().session().body_source->run_blocking(
      owner->shard(),
      [file = front.owner, fd = front.file, offset = front.offset, bytes] {
        io::warm(fd, offset, bytes);
      },
      [self = this, &connection, mine = use, bytes] {
        if (!connection.closed_) {
          Http2Stream* found = connection.http2().find(self, mine);
          if (found) found->guarded([&] { found->is_warm(bytes); });
        }
        connection.release();
      });
  if (taken) return hold.leave();
  warming = false;
}

// A page that is evicted meanwhile costs one short wait.
void Http2Stream::is_warm(std::size_t bytes) {
  warming = false;
  warmed = bytes;
  more_to_send();
}

// A client may open streams and take nothing of their answers, which no queue of the connection
// shows.
void Http2Stream::watch() {
  if (stall_timer.armed() || pending() == 0) return;
  stall_mark = rate_mark = moved;
  stall_since = rate_since = owner->shard().now;
  look_again();
}

void Http2Stream::look_again() {
  const core::SessionSettings& settings = owner->shard().settings();
  base::Duration tick = settings.timeouts.min_send_rate > 0 ? kRateSpan : base::Duration::zero();
  const base::Duration write = settings.options.write_timeout;
  if (write.count() > 0) tick = tick.count() > 0 ? std::min(tick, write) : write;
  if (tick.count() > 0) owner->shard().timers.set(stall_timer, owner->shard().now + tick);
}

void Http2Stream::on_stalled() {
  if (!stream || pending() == 0) return;
  const core::SessionSettings& settings = owner->shard().settings();
  const base::Duration write = settings.options.write_timeout;
  const double rate = settings.timeouts.min_send_rate;
  const base::Instant now = owner->shard().now;
  const bool waits =
      owner->session().waits_for_window(*stream) && !owner->connection().is_rationed();
  if (!waits || moved != stall_mark) {
    stall_mark = moved;
    stall_since = now;
  }
  if (!waits) {
    rate_mark = moved;
    rate_since = now;
    return look_again();
  }
  Errc why = Errc::none;
  const double span = std::chrono::duration<double>(now - rate_since).count();
  if (write.count() > 0 && now - stall_since >= write) {
    why = Errc::write_timeout;
  } else if (rate > 0 && now - rate_since >= kRateSpan) {
    if (double(moved - rate_mark) < rate * span) why = Errc::send_rate_timeout;
    rate_mark = moved;
    rate_since = now;
  }
  if (why == Errc::none) return look_again();
  guarded([&] { owner->cut(*this, http2::Code::cancel, why); });
}

}  // namespace sluice::wire
