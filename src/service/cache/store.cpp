// service/cache/store.cpp - see store.hpp.
//
// Layer: service. Thread: any.
#include "service/cache/store.hpp"

#include <algorithm>
#include <utility>

#include "crypto/digest.hpp"
#include "crypto/siphash.hpp"
#include "proto/http/head.hpp"

namespace sluice::service {
namespace {

std::array<std::byte, 16> make_secret() {
  std::array<std::byte, 16> secret{};
  crypto::random_bytes(secret);
  return secret;
}

}  // namespace

CacheStore::CacheStore(const ResponseCacheOptions& options)
    : secret_(make_secret()), options_(options) {
  set_bounds();
}

void CacheStore::set_bounds() {
  const bool keeps = options_.bytes != 0;
  entry_bytes_.store(keeps ? options_.entry_bytes : 0, std::memory_order_relaxed);
  most_collecting_.store(
      keeps ? std::max(options_.bytes / kCollectedShare, options_.entry_bytes) : 0,
      std::memory_order_relaxed);
}

bool CacheStore::collect(std::size_t bytes) {
  const std::size_t most = most_collecting_.load(std::memory_order_relaxed);
  if (collecting_.fetch_add(bytes, std::memory_order_relaxed) + bytes <= most) return true;
  collected(bytes);
  return false;
}

std::uint64_t CacheStore::hash_of(std::string_view key) const {
  return crypto::siphash(secret_, as_bytes(key));
}

CacheStore::Slot& CacheStore::slot_of(const CacheKey& key) {
  if (const auto known = index_.find(key); known != index_.end()) return *known->second;
  Slot& slot = slots_.emplace_back();
  const auto place = std::prev(slots_.end());
  try {
    slot.text = key.text;
    slot.hash = key.hash;
    index_.emplace(slot.key(), place);
  } catch (...) {
    slots_.erase(place);
    throw;
  }
  Document& same = document(document_of(slot.text));
  slot.next = same.first;
  slot.link = &same.first;
  if (slot.next) slot.next->link = &slot.next;
  same.first = &slot;
  bytes_ += slot.own_bytes();
  present_[key.hash % kPresent].fetch_add(1, std::memory_order_release);
  return slot;
}

// Nobody is given it from here on; shards let it go when they are told.
void CacheStore::let_go(CachedAnswer& answer) {
  answer.gone.store(true, std::memory_order_release);
  bytes_ -= answer.bytes;
  released_ += answer.bytes;
  --counters_.entries;
}

CacheStore::Slots::iterator CacheStore::drop(Slots::iterator slot) {
  for (const auto& variant : slot->variants) let_go(*variant);
  bytes_ -= slot->own_bytes();
  present_[slot->hash % kPresent].fetch_sub(1, std::memory_order_release);
  index_.erase(slot->key());
  *slot->link = slot->next;
  if (slot->next) slot->next->link = slot->link;
  if (hand_ == slot) ++hand_;
  if (swept_ == slot) ++swept_;
  return slots_.erase(slot);
}

std::size_t CacheStore::drop_stale(Slot& slot, base::Instant now) {
  const auto stale = std::partition(slot.variants.begin(), slot.variants.end(),
                                    [now](const auto& variant) { return variant->is_fresh(now); });
  const auto count = static_cast<std::size_t>(slot.variants.end() - stale);
  std::for_each(stale, slot.variants.end(), [this](const auto& variant) { let_go(*variant); });
  slot.variants.erase(stale, slot.variants.end());
  counters_.expired += count;
  return count;
}

// The hand goes round: what was used since it last came gets another turn.
void CacheStore::make_room(std::size_t bytes, const Slot* kept, base::Instant now) {
  std::size_t steps = slots_.size() * 2 + 2;
  while (bytes_ + bytes > options_.bytes && !slots_.empty() && steps-- > 0) {
    if (hand_ == slots_.end()) hand_ = slots_.begin();
    Slot& slot = *hand_;
    drop_stale(slot, now);
    if (&slot == kept || slot.flight) {
      ++hand_;
      continue;
    }
    bool used = false;
    for (const auto& variant : slot.variants) {
      if (variant->used.exchange(false, std::memory_order_relaxed)) used = true;
    }
    if (used) {
      ++hand_;
      continue;
    }
    counters_.evicted += slot.variants.size();
    drop(hand_);
  }
}

CacheStore::Looked CacheStore::look_up(const Question& question) {
  Looked looked;
  std::lock_guard lock(mutex_);
  const auto known = index_.find(question.key);
  Slot* slot = known == index_.end() ? nullptr : &*known->second;
  if (slot) {
    looked.is_known = true;
    slot->used = true;
    drop_stale(*slot, question.now);
    looked.fresh.assign(slot->variants.rbegin(), slot->variants.rend());
    // The newest comes first (RFC 9111 section 4).
    const auto found = std::find_if(
        looked.fresh.begin(), looked.fresh.end(),
        [&](const CachedRef& variant) { return variant->is_for(question.head, question.request); });
    if (found != looked.fresh.end()) {
      looked.found = *found;
      looked.found->used.store(true, std::memory_order_relaxed);
      return looked;
    }
  }
  if (options_.wait.count() <= 0 || options_.bytes == 0) return looked;
  if (slot && (slot->alone_until > question.now || !(slot->expected || question.ruled))) {
    return looked;
  }
  if (!slot && !(question.ruled && question.may_lead)) return looked;
  if (!slot) {
    slot = &slot_of(question.key);
    make_room(0, slot, question.now);
  }
  if (!slot->flight) {
    if (!question.may_lead) return looked;
    auto flight = std::make_shared<Flight>();
    flight->key_text = slot->text;
    flight->hash = slot->hash;
    slot->flight = looked.leads = std::move(flight);
    return looked;
  }
  Flight& flight = *slot->flight;
  if (!question.may_wait || flight.waiting >= kMostWaiting) return looked;
  const auto is_it = [&](const Flight::Seat& seat) { return seat.owner == question.seat.owner; };
  if (std::none_of(flight.seats.begin(), flight.seats.end(), is_it)) {
    flight.seats.push_back(question.seat);
  }
  ++flight.waiting;
  ++counters_.waited;
  looked.waits = slot->flight;
  return looked;
}

bool CacheStore::was_flushed(std::string_view key, std::uint64_t ticket) const {
  if (ticket == flushes_.load(std::memory_order_relaxed)) return false;
  if (forgotten_ > ticket) return true;
  if (documents_[hash_of(document_of(key)) % kDocuments].changed > ticket) return true;
  return std::any_of(marks_.rbegin(), marks_.rend(), [&](const Flush& flush) {
    return flush.ticket > ticket && flush.mark.covers(key);
  });
}

bool CacheStore::put(std::shared_ptr<CachedAnswer> made, std::uint64_t ticket, base::Instant now,
                     const FlightRef& own, Waiters* others) {
  std::lock_guard lock(mutex_);
  if (options_.bytes == 0 || made->fields.size() + made->body.size() > options_.entry_bytes ||
      made->bytes > options_.bytes || was_flushed(made->key_text, ticket)) {
    return false;
  }
  Slot& slot = slot_of(made->key());
  slot.used = true;
  slot.variants.reserve(slot.variants.size() + 1);
  const auto same = std::find_if(slot.variants.begin(), slot.variants.end(),
                                 [&](const auto& variant) { return variant->vary == made->vary; });
  if (same != slot.variants.end()) {
    let_go(**same);
    slot.variants.erase(same);
  } else if (slot.variants.size() == kMostVariants) {
    let_go(*slot.variants.front());
    slot.variants.erase(slot.variants.begin());
    ++counters_.evicted;
  }
  make_room(made->bytes, &slot, now);
  if (bytes_ + made->bytes > options_.bytes) return false;
  slot.expected = true;
  bytes_ += made->bytes;
  ++counters_.entries;
  ++counters_.stored;
  slot.variants.push_back(std::move(made));
  if (others && slot.flight && slot.flight != own) {
    *others = {slot.flight, std::exchange(slot.flight->seats, {})};
  }
  return true;
}

std::vector<Flight::Seat> CacheStore::finish(const FlightRef& flight, Outcome outcome,
                                             base::Instant now) {
  std::lock_guard lock(mutex_);
  const auto known = index_.find(CacheKey{flight->key_text, flight->hash});
  if (known == index_.end() || known->second->flight != flight) return {};
  Slot& slot = *known->second;
  slot.flight.reset();
  if (outcome == Outcome::not_kept) {
    slot.expected = false;
    slot.alone_until = now + kAlone;
  }
  return std::move(flight->seats);
}

void CacheStore::leave(const FlightRef& flight) {
  std::lock_guard lock(mutex_);
  if (flight->waiting > 0) --flight->waiting;
}

std::size_t CacheStore::flush(const FlushMark& mark) {
  std::lock_guard lock(mutex_);
  marks_.push_back({next_ticket(), mark});
  if (marks_.size() > kFlushes) {
    forgotten_ = std::max(forgotten_, marks_.front().ticket);
    marks_.pop_front();
  }
  if (!mark.recursive) return flush_document(mark);
  std::size_t count = 0;
  for (Slot& slot : slots_) {
    if (mark.covers(slot.text)) count += flush_slot(slot);
  }
  return count;
}

std::size_t CacheStore::flush_all() { return flush_ruled(nullptr); }

std::size_t CacheStore::change(const FlushMark& mark) {
  std::lock_guard lock(mutex_);
  document(mark.document).changed = next_ticket();
  return flush_document(mark);
}

std::size_t CacheStore::flush_ruled(const std::function<bool(std::string_view)>& stays) {
  std::lock_guard lock(mutex_);
  forgotten_ = next_ticket();
  std::size_t count = 0;
  for (Slot& slot : slots_) {
    const auto is_ruled = [](const auto& variant) { return variant->by_rule; };
    if (stays && (std::none_of(slot.variants.begin(), slot.variants.end(), is_ruled) ||
                  stays(document_of(slot.text)))) {
      continue;
    }
    count += flush_slot(slot);
  }
  return count;
}

// The slots stay for a while: that their answers were kept is known of them.
std::size_t CacheStore::flush_slot(Slot& slot) {
  const std::size_t count = slot.variants.size();
  for (const auto& variant : slot.variants) let_go(*variant);
  slot.variants.clear();
  counters_.flushed += count;
  return count;
}

std::size_t CacheStore::flush_document(const FlushMark& mark) {
  std::size_t count = 0;
  for (Slot* slot = document(mark.document).first; slot; slot = slot->next) {
    if (mark.covers(slot->text)) count += flush_slot(*slot);
  }
  return count;
}

base::Instant CacheStore::sweep(base::Instant now) {
  std::lock_guard lock(mutex_);
  if (swept_ == slots_.end()) swept_ = slots_.begin();
  for (std::size_t i = 0; i < kSwept && swept_ != slots_.end(); ++i) {
    Slot& slot = *swept_;
    drop_stale(slot, now);
    if (slot.variants.empty() && !slot.flight && !std::exchange(slot.used, false)) {
      drop(swept_);
    } else {
      ++swept_;
    }
  }
  // The whole of it is looked at every ten seconds, or as fast as this goes.
  return now + (swept_ == slots_.end() ? std::chrono::seconds(10) : std::chrono::milliseconds(50));
}

void CacheStore::set(const ResponseCacheOptions& options, base::Instant now) {
  std::lock_guard lock(mutex_);
  options_ = options;
  set_bounds();
  make_room(0, nullptr, now);
}

ResponseCacheOptions CacheStore::options() const {
  std::lock_guard lock(mutex_);
  return options_;
}

bool CacheStore::wants_release() {
  std::lock_guard lock(mutex_);
  if (released_ <= options_.bytes / 16) return false;
  released_ = 0;
  return true;
}

CacheCounters CacheStore::counters() const {
  std::lock_guard lock(mutex_);
  CacheCounters now = counters_;
  now.bytes = bytes_;
  return now;
}

}  // namespace sluice::service
