// core/event_stream.cpp - one timer, moved by nobody: it looks when the last bytes were sent.
#include "core/event_stream.hpp"

#include <algorithm>
#include <random>
#include <utility>

#include "core/exchange.hpp"
#include "core/late.hpp"
#include "core/session.hpp"
#include "core/shard.hpp"
#include "core/step.hpp"

namespace sluice::core {

EventStream::EventStream(Late& late, base::Duration heartbeat, std::string first)
    : late_(late), heartbeat_(heartbeat), first_(std::move(first)), timer_(&fired, this) {}

void EventStream::begin(Shard& shard) {
  shard_ = &shard;
  next_ = shard.event_streams;
  if (next_) next_->link_ = &next_;
  shard.event_streams = this;
  link_ = &shard.event_streams;
  last_ = shard.now;
  if (heartbeat_ > base::Duration::zero()) shard.timers.set(timer_, last_ + heartbeat_);
}

void EventStream::sent() {
  if (shard_) last_ = shard_->now;
}

void EventStream::drain(base::Duration delay) {
  draining_ = true;
  if (delay > base::Duration::zero()) {
    shard_->timers.set(timer_, shard_->now + delay);
  } else {
    Hold<Late> hold(late_);
    late_.end_events();
  }
}

void EventStream::drain_all(Shard& shard, base::Duration window) {
  std::minstd_rand random(std::uint32_t(shard.now.time_since_epoch().count()));
  const auto most = std::max<std::int64_t>(
      0, std::chrono::duration_cast<std::chrono::milliseconds>(window).count());
  EventStream* next = nullptr;
  for (EventStream* each = shard.event_streams; each; each = next) {
    next = each->next_;
    each->drain(std::chrono::milliseconds(random() % std::uint64_t(most + 1)));
  }
}

void EventStream::fired(void* self) { static_cast<EventStream*>(self)->beat(); }

void EventStream::beat() {
  Hold<Late> hold(late_);  // it may be the last to hold this
  if (draining_) return late_.end_events();
  if (shard_->now >= last_ + heartbeat_) {
    last_ = shard_->now;
    late_.put_if_room(":\n");
  }
  if (link_) shard_->timers.set(timer_, last_ + heartbeat_);
}

void EventStream::over() {
  if (link_) {
    *link_ = next_;
    if (next_) next_->link_ = link_;
    link_ = nullptr;
    shard_->timers.cancel(timer_);
  }
  std::vector<std::function<void()>> handlers;
  {
    std::lock_guard lock(mutex_);
    over_ = true;
    handlers.swap(on_over_);
  }
  for (const auto& handler : handlers) late_.call(handler);
}

void EventStream::on_over(std::function<void()> handler) {
  {
    std::lock_guard lock(mutex_);
    if (!over_) {
      on_over_.push_back(std::move(handler));
      return;
    }
  }
  handler();
}

}  // namespace sluice::core
