// core/exchange.cpp - fields are checked where they are set.
#include "core/exchange.hpp"

#include "base/check.hpp"
#include "core/answer_coder.hpp"
#include "core/body_decoder.hpp"
#include "core/connection.hpp"
#include "core/dispatcher.hpp"
#include "core/late.hpp"
#include "core/shard.hpp"
#include "core/url_router.hpp"
#include "proto/http/field_rules.hpp"
#include "proto/http/token.hpp"

namespace sluice::core {
namespace {

// Capacity that a pooled exchange may keep in each of its strings.
constexpr std::size_t kKeptCapacity = 64 * 1024;

inline void clear_string(std::string& text) {
  if (text.capacity() > kKeptCapacity) [[unlikely]] {
    std::string().swap(text);  // an assignment may keep the memory
  } else {
    text.clear();
  }
}

}  // namespace

std::uint64_t Answer::size_of_parts() const {
  std::uint64_t size = 0;
  for (const BodyPart& part : extras_.parts) size += part.file ? part.length : part.bytes.size();
  return size;
}

inline void Answer::clear_values() {
  status = 200;
  error = Errc::none;
  has_type = has_date = has_range = close_connection = false;
  clear_string(fields);
  clear_string(type);
  clear_string(text);
}

void Answer::clear() {
  clear_values();
  if (!has_extras_) return;
  clear_extras();
  has_extras_ = extras_.changes;
}

void Answer::reset() {
  clear_values();
  if (!has_extras_) return;
  clear_extras();
  extras_.changes = false;
}

void Answer::leave_cache() {
  if (!has_extras_) return;
  extras_.cache.reset();
  if (const auto tap = std::move(extras_.tap)) tap->refuse();
}

void Answer::clear_extras() {
  has_extras_ = false;
  clear_string(extras_.trailers);
  extras_.parts.clear();
  clear_string(extras_.file);
  extras_.source.reset();
  if (extras_.producer) extras_.producer = nullptr;
  extras_.source_length.reset();
  extras_.stream_length.reset();
  extras_.range_first.reset();
  extras_.range_last.reset();
  extras_.range_size.reset();
  extras_.length_without_body.reset();
  extras_.cache.reset();
  extras_.tap.reset();
  extras_.uncoded = false;
  if (extras_.variants) extras_.variants.reset();
}

Connection& ExchangePort::stream_connection(Exchange& exchange) { return *exchange.connection; }

void Exchange::clear() {
  port = nullptr;
  if (connection) connection->release();
  connection = nullptr;
  head.clear();
  document = {};
  if (urls) {
    urls->release();
    urls = nullptr;
    url = nullptr;
    url_group = nullptr;
  }
  if (identity) {
    identity.scheme = AuthenticationScheme::none;
    clear_string(identity.user);
  }
  if (api_key_memory) {
    api_key = {};
    api_key_memory.reset();
  }
  if (gate_state) gate_state.reset();
  gate_place = 0;
  if (gate) {
    gate->release();
    gate = nullptr;
  }
  arena.reset();
  route = nullptr;
  params.clear();
  answer.reset();
  if (head_block) head_block.reset();
  if (body_block) body_block.reset();
  body = {};
  clear_string(body_text);
  if (sink) {
    if (!handled) sink->given_up();
    sink.reset();
  }
  if (form) form.reset();
  if (body_file) body_file.reset();
  body_received = body_limit = 0;
  body_complete = body_paused = undecided = body_judged = forward_judged = handled = in_queue =
      false;
  body_wanted_whole = true;
  if (on_data) on_data = nullptr;
  SLUICE_CHECK(late == nullptr);
  on_pool = 0;
  parallel = false;
  if (pool_queue) {
    pool_queue->exchange = nullptr;
    pool_queue.reset();
  }
  abort_after_pool = in_handler = answered = answer_after_body = head_only = streaming = false;
  if (queue_state) queue_state.reset();
  if (stream_state) stream_state.reset();
  if (codings) [[unlikely]]
    end_codings();
}

void Exchange::end_codings() {
  if (codings->answer) codings->answer->detach();
  if (codings->body) codings->body->detach();
  codings.reset();
}

void Exchange::unused() {
  if (!late) shard.give_back(this);
}

void Exchange::detach_late() {
  late = nullptr;
  if (holds_ == 0) shard.give_back(this);
}

void Exchange::set_plain(int status, std::string_view text) {
  answer.clear();
  answer.status = status;
  if (text.empty()) return;
  answer.text.assign(text);
  answer.type.assign("text/plain; charset=utf-8");
  answer.has_type = true;
}

void Exchange::set_error(Errc code) {
  const ErrorInfo& row = info(code);
  int status = row.wire >= 400 && row.wire < 600 ? row.wire : 500;
  set_plain(status, row.sentence);
  answer.text.push_back('\n');
}

void Exchange::add_field(std::string_view name, std::string_view value) {
  Errc verdict = http::judge_field(name, value);
  if (verdict != Errc::none) {
    if (answer.error == Errc::none) answer.error = verdict;
    return;
  }
  if (http::is_word(name, http::Word("content-type"))) {
    answer.type.assign(value);
    answer.has_type = true;
    return;
  }
  if (http::is_word(name, http::Word("date"))) answer.has_date = true;
  add_field_unchecked(name, value);
}

void Exchange::add_field_unchecked(std::string_view name, std::string_view value) {
  answer.fields.append(name).append(": ").append(value).append("\r\n");
}

}  // namespace sluice::core
