// core/compressed_once.hpp - a broadcast's message, compressed once for all shards.
//
// RFC 7692. Layer: core. Thread: any.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <mutex>
#include <new>
#include <string>

#include <sluice/bytes.hpp>

namespace sluice::core {

// For each window by the first shard that needs it so. Another that needs the same meanwhile waits
// as long as it would have taken itself; one that needs another window waits for nobody.
class CompressedOnce {
 public:
  // `compress` makes the bytes, and keeps them until this returns. Empty: it goes as it is, which
  // is what `compress` says, or memory is out; then the next that asks tries again. Lives as long
  // as this.
  template <class Compress>
  Bytes of(unsigned window_bits, Compress&& compress) {
    Entry& entry = all_[window_bits - kFewestBits];
    if (!entry.made.load(std::memory_order_acquire)) {
      std::lock_guard lock(entry.mutex);
      if (!entry.made.load(std::memory_order_relaxed)) {
        try {
          entry.bytes = as_text(compress());
        } catch (const std::bad_alloc&) {
          return {};
        }
        entry.made.store(true, std::memory_order_release);
      }
    }
    return as_bytes(entry.bytes);
  }

 private:
  static constexpr unsigned kFewestBits = 8, kMostBits = 15;
  struct Entry {
    std::mutex mutex;
    std::atomic<bool> made{false};
    std::string bytes;  // not written any more once it is made
  };
  std::array<Entry, kMostBits - kFewestBits + 1> all_;
};

}  // namespace sluice::core
