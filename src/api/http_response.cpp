// api/http_response.cpp - bodies of sluice/http_response.hpp.
#include <sluice/http_response.hpp>

#include <algorithm>
#include <utility>

#include "core/exchange.hpp"
#include "core/late.hpp"
#include "core/session.hpp"
#include "core/shard.hpp"
#include "proto/http/date.hpp"
#include "proto/http/field_rules.hpp"

namespace sluice {

// A Reply that was refused, sent or moved from has no exchange: setting does nothing then.

int ResponseBase::response_no() const { return exchange_ ? exchange_->answer.status : 0; }

std::string_view ResponseBase::content_text() const {
  return exchange_ ? std::string_view(exchange_->answer.text) : std::string_view();
}

std::string_view ResponseBase::content_type() const {
  return exchange_ ? std::string_view(exchange_->answer.type) : std::string_view();
}

Errc ResponseBase::error() const { return exchange_ ? exchange_->answer.error : Errc::gone; }

void ResponseBase::set_status(int status) {
  if (exchange_) exchange_->answer.status = status;
}

void ResponseBase::set_text(std::string_view text) {
  if (exchange_) exchange_->answer.text.assign(text);
}

void ResponseBase::set_text(std::string&& text) {
  if (exchange_) exchange_->answer.text = std::move(text);
}

void ResponseBase::set_stream(std::unique_ptr<std::istream> source,
                              std::optional<std::uint64_t> length) {
  if (!exchange_) return;
  exchange_->answer.set_extras().producer = nullptr;
  exchange_->answer.set_extras().source = std::move(source);
  exchange_->answer.set_extras().source_length = length;
}

void ResponseBase::set_producer(BodyProducer producer, std::optional<std::uint64_t> length) {
  if (!exchange_) return;
  core::AnswerExtras& extras = exchange_->answer.set_extras();
  extras.source.reset();
  extras.producer = std::move(producer);
  extras.source_length = length;
}

void ResponseBase::set_file(std::string_view path) {
  if (exchange_) exchange_->answer.set_extras().file.assign(path);
}

void ResponseBase::set_type(std::string_view type) { add_field("Content-Type", type); }

void ResponseBase::add_field(std::string_view name, std::string_view value) {
  if (exchange_) exchange_->add_field(name, value);
}

void ResponseBase::add_date(std::string_view name, FileTime time) {
  char text[http::kDateSize];
  http::write_date(
      text, std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count());
  add_field(name, {text, sizeof text});
}

void ResponseBase::add_block(std::string_view block) {
  if (!exchange_) return;
  while (!block.empty()) {
    std::size_t end = block.find('\n');
    std::string_view line = block.substr(0, end);
    block.remove_prefix(end == std::string_view::npos ? block.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) continue;
    std::size_t colon = line.find(':');
    std::string_view name = line.substr(0, colon);
    std::string_view value =
        colon == std::string_view::npos ? std::string_view() : line.substr(colon + 1);
    while (!value.empty() && (value.front() == ' ' || value.front() == '\t'))
      value.remove_prefix(1);
    while (!value.empty() && (value.back() == ' ' || value.back() == '\t')) value.remove_suffix(1);
    // A line without a colon has no name that could pass.
    exchange_->add_field(colon == std::string_view::npos ? std::string_view() : name, value);
  }
}

void ResponseBase::add_trailer(std::string_view name, std::string_view value) {
  if (!exchange_) return;
  Errc verdict = http::judge_field(name, value);
  if (verdict != Errc::none) {
    if (exchange_->answer.error == Errc::none) exchange_->answer.error = verdict;
    return;
  }
  exchange_->answer.set_extras().trailers.append(name).append(": ").append(value).append("\r\n");
}

void ResponseBase::set_range(std::optional<std::uint64_t> first, std::optional<std::uint64_t> last,
                             std::optional<std::uint64_t> length) {
  if (!exchange_) return;
  core::Answer& answer = exchange_->answer;
  if (first) answer.set_extras().range_first = first;
  if (last) answer.set_extras().range_last = last;
  if (length) answer.set_extras().range_size = length;
}

void ResponseBase::set_cache(Cache policy, std::chrono::milliseconds ttl) {
  if (!exchange_) return;
  exchange_->answer.set_extras().cache = policy == Cache::until_invalidated ? core::kUntilFlushed
                                         : policy == Cache::time_to_live
                                             ? std::max(ttl, std::chrono::milliseconds(0))
                                             : std::chrono::milliseconds(0);
}

void ResponseBase::set_coding(bool wanted) {
  if (exchange_) exchange_->answer.set_extras().uncoded = !wanted;
}

// --- Later ---------------------------------------------------------------------------------------

Reply HttpResponse::defer() {
  core::ServerSession& session = exchange_->shard.session;
  if (exchange_->late || exchange_->answered) return Reply(new core::Late(Errc::already_replied));
  std::uint32_t waiting = session.deferred->fetch_add(1) + 1;
  if (waiting > session.deferred_limit.load(std::memory_order_relaxed)) {
    session.deferred->fetch_sub(1);
    exchange_->answer.error = Errc::deferred_full;
    return Reply(new core::Late(Errc::deferred_full));
  }
  try {
    return Reply(new core::Late(
        *exchange_, session.send_queue_bytes.load(std::memory_order_relaxed), session.deferred));
  } catch (...) {
    session.deferred->fetch_sub(1);
    throw;
  }
}

BodyWriter HttpResponse::stream() {
  if (exchange_->late || exchange_->answered)
    return BodyWriter(new core::Late(Errc::already_replied));
  auto* late = new core::Late(
      *exchange_, exchange_->shard.session.send_queue_bytes.load(std::memory_order_relaxed),
      nullptr);
  BodyWriter writer(late);
  static_cast<void>(late->begin_stream());
  return writer;
}

Reply::Reply() : ResponseSetters(nullptr) {}

Reply::Reply(core::Late* late) : ResponseSetters(late->exchange), late_(late) {
  late_->add_handle();
}

Reply::Reply(Reply&& other) noexcept
    : ResponseSetters(std::exchange(other.exchange_, nullptr)),
      late_(std::exchange(other.late_, nullptr)) {}

Reply& Reply::operator=(Reply&& other) noexcept {
  if (this == &other) return *this;
  if (late_) late_->drop_handle();
  exchange_ = std::exchange(other.exchange_, nullptr);
  late_ = std::exchange(other.late_, nullptr);
  return *this;
}

Reply::~Reply() {
  if (late_) late_->drop_handle();
}

Errc Reply::send() {
  if (!late_) return Errc::gone;
  exchange_ = nullptr;
  return late_->send();
}

BodyWriter Reply::stream() {
  if (!late_) return {};
  exchange_ = nullptr;
  BodyWriter writer(late_);
  static_cast<void>(late_->begin_stream());
  return writer;
}

void Reply::on_abort(std::function<void()> handler) {
  if (late_) late_->on_abort(std::move(handler));
}

bool Reply::aborted() const { return !late_ || late_->aborted(); }

BodyWriter::BodyWriter(core::Late* late) : late_(late) { late_->add_handle(); }

BodyWriter::BodyWriter(const BodyWriter& other) : late_(other.late_) {
  if (late_) late_->add_handle();
}

BodyWriter::BodyWriter(BodyWriter&& other) noexcept : late_(std::exchange(other.late_, nullptr)) {}

BodyWriter& BodyWriter::operator=(BodyWriter other) noexcept {
  std::swap(late_, other.late_);
  return *this;
}

BodyWriter::~BodyWriter() {
  if (late_) late_->drop_handle();
}

bool BodyWriter::write(std::string_view text) { return late_ && late_->write(text); }

void BodyWriter::on_writable(std::function<void()> handler) {
  if (late_) late_->on_writable(std::move(handler));
}

void BodyWriter::on_abort(std::function<void()> handler) {
  if (late_) late_->on_abort(std::move(handler));
}

Errc BodyWriter::end(const std::vector<std::pair<std::string, std::string>>& trailers) {
  if (!late_) return Errc::gone;
  std::string lines;
  for (const auto& [name, value] : trailers) {
    if (http::judge_field(name, value) != Errc::none) continue;
    lines.append(name).append(": ").append(value).append("\r\n");
  }
  return late_->end(std::move(lines));
}

bool BodyWriter::aborted() const { return !late_ || late_->aborted(); }

}  // namespace sluice
