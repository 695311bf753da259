// io/uring/receive_ring.hpp - the blocks that the kernel may receive into: a ring of provided
// buffers.
//
// Each buffer is the memory of a pool's Block. A block comes back with a completion; when the
// handler has kept it, another takes its place. Posted and kept blocks together never exceed the
// limit. Layer: io. Thread: the shard's.
#pragma once

#include <liburing.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include <sluice/result.hpp>

#include "base/block.hpp"
#include "io/kept_blocks.hpp"

namespace sluice::io {

class ReceiveRing {
 public:
  static constexpr int kGroup = 0;

  ReceiveRing(base::BlockPool& pool, std::size_t block_bytes, std::size_t limit);
  // After the ring is gone: the kernel must not write any more.
  ~ReceiveRing();
  ReceiveRing(const ReceiveRing&) = delete;
  ReceiveRing& operator=(const ReceiveRing&) = delete;

  Result<void> open(io_uring& ring);

  base::Block& block(std::uint16_t id) { return *slots_[id]; }

  // The completion that carried buffer `id` has been handled. Posts a block in its place.
  void recycle(std::uint16_t id) {
    base::Block* block = slots_[id];
    if (block->refs() == 1) [[likely]] {
      stage(id, block);
      return;
    }
    --posted_;
    keep(id, block);
  }

  // Nobody had a buffer for what arrived: post more from now on.
  void grow();
  // Looks for released blocks, at all of them when receives wait for one, and posts again what is
  // missing.
  void reclaim(bool all);
  // Makes what was posted visible to the kernel. Before each enter.
  void publish() {
    if (staged_ == 0) return;
    io_uring_buf_ring_advance(buffers_, staged_);
    staged_ = 0;
  }

  std::size_t posted() const { return posted_; }
  bool may_post_more() const { return posted_ + kept_.size() < limit_; }

 private:
  static constexpr std::size_t kAtFirst = 64;
  void stage(std::uint16_t id, base::Block* block) {
    io_uring_buf_ring_add(buffers_, block->data(), std::uint32_t(block_bytes_), id, mask_,
                          staged_++);
  }
  void keep(std::uint16_t id, base::Block* block);
  void top_up();

  base::BlockPool& pool_;
  const std::size_t block_bytes_, limit_;
  std::size_t wanted_;  // blocks to have posted, while the limit allows
  std::size_t posted_ = 0;
  io_uring_buf_ring* buffers_ = nullptr;
  std::size_t mapped_ = 0;
  int mask_ = 0, staged_ = 0;
  std::vector<base::Block*> slots_;  // by buffer id; null when nothing is posted there
  std::vector<std::uint16_t> free_;  // ids without a block
  KeptBlocks kept_;
};

}  // namespace sluice::io
