// service/files/stream_body.cpp - measure, plan, then piece by piece.
//
// Layer: service. Thread: shard, but for measure() and read().
#include "service/files/stream_body.hpp"

#include <algorithm>
#include <new>
#include <utility>

#include "core/answer_coder.hpp"
#include "core/exchange.hpp"
#include "core/response_cache.hpp"
#include "core/session.hpp"
#include "core/shard.hpp"
#include "proto/http/conditional.hpp"
#include "proto/http/date.hpp"
#include "service/files/answer.hpp"
#include "service/files/post_back.hpp"

namespace sluice::service {

StreamBody::StreamBody(core::Exchange& exchange, const Submit& submit)
    : exchange_(exchange),
      submit_(submit),
      source_(std::move(exchange.answer.set_extras().source)),
      producer_(std::exchange(exchange.answer.set_extras().producer, nullptr)) {
  exchange_.retain();
}

void StreamBody::begin() {
  run(source_ ? &StreamBody::begin_measuring
              : &StreamBody::measured);  // of the other nothing can be measured
}

void StreamBody::begin_measuring() {
  if (!submit(&StreamBody::measure, &StreamBody::measured)) {
    fail(Errc::queue_full, "the file pool has too much to do");
  }
}

// Throws nothing: a job that there is no memory for is one too many.
bool StreamBody::submit(void (StreamBody::*work)(), void (StreamBody::*done)()) {
  try {
    busy_ = submit_(
        [self = shared_from_this(), mailbox = exchange_.shard.mailbox, work, done]() mutable {
          ((*self).*work)();
          core::Mailbox& back = *mailbox;
          const auto call = [self = std::move(self), done] {
            self->busy_ = false;
            if (self->exchange_.port == nullptr) return self->finish();
            self->run(done);
          };
          post_back(back, call);
        });
  } catch (const std::bad_alloc&) {
    busy_ = false;
  }
  return busy_;
}

// A step on the shard. Without memory for it the connection ends.
void StreamBody::run(void (StreamBody::*step)()) {
  const auto self = shared_from_this();
  try {
    (this->*step)();
  } catch (const std::bad_alloc&) {
    if (over_) return;
    core::Exchange& exchange = exchange_;
    exchange.retain();
    finish();
    if (exchange.port != nullptr) exchange.port->break_off(exchange, Errc::out_of_memory);
    exchange.release();
  }
}

// --- On the pool ---------------------------------------------------------------------------------

void StreamBody::measure() {
  std::istream& in = *source_;
  try {
    origin_ = in.tellg();
    if (origin_ == std::istream::pos_type(-1)) {
      in.clear(in.rdstate() & ~std::ios::failbit);
      return;
    }
    in.seekg(0, std::ios::end);
    const auto end = in.tellg();
    in.clear();
    in.seekg(origin_);
    if (in.fail()) {
      failed_ = true;
    } else if (end != std::istream::pos_type(-1) && end >= origin_) {
      seekable_ = true;
      available_ = static_cast<std::uint64_t>(end - origin_);
    }
  } catch (...) {
    failed_ = true;
    what_ = std::current_exception();
  }
}

void StreamBody::read() {
  const Run& run = runs_[run_];
  piece_size_ = 0;
  try {
    const std::uint64_t most = run.length ? std::min<std::uint64_t>(*run.length, kPiece) : kPiece;
    if (piece_.empty()) piece_.resize(kPiece);
    if (source_) {
      read_stream(static_cast<std::size_t>(most));
    } else {
      read_produced(static_cast<std::size_t>(most));
    }
  } catch (...) {
    failed_ = true;
    what_ = std::current_exception();
  }
}

void StreamBody::read_stream(std::size_t most) {
  Run& run = runs_[run_];
  std::istream& in = *source_;
  if (run.first) {
    in.clear();
    in.seekg(origin_ + static_cast<std::istream::off_type>(*std::exchange(run.first, {})));
  }
  in.read(piece_.data(), static_cast<std::streamsize>(most));
  piece_size_ = static_cast<std::size_t>(in.gcount());
  failed_ = in.bad();
  at_end_ = piece_size_ < most;
}

void StreamBody::read_produced(std::size_t most) {
  Result<std::size_t> made = producer_(std::as_writable_bytes(std::span(piece_.data(), most)));
  if (!made || *made > most) {
    failed_ = true;
    why_ = made ? Error(Errc::invalid_argument, "the producer says more than it had room for")
                : made.error();
    return;
  }
  piece_size_ = *made;
  at_end_ = *made == 0;
}

// --- On the shard: what is sent ------------------------------------------------------------------

void StreamBody::measured() {
  if (exchange_.answered) return finish();
  if (failed_) return fail(Errc::io_failed, "the stream cannot be read");
  if (!plan_length() || !plan_ranges()) return;
  if (exchange_.head_only || length_ == 0u) return answer_now();
  advance();
}

// How long the representation is. False: answered with an error.
bool StreamBody::plan_length() {
  const core::Answer& answer = exchange_.answer;
  if (answer.extras().range_first && answer.extras().range_last) {
    const std::uint64_t first = *answer.extras().range_first, last = *answer.extras().range_last;
    if (last < first ||
        (answer.extras().source_length && *answer.extras().source_length != last - first + 1)) {
      fail(Errc::http_length_mismatch, "the stream's length is not that of the content range");
      return false;
    }
    length_ = last - first + 1;
  } else if (answer.extras().source_length) {
    length_ = answer.extras().source_length;
  } else if (seekable_) {
    length_ = available_;
  }
  if (seekable_ && length_ && available_ < *length_) {
    fail(Errc::http_length_mismatch, "the stream holds " + std::to_string(available_) +
                                         " bytes instead of " + std::to_string(*length_));
    return false;
  }
  return true;
}

// Which parts of it are sent. False: answered.
bool StreamBody::plan_ranges() {
  core::Answer& answer = exchange_.answer;
  runs_.push_back({{}, {}, length_});
  if (answer.status != 200 || answer.extras().range_first) return true;

  const std::int64_t now = exchange_.shard.wall_seconds();
  http::Validators validators;
  validators.etag = field_in(answer.fields, "ETag");
  validators.last_modified = http::read_date(field_in(answer.fields, "Last-Modified"), now);
  const bool has_validators = !validators.etag.empty() || validators.last_modified;
  const Wishes wishes = wishes_of(exchange_);
  if (wishes.conditional && has_validators) {
    const auto verdict = http::judge_conditions(exchange_.head, validators, now);
    if (verdict == http::Condition::failed) {
      exchange_.set_error(Errc::http_precondition_failed);
    } else if (verdict == http::Condition::not_modified) {
      answer.status = 304;
      core::describe_not_modified(exchange_, answer.type, answer.fields, length_);
      answer.type.clear();
      answer.has_type = false;
    }
    if (verdict != http::Condition::proceed) {
      runs_.clear();
      length_.reset();
      answer_now();
      return false;
    }
  }
  if (!seekable_ || !length_) return true;
  std::vector<http::ByteRange> ranges;
  const std::uint64_t size = *length_;
  const auto verdict = judge_ranges(exchange_, wishes, validators, size, ranges);
  if (verdict == http::RangeVerdict::unsatisfiable) {
    exchange_.set_error(Errc::http_range_not_satisfiable);
    exchange_.add_field_unchecked("Content-Range", http::content_range_unsatisfied(size));
    length_.reset();
    answer_now();
    return false;
  }
  if (field_in(answer.fields, "Accept-Ranges").data() == nullptr) {
    exchange_.add_field_unchecked("Accept-Ranges", "bytes");
  }
  if (verdict == http::RangeVerdict::whole) return true;

  answer.status = 206;
  runs_.clear();
  if (ranges.size() == 1) {
    exchange_.add_field_unchecked("Content-Range", http::content_range(ranges[0], size));
    runs_.push_back({{}, ranges[0].first, ranges[0].size()});
    length_ = ranges[0].size();
    return true;
  }
  const std::string boundary = new_boundary();
  std::uint64_t sum = 0;
  for (const http::ByteRange& range : ranges) {
    std::string head = http::part_head(boundary, answer.type, range, size, runs_.empty());
    sum += head.size() + range.size();
    runs_.push_back({std::move(head), {}, {}});
    runs_.push_back({{}, range.first, range.size()});
  }
  runs_.push_back({http::parts_end(boundary), {}, {}});
  length_ = sum + runs_.back().text.size();
  answer.type = "multipart/byteranges; boundary=" + boundary;
  answer.has_type = true;
  return true;
}

// Without a body of the stream.
void StreamBody::answer_now() {
  core::Exchange& exchange = exchange_;
  exchange.answer.leave_cache();  // what is sent now is not the stream
  if (exchange.head_only && !length_ && exchange.answer.text.empty() &&
      exchange.answer.status != 304) {
    // Of unknown length: no Content-Length may be made up.
    exchange.answered = exchange.streaming = true;
    core::begin_stream(exchange, core::Pace::pulled);
    if (!over_) exchange.port->end_stream(exchange, {});
    return finish();
  }
  if (exchange.head_only && length_) exchange.answer.set_extras().length_without_body = length_;
  exchange.shard.session.respond(exchange);
  finish();
}

void StreamBody::begin_once() {
  if (std::exchange(begun_, true)) return;
  exchange_.answered = exchange_.streaming = true;
  exchange_.answer.set_extras().stream_length = length_;
  if (core::AnswerTap* tap = exchange_.answer.tap()) tap->begin(exchange_);
  core::begin_stream(exchange_, core::Pace::pulled);
}

void StreamBody::send(Bytes bytes) {
  begin_once();
  if (over_ || exchange_.port == nullptr) return;
  core::AnswerTap* tap = exchange_.answer.tap();
  if (tap) tap->piece(bytes);
  full_ = !exchange_.port->write_stream(exchange_, bytes);
  if (tap && full_ && !over_) tap->let_others_go();
}

// --- On the shard: piece by piece ----------------------------------------------------------------

void StreamBody::advance() {
  while (!over_ && !busy_ && !full_) {
    if (exchange_.port == nullptr) return finish();
    if (run_ == runs_.size()) {
      begin_once();
      if (over_) return;
      const std::string& trailers = exchange_.answer.extras().trailers;
      core::AnswerTap* tap = exchange_.answer.tap();
      if (tap && trailers.empty()) tap->end();  // trailers are not kept, and so nothing is
      exchange_.port->end_stream(exchange_, trailers);
      return finish();
    }
    Run& run = runs_[run_];
    if (!run.text.empty()) {
      const std::string text = std::move(run.text);
      ++run_;
      send(as_bytes(text));
    } else if (run.length == 0u) {
      ++run_;
    } else if (!submit(&StreamBody::read, &StreamBody::arrived)) {
      return fail(Errc::queue_full, "the file pool has too much to do");
    }
  }
}

void StreamBody::arrived() {
  Run& run = runs_[run_];
  if (what_ && exchange_.connection) {
    exchange_.shard.session.threw(*exchange_.connection, what_);
    if (over_) return;
  }
  if (why_) return fail(why_.code, why_.message());
  if (failed_) return fail(Errc::io_failed, "the stream cannot be read");
  if (run.length) {
    if (piece_size_ == 0 || (!begun_ && source_ && at_end_)) {
      return fail(
          Errc::http_length_mismatch,
          "the stream ended " + std::to_string(*run.length - piece_size_) + " bytes too early");
    }
    *run.length -= piece_size_;
  } else if (at_end_) {
    run.length = 0;
  }
  if (piece_size_ != 0) {
    send(as_bytes(std::string_view(piece_.data(), piece_size_)));
  }
  advance();
}

void StreamBody::writable() {
  full_ = false;
  if (begun_ && !busy_) run(&StreamBody::advance);
}

void StreamBody::aborted() {
  if (!busy_) finish();
}

void StreamBody::fail(Errc code, std::string words) {
  core::Exchange& exchange = exchange_;
  const Error why(code, std::move(words));
  const auto self = shared_from_this();
  exchange.retain();
  const bool begun = begun_;
  finish();
  if (exchange.port != nullptr) {
    core::ServerSession& session = exchange.shard.session;
    session.log(LogLevel::warning, code, why.message());
    if (begun) {
      exchange.port->break_off(exchange, why);
    } else {
      session.respond_error(exchange, code);
    }
  }
  exchange.release();
}

void StreamBody::finish() {
  if (std::exchange(over_, true)) return;
  const auto self = shared_from_this();
  // Closing may wait for a disk, too.
  try {
    if (source_) submit_([source = std::move(source_)]() mutable { source.reset(); });
    if (producer_) {
      submit_([producer = std::exchange(producer_, nullptr)]() mutable { producer = nullptr; });
    }
  } catch (const std::bad_alloc&) {
  }
  exchange_.stream_state.reset();
  exchange_.release();
}

}  // namespace sluice::service
