// tests/crypto/siphash_test.cpp - the vectors of SipHash-2-4.
//
// Key 00 01 .. 0f, messages 00 01 02 .. of each length: appendix A of the paper, and the values of
// `openssl mac SIPHASH`. Layer: tests.
#include "crypto/siphash.hpp"

#include <gtest/gtest.h>

#include <string>

#include "crypto/hex.hpp"

namespace sluice::crypto {
namespace {

std::array<std::byte, 16> counting_key() {
  std::array<std::byte, 16> key{};
  for (std::size_t i = 0; i < key.size(); ++i) key[i] = static_cast<std::byte>(i);
  return key;
}

// As the reference writes it: the least significant byte first.
std::string hash_of(std::size_t size) {
  std::string message;
  for (std::size_t i = 0; i < size; ++i) message += static_cast<char>(i);
  const std::uint64_t hash = siphash(counting_key(), as_bytes(message));
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>(hash >> (8 * i));
  return to_hex(as_bytes(bytes));
}

TEST(SipHash, KnownAnswers) {
  EXPECT_EQ(hash_of(0), "310e0edd47db6f72");
  EXPECT_EQ(hash_of(1), "fd67dc93c539f874");
  EXPECT_EQ(hash_of(7), "37d1018bf50002ab");
  EXPECT_EQ(hash_of(8), "6224939a79f5f593");
  EXPECT_EQ(hash_of(9), "b0e4a90bdf82009e");
  EXPECT_EQ(hash_of(15), "e545be4961ca29a1");
  EXPECT_EQ(hash_of(63), "724506eb4c328a95");
  EXPECT_EQ(hash_of(64), "d8ca02850bc4d2ac");
  EXPECT_EQ(hash_of(200), "51165912e59f8410");
}

TEST(SipHash, EveryBitOfTheKeyCounts) {
  const std::string message = "192.0.2.1";
  const std::uint64_t hash = siphash(counting_key(), as_bytes(message));
  for (std::size_t bit = 0; bit < 128; ++bit) {
    auto key = counting_key();
    key[bit / 8] ^= static_cast<std::byte>(1 << (bit % 8));
    EXPECT_NE(siphash(key, as_bytes(message)), hash) << bit;
  }
}

}  // namespace
}  // namespace sluice::crypto
