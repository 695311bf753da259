// core/registry.cpp - slots are used again, generations are not.
#include "core/registry.hpp"

#include "core/connection.hpp"

namespace sluice::core {

void Registry::add(Connection& connection) {
  std::lock_guard lock(mutex_);
  std::uint32_t slot = 0;
  if (free_.empty()) {
    slot = std::uint32_t(entries_.size());
    free_.reserve(entries_.size() == entries_.capacity() ? 2 * entries_.size() + 1
                                                         : entries_.capacity());
    entries_.emplace_back();
  } else {
    slot = free_.back();
    free_.pop_back();
  }
  entries_[slot].connection = &connection;
  connection.slot = slot;
  connection.generation = ++entries_[slot].generation;
  ++count_;
}

void Registry::remove(Connection& connection) {
  std::lock_guard lock(mutex_);
  entries_[connection.slot].connection = nullptr;
  free_.push_back(connection.slot);
  --count_;
}

sluice::Connection Registry::find(std::uint32_t slot, std::uint32_t generation) {
  std::lock_guard lock(mutex_);
  if (slot >= entries_.size() || entries_[slot].generation != generation ||
      !entries_[slot].connection) {
    return {};
  }
  return entries_[slot].connection->handle();
}

void Registry::snapshot(std::vector<sluice::Connection>& out) {
  std::lock_guard lock(mutex_);
  for (Entry& entry : entries_) {
    if (entry.connection && entry.connection->is_websocket()) {
      out.push_back(entry.connection->handle());
    }
  }
}

}  // namespace sluice::core
