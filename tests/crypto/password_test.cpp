// tests/crypto/password_test.cpp - hashes of other programs are verified, our own come back.
//
// crypt(5), RFC 9106. Layer: tests.
#include "crypto/password.hpp"

#include <gtest/gtest.h>

namespace sluice::crypto {
namespace {

using enum PasswordAlgorithm;

// openssl passwd -6 and -5; the test vector of the argon2 reference implementation.
constexpr std::string_view kSha512 =
    "$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/"
    "jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/";
constexpr std::string_view kSha256 = "$5$saltsalt$gOjOtoMpVhru2uyjeJSEc/JaLQWOXMNmlOnj6T4AtC.";
constexpr std::string_view kArgon2id =
    "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";

TEST(Password, HashesOfOthersAreVerified) {
  for (const std::string_view hash : {kSha512, kSha256, kArgon2id}) {
    EXPECT_TRUE(is_password_hash(hash)) << hash;
    EXPECT_TRUE(verify_password("password", hash)) << hash;
    EXPECT_FALSE(verify_password("Password", hash)) << hash;
    EXPECT_FALSE(verify_password("", hash)) << hash;
    EXPECT_FALSE(verify_password(std::string_view("password\0", 9), hash)) << hash;
  }
}

TEST(Password, OwnHashesComeBack) {
  for (const PasswordAlgorithm algorithm : {yescrypt, argon2id}) {
    const auto hash = hash_password("gr\xc3\xbc\xc3\x9f dich", algorithm);
    ASSERT_TRUE(hash) << hash.error().message();
    EXPECT_TRUE(is_password_hash(*hash)) << *hash;
    EXPECT_TRUE(hash->starts_with(algorithm == yescrypt ? "$y$" : "$argon2id$")) << *hash;
    EXPECT_TRUE(verify_password("gr\xc3\xbc\xc3\x9f dich", *hash));
    EXPECT_FALSE(verify_password("gr\xc3\xbc\xc3\x9f Dich", *hash));
    const auto again = hash_password("gr\xc3\xbc\xc3\x9f dich", algorithm);
    ASSERT_TRUE(again);
    EXPECT_NE(*hash, *again);  // another salt
  }
}

TEST(Password, WhatIsNoHashFitsNothing) {
  for (const std::string_view hash :
       {"", "password", "*", "!", "x", "$", "$y$", "$6$saltsalt$",
        "$1$saltsalt$qjXMvbEw8oaL.CzflDtaK/", "5f4dcc3b5aa765d61d8327deb882cf99", "ab8AOUIx4zVMQ",
        "$2y$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui", "$argon2id$",
        "$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA"}) {
    EXPECT_FALSE(is_password_hash(hash)) << hash;
    EXPECT_FALSE(verify_password("password", hash)) << hash;
  }
  // What begins like a hash and is none.
  EXPECT_FALSE(verify_password("password", std::string(kSha512) + "x"));
  EXPECT_FALSE(verify_password("password", kSha512.substr(0, kSha512.size() - 1)));
  EXPECT_FALSE(verify_password("password", "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$"));
  EXPECT_FALSE(verify_password("password", "$y$j9T$" + std::string(60, '!')));
  EXPECT_FALSE(is_password_hash("$6$" + std::string(40, 'a') + "\n"));
  EXPECT_FALSE(is_password_hash("$6$" + std::string(40, 'a') + ":"));
}

TEST(Password, LengthsAreBounded) {
  const std::string most(kMostPasswordBytes, 'p');
  for (const PasswordAlgorithm algorithm : {yescrypt, argon2id}) {
    const auto hash = hash_password(most, algorithm);
    ASSERT_TRUE(hash) << hash.error().message();
    EXPECT_TRUE(verify_password(most, *hash));
    EXPECT_FALSE(verify_password(most + "p", *hash));
    EXPECT_EQ(hash_password(most + "p", algorithm).error().code, Errc::invalid_argument);
    EXPECT_EQ(hash_password("", algorithm).error().code, Errc::invalid_argument);
    EXPECT_EQ(hash_password(std::string_view("a\0b", 3), algorithm).error().code,
              Errc::invalid_argument);
  }
  EXPECT_TRUE(is_password_hash("$6$" + std::string(kMostPasswordHashBytes - 3, 'a')));
  EXPECT_FALSE(is_password_hash("$6$" + std::string(kMostPasswordHashBytes - 2, 'a')));
}

TEST(Password, NobodysHashIsOneAndTheSame) {
  EXPECT_TRUE(is_password_hash(nobody_hash()));
  EXPECT_TRUE(nobody_hash().starts_with("$y$"));
  EXPECT_EQ(nobody_hash().data(), nobody_hash().data());
  EXPECT_FALSE(verify_password("password", nobody_hash()));
}

}  // namespace
}  // namespace sluice::crypto
