// core/encoder_pool.cpp - see encoder_pool.hpp.
#include "core/encoder_pool.hpp"

#include <utility>

namespace sluice::core {

std::size_t EncoderPool::bytes_of(http::ContentCoding coding) {
  constexpr std::size_t kKiB = 1024;
  switch (coding) {
    case http::ContentCoding::gzip:
      return 264 * kKiB;
    case http::ContentCoding::br:
      return 3200 * kKiB;
    case http::ContentCoding::zstd:
      return 1200 * kKiB;
    default:
      return 0;
  }
}

std::unique_ptr<coding::Encoder> EncoderPool::take(http::ContentCoding coding, std::size_t most) {
  const std::size_t bytes = bytes_of(coding);
  if (in_use_ + bytes > most) return nullptr;
  Shelf& shelf = shelves_[static_cast<std::size_t>(coding)];
  std::unique_ptr<coding::Encoder> taken =
      shelf.size > 0 ? std::move(shelf.encoders[--shelf.size]) : coding::Encoder::make(coding);
  if (taken) in_use_ += bytes;
  return taken;
}

void EncoderPool::give_back(http::ContentCoding coding,
                            std::unique_ptr<coding::Encoder> encoder) noexcept {
  in_use_ -= bytes_of(coding);
  Shelf& shelf = shelves_[static_cast<std::size_t>(coding)];
  if (shelf.size == kKept) return;
  encoder->reset();
  shelf.encoders[shelf.size++] = std::move(encoder);
}

}  // namespace sluice::core
