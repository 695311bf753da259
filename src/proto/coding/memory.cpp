// proto/coding/memory.cpp - where the compressing libraries get their memory from.
//
// Layer: proto. No I/O.
#include "proto/coding/memory.hpp"

#include <new>

#include "base/check.hpp"

namespace sluice::coding {

// Stands in front of what was asked for, and leaves it aligned for anything.
struct alignas(std::max_align_t) Memory::Block {
  std::size_t size;  // without this
  Block* next = nullptr;
  Block* before = nullptr;
};

Memory::~Memory() {
  SLUICE_CHECK(in_use_ == 0);
  while (kept_count_ > 0) ::operator delete(kept_[--kept_count_]);
}

void* Memory::take(std::size_t bytes) noexcept {
  // The smallest that is large enough, unless more than half of it would be left over.
  std::size_t best = kept_count_;
  for (std::size_t i = 0; i < kept_count_; ++i) {
    const std::size_t size = kept_[i]->size;
    if (size < bytes || size / 2 > bytes) continue;
    if (best == kept_count_ || size < kept_[best]->size) best = i;
  }
  Block* block = nullptr;
  if (best < kept_count_) {
    block = kept_[best];
    kept_[best] = kept_[--kept_count_];
    kept_bytes_ -= block->size;
  } else {
    if (bytes > static_cast<std::size_t>(-1) - sizeof(Block)) return nullptr;
    void* memory = ::operator new(bytes + sizeof(Block), std::nothrow);
    if (!memory) return nullptr;
    block = new (memory) Block{bytes};
  }
  in_use_ += block->size;
  block->before = nullptr;
  block->next = first_;
  if (first_) first_->before = block;
  first_ = block;
  return block + 1;
}

void Memory::give_back(void* memory) noexcept {
  if (!memory) return;
  Block* block = static_cast<Block*>(memory) - 1;
  in_use_ -= block->size;
  (block->before ? block->before->next : first_) = block->next;
  if (block->next) block->next->before = block->before;
  if (kept_count_ == kMostKept || block->size > keep_ - kept_bytes_) {
    ::operator delete(block);
    return;
  }
  kept_[kept_count_++] = block;
  kept_bytes_ += block->size;
}

void Memory::give_back_all() noexcept {
  while (first_) give_back(first_ + 1);
}

}  // namespace sluice::coding
