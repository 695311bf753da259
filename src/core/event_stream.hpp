// core/event_stream.hpp - what a stream of server-sent events has besides its Late: heartbeats, its
// place in the drain, and who is told of its end.
//
// WHATWG HTML, section 9.2.7 (comments against timeouts). Layer: core. Thread: shard, but for
// on_over().
#pragma once

#include <chrono>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/timer_wheel.hpp"

namespace sluice::core {

class Late;
class Shard;

// Owned by its Late. On the shard from begin() to over().
class EventStream {
 public:
  // `first`: what is sent before anything else.
  EventStream(Late& late, base::Duration heartbeat, std::string first);

  const std::string& first() const { return first_; }

  void begin(Shard& shard);
  void sent();
  // The server stops: it is ended after `delay`.
  void drain(base::Duration delay);
  // It is over: those who want to know are told, once.
  void over();
  // Runs once, with over(); now, if that was before.
  void on_over(std::function<void()> handler);

  // Of all that are on the shard: Shard::event_streams.
  static void drain_all(Shard& shard, base::Duration window);

 private:
  static void fired(void* self);
  void beat();

  Late& late_;
  const base::Duration heartbeat_;  // zero: none
  const std::string first_;
  Shard* shard_ = nullptr;
  base::Instant last_{};
  bool draining_ = false;
  base::Timer timer_;
  EventStream* next_ = nullptr;
  EventStream** link_ = nullptr;  // what points to this one; null when not on the shard
  std::mutex mutex_;              // of what follows
  bool over_ = false;
  std::vector<std::function<void()>> on_over_;
};

}  // namespace sluice::core
