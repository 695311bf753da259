// tests/base/error_table_test.cpp - walks the enum: no code lacks a row, no row lacks a sentence.
//
// The codes are read from the public header itself, so that a new one cannot be forgotten here.
// Layer: tests.
#include "base/error_table.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>

namespace sluice {
namespace {

// Name to number of every Errc: the lines `name = number,` of the enum.
std::map<std::string, int> declared_codes() {
  std::ifstream in(SLUICE_TEST_SOURCE_DIR "/include/sluice/error.hpp");
  std::map<std::string, int> codes;
  bool inside = false;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("enum class Errc")) inside = true;
    if (inside && line.starts_with("};")) break;
    line = line.substr(0, line.find("//"));
    std::istringstream words(line);
    std::string name, equals;
    int number = 0;
    if (inside && words >> name >> equals >> number && equals == "=") codes[name] = number;
  }
  return codes;
}

TEST(ErrorTable, EveryCodeHasItsRow) {
  const auto codes = declared_codes();
  ASSERT_GT(codes.size(), 50u) << "the header could not be read";
  for (const auto& [name, number] : codes) {
    const ErrorInfo& row = info(Errc(number));
    EXPECT_EQ(row.code, Errc(number)) << name;
    EXPECT_NE(row.sentence, info(Errc(-1)).sentence) << name << " has no row";
  }
}

TEST(ErrorTable, EveryRowHasItsCode) {
  std::set<int> numbers;
  for (const auto& [name, number] : declared_codes()) {
    EXPECT_TRUE(numbers.insert(number).second) << name << " shares its number";
  }
  EXPECT_EQ(base::error_table().size(), numbers.size());
  std::set<int> rows;
  for (const ErrorInfo& row : base::error_table()) {
    EXPECT_TRUE(rows.insert(int(row.code)).second) << "two rows for " << int(row.code);
    EXPECT_TRUE(numbers.contains(int(row.code))) << "a row for " << int(row.code);
    EXPECT_EQ(&info(row.code), &row);
  }
}

TEST(ErrorTable, EverySentenceMayBeShown) {
  for (const ErrorInfo& row : base::error_table()) {
    ASSERT_FALSE(row.sentence.empty()) << int(row.code);
    EXPECT_LT(row.sentence.size(), 100u) << row.sentence;
    EXPECT_NE(row.sentence.back(), '.') << row.sentence;
    for (char c : row.sentence) {
      EXPECT_TRUE(c >= 0x20 && c < 0x7f) << row.sentence;
      EXPECT_NE(c, '<') << row.sentence;
    }
  }
}

TEST(ErrorTable, EveryReasonIsOneWord) {
  for (const ErrorInfo& row : base::error_table()) {
    if (row.code == Errc::none) continue;
    ASSERT_FALSE(row.reason.empty()) << row.sentence;
    for (char c : row.reason) EXPECT_TRUE(c > 0x20 && c < 0x7f) << row.reason;
  }
}

TEST(ErrorTable, EveryAnswerIsOneForTheWire) {
  for (const ErrorInfo& row : base::error_table()) {
    const bool websocket = int(row.code) >= 200 || row.code == Errc::slow_reader;
    const bool status = row.wire >= 400 && row.wire <= 599;
    const bool close_code = row.wire >= 1002 && row.wire <= 1014;
    EXPECT_TRUE(row.wire == 0 || status || (websocket && close_code)) << row.sentence;
  }
}

TEST(ErrorTable, SomeAnswersByName) {
  EXPECT_EQ(info(Errc::none).wire, 0);
  EXPECT_EQ(info(Errc::http_ambiguous_length).wire, 400);
  EXPECT_EQ(info(Errc::http_expectation_failed).wire, 417);
  EXPECT_EQ(info(Errc::http_body_too_large).wire, 413);
  EXPECT_EQ(info(Errc::http_head_too_large).wire, 431);
  EXPECT_EQ(info(Errc::http_version_not_supported).wire, 505);
  EXPECT_EQ(info(Errc::host_not_served).reason, "Hostname");
  EXPECT_EQ(info(Errc::queue_full).wire, 503);
  EXPECT_EQ(info(Errc::queue_full).reason, "QueueFull");
  EXPECT_EQ(info(Errc::reply_abandoned).reason, "Abandoned");
  EXPECT_EQ(info(Errc::ws_bad_mask).wire, 1002);
  EXPECT_EQ(info(Errc::ws_bad_utf8).wire, 1007);
  EXPECT_EQ(info(Errc::ws_message_too_big).wire, 1009);
  EXPECT_EQ(info(Errc::ws_bad_version).wire, 426);
  EXPECT_EQ(info(Errc::slow_reader).wire, 1013);
}

TEST(ErrorTable, AnUnknownNumberHasARowThatSaysSo) {
  const int last = int(base::error_table().back().code);
  for (int number :
       {-1, -2147483647 - 1, 49, last + 1, 255, 256, 511, 512, 513, 65536, 2147483647}) {
    EXPECT_EQ(info(Errc(number)).sentence, "unknown error") << number;
    EXPECT_EQ(info(Errc(number)).wire, 500) << number;
  }
}

TEST(Error, IsFalseWithoutACode) {
  EXPECT_FALSE(Error());
  EXPECT_FALSE(Error(Errc::none));
  EXPECT_TRUE(Error(Errc::gone));
}

TEST(Error, SaysTheSentenceAndTheDetail) {
  EXPECT_EQ(Error(Errc::not_found).message(), "there is no such file");
  EXPECT_EQ(Error(Errc::not_found, "/srv/www/a").message(), "there is no such file: /srv/www/a");
  EXPECT_EQ(Error().message(), "no error");
}

}  // namespace
}  // namespace sluice
