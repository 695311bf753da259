// tests/crypto/base64_test.cpp - both alphabets, and everything that is not the one right spelling.
//
// RFC 4648 sections 3.5, 4, 5, 10. Layer: tests.
#include "crypto/base64.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace sluice::crypto {
namespace {

std::optional<std::string> plain(std::string_view text) {
  std::vector<std::byte> out(base64_room(text.size()));
  const auto size = decode_base64(text, out);
  if (!size) return std::nullopt;
  return std::string(as_text(Bytes(out).first(*size)));
}

TEST(Base64, KnownAnswers) {
  constexpr std::pair<std::string_view, std::string_view> rows[] = {{"", ""},
                                                                    {"f", "Zg=="},
                                                                    {"fo", "Zm8="},
                                                                    {"foo", "Zm9v"},
                                                                    {"foob", "Zm9vYg=="},
                                                                    {"fooba", "Zm9vYmE="},
                                                                    {"foobar", "Zm9vYmFy"},
                                                                    {"\xfb\xff\xfe", "+//+"}};
  for (const auto& [bytes, text] : rows) {
    EXPECT_EQ(base64(as_bytes(bytes)), text);
    EXPECT_EQ(plain(text), bytes);
  }
  EXPECT_EQ(base64url(as_bytes("\xfb\xff\xfe")), "-__-");
  EXPECT_EQ(base64url(as_bytes("f")), "Zg");
  EXPECT_EQ(decode_base64url("-__-"), "\xfb\xff\xfe");
}

TEST(Base64, OneSpellingForEachValue) {
  for (const char* text : {"Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "Z", "====", "=", "Zg==Zg==",
                           "Zm9v\n", " Zm9v", "Zm-v", "Zm_v", "Z=g=", "Zm9v=", "Zm9v===="}) {
    EXPECT_FALSE(plain(text)) << text;
  }
  for (const char* text : {"Zg==", "Zh", "Zm9", "Z", "Zm+v", "Zm/v", "Zm9v\n", "Zm9v=", "Zm 9v"}) {
    EXPECT_FALSE(decode_base64url(text)) << text;
  }
  EXPECT_FALSE(decode_base64url(std::string_view("Zm\0v", 4)));
}

TEST(Base64, EveryByteAndLengthComesBack) {
  std::string bytes;
  for (int i = 0; i < 300; ++i) {
    EXPECT_EQ(plain(base64(as_bytes(bytes))), bytes);
    EXPECT_EQ(decode_base64url(base64url(as_bytes(bytes))), bytes);
    bytes += static_cast<char>(i * 37);
  }
}

}  // namespace
}  // namespace sluice::crypto
