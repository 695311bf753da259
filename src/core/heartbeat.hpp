// core/heartbeat.hpp - a ping to each WebSocket of a shard every interval, and the end of those
// that do not answer.
//
// RFC 6455 section 5.5.2. The interval has slices, and a connection's slot says which is its own:
// ten thousand pings are spread over the interval, at the same distance for each, and none of the
// ten thousand keeps a timer. What the shard remembers is whose pong it waits for.
// Layer: core. Thread: shard.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>

#include <sluice/settings.hpp>

#include "base/clock.hpp"
#include "base/timer_wheel.hpp"

namespace sluice::core {

class Connection;
class Shard;
class WebSocket;

class Heartbeat {
 public:
  static constexpr std::int64_t kSlices = 128;

  Heartbeat(Shard& shard, const HeartBeat& settings);

  bool enabled() const { return settings_.enabled; }
  const HeartBeat& settings() const { return settings_; }
  // From now on.
  void set(const HeartBeat& settings);
  // There is a WebSocket: beats as long as there are any.
  void begin();
  // A pong of this connection has to come within the timeout. std::bad_alloc
  void await_pong(const Connection& connection);
  // It has.
  void answered(const Connection& connection);

 private:
  // Whose pong is awaited, the oldest ping first.
  struct Awaited {
    base::Instant until;
    std::uint64_t sent;  // bytes that the kernel had taken at the ping
    std::uint32_t slot, generation;
    bool answered;
  };
  static void timer_fired(void* self);
  void beat();
  void beat_slice(std::int64_t slice);
  void end_silent();
  void set_timer();

  Shard& shard_;
  HeartBeat settings_;
  base::Duration slice_;
  base::Timer timer_;
  base::Instant origin_{};
  std::int64_t done_ = 0;  // slices since origin_
  std::deque<Awaited> awaited_;
};

}  // namespace sluice::core
