// crypto/signature.cpp - see signature.hpp; by libcrypto's EVP interface.
//
// Layer: crypto. Thread: any: a key is immutable, contexts belong to one call. What libcrypto says
// of a bad key or signature is taken from its queue again.
#include "crypto/signature.hpp"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>

#include <algorithm>
#include <array>
#include <utility>

#include "crypto/hmac.hpp"
#include "crypto/libcrypto.hpp"
#include "crypto/secret.hpp"

namespace sluice::crypto {
namespace {

using Pkey = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using PkeyContext = std::unique_ptr<EVP_PKEY_CTX, Freed<EVP_PKEY_CTX_free>>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, Freed<EVP_MD_CTX_free>>;
using Number = std::unique_ptr<BIGNUM, Freed<BN_free>>;
using Builder = std::unique_ptr<OSSL_PARAM_BLD, Freed<OSSL_PARAM_BLD_free>>;
using Params = std::unique_ptr<OSSL_PARAM, Freed<OSSL_PARAM_free>>;
using EcdsaSignature = std::unique_ptr<ECDSA_SIG, Freed<ECDSA_SIG_free>>;
using Reader = std::unique_ptr<BIO, Freed<BIO_vfree>>;

constexpr std::size_t kP256Bytes = 32;
constexpr std::size_t kEd25519Bytes = 32;
constexpr std::size_t kEd25519SignatureBytes = 64;

const unsigned char* octets(Bytes bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

Error refused(const char* words) { return {Errc::auth_bad_key, words}; }

Number number_of(Bytes bytes) {
  return Number(BN_bin2bn(octets(bytes), static_cast<int>(bytes.size()), nullptr));
}

Pkey public_key(const char* type, const Params& params) {
  const PkeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY* made = nullptr;
  if (!params || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &made, EVP_PKEY_PUBLIC_KEY, params.get()) != 1) {
    return nullptr;
  }
  return Pkey(made);
}

// JOSE's r and s as the DER that libcrypto wants; empty when it cannot be one.
std::string der_of(Bytes signature) {
  if (signature.size() != 2 * kP256Bytes) return {};
  const EcdsaSignature pair(ECDSA_SIG_new());
  Number r = number_of(signature.first(kP256Bytes)), s = number_of(signature.last(kP256Bytes));
  if (!pair || !r || !s || ECDSA_SIG_set0(pair.get(), r.get(), s.get()) != 1) return {};
  (void)r.release();  // the pair's now
  (void)s.release();
  std::array<unsigned char, 80> der;
  if (i2d_ECDSA_SIG(pair.get(), nullptr) > int(der.size())) return {};
  unsigned char* end = der.data();
  const int size = i2d_ECDSA_SIG(pair.get(), &end);
  return size <= 0 ? std::string()
                   : std::string(reinterpret_cast<char*>(der.data()), std::size_t(size));
}

bool verify_with(EVP_PKEY* key, const EVP_MD* digest, Bytes message, Bytes signature) {
  const DigestContext context(EVP_MD_CTX_new());
  return context && EVP_DigestVerifyInit(context.get(), nullptr, digest, nullptr, key) == 1 &&
         EVP_DigestVerify(context.get(), octets(signature), signature.size(), octets(message),
                          message.size()) == 1;
}

bool is_p256(EVP_PKEY* key) {
  std::array<char, 64> group{};
  std::size_t size = 0;
  return EVP_PKEY_get_group_name(key, group.data(), group.size(), &size) == 1 &&
         std::string_view(group.data(), size) == SN_X9_62_prime256v1;
}

// Why an RSA key is not taken; null when it is.
const char* rsa_problem(EVP_PKEY* key) {
  BIGNUM* taken = nullptr;
  const bool there = EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &taken) == 1;
  const Number e(taken);
  const auto bits = static_cast<std::size_t>(std::max(EVP_PKEY_get_bits(key), 0));
  if (bits < kLeastRsaBits) return "an RSA key needs 2048 bits at least";
  if (bits > kMostRsaBits) return "an RSA key may have 8192 bits at most";
  if (!there || BN_is_odd(e.get()) != 1 || BN_is_one(e.get()) == 1 ||
      static_cast<std::size_t>(BN_num_bytes(e.get())) > kMostExponentBytes) {
    return "the RSA exponent must be odd, above 1 and of 8 bytes at most";
  }
  return nullptr;
}

}  // namespace

class VerifyKey::Key {
 public:
  explicit Key(Secret secret) : secret_(std::move(secret)) {}
  explicit Key(Pkey pkey) : pkey_(std::move(pkey)) {}

  const Secret& secret() const { return secret_; }
  // libcrypto takes keys as not const, and changes none when it verifies.
  EVP_PKEY* pkey() const { return pkey_.get(); }

 private:
  Secret secret_;
  Pkey pkey_;
};

