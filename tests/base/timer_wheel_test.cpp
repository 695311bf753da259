// tests/base/timer_wheel_test.cpp - deadlines: never early, late by at most one tick, each once.
//
// Layer: tests. Time is a number here; nothing waits.
#include "base/timer_wheel.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <vector>

namespace sluice::base {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Instant kStart{hours(1000)};
constexpr Duration kTick = TimerWheel::kTick;
constexpr Duration kReach = kTick * TimerWheel::kSlots;

// A timer that calls a function.
struct Alarm {
  explicit Alarm(std::function<void()> call) : call_(std::move(call)), timer(&fired, this) {}
  static void fired(void* self) { static_cast<Alarm*>(self)->call_(); }

  std::function<void()> call_;
  Timer timer;
};

TEST(TimerWheel, HasNothingToDoAtFirst) {
  TimerWheel wheel(kStart);
  EXPECT_EQ(wheel.next(), never);
  wheel.advance(kStart + hours(1));
  EXPECT_EQ(wheel.next(), never);
}

TEST(TimerWheel, FiresOnceAndIsThenUnarmed) {
  TimerWheel wheel(kStart);
  int fired = 0;
  Alarm alarm([&] { ++fired; });
  EXPECT_FALSE(alarm.timer.armed());
  wheel.set(alarm.timer, kStart + seconds(1));
  EXPECT_TRUE(alarm.timer.armed());
  EXPECT_EQ(alarm.timer.deadline(), kStart + seconds(1));
  wheel.advance(kStart + seconds(1) - Duration(1));
  EXPECT_EQ(fired, 0);
  wheel.advance(kStart + seconds(1));
  EXPECT_EQ(fired, 1);
  EXPECT_FALSE(alarm.timer.armed());
  EXPECT_EQ(wheel.next(), never);
  wheel.advance(kStart + seconds(100));
  EXPECT_EQ(fired, 1);
}

TEST(TimerWheel, FiresBeyondItsReach) {
  for (Duration delay : {kReach - kTick, kReach, kReach + kTick, kReach * 3 + milliseconds(7)}) {
    int fired = 0;
    Alarm alarm([&] { ++fired; });
    TimerWheel wheel(kStart);
    wheel.set(alarm.timer, kStart + delay);
    for (Instant now = kStart; now < kStart + delay; now += milliseconds(3)) {
      wheel.advance(now);
      ASSERT_EQ(fired, 0);
      ASSERT_LE(wheel.next(), kStart + delay + kTick);
    }
    wheel.advance(kStart + delay + kTick);
    EXPECT_EQ(fired, 1);
  }
}

TEST(TimerWheel, FiresAfterALongSleep) {
  TimerWheel wheel(kStart);
  int fired = 0;
  std::vector<std::unique_ptr<Alarm>> alarms;
  for (int i = 0; i < 3000; ++i) {
    alarms.push_back(std::make_unique<Alarm>([&] { ++fired; }));
    wheel.set(alarms.back()->timer, kStart + milliseconds(i * 17));
  }
  wheel.advance(kStart + hours(10));
  EXPECT_EQ(fired, 3000);
  EXPECT_EQ(wheel.next(), never);
}

TEST(TimerWheel, ADeadlineInThePastFiresAtTheNextTick) {
  TimerWheel wheel(kStart);
  int fired = 0;
  Alarm alarm([&] { ++fired; });
  wheel.set(alarm.timer, kStart - hours(1));
  EXPECT_EQ(wheel.next(), kStart + kTick);
  wheel.advance(kStart + kTick);
  EXPECT_EQ(fired, 1);
}

TEST(TimerWheel, MovesLaterAndSooner) {
  TimerWheel wheel(kStart);
  int fired = 0;
  Alarm alarm([&] { ++fired; });
  wheel.set(alarm.timer, kStart + seconds(1));
  wheel.set(alarm.timer, kStart + seconds(5));
  wheel.advance(kStart + seconds(4));
  EXPECT_EQ(fired, 0);
  wheel.set(alarm.timer, kStart + seconds(4) + milliseconds(500));
  wheel.advance(kStart + seconds(4) + milliseconds(500));
  EXPECT_EQ(fired, 1);
}

TEST(TimerWheel, CancelledNeverFires) {
  TimerWheel wheel(kStart);
  int fired = 0;
  Alarm alarm([&] { ++fired; }), other([&] { fired += 10; });
  wheel.set(alarm.timer, kStart + seconds(1));
  wheel.set(other.timer, kStart + seconds(1));
  wheel.cancel(alarm.timer);
  wheel.cancel(alarm.timer);
  EXPECT_FALSE(alarm.timer.armed());
  wheel.set(other.timer, never);
  EXPECT_FALSE(other.timer.armed());
  wheel.advance(kStart + seconds(2));
  EXPECT_EQ(fired, 0);
  EXPECT_EQ(wheel.next(), never);
}

TEST(TimerWheel, DestructionCancels) {
  TimerWheel wheel(kStart);
  int fired = 0;
  {
    Alarm alarm([&] { ++fired; });
    wheel.set(alarm.timer, kStart + seconds(1));
  }
  EXPECT_EQ(wheel.next(), never);
  wheel.advance(kStart + seconds(2));
  EXPECT_EQ(fired, 0);
}

TEST(TimerWheel, ForgetsItsTimersWhenItGoes) {
  int fired = 0;
  Alarm alarm([&] { ++fired; });
  auto wheel = std::make_unique<TimerWheel>(kStart);
  wheel->set(alarm.timer, kStart + seconds(1));
  wheel.reset();
  EXPECT_FALSE(alarm.timer.armed());
  TimerWheel other(kStart);
  other.set(alarm.timer, kStart + seconds(1));  // at home in another wheel
  other.advance(kStart + seconds(1));
  EXPECT_EQ(fired, 1);
}

TEST(TimerWheel, MayBeSetAgainWhileFiring) {
  TimerWheel wheel(kStart);
  std::vector<Instant> at;
  Instant now = kStart;
  std::optional<Alarm> alarm;
  alarm.emplace([&] {
    at.push_back(now);
    if (at.size() < 5) wheel.set(alarm->timer, now + milliseconds(100));
  });
  wheel.set(alarm->timer, now + milliseconds(100));
  for (int i = 0; i < 1000; ++i) wheel.advance(now += milliseconds(1));
  ASSERT_EQ(at.size(), 5u);
  for (std::size_t i = 0; i < at.size(); ++i) {
    EXPECT_GE(at[i], kStart + milliseconds(100) * (i + 1));
    EXPECT_LE(at[i], kStart + (milliseconds(100) + kTick) * (i + 1));
  }
}

TEST(TimerWheel, SetForNowWhileFiringWaitsForATickAndDoesNotSpin) {
  TimerWheel wheel(kStart);
  int fired = 0;
  std::optional<Alarm> alarm;
  alarm.emplace([&] {
    ++fired;
    wheel.set(alarm->timer, kStart);
  });
  wheel.set(alarm->timer, kStart + kTick);
  wheel.advance(kStart + kTick);
  EXPECT_EQ(fired, 1);
  wheel.advance(kStart + kTick);
  EXPECT_EQ(fired, 1);
  wheel.advance(kStart + kTick * 2);
  EXPECT_EQ(fired, 2);
}

TEST(TimerWheel, MayDestroyItselfAndOthersWhileFiring) {
  TimerWheel wheel(kStart);
  std::vector<std::unique_ptr<Alarm>> alarms;
  int fired = 0;
  for (int i = 0; i < 10; ++i) {
    alarms.push_back(std::make_unique<Alarm>([&] {
      ++fired;
      alarms.clear();  // this one, and nine that are due in the same slot
    }));
    wheel.set(alarms.back()->timer, kStart + seconds(1));
  }
  wheel.advance(kStart + seconds(1));
  EXPECT_EQ(fired, 1);
  EXPECT_TRUE(alarms.empty());
  EXPECT_EQ(wheel.next(), never);
}

TEST(TimerWheel, MayMoveOthersOfTheSameSlotWhileFiring) {
  TimerWheel wheel(kStart);
  std::vector<std::unique_ptr<Alarm>> alarms;
  int fired = 0;
  for (int i = 0; i < 10; ++i) {
    alarms.push_back(std::make_unique<Alarm>([&] {
      if (fired++ != 0) return;
      for (auto& alarm : alarms) wheel.set(alarm->timer, kStart + seconds(2));
    }));
    wheel.set(alarms.back()->timer, kStart + seconds(1));
  }
  wheel.advance(kStart + seconds(1));
  EXPECT_EQ(fired, 1);
  wheel.advance(kStart + seconds(2));
  EXPECT_EQ(fired, 11);
}

TEST(TimerWheel, TimeThatStandsStillOrGoesBackDoesNoHarm) {
  TimerWheel wheel(kStart);
  int fired = 0;
  Alarm alarm([&] { ++fired; });
  wheel.set(alarm.timer, kStart + seconds(1));
  wheel.advance(kStart);
  wheel.advance(kStart - hours(1));
  wheel.advance(kStart + seconds(1));
  EXPECT_EQ(fired, 1);
}

TEST(TimerWheel, MayHaveSleptWhileItHadNothingToDo) {
  for (Duration slept : {kTick / 2, kTick, kReach - kTick, kReach, kReach + kTick, kReach * 100}) {
    TimerWheel wheel(kStart);
    int fired = 0;
    Alarm alarm([&] { ++fired; });
    const Instant now = kStart + slept;  // nobody called advance() on the way
    wheel.set(alarm.timer, now + seconds(1));
    wheel.advance(now);
    EXPECT_EQ(fired, 0);
    EXPECT_GT(wheel.next(), now);
    wheel.advance(now + seconds(1) - Duration(1));
    EXPECT_EQ(fired, 0);
    wheel.advance(now + seconds(1) + kTick);
    EXPECT_EQ(fired, 1);
  }
}

// --- against a model: a list of deadlines, looked at one by one ---

class Model {
 public:
  explicit Model(std::uint32_t seed) : random_(seed), wheel_(now_) {
    for (std::size_t i = 0; i < kTimers; ++i) {
      slots_.push_back(std::make_unique<Slot>());
      slots_[i]->alarm.emplace([this, i] { on_fired(i); });
    }
  }

