// base/cells.hpp - memory for many objects of one size, without a word of overhead for each.
//
// Layer: base. Thread: take() on one thread, give_back() on any.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <vector>

namespace sluice::base {

// Cells that were given back are used again, last in first out; the memory goes with the object,
// which must outlive what lies in its cells. AddressSanitizer sees who touches a free cell.
class Cells {
 public:
  // `bytes` of each: a multiple of 8, at least 8.
  explicit Cells(std::size_t bytes);
  ~Cells();
  Cells(const Cells&) = delete;
  Cells& operator=(const Cells&) = delete;

  void* take();  // std::bad_alloc when memory is out
  void give_back(void* cell) noexcept;

 private:
  struct Free {
    Free* next;
  };
  static constexpr std::size_t kSlabBytes = 16 * 1024;
  void add_slab();

  const std::size_t bytes_;
  Free* free_ = nullptr;
  std::byte* fresh_ = nullptr;  // what is left of the newest slab: not touched before it is needed
  std::byte* fresh_end_ = nullptr;
  std::vector<std::unique_ptr<std::byte[]>> slabs_;
  alignas(64) std::atomic<Free*> returned_{nullptr};
};

}  // namespace sluice::base
