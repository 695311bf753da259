// base/block.cpp - the shelves of idle blocks.
#include "base/block.hpp"

#include <bit>
#include <new>

#include "base/check.hpp"

#if defined(__SANITIZE_ADDRESS__)
#define SLUICE_POISON 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SLUICE_POISON 1
#endif
#endif
#ifdef SLUICE_POISON
#include <sanitizer/asan_interface.h>
#endif

namespace sluice::base {
namespace {

// An idle block's bytes are nobody's: under AddressSanitizer a read or write of them is reported.
void hide([[maybe_unused]] void* bytes, [[maybe_unused]] std::size_t count) {
#ifdef SLUICE_POISON
  ASAN_POISON_MEMORY_REGION(bytes, count);
#endif
}

void show([[maybe_unused]] void* bytes, [[maybe_unused]] std::size_t count) {
#ifdef SLUICE_POISON
  ASAN_UNPOISON_MEMORY_REGION(bytes, count);
#endif
}

}  // namespace

BlockPool::~BlockPool() {
  SLUICE_CHECK(blocks_ == 0);
  for (Shelf& shelf : shelves_) {
    while (Block* block = shelf.first) {
      shelf.first = block->next_;
      show(block->data(), block->capacity_);
      ::operator delete(block);
    }
  }
}

BlockRef BlockPool::take(std::size_t bytes) {
  std::size_t exponent = kSmallest;
  if (bytes > (std::size_t{1} << kSmallest)) exponent = std::size_t(std::bit_width(bytes - 1));
  std::size_t size_class = exponent - kSmallest;
  Block* block = nullptr;
  if (size_class < kClasses && shelves_[size_class].first) {
    Shelf& shelf = shelves_[size_class];
    block = shelf.first;
    shelf.first = block->next_;
    shelf.bytes -= block->capacity_;
    show(block->data(), block->capacity_);
  } else {
    std::size_t capacity = size_class < kClasses ? std::size_t{1} << exponent : bytes;
    if (capacity > 0xffffffffu) return {};
    void* memory = ::operator new(sizeof(Block) + capacity, std::nothrow);
    if (!memory) return {};
    block = new (memory) Block();
    block->pool_ = this;
    block->capacity_ = std::uint32_t(capacity);
    block->size_class_ = std::uint8_t(size_class < kClasses ? size_class : kClasses);
  }
  block->next_ = nullptr;
  block->refs_ = 1;
  in_use_ += block->capacity_;
  ++blocks_;
  return BlockRef(block);
}

void BlockPool::give_back(Block* block) {
  in_use_ -= block->capacity_;
  --blocks_;
  if (block->size_class_ < kClasses) {
    Shelf& shelf = shelves_[block->size_class_];
    if (shelf.bytes + block->capacity_ <= keep_bytes_) {
      block->next_ = shelf.first;
      shelf.first = block;
      shelf.bytes += block->capacity_;
      hide(block->data(), block->capacity_);
      return;
    }
  }
  ::operator delete(block);
}

}  // namespace sluice::base
