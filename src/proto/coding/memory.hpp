// proto/coding/memory.hpp - where the compressing libraries get their memory from.
//
// Layer: proto. No I/O. From operator new, so that what fails or counts allocations sees these,
// too. Nothing here throws: it is called from C.
#pragma once

#include <array>
#include <cstddef>

namespace sluice::coding {

// The memory of one encoder or decoder. Pinned: a library points to it.
class Memory {
 public:
  // Blocks that are given back stay for the next that are asked for, `keep` bytes of them at most:
  // for a library that can only be begun again by ending it.
  explicit Memory(std::size_t keep = 0) : keep_(keep) {}
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  // Everything has been given back.
  ~Memory();

  // Null when memory is out.
  void* take(std::size_t bytes) noexcept;
  void give_back(void* memory) noexcept;  // null: nothing
  // Gives back all that is in use, for a library that was left where it stood.
  void give_back_all() noexcept;

  // In use or kept.
  std::size_t bytes() const { return in_use_ + kept_bytes_; }

 private:
  struct Block;
  static constexpr std::size_t kMostKept = 24;  // blocks

  Block* first_ = nullptr;  // of those in use
  std::array<Block*, kMostKept> kept_{};
  std::size_t kept_count_ = 0, kept_bytes_ = 0, in_use_ = 0, keep_ = 0;
};

}  // namespace sluice::coding
