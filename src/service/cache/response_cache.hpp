// service/cache/response_cache.hpp - answers given again without their handler.
//
// Each shard has what it has found in the common store, and answers from that without a lock. What
// it has not, it looks for there, if anything is known of the key; where nobody has it, one handler
// runs and the others wait for its answer (docs/adr, 24). Layer: service. Thread: made and ended by
// the server; each member as it says.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <sluice/response_cache.hpp>
#include <sluice/result.hpp>

#include "base/timer_wheel.hpp"
#include "core/response_cache.hpp"
#include "core/shard.hpp"
#include "service/cache/store.hpp"

namespace sluice::core {
class ServerSession;
}

namespace sluice::service {

// Lifetime: outlives its shards, whose mailboxes hold its news.
class ResponseCache final : public core::ResponseCache {
 public:
  // Errors: bad_setting, naming the member.
  static Result<void> check(const ResponseCacheOptions& options,
                            const std::vector<CacheRule>& rules);

  // Before the shards run; their indexes are below `shards`.
  ResponseCache(core::ServerSession& session, const ResponseCacheOptions& options,
                std::vector<CacheRule> rules, std::size_t shards);
  ~ResponseCache() override;

  // The exchange's shard.
  Found look_up(core::Exchange& exchange) override;
  void keep(core::Exchange& exchange) override;
  void given_up(core::Exchange& exchange) override;
  void changed(core::Exchange& exchange) override;

  // Any thread, while the session's shards stay.
  std::size_t flush(std::string_view url, bool recursive);
  void apply(const ResponseCacheOptions& options, std::vector<CacheRule> rules);
  CacheCounters counters() const;

 private:
  class Ticket;
  struct OfShard;

  Found look_further(core::Exchange& exchange, OfShard& mine, const CacheKey& key,
                     const CacheRequest& request);
  void answer(core::Exchange& exchange, OfShard& mine, const CachedRef& kept, bool selects);
  const CacheRules& rules_for(OfShard& mine) const;
  bool put(core::Exchange& exchange, std::shared_ptr<CachedAnswer> made, const FlightRef& own);
  void sweep_now_and_then(base::Instant now);
  void tell_to_release();
  OfShard& of(const core::Shard& shard) const { return *shards_[shard.index]; }

  core::ServerSession& session_;
  // A late answer may end a flight after the server has ended.
  const std::shared_ptr<CacheStore> store_;
  std::atomic<std::int64_t> next_sweep_{0};  // nanoseconds on the shards' clock
  std::atomic<std::int64_t> wait_ms_;
  mutable std::mutex rules_mutex_;
  std::shared_ptr<const CacheRules> rules_;
  std::atomic<std::uint64_t> rules_version_{1};
  std::vector<std::unique_ptr<OfShard>> shards_;
};

}  // namespace sluice::service
