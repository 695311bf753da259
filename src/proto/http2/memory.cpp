// proto/http2/memory.cpp - shelves by size, last in first out.
#include "proto/http2/memory.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>
#include <utility>

namespace sluice::http2 {

Memory::~Memory() {
  ::operator delete(reserve_);
  for (Head* head : shelves_) {
    while (head != nullptr) {
      Head* next = head->next;
      ::operator delete(head);
      head = next;
    }
  }
}

// kSizes: none.
std::size_t Memory::shelf_of(std::size_t bytes) {
  const auto bits = static_cast<std::size_t>(std::bit_width(bytes - 1));
  return std::min(bits < kSmallest ? 0 : bits - kSmallest, kSizes);
}

void* Memory::take(std::size_t bytes) noexcept {
  if (bytes > std::size_t{1} << 30) return nullptr;
  bytes += sizeof(Head);
  const std::size_t shelf = shelf_of(bytes);
  Head* head = shelf < kSizes ? shelves_[shelf] : nullptr;
  if (head != nullptr) {
    shelves_[shelf] = head->next;
    kept_ -= head->bytes;
  } else {
    if (shelf < kSizes) bytes = std::size_t{1} << (shelf + kSmallest);
    void* fresh = ::operator new(bytes, std::nothrow);
    if (fresh == nullptr) return nullptr;
    head = ::new (fresh) Head{bytes, nullptr};
  }
  in_use_ += head->bytes;
  return head + 1;
}

bool Memory::stock() noexcept {
  if (reserve_ == nullptr) {
    void* fresh = ::operator new(kReserve, std::nothrow);
    if (fresh != nullptr) reserve_ = ::new (fresh) Head{kReserve, nullptr};
  }
  return reserve_ != nullptr;
}

void* Memory::change(void* memory, std::size_t bytes) noexcept {
  const std::size_t before =
      memory == nullptr ? 0 : (static_cast<Head*>(memory) - 1)->bytes - sizeof(Head);
  if (memory != nullptr && bytes <= before && bytes > before / 4) return memory;
  void* other = take(bytes);
  if (other == nullptr) {
    if (reserve_ == nullptr || bytes + sizeof(Head) > kReserve) return nullptr;
    in_use_ += kReserve;
    other = std::exchange(reserve_, nullptr) + 1;
  }
  if (memory == nullptr) return other;
  std::memcpy(other, memory, std::min(before, bytes));
  give_back(memory);
  return other;
}

void Memory::give_back(void* memory) noexcept {
  if (memory == nullptr) return;
  Head* head = static_cast<Head*>(memory) - 1;
  in_use_ -= head->bytes;
  if (reserve_ == nullptr && head->bytes == kReserve) {
    reserve_ = head;
    return;
  }
  const std::size_t shelf = shelf_of(head->bytes);
  if (shelf < kSizes && kept_ + head->bytes <= keep_bytes_) {
    kept_ += head->bytes;
    head->next = shelves_[shelf];
    shelves_[shelf] = head;
  } else {
    ::operator delete(head);
  }
}

}  // namespace sluice::http2
