// service/api_keys/memory_store.hpp - records that go with the process.
//
// Layer: service. Thread: one at a time.
#pragma once

#include <deque>
#include <map>
#include <string>

#include "service/api_keys/store.hpp"

namespace sluice::api_keys {

class MemoryStore final : public Store {
 public:
  explicit MemoryStore(StoreLimits limits = {});

  Result<crypto::Secret> secret() override;
  Result<bool> add(const KeyRecord& key, const AuditEntry& entry) override;
  Result<Edited> edit(std::string_view id, const Edit& edit, AuditEntry entry) override;
  Result<std::vector<KeyRecord>> all() override { return keys_; }
  Result<std::vector<AuditEntry>> audit(std::size_t most) override;
  Result<std::uint64_t> version() override { return 0; }

 private:
  Result<bool> make_room(Time now);
  void note(AuditEntry entry);
  std::vector<KeyRecord>::iterator place_of(std::string_view id);

  const StoreLimits limits_;
  crypto::Secret secret_;
  std::vector<KeyRecord> keys_;
  std::deque<AuditEntry> audit_;
};

}  // namespace sluice::api_keys
