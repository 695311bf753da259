// tests/core/encoder_pool_test.cpp - encoders of a shard, and coded forms that are kept.
#include "core/encoder_pool.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/coded_variants.hpp"

namespace sluice::core {
namespace {

using http::ContentCoding;

TEST(EncoderPool, HasABoundForThoseUnderWay) {
  EncoderPool pool;
  const std::size_t one = EncoderPool::bytes_of(ContentCoding::gzip);
  std::vector<std::unique_ptr<coding::Encoder>> taken;
  for (int i = 0; i < 3; ++i) taken.push_back(pool.take(ContentCoding::gzip, 3 * one));
  for (const auto& each : taken) EXPECT_TRUE(each);
  EXPECT_FALSE(pool.take(ContentCoding::gzip, 3 * one));
  EXPECT_FALSE(pool.take(ContentCoding::br, 3 * one));
  EXPECT_EQ(pool.bytes_in_use(), 3 * one);
  for (auto& each : taken) pool.give_back(ContentCoding::gzip, std::move(each));
  EXPECT_EQ(pool.bytes_in_use(), 0u);
}

TEST(EncoderPool, GivesThoseThatItHasKept) {
  EncoderPool pool;
  auto first = pool.take(ContentCoding::zstd, std::size_t{64} << 20);
  const coding::Encoder* const known = first.get();
  pool.give_back(ContentCoding::zstd, std::move(first));
  EXPECT_EQ(pool.take(ContentCoding::zstd, std::size_t{64} << 20).get(), known);
}

TEST(EncoderPool, TakesEnoughForEach) {
  EncoderPool pool;
  for (const ContentCoding coding : {ContentCoding::gzip, ContentCoding::br, ContentCoding::zstd}) {
    auto encoder = pool.take(coding, std::size_t{64} << 20);
    ASSERT_TRUE(encoder);
    const std::string text(1 << 20, 'x');
    std::vector<std::byte> room(64 << 10);
    encoder->encode(as_bytes(std::string_view(text)), coding::Encoder::Until::flushed, room);
    EXPECT_LE(encoder->memory(), EncoderPool::bytes_of(coding)) << http::coding_name(coding);
    pool.give_back(coding, std::move(encoder));
  }
}

TEST(CodedVariants, AreMadeByOneAndFoundByAll) {
  const auto budget = std::make_shared<VariantBudget>();
  CodedVariants variants;
  EXPECT_FALSE(variants.find(ContentCoding::br));
  EXPECT_TRUE(variants.claim(ContentCoding::br));
  EXPECT_FALSE(variants.claim(ContentCoding::br));
  EXPECT_TRUE(variants.claim(ContentCoding::gzip));
  variants.release(ContentCoding::br);
  EXPECT_TRUE(variants.claim(ContentCoding::br));
  variants.keep(ContentCoding::br, base::SharedBytes::own("coded"), budget, 100);
  EXPECT_EQ(as_text(variants.find(ContentCoding::br).bytes()), "coded");
  EXPECT_FALSE(variants.claim(ContentCoding::br));
}

TEST(CodedVariants, HaveABound) {
  const auto budget = std::make_shared<VariantBudget>();
  {
    CodedVariants variants, others;
    ASSERT_TRUE(variants.claim(ContentCoding::br));
    variants.keep(ContentCoding::br, base::SharedBytes::own(std::string(60, 'x')), budget, 100);
    ASSERT_TRUE(others.claim(ContentCoding::br));
    others.keep(ContentCoding::br, base::SharedBytes::own(std::string(41, 'x')), budget, 100);
    EXPECT_FALSE(others.find(ContentCoding::br));
    EXPECT_TRUE(others.claim(ContentCoding::br));
    others.keep(ContentCoding::br, base::SharedBytes::own(std::string(40, 'x')), budget, 100);
    EXPECT_TRUE(others.find(ContentCoding::br));
    EXPECT_EQ(budget->used(), 100u);
  }
  EXPECT_EQ(budget->used(), 0u);
}

}  // namespace
}  // namespace sluice::core
