// tests/proto/http/range_test.cpp - Range, Content-Range and multipart/byteranges.
//
// RFC 9110 sections 14.1 to 14.6. Layer: tests.
#include "proto/http/range.hpp"

#include <gtest/gtest.h>

#include <ostream>
#include <random>
#include <string>
#include <vector>

namespace sluice::http {

// How gtest prints one.
void PrintTo(const ByteRange& range, std::ostream* out) {
  *out << range.first << '-' << range.last;
}

namespace {

using enum RangeVerdict;
using Ranges = std::vector<ByteRange>;

constexpr std::uint64_t kHuge = UINT64_MAX;

struct Row {
  std::string_view field;
  std::uint64_t size;
  RangeVerdict verdict;
  Ranges ranges = {};
};

void expect_rows(const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    Ranges ranges = {{7, 7}};  // left over from before
    EXPECT_EQ(read_range(row.field, row.size, ranges), row.verdict) << row.field;
    EXPECT_EQ(ranges, row.ranges) << row.field;
  }
}

TEST(Range, OneRange) {
  expect_rows({{"bytes=0-0", 10, partial, {{0, 0}}},
               {"bytes=0-9", 10, partial, {{0, 9}}},
               {"bytes=0-", 10, partial, {{0, 9}}},
               {"bytes=3-5", 10, partial, {{3, 5}}},
               {"bytes=9-", 10, partial, {{9, 9}}},
               {"bytes=9-9", 10, partial, {{9, 9}}},
               {"bytes=00003-005", 10, partial, {{3, 5}}}});
}

TEST(Range, IsClampedToTheRepresentation) {
  expect_rows({{"bytes=5-10", 10, partial, {{5, 9}}},
               {"bytes=0-99999999999999999999999", 10, partial, {{0, 9}}},
               {"bytes=9-18446744073709551615", 10, partial, {{9, 9}}},
               {"bytes=9-18446744073709551616", 10, partial, {{9, 9}}}});
}

TEST(Range, Suffix) {
  expect_rows({{"bytes=-1", 10, partial, {{9, 9}}},
               {"bytes=-10", 10, partial, {{0, 9}}},
               {"bytes=-11", 10, partial, {{0, 9}}},
               {"bytes=-99999999999999999999999", 10, partial, {{0, 9}}},
               {"bytes=-0", 10, unsatisfiable},
               {"bytes=-000", 10, unsatisfiable},
               {"bytes=-0001", 10, partial, {{9, 9}}}});
}

TEST(Range, UnsatisfiableFromTheFirstOctetBehindTheEnd) {
  expect_rows({{"bytes=10-", 10, unsatisfiable},
               {"bytes=10-10", 10, unsatisfiable},
               {"bytes=11-12", 10, unsatisfiable},
               {"bytes=10-,20-30,-0", 10, unsatisfiable},
               {"bytes=18446744073709551615-", 10, unsatisfiable},
               {"bytes=18446744073709551616-", 10, unsatisfiable},
               {"bytes=99999999999999999999999-", 10, unsatisfiable},
               {"bytes=99999999999999999999998-99999999999999999999999", 10, unsatisfiable}});
}

TEST(Range, NothingToCutFrom) {
  expect_rows({{"bytes=0-", 0, unsatisfiable},
               {"bytes=0-0", 0, unsatisfiable},
               {"bytes=-0", 0, unsatisfiable},
               {"bytes=-1", 0, whole},
               {"bytes=0-0,-1", 0, whole}});
}

TEST(Range, TheLargestRepresentation) {
  expect_rows({{"bytes=0-", kHuge, partial, {{0, kHuge - 1}}},
               {"bytes=-1", kHuge, partial, {{kHuge - 1, kHuge - 1}}},
               {"bytes=18446744073709551614-", kHuge, partial, {{kHuge - 1, kHuge - 1}}},
               {"bytes=18446744073709551615-", kHuge, unsatisfiable},
               {"bytes=0-,0-", kHuge, whole},
               {"bytes=4294967296-4294967297", kHuge, partial, {{4294967296, 4294967297}}}});
}

TEST(Range, SeveralInTheOrderAskedFor) {
  expect_rows({{"bytes=0-0,2-3", 10, partial, {{0, 0}, {2, 3}}},
               {"bytes=8-9,0-1", 10, partial, {{8, 9}, {0, 1}}},
               {"bytes=0-0,-1", 10, partial, {{0, 0}, {9, 9}}},
               {"bytes=0-4,5-9", 10, partial, {{0, 4}, {5, 9}}},
               {"bytes=0-1,0-1", 10, partial, {{0, 1}, {0, 1}}},
               {"bytes=0-1,20-30,3-4", 10, partial, {{0, 1}, {3, 4}}},
               {"bytes=20-30,3-4", 10, partial, {{3, 4}}},
               {"bytes=0-1,-0", 10, partial, {{0, 1}}}});
}

TEST(Range, EmptyElementsAndWhitespaceInTheList) {
  expect_rows({{"bytes=0-0,,2-2", 10, partial, {{0, 0}, {2, 2}}},
               {"bytes=,0-0", 10, partial, {{0, 0}}},
               {"bytes=0-0,", 10, partial, {{0, 0}}},
               {"bytes=0-0 , 2-2", 10, partial, {{0, 0}, {2, 2}}},
               {"bytes= 0-0\t,\t2-2 ", 10, partial, {{0, 0}, {2, 2}}},
               {" bytes=0-0 ", 10, partial, {{0, 0}}},
               {"bytes=", 10, whole},
               {"bytes=,", 10, whole},
               {"bytes= , ,", 10, whole}});
}

TEST(Range, TheUnitInAnyCase) {
  expect_rows({{"BYTES=0-0", 10, partial, {{0, 0}}},
               {"Bytes=0-0", 10, partial, {{0, 0}}},
               {"bYtEs=-1", 10, partial, {{9, 9}}}});
}

TEST(Range, AnUnknownUnitIsIgnored) {
  expect_rows({{"", 10, whole},
               {"items=0-0", 10, whole},
               {"byte=0-0", 10, whole},
               {"bytess=0-0", 10, whole},
               {"x-bytes=0-0", 10, whole},
               {"none", 10, whole},
               {"bytes", 10, whole},
               {"=0-0", 10, whole},
               {"0-0", 10, whole}});
}

TEST(Range, MalformedIsIgnoredAsAWhole) {
  for (std::string_view field :
       {"bytes=-",         "bytes=a",       "bytes=0",       "bytes=0-a",     "bytes=a-0",
        "bytes=--1",       "bytes=1--2",    "bytes=-1-",     "bytes=0-1-2",   "bytes=0 -1",
        "bytes=0- 1",      "bytes=- 1",     "bytes=+0-1",    "bytes=0-+1",    "bytes=0x0-1",
        "bytes=0.5-1",     "bytes=0-1;2-3", "bytes=0-1 2-3", "bytes =0-1",    "bytes:0-1",
        "bytes=bytes=0-1", "bytes=0-1,a",   "bytes=a,0-1",   "bytes=0-1,-",   "bytes=20-30,x",
        "bytes=\x80-1",    "bytes=*",       "bytes=0-*",     "bytes=\"0-1\"", "bytes=0-1\v"}) {
    expect_rows({{field, 10, whole}});
  }
}

TEST(Range, LastBeforeFirstIsMalformed) {
  expect_rows({{"bytes=5-4", 10, whole},
               {"bytes=1-0", 10, whole},
               {"bytes=0-1,5-4", 10, whole},
               {"bytes=20-19", 10, whole},
               {"bytes=010-9", 100, whole},
               {"bytes=99999999999999999999999-99999999999999999999998", 10, whole},
               {"bytes=99999999999999999999999-5", 10, whole}});
}

std::string many(std::size_t count) {
  std::string field = "bytes=";
  for (std::size_t i = 0; i < count; ++i) {
    field += std::to_string(i * 10) + "-" + std::to_string(i * 10) + ",";
  }
  return field;
}

TEST(Range, AtMost64) {
  Ranges ranges;
  EXPECT_EQ(read_range(many(64), 100000, ranges), partial);
  EXPECT_EQ(ranges.size(), 64u);
  EXPECT_EQ(read_range(many(65), 100000, ranges), whole);
  EXPECT_TRUE(ranges.empty());
  EXPECT_EQ(read_range(many(1000), 100000, ranges), whole);
  EXPECT_TRUE(ranges.empty());
  // Those that cannot be satisfied count, too: they cost as much to read.
  EXPECT_EQ(read_range(many(64), 1, ranges), partial);
  EXPECT_EQ(ranges.size(), 1u);
  EXPECT_EQ(read_range(many(65), 1, ranges), whole);
}

TEST(Range, TheSumIsAtMostTheRepresentation) {
  expect_rows({{"bytes=0-9,0-0", 10, whole},
               {"bytes=0-,0-", 10, whole},
               {"bytes=0-5,4-9", 10, whole},
               {"bytes=0-4,0-4", 10, partial, {{0, 4}, {0, 4}}},
               {"bytes=0-4,0-5", 10, whole},
               {"bytes=0-4,4-8", 10, partial, {{0, 4}, {4, 8}}},
               {"bytes=-10,-1", 10, whole}});
}

TEST(Range, WrittenOut) {
  EXPECT_EQ(content_range({0, 4}, 10), "bytes 0-4/10");
  EXPECT_EQ(content_range({kHuge - 1, kHuge - 1}, kHuge),
            "bytes 18446744073709551614-18446744073709551614/18446744073709551615");
  EXPECT_EQ(content_range_unsatisfied(0), "bytes */0");
  EXPECT_EQ(content_range_unsatisfied(10), "bytes */10");
}

TEST(Range, PartsOfAMultipart) {
  const ByteRange one{0, 4}, two{7, 9};
  std::string body = part_head("B", "text/plain", one, 10, true) + "01234" +
                     part_head("B", "text/plain", two, 10, false) + "789" + parts_end("B");
  EXPECT_EQ(body,
            "--B\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-4/10\r\n\r\n01234"
            "\r\n--B\r\nContent-Type: text/plain\r\nContent-Range: bytes 7-9/10\r\n\r\n789"
            "\r\n--B--\r\n");
  EXPECT_EQ(part_head("B", "", one, 10, true), "--B\r\nContent-Range: bytes 0-4/10\r\n\r\n");
}

// For a small representation the rules can be written as sets of octets.
TEST(RangeProperty, AgreesWithSetsOfOctets) {
  std::mt19937 random(14);
  for (int round = 0; round < 40000; ++round) {
    const std::uint64_t size = 1 + random() % 12;
    std::string field = "bytes=";
    std::vector<std::vector<std::uint64_t>> want;
    std::size_t sum = 0;
    bool malformed = false;
    const auto count = 1 + random() % 4;
    for (unsigned i = 0; i < count; ++i) {
      const std::uint64_t a = random() % 15, b = random() % 15;
      const auto kind = random() % 3;
      std::vector<std::uint64_t> octets;
      if (kind == 0) field += std::to_string(a) + "-" + std::to_string(b);
      if (kind == 1) field += std::to_string(a) + "-";
      if (kind == 2) field += "-" + std::to_string(b);
      for (std::uint64_t octet = 0; octet < size; ++octet) {
        if ((kind == 0 && octet >= a && octet <= b) || (kind == 1 && octet >= a) ||
            (kind == 2 && octet + b >= size)) {
          octets.push_back(octet);
        }
      }
      malformed |= kind == 0 && b < a;
      sum += octets.size();
      if (!octets.empty()) want.push_back(octets);
      if (i + 1 < count) field += ",";
    }
    Ranges ranges;
    RangeVerdict verdict = read_range(field, size, ranges);
    RangeVerdict expected = malformed || sum > size ? whole
                            : want.empty()          ? unsatisfiable
                                                    : partial;
    ASSERT_EQ(verdict, expected) << field << " of " << size;
    if (verdict != partial) continue;
    ASSERT_EQ(ranges.size(), want.size()) << field << " of " << size;
    for (std::size_t i = 0; i < ranges.size(); ++i) {
      ASSERT_EQ(ranges[i], (ByteRange{want[i].front(), want[i].back()})) << field;
    }
  }
}

}  // namespace
}  // namespace sluice::http
