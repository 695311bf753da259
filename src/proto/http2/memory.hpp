// proto/http2/memory.hpp - where the small pieces of sessions come from, and go back to.
//
// nghttp2 asks for a piece for each stream and each frame to send. Those that come back are kept
// and given out again, so that a steady load allocates nothing. Layer: proto. Thread: one; shared
// by all sessions of a shard.
#pragma once

#include <array>
#include <cstddef>

namespace sluice::http2 {

// Must outlive its sessions.
class Memory {
 public:
  // Keeps at most so many bytes that nobody uses.
  explicit Memory(std::size_t keep_bytes = std::size_t{1} << 20) : keep_bytes_(keep_bytes) {}
  ~Memory();
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  // Aligned for anything; null when memory is out.
  void* take(std::size_t bytes) noexcept;
  void* change(void* memory, std::size_t bytes) noexcept;  // as realloc(); may use the reserve
  void give_back(void* memory) noexcept;                   // null: nothing

  // A piece of kReserve bytes for change(), whose failure nghttp2 1.52 does not survive when a
  // stream is put into the queue of those that send, of up to 4,096 pointers. False: there is no
  // memory for it.
  bool stock() noexcept;

  std::size_t bytes_in_use() const { return in_use_; }  // with what is beside each piece
  std::size_t bytes_kept() const { return kept_; }

 private:
  // Pieces of 2^5 to 2^12 bytes with their head; larger ones are not kept.
  static constexpr std::size_t kSmallest = 5, kSizes = 8;
  struct alignas(std::max_align_t) Head {
    std::size_t bytes;  // with the head
    Head* next;
  };
  static constexpr std::size_t kReserve = 4096 * sizeof(void*) + sizeof(Head);
  static std::size_t shelf_of(std::size_t bytes);

  std::array<Head*, kSizes> shelves_{};
  Head* reserve_ = nullptr;
  const std::size_t keep_bytes_;
  std::size_t in_use_ = 0, kept_ = 0;
};

}  // namespace sluice::http2
