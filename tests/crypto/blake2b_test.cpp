// tests/crypto/blake2b_test.cpp - known answers of keyed BLAKE2b, however the message is cut.
//
// Key 00 01 .. 1f, messages 00 01 02 .. of each length, by Python's hashlib, which has the
// reference implementation. Layer: tests.
#include "crypto/blake2b.hpp"

#include <gtest/gtest.h>

#include <string>

#include "crypto/hex.hpp"

namespace sluice::crypto {
namespace {

std::array<std::byte, 32> counting_key() {
  std::array<std::byte, 32> key{};
  for (std::size_t i = 0; i < key.size(); ++i) key[i] = static_cast<std::byte>(i);
  return key;
}

std::string counting(std::size_t size) {
  std::string message;
  for (std::size_t i = 0; i < size; ++i) message += static_cast<char>(i);
  return message;
}

TEST(Blake2b, KnownAnswers) {
  struct Case {
    std::size_t size;
    const char* hash;
  };
  const Case cases[] = {
      {0, "4e51e7a913fc80137da52880fecca175bf81e117d5c68126dc2774033517ea0d"},
      {1, "41ff93a4eaeebd3b78a93438a6f62a92ab5959c859e682b72c7def406197ca4d"},
      {8, "04b80510e5e9ad383d1a354f2d7cfb7ada56caefa6de9e17989316701975b384"},
      {127, "12879e69734944f25f9ed95cbfdbb3659a307e485ed8ec118ce7c60f107357f1"},
      {128, "138893f1631ef3165629515d6ed800da3771b7926dced294205c7507351deebc"},
      {129, "ca60f75cbb714330c046d8f28b4ed351a3ee81776bb02a96abb646fe573e3d5c"},
      {256, "b42be36ea26392f67d1d3706ffa72b6c61c2ff38e1fabd9a49e154d54b967d83"},
      {1000, "35ef19e1b0264b96e9d2f9c1ded07ab910b83e31c06559b5794ad4682e44f54a"},
  };
  for (const Case& one : cases) {
    const std::string message = counting(one.size);
    const Bytes all = as_bytes(message);
    EXPECT_EQ(to_hex(blake2b(counting_key(), {all})), one.hash) << one.size;
    for (std::size_t cut = 0; cut <= all.size(); ++cut) {
      ASSERT_EQ(to_hex(blake2b(counting_key(), {all.first(cut), {}, all.subspan(cut)})), one.hash)
          << one.size << " cut at " << cut;
    }
  }
}

TEST(Blake2b, EveryBitOfTheKeyCounts) {
  const auto hash = blake2b(counting_key(), {as_bytes("joe")});
  for (std::size_t bit = 0; bit < 256; ++bit) {
    auto key = counting_key();
    key[bit / 8] ^= static_cast<std::byte>(1 << (bit % 8));
    EXPECT_NE(blake2b(key, {as_bytes("joe")}), hash) << bit;
  }
}

}  // namespace
}  // namespace sluice::crypto
