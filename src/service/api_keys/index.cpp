// service/api_keys/index.cpp - see index.hpp.
//
// Layer: service.
#include "service/api_keys/index.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "crypto/secret.hpp"

namespace sluice::api_keys {
namespace {

std::uint64_t front_of(const KeyHash& hash) {
  std::uint64_t front = 0;
  std::memcpy(&front, hash.data(), sizeof front);
  return front;
}

std::size_t bucket_of(const KeyHash& hash) { return std::to_integer<std::size_t>(hash.back()); }

constexpr auto kBefore = [](const auto& slot, std::uint64_t front) { return slot.front < front; };

}  // namespace

KeyIndex::Slot KeyIndex::slot_of(KeyRecord key, const KeyIndex& before) {
  auto made = std::make_shared<IndexedKey>();
  if (key.rate.requests > 0) {
    const IndexedKey* old = before.find(key.hash);
    const bool same = old != nullptr && old->record.rate == key.rate;
    made->meter = same ? old->meter : std::make_shared<RateMeter>();
  }
  made->record = std::move(key);
  return {front_of(made->record.hash), std::move(made)};
}

KeyIndex::KeyIndex(std::vector<KeyRecord> keys, const KeyIndex& before) : size_(keys.size()) {
  std::array<std::shared_ptr<Bucket>, 256> buckets;
  for (KeyRecord& key : keys) {
    auto& bucket = buckets[bucket_of(key.hash)];
    if (!bucket) bucket = std::make_shared<Bucket>();
    bucket->push_back(slot_of(std::move(key), before));
  }
  for (std::size_t i = 0; i < buckets.size(); ++i) {
    if (!buckets[i]) continue;
    std::sort(buckets[i]->begin(), buckets[i]->end(),
              [](const Slot& a, const Slot& b) { return a.front < b.front; });
    buckets_[i] = std::move(buckets[i]);
  }
}

KeyIndex KeyIndex::with(KeyRecord key) const {
  KeyIndex next = *this;
  const KeyHash hash = key.hash;
  auto& place = next.buckets_[bucket_of(hash)];
  auto bucket = place ? std::make_shared<Bucket>(*place) : std::make_shared<Bucket>();
  Slot slot = slot_of(std::move(key), *this);
  auto at = std::lower_bound(bucket->begin(), bucket->end(), slot.front, kBefore);
  while (at != bucket->end() && at->front == slot.front && at->key->record.hash != hash) ++at;
  if (at != bucket->end() && at->front == slot.front) {
    *at = std::move(slot);
  } else {
    bucket->insert(at, std::move(slot));
    ++next.size_;
  }
  place = std::move(bucket);
  return next;
}

const IndexedKey* KeyIndex::find(const KeyHash& hash) const {
  const auto& bucket = buckets_[bucket_of(hash)];
  if (!bucket) return nullptr;
  const std::uint64_t front = front_of(hash);
  auto at = std::lower_bound(bucket->begin(), bucket->end(), front, kBefore);
  for (; at != bucket->end() && at->front == front; ++at) {
    if (crypto::same_secret(Bytes(at->key->record.hash), Bytes(hash))) return at->key.get();
  }
  return nullptr;
}

}  // namespace sluice::api_keys
