// tests/tls/names_test.cpp - which names are host names, and which certificate a name means.
//
// RFC 6066 section 3, RFC 6125 section 6.4. Layer: tests.
#include "tls/names.hpp"

#include <gtest/gtest.h>

namespace sluice::tls {
namespace {

struct Case {
  std::string text;
  const char* becomes;  // empty: it is no host name
};

TEST(HostName, Table) {
  const std::string label(63, 'a');
  const std::string longest = label + "." + label + "." + label + "." + std::string(61, 'a');
  const Case cases[] = {
      {"example.com", "example.com"},
      {"EXAMPLE.Com", "example.com"},
      {"example.com.", "example.com"},
      {"localhost", "localhost"},
      {"a-b_c.1", "a-b_c.1"},
      {"*.example.com", "*.example.com"},
      {"xn--bcher-kva.example", "xn--bcher-kva.example"},
      {label, label.c_str()},
      {label + "a", ""},
      {longest, longest.c_str()},
      {longest + "a", ""},
      {"", ""},
      {".", ""},
      {"a..b", ""},
      {".a", ""},
      {"a..", ""},
      {"*", ""},
      {"*.", ""},
      {"a.*.b", ""},
      {"f*.example.com", ""},
      {"a b", ""},
      {"a/b", ""},
      {"b\xc3\xbc"
       "cher",
       ""},
      {std::string("a\0b", 3), ""},
  };
  for (const Case& test : cases) {
    const HostName name(test.text);
    EXPECT_EQ(name.view(), test.becomes) << test.text;
    EXPECT_EQ(name.is_valid(), !std::string(test.becomes).empty()) << test.text;
  }
  EXPECT_TRUE(HostName("*.a").is_wildcard());
  EXPECT_FALSE(HostName("a.b").is_wildcard());
}

TEST(NameTable, ExactThenWildcard) {
  NameTable table;
  table.entry("example.com") = 1;
  table.entry("*.example.com") = 2;
  table.entry("www.example.com") = 3;
  table.entry("*.com") = 4;
  EXPECT_EQ(table.find("example.com"), 1u);
  EXPECT_EQ(table.find("Example.COM."), 1u);
  EXPECT_EQ(table.find("a.example.com"), 2u);
  EXPECT_EQ(table.find("www.example.com"), 3u);
  EXPECT_EQ(table.find("a.b.example.com"), NameTable::kNone);
  EXPECT_EQ(table.find("other.com"), 4u);
  EXPECT_EQ(table.find("com"), NameTable::kNone);
  EXPECT_EQ(table.find("*.example.com"), NameTable::kNone);
  EXPECT_EQ(table.find(""), NameTable::kNone);
  EXPECT_EQ(table.find(std::string(300, 'a')), NameTable::kNone);
  EXPECT_EQ(table.find(std::string(189, 'x')), NameTable::kNone);
}

}  // namespace
}  // namespace sluice::tls
