// tests/proto/http/field_rules_test.cpp - which fields an application may add.
#include "proto/http/field_rules.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>
#include <string_view>

namespace sluice::http {
namespace {

// Every byte at every place of values of every length around the width of a vector, in memory of
// exactly that size.
TEST(FieldRules, AControlCharacterIsSeenWhereverItStands) {
  for (std::size_t size = 1; size < 50; ++size) {
    const std::unique_ptr<char[]> bytes(new char[size]);
    std::memset(bytes.get(), 'v', size);
    const std::string_view value(bytes.get(), size);
    EXPECT_TRUE(is_value(value));
    for (std::size_t at = 0; at < size; ++at) {
      for (int byte = 0; byte < 256; ++byte) {
        bytes[at] = static_cast<char>(byte);
        EXPECT_EQ(is_value(value), (byte >= 0x20 || byte == '\t') && byte != 0x7f);
      }
      bytes[at] = 'v';
    }
  }
  EXPECT_TRUE(is_value(""));
}

TEST(FieldRules, NamesThatAreTheServers) {
  for (std::string_view name :
       {"Content-Length", "transfer-encoding", "CONNECTION", "Keep-Alive", "upgrade", "Trailer"}) {
    EXPECT_EQ(judge_field(name, "x"), Errc::http_framing_field) << name;
    EXPECT_EQ(judge_field(name, "x\r\n"), Errc::http_response_splitting) << name;
  }
  for (std::string_view name : {"Keep-Aliv", "Keep-Alives", "TE", "Trailers", "Host", "Date",
                                "Content-Type", "X", "!#$%&'*+-.^_`|~09azAZ"}) {
    EXPECT_EQ(judge_field(name, "x"), Errc::none) << name;
  }
  for (std::string_view name : {"", " ", "a b", "a:", "a\r", "h\xc3\xa9", "(a)"}) {
    EXPECT_EQ(judge_field(name, "x\n"), Errc::http_bad_field_name) << name;
  }
}

}  // namespace
}  // namespace sluice::http
