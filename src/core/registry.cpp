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
    entries_.push_back(kFree);
  } else {
    slot = free_.back();
    free_.pop_back();
  }
  connection.slot = slot;
  connection.generation = std::uint32_t(entries_[slot] >> 1) + 1;
  entries_[slot] = reinterpret_cast<std::uint64_t>(&connection);
  ++count_;
}

void Registry::remove(Connection& connection) {
  std::lock_guard lock(mutex_);
  entries_[connection.slot] = std::uint64_t{connection.generation} << 1 | kFree;
  free_.push_back(connection.slot);
  --count_;
}

sluice::Connection Registry::find(std::uint32_t slot, std::uint32_t generation) {
  std::lock_guard lock(mutex_);
  Connection* connection = slot < entries_.size() ? in(entries_[slot]) : nullptr;
  if (!connection || connection->generation != generation) return {};
  return connection->handle();
}

void Registry::snapshot(std::vector<sluice::Connection>& out) {
  std::lock_guard lock(mutex_);
  for (std::uint64_t entry : entries_) {
    Connection* connection = in(entry);
    if (connection && connection->is_websocket()) out.push_back(connection->handle());
  }
}

}  // namespace sluice::core
