// tests/proto/coding/allocation_test.cpp - memory is bounded, is not asked for twice, and may be
// refused anywhere.
//
// Layer: tests.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "proto/coding/memory.hpp"
#include "proto/coding/texts.hpp"
#include "support/new_hook.hpp"

namespace sluice::coding {
namespace {

using test::count_news;
using enum ContentCoding;

// A bomb whose bytes are not kept: `make` appends to it.
std::string bomb(ContentCoding coding, std::size_t megabytes) {
  auto encoder = Encoder::make(coding);
  const std::string zeros(1 << 20, '\0');
  std::string packed;
  for (std::size_t i = 0; i < megabytes; ++i) {
    EXPECT_EQ(encode(*encoder, zeros, Encoder::Until::taken, packed), Errc::none);
  }
  EXPECT_EQ(encode(*encoder, "", Encoder::Until::finished, packed), Errc::none);
  return packed;
}

TEST(CodingMemory, BombsEndAtTheLimitWithBoundedMemory) {
  struct Case {
    ContentCoding coding;
    std::size_t most;
  };
  for (const Case& c : {Case{gzip, 60'000}, Case{br, 1 << 20}, Case{zstd, 1 << 20}}) {
    SCOPED_TRACE(name_of(c.coding));
    const std::string packed = bomb(c.coding, 64);
    std::vector<std::byte> room(16384);
    for (const bool twice : {false, true}) {
      const std::string bytes = twice ? encoded(c.coding, packed) : packed;
      const std::vector<ContentCoding> codings(twice ? 2 : 1, c.coding);
      for (const DecoderLimits& limits :
           {DecoderLimits{2 << 20, 0, 0}, DecoderLimits{1 << 30, 200, 1 << 20}}) {
        const std::size_t before = test::live_bytes;
        auto decoder = Decoder::make(codings, limits);
        Bytes left = as_bytes(bytes);
        std::size_t made = 0, peak = 0;
        for (;;) {
          const auto step = decoder->decode(left, true, room);
          made += step.made;
          left = left.subspan(step.used);
          peak = std::max(peak, test::live_bytes - before);
          if (step.error != Errc::none) {
            EXPECT_EQ(step.error, Errc::http_coding_too_large);
            break;
          }
          ASSERT_FALSE(step.done);
        }
        EXPECT_LE(made, limits.bytes + 1);
        EXPECT_LE(made, std::size_t{200} * (packed.size() + 4096) + (2 << 20));
        EXPECT_LE(peak, (c.most + 20'000) * codings.size() + 16384);
        EXPECT_LE(decoder->memory(), peak);
        decoder.reset();
        EXPECT_EQ(test::live_bytes, before);
      }
    }
  }
}

// The greatest windows that are let in.
TEST(CodingMemory, WindowsAreBounded) {
  const std::string text = prose(1'000'000, 1);
  struct Case {
    ContentCoding coding;
    unsigned bits;
    std::size_t most;
  };
  for (const Case& c :
       {Case{gzip, 15, 48 << 10}, Case{br, 24, 17 << 20}, Case{zstd, 23, 9 << 20}}) {
    const std::string packed = encoded(c.coding, text, {EncoderOptions::kDefault, c.bits});
    auto decoder = Decoder::make(std::vector{c.coding}, {});
    EXPECT_EQ(decode(*decoder, packed, 5000, 5000), (Decoded{text, {}}));
    EXPECT_LE(decoder->memory(), c.most) << name_of(c.coding);
    EXPECT_GT(decoder->memory(), 30'000u) << name_of(c.coding);
  }
}

// What ADR 32 says of each encoder.
TEST(CodingMemory, WhatEncodersKeep) {
  const std::string text = prose(2'000'000, 2) + noise(1'000'000, 3);
  struct Case {
    ContentCoding coding;
    std::size_t most;  // KiB
  };
  for (const Case& c : {Case{gzip, 264}, Case{br, 3200}, Case{zstd, 1152}}) {
    const std::size_t before = test::live_bytes;
    for (const std::size_t piece : {9'999u, 1u << 22}) {
      auto encoder = Encoder::make(c.coding);
      std::string out;
      out.reserve(4'000'000);
      ASSERT_EQ(encode(*encoder, text, Encoder::Until::finished, out, piece, 4096), Errc::none);
      EXPECT_LE(encoder->memory(), c.most << 10) << name_of(c.coding) << ' ' << piece;
      EXPECT_LE(test::live_bytes - before - out.capacity(), encoder->memory() + 16384);
    }
  }
}

TEST(CodingMemory, TheNextContentAsksForNone) {
  const std::string text = prose(100'000, 4);
  for (const ContentCoding coding : kMade) {
    SCOPED_TRACE(name_of(coding));
    auto encoder = Encoder::make(coding);
    std::vector<std::byte> room(200'000);
    std::size_t size = 0;
    const auto code = [&] {
      encoder->reset();
      const auto step = encoder->encode(as_bytes(text), Encoder::Until::finished, room);
      if (!step.done) ADD_FAILURE();
      size = step.made;
    };
    code();
    code();
    EXPECT_EQ(count_news(code), 0u);

    auto decoder = Decoder::make(std::vector{coding}, {});
    const std::vector<std::byte> packed(room.begin(),
                                        room.begin() + static_cast<std::ptrdiff_t>(size));
    const auto undo = [&] {
      decoder->reset({});
      const auto step = decoder->decode(packed, true, room);
      if (!step.done || step.made != text.size()) ADD_FAILURE();
    };
    undo();
    undo();
    EXPECT_EQ(count_news(undo), 0u);
  }
}

// The Nth allocation fails, for every N: said, and nothing is lost. The next attempt goes well with
// the same object.
TEST(CodingMemory, EachAllocationMayFail) {
  const std::string text = prose(60'000, 5);
  std::vector<std::byte> room(100'000);
  for (const ContentCoding coding : kMade) {
    const std::string packed = encoded(coding, encoded(coding, text));
    for (const bool decodes : {false, true}) {
      SCOPED_TRACE(testing::Message() << name_of(coding) << ' ' << decodes);
      std::size_t failed = 0;
      for (std::size_t n = 1; n < 1000; ++n) {
        const std::size_t before = test::live_bytes;
        bool went_well = false;
        {
          std::unique_ptr<Encoder> encoder;
          std::unique_ptr<Decoder> decoder;
          const std::array codings = {coding, coding};
          test::fail_after = n;
          if (decodes) {
            decoder = Decoder::make(codings, {});
          } else {
            encoder = Encoder::make(coding);
          }
          for (int attempt = 0; (decoder || encoder) && attempt < 2; ++attempt) {
            bool done = false;
            Errc error = Errc::none;
            if (decodes) {
              const auto step = decoder->decode(as_bytes(packed), true, room);
              done = step.done, error = step.error;
            } else {
              const auto step = encoder->encode(as_bytes(text), Encoder::Until::finished, room);
              done = step.done, error = step.error;
            }
            if (attempt == 0) {
              went_well = done && test::fail_after != 0;
              EXPECT_EQ(error, done ? Errc::none : Errc::out_of_memory) << n;
            } else {
              EXPECT_TRUE(done && error == Errc::none) << n;
            }
            test::fail_after = 0;
            if (decoder) decoder->reset({});
            if (encoder) encoder->reset();
          }
          test::fail_after = 0;
        }
        EXPECT_EQ(test::live_bytes, before) << n;
        if (went_well) break;
        ++failed;
      }
      EXPECT_GT(failed, 2u);
      EXPECT_LT(failed, 900u);
    }
  }
}

TEST(CodingMemory, BlocksAreKeptAndGivenAgain) {
  const std::size_t before = test::live_bytes;
  {
    Memory memory(1000);
    void* first = memory.take(600);
    void* second = memory.take(300);
    void* third = memory.take(200);
    ASSERT_TRUE(first && second && third);
    EXPECT_EQ(memory.bytes(), 1100u);
    for (void* block : {first, second, third}) memory.give_back(block);
    memory.give_back(nullptr);
    EXPECT_EQ(memory.bytes(), 900u) << "the third is over 1,000";
    EXPECT_EQ(count_news([&] {
                EXPECT_EQ(memory.take(200), second) << "the smallest that is large enough";
                EXPECT_EQ(memory.take(600), first);
              }),
              0u);
    memory.give_back(first);
    void* small = nullptr;
    EXPECT_EQ(count_news([&] { small = memory.take(10); }), 1u) << "too much would be left over";
    EXPECT_EQ(memory.take(static_cast<std::size_t>(-1)), nullptr);
    ASSERT_TRUE(small);
    memory.give_back_all();
    EXPECT_EQ(memory.bytes(), 910u);
    EXPECT_EQ(count_news([&] { EXPECT_EQ(memory.take(10), small); }), 0u);
    memory.give_back(small);
  }
  EXPECT_EQ(test::live_bytes, before);
}

}  // namespace
}  // namespace sluice::coding
