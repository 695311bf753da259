// front/wire/http1_connection.cpp - requests in, answers out.
//
// RFC 9112. The other half of wire::Connection. Layer: front/wire. Thread: shard.
#include <algorithm>
#include <cstring>

#include "core/exchange.hpp"
#include "core/raw_stream.hpp"
#include "core/session.hpp"
#include "core/step.hpp"
#include "front/wire/connection.hpp"
#include "front/wire/loop.hpp"
#include "front/wire/times.hpp"
#include "proto/http1/first_bytes.hpp"
#include "proto/http1/request_decoder.hpp"
#include "proto/http2/preface.hpp"

namespace sluice::wire {
namespace {

// A body up to this size is copied behind its head, so that both leave in one run.
constexpr std::size_t kCopied = 4096;

std::uint64_t count(std::chrono::milliseconds time) { return std::uint64_t(time.count()); }

// While the head's bytes are worked on, the connection is there anyway. Only an exchange that stays
// behind keeps it: most are answered by then, without a locked operation.
class Borrowed {
 public:
  Borrowed(core::Exchange& exchange, core::Connection& connection)
      : exchange_(exchange), connection_(connection) {}
  ~Borrowed() {
    if (exchange_.is_last_use()) {
      exchange_.connection = nullptr;
    } else if (exchange_.connection) {
      connection_.retain();
    }
    exchange_.release();
  }
  Borrowed(const Borrowed&) = delete;
  Borrowed& operator=(const Borrowed&) = delete;

