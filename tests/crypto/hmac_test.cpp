// tests/crypto/hmac_test.cpp - known answers of HMAC and MD5, secrets, comparing.
//
// RFC 4231 (HMAC-SHA-256), RFC 2202 (HMAC-SHA-1), RFC 1321 (MD5). Layer: tests.
#include "crypto/hmac.hpp"

#include <gtest/gtest.h>

#include <utility>

#include "crypto/hex.hpp"
#include "crypto/md5.hpp"
#include "crypto/secret.hpp"

namespace sluice::crypto {
namespace {

TEST(Hmac, KnownAnswers) {
  EXPECT_EQ(to_hex(hmac_sha256(as_bytes(std::string(20, '\x0b')), as_bytes("Hi There"))),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(to_hex(hmac_sha256(as_bytes("Jefe"), as_bytes("what do ya want for nothing?"))),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(to_hex(hmac_sha256(as_bytes(std::string(131, '\xaa')),
                               as_bytes("Test Using Larger Than Block-Size Key - Hash Key First"))),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
  EXPECT_EQ(to_hex(hmac_sha1(as_bytes("Jefe"), as_bytes("what do ya want for nothing?"))),
            "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
}

TEST(Hmac, AnEmptyKeyIsAKey) {
  (void)hmac_sha256(as_bytes("another"), as_bytes("x"));
  EXPECT_EQ(to_hex(hmac_sha256({}, {})),
            "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

TEST(Md5, KnownAnswers) {
  EXPECT_EQ(to_hex(md5({}).value()), "d41d8cd98f00b204e9800998ecf8427e");
  EXPECT_EQ(to_hex(md5(as_bytes("abc")).value()), "900150983cd24fb0d6963f7d28e17f72");
}

TEST(Secret, ComparesWholes) {
  EXPECT_TRUE(same_secret("", ""));
  EXPECT_TRUE(same_secret("abc", "abc"));
  EXPECT_FALSE(same_secret("abc", "abd"));
  EXPECT_FALSE(same_secret("abc", "ab"));
  EXPECT_FALSE(same_secret("", "a"));
}

TEST(Secret, IsMovedNotCopied) {
  Secret first("open sesame");
  const char* const where = first.view().data();
  Secret second = std::move(first);
  EXPECT_EQ(second.view(), "open sesame");
  EXPECT_EQ(second.view().data(), where);
  EXPECT_TRUE(first.empty());  // NOLINT: a moved-from secret is empty
  first = std::move(second);
  EXPECT_EQ(first.view(), "open sesame");
  EXPECT_EQ(std::string(first.c_str()), "open sesame");
}

TEST(Secret, WhatIsCutOffIsWiped) {
  Secret secret("password");
  const char* const memory = secret.view().data();
  secret.shrink(4);
  EXPECT_EQ(secret.view(), "pass");
  EXPECT_EQ(std::string_view(memory + 4, 4), std::string_view("\0\0\0\0", 4));
  EXPECT_EQ(std::string(secret.c_str()), "pass");
}

TEST(Secret, AWipedStringHasNothingLeft) {
  std::string text = "a password that is too long for the string object itself";
  const char* const memory = text.data();
  const std::size_t room = text.capacity();
  text = "short now";
  ASSERT_EQ(text.data(), memory);
  wipe(text);
  EXPECT_TRUE(text.empty());
  text.resize(room, '\0');  // its own memory, to be looked at
  ASSERT_EQ(text.data(), memory);
  EXPECT_EQ(text, std::string(room, '\0'));
}

}  // namespace
}  // namespace sluice::crypto
