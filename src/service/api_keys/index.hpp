// service/api_keys/index.hpp - all records by their hash, as one immutable picture.
//
// 256 buckets that pictures share: a change copies one bucket and the list of them, not all keys.
// Layer: service. Thread: any, to read.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "service/api_keys/rate_meter.hpp"
#include "service/api_keys/record.hpp"

namespace sluice::api_keys {

struct IndexedKey {
  KeyRecord record;
  std::shared_ptr<RateMeter> meter;  // null without a rate; shared with the pictures before
};

class KeyIndex {
 public:
  KeyIndex() = default;
  // Of all these. Keys whose rate is as it was in `before` go on counting.
  KeyIndex(std::vector<KeyRecord> keys, const KeyIndex& before);
  // With this one added, or in the place of the one with the same hash.
  KeyIndex with(KeyRecord key) const;

  // Lives as long as the index. Allocates nothing. The hash is keyed, so that the time this takes
  // tells nothing; what is found is compared in constant time all the same.
  const IndexedKey* find(const KeyHash& hash) const;
  std::size_t size() const { return size_; }

  template <class Visit>
  void each(const Visit& visit) const {
    for (const auto& bucket : buckets_) {
      if (!bucket) continue;
      for (const Slot& slot : *bucket) visit(slot.key->record);
    }
  }

 private:
  struct Slot {
    std::uint64_t front;  // of the hash; in order
    std::shared_ptr<const IndexedKey> key;
  };
  using Bucket = std::vector<Slot>;
  static Slot slot_of(KeyRecord key, const KeyIndex& before);

  std::array<std::shared_ptr<const Bucket>, 256> buckets_;  // by the last byte of the hash
  std::size_t size_ = 0;
};

}  // namespace sluice::api_keys
