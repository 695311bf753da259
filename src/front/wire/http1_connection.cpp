// front/wire/http1_connection.cpp - requests in, answers out.
//
// RFC 9112. The other half of wire::Connection. Layer: front/wire. Thread: shard.
#include <algorithm>
#include <cstring>

#include "core/exchange.hpp"
#include "core/session.hpp"
#include "core/step.hpp"
#include "front/wire/connection.hpp"
#include "front/wire/loop.hpp"
#include "proto/http1/request_decoder.hpp"

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
  processing_ = true;
  std::size_t used = 0;
  while (used < bytes.size() && !close_called_) {
    std::span<std::byte> rest = bytes.subspan(used);
    if (stream_) {
      stream_->on_bytes(block, rest);
      used = bytes.size();
    } else if (closing_) {
      // The client is still sending: a plain close would take its answer away.
      close_when_drained(true);
      used = bytes.size();
    } else if (!exchange_) {
      if (budget_is_used_up()) {
        waits_for_room_ = true;
        break;
      }
      std::size_t head = begin_request(block, rest);
      if (head == 0) break;
      used += head;
    } else if (reading_body_ && !body_done_ && !body_paused_) {
      used += feed_body(block, rest);
    } else {
      break;
    }
    if (reading_body_ && body_done_ && !body_paused_) finish_body();
  }
  processing_ = false;
  if (close_called_) return bytes.size();
  if (exchange_) {
    // The handler answers later: what its views point to stays.
    if (!exchange_->head_block) exchange_->head_block = base::BlockRef::share(block);
    const Timeouts& timeouts = loop_.session().settings.timeouts;
    if (reading_body_ && !body_paused_) {
      set_phase(Phase::body, count(timeouts.entity_body));
    } else if (loop_.session().dispatcher.uses_pool() && phase_ != Phase::queue) {
      set_phase(Phase::queue, count(timeouts.request_queue));
    } else if (phase_ != Phase::queue) {
      set_phase(Phase::none, 0);
    }
  } else if (!stream_ && !closing_) {
    const Timeouts& timeouts = loop_.session().settings.timeouts;
    if (peer_ended_ && !waits_for_room_) {
      close_when_drained(false);
    } else if (waits_for_room_) {
      set_phase(Phase::none, 0);
    } else if (used == bytes.size()) {
      set_phase(Phase::idle, count(timeouts.idle_connection));
    } else if (phase_ != Phase::header) {
      set_phase(Phase::header, count(timeouts.header_wait));
    }
  }
  return used;
}

// 0: the head is not complete.
std::size_t Connection::begin_request(base::Block&, std::span<std::byte> bytes) {
  core::ServerSession& session = loop_.session();
  core::Exchange& exchange = *shard->take_exchange();
  Borrowed borrowed(exchange, *this);
  http1::RequestDecoder decoder;
  auto parsed = decoder.decode(bytes, session.head_limits, exchange.head);
  if (parsed.needs_more()) return 0;
  exchange.port = this;
  exchange.connection = this;
  exchange_ = &exchange;
  exchange.retain();
  phase_ = Phase::none;  // whatever the timer was set for is over
  if (parsed.is_bad()) {
    session.respond_error(exchange, parsed.error());
    return bytes.size();
  }
  std::size_t used = parsed.used();
  after_head(exchange, used < bytes.size());
  return used;
}

void Connection::after_head(core::Exchange& exchange, bool more_here) {
  core::ServerSession& session = loop_.session();
  const http::RequestHead& head = exchange.head;
  bool no_body = head.body == http::BodyKind::none ||
                 (head.body == http::BodyKind::length && head.content_length == 0);
  exchange.body_complete = no_body;
  core::BodyPlan plan = session.on_head(exchange);
  if (exchange_ != &exchange || plan.kind == core::BodyPlan::Kind::answered) return;
  if (no_body) {
    session.on_body_end(exchange);
    return;
  }
  reading_body_ = true;
  body_done_ = false;
  body_chunked_ = head.body == http::BodyKind::chunked;
  body_left_ = head.content_length;
  if (body_chunked_) {
    if (!chunks_) chunks_ = std::make_unique<http1::ChunkedDecoder>();
    chunks_->reset();
  }
  if (head.expect_continue && !more_here && !exchange.streaming) {
    write(as_bytes(http1::continue_response()));
  }
}

std::size_t Connection::feed_body(base::Block& block, std::span<std::byte> bytes) {
  core::ServerSession& session = loop_.session();
  core::Exchange& exchange = *exchange_;
  std::span<std::byte> piece;
  std::size_t used = 0;
  bool last = false;
  if (body_chunked_) {
    auto parsed = chunks_->decode(bytes, session.head_limits);
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
    used = std::size_t(std::min<std::uint64_t>(body_left_, bytes.size()));
    piece = bytes.first(used);
    body_left_ -= used;
    last = body_left_ == 0;
  }
  body_done_ = last;
  core::Hold<core::Exchange> hold(exchange);
  if (!piece.empty()) session.on_body(exchange, block, piece);
  return used;
}

void Connection::finish_body() {
  if (!exchange_ || !reading_body_ || !body_done_ || body_paused_) return;
  core::Exchange& exchange = *exchange_;
  reading_body_ = body_done_ = false;
  core::Hold<core::Exchange> hold(exchange);
  loop_.session().on_body_end(exchange);
}

void Connection::pause_body(core::Exchange& exchange) {
  if (exchange_ != &exchange) return;
  body_paused_ = true;
  if (!processing_) settle();
}

