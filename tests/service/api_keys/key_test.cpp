// tests/service/api_keys/key_test.cpp - a key's text: one form, and every typo is seen.
//
// Layer: tests.
#include "service/api_keys/key.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace sluice::api_keys {
namespace {

constexpr std::string_view kAlphabet = "0123456789abcdefghjkmnpqrstvwxyz";

KeyRandom counting() {
  KeyRandom random;
  for (std::size_t i = 0; i < random.size(); ++i) random[i] = static_cast<std::byte>(i * 13);
  return random;
}

TEST(Key, ChecksumIsTheCrcOfTheCatalogue) {
  EXPECT_EQ(crc30(as_bytes("123456789")), 0x04c34abfU);
  EXPECT_EQ(crc30({}), 0u);
}

TEST(Key, ReadsWhatItWrites) {
  const KeyRandom random = counting();
  const crypto::Secret text = format_key("slk", random);
  EXPECT_EQ(text.size(), 3 + 1 + kRandomChars + kCheckChars);
  EXPECT_TRUE(text.view().starts_with("slk_"));
  const auto parts = parse_key(text.view());
  ASSERT_TRUE(parts);
  EXPECT_EQ(parts->prefix, "slk");
  EXPECT_EQ(parts->random, random);
  EXPECT_EQ(format_key(parts->prefix, parts->random).view(), text.view());
}

TEST(Key, ItsTextIsTheContract) {
  // Keys that were issued are read for ever.
  EXPECT_EQ(format_key("slk", KeyRandom{}).view(), "slk_000000000000000000000000000000000k36kj");
  EXPECT_EQ(format_key("acme1", counting()).view(), "acme1_006hm9sm8575pt3nga7ssadprf8dvtqqnh8c06");
}

TEST(Key, OneWrongCharacterIsAlwaysFound) {
  const std::string right(format_key("acme1", counting()).view());
  ASSERT_TRUE(parse_key(right));
  for (std::size_t at = 0; at < right.size(); ++at) {
    for (int c = 0; c < 256; ++c) {
      std::string wrong = right;
      wrong[at] = static_cast<char>(c);
      if (wrong == right) continue;
      EXPECT_FALSE(parse_key(wrong)) << at << " " << c;
    }
  }
}

TEST(Key, TwoThatChangedPlacesAreAlwaysFound) {
  for (int round = 0; round < 20; ++round) {
    const std::string right(new_key("slk").view());
    for (std::size_t at = 0; at + 1 < right.size(); ++at) {
      std::string wrong = right;
      std::swap(wrong[at], wrong[at + 1]);
      EXPECT_EQ(parse_key(wrong).has_value(), wrong == right) << at;
    }
  }
}

TEST(Key, DamageWithinSixCharactersIsAlwaysFound) {
  const std::string right(format_key("slk", counting()).view());
  std::uint32_t state = 1;
  const auto any = [&state] { return state = state * 1664525 + 1013904223, state >> 16; };
  for (std::size_t at = 4; at + 6 <= right.size(); ++at) {
    for (int round = 0; round < 200; ++round) {
      std::string wrong = right;
      for (std::size_t i = 0; i < 6; ++i) wrong[at + i] = kAlphabet[any() % 32];
      EXPECT_EQ(parse_key(wrong).has_value(), wrong == right) << at << " " << wrong;
    }
  }
}

TEST(Key, MissingAndAddedCharacters) {
  const std::string right(format_key("slk", counting()).view());
  for (std::size_t at = 0; at <= right.size(); ++at) {
    std::string longer = right;
    longer.insert(at, 1, '0');
    EXPECT_FALSE(parse_key(longer)) << at;
    EXPECT_FALSE(parse_key(right.substr(0, at) == right ? "" : right.substr(0, at))) << at;
    if (at < right.size()) {
      std::string shorter = right;
      shorter.erase(at, 1);
      EXPECT_FALSE(parse_key(shorter)) << at;
    }
  }
}

TEST(Key, AnotherPrefixIsAnotherKey) {
  const std::string key(format_key("live", counting()).view());
  EXPECT_FALSE(parse_key("test" + key.substr(4)));
  EXPECT_FALSE(parse_key("x" + key));
}

TEST(Key, WhatIsNoKey) {
  for (const char* text : {"", "_", "slk", "slk_", "hello", "Bearer slk_"}) {
    EXPECT_FALSE(parse_key(text)) << text;
  }
  EXPECT_FALSE(parse_key(std::string(kMostKeyChars, '0')));
  EXPECT_FALSE(parse_key(std::string(kMostKeyChars + 1, '0')));
  EXPECT_FALSE(parse_key(std::string(1 << 20, 'a')));
}

TEST(Key, Prefixes) {
  for (const char* good : {"a", "slk", "k1", "abcdefghijklmnop"}) EXPECT_TRUE(is_prefix(good));
  for (const char* bad : {"", "1k", "Slk", "a_b", "a-b", "abcdefghijklmnopq", "\xc3\xa4"}) {
    EXPECT_FALSE(is_prefix(bad)) << bad;
  }
  const crypto::Secret longest = new_key("abcdefghijklmnop");
  EXPECT_EQ(longest.size(), kMostKeyChars);
  EXPECT_TRUE(parse_key(longest.view()));
}

TEST(Key, NewOnesDiffer) {
  std::set<std::string> texts, ids;
  for (int i = 0; i < 1000; ++i) {
    texts.insert(std::string(new_key("slk").view()));
    ids.insert(new_id());
  }
  EXPECT_EQ(texts.size(), 1000u);
  EXPECT_EQ(ids.size(), 1000u);
  for (const std::string& id : ids) EXPECT_TRUE(is_id(id)) << id;
  for (const std::string& text : texts) EXPECT_TRUE(parse_key(text)) << text;
}

TEST(Key, Ids) {
  EXPECT_FALSE(is_id(""));
  EXPECT_FALSE(is_id("0123456789abcde"));
  EXPECT_FALSE(is_id("0123456789abcdefg"));
  EXPECT_FALSE(is_id("0123456789abcdei"));
  EXPECT_TRUE(is_id("0123456789abcdef"));
}

}  // namespace
}  // namespace sluice::api_keys
