// base/timer_wheel.hpp - deadlines by the ten thousand, at a few stores each.
//
// One level of slots; a deadline beyond the wheel's reach waits in the last slot and is looked at
// again from there. Moving a deadline later touches no list: the slot finds out when its turn
// comes. Layer: base. Thread: one shard.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/clock.hpp"

namespace sluice::base {

class TimerWheel;

// One deadline, a member of what it guards. Whoever owns it is told by `fired(context)`; it may set
// the timer again there, or destroy itself. Destruction cancels.
class Timer {
 public:
  using Fired = void (*)(void* context);

  Timer(Fired fired, void* context) : fired_(fired), context_(context) {}
  ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  Instant deadline() const { return deadline_; }
  bool armed() const { return deadline_ != never; }

 private:
  friend class TimerWheel;
  Timer* next_ = nullptr;
  Timer** link_ = nullptr;  // what points to this timer; null when in no slot
  Instant deadline_ = never;
  std::int64_t slot_tick_ = 0;  // the tick at which its slot is looked at
  Fired fired_;
  void* context_;
  TimerWheel* wheel_ = nullptr;
};

// Fires late by at most one tick, never early.
class TimerWheel {
 public:
  static constexpr Duration kTick = std::chrono::milliseconds(10);
  static constexpr std::size_t kSlots = 1024;

  explicit TimerWheel(Instant now);
  // Timers still set are forgotten, not fired.
  ~TimerWheel();
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;

  // Sets or moves the deadline. `never` cancels.
  void set(Timer& timer, Instant deadline);
  void cancel(Timer& timer);

  // Fires all that is due at `now`.
  void advance(Instant now);

  // When advance() should next be called at the latest; `never` without timers.
  Instant next() const;

 private:
  static std::int64_t tick_after(Instant at);  // first tick at or after `at`
  void insert(Timer& timer);
  void unlink(Timer& timer);

  std::array<Timer*, kSlots> slots_{};
  std::array<std::uint64_t, kSlots / 64> occupied_{};
  std::int64_t first_occupied() const;

  std::int64_t current_;  // the last tick that was looked at
  // No occupied slot is looked at before this tick. Behind current_: not known, to be searched.
  mutable std::int64_t soonest_ = 0;
  std::size_t count_ = 0;
};

}  // namespace sluice::base
