// base/cells.cpp - slabs, a list of free cells, and a second list for those who give back.
#include "base/cells.hpp"

#if defined(__SANITIZE_ADDRESS__)
#define SLUICE_CELLS_POISON 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SLUICE_CELLS_POISON 1
#endif
#endif

#ifdef SLUICE_CELLS_POISON
#include <sanitizer/asan_interface.h>
#endif

namespace sluice::base {
namespace {

// The first word of a free cell is the list's.
#ifdef SLUICE_CELLS_POISON
void poison(void* cell, std::size_t bytes) {
  ASAN_POISON_MEMORY_REGION(static_cast<std::byte*>(cell) + sizeof(void*), bytes - sizeof(void*));
}
void unpoison(void* cell, std::size_t bytes) { ASAN_UNPOISON_MEMORY_REGION(cell, bytes); }
#else
void poison(void*, std::size_t) {}
void unpoison(void*, std::size_t) {}
#endif

}  // namespace

Cells::Cells(std::size_t bytes) : bytes_(bytes) {}

Cells::~Cells() {
  for (const auto& slab : slabs_) unpoison(slab.get(), kSlabBytes / bytes_ * bytes_);
}

void Cells::add_slab() {
  const std::size_t size = kSlabBytes / bytes_ * bytes_;
  slabs_.reserve(slabs_.size() == slabs_.capacity() ? 2 * slabs_.size() + 8 : 0);
  slabs_.push_back(std::make_unique_for_overwrite<std::byte[]>(size));
  fresh_ = slabs_.back().get();
  fresh_end_ = fresh_ + size;
}

void* Cells::take() {
  if (!free_) free_ = returned_.exchange(nullptr, std::memory_order_acquire);
  if (Free* cell = free_) {
    free_ = cell->next;
    unpoison(cell, bytes_);
    return cell;
  }
  if (fresh_ == fresh_end_) add_slab();
  std::byte* cell = fresh_;
  fresh_ += bytes_;
  return cell;
}

void Cells::give_back(void* memory) noexcept {
  auto* cell = static_cast<Free*>(memory);
  poison(cell, bytes_);
  Free* first = returned_.load(std::memory_order_relaxed);
  do {
    cell->next = first;
  } while (!returned_.compare_exchange_weak(first, cell, std::memory_order_release,
                                            std::memory_order_relaxed));
}

}  // namespace sluice::base
