// base/arena.cpp - the chunks.
#include "base/arena.hpp"

#include <algorithm>

namespace sluice::base {

void Arena::grow(std::size_t bytes) {
  std::size_t size = chunks_.empty() ? first_ : chunks_.back().size * 2;
  size = std::max(size, bytes);
  chunks_.push_back({std::unique_ptr<std::byte[]>(new std::byte[size]), size});
  at_ = chunks_.back().memory.get();
  left_ = whole_ = size;
}

void Arena::forget() {
  if (chunks_.size() > 1) {
    auto best = chunks_.end();
    for (auto chunk = chunks_.begin(); chunk != chunks_.end(); ++chunk) {
      if (chunk->size <= keep_ && (best == chunks_.end() || chunk->size > best->size)) best = chunk;
    }
    if (best == chunks_.end()) {
      chunks_.clear();
    } else {
      std::swap(*best, chunks_.front());
      chunks_.resize(1);
    }
  } else if (chunks_.front().size > keep_) {
    chunks_.clear();
  }
  at_ = chunks_.empty() ? nullptr : chunks_.front().memory.get();
  left_ = whole_ = chunks_.empty() ? 0 : chunks_.front().size;
}

}  // namespace sluice::base
