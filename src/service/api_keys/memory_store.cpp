// service/api_keys/memory_store.cpp - see memory_store.hpp.
//
// Layer: service.
#include "service/api_keys/memory_store.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "crypto/digest.hpp"

namespace sluice::api_keys {

MemoryStore::MemoryStore(StoreLimits limits) : limits_(limits), secret_(32) {
  crypto::random_bytes(secret_.bytes());
}

Result<crypto::Secret> MemoryStore::secret() { return crypto::Secret(secret_.view()); }

std::vector<KeyRecord>::iterator MemoryStore::place_of(std::string_view id) {
  return std::find_if(keys_.begin(), keys_.end(),
                      [id](const KeyRecord& key) { return key.id == id; });
}

Result<bool> MemoryStore::make_room(Time now) {
  if (keys_.size() < limits_.keys) return false;
  std::vector<Time> ends;
  for (const KeyRecord& key : keys_) {
    if (key.ends() <= now) ends.push_back(key.ends());
  }
  if (ends.empty()) {
    return Error(Errc::too_many_keys, "all " + std::to_string(limits_.keys) + " keys are in use");
  }
  const std::size_t going = std::min(ends.size(), limits_.keys / 16 + 1);
  std::nth_element(ends.begin(), ends.begin() + std::ptrdiff_t(going - 1), ends.end());
  std::size_t gone = 0;
  std::erase_if(keys_, [&](const KeyRecord& key) {
    return key.ends() <= ends[going - 1] && gone < going && ++gone > 0;
  });
  return true;
}

void MemoryStore::note(AuditEntry entry) {
  audit_.push_back(std::move(entry));
  while (audit_.size() > limits_.audit) audit_.pop_front();
}

Result<bool> MemoryStore::add(const KeyRecord& key, const AuditEntry& entry) {
  for (const KeyRecord& other : keys_) {
    if (other.id == key.id || other.hash == key.hash) {
      return Error(Errc::invalid_argument, "there is a key with this id or this hash");
    }
  }
  auto room = make_room(entry.time);
  if (!room) return room;
  keys_.push_back(key);
  note(entry);
  return room;
}

Result<Store::Edited> MemoryStore::edit(std::string_view id, const Edit& edit, AuditEntry entry) {
  const auto place = place_of(id);
  if (place == keys_.end()) return Errc::no_such_key;
  Edited done;
  done.key = *place;
  if (auto judged = edit(done.key, done.replacement); !judged) return judged.error();
  if (done.replacement) {
    entry.detail = done.replacement->id;
    auto added = add(*done.replacement, entry);
    if (!added) return added.error();
    done.made_room = *added;
  } else {
    note(std::move(entry));
  }
  // Making room moved the others; a key that is replaced has not ended and is still there.
  if (const auto now = place_of(id); now != keys_.end()) *now = done.key;
  return done;
}

Result<std::vector<AuditEntry>> MemoryStore::audit(std::size_t most) {
  const std::size_t count = std::min(most, audit_.size());
  return std::vector<AuditEntry>(audit_.rbegin(), audit_.rbegin() + std::ptrdiff_t(count));
}

}  // namespace sluice::api_keys
