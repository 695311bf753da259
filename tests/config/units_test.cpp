// tests/config/units_test.cpp - durations, sizes, and misspelt words.
//
// Layer: tests.
#include "config/units.hpp"

#include <gtest/gtest.h>

#include "config/nearest.hpp"

namespace sluice::config {
namespace {

using namespace std::chrono_literals;

TEST(Units, Durations) {
  EXPECT_EQ(parse_duration("0s"), 0ms);
  EXPECT_EQ(parse_duration("500ms"), 500ms);
  EXPECT_EQ(parse_duration("30s"), 30s);
  EXPECT_EQ(parse_duration("2m"), 2min);
  EXPECT_EQ(parse_duration("36h"), 36h);
  EXPECT_EQ(parse_duration("9223372036854775807ms").value().count(), INT64_MAX);
  EXPECT_EQ(parse_duration("2562047788015h").value(), 2562047788015h);
  for (const char* bad :
       {"", "30", "s", "-1s", "+1s", " 1s", "1 s", "1s ", "1.5s", "1S", "1d", "1us", "1m30s",
        "0x1s", "9223372036854775808ms", "2562047788016h", "18446744073709551616ms"}) {
    EXPECT_FALSE(parse_duration(bad)) << bad;
  }
  for (const char* text : {"0s", "1ms", "999ms", "1s", "90s", "2m", "1h", "25h"}) {
    EXPECT_EQ(duration_text(parse_duration(text).value()), text);
  }
  EXPECT_EQ(duration_text(120'000ms), "2m");
}

TEST(Units, Sizes) {
  EXPECT_EQ(parse_size("64KiB"), 65'536u);
  EXPECT_EQ(parse_size("1MiB"), 1u << 20);
  EXPECT_EQ(parse_size("2GiB"), 2ull << 30);
  EXPECT_EQ(parse_size("0KiB"), 0u);
  EXPECT_EQ(parse_size("8589934591GiB"), 8589934591ull << 30);
  for (const char* bad : {"", "64", "KiB", "64KB", "64kib", "64K", "64 KiB", "-1KiB", "1.5MiB",
                          "8589934592GiB", "1TiB"}) {
    EXPECT_FALSE(parse_size(bad)) << bad;
  }
  EXPECT_EQ(size_text(0), "0");
  EXPECT_EQ(size_text(150), "150");
  EXPECT_EQ(size_text(1536), "1536");
  EXPECT_EQ(size_text(16'384), "16KiB");
  EXPECT_EQ(size_text(64u << 20), "64MiB");
  EXPECT_EQ(size_text(3ull << 30), "3GiB");
}

TEST(Nearest, AFewLettersOff) {
  const std::string_view words[] = {"head_bytes", "body_bytes", "fields", "field_bytes", "port"};
  EXPECT_EQ(nearest("head_byts", words), "head_bytes");
  EXPECT_EQ(nearest("haed_bytes", words), "head_bytes");
  EXPECT_EQ(nearest("body-bytes", words), "body_bytes");
  EXPECT_EQ(nearest("field", words), "fields");
  EXPECT_EQ(nearest("prot", words), "port");  // two neighbours swapped are one step
  EXPECT_EQ(nearest("", words), "");
  EXPECT_EQ(nearest("colour", words), "");
  EXPECT_EQ(nearest(std::string(65, 'a'), words), "");
  EXPECT_EQ(nearest("port", {}), "");
}

}  // namespace
}  // namespace sluice::config
