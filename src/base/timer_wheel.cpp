// base/timer_wheel.cpp - the slots.
#include "base/timer_wheel.hpp"

#include <algorithm>
#include <bit>

namespace sluice::base {

Timer::~Timer() {
  if (link_) wheel_->cancel(*this);
}

TimerWheel::TimerWheel(Instant now) : current_(now.time_since_epoch() / kTick) {}

TimerWheel::~TimerWheel() {
  for (Timer* timer : slots_) {
    while (timer) {
      Timer* next = timer->next_;
      timer->link_ = nullptr;
      timer->next_ = nullptr;
      timer->deadline_ = never;
      timer = next;
    }
  }
}

std::int64_t TimerWheel::tick_after(Instant at) {
  std::int64_t ns = at.time_since_epoch().count(), tick = kTick.count();
  return ns / tick + (ns % tick > 0 ? 1 : 0);
}

void TimerWheel::set(Timer& timer, Instant deadline) {
  timer.deadline_ = deadline;
  if (deadline == never) {
    cancel(timer);
    return;
  }
  if (timer.link_) {
    if (tick_after(deadline) >= timer.slot_tick_) return;  // its slot will look again in time
    unlink(timer);
  }
  insert(timer);
}

void TimerWheel::insert(Timer& timer) {
  std::int64_t last = current_ + std::int64_t(kSlots) - 1;
  std::int64_t tick = std::clamp(tick_after(timer.deadline_), current_ + 1, last);
  std::size_t slot = std::size_t(tick) % kSlots;
  timer.slot_tick_ = tick;
  timer.wheel_ = this;
  timer.next_ = slots_[slot];
  if (timer.next_) timer.next_->link_ = &timer.next_;
  timer.link_ = &slots_[slot];
  slots_[slot] = &timer;
  occupied_[slot / 64] |= std::uint64_t{1} << (slot % 64);
  if (soonest_ > current_) soonest_ = std::min(soonest_, tick);
  ++count_;
}

void TimerWheel::unlink(Timer& timer) {
  *timer.link_ = timer.next_;
  if (timer.next_) timer.next_->link_ = timer.link_;
  timer.link_ = nullptr;
  timer.next_ = nullptr;
  --count_;
}

void TimerWheel::cancel(Timer& timer) {
  timer.deadline_ = never;
  if (timer.link_) unlink(timer);
}

void TimerWheel::advance(Instant now) {
  std::int64_t target = now.time_since_epoch() / kTick;
  std::int64_t steps = std::min(target - current_, std::int64_t(kSlots));
  if (count_ == 0 || steps <= 0 || soonest_ > target) {
    current_ = std::max(current_, target);
    return;
  }
  std::int64_t first = target - steps + 1;
  for (std::int64_t tick = first; tick <= target; ++tick) {
    std::size_t slot = std::size_t(tick) % kSlots;
    current_ = tick;
    if (!(occupied_[slot / 64] >> (slot % 64) & 1)) continue;
    occupied_[slot / 64] &= ~(std::uint64_t{1} << (slot % 64));
    // The list moves to a local head, so that timers set while firing go where they belong.
    Timer* due = slots_[slot];
    slots_[slot] = nullptr;
    if (due) due->link_ = &due;
    while (due) {
      Timer& timer = *due;
      unlink(timer);
      if (timer.deadline_ > now) {
        insert(timer);
        continue;
      }
      timer.deadline_ = never;
      timer.fired_(timer.context_);
    }
  }
}

Instant TimerWheel::next() const {
  if (count_ == 0) return never;
  if (soonest_ <= current_) soonest_ = first_occupied();
  return Instant(kTick * soonest_);
}

// There is one, for there are timers.
std::int64_t TimerWheel::first_occupied() const {
  std::size_t start = std::size_t(current_ + 1) % kSlots;
  std::size_t step = 0;
  while (step < kSlots) {
    std::size_t slot = (start + step) % kSlots;
    std::uint64_t word = occupied_[slot / 64] >> (slot % 64);
    if (word == 0) {
      step += 64 - slot % 64;
      continue;
    }
    step += std::size_t(std::countr_zero(word));
    break;
  }
  return current_ + 1 + std::int64_t(step);
}

}  // namespace sluice::base
