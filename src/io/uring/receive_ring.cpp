// io/uring/receive_ring.cpp - posting, keeping and replacing receive blocks.
#include "io/uring/receive_ring.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include "io/failure.hpp"

namespace sluice::io {

namespace {

constexpr std::uint16_t kIncremental = 2;  // IOU_PBUF_RING_INC, since 6.12

// Newer than liburing 2.3, whose header calls the flags padding; later ones give them their name.
void set_flags(io_uring_buf_reg& registration, std::uint16_t flags) {
  constexpr std::size_t place = offsetof(io_uring_buf_reg, bgid) + sizeof registration.bgid;
  std::memcpy(reinterpret_cast<char*>(&registration) + place, &flags, sizeof flags);
}

}  // namespace

ReceiveRing::ReceiveRing(base::BlockPool& pool, std::size_t block_bytes, std::size_t limit,
                         bool piecewise)
    : pool_(pool),
      block_bytes_(block_bytes),
      limit_(std::clamp<std::size_t>(limit, 1, 32768)),
      piecewise_(piecewise),
      kept_(block_bytes) {}

ReceiveRing::~ReceiveRing() {
  for (const Slot& slot : slots_) {
    if (slot.block) slot.block->release();
  }
  if (buffers_) ::munmap(buffers_, mapped_);
}

Result<void> ReceiveRing::open(io_uring& ring) {
  auto entries = std::uint32_t(std::bit_ceil(limit_));
  mapped_ = entries * sizeof(io_uring_buf);
  void* memory =
      ::mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
  if (memory == MAP_FAILED) return Error(Errc::out_of_memory, "memory for the buffer ring");
  buffers_ = static_cast<io_uring_buf_ring*>(memory);
  io_uring_buf_reg registration{};
  registration.ring_addr = reinterpret_cast<std::uintptr_t>(memory);
  registration.ring_entries = entries;
  registration.bgid = kGroup;
  int failed = -EINVAL;
  if (piecewise_) {
    set_flags(registration, kIncremental);
    failed = ::io_uring_register_buf_ring(&ring, &registration, 0);
  }
  if (failed == -EINVAL) {
    piecewise_ = false;
    set_flags(registration, 0);
    failed = ::io_uring_register_buf_ring(&ring, &registration, 0);
  }
  if (failed < 0) {
    return system_error("registering the buffer ring", -failed);
  }
  io_uring_buf_ring_init(buffers_);
  mask_ = io_uring_buf_ring_mask(entries);
  slots_.assign(limit_, {});
  for (std::size_t id = limit_; id > 0; --id) free_.push_back(std::uint16_t(id - 1));
  wanted_ = std::min(limit_, piecewise_ ? kPiecewiseAtFirst : kAtFirst);
  top_up();
  return {};
}

void ReceiveRing::keep(std::uint16_t id, base::Block* block) {
  kept_.add(base::BlockRef(block));
  slots_[id] = {};
  free_.push_back(id);
  top_up();
}

void ReceiveRing::grow() {
  wanted_ = std::min(limit_, wanted_ + std::max<std::size_t>(1, wanted_ / 8));
  top_up();
}

void ReceiveRing::reclaim(bool all) {
  kept_.reclaim(all);
  if (posted_ < wanted_) top_up();
}

void ReceiveRing::top_up() {
  while (posted_ < wanted_ && may_post_more()) {
    base::BlockRef block = pool_.take(block_bytes_);
    if (!block) return;
    std::uint16_t id = free_.back();
    free_.pop_back();
    ++posted_;
    stage(id, block.leave());
  }
}

}  // namespace sluice::io