  void step() {
    const std::size_t i = random_() % kTimers;
    switch (random_() % 8) {
      case 0:
      case 1:
      case 2:
      case 3:
        set(i, now_ + delay());
        break;
      case 4:
        wheel_.cancel(slots_[i]->alarm->timer);
        slots_[i]->due.reset();
        break;
      case 5:  // destroyed and made anew
        slots_[i]->due.reset();
        slots_[i]->alarm.emplace([this, i] { on_fired(i); });
        break;
      case 6:
        advance(now_ + delay());
        break;
      default:
        advance(std::clamp(wheel_.next(), now_, now_ + hours(1)));
    }
    check_next();
  }

 private:
  static constexpr std::size_t kTimers = 40;

  struct Slot {
    std::optional<Alarm> alarm;
    std::optional<Instant> due;  // what the model believes
    Instant set_at{};
  };

  Duration delay() {
    constexpr Duration scales[] = {milliseconds(1), milliseconds(30), seconds(1), kReach,
                                   kReach * 4};
    const Duration scale = scales[random_() % std::size(scales)];
    return Duration(static_cast<std::int64_t>(random_()) % (scale.count() + 1));
  }

  void set(std::size_t i, Instant when) {
    wheel_.set(slots_[i]->alarm->timer, when);
    slots_[i]->due = when;
    slots_[i]->set_at = now_;
  }

