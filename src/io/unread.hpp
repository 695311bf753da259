// io/unread.hpp - bytes that an engine holds for a socket: handed over at adoption, or received
// while it was paused.
//
// Layer: io. Thread: the shard's.
#pragma once

#include <cstddef>
#include <cstring>
#include <new>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <sluice/bytes.hpp>

#include "base/block.hpp"

namespace sluice::io {

// Hangs at Activity::unread. The bytes are copies in blocks of their own size: what is held for a
// socket that nobody reads must not use up the blocks that the others receive into.
class Unread {
 public:
  // False when memory is out.
  [[nodiscard]] bool append(base::BlockPool& pool, Bytes bytes) {
    base::BlockRef block = pool.take(bytes.size());
    if (!block) return false;
    std::memcpy(block->data(), bytes.data(), bytes.size());
    try {
      pieces_.push_back({std::move(block), bytes.size()});
    } catch (const std::bad_alloc&) {
      return false;
    }
    return true;
  }

  bool empty() const { return next_ == pieces_.size(); }

  // The oldest piece, which is no longer held here.
  std::pair<base::BlockRef, std::size_t> take() {
    Piece& piece = pieces_[next_++];
    return {std::move(piece.block), piece.size};
  }

  // All that is left, in order. Lives as long as `storage` and this. Nothing when memory is out.
  std::optional<Bytes> gather(std::string& storage) const {
    if (pieces_.size() - next_ == 1) {
      return Bytes(pieces_[next_].block->data(), pieces_[next_].size);
    }
    try {
      for (std::size_t i = next_; i < pieces_.size(); ++i) {
        storage.append(pieces_[i].block->text(), pieces_[i].size);
      }
    } catch (const std::bad_alloc&) {
      return std::nullopt;
    }
    return as_bytes(storage);
  }

 private:
  struct Piece {
    base::BlockRef block;
    std::size_t size;
  };
  std::vector<Piece> pieces_;
  std::size_t next_ = 0;
};

}  // namespace sluice::io
