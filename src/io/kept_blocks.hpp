// io/kept_blocks.hpp - the receive blocks that handlers share and have not yet released.
//
// Layer: io. Thread: the shard's.
#pragma once

#include <algorithm>
#include <cstddef>
#include <new>
#include <utility>
#include <vector>

#include "base/block.hpp"

namespace sluice::io {

// Nobody says when a shared block is released, so the engine keeps one use of each and looks.
class KeptBlocks {
 public:
  // `unit`: the bytes of a usual block. A larger one counts as several.
  explicit KeptBlocks(std::size_t unit) : unit_(unit) {}

  std::size_t size() const { return size_; }

  void add(base::BlockRef block) {
    const std::size_t units = units_of(*block);
    try {
      blocks_.push_back(std::move(block));
    } catch (const std::bad_alloc&) {
      return;  // it is not counted, and goes back with its last user
    }
    size_ += units;
    work_ += 2;
  }

  // Gives back to the pool what has been released. Looks at a few blocks at a time, in proportion
  // to how many came, or at `all` of them when somebody is waiting for one.
  void reclaim(bool all) {
    std::size_t looks = all ? blocks_.size() : std::min(blocks_.size(), work_ + 4);
    work_ = 0;
    for (; looks > 0 && !blocks_.empty(); --looks) {
      if (at_ >= blocks_.size()) at_ = 0;
      if (blocks_[at_]->refs() > 1) {
        ++at_;
        continue;
      }
      size_ -= units_of(*blocks_[at_]);
      std::swap(blocks_[at_], blocks_.back());
      blocks_.pop_back();
    }
  }

 private:
  std::size_t units_of(const base::Block& block) const {
    return std::max<std::size_t>(1, block.capacity() / unit_);
  }

  const std::size_t unit_;
  std::size_t size_ = 0;
  std::vector<base::BlockRef> blocks_;
  std::size_t at_ = 0;    // where the next look goes
  std::size_t work_ = 0;  // looks owed
};

}  // namespace sluice::io
