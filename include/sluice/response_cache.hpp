// sluice/response_cache.hpp - answers that are given again without their handler.
//
// HttpResponse::cache asks for it, or a rule. A cached answer is given behind the gate
// (authentication, API keys, rates), behind URL groups and their limits, and counts as a request.
// Layer: public.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

namespace sluice {

// The cache policy of one response.
enum class Cache : std::uint8_t {
  none,
  until_invalidated,  // until Server::flush_cache, or until its room is needed
  time_to_live,
};

struct ResponseCacheOptions {
  std::size_t bytes = 64 << 20;  // of all that is kept, with what finding it takes; 0: no cache
  std::size_t entry_bytes = 256 << 10;  // of one response, head and body; larger ones are not kept
  // Requests for what is not kept, but was or is covered by a rule, wait so long for the one that
  // runs the handler. 0: they do not.
  std::chrono::milliseconds wait{5'000};

  friend bool operator==(const ResponseCacheOptions&, const ResponseCacheOptions&) = default;
};

// For answers that say nothing themselves (HttpResponse::cache): handlers', streamed and forwarded
// ones. What their Cache-Control or Expires says of their age goes before a longer `ttl`.
struct CacheRule {
  std::string path = "/";  // and all below it
  Cache policy = Cache::time_to_live;
  std::chrono::milliseconds ttl{60'000};  // at least 1 ms

  friend bool operator==(const CacheRule&, const CacheRule&) = default;
};

struct CacheCounters {
  std::uint64_t hits = 0;    // answered without a handler
  std::uint64_t misses = 0;  // that could have been, and were not
  std::uint64_t waited = 0;  // for somebody else's handler
  std::uint64_t stored = 0, evicted = 0, expired = 0, flushed = 0;
  std::uint64_t entries = 0, bytes = 0;  // now
};

}  // namespace sluice
