// front/wire/work.hpp - what a connection needs while something is under way on it.
//
// A request, an answer, bytes that wait, a deadline. A connection has it from the start; one that
// has become a byte stream gives it back whenever nothing is under way, which for a WebSocket is
// nearly always. Layer: front/wire. Thread: shard.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "base/block.hpp"
#include "base/timer_wheel.hpp"
#include "core/bandwidth.hpp"
#include "core/front.hpp"
#include "front/wire/out_queue.hpp"
#include "proto/http1/chunked_decoder.hpp"

namespace sluice::wire {

class Connection;
struct Work;

enum class Phase : std::uint8_t { none, header, idle, body, queue, linger, stream, drain_wait };

// What waits for its turn because of limits.bandwidth (connection_pace.cpp).
struct Pace {
  explicit Pace(Work& work);
  base::Timer timer;                               // armed: nothing may leave yet
  std::uint64_t paid = 0;                          // bytes that may leave then: they are reserved
  std::shared_ptr<core::Bandwidth> server, group;  // with whom
};

// What is forgotten when it is given back.
struct WorkState {
  core::Exchange* exchange = nullptr;
  Connection* next_dirty = nullptr;
  Phase phase = Phase::none;
  bool reading_body = false, body_chunked = false, body_paused = false, body_done = false;
  bool processing = false, warming = false;
  bool counted_stream = false, chunked_stream = false, head_only_stream = false,
       stream_stays = false;
  bool begun = false;           // a request has come: it speaks HTTP
  bool bulk = false;            // the engine waits for much of the body
  bool body_slow = false;       // much of it did not come in time: it is no bulk any more
  bool waits_for_room = false;  // requests wait until the queue is shorter
  std::uint16_t drain_code = 0;
  std::uint32_t in_at = 0, in_size = 0;
  std::uint32_t linger_limit = 0;  // milliseconds
  base::Instant rate_since = base::never;
  std::uint64_t rate_mark = 0;  // bytes that the peer had taken at rate_since
  base::Instant taken_since{};  // since when it has taken no more than taken_mark; see rate_since
  std::uint64_t taken_mark = 0;
  std::uint64_t body_left = 0;        // of a body with a length
  std::uint64_t stream_left = 0;      // of a streamed answer with a length
  std::uint64_t file_window = 0;      // bytes of the file in front that are known to be cached
  std::uint64_t linger_mark = 0;      // bytes that the peer had taken when lingering began (anew)
  std::chrono::milliseconds idle{0};  // how long it may be so, after the last request
};

struct Work final : core::ExchangePort, WorkState {
  Work();

  // Of a byte stream: nothing here says more than a new one would.
  bool at_rest() const {
    return out.empty() && !exchange && !in && !timer.armed() && phase == Phase::none && !warming &&
           !(pace && (pace->paid > 0 || pace->timer.armed()));
  }

  // core::ExchangePort: the connection does it.
  void respond(core::Exchange& exchange) override;
  void begin_stream(core::Exchange& exchange) override;
  bool write_stream(core::Exchange& exchange, Bytes bytes) override;
  void interim(core::Exchange& exchange, int status, std::string_view fields) override;
  std::string_view trailers(const core::Exchange& exchange) override;
  bool write_stream_shared(core::Exchange& exchange, const base::SharedBytes& bytes) override;
  void end_stream(core::Exchange& exchange, std::string_view trailer_lines) override;
  void break_off(core::Exchange& exchange, const Error& why) override;
  void pause_body(core::Exchange& exchange) override;
  void resume_body(core::Exchange& exchange) override;
  void wait_for_thread(core::Exchange& exchange) override;
  void decided(core::Exchange& exchange) override;
  void upgrade(core::Exchange& exchange, std::string_view fields, core::StreamPtr events) override;

  Connection* owner = nullptr;
  Work* next_idle = nullptr;  // the pool's
  OutQueue out;
  base::BlockRef in;  // received bytes that wait
  base::Timer timer;
  std::unique_ptr<http1::ChunkedDecoder> chunks;
  std::unique_ptr<Pace> pace;  // from the first wait on
};

// Those of one shard, used again.
class WorkPool {
 public:
  WorkPool() = default;
  WorkPool(const WorkPool&) = delete;
  WorkPool& operator=(const WorkPool&) = delete;
  ~WorkPool();

  // Null when memory is out.
  Work* take(Connection& owner) {
    Work* taken = idle_;
    if (!taken) return make(owner);
    idle_ = taken->next_idle;
    --count_;
    taken->owner = &owner;
    return taken;
  }
  bool has_idle() const { return idle_ != nullptr; }
  // One that is at rest: as good as new.
  void give_back(Work& work) noexcept {
    if (count_ == kIdle) return destroy(work);
    work.next_idle = idle_;
    idle_ = &work;
    ++count_;
  }
  // One whose connection has closed.
  void give_back_used(Work& work) noexcept {
    static_cast<WorkState&>(work) = {};
    work.in.reset();
    give_back(work);
  }

 private:
  static constexpr std::size_t kIdle = 256;
  static Work* make(Connection& owner);
  static void destroy(Work& work) noexcept;
  Work* idle_ = nullptr;
  std::size_t count_ = 0;
};

}  // namespace sluice::wire
