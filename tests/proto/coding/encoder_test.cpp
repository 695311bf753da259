// tests/proto/coding/encoder_test.cpp - what is coded comes back: every piece, every room, flushed.
//
// RFC 1952, 7932, 8878 and 9659. Layer: tests.
#include "proto/coding/encoder.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "proto/coding/texts.hpp"

namespace sluice::coding {
namespace {

using Until = Encoder::Until;

TEST(Encoders, EveryCodingLevelAndWindow) {
  const std::string text = prose(70'000, 1);
  const std::string random = noise(5'000, 2);
  struct Case {
    ContentCoding coding;
    std::vector<int> levels;
    std::vector<unsigned> windows;
  };
  const Case cases[] = {
      {ContentCoding::gzip, {1, 2, 3, 4, 5, 6, 7, 8, 9}, {9, 12, 15}},
      {ContentCoding::br, {0, 1, 2, 3, 4, 5, 6, 9, 11}, {10, 17, 24}},
      {ContentCoding::zstd, {1, 2, 3, 4, 5, 9, 12, 19}, {10, 17, 23}},
  };
  for (const Case& c : cases) {
    for (const int level : c.levels) {
      for (const unsigned window : c.windows) {
        SCOPED_TRACE(testing::Message() << name_of(c.coding) << ' ' << level << ' ' << window);
        const std::string packed = encoded(c.coding, text, {level, window});
        EXPECT_LT(packed.size() * 2, text.size());
        EXPECT_EQ(decoded({c.coding}, packed), (Decoded{text, {}}));
        EXPECT_EQ(decoded({c.coding}, encoded(c.coding, random, {level, window})),
                  (Decoded{random, {}}));
      }
    }
  }
}

TEST(Encoders, WhatCanBeMade) {
  const auto can = [](ContentCoding coding, int level, unsigned bits) {
    return Encoder::can_make(coding, {level, bits});
  };
  constexpr int kDefault = EncoderOptions::kDefault;
  for (const ContentCoding coding : kMade) EXPECT_TRUE(Encoder::can_make(coding, {}));
  EXPECT_FALSE(Encoder::can_make(ContentCoding::identity, {}));
  EXPECT_FALSE(Encoder::can_make(ContentCoding::deflate, {}));
  for (const int level : {0, 10, -2}) EXPECT_FALSE(can(ContentCoding::gzip, level, 0)) << level;
  for (const int level : {12, -2}) EXPECT_FALSE(can(ContentCoding::br, level, 0)) << level;
  for (const int level : {0, 20, -2}) EXPECT_FALSE(can(ContentCoding::zstd, level, 0)) << level;
  for (const unsigned bits : {8u, 16u}) EXPECT_FALSE(can(ContentCoding::gzip, kDefault, bits));
  for (const unsigned bits : {9u, 25u}) EXPECT_FALSE(can(ContentCoding::br, kDefault, bits));
  for (const unsigned bits : {9u, 24u}) EXPECT_FALSE(can(ContentCoding::zstd, kDefault, bits));
  EXPECT_TRUE(can(ContentCoding::zstd, 19, 23));
}

TEST(Encoders, EveryPieceAndRoom) {
  for (const ContentCoding coding : kMade) {
    for (const std::string& text : {prose(3000, 3), noise(700, 4), std::string(), std::string("x"),
                                    std::string(40'000, 'a')}) {
      auto encoder = Encoder::make(coding);
      for (const std::size_t in : {1u, 2u, 7u, 64u, 999u, 1u << 20}) {
        for (const std::size_t out : {1u, 2u, 5u, 6u, 63u, 64u, 65u, 4096u}) {
          SCOPED_TRACE(testing::Message()
                       << name_of(coding) << ' ' << text.size() << ' ' << in << ' ' << out);
          std::string packed;
          ASSERT_EQ(encode(*encoder, text, Until::finished, packed, in, out), Errc::none);
          ASSERT_EQ(decoded({coding}, packed), (Decoded{text, {}}));
          encoder->reset();
        }
      }
    }
  }
}

// What has been flushed can be decoded without what follows; a flush of nothing new costs nothing.
TEST(Encoders, FlushedIsReadable) {
  for (const ContentCoding coding : kMade) {
    for (const std::size_t out : {1u, 4u, 5u, 6u, 7u, 63u, 64u, 65u, 4096u}) {
      SCOPED_TRACE(testing::Message() << name_of(coding) << ' ' << out);
      auto encoder = Encoder::make(coding);
      auto decoder = Decoder::make(std::vector{coding}, {});
      std::string got, all;
      std::vector<std::byte> room(1 << 16);
      for (unsigned i = 0; i < 12; ++i) {
        const std::string text = i % 4 == 3 ? noise(i * 57, i) : prose(i * i * 31, i);
        std::string packed;
        ASSERT_EQ(encode(*encoder, text, Until::flushed, packed, 100, out), Errc::none);
        all += text;
        const auto step = decoder->decode(as_bytes(packed), false, room);
        ASSERT_EQ(step.error, Errc::none);
        ASSERT_TRUE(step.done);
        got += as_text(Bytes(room).first(step.made));
        ASSERT_EQ(got, all) << i;
        std::string again;
        ASSERT_EQ(encode(*encoder, "", Until::flushed, again, 1, out), Errc::none);
        if (i > 0) {
          EXPECT_EQ(again, "") << i;
        }
        if (out < 64) {
          EXPECT_LE(packed.size(), text.size() + 128) << "marks without end";
        }
        ASSERT_EQ(decoder->decode(as_bytes(again), false, room).error, Errc::none);
      }
      std::string end;
      ASSERT_EQ(encode(*encoder, "", Until::finished, end, 1, out), Errc::none);
      EXPECT_EQ(decode(*decoder, end), (Decoded{}));
    }
  }
}

// The libraries take other ways at other levels.
TEST(Encoders, FlushedIsReadableAtEveryLevel) {
  std::vector<std::byte> room(1 << 16);
  for (const ContentCoding coding : kMade) {
    for (int level = coding == ContentCoding::br ? 0 : 1; level <= 19; ++level) {
      if (!Encoder::can_make(coding, {level, 0})) break;
      SCOPED_TRACE(testing::Message() << name_of(coding) << ' ' << level);
      for (const std::size_t out : {1u, 4096u}) {
        auto encoder = Encoder::make(coding, {level, 0});
        auto decoder = Decoder::make(std::vector{coding}, {});
        for (unsigned i = 0; i < 5; ++i) {
          const std::string text = i == 3 ? noise(171, i) : prose(i * i * 131, i);
          std::string packed, again;
          ASSERT_EQ(encode(*encoder, text, Until::flushed, packed, 100, out), Errc::none);
          ASSERT_EQ(encode(*encoder, "", Until::flushed, again, 1, out), Errc::none);
          EXPECT_EQ(again, "") << i;
          const auto step = decoder->decode(as_bytes(packed), false, room);
          ASSERT_TRUE(step.done && step.error == Errc::none) << i;
          EXPECT_EQ(as_text(Bytes(room).first(step.made)), text) << i;
        }
      }
    }
  }
}

TEST(Encoders, AfterTheEndNothingComes) {
  for (const ContentCoding coding : kMade) {
    auto encoder = Encoder::make(coding);
    std::string packed, more;
    ASSERT_EQ(encode(*encoder, "text", Until::finished, packed), Errc::none);
    ASSERT_EQ(encode(*encoder, "", Until::finished, more), Errc::none);
    EXPECT_EQ(more, "") << name_of(coding);
    // Nor of what is given nevertheless.
    std::vector<std::byte> room(100);
    const auto step = encoder->encode(as_bytes(std::string_view("more")), Until::finished, room);
    EXPECT_TRUE(step.done && step.used == 0 && step.made == 0) << name_of(coding);
    EXPECT_EQ(step.error, Errc::none) << name_of(coding);
  }
}

// Equal contents are equal bytes, also out of an encoder that has coded, or begun, something else.
TEST(Encoders, ResetForgets) {
  const std::string text = prose(20'000, 5);
  for (const ContentCoding coding : kMade) {
    SCOPED_TRACE(name_of(coding));
    const std::string packed = encoded(coding, text);
    auto encoder = Encoder::make(coding);
    for (const Until until : {Until::taken, Until::flushed, Until::finished}) {
      std::string other, same;
      ASSERT_EQ(encode(*encoder, prose(9'000, 6), until, other, 1000, 100), Errc::none);
      encoder->reset();
      ASSERT_EQ(encode(*encoder, text, Until::finished, same), Errc::none);
      EXPECT_EQ(same, packed);
      encoder->reset();
      encoder->reset();
    }
  }
}

TEST(Encoders, GzipSaysNothingOfTime) {
  const std::string packed = encoded(ContentCoding::gzip, "Hello");
  EXPECT_EQ(packed.substr(0, 9), std::string("\x1f\x8b\x08\0\0\0\0\0\0", 9));
}

// RFC 9659: what is sent must be readable with a window of 8 MiB. The frame's head says it (RFC
// 8878 section 3.1.1.1.2).
TEST(Encoders, WindowsOfZstd) {
  for (const unsigned bits : {10u, 17u, 23u}) {
    auto encoder = Encoder::make(ContentCoding::zstd, {3, bits});
    std::string packed;
    ASSERT_EQ(encode(*encoder, prose(100'000, 7), Until::finished, packed, 10'000), Errc::none);
    ASSERT_EQ(packed.substr(0, 4), "\x28\xb5\x2f\xfd");
    ASSERT_EQ(packed[4] & 0x24, 0) << "a window of its own, and no checksum";
    EXPECT_EQ(unsigned(static_cast<unsigned char>(packed[5])) >> 3, bits - 10);
  }
}

}  // namespace
}  // namespace sluice::coding