void Connection::resume_body(core::Exchange& exchange) {
  if (exchange_ != &exchange || !body_paused_) return;
  body_paused_ = false;
  loop_.want_to_go_on(*this);
}

// --- Answers -------------------------------------------------------------------------------------

inline bool Connection::stays_alive(const core::Exchange& exchange) const {
  return exchange.head.keep_alive && exchange.body_complete && !exchange.answer.close_connection &&
         !close_after_ && (!peer_ended_ || in_) && !shard->draining;
}

[[gnu::always_inline]] inline http1::ResponseHeadOut Connection::make_head(core::Exchange& exchange,
                                                                           bool stay) {
  core::Answer& answer = exchange.answer;
  http1::ResponseHeadOut head;
  head.status = answer.status;
  if (!answer.has_date) head.date = shard->date();
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
    base::BlockRef block = shard->blocks.take(bound);
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
    if (closed_ || close_called_) return;
    if (part.file) {
      if (!out_.append_file(loop_.segments(), part.file, part.offset, part.length)) {
        return out_of_memory();
      }
      shard->queued_bytes += part.length;
      mark_dirty();
    } else if (part.shared && part.bytes.size() > kCopied) {
      if (!out_.append(loop_.segments(), part.shared.owner(), part.bytes, false)) {
        return out_of_memory();
      }
      shard->queued_bytes += part.bytes.size();
      mark_dirty();
    } else {
      write(part.bytes);
    }
  }
}

void Connection::complete(core::Exchange& exchange, bool stay) {
  bool unread = !exchange.body_complete;
  exchange_ = nullptr;
  exchange.port = nullptr;
  reading_body_ = body_done_ = body_paused_ = false;
  exchange.release();
  if (close_called_) return;
  if (!stay) {
    close_after_ = true;
    close_when_drained(unread || in_);
    return;
  }
  if (processing_) return;  // process() goes on
  if (in_) {
    loop_.want_to_go_on(*this);
  } else if (peer_ended_) {
    close_when_drained(false);
  } else {
    set_phase(Phase::idle, count(loop_.session().settings.timeouts.idle_connection));
  }
  settle();
}

void Connection::plain_error(Errc code) {
  const ErrorInfo& row = info(code);
  http1::ResponseHeadOut head;
  head.status = row.wire;
  head.date = shard->date();
  head.connection = http1::ConnectionField::close;
  head.fields = "Content-Type: text/plain; charset=utf-8\r\n";
  head.content_length = row.sentence.size();
  send_head(head, row.sentence);
  close_after_ = true;
  in_.reset();
  in_at_ = in_size_ = 0;
  close_when_drained(true);
}

// --- Streamed answers ----------------------------------------------------------------------------

void Connection::begin_stream(core::Exchange& exchange) {
  core::Answer& answer = exchange.answer;
  bool bodyless = answer.status == 204 || answer.status == 304;
  counted_stream_ = answer.extras().stream_length.has_value();
  chunked_stream_ = !counted_stream_ && exchange.head.minor >= 1 && !bodyless;
  head_only_stream_ = exchange.head_only || bodyless;
  stream_left_ = answer.extras().stream_length.value_or(0);
  stream_stays_ =
      stays_alive(exchange) && (counted_stream_ || chunked_stream_ || head_only_stream_);
  exchange.streaming = true;
  http1::ResponseHeadOut head = make_head(exchange, stream_stays_);
  head.framing = bodyless          ? http1::Framing::none
                 : chunked_stream_ ? http1::Framing::chunked
                 : counted_stream_ ? http1::Framing::length
                                   : http1::Framing::none;
  head.content_length = stream_left_;
  send_head(head, {});
}

bool Connection::write_stream(core::Exchange& exchange, Bytes bytes) {
  if (exchange_ != &exchange || close_called_) return false;
  if (head_only_stream_ || bytes.empty()) return true;
  if (counted_stream_) {
    if (bytes.size() > stream_left_) {
      break_off(exchange, Errc::http_length_mismatch);
      return false;
    }
    stream_left_ -= bytes.size();
  }
  if (!chunked_stream_) {
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
    block = shard->blocks.take(size);
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

void Connection::end_stream(core::Exchange& exchange, std::string_view trailer_lines) {
  if (exchange_ != &exchange) return;
  if (counted_stream_ && stream_left_ > 0 && !head_only_stream_) {
    break_off(exchange, Errc::http_length_mismatch);
    return;
  }
  if (chunked_stream_ && !head_only_stream_) {
    write(as_bytes(http1::kLastChunk));
    if (!trailer_lines.empty()) write(as_bytes(trailer_lines));
    write(as_bytes(std::string_view("\r\n")));
  }
  bool no_more = close_after_ || (peer_ended_ && !in_);
  complete(exchange, stream_stays_ && exchange.body_complete && !no_more);
}

void Connection::break_off(core::Exchange& exchange, const Error& why) {
  if (exchange_ != &exchange) return;
  close_now(io::CloseMode::abort);
  loop_.session().reject(this, why, *shard);
}

// --- Upgrade -------------------------------------------------------------------------------------

core::ByteStream& Connection::upgrade(core::Exchange& exchange, std::string_view fields,
                                      std::unique_ptr<core::StreamEvents> events) {
  http1::ResponseHeadOut head;
  head.status = 101;
  head.framing = http1::Framing::none;
  head.date = shard->date();
  head.fields = fields;
  send_head(head, {});
  stream_ = std::move(events);
  exchange_ = nullptr;
  exchange.port = nullptr;
  reading_body_ = body_done_ = body_paused_ = false;
  chunks_.reset();
  set_phase(Phase::none, 0);
  exchange.release();
  return *this;
}

}  // namespace sluice::wire
