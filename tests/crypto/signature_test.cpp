// tests/crypto/signature_test.cpp - keys in and out of order, signatures made by the openssl
// command.
//
// RFC 7518 sections 3.2 to 3.4, 6.2, 6.3; RFC 8037. Layer: tests.
#include "crypto/signature.hpp"

#include <gtest/gtest.h>
#include <openssl/err.h>

#include <utility>

#include "crypto/base64.hpp"
#include "crypto/hex.hpp"
#include "crypto/hmac.hpp"

namespace sluice::crypto {
namespace {

using enum SignatureAlgorithm;

// openssl genpkey, openssl pkey -pubout; openssl dgst -sha256 -sign and openssl pkeyutl -sign of
// the word `message`. The ECDSA signature was taken out of its DER by hand.
constexpr std::string_view kRsa =
    "-----BEGIN PUBLIC KEY-----\n"
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAwiTiJX248z7xzAibpXI/\n"
    "ZD/1zVrR+oLqcUeb7uthkvZffvrCf5abmltpKPsbckHgqtWi3ijH6pCDMkUW+MZJ\n"
    "ZR2EXdyfJblmkP0wEfUBFeb0ICFolZ8EEywsogXyAJUMUHdjlb+afGpefyEH52aY\n"
    "hDXGU9a4OjnJ8sq7FDRB59VvjkGq4fnTvcZYd2+A+2w12iFQJeoYad2muURCFbnd\n"
    "tBoieRYIp59IG9nNW43Cb/vcN8exicD7EFyxyO7qmUD7wZjIzXsuyT93wzpwI2dc\n"
    "G2s9gFsGQJpNl9DNLYQadmfloiBqExKCfm+DvanVWjL5A+ciVmOa89IdzJyJ2FbI\n"
    "VwIDAQAB\n"
    "-----END PUBLIC KEY-----\n";
constexpr std::string_view kRsaSignature =
    "56b326028454fb391f0de8e3ce03431ce3b4401e476bd5e0f173cb878f8919b2191cf2be522cfa4f"
    "fcb45f683c65934efe263c4ad2791320140a995e2710f3e3f45c73f008945f6690e90dbeb6a37b79"
    "76010d98151232e2cf2f374f1b53b5cb17659a4989e7ba4fa48c745c505f919fbb6ab93e772ed812"
    "4f0505c65baf5bde1cfc7ed32f26d2f5bcdb3149da0ba3fa3940c7d96ec96d75cf3d432ff0809803"
    "c759be44b068f3a041f3d947bbcc7c59b170f2351b26a650728466a938daf4b74a4d30aecafc788b"
    "1c81a7cee2aecb8c2961a09b653534d2e33f4bd4b2cf4207645cb745bc5931e55d8c1c164f6438c4"
    "b349001ea92ba467d5ec077b0587da78";
constexpr std::string_view kP256 =
    "-----BEGIN PUBLIC KEY-----\n"
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEOWZgnbFIwPYr6noPDqVrzD33PWuu\n"
    "bcdUSpgDG9VK/0e6XG3RajUOgIKbFY+YlpfG/HJSn1Jiel2oUSe8Jlh4pg==\n"
    "-----END PUBLIC KEY-----\n";
constexpr std::string_view kP256Signature =
    "9c5b7ed38915d42a26a838db749075c9862b67cb0d276ff6a40acb57088c9581c387eae96a2e62b2"
    "c9a49fdc5e8a191e0115d8b835fb0a2971893d0199847bee";
constexpr std::string_view kEd25519 =
    "-----BEGIN PUBLIC KEY-----\n"
    "MCowBQYDK2VwAyEAGsOYbreg291DBRJWeQ/ciHezAaE75ymASrVKW4LJmnk=\n"
    "-----END PUBLIC KEY-----\n";
constexpr std::string_view kEd25519Signature =
    "22367feb7fc883dd8d0e2f89dcdf8d39fa5b31e97cba374446f3d05e4a37e39f11d0f5abaa64b8c7"
    "6870be77d4bb181b718b71494ffd9db8fb5fe79aeeadf708";
// What is not taken: 1024 and 2040 bits, P-384.
constexpr std::string_view kRsa1024 =
    "-----BEGIN PUBLIC KEY-----\n"
    "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDM12ROGK3J1J42CmD3X6Ks6ZoC\n"
    "bBSkMUgT5XfsWGjDZ7Hc79JozDpEvVAlrzYt/PuBIybGa09V3mA89QhsbJ2wAG78\n"
    "jWpp4OhDekdSgI7mU0WNYWk+D97yyaWyDwHcWWid1qqpJ+e9dwGSGm7eQwvBbAZy\n"
    "X4MwQSM1hldq3RfvrQIDAQAB\n"
    "-----END PUBLIC KEY-----\n";
constexpr std::string_view kRsa2040 =
    "-----BEGIN PUBLIC KEY-----\n"
    "MIIBITANBgkqhkiG9w0BAQEFAAOCAQ4AMIIBCQKCAQAAxCdAppBzGFQXWtsUPYLo\n"
    "NCkjvy5lEkL9VX4joCyi9M8KwERPNOWDfsRjNYYy3XhgnN3qZYpbZkpUPfndN8+7\n"
    "zZJJf6EF5n0JLm/+McDk/21aAwEtzcthL6FSorDd+jtbouoZwtZa5CW4MJEWUysP\n"
    "xXDVmzIaNP0DIqOaQOvHl5EqFNQsS6DGnNM0M8L0YQgmfGEolVe2QYLbOoPBRFl6\n"
    "d21yfUYEzIwjkoMN/FHjJy4wkiYD7U3+K4RGylDxecMFETJY4U+KRvHPMIJWyyqv\n"
    "2P6MBGV0RrLksxulGfuIRyFAzku/Nl92Epoht6YUIxfspcTbx8C0ZaMk21JEP1vF\n"
    "AgMBAAE=\n"
    "-----END PUBLIC KEY-----\n";
constexpr std::string_view kP384 =
    "-----BEGIN PUBLIC KEY-----\n"
    "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEhuwXEx4S1mCfILp69hnTojhhOcf65W+v\n"
    "6GRsbVr2lzr2mzwoxyGkRrz3nimJceEWp/IoC8q0V5n0++iCgCoTnI59kEmw4nls\n"
    "wLEORRdFzh/L8UBFX9BpfKnBUl+q/PRQ\n"
    "-----END PUBLIC KEY-----\n";

VerifyKey pem(std::string_view text) {
  auto key = VerifyKey::from_pem(text);
  EXPECT_TRUE(key) << key.error().message();
  return *key;
}

std::string url(std::string_view text) { return decode_base64url(text).value(); }

void expect_refused(const Result<VerifyKey>& key, std::string_view word) {
  ASSERT_FALSE(key);
  EXPECT_EQ(key.error().code, Errc::auth_bad_key);
  EXPECT_NE(key.error().detail.find(word), std::string::npos) << key.error().detail;
  EXPECT_EQ(ERR_peek_error(), 0u);
}

TEST(Signature, OfTheOpensslCommand) {
  struct Row {
    std::string_view pem, signature;
    SignatureAlgorithm algorithm;
  };
  for (const auto& [text, hex, algorithm] :
       {Row{kRsa, kRsaSignature, rs256}, Row{kP256, kP256Signature, es256},
        Row{kEd25519, kEd25519Signature, eddsa}}) {
    const VerifyKey key = pem(text);
    EXPECT_EQ(key.algorithm(), algorithm);
    const std::string signature = from_hex(hex);
    EXPECT_TRUE(key.verify(as_bytes("message"), as_bytes(signature)));
    EXPECT_FALSE(key.verify(as_bytes("massage"), as_bytes(signature)));
    EXPECT_FALSE(key.verify({}, as_bytes(signature)));
    // Every length but the right one, every byte changed.
    for (std::size_t size = 0; size < signature.size(); ++size) {
      EXPECT_FALSE(key.verify(as_bytes("message"), as_bytes(signature).first(size))) << size;
      std::string changed = signature;
      changed[size] = static_cast<char>(changed[size] ^ 1);
      EXPECT_FALSE(key.verify(as_bytes("message"), as_bytes(changed))) << size;
    }
    EXPECT_FALSE(key.verify(as_bytes("message"), as_bytes(signature + '\0')));
    EXPECT_FALSE(key.verify(as_bytes("message"), as_bytes(std::string(signature.size(), '\0'))));
    EXPECT_FALSE(key.verify(as_bytes("message"), as_bytes(std::string(signature.size(), '\xff'))));
    EXPECT_EQ(ERR_peek_error(), 0u);
  }
}

TEST(Signature, Es256TakesNoDer) {
  const std::string der = from_hex(
      "30460221009c5b7ed38915d42a26a838db749075c9862b67cb0d276ff6a40acb57088c9581022100c387eae96a2e"
      "62b2c9a49fdc5e8a191e0115d8b835fb0a2971893d0199847bee");
  EXPECT_FALSE(pem(kP256).verify(as_bytes("message"), as_bytes(der)));
}

TEST(Signature, Hs256) {
  const std::string secret(kLeastSecretBytes, 's');
  const auto key = VerifyKey::from_secret(as_bytes(secret));
  ASSERT_TRUE(key);
  EXPECT_EQ(key->algorithm(), hs256);
  const auto signature = hmac_sha256(as_bytes(secret), as_bytes("message"));
  EXPECT_TRUE(key->verify(as_bytes("message"), signature));
  EXPECT_FALSE(key->verify(as_bytes("Message"), signature));
  EXPECT_FALSE(key->verify(as_bytes("message"), Bytes(signature).first(31)));
  EXPECT_FALSE(key->verify(as_bytes("message"), {}));
}

TEST(Signature, SecretsHaveLimits) {
  const auto of = [](std::size_t size) {
    return VerifyKey::from_secret(as_bytes(std::string(size, 's')));
  };
  expect_refused(of(kLeastSecretBytes - 1), "32 bytes");
  EXPECT_TRUE(of(kLeastSecretBytes));
  EXPECT_TRUE(of(kMostSecretBytes));
  expect_refused(of(kMostSecretBytes + 1), "4096 bytes");
  expect_refused(VerifyKey::from_secret(as_bytes(kRsa)), "PEM");
}

TEST(Signature, KeysThatAreNotTaken) {
  expect_refused(VerifyKey::from_pem(kRsa1024), "2048");
  expect_refused(VerifyKey::from_pem(kRsa2040), "2048");
  expect_refused(VerifyKey::from_pem(kP384), "P-256");
  expect_refused(VerifyKey::from_pem(""), "no public key");
  expect_refused(VerifyKey::from_pem("-----BEGIN PUBLIC KEY-----\n"), "no public key");
  expect_refused(VerifyKey::from_pem(kRsa.substr(0, kRsa.size() / 2)), "no public key");
  expect_refused(
      VerifyKey::from_pem("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
      "no public key");
  std::string longest(kRsa);
  longest.resize(kMostPemBytes, '\n');
  EXPECT_TRUE(VerifyKey::from_pem(longest));
  expect_refused(VerifyKey::from_pem(longest + '\n'), "16384");
}

TEST(Signature, RsaMembers) {
  const std::string e("\1\0\1", 3);
  const auto of = [&e](std::size_t bytes, char first) {
    std::string n(bytes, '\xff');
    n[0] = first;
    return VerifyKey::from_rsa(as_bytes(n), as_bytes(e));
  };
  expect_refused(of(256, '\x7f'), "2048");  // 2047 bits
  EXPECT_TRUE(of(256, '\xff'));
  EXPECT_TRUE(of(1024, '\xff'));
  expect_refused(of(1025, '\1'), "8192");
  const std::string n(256, '\xff');
  for (const std::string& bad : {std::string(), std::string("\1", 1), std::string("\2", 1),
                                 std::string("\0", 1), std::string(9, '\1')}) {
    expect_refused(VerifyKey::from_rsa(as_bytes(n), as_bytes(bad)), "exponent");
  }
  EXPECT_TRUE(VerifyKey::from_rsa(as_bytes(n), as_bytes(std::string(kMostExponentBytes, '\1'))));
  expect_refused(VerifyKey::from_rsa({}, as_bytes(e)), "");
}

TEST(Signature, PointsOnTheCurve) {
  const std::string x = url("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU");
  const std::string y = url("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0");
  const auto key = VerifyKey::from_p256(as_bytes(x), as_bytes(y));
  ASSERT_TRUE(key) << key.error().message();
  EXPECT_EQ(key->algorithm(), es256);
  expect_refused(VerifyKey::from_p256(as_bytes(y), as_bytes(x)), "no point");
  expect_refused(VerifyKey::from_p256(as_bytes(x), as_bytes(y).first(31)), "32 bytes");
  expect_refused(VerifyKey::from_p256(as_bytes(x + '\0'), as_bytes(y)), "32 bytes");
  expect_refused(
      VerifyKey::from_p256(as_bytes(std::string(32, '\0')), as_bytes(std::string(32, '\0'))),
      "no point");
  const std::string okp = url("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
  EXPECT_EQ(VerifyKey::from_ed25519(as_bytes(okp)).value().algorithm(), eddsa);
  expect_refused(VerifyKey::from_ed25519(as_bytes(okp).first(31)), "32 bytes");
}

TEST(Signature, ErrorsFromBeforeStay) {
  ERR_raise(ERR_LIB_USER, 1);
  EXPECT_FALSE(VerifyKey::from_pem("nothing"));
  EXPECT_FALSE(pem(kEd25519).verify({}, {}));
  EXPECT_NE(ERR_get_error(), 0u);
  EXPECT_EQ(ERR_get_error(), 0u);
}

}  // namespace
}  // namespace sluice::crypto
