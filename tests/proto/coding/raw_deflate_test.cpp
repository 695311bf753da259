// tests/proto/coding/raw_deflate_test.cpp - compressing, inflating, and windows that are kept to.
//
// RFC 1951. Layer: tests.
#include "proto/coding/raw_deflate.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

namespace sluice::coding {
namespace {

using Buffer = std::vector<std::byte>;

Buffer bytes_of(std::string_view text) {
  const Bytes bytes = as_bytes(text);
  return {bytes.begin(), bytes.end()};
}

// Words of a small vocabulary: much that comes again, near and far.
std::string prose(std::size_t size, unsigned seed) {
  std::mt19937 random(seed);
  std::string text;
  while (text.size() < size) {
    text += "word" + std::to_string(random() % 300) + (random() % 9 == 0 ? ".\n" : " ");
  }
  text.resize(size);
  return text;
}

Buffer deflated(Deflater& deflater, Bytes in) {
  Buffer out(in.size() * 2 + 64);
  out.resize(deflater.flush(in, out));
  return out;
}

// In pieces of `in_size` and with room for `out_size` at a time.
std::string inflated(Inflater& inflater, Bytes in, std::size_t in_size, std::size_t out_size) {
  std::string all;
  Buffer out(out_size);
  bool full = false;
  while (!in.empty() || full) {
    const auto step = inflater.inflate(in.first(std::min(in.size(), in_size)), out);
    if (step.bad) return all + "(bad)";
    all += as_text(Bytes(out).first(step.made));
    in = in.subspan(step.used);
    full = step.made == out_size;
  }
  return all;
}

TEST(RawDeflate, WhatIsCompressedComesBackWithEveryWindowLevelAndMemory) {
  const std::string text = prose(20'000, 1);
  for (unsigned window = 8; window <= 15; ++window) {
    for (const unsigned level : {1u, 5u, 9u}) {
      for (const unsigned memory : {1u, 5u, 9u}) {
        SCOPED_TRACE(testing::Message() << window << ' ' << level << ' ' << memory);
        auto deflater = Deflater::make({window, level, memory});
        auto inflater = Inflater::make(window);
        ASSERT_TRUE(deflater && inflater);
        const Buffer packed = deflated(*deflater, as_bytes(text));
        ASSERT_GT(packed.size(), 4u);
        EXPECT_LT(packed.size(), text.size());
        EXPECT_EQ(inflated(*inflater, packed, packed.size(), 100'000), text);
        EXPECT_TRUE(inflater->at_boundary());
      }
    }
  }
}

// zlib cannot inflate with a window of 256 bytes, nor does it say how far a stream looks back: the
// distances are read here, out of the bits of its blocks, by a decoder that knows nothing else.
class Distances {
 public:
  explicit Distances(Bytes in) : in_(in) {}

  std::size_t furthest() {
    while (at_ + 3 <= in_.size() * 8) {
      const bool last = bits(1) != 0;
      const unsigned type = bits(2);
      if (type == 0) {
        at_ = (at_ + 7) / 8 * 8;
        const unsigned size = bits(16);
        bits(16);
        at_ += std::size_t{size} * 8;
      } else {
        type == 1 ? fixed() : dynamic();
        codes();
      }
      if (last) break;
    }
    return furthest_;
  }

 private:
  struct Tree {
    std::vector<unsigned> lengths;
    unsigned read(Distances& from) const {
      unsigned code = 0, first = 0;
      for (unsigned length = 1; length <= 15; ++length) {
        code |= from.bits(1);
        unsigned count = 0;
        for (const unsigned each : lengths) count += each == length;
        if (code < first + count) {
          unsigned index = code - first;
          for (unsigned symbol = 0; symbol < lengths.size(); ++symbol) {
            if (lengths[symbol] == length && index-- == 0) return symbol;
          }
        }
        first = (first + count) << 1;
        code <<= 1;
      }
      ADD_FAILURE() << "no such code";
      return 256;
    }
  };

  unsigned bits(unsigned count) {
    unsigned value = 0;
    for (unsigned i = 0; i < count; ++i, ++at_) {
      value |= (std::to_integer<unsigned>(in_[at_ / 8]) >> at_ % 8 & 1) << i;
    }
    return value;
  }
  void fixed() {
    literals_.lengths.assign(288, 8);
    std::fill(literals_.lengths.begin() + 144, literals_.lengths.begin() + 256, 9u);
    std::fill(literals_.lengths.begin() + 256, literals_.lengths.begin() + 280, 7u);
    distances_.lengths.assign(30, 5);
  }
  void dynamic() {
    constexpr unsigned kOrder[] = {16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
                                   11, 4,  12, 3, 13, 2, 14, 1, 15};
    const unsigned literals = bits(5) + 257, distances = bits(5) + 1, codes = bits(4) + 4;
    Tree tree;
    tree.lengths.assign(19, 0);
    for (unsigned i = 0; i < codes; ++i) tree.lengths[kOrder[i]] = bits(3);
    std::vector<unsigned> all;
    while (all.size() < literals + distances) {
      const unsigned symbol = tree.read(*this);
      if (symbol < 16) {
        all.push_back(symbol);
      } else if (symbol == 16) {
        all.insert(all.end(), 3 + bits(2), all.back());
      } else {
        all.insert(all.end(), symbol == 17 ? 3 + bits(3) : 11 + bits(7), 0u);
      }
    }
    literals_.lengths.assign(all.begin(), all.begin() + literals);
    distances_.lengths.assign(all.begin() + literals, all.end());
  }
  void codes() {
    for (;;) {
      const unsigned symbol = literals_.read(*this);
      if (symbol == 256) return;
      if (symbol < 256) continue;
      if (symbol >= 265 && symbol < 285) bits((symbol - 261) / 4);
      const unsigned code = distances_.read(*this);
      std::size_t distance = code + 1;
      if (code >= 4) {
        const unsigned extra = code / 2 - 1;
        distance = ((std::size_t{2} + code % 2) << extra) + bits(extra) + 1;
      }
      furthest_ = std::max(furthest_, distance);
    }
  }

  Bytes in_;
  std::size_t at_ = 0, furthest_ = 0;
  Tree literals_, distances_;
};

TEST(RawDeflate, DistancesFitTheWindowThatWasAskedFor) {
  for (unsigned window = 8; window <= 12; ++window) {
    SCOPED_TRACE(window);
    const std::string text = prose(30'000, window);
    auto deflater = Deflater::make({window, 9, 9});
    const Buffer packed = deflated(*deflater, as_bytes(text));
    const std::size_t furthest = Distances(packed).furthest();
    EXPECT_LE(furthest, std::size_t{1} << window);
    // And it is used, but for the 262 bytes that zlib leaves free.
    EXPECT_GT(furthest + 7, std::size_t{1} << (window - 1));
  }
}

TEST(RawDeflate, TheNextRefersToTheOneBeforeUntilReset) {
  const std::string text = prose(1000, 3);
  auto deflater = Deflater::make({12, 5, 5});
  const Buffer first = deflated(*deflater, as_bytes(text));
  const Buffer second = deflated(*deflater, as_bytes(text));
  EXPECT_LT(second.size() * 4, first.size());
  auto inflater = Inflater::make(12);
  EXPECT_EQ(inflated(*inflater, first, 7, 64), text);
  EXPECT_EQ(inflated(*inflater, second, 7, 64), text);
  inflater->reset();
  EXPECT_EQ(inflated(*inflater, second, 7, 64), "(bad)");
  deflater->reset();
  EXPECT_EQ(deflated(*deflater, as_bytes(text)), first);
}

TEST(RawDeflate, WhatDoesNotFitIsSaid) {
  const std::string text = prose(1000, 4);
  auto deflater = Deflater::make({12, 5, 5});
  const std::size_t size = deflated(*deflater, as_bytes(text)).size();
  for (const std::size_t room : {std::size_t{1}, size / 2, size - 1, size}) {
    deflater->reset();
    Buffer out(room);
    EXPECT_EQ(deflater->flush(as_bytes(text), out), 0u) << room;
  }
  deflater->reset();
  Buffer out(size + 1);
  EXPECT_EQ(deflater->flush(as_bytes(text), out), size);
}

TEST(RawDeflate, EveryPieceInAndOut) {
  const std::string text = prose(3000, 5) + std::string(2000, 'x') + prose(500, 6);
  auto deflater = Deflater::make({12, 5, 5});
  const Buffer packed = deflated(*deflater, as_bytes(text));
  for (const std::size_t in : {1u, 2u, 3u, 7u, 64u, 5000u}) {
    for (const std::size_t out : {1u, 2u, 3u, 257u, 258u, 259u, 6000u}) {
      auto inflater = Inflater::make(12);
      EXPECT_EQ(inflated(*inflater, packed, in, out), text) << in << ' ' << out;
      EXPECT_TRUE(inflater->at_boundary()) << in << ' ' << out;
    }
  }
}

// RFC 7692 section 7.2.3.4: "Hello" in a block that says that it is the last, and one more byte.
TEST(RawDeflate, AFinalBlockEndsNothing) {
  Buffer packed = bytes_of("\xf3\x48\xcd\xc9\xc9\x07");
  packed.push_back(std::byte{0});
  const Buffer again = packed;
  for (const std::size_t out : {1u, 2u, 5u, 6u, 64u}) {
    auto inflater = Inflater::make(15);
    EXPECT_EQ(inflated(*inflater, Bytes(packed).first(7), 7, out), "Hello");
    EXPECT_EQ(inflated(*inflater, Bytes(again).first(7), 1, out), "Hello");
  }
}

TEST(RawDeflate, Corrupt) {
  for (const std::string_view bad : {"\x07", "\xff\xff\xff", "\x01\x01\x01\x02\x02"}) {
    auto inflater = Inflater::make(15);
    EXPECT_EQ(inflated(*inflater, as_bytes(bad), 1, 64), "(bad)");
  }
}

}  // namespace
}  // namespace sluice::coding
