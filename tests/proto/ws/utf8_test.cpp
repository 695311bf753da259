// tests/proto/ws/utf8_test.cpp - the automaton against the definition of UTF-8.
//
// RFC 3629 sections 3 and 4; RFC 6455 section 8.1. Layer: tests.
#include "proto/ws/utf8.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "proto/ws/wire.hpp"

namespace sluice::ws {
namespace {

// What the definition says of some bytes: how many could still be the front of valid text, and
// whether the text may end behind them. By arithmetic on code points, not by the grammar.
struct Judged {
  std::size_t good;
  bool complete;
};

bool is_scalar(std::uint32_t point) {
  return point <= 0x10FFFF && !(point >= 0xD800 && point <= 0xDFFF);
}

// Whether some scalar value that needs exactly `size` bytes lies in [low, high].
bool any_scalar(std::uint32_t low, std::uint32_t high, int size) {
  constexpr std::uint32_t kFirst[] = {0, 0, 0x80, 0x800, 0x10000};
  constexpr std::uint32_t kLast[] = {0, 0x7F, 0x7FF, 0xFFFF, 0x10FFFF};
  low = std::max(low, kFirst[size]);
  high = std::min(high, kLast[size]);
  return low <= high && (is_scalar(low) || is_scalar(high) || (low < 0xD800 && high > 0xDFFF));
}

Judged judge(Bytes bytes) {
  std::size_t at = 0;
  while (at < bytes.size()) {
    const auto lead = std::to_integer<std::uint32_t>(bytes[at]);
    int size = 0;
    std::uint32_t point = 0;
    if (lead < 0x80) {
      size = 1, point = lead;
    } else if (lead >= 0xC0 && lead < 0xE0) {
      size = 2, point = lead & 31;
    } else if (lead >= 0xE0 && lead < 0xF0) {
      size = 3, point = lead & 15;
    } else if (lead >= 0xF0 && lead < 0xF8) {
      size = 4, point = lead & 7;
    } else {
      return {at, false};
    }
    for (int have = 1;; ++have) {
      // The bytes that are missing are anything from 80 to BF.
      const int missing = 6 * (size - have);
      const std::uint32_t low = point << missing, high = low | ((1u << missing) - 1);
      if (!any_scalar(low, high, size)) return {at + static_cast<std::size_t>(have) - 1, false};
      if (have == size) break;
      const std::size_t next = at + static_cast<std::size_t>(have);
      if (next == bytes.size()) return {next, false};
      const auto tail = std::to_integer<std::uint32_t>(bytes[next]);
      if ((tail & 0xC0) != 0x80) return {next, false};
      point = point << 6 | (tail & 63);
    }
    at += static_cast<std::size_t>(size);
  }
  return {at, true};
}

// All that the class says of `bytes`, against the definition.
::testing::AssertionResult agrees(Bytes bytes) {
  const Judged want = judge(bytes);
  Utf8 fast;
  const bool added = fast.add(bytes);
  Utf8 exact;
  const std::size_t good = exact.add_until_bad(bytes);
  const bool valid = want.good == bytes.size();
  if (added == valid && (!valid || fast.complete() == want.complete) && good == want.good &&
      exact.complete() == (valid && want.complete) && is_utf8(bytes) == (valid && want.complete)) {
    return ::testing::AssertionSuccess();
  }
  auto failure = ::testing::AssertionFailure() << "bytes";
  for (const std::byte b : bytes) failure << ' ' << std::hex << std::to_integer<int>(b);
  return failure << ": good " << std::dec << good << ", by definition " << want.good;
}

// Every byte at which a rule of RFC 3629 changes.
constexpr std::array<unsigned, 29> kEdges = {
    0x00, 0x01, 0x41, 0x7F, 0x80, 0x81, 0x8F, 0x90, 0x9F, 0xA0, 0xBE, 0xBF, 0xC0, 0xC1, 0xC2,
    0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xF8, 0xFF};

TEST(Utf8, EveryTwoBytes) {
  for (unsigned first = 0; first < 256; ++first) {
    const std::array<std::byte, 1> one{static_cast<std::byte>(first)};
    ASSERT_TRUE(agrees(one));
    for (unsigned second = 0; second < 256; ++second) {
      const std::array<std::byte, 2> two{static_cast<std::byte>(first),
                                         static_cast<std::byte>(second)};
      ASSERT_TRUE(agrees(two));
    }
  }
}

TEST(Utf8, EveryThreeBytesAfterALongLead) {
  for (unsigned lead = 0xE0; lead < 0x100; ++lead) {
    for (unsigned second = 0x7E; second < 0xC2; ++second) {
      for (unsigned third = 0; third < 256; ++third) {
        const std::array<std::byte, 3> three{static_cast<std::byte>(lead),
                                             static_cast<std::byte>(second),
                                             static_cast<std::byte>(third)};
        ASSERT_TRUE(agrees(three));
      }
    }
  }
}

TEST(Utf8, EveryFourEdges) {
  for (const unsigned a : kEdges) {
    for (const unsigned b : kEdges) {
      for (const unsigned c : kEdges) {
        for (const unsigned d : kEdges) {
          const std::array<std::byte, 4> four{static_cast<std::byte>(a), static_cast<std::byte>(b),
                                              static_cast<std::byte>(c), static_cast<std::byte>(d)};
          ASSERT_TRUE(agrees(four));
        }
      }
    }
  }
}

void append_point(Wire& out, std::uint32_t point) {
  const auto put = [&out](std::uint32_t byte) { out.push_back(static_cast<std::byte>(byte)); };
  if (point < 0x80) {
    put(point);
  } else if (point < 0x800) {
    put(0xC0 | point >> 6);
    put(0x80 | (point & 63));
  } else if (point < 0x10000) {
    put(0xE0 | point >> 12);
    put(0x80 | (point >> 6 & 63));
    put(0x80 | (point & 63));
  } else {
    put(0xF0 | point >> 18);
    put(0x80 | (point >> 12 & 63));
    put(0x80 | (point >> 6 & 63));
    put(0x80 | (point & 63));
  }
}

TEST(Utf8, EveryCodePoint) {
  for (std::uint32_t point = 0; point <= 0x110FFF; ++point) {
    Wire bytes;
    append_point(bytes, point);
    ASSERT_EQ(is_utf8(bytes), is_scalar(point)) << std::hex << point;
  }
}

TEST(Utf8, AllOfUnicodeInOneText) {
  Wire bytes;
  for (std::uint32_t point = 0; point <= 0x10FFFF; ++point) {
    if (is_scalar(point)) append_point(bytes, point);
  }
  EXPECT_TRUE(is_utf8(bytes));
  bytes.pop_back();
  EXPECT_FALSE(is_utf8(bytes));
}

// The blocks of 64, 16 and 1 bytes each get the strange byte at each of their places.
TEST(Utf8, AnythingAtEveryPlaceOfAnAsciiText) {
  const Wire kStrange[] = {wire("FF"),      wire("80"),       wire("C3"),     wire("C3A9"),
                           wire("E282AC"),  wire("E282"),     wire("EDA080"), wire("F09F9880"),
                           wire("F09F98"),  wire("F4908080"), wire("C080"),   wire("F0808080"),
                           wire("E282 20"), wire("F09F 41"),  wire("EFBFBF"), wire("00")};
  for (const Wire& strange : kStrange) {
    for (std::size_t before = 0; before < 150; ++before) {
      for (const std::size_t behind : {0u, 1u, 15u, 16u, 17u, 64u, 70u}) {
        Wire text(before, std::byte{'a'});
        append(text, strange);
        text.resize(text.size() + behind, std::byte{'b'});
        ASSERT_TRUE(agrees(text)) << before << " before, " << behind << " behind";
      }
    }
  }
}

TEST(Utf8, TheVerdictDoesNotDependOnCuts) {
  std::mt19937 random(3);
  for (int round = 0; round < 3000; ++round) {
    Wire text;
    const std::size_t points = random() % 60;
    for (std::size_t i = 0; i < points; ++i) {
      constexpr std::uint32_t kRanges[] = {0x80, 0x80, 0x800, 0x10000, 0x110000};
      append_point(text, static_cast<std::uint32_t>(random() % kRanges[random() % 5]));
    }
    if (!text.empty() && round % 3 == 0)
      text[random() % text.size()] = static_cast<std::byte>(random());
    if (!text.empty() && round % 5 == 0) text.resize(random() % text.size());

    Utf8 whole;
    const bool valid = whole.add(text);
    Utf8 split;
    bool split_valid = true;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t size = std::min<std::size_t>(1 + random() % 30, text.size() - at);
      split_valid = split.add(Bytes(text).subspan(at, size));
      at += size;
    }
    ASSERT_EQ(split_valid, valid);
    ASSERT_EQ(split.complete(), whole.complete());
    ASSERT_TRUE(agrees(text));
  }
}

TEST(Utf8, AfterABadByteNothingIsGood) {
  Utf8 text;
  EXPECT_FALSE(text.add(wire("FF")));
  EXPECT_FALSE(text.add(as_bytes("fine")));
  EXPECT_FALSE(text.add(Wire(100, std::byte{'a'})));
  EXPECT_FALSE(text.complete());
  text.reset();
  EXPECT_TRUE(text.add(as_bytes("fine")));
  EXPECT_TRUE(text.complete());
}

TEST(Utf8, NothingIsValid) {
  EXPECT_TRUE(is_utf8({}));
  Utf8 text;
  EXPECT_TRUE(text.add({}));
  EXPECT_TRUE(text.add(wire("E2")));
  EXPECT_TRUE(text.add({}));
  EXPECT_FALSE(text.complete());
}

}  // namespace
}  // namespace sluice::ws