 private:
  core::Exchange& exchange_;
  core::Connection& connection_;
};

// The body, when it stands in one piece of memory; else null.
const char* one_run(const core::Answer& answer) {
  const std::vector<core::BodyPart>& parts = answer.extras().parts;
  if (parts.empty()) return answer.text.data();
  return parts.size() == 1 && !parts[0].file ? as_text(parts[0].bytes).data() : nullptr;
}

}  // namespace

// --- Requests ------------------------------------------------------------------------------------

// Returns how much was used: the rest waits for its beginning, for room, or for an answer.
std::size_t Connection::process(base::Block& block, std::span<std::byte> bytes) {
  work_->processing = true;
  std::size_t used = 0;
  while (used < bytes.size() && !close_called_) {
    std::span<std::byte> rest = bytes.subspan(used);
    if (stream) {
      stream->on_bytes(block, rest);
      used = bytes.size();
    } else if (closing_) {
      // The client is still sending: a plain close would take its answer away.
      close_when_drained(true);
      used = bytes.size();
    } else if (!work_->exchange) {
      // Under a limit of bandwidth the next request may count for another URL group: what the one
      // before has written leaves first.
      if (budget_is_used_up() || (paced_ && waiting() > 0)) {
        work_->waits_for_room = true;
        break;
      }
      std::size_t head = begin_request(block, rest);
      if (head == 0 && !stream) break;
      used += head;
    } else if (work_->reading_body && !work_->body_done && !work_->body_paused) {
      used += feed_body(block, rest);
    } else {
      break;
    }
    if (work_->reading_body && work_->body_done && !work_->body_paused) finish_body();
  }
  work_->processing = false;
  if (close_called_) return bytes.size();
  if (work_->exchange) {
    // The handler answers later: what its views point to stays.
    if (!work_->exchange->head_block) work_->exchange->head_block = base::BlockRef::share(block);
    if (work_->reading_body && !work_->body_paused) {
      set_phase(Phase::body, count(times_of(*work_->exchange).entity_body));
    } else if (work_->phase == Phase::queue) {
      // It waits for a thread, or somebody decides about it: that time goes on.
    } else if (work_->exchange->undecided) {
      set_phase(Phase::queue, count(times_of(*work_->exchange).request_queue));
    } else {
      set_phase(Phase::none, 0);
    }
  } else if (!stream && !closing_) {
    const Timeouts& timeouts = shard().settings().timeouts;
    if (peer_ended_ && !work_->waits_for_room) {
      close_when_drained(false);
    } else if (work_->waits_for_room) {
      set_phase(Phase::none, 0);
    } else if (used == bytes.size()) {
      set_phase(Phase::idle, count(work_->idle));
    } else if (work_->phase != Phase::header) {
      set_phase(Phase::header, count(timeouts.header_wait));
    }
  }
  return used;
}

// 0: the head is not complete.
std::size_t Connection::begin_request(base::Block&, std::span<std::byte> bytes) {
  core::ServerSession& session = loop().session();
  if (!work_->begun && !secured_ && bytes[0] == std::byte{'P'}) [[unlikely]] {
    switch (shard().settings().options.http2 ? http2::judge_preface(bytes) : http2::Preface::no) {
      case http2::Preface::yes:
        begin_http2();
        return 0;
      case http2::Preface::maybe:
        return 0;
      case http2::Preface::no:
        break;
    }
  }
  bool first = !work_->begun && session.events.on_unknown_protocol;
  if (first && !http1::may_begin_request(bytes)) return begin_raw(bytes) ? 0 : bytes.size();
  core::Exchange& exchange = *shard().take_exchange();
  Borrowed borrowed(exchange, *this);
  http1::RequestDecoder decoder;
  auto parsed = decoder.decode(bytes, shard().settings().head_limits(), exchange.head);
  if (parsed.needs_more()) return 0;
  if (first && parsed.is_bad() && http1::is_of_request_line(parsed.error())) {
    return begin_raw(bytes) ? 0 : bytes.size();
  }
  work_->begun = true;
  exchange.port = work_;
  exchange.connection = this;
  work_->exchange = &exchange;
  exchange.retain();
  work_->phase = Phase::none;  // whatever the timer was set for is over
  if (parsed.is_bad()) {
    session.respond_error(exchange, parsed.error());
    return bytes.size();
  }
  std::size_t used = parsed.used();
  exchange.head_size = used;
  after_head(exchange, used < bytes.size());
  return used;
}

// The deadline of the first head stays.
void Connection::begin_http2() {
  std::unique_ptr<Http2> made = Http2::make(*this);
  Http2& http2 = *made;
  stream = core::StreamPtr(made.release());
  multiplexed_ = true;
  if (work_->phase == Phase::header) work_->phase = Phase::stream;
  if (shard().draining) http2.on_drain(1001);
  http2.schedule();
}

// What comes is not HTTP. True: the application takes it as a stream.
bool Connection::begin_raw(std::span<std::byte> bytes) {
  core::ServerSession& session = loop().session();
  if (session.on_unknown_protocol(*this, bytes) && !close_called_) {
    stream = core::RawStream::make(*this);
    set_phase(Phase::none, 0);
    return true;
  }
  if (close_called_) return false;
  session.reject(this, Errc::http_bad_request_line, shard());
  plain_error(Errc::http_bad_request_line);
  return false;
}

void Connection::after_head(core::Exchange& exchange, bool more_here) {
  core::ServerSession& session = loop().session();
  const http::RequestHead& head = exchange.head;
  bool no_body = head.body == http::BodyKind::none ||
                 (head.body == http::BodyKind::length && head.content_length == 0);
  exchange.body_complete = no_body;
  core::BodyPlan plan = session.on_head(exchange);
  work_->idle = times_of(exchange).idle_connection;
  if (work_->exchange != &exchange || plan.kind != core::BodyPlan::Kind::read) return;
  begin_body(exchange, more_here);
}

void Connection::begin_body(core::Exchange& exchange, bool more_here) {
  const http::RequestHead& head = exchange.head;
  if (exchange.body_complete) {
    loop().session().on_body_end(exchange);
    return;
  }
  work_->reading_body = true;
  work_->body_done = false;
  work_->body_chunked = head.body == http::BodyKind::chunked;
  work_->body_left = head.content_length;
  work_->body_slow = false;
  if (work_->body_chunked) {
    if (!work_->chunks) work_->chunks = std::make_unique<http1::ChunkedDecoder>();
    work_->chunks->reset();
  }
  if (head.expect_continue && !more_here && !exchange.streaming) {
    write(as_bytes(http1::continue_response()));
  }
}

std::size_t Connection::feed_body(base::Block& block, std::span<std::byte> bytes) {
  core::ServerSession& session = loop().session();
  core::Exchange& exchange = *work_->exchange;
  std::span<std::byte> piece;
  std::size_t used = 0;
  bool last = false;
  if (work_->body_chunked) {
    auto parsed = work_->chunks->decode(bytes, shard().settings().head_limits());
    if (parsed.needs_more()) return bytes.size();
    if (parsed.is_bad()) {
      if (!exchange.answered && !exchange.late) {
        session.respond_error(exchange, parsed.error());
      } else {
        break_off(exchange, parsed.error());
      }
      return bytes.size();
    }
    used = parsed.used();
    Bytes run = parsed.value().data;
    piece = {const_cast<std::byte*>(run.data()), run.size()};  // it points into `bytes`
    last = parsed.value().end;
  } else {
    used = std::size_t(std::min<std::uint64_t>(work_->body_left, bytes.size()));
    piece = bytes.first(used);
    work_->body_left -= used;
    last = work_->body_left == 0;
  }
  work_->body_done = last;
  core::Hold<core::Exchange> hold(exchange);
  if (!piece.empty()) session.on_body(exchange, block, piece);
  return used;
}

void Connection::finish_body() {
  if (!work_->exchange || !work_->reading_body || !work_->body_done || work_->body_paused) return;
  core::Exchange& exchange = *work_->exchange;
  work_->reading_body = work_->body_done = false;
  core::Hold<core::Exchange> hold(exchange);
  loop().session().on_body_end(exchange);
}

// Somebody has made it wait, and does so no more: the time of its next piece begins.
void Connection::wait_for_body() {
  if (close_called_ || !work_ || !work_->exchange || !work_->reading_body) return;
  if (work_->body_done || work_->body_paused) return;
  set_phase(Phase::body, count(times_of(*work_->exchange).entity_body));
}

void Connection::pause_body(core::Exchange& exchange) {
  if (work_->exchange != &exchange) return;
  work_->body_paused = true;
  if (!work_->processing) settle();
}

void Connection::resume_body(core::Exchange& exchange) {
  if (work_->exchange != &exchange || !work_->body_paused) return;
  work_->body_paused = false;
  loop().want_to_go_on(*this);
}

void Connection::wait_for_thread(core::Exchange& exchange) {
  if (work_->exchange != &exchange) return;
  set_phase(Phase::queue, count(times_of(exchange).request_queue));
}

void Connection::decided(core::Exchange& exchange) {
  if (work_->exchange != &exchange) return;
  begin_body(exchange, bool(work_->in));
  if (close_called_ || !work_ || work_->exchange != &exchange) return;
  if (work_->reading_body && !work_->body_paused) {
    set_phase(Phase::body, count(times_of(exchange).entity_body));
  } else if (!exchange.queue_state) {
    set_phase(Phase::none, 0);
  }
  loop().want_to_go_on(*this);
}

// --- Answers -------------------------------------------------------------------------------------

inline bool Connection::stays_alive(const core::Exchange& exchange) const {
  return exchange.head.keep_alive && exchange.body_complete && !exchange.answer.close_connection &&
         !close_after_ && (!peer_ended_ || work_->in) && !shard().draining;
}

[[gnu::always_inline]] inline http1::ResponseHeadOut Connection::make_head(core::Exchange& exchange,
                                                                           bool stay) {
  core::Answer& answer = exchange.answer;
  http1::ResponseHeadOut head;
  head.status = answer.status;
  if (!answer.has_date) head.date = shard().date();
  if (answer.has_type && answer.status != 204) head.type = answer.type;
  head.fields = answer.fields;
  if (!stay) {
    head.connection = http1::ConnectionField::close;
  } else if (exchange.head.minor == 0) {
    head.connection = http1::ConnectionField::keep_alive;
  }
  return head;
}

void Connection::send_head(const http1::ResponseHeadOut& head, std::string_view body) {
  std::size_t bound = http1::response_head_bound(head) + body.size();
  if (bound > core::Scratch::kLargest) {
    base::BlockRef block = shard().blocks.take(bound);
    if (!block) return out_of_memory();
    char* end = http1::write_response_head(block->text(), head);
    if (!body.empty()) std::memcpy(end, body.data(), body.size());
    write_block(*block, {block->data(), std::size_t(end - block->text()) + body.size()}, false);
    return;
  }
  auto* at = reinterpret_cast<char*>(reserve(bound));
  if (!at) return out_of_memory();
  char* end = http1::write_response_head(at, head);
  if (!body.empty()) std::memcpy(end, body.data(), body.size());
  commit(std::size_t(end - at) + body.size(), false);
}

void Connection::respond(core::Exchange& exchange) {
  core::Answer& answer = exchange.answer;
  bool stay = stays_alive(exchange);
  http1::ResponseHeadOut head = make_head(exchange, stay);
  std::uint64_t size = answer.body_size();
  if (answer.status == 204 || answer.status == 304) {
    head.framing = http1::Framing::none;
  } else {
    head.content_length = size;
    if (exchange.head_only && answer.extras().length_without_body)
      head.content_length = *answer.extras().length_without_body;
  }
  bool body = size > 0 && !exchange.head_only && head.framing == http1::Framing::length;
  if (!body) {
    send_head(head, {});
  } else if (const char* bytes = size <= kCopied ? one_run(answer) : nullptr) {
    send_head(head, {bytes, std::size_t(size)});
  } else {
    send_head(head, {});
    send_parts(exchange);
  }
  complete(exchange, stay);
}

void Connection::send_parts(core::Exchange& exchange) {
  core::Answer& answer = exchange.answer;
  if (answer.extras().parts.empty()) {
    // A large text is taken over instead of being copied.
    write_shared(base::SharedBytes::own(std::exchange(answer.text, {})), false);
    return;
  }
  for (const core::BodyPart& part : answer.extras().parts) {
    queue_first_run();
    if (closed_ || close_called_) return;
    if (part.file) {
      if (!work_->out.append_file(loop().segments(), part.file, part.offset, part.length)) {
        return out_of_memory();
      }
      shard().queued_bytes += part.length;
      mark_dirty();
    } else if (part.shared && part.bytes.size() > kCopied) {
      if (!work_->out.append(loop().segments(), part.shared.owner(), part.bytes, false)) {
        return out_of_memory();
      }
      shard().queued_bytes += part.bytes.size();
      mark_dirty();
    } else {
      write(part.bytes);
    }
  }
}

void Connection::complete(core::Exchange& exchange, bool stay) {
  bool unread = !exchange.body_complete;
  work_->exchange = nullptr;
  exchange.port = nullptr;
  work_->reading_body = work_->body_done = work_->body_paused = false;
  exchange.release();
  if (close_called_) return;
  if (!stay) {
    close_after_ = true;
    close_when_drained(unread || work_->in);
    return;
  }
  if (work_->processing) return;  // process() goes on
  if (work_->in) {
    loop().want_to_go_on(*this);
  } else if (peer_ended_) {
    close_when_drained(false);
  } else {
    set_phase(Phase::idle, count(work_->idle));
  }
  settle();
}

void Connection::plain_error(Errc code) {
  const ErrorInfo& row = info(code);
  http1::ResponseHeadOut head;
  head.status = row.wire;
  head.date = shard().date();
  head.connection = http1::ConnectionField::close;
  head.fields = "Content-Type: text/plain; charset=utf-8\r\n";
  head.content_length = row.sentence.size();
  send_head(head, row.sentence);
  close_after_ = true;
  work_->in.reset();
  work_->in_at = work_->in_size = 0;
  close_when_drained(true);
}

// --- Streamed answers ----------------------------------------------------------------------------

void Connection::begin_stream(core::Exchange& exchange) {
  core::Answer& answer = exchange.answer;
  bool bodyless = answer.status == 204 || answer.status == 304;
  work_->counted_stream = answer.extras().stream_length.has_value();
  work_->chunked_stream = !work_->counted_stream && exchange.head.minor >= 1 && !bodyless;
  work_->head_only_stream = exchange.head_only || bodyless;
  work_->stream_left = answer.extras().stream_length.value_or(0);
  work_->stream_stays = stays_alive(exchange) &&
                        (work_->counted_stream || work_->chunked_stream || work_->head_only_stream);
  exchange.streaming = true;
  http1::ResponseHeadOut head = make_head(exchange, work_->stream_stays);
  head.framing = bodyless                ? http1::Framing::none
                 : work_->chunked_stream ? http1::Framing::chunked
                 : work_->counted_stream ? http1::Framing::length
                                         : http1::Framing::none;
  head.content_length = work_->stream_left;
  send_head(head, {});
}

bool Connection::write_stream(core::Exchange& exchange, Bytes bytes) {
  if (work_->exchange != &exchange || close_called_) return false;
  if (work_->head_only_stream || bytes.empty()) return true;
  if (work_->counted_stream) {
    if (bytes.size() > work_->stream_left) {
      break_off(exchange, Errc::http_length_mismatch);
      return false;
    }
    work_->stream_left -= bytes.size();
  }
  if (!work_->chunked_stream) {
    write(bytes);
    return !wants_on_writable();
  }
  char chunk[http1::kChunkHeadBound];
  char* end = http1::write_chunk_head(chunk, bytes.size());
  std::size_t head = std::size_t(end - chunk);
  std::size_t size = head + bytes.size() + http1::kChunkTail.size();
  base::BlockRef block;
  std::byte* at = nullptr;
  if (size <= core::Scratch::kLargest) {
    at = reserve(size);
  } else {
    block = shard().blocks.take(size);
    if (block) at = block->data();
  }
  if (!at) {
    out_of_memory();
    return false;
  }
  std::memcpy(at, chunk, head);
  std::memcpy(at + head, bytes.data(), bytes.size());
  std::memcpy(at + head + bytes.size(), http1::kChunkTail.data(), http1::kChunkTail.size());
  if (block) {
    write_block(*block, {at, size}, false);
  } else {
    commit(size, false);
  }
  return !wants_on_writable();
}

void Connection::interim(core::Exchange& exchange, int status, std::string_view fields) {
  if (work_->exchange != &exchange || close_called_ || exchange.head.minor == 0) return;
  http1::ResponseHeadOut head;
  head.status = status;
  head.framing = http1::Framing::none;
  head.fields = fields;
  send_head(head, {});
}

bool Connection::write_stream_shared(core::Exchange& exchange, const base::SharedBytes& bytes) {
  const bool plain = work_->exchange == &exchange && !close_called_ && !work_->counted_stream &&
                     !work_->head_only_stream;
  if (!plain || bytes.size() <= kCopied) return write_stream(exchange, bytes.bytes());
  if (work_->chunked_stream) {
    char chunk[http1::kChunkHeadBound];
    char* end = http1::write_chunk_head(chunk, bytes.size());
    write(as_bytes(std::string_view(chunk, std::size_t(end - chunk))));
  }
  write_shared(bytes, core::kKept);
  if (work_->chunked_stream) write(as_bytes(http1::kChunkTail));
  return !wants_on_writable();
}

void Connection::end_stream(core::Exchange& exchange, std::string_view trailer_lines) {
  if (work_->exchange != &exchange) return;
  if (work_->counted_stream && work_->stream_left > 0 && !work_->head_only_stream) {
    break_off(exchange, Errc::http_length_mismatch);
    return;
  }
  if (work_->chunked_stream && !work_->head_only_stream) {
    write(as_bytes(http1::kLastChunk));
    if (!trailer_lines.empty()) write(as_bytes(trailer_lines));
    write(as_bytes(std::string_view("\r\n")));
  }
  bool no_more = close_after_ || (peer_ended_ && !work_->in);
  complete(exchange, work_->stream_stays && exchange.body_complete && !no_more);
}

void Connection::break_off(core::Exchange& exchange, const Error& why) {
  if (work_->exchange != &exchange) return;
  close_now(io::CloseMode::abort);
  loop().session().reject(this, why, shard());
}

// --- Upgrade -------------------------------------------------------------------------------------

void Connection::upgrade(core::Exchange& exchange, std::string_view fields,
                         core::StreamPtr events) {
  http1::ResponseHeadOut head;
  head.status = 101;
  head.framing = http1::Framing::none;
  head.date = shard().date();
  head.fields = fields;
  send_head(head, {});
  stream = std::move(events);
  work_->exchange = nullptr;
  exchange.port = nullptr;
  work_->reading_body = work_->body_done = work_->body_paused = false;
  work_->chunks.reset();
  set_phase(Phase::none, 0);
  exchange.release();
  // It was decided later: what has come since is the stream's.
  if (!work_->processing && work_->in) loop().want_to_go_on(*this);
}

}  // namespace sluice::wire
