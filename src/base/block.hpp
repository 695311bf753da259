// base/block.hpp - pooled, reference-counted memory of one shard.
//
// Layer: base. Thread: everything here belongs to one shard; nothing is atomic.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace sluice::base {

class BlockPool;

// A run of raw memory with a count of its users. Made and taken back by a BlockPool only.
class Block {
 public:
  std::byte* data() { return reinterpret_cast<std::byte*>(this + 1); }
  char* text() { return reinterpret_cast<char*>(this + 1); }
  std::uint32_t capacity() const { return capacity_; }
  std::uint32_t refs() const { return refs_; }

  void retain() { ++refs_; }
  void release();

 private:
  friend class BlockPool;
  BlockPool* pool_ = nullptr;
  Block* next_ = nullptr;
  std::uint32_t refs_ = 0;
  std::uint32_t capacity_ = 0;
  std::uint8_t size_class_ = 0;
  [[maybe_unused]] std::uint8_t padding_[7] = {};
};

// Keeps one use of a block. Copying is a second use; shard only.
class BlockRef {
 public:
  BlockRef() = default;
  explicit BlockRef(Block* adopted) : block_(adopted) {}  // takes over one use
  BlockRef(const BlockRef& other) : block_(other.block_) {
    if (block_) block_->retain();
  }
  BlockRef(BlockRef&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  BlockRef& operator=(BlockRef other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~BlockRef() {
    if (block_) block_->release();
  }
  static BlockRef share(Block& block) {
    block.retain();
    return BlockRef(&block);
  }

  void reset() { *this = BlockRef(); }
  Block* get() const { return block_; }
  Block* operator->() const { return block_; }
  Block& operator*() const { return *block_; }
  explicit operator bool() const { return block_ != nullptr; }
  Block* leave() { return std::exchange(block_, nullptr); }

 private:
  Block* block_ = nullptr;
};

// Blocks by size class, powers of two from 1 KiB to 1 MiB; larger ones go to the system each time.
//
// Idle blocks are kept up to `keep_bytes` for each class and handed out last in, first out, so that
// a steady load allocates nothing. The pool must outlive its blocks.
class BlockPool {
 public:
  explicit BlockPool(std::size_t keep_bytes = std::size_t{4} << 20) : keep_bytes_(keep_bytes) {}
  ~BlockPool();
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;

  // A block of at least `bytes`, with one use, or an empty reference when memory is out.
  BlockRef take(std::size_t bytes);

  std::size_t bytes_in_use() const { return in_use_; }  // capacity of all blocks handed out
  std::size_t blocks_in_use() const { return blocks_; }

 private:
  friend class Block;
  static constexpr std::size_t kSmallest = 10, kClasses = 11;  // 2^10 .. 2^20
  void give_back(Block* block);

  struct Shelf {
    Block* first = nullptr;
    std::size_t bytes = 0;
  };
  std::array<Shelf, kClasses> shelves_{};
  std::size_t keep_bytes_, in_use_ = 0, blocks_ = 0;
};

inline void Block::release() {
  if (--refs_ == 0) pool_->give_back(this);
}

}  // namespace sluice::base
