// core/scratch.hpp - where a shard writes what is to be sent.
//
// Answers and broadcast frames of one wake-up stand side by side in one block; connections keep
// parts of it. What stands next to what the same connection wrote before joins it in one run.
// Layer: core. Thread: shard.
#pragma once

#include <cstddef>

#include "base/block.hpp"

namespace sluice::core {

class Scratch {
 public:
  static constexpr std::size_t kBlock = 16384 - 64;  // with its header it fits its size class
  static constexpr std::size_t kLargest = 8192;      // more than this gets a block of its own

  explicit Scratch(base::BlockPool& pool) : pool_(pool) {}

  // Room for `bytes` (at most kLargest), valid until the next call. Null when memory is out.
  std::byte* reserve(std::size_t bytes) {
    if (!block_ || block_->capacity() - used_ < bytes) {
      block_ = pool_.take(kBlock);
      used_ = 0;
      if (!block_) return nullptr;
    }
    return block_->data() + used_;
  }
  // What was reserved last has been filled with `bytes`.
  void commit(std::size_t bytes) { used_ += bytes; }
  base::Block& block() { return *block_; }

  // Nobody else holds the block: start at its front again, while it is warm in the cache.
  void rewind() {
    if (block_ && block_->refs() == 1) used_ = 0;
  }
  void release() { block_.reset(); }

 private:
  base::BlockPool& pool_;
  base::BlockRef block_;
  std::size_t used_ = 0;
};

}  // namespace sluice::core
