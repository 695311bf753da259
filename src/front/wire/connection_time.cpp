// front/wire/connection_time.cpp - what time does to a connection: deadlines, the peer's pace, the
// drain.
#include <linux/sockios.h>
#include <sys/ioctl.h>

#include <algorithm>

#include "core/exchange.hpp"
#include "core/session.hpp"
#include "front/wire/connection.hpp"
#include "front/wire/loop.hpp"

namespace sluice::wire {
namespace {

// A peer's pace is judged over at least this long.
constexpr base::Duration kRateSpan = std::chrono::seconds(10);
// How long a client may take for its first request when the server stops.
constexpr std::uint64_t kDrainHead = 1'000;
constexpr std::uint64_t kBulkGrace = 1'000;

}  // namespace

// What the peer has taken: what the kernel has got, less what it still holds.
std::uint64_t Connection::taken() const {
  int held = 0;
  if (fd >= 0 && ::ioctl(fd, SIOCOUTQ, &held) != 0) held = 0;
  std::uint64_t out = bytes_sent.load(std::memory_order_relaxed);
  return out - std::min(out, std::uint64_t(held));
}

void Connection::begin_linger(std::uint64_t milliseconds) {
  work().linger_limit = std::uint32_t(milliseconds);
  work_->linger_mark = taken();
  set_phase(Phase::linger, milliseconds);
}

void Connection::check_send_rate() {
  guarded([this] { judge_send_rate(); });
}

void Connection::judge_send_rate() {
  if (out_empty() || closed_ || close_called_) {
    if (work_) work_->rate_since = base::never;
    return;
  }
  if (work_->warming) return;
  if (is_rationed()) {  // it is we who keep the peer waiting
    work_->rate_since = base::never;
    return;
  }
  const core::SessionSettings& settings = shard().settings();
  std::uint64_t taken_by_now = taken();
  if (work_->rate_since == base::never) {
    work_->rate_since = work_->taken_since = shard().now;
    work_->rate_mark = work_->taken_mark = taken_by_now;
    return;
  }
  if (taken_by_now != work_->taken_mark) {
    work_->taken_mark = taken_by_now;
    work_->taken_since = shard().now;
  } else if (settings.options.write_timeout.count() > 0 &&
             shard().now - work_->taken_since >= settings.options.write_timeout) {
    close_now(io::CloseMode::abort);
    loop().session().reject(this, Errc::write_timeout, shard());
    return;
  }
  std::uint32_t rate = settings.timeouts.min_send_rate;
  if (rate == 0) return;
  base::Duration span = shard().now - work_->rate_since;
  if (span < kRateSpan) return;
  double wanted = double(rate) * std::chrono::duration<double>(span).count();
  if (double(taken_by_now - work_->rate_mark) < wanted) {
    close_now(io::CloseMode::abort);
    loop().session().reject(this, Errc::send_rate_timeout, shard());
    return;
  }
  work_->rate_since = shard().now;
  work_->rate_mark = taken_by_now;
}

// --- Time ----------------------------------------------------------------------------------------

void Connection::set_phase(Phase phase, std::uint64_t milliseconds) {
  if (phase == Phase::none && !work_) return;
  work().phase = phase;
  if (phase == Phase::none || milliseconds == 0) {
    if (work_->timer.armed()) shard().timers.set(work_->timer, base::never);
    return;
  }
  shard().timers.set(work_->timer, shard().now + std::chrono::milliseconds(milliseconds));
}

void Connection::set_deadline(std::uint64_t milliseconds) {
  set_phase(Phase::stream, milliseconds);
}

void Connection::timer_fired(void* self) { static_cast<Work*>(self)->owner->on_timer(); }

void Connection::on_timer() {
  if (closed_ || close_called_) return;
  guarded([this] { time_is_over(); });
  rest();
}

void Connection::time_is_over() {
  core::ServerSession& session = loop().session();
  switch (std::exchange(work_->phase, Phase::none)) {
    case Phase::none:
      break;
    case Phase::header:
      if (shard().draining && !work_->in) {
        close_now(io::CloseMode::graceful);
        break;
      }
      session.reject(this, Errc::header_timeout, shard());
      if (work_->in) {
        plain_error(Errc::header_timeout);
      } else {
        close_now(io::CloseMode::graceful);
      }
      break;
    case Phase::idle:
      if (out_empty()) {
        close_now(io::CloseMode::graceful);
      } else {  // a long download is no idle connection; min_send_rate watches it
        set_phase(Phase::idle, std::uint64_t(work_->idle.count()));
      }
      break;
    case Phase::body:
      if (!work_->exchange || work_->body_paused) break;  // it is we who do not read
      if (work_->bulk) {  // something may have come, of which nobody was told
        work_->body_slow = true;
        set_phase(Phase::body, kBulkGrace);
        settle();
        break;
      }
      if (!work_->exchange->answered && !work_->exchange->late) {
        session.respond_error(*work_->exchange, Errc::body_timeout);
      } else {
        break_off(*work_->exchange, Errc::body_timeout);
      }
      break;
    case Phase::queue:
      if (work_->exchange) session.on_queue_timeout(*work_->exchange);
      break;
    case Phase::linger: {
      // A peer that still takes what was sent gets the rest of it.
      std::uint64_t rate = shard().settings().timeouts.min_send_rate;
      std::uint64_t enough = std::max<std::uint64_t>(1, rate * work_->linger_limit / 1000);
      if (is_rationed() || taken() >= work_->linger_mark + enough) {
        begin_linger(work_->linger_limit);
      } else {
        close_now(io::CloseMode::abort);
      }
      break;
    }
    case Phase::stream:
      if (stream) stream->on_timer();
      break;
    case Phase::drain_wait:
      if (stream) stream->on_drain(work_->drain_code);
      break;
  }
}

void Connection::drain(std::uint16_t close_code, base::Duration delay) {
  if (closed_ || close_called_) return;
  guarded([&] { begin_drain(close_code, delay); });
  rest();
}

void Connection::begin_drain(std::uint16_t close_code, base::Duration delay) {
  if (closing_) {
    if (linger_) begin_linger(kDrainLinger);
  } else if (multiplexed_) {
    stream->on_drain(close_code);  // it has a deadline of its own, and is in no hurry
  } else if (stream) {
    work().drain_code = close_code;
    auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(delay).count();
    if (milliseconds == 0) {
      stream->on_drain(close_code);
    } else {
      set_phase(Phase::drain_wait, std::uint64_t(milliseconds));
    }
  } else if (work_->exchange) {
    close_after_ = true;
  } else if (work_->phase == Phase::header) {
    // It has just connected, or part of a request is there: it is answered, with a close.
    set_phase(Phase::header, kDrainHead);
  } else {
    close_when_drained(false);
  }
}

}  // namespace sluice::wire
