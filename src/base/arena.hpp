// base/arena.hpp - memory for one exchange, given back all at once.
//
// Layer: base. Thread: whoever holds the exchange; one at a time.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

namespace sluice::base {

// Hands out bytes that live until reset(). reset() keeps one chunk of up to `keep` bytes, so an
// arena that is used again for work of the same size allocates nothing.
class Arena {
 public:
  explicit Arena(std::size_t first = 2048, std::size_t keep = std::size_t{64} << 10)
      : first_(first), keep_(keep) {}

  // Aligned for anything. Throws std::bad_alloc when memory is out.
  void* allocate(std::size_t bytes) {
    bytes = (bytes + kAlign - 1) & ~(kAlign - 1);
    if (bytes > left_) grow(bytes);
    void* at = at_;
    at_ += bytes;
    left_ -= bytes;
    return at;
  }
  char* text(std::size_t bytes) { return static_cast<char*>(allocate(bytes)); }

  // A copy that lives until reset().
  std::string_view copy(std::string_view text) {
    if (text.empty()) return {};
    char* at = this->text(text.size());
    std::memcpy(at, text.data(), text.size());
    return {at, text.size()};
  }

  void reset() {
    if (left_ != whole_) forget();
  }

 private:
  static constexpr std::size_t kAlign = alignof(std::max_align_t);
  struct Chunk {
    std::unique_ptr<std::byte[]> memory;
    std::size_t size = 0;
  };
  void grow(std::size_t bytes);
  void forget();

  std::vector<Chunk> chunks_;
  std::byte* at_ = nullptr;
  std::size_t left_ = 0;
  std::size_t whole_ = 0;  // what left_ is when nothing has been handed out
  std::size_t first_, keep_;
};

}  // namespace sluice::base