  void on_fired(std::size_t i) {
    ASSERT_TRUE(slots_[i]->due) << "fired without being set";
    EXPECT_LE(*slots_[i]->due, now_) << "fired early";
    slots_[i]->due.reset();
    // As connections do: the next deadline of this one, or of another.
    if (random_() % 2 == 0) set(i, now_ + delay());
    if (random_() % 4 == 0) set(random_() % kTimers, now_ + delay());
  }

  void advance(Instant now) {
    now_ = now;
    wheel_.advance(now_);
    for (const auto& slot : slots_) {
      EXPECT_EQ(slot->alarm->timer.armed(), slot->due.has_value());
      if (slot->due) {
        EXPECT_EQ(slot->alarm->timer.deadline(), *slot->due);
        EXPECT_GT(latest(*slot), now_) << "fires too late";
      }
    }
  }

  // One tick after the deadline, or after it was set when it was in the past already; and what
  // falls on the tick itself.
  static Instant latest(const Slot& slot) {
    return std::max(*slot.due, slot.set_at) + kTick + Duration(1);
  }

  void check_next() {
    Instant first = never;
    for (const auto& slot : slots_) {
      if (slot->due) first = std::min(first, latest(*slot));
    }
    EXPECT_EQ(wheel_.next() == never, first == never);
    EXPECT_LE(wheel_.next(), first);
    EXPECT_GT(wheel_.next(), now_) << "would spin";
  }

  std::mt19937 random_;
  Instant now_ = kStart + Duration(12345);
  TimerWheel wheel_;
  std::vector<std::unique_ptr<Slot>> slots_;
};

TEST(TimerWheelProperty, AgreesWithAListOfDeadlines) {
  for (std::uint32_t seed = 1; seed <= 20; ++seed) {
    Model model(seed);
    for (int i = 0; i < 2000; ++i) {
      model.step();
      if (HasFailure()) {
        FAIL() << "seed " << seed << ", step " << i;
      }
    }
  }
}

}  // namespace
}  // namespace sluice::base