// Finds the algorithm of a public key, or refuses the key.
Result<VerifyKey> VerifyKey::judged(Key key) {
  using enum SignatureAlgorithm;
  EVP_PKEY* pkey = key.pkey();
  if (pkey == nullptr) return refused("this is no public key");
  SignatureAlgorithm algorithm = rs256;
  if (EVP_PKEY_is_a(pkey, "RSA") == 1) {
    if (const char* problem = rsa_problem(pkey)) return refused(problem);
  } else if (EVP_PKEY_is_a(pkey, "EC") == 1) {
    if (!is_p256(pkey)) return refused("of the elliptic curves only P-256 is taken");
    algorithm = es256;
  } else if (EVP_PKEY_is_a(pkey, "ED25519") == 1) {
    algorithm = eddsa;
  } else {
    return refused("the key must be RSA, P-256 or Ed25519");
  }
  return VerifyKey(algorithm, std::make_shared<const Key>(std::move(key)));
}

Result<VerifyKey> VerifyKey::from_secret(Bytes secret) {
  if (secret.size() < kLeastSecretBytes) return refused("a secret needs 32 bytes at least");
  if (secret.size() > kMostSecretBytes) return refused("a secret may have 4096 bytes at most");
  if (as_text(secret).find("-----BEGIN") != std::string_view::npos) {
    return refused("this is a PEM text, not a secret");
  }
  return VerifyKey(SignatureAlgorithm::hs256, std::make_shared<const Key>(Secret(as_text(secret))));
}

Result<VerifyKey> VerifyKey::from_pem(std::string_view text) {
  if (text.size() > kMostPemBytes) return refused("a PEM text may have 16384 bytes at most");
  const Quietly quietly;
  const Reader reader(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  if (!reader) return Errc::out_of_memory;
  // Never asks for a pass phrase: what is encrypted is no public key.
  const auto no_phrase = [](char*, int, int, void*) { return -1; };
  return judged(Key(Pkey(PEM_read_bio_PUBKEY(reader.get(), nullptr, no_phrase, nullptr))));
}

Result<VerifyKey> VerifyKey::from_rsa(Bytes n, Bytes e) {
  if (n.size() > kMostRsaBits / 8) return refused("an RSA key may have 8192 bits at most");
  if (e.empty() || e.size() > kMostExponentBytes) {
    return refused("the RSA exponent must be odd, above 1 and of 8 bytes at most");
  }
  const Quietly quietly;
  const Builder builder(OSSL_PARAM_BLD_new());
  const Number modulus = number_of(n), exponent = number_of(e);
  if (!builder || !modulus || !exponent ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, modulus.get()) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, exponent.get()) != 1) {
    return Errc::out_of_memory;
  }
  return judged(Key(public_key("RSA", Params(OSSL_PARAM_BLD_to_param(builder.get())))));
}

Result<VerifyKey> VerifyKey::from_p256(Bytes x, Bytes y) {
  if (x.size() != kP256Bytes || y.size() != kP256Bytes) {
    return refused("the coordinates of P-256 have 32 bytes each");
  }
  std::array<std::byte, 1 + 2 * kP256Bytes> point;
  point[0] = std::byte{4};  // uncompressed
  std::copy(y.begin(), y.end(), std::copy(x.begin(), x.end(), point.begin() + 1));
  const Quietly quietly;
  const Builder builder(OSSL_PARAM_BLD_new());
  if (!builder ||
      OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME,
                                      SN_X9_62_prime256v1, 0) != 1 ||
      OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(),
                                       point.size()) != 1) {
    return Errc::out_of_memory;
  }
  Pkey key = public_key("EC", Params(OSSL_PARAM_BLD_to_param(builder.get())));
  if (!key) return refused("this is no point on P-256");
  return judged(Key(std::move(key)));
}

Result<VerifyKey> VerifyKey::from_ed25519(Bytes x) {
  if (x.size() != kEd25519Bytes) return refused("an Ed25519 key has 32 bytes");
  const Quietly quietly;
  return judged(
      Key(Pkey(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, octets(x), x.size()))));
}

bool VerifyKey::verify(Bytes message, Bytes signature) const {
  const Quietly quietly;
  switch (algorithm_) {
    case SignatureAlgorithm::hs256:
      return same_secret(hmac_sha256(as_bytes(key_->secret().view()), message), signature);
    case SignatureAlgorithm::rs256:
      return verify_with(key_->pkey(), EVP_sha256(), message, signature);
    case SignatureAlgorithm::es256: {
      const std::string der = der_of(signature);
      return !der.empty() && verify_with(key_->pkey(), EVP_sha256(), message, as_bytes(der));
    }
    case SignatureAlgorithm::eddsa:
      return signature.size() == kEd25519SignatureBytes &&
             verify_with(key_->pkey(), nullptr, message, signature);
  }
  return false;
}

}  // namespace sluice::crypto
