// tests/crypto/digest_test.cpp - known answers, threads, and how often memory is asked for.
//
// FIPS 180-4 (SHA), FIPS 197 (AES). Layer: tests.
#include "crypto/digest.hpp"

#include <gtest/gtest.h>
#include <openssl/crypto.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace sluice::crypto {
namespace {

std::atomic<std::uint64_t> allocations{0};

void* counted_malloc(std::size_t size, const char*, int) {
  ++allocations;
  return std::malloc(size);
}
void* counted_realloc(void* memory, std::size_t size, const char*, int) {
  ++allocations;
  return std::realloc(memory, size);
}
void counted_free(void* memory, const char*, int) { std::free(memory); }

// Before libcrypto asks for its first memory: afterwards it cannot be told.
const bool counting = CRYPTO_set_mem_functions(counted_malloc, counted_realloc, counted_free) == 1;

template <std::size_t N>
std::string hex(const std::array<std::byte, N>& bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const std::byte b : bytes) {
    text += kDigits[std::to_integer<std::size_t>(b >> 4)];
    text += kDigits[std::to_integer<std::size_t>(b & std::byte{15})];
  }
  return text;
}

std::array<std::byte, 16> counting_up(unsigned from, unsigned step) {
  std::array<std::byte, 16> block;
  for (unsigned i = 0; i < 16; ++i) block[i] = static_cast<std::byte>(from + i * step);
  return block;
}

TEST(Digest, Sha1KnownAnswers) {
  EXPECT_EQ(hex(sha1({})), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
  EXPECT_EQ(hex(sha1(as_bytes("abc"))), "a9993e364706816aba3e25717850c26c9cd0d89d");
  EXPECT_EQ(hex(sha1(as_bytes("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"))),
            "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
  EXPECT_EQ(hex(sha1(as_bytes(std::string(1'000'000, 'a')))),
            "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
}

TEST(Digest, Sha256KnownAnswers) {
  EXPECT_EQ(hex(sha256({})), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hex(sha256(as_bytes("abc"))),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hex(sha256(as_bytes(std::string(1'000'000, 'a')))),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Random, FillsWhatItIsGiven) {
  random_bytes({});
  std::set<std::array<std::byte, 16>> seen;
  for (int i = 0; i < 1000; ++i) {
    std::array<std::byte, 16> block{};
    random_bytes(block);
    EXPECT_TRUE(seen.insert(block).second);
  }
  // In 4,096 bytes each value is missing with a chance of one in nine million: look at three runs.
  std::vector<std::byte> many(3 * 4096);
  random_bytes(many);
  EXPECT_EQ(std::set<std::byte>(many.begin(), many.end()).size(), 256u);
}

TEST(BlockCipher, KnownAnswer) {
  const BlockCipher cipher(counting_up(0, 1));
  const auto plain = counting_up(0, 0x11);
  EXPECT_EQ(hex(cipher.encrypt(plain)), "69c4e0d86a7b0430d8cdb78070b4c55a");
  EXPECT_EQ(cipher.decrypt(cipher.encrypt(plain)), plain);
}

// Two ciphers used in turn on one thread do not see each other's key.
TEST(BlockCipher, KeysDoNotMix) {
  const BlockCipher one(counting_up(0, 1)), two(counting_up(1, 3));
  const auto plain = counting_up(7, 5);
  const auto by_one = one.encrypt(plain), by_two = two.encrypt(plain);
  EXPECT_NE(by_one, by_two);
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(one.encrypt(plain), by_one);
    EXPECT_EQ(two.encrypt(plain), by_two);
    EXPECT_EQ(two.decrypt(by_two), plain);
    EXPECT_EQ(one.decrypt(by_one), plain);
    EXPECT_NE(one.decrypt(by_two), plain);
  }
}

TEST(BlockCipher, EveryBlockComesBack) {
  std::array<std::byte, 16> key{}, block{};
  for (int i = 0; i < 2000; ++i) {
    random_bytes(block);
    if (i % 100 == 0) random_bytes(key);
    const BlockCipher cipher(key);
    const auto hidden = cipher.encrypt(block);
    ASSERT_NE(hidden, block);
    ASSERT_EQ(cipher.decrypt(hidden), block);
  }
}

TEST(Threads, ShareNothingThatMatters) {
  const BlockCipher cipher(counting_up(3, 1));
  std::atomic<int> wrong{0};
  {
    std::vector<std::jthread> threads;
    for (unsigned t = 0; t < 4; ++t) {
      threads.emplace_back([&cipher, &wrong, t] {
        std::array<std::byte, 16> block = counting_up(t, t + 1);
        const std::string text(t * 100, 'x');
        const auto want = sha1(as_bytes(text));
        for (int i = 0; i < 2000; ++i) {
          const auto hidden = cipher.encrypt(block);
          if (cipher.decrypt(hidden) != block || sha1(as_bytes(text)) != want) ++wrong;
          block = hidden;
        }
        random_bytes(block);
      });
    }
  }
  EXPECT_EQ(wrong, 0);
}

TEST(Memory, IsHardlyAskedForAfterTheFirstUse) {
  ASSERT_TRUE(counting);
  const BlockCipher cipher(counting_up(9, 2));
  std::array<std::byte, 16> block{};
  const auto use = [&] {
    random_bytes(block);
    block = cipher.decrypt(cipher.encrypt(block));
  };
  use();
  std::uint64_t before = allocations;
  EXPECT_GT(before, 0u);
  for (int i = 0; i < 100; ++i) use();
  EXPECT_EQ(allocations, before);

  static_cast<void>(sha1(block));
  static_cast<void>(sha256(block));
  before = allocations;
  for (int i = 0; i < 100; ++i) static_cast<void>(sha1(block));
  for (int i = 0; i < 100; ++i) static_cast<void>(sha256(block));
  EXPECT_LE(allocations, before + 200);
}

}  // namespace
}  // namespace sluice::crypto
