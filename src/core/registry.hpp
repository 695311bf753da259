// core/registry.hpp - the connections of one shard, by slot.
//
// Layer: core. Thread: add and remove on the shard, the rest on any; one short lock.
#pragma once

#include <cstdint>
#include <mutex>
#include <vector>

#include <sluice/connection.hpp>

namespace sluice::core {

class Connection;

class Registry {
 public:
  Registry() {
    entries_.reserve(kExpected);
    free_.reserve(kExpected);
  }
  // Sets the connection's slot and generation.
  void add(Connection& connection);
  void remove(Connection& connection);

  // A handle, or an empty one when the slot holds somebody else by now.
  sluice::Connection find(std::uint32_t slot, std::uint32_t generation);
  // Appends a handle of each open WebSocket.
  void snapshot(std::vector<sluice::Connection>& out);

  // Shard only: calls `each(Connection&)`; it must not add or remove.
  template <class F>
  void for_each(F&& each) {
    for (std::uint64_t entry : entries_) {
      if (Connection* connection = in(entry)) each(*connection);
    }
  }
  std::size_t size() const { return count_; }  // shard only
  // Shard only: slots are numbered from 0; null where nobody is, also behind the last.
  std::uint32_t slots() const { return std::uint32_t(entries_.size()); }
  Connection* at(std::uint32_t slot) const { return slot < slots() ? in(entries_[slot]) : nullptr; }

 private:
  // A connection, or with the lowest bit set the generation of the last one that was here.
  static constexpr std::uint64_t kFree = 1;
  static Connection* in(std::uint64_t entry) {
    return entry & kFree ? nullptr : reinterpret_cast<Connection*>(entry);
  }
  // Room for so many is set apart: pages that nobody touches cost nothing, growing leaves holes.
  static constexpr std::size_t kExpected = 65536;
  std::mutex mutex_;
  std::vector<std::uint64_t> entries_;
  std::vector<std::uint32_t> free_;
  std::size_t count_ = 0;
};

}  // namespace sluice::core
