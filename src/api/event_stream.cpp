// api/event_stream.cpp - bodies of sluice/event_stream.hpp: one stream.
#include <sluice/event_stream.hpp>

#include <algorithm>
#include <string>
#include <utility>

#include <sluice/http_request.hpp>
#include <sluice/http_response.hpp>

#include "api/event_bytes.hpp"
#include "core/event_stream.hpp"
#include "core/exchange.hpp"
#include "core/late.hpp"
#include "core/session.hpp"
#include "core/shard.hpp"
#include "proto/http/event_text.hpp"
#include "proto/http/token.hpp"

namespace sluice {
namespace {

bool has_cache_control(std::string_view lines) {
  while (!lines.empty()) {
    if (http::is_word(lines.substr(0, lines.find(':')), http::Word("cache-control"))) return true;
    lines.remove_prefix(lines.find("\r\n") + 2);
  }
  return false;
}

// What is longer than any proxy waits is none, and overflows nowhere.
std::chrono::milliseconds heartbeat_of(const EventStreamOptions& options) {
  constexpr std::chrono::milliseconds kNone{0}, kLongest = std::chrono::hours(24);
  return options.heartbeat > kLongest ? kNone : std::max(options.heartbeat, kNone);
}

void set_head(core::Exchange& exchange) {
  exchange.answer.type.assign("text/event-stream");
  exchange.answer.has_type = true;
  if (!has_cache_control(exchange.answer.fields)) {
    exchange.add_field_unchecked("Cache-Control", "no-cache");
  }
  exchange.add_field_unchecked("X-Accel-Buffering", "no");
}

}  // namespace

base::SharedBytes event_bytes(const Event& event) {
  http::EventFields fields{event.event, event.id, event.data, {}};
  if (event.retry) {
    fields.retry = static_cast<std::uint64_t>(std::max<std::int64_t>(0, event.retry->count()));
  }
  std::string text;
  if (!http::write_event(text, fields, kMaxEventId)) return {};
  return base::SharedBytes::own(std::move(text));
}

std::string_view last_event_id(const HttpRequest& request) {
  const std::string_view id = request.header("Last-Event-ID");
  return http::is_event_word(id, kMaxEventId) ? id : std::string_view();
}

EventStream HttpResponse::event_stream() { return event_stream(EventStreamOptions()); }

EventStream HttpResponse::event_stream(const EventStreamOptions& options) {
  if (exchange_->late || exchange_->answered) {
    return EventStream(new core::Late(Errc::already_replied), options);
  }
  set_head(*exchange_);
  return EventStream(
      new core::Late(*exchange_,
                     exchange_->shard.session.send_queue_bytes.load(std::memory_order_relaxed),
                     nullptr),
      options);
}

EventStream Reply::event_stream() { return event_stream(EventStreamOptions()); }

EventStream Reply::event_stream(const EventStreamOptions& options) {
  if (!late_ || !exchange_) return {};  // it has been used
  set_head(*std::exchange(exchange_, nullptr));
  return EventStream(late_, options);
}

EventStream::EventStream(core::Late* late, const EventStreamOptions& options) : late_(late) {
  late_->add_handle();
  try {
    std::string first;
    if (options.retry) {
      const auto retry = std::max<std::int64_t>(0, options.retry->count());
      http::write_event(first, {{}, {}, {}, static_cast<std::uint64_t>(retry)}, kMaxEventId);
    }
    static_cast<void>(late_->begin_events(heartbeat_of(options), std::move(first)));
  } catch (...) {
    late_->drop_handle();
    throw;
  }
}

EventStream::EventStream(const EventStream& other) : late_(other.late_) {
  if (late_) late_->add_handle();
}

EventStream::EventStream(EventStream&& other) noexcept
    : late_(std::exchange(other.late_, nullptr)) {}

EventStream& EventStream::operator=(EventStream other) noexcept {
  std::swap(late_, other.late_);
  return *this;
}

EventStream::~EventStream() {
  if (late_) late_->drop_handle();
}

Errc EventStream::send(const Event& event) {
  const base::SharedBytes bytes = event_bytes(event);
  if (!bytes) return Errc::bad_event;
  return late_ ? late_->offer(bytes) : Errc::gone;
}

Errc EventStream::comment(std::string_view text) {
  if (!late_) return Errc::gone;
  std::string lines;
  http::write_comment(lines, text);
  return late_->offer(base::SharedBytes::own(std::move(lines)));
}

void EventStream::on_writable(std::function<void()> handler) {
  if (late_) late_->on_writable(std::move(handler));
}

void EventStream::on_close(std::function<void()> handler) {
  core::EventStream* events = late_ ? late_->events() : nullptr;
  if (events) {
    events->on_over(std::move(handler));
  } else {
    handler();
  }
}

Errc EventStream::close() {
  if (!late_ || !late_->events()) return Errc::gone;
  return late_->end({}) == Errc::none ? Errc::none : Errc::gone;
}

bool EventStream::is_open() const { return late_ && late_->events() && late_->streaming(); }

}  // namespace sluice
