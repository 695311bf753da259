// io/unread.hpp - bytes that an engine holds for a socket: handed over at adoption, or received
// while it was paused.
//
// Layer: io. Thread: the shard's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "base/block.hpp"
#include "io/engine.hpp"

namespace sluice::io {

// Hangs at Socket::extra. The bytes are copies in blocks of their own size: what is held for a
// socket that nobody reads must not use up the blocks that the others receive into.
class Unread {
 public:
  // False when memory is out.
  [[nodiscard]] bool append(base::BlockPool& pool, Bytes bytes) {
    base::BlockRef block = pool.take(bytes.size());
    if (!block) return false;
    std::memcpy(block->data(), bytes.data(), bytes.size());
    pieces_.push_back({std::move(block), bytes.size()});
    return true;
  }

  bool empty() const { return next_ == pieces_.size(); }

  // The oldest piece, which is no longer held here.
  std::pair<base::BlockRef, std::size_t> take() {
    Piece& piece = pieces_[next_++];
    return {std::move(piece.block), piece.size};
  }

  // All that is left, in order. Lives as long as `storage` and this.
  Bytes gather(std::string& storage) const {
    if (pieces_.size() - next_ == 1) return {pieces_[next_].block->data(), pieces_[next_].size};
    for (std::size_t i = next_; i < pieces_.size(); ++i) {
      storage.append(pieces_[i].block->text(), pieces_[i].size);
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

inline Unread* unread_of(const Socket& socket) {
  return reinterpret_cast<Unread*>(std::uintptr_t(socket.extra));
}

// Adds to what is held for `socket`, making the holder when there is none. False when memory is
// out.
[[nodiscard]] inline bool hold_unread(Socket& socket, base::BlockPool& pool, Bytes bytes) {
  if (!socket.extra) socket.extra = reinterpret_cast<std::uintptr_t>(new Unread());
  return unread_of(socket)->append(pool, bytes);
}

inline void drop_unread(Socket& socket) {
  delete unread_of(socket);
  socket.extra = 0;
}

}  // namespace sluice::io
