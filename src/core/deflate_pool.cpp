// core/deflate_pool.cpp - see deflate_pool.hpp.
#include "core/deflate_pool.hpp"

#include <utility>

namespace sluice::core {

coding::Deflater* DeflateContexts::deflater_for(const coding::DeflateOptions& wanted) {
  if (!deflater || options != wanted) {
    deflater.reset();
    deflater = coding::Deflater::make(wanted);
    options = wanted;
  } else if (stale) {
    deflater->reset();
  }
  stale = false;
  return deflater.get();
}

coding::Deflater* DeflatePool::deflater(const coding::DeflateOptions& options) {
  Kept& kept = deflaters_[options.window_bits];
  if (kept.deflater && kept.options == options) {
    kept.deflater->reset();
  } else {
    kept.deflater.reset();
    kept.deflater = coding::Deflater::make(options);
    kept.options = options;
  }
  return kept.deflater.get();
}

std::unique_ptr<ws::MessageInflater> DeflatePool::take_inflater() {
  constexpr unsigned kAnyWindow = 15;
  if (idle_ == 0) return ws::MessageInflater::make(kAnyWindow);
  std::unique_ptr<ws::MessageInflater> taken = std::move(inflaters_[--idle_]);
  taken->reset();
  return taken;
}

void DeflatePool::give_back(std::unique_ptr<ws::MessageInflater> inflater) noexcept {
  if (idle_ < kIdle) inflaters_[idle_++] = std::move(inflater);
}

}  // namespace sluice::core
