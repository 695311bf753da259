// io/uring/receive_ring.hpp - the blocks that the kernel may receive into: a ring of provided
// buffers.
//
// Each buffer is the memory of a pool's Block. A block comes back with a completion; when the
// handler has kept it, another takes its place. Posted and kept blocks together never exceed the
// limit. Where the kernel can (6.12), it fills a block piece by piece, so that many small messages
// lie side by side and few pages are touched. Layer: io. Thread: the shard's.
#pragma once

#include <liburing.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include <sluice/result.hpp>

#include "base/block.hpp"
#include "io/engine.hpp"
#include "io/kept_blocks.hpp"

namespace sluice::io {

class ReceiveRing {
 public:
  static constexpr int kGroup = 0;

  // `piecewise`: fill blocks piece by piece where the kernel can.
  ReceiveRing(base::BlockPool& pool, std::size_t block_bytes, std::size_t limit, bool piecewise);
  // After the ring is gone: the kernel must not write any more.
  ~ReceiveRing();
  ReceiveRing(const ReceiveRing&) = delete;
  ReceiveRing& operator=(const ReceiveRing&) = delete;

  Result<void> open(io_uring& ring);

  // Where the kernel has put the `size` bytes of a completion that carried buffer `id`.
  Received received(std::uint16_t id, std::size_t size) {
    const Slot& slot = slots_[id];
    return {slot.block, {slot.block->data() + slot.used, size}};
  }

  // Those bytes have been handled. Posts a block in place of one that is full.
  //
  // That is counted here: for a completion without bytes some kernels do not say that the buffer
  // is still theirs.
  void recycle(std::uint16_t id, std::size_t size) {
    base::Block* block = slots_[id].block;
    if (piecewise_) {
      slots_[id].used += std::uint32_t(size);
      if (slots_[id].used < block_bytes_) return;
    }
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

  bool piecewise() const { return piecewise_; }
  std::size_t posted() const { return posted_; }
  bool may_post_more() const { return posted_ + kept_.size() < limit_; }

 private:
  // Enough for most turns; what has run dry grows by half. All of them are written to in turn.
  static constexpr std::size_t kAtFirst = 64, kPiecewiseAtFirst = 4;
  struct Slot {
    base::Block* block = nullptr;  // null: nothing is posted here
    std::uint32_t used = 0;        // bytes that the kernel has filled
  };
  void stage(std::uint16_t id, base::Block* block) {
    slots_[id] = {block, 0};
    io_uring_buf_ring_add(buffers_, block->data(), std::uint32_t(block_bytes_), id, mask_,
                          staged_++);
  }
  void keep(std::uint16_t id, base::Block* block);
  void top_up();

  base::BlockPool& pool_;
  const std::size_t block_bytes_, limit_;
  bool piecewise_;
  std::size_t wanted_ = 0;  // blocks to have posted, while the limit allows
  std::size_t posted_ = 0;
  io_uring_buf_ring* buffers_ = nullptr;
  std::size_t mapped_ = 0;
  int mask_ = 0, staged_ = 0;
  std::vector<Slot> slots_;          // by buffer id
  std::vector<std::uint16_t> free_;  // ids without a block
  KeptBlocks kept_;
};

}  // namespace sluice::io
