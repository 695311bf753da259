// service/cache/store.hpp - what all shards know together: answers, who is making one, flushes.
//
// Bounded by bytes; a clock's hand finds what was not asked for since it last passed. Shards hold
// what they have found here, and look at `gone` only: nobody waits for this lock who asks for what
// its shard has. Layer: service. Thread: any.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <sluice/response_cache.hpp>

#include "base/clock.hpp"
#include "core/mailbox.hpp"
#include "service/cache/cached_answer.hpp"

namespace sluice::service {

// Somebody runs the handler of a key for all who ask meanwhile.
struct Flight {
  std::string key_text;
  std::uint64_t hash = 0;
  // With the store's lock: the shards on which somebody waits, and how many do.
  struct Seat {
    std::shared_ptr<core::Mailbox> mailbox;
    void* owner;  // whoever is told there
  };
  std::vector<Seat> seats;
  std::size_t waiting = 0;
};
using FlightRef = std::shared_ptr<Flight>;

class CacheStore {
 public:
  // Answers of one key by what their Vary names; the oldest goes for one more.
  static constexpr std::size_t kMostVariants = 16;
  static constexpr std::size_t kMostWaiting = 4096;  // for one flight
  // Flushes that an answer under way is compared with; before more of them, it is not kept.
  static constexpr std::size_t kFlushes = 64;
  // After an answer that was not kept, so long nobody waits for another of its key.
  static constexpr base::Duration kAlone = std::chrono::seconds(10);
  static constexpr std::size_t kSwept = 512;  // keys that one sweep looks at
  // Of the bound, so much more may be bodies that are still coming: a quarter.
  static constexpr std::size_t kCollectedShare = 4;

  explicit CacheStore(const ResponseCacheOptions& options);
  CacheStore(const CacheStore&) = delete;
  CacheStore& operator=(const CacheStore&) = delete;

  std::uint64_t hash_of(std::string_view key) const;
  // False: nothing is known of the key. Without a lock.
  bool may_know(std::uint64_t hash) const {
    return present_[hash % kPresent].load(std::memory_order_acquire) != 0;
  }
  // How many flushes and changes there were. An answer whose request was looked up before one that
  // covers it is not kept.
  std::uint64_t ticket() const { return flushes_.load(std::memory_order_acquire); }

  struct Question {
    CacheKey key;
    const http::RequestHead& head;
    CacheRequest request;
    base::Instant now;
    Flight::Seat seat{};
    bool ruled = false;     // a rule covers it: others are waited for from the first request on
    bool may_lead = false;  // its answer might be kept
    bool may_wait = false;
  };
  struct Looked {
    bool is_known = false;         // something was kept, or is expected
    std::vector<CachedRef> fresh;  // all of the key, whoever they are for
    CachedRef found;               // one that is for this request
    FlightRef leads, waits;        // at most one of all three
  };
  Looked look_up(const Question& question);

  // Those who wait for a flight.
  struct Waiters {
    FlightRef flight;
    std::vector<Flight::Seat> seats;
  };
  // False: it is larger than may be, or was flushed before it came. `own`: the flight that brings
  // it, if any. Who waits for another one of its key goes to `others`, to be told.
  bool put(std::shared_ptr<CachedAnswer> made, std::uint64_t ticket, base::Instant now,
           const FlightRef& own = nullptr, Waiters* others = nullptr);
  enum class Outcome : std::uint8_t {
    kept,
    not_kept,  // nor would the next one be
    lost,      // nothing is known: the client went, the handler threw
  };
  // It has ended. Returns the shards on which somebody waits for it.
  std::vector<Flight::Seat> finish(const FlightRef& flight, Outcome outcome, base::Instant now);
  // One waits no more.
  void leave(const FlightRef& flight);

  std::size_t flush(const FlushMark& mark);
  std::size_t flush_all();
  // The same for one document that a request has changed; others are not looked at.
  std::size_t change(const FlushMark& mark);
  // What a rule has kept and `stays` is false for, by its document; and nothing under way is kept.
  std::size_t flush_ruled(const std::function<bool(std::string_view)>& stays);
  // So many bytes more of bodies that are still coming. False: that is too many, none was counted.
  bool collect(std::size_t bytes);
  void collected(std::size_t bytes) { collecting_.fetch_sub(bytes, std::memory_order_relaxed); }
  // Lets some go that are not fresh any more. Returns when to come back.
  base::Instant sweep(base::Instant now);
  void set(const ResponseCacheOptions& options, base::Instant now);
  ResponseCacheOptions options() const;
  // 0: nothing is kept.
  std::size_t entry_bytes() const { return entry_bytes_.load(std::memory_order_relaxed); }

  // More of what shards may hold has gone than a sixteenth of the bound, since this was last true.
  bool wants_release();
  // Its own, the shards' hits and misses not.
  CacheCounters counters() const;

 private:
  static constexpr std::size_t kPresent = 16384, kDocuments = 4096;
  struct Slot {
    std::string text;
    std::uint64_t hash = 0;
    std::vector<std::shared_ptr<CachedAnswer>> variants;
    FlightRef flight;
    base::Instant alone_until{};
    bool expected = false;  // the last answer was kept
    bool used = true;       // since it was swept
    Slot* next = nullptr;   // of the documents of one number
    Slot** link = nullptr;  // what points to this one
    CacheKey key() const { return {text, hash}; }
    std::size_t own_bytes() const { return sizeof(Slot) + text.size() + 160; }
  };
  using Slots = std::list<Slot>;
  // Documents of one number, of kDocuments.
  struct Document {
    Slot* first = nullptr;
    std::uint64_t changed = 0;  // ticket() of its last change
  };
  struct Flush {
    std::uint64_t ticket;
    FlushMark mark;
  };

  // All with the lock held.
  Slot& slot_of(const CacheKey& key);
  Slots::iterator drop(Slots::iterator slot);
  void let_go(CachedAnswer& answer);
  std::size_t drop_stale(Slot& slot, base::Instant now);
  void make_room(std::size_t bytes, const Slot* kept, base::Instant now);
  bool was_flushed(std::string_view key, std::uint64_t ticket) const;
  std::uint64_t next_ticket() { return flushes_.fetch_add(1, std::memory_order_release) + 1; }
  std::size_t flush_slot(Slot& slot);
  std::size_t flush_document(const FlushMark& mark);
  Document& document(std::string_view name) { return documents_[hash_of(name) % kDocuments]; }
  void set_bounds();

  const std::array<std::byte, 16> secret_;
  std::array<std::atomic<std::uint32_t>, kPresent> present_{};
  std::atomic<std::uint64_t> flushes_{0};
  std::atomic<std::size_t> entry_bytes_{0}, collecting_{0}, most_collecting_{0};

  mutable std::mutex mutex_;
  ResponseCacheOptions options_;
  Slots slots_;
  std::unordered_map<CacheKey, Slots::iterator, CacheKeyHash> index_;
  Slots::iterator hand_ = slots_.end(), swept_ = slots_.end();
  std::deque<Flush> marks_;      // of the last flushes
  std::uint64_t forgotten_ = 0;  // the last flush that is not among them: it may have covered all
  std::array<Document, kDocuments> documents_{};
  std::size_t bytes_ = 0, released_ = 0;
  CacheCounters counters_;
};

}  // namespace sluice::service
