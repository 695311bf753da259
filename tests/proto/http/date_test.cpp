// tests/proto/http/date_test.cpp - HTTP dates, written and read.
//
// RFC 9110 section 5.6.7. Layer: tests.
#include "proto/http/date.hpp"

#include <gtest/gtest.h>

#include <array>
#include <ctime>
#include <random>
#include <string>

namespace sluice::http {
namespace {

constexpr std::int64_t kNow = 1767225600;  // 2026-01-01
constexpr std::int64_t kFirst = -62167219200, kLast = 253402300799;

std::string written(std::int64_t seconds) {
  std::array<char, kDateSize + 1> out{};
  out.back() = '!';
  write_date(out.data(), seconds);
  EXPECT_EQ(out.back(), '!') << "wrote too far";
  return {out.data(), kDateSize};
}

// The C library's opinion.
std::string formatted(std::int64_t seconds, const char* format) {
  const auto time = static_cast<std::time_t>(seconds);
  std::tm parts{};
  gmtime_r(&time, &parts);
  std::array<char, 64> out{};
  return {out.data(), std::strftime(out.data(), out.size(), format, &parts)};
}

TEST(WriteDate, Table) {
  EXPECT_EQ(written(784111777), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(written(0), "Thu, 01 Jan 1970 00:00:00 GMT");
  EXPECT_EQ(written(-1), "Wed, 31 Dec 1969 23:59:59 GMT");
  EXPECT_EQ(written(951782400), "Tue, 29 Feb 2000 00:00:00 GMT");
  EXPECT_EQ(written(4107542400), "Mon, 01 Mar 2100 00:00:00 GMT");
  EXPECT_EQ(written(2147483648), "Tue, 19 Jan 2038 03:14:08 GMT");
  EXPECT_EQ(written(kLast), "Fri, 31 Dec 9999 23:59:59 GMT");
  EXPECT_EQ(written(kFirst), "Sat, 01 Jan 0000 00:00:00 GMT");
}

TEST(WriteDate, StaysInsideFourDigitYears) {
  EXPECT_EQ(written(kLast + 1), written(kLast));
  EXPECT_EQ(written(INT64_MAX), written(kLast));
  EXPECT_EQ(written(kFirst - 1), written(kFirst));
  EXPECT_EQ(written(INT64_MIN), written(kFirst));
}

TEST(ReadDate, TheThreeFormats) {
  EXPECT_EQ(read_date("Sun, 06 Nov 1994 08:49:37 GMT", kNow), 784111777);
  EXPECT_EQ(read_date("Sunday, 06-Nov-94 08:49:37 GMT", kNow), 784111777);
  EXPECT_EQ(read_date("Sun Nov  6 08:49:37 1994", kNow), 784111777);
  EXPECT_EQ(read_date("Wed Nov 16 08:49:37 1994", kNow), 784975777);
}

TEST(ReadDate, ALeapSecondIsTheNextMinute) {
  EXPECT_EQ(read_date("Sat, 31 Dec 2016 23:59:60 GMT", kNow), 1483228800);
}

TEST(ReadDate, TheWeekdayIsAWordAndNoClaim) {
  EXPECT_EQ(read_date("Mon, 06 Nov 1994 08:49:37 GMT", kNow), 784111777);
}

TEST(ReadDate, Refuses) {
  using namespace std::string_view_literals;
  for (std::string_view text : {""sv,
                                " "sv,
                                "0"sv,
                                "784111777"sv,
                                "1994-11-06T08:49:37Z"sv,
                                "sun, 06 Nov 1994 08:49:37 GMT"sv,
                                "SUN, 06 Nov 1994 08:49:37 GMT"sv,
                                "Sun, 06 nov 1994 08:49:37 GMT"sv,
                                "Sun, 06 Nov 1994 08:49:37 gmt"sv,
                                "Sun, 06 Nov 1994 08:49:37 UTC"sv,
                                "Sun, 06 Nov 1994 08:49:37"sv,
                                "Sun, 06 Nov 1994 08:49:37 +0000"sv,
                                "Sun, 06 Nov 1994 08:49:37 GMT "sv,
                                " Sun, 06 Nov 1994 08:49:37 GMT"sv,
                                "Sun,06 Nov 1994 08:49:37 GMT"sv,
                                "Sun, 6 Nov 1994 08:49:37 GMT"sv,
                                "Sun, 06 Nov 94 08:49:37 GMT"sv,
                                "Sun, 06 Nov 01994 8:49:37 GMT"sv,
                                "Sun, 00 Nov 1994 08:49:37 GMT"sv,
                                "Sun, 31 Nov 1994 08:49:37 GMT"sv,
                                "Wed, 29 Feb 2023 00:00:00 GMT"sv,
                                "Thu, 29 Feb 2100 00:00:00 GMT"sv,
                                "Sun, 06 Foo 1994 08:49:37 GMT"sv,
                                "Foo, 06 Nov 1994 08:49:37 GMT"sv,
                                "Sun, 06 Nov 1994 24:00:00 GMT"sv,
                                "Sun, 06 Nov 1994 08:60:00 GMT"sv,
                                "Sun, 06 Nov 1994 08:49:61 GMT"sv,
                                "Sun, -6 Nov 1994 08:49:37 GMT"sv,
                                "Sun, +6 Nov 1994 08:49:37 GMT"sv,
                                "Sun, 06 Nov 19\x30\0 08:49:37 GMT"sv,
                                "Sun, 06-Nov-94 08:49:37 GMT"sv,
                                "Sunday, 06-Nov-1994 08:49:37 GMT"sv,
                                "Sunday, 6-Nov-94 08:49:37 GMT"sv,
                                "Sunday, 06 Nov 94 08:49:37 GMT"sv,
                                "Someday, 06-Nov-94 08:49:37 GMT"sv,
                                "Sun Nov 6 08:49:37 1994"sv,
                                "Sun Nov 06 08:49:37 94"sv,
                                "Sun Nov  6 08:49:37 1994 GMT"sv,
                                "Sun Nov  0 08:49:37 1994"sv,
                                "Sunday Nov  6 08:49:37 1994"sv,
                                "Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT"sv}) {
    EXPECT_EQ(read_date(text, kNow), std::nullopt) << text;
  }
}

TEST(ReadDate, TwoDigitYearsAreAtMostFiftyYearsAhead) {
  const auto year_of = [](const char* text, std::int64_t now) {
    auto read = read_date(text, now);
    return read ? formatted(*read, "%Y") : "refused";
  };
  EXPECT_EQ(year_of("Sunday, 06-Nov-94 08:49:37 GMT", kNow), "1994");
  EXPECT_EQ(year_of("Sunday, 06-Nov-26 08:49:37 GMT", kNow), "2026");
  EXPECT_EQ(year_of("Sunday, 06-Nov-75 08:49:37 GMT", kNow), "2075");
  EXPECT_EQ(year_of("Wednesday, 01-Jan-76 00:00:00 GMT", kNow), "2076");  // 50 years, no more
  EXPECT_EQ(year_of("Wednesday, 01-Jan-76 00:00:01 GMT", kNow), "1976");
  EXPECT_EQ(year_of("Sunday, 06-Nov-77 08:49:37 GMT", kNow), "1977");
  EXPECT_EQ(year_of("Saturday, 01-Jan-00 00:00:00 GMT", kNow), "2000");
  EXPECT_EQ(year_of("Sunday, 06-Nov-05 08:49:37 GMT", 4070908800), "2105");  // in 2099
  EXPECT_EQ(year_of("Sunday, 06-Nov-94 08:49:37 GMT", 784111777), "1994");
  EXPECT_EQ(year_of("Sunday, 06-Nov-70 08:49:37 GMT", 0), "1970");
}

TEST(ReadDate, AnyNowWillDo) {
  for (std::int64_t now : {INT64_MIN, INT64_MAX, kFirst, kLast, std::int64_t{-1}}) {
    EXPECT_TRUE(read_date("Sunday, 06-Nov-94 08:49:37 GMT", now)) << now;
  }
}

TEST(DateProperty, AgreesWithTheCLibraryAndComesBack) {
  std::mt19937_64 random(9110);
  std::uniform_int_distribution<std::int64_t> anywhen(kFirst + 366 * 86400, kLast);
  std::uniform_int_distribution<std::int64_t> near(kNow - 49LL * 31556952, kNow + 49LL * 31556952);
  for (int i = 0; i < 50000; ++i) {
    std::int64_t seconds = anywhen(random);
    std::string text = written(seconds);
    if (seconds > -30610224000) {  // from the year 1000 on strftime writes four digits
      ASSERT_EQ(text, formatted(seconds, "%a, %d %b %Y %H:%M:%S GMT"));
      ASSERT_EQ(read_date(formatted(seconds, "%a %b %e %H:%M:%S %Y"), kNow), seconds) << text;
    }
    ASSERT_EQ(read_date(text, kNow), seconds) << text;
    seconds = near(random);
    text = formatted(seconds, "%A, %d-%b-%y %H:%M:%S GMT");
    ASSERT_EQ(read_date(text, kNow), seconds) << text;
  }
}

TEST(DateProperty, EveryDayOfFourCenturiesFollowsTheOneBefore) {
  for (std::int64_t day = -365; day < 146097; ++day) {
    std::string text = written(day * 86400 + 43200);
    ASSERT_EQ(text, formatted(day * 86400 + 43200, "%a, %d %b %Y %H:%M:%S GMT"));
  }
}

TEST(DateProperty, EveryCutIsRefused) {
  for (std::string_view text : {"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
                                "Sun Nov  6 08:49:37 1994"}) {
    for (std::size_t size = 0; size < text.size(); ++size) {
      EXPECT_EQ(read_date(text.substr(0, size), kNow), std::nullopt) << text.substr(0, size);
      EXPECT_EQ(read_date(text.substr(size + 1), kNow), std::nullopt) << text.substr(size + 1);
    }
  }
}

}  // namespace
}  // namespace sluice::http
