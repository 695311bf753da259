// core/encoder_pool.hpp - what codes the answers of a shard.
//
// An answer has an encoder while it is under way; between two of the same kind it is kept, so that
// the next asks for no memory. Layer: core. Thread: shard.
#pragma once

#include <array>
#include <cstddef>
#include <memory>

#include "core/coded_variants.hpp"
#include "proto/coding/encoder.hpp"

namespace sluice::core {

class EncoderPool {
 public:
  // About what one takes while it is in use (ADR 32).
  static std::size_t bytes_of(http::ContentCoding coding);

  // Null: those under way would take more than `most` with it, or memory is out.
  std::unique_ptr<coding::Encoder> take(http::ContentCoding coding, std::size_t most);
  // Keeps two of each kind.
  void give_back(http::ContentCoding coding, std::unique_ptr<coding::Encoder> encoder) noexcept;

  std::size_t bytes_in_use() const { return in_use_; }
  // Of coded forms that this shard has made.
  const std::shared_ptr<VariantBudget>& variants() const { return variants_; }

 private:
  static constexpr std::size_t kKept = 2;
  struct Shelf {
    std::array<std::unique_ptr<coding::Encoder>, kKept> encoders;
    std::size_t size = 0;
  };
  std::array<Shelf, http::kContentCodings> shelves_;
  std::size_t in_use_ = 0;
  std::shared_ptr<VariantBudget> variants_ = std::make_shared<VariantBudget>();
};

}  // namespace sluice::core
