// service/api_keys/store.hpp - where records of API keys are kept: memory, SQLite, or your own.
//
// Layer: service. Thread: one at a time; the manager sees to that. Every call may wait for a disk.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include <sluice/result.hpp>

#include "crypto/secret.hpp"
#include "service/api_keys/record.hpp"

namespace sluice::api_keys {

struct StoreLimits {
  std::size_t keys = 100'000;  // also those that have ended; see Store::add
  std::size_t audit = 10'000;  // entries; the newest are kept
};

// A change is done when its call returns: whole, and so that neither a killed process nor a machine
// that loses power undoes it; or it failed, and nothing is changed. Errors carry words for the
// operator that name the file and what to do, and never a key or a hash.
class Store {
 public:
  virtual ~Store() = default;

  // What keys are hashed with: the same for as long as the records live. At least 32 bytes.
  virtual Result<crypto::Secret> secret() = 0;

  // A new record. When there are StoreLimits::keys, those that ended longest before entry.time
  // make room, a sixteenth of the limit at once; the answer is whether any did. Errors:
  // invalid_argument (the id or the hash is there), too_many_keys (none has ended), those of the
  // store.
  virtual Result<bool> add(const KeyRecord& key, const AuditEntry& entry) = 0;

  // Reads the record, lets `edit` judge and change it, and writes it, with the replacement if there
  // is one now; nobody else changes it meanwhile. `edit` leaves id and hash alone; when it refuses,
  // its error is the answer. Errors: no_such_key, those of add().
  using Edit = std::function<Result<void>(KeyRecord& key, std::optional<KeyRecord>& replacement)>;
  struct Edited {
    KeyRecord key;
    std::optional<KeyRecord> replacement;
    bool made_room = false;
  };
  virtual Result<Edited> edit(std::string_view id, const Edit& edit, AuditEntry entry) = 0;

  // Every record, in the order in which they were added.
  virtual Result<std::vector<KeyRecord>> all() = 0;
  // The newest entries, the newest first.
  virtual Result<std::vector<AuditEntry>> audit(std::size_t most) = 0;

  // A number that is another one after somebody else has changed something: another process, or
  // another object. One's own changes need not count. Cheap: it is asked again and again.
  virtual Result<std::uint64_t> version() = 0;
};

}  // namespace sluice::api_keys
