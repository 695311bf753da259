// tests/service/upload/file_name_test.cpp - names of clients, made safe or refused.
#include "service/upload/file_name.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace sluice::service {
namespace {

using namespace std::string_view_literals;

TEST(UploadNames, AreMadeSafe) {
  struct Case {
    std::string_view sent, name;
  };
  const std::string longest(255, 'x');
  const Case cases[] = {
      {"a.txt", "a.txt"},
      {"Übung 文.pdf", "Übung 文.pdf"},
      {"C:\\dir\\a.txt", "a.txt"},
      {"/etc/passwd", "passwd"},
      {"../../etc/passwd", "passwd"},
      {"..\\..\\boot.ini", "boot.ini"},
      {"a/b\\c", "c"},
      {"what?*<>|\":.txt", "what_______.txt"},
      {"ends with dots...", "ends with dots"},
      {"ends with spaces  ", "ends with spaces"},
      {"a. . .", "a"},
      {" a", " a"},
      {".gitignore", ".gitignore"},
      {"..a", "..a"},
      {"console.log", "console.log"},
      {"com10.txt", "com10.txt"},
      {"com.txt", "com.txt"},
      {longest, longest},
      {"%2e%2e%2fa", "%2e%2e%2fa"},
      // Their neighbours.
      {"a\u00a0b", "a\u00a0b"},
      {"a\u2027b\u202fc", "a\u2027b\u202fc"},
      {"a\u206ab", "a\u206ab"},
  };
  for (const Case& one : cases) {
    auto name = safe_file_name(one.sent);
    ASSERT_TRUE(name) << one.sent << ": " << name.error().message();
    EXPECT_EQ(*name, one.name);
  }
}

TEST(UploadNames, AreRefused) {
  const std::string too_long(256, 'x');
  const std::string_view cases[] = {
      "",
      ".",
      "..",
      "a/..",
      "a/",
      "..\\",
      "...",
      "   ",
      "a\0b"sv,
      "a\nb",
      "a\x7f",
      "\xff",
      "\xc0\xae",
      "CON",
      "nul.txt",
      "Aux .tar.gz",
      "com1",
      "LPT9.x",
      "COM\u00b9",
      "conin$",
      too_long,
      ".sluice-upload-1",
      "a\u0085b",
      "a\u009f",
      "a\u202egpj.exe",
      "a\u2066b",
      "a\u2069",
      "a\u2028b",
  };
  for (const std::string_view sent : cases) {
    auto name = safe_file_name(sent);
    ASSERT_FALSE(name) << sent;
    EXPECT_EQ(name.error().code, Errc::upload_bad_name);
    EXPECT_FALSE(name.error().detail.empty());
  }
}

TEST(UploadNames, AreNumbered) {
  EXPECT_EQ(marked_name("a.txt", "1"), "a (1).txt");
  EXPECT_EQ(marked_name("a.tar.gz", "12"), "a.tar (12).gz");
  EXPECT_EQ(marked_name("none", "2"), "none (2)");
  EXPECT_EQ(marked_name(".hidden", "2"), ".hidden (2)");
  const std::string ext = marked_name(std::string(251, 'x') + ".txt", "1");
  EXPECT_EQ(ext.size(), kMostNameBytes);
  EXPECT_TRUE(ext.ends_with("x (1).txt"));
  std::string umlauts;
  for (int i = 0; i < 127; ++i) umlauts += "ä";
  const std::string cut = marked_name(umlauts, "1");
  EXPECT_LE(cut.size(), kMostNameBytes);
  EXPECT_TRUE(safe_file_name(cut)) << "no half character";
}

}  // namespace
}  // namespace sluice::service
