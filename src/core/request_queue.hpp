// core/request_queue.hpp - how many requests may wait for an application, and what the others get.
//
// docs/reference/http-server-api.md, section 1.2. The requests themselves wait at their shards;
// here they are counted. Layer: core. Thread: any; several shards share a queue without a lock.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <sluice/result.hpp>
#include <sluice/settings.hpp>

namespace sluice::core {

class RequestQueue {
 public:
  static constexpr std::uint32_t kDefaultLength = 1000, kMaxLength = 65535;
  static constexpr std::size_t kMaxNameBytes = 260;

  // An empty name: a queue that nobody else can open. Errors, in words: bad_setting.
  static Result<std::shared_ptr<RequestQueue>> create(std::string name,
                                                      std::uint32_t length = kDefaultLength);

  const std::string& name() const { return name_; }

  enum class Admission : std::uint8_t {
    run,     // its handler runs now: it never waited, and is not counted
    queued,  // it waits, and is counted until leave()
    full,    // 503, as verbosity() says, reason QueueFull (Errc::queue_full)
  };
  // For a request whose head is complete. `handler_free`: its handler could begin at once. While
  // the queue is inactive no handler begins, and whoever comes waits.
  Admission admit(bool handler_free);
  // A request that was queued waits no more: its handler begins, it took too long, or its client
  // has gone. Exactly once for each.
  void leave();

  std::uint32_t waiting() const { return waiting_.load(std::memory_order_relaxed); }
  std::uint64_t refused() const { return refused_.load(std::memory_order_relaxed); }  // ever

  std::uint32_t length() const { return length_.load(std::memory_order_relaxed); }
  // 1 to 65535. Who waits stays, even where fewer may wait now. Errors, in words: bad_setting.
  Result<void> set_length(std::uint32_t length);

  Verbosity503 verbosity() const { return verbosity_.load(std::memory_order_relaxed); }
  void set_verbosity(Verbosity503 verbosity) {
    verbosity_.store(verbosity, std::memory_order_relaxed);
  }

  bool active() const { return active_.load(std::memory_order_acquire); }
  // True when it was not so before. Who activates a queue must then tell every shard through its
  // mailbox to look at what waits there: a shard that still saw the old state has put its request
  // there before it reads that message, and one that reads it later sees the new state.
  bool set_active(bool active) {
    return active_.exchange(active, std::memory_order_acq_rel) != active;
  }

 private:
  RequestQueue(std::string name, std::uint32_t length) : name_(std::move(name)), length_(length) {}

  const std::string name_;
  std::atomic<std::uint32_t> length_;
  std::atomic<Verbosity503> verbosity_{Verbosity503::limited};
  std::atomic<bool> active_{true};
  std::atomic<std::uint64_t> refused_{0};
  std::atomic<std::uint32_t> waiting_{0};
};

}  // namespace sluice::core
