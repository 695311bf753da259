// crypto/signature.hpp - keys that signatures are verified with, for JOSE.
//
// RFC 7518 sections 3.2 (HS256), 3.3 (RS256), 3.4 (ES256), RFC 8037 (EdDSA with Ed25519). A key has
// exactly one algorithm, its own: no text from outside chooses another. Layer: crypto. Thread: any.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

#include <sluice/bytes.hpp>
#include <sluice/result.hpp>

namespace sluice::crypto {

enum class SignatureAlgorithm { hs256, rs256, es256, eddsa };

inline constexpr std::size_t kLeastSecretBytes = 32;  // RFC 7518 section 3.2
inline constexpr std::size_t kMostSecretBytes = 4096;
inline constexpr std::size_t kLeastRsaBits = 2048;  // RFC 7518 section 3.3
inline constexpr std::size_t kMostRsaBits = 8192;   // what one verification may cost
inline constexpr std::size_t kMostExponentBytes = 8;
inline constexpr std::size_t kMostPemBytes = 16384;

// A public key, or the secret of HS256, which is wiped when the last copy goes. A value: copies
// share what is immutable.
class VerifyKey {
 public:
  // What all of these refuse, they refuse with auth_bad_key and words for the operator.

  // A PEM text is refused: somebody's public key is no secret.
  static Result<VerifyKey> from_secret(Bytes secret);
  // SubjectPublicKeyInfo (`BEGIN PUBLIC KEY`), one: RSA, P-256 or Ed25519.
  static Result<VerifyKey> from_pem(std::string_view text);
  // RFC 7518 section 6.3.1: modulus and exponent, big-endian.
  static Result<VerifyKey> from_rsa(Bytes n, Bytes e);
  // RFC 7518 section 6.2.1: a point on P-256, 32 bytes each.
  static Result<VerifyKey> from_p256(Bytes x, Bytes y);
  // RFC 8037 section 2: 32 bytes.
  static Result<VerifyKey> from_ed25519(Bytes x);

  SignatureAlgorithm algorithm() const { return algorithm_; }
  // False for every signature that is not valid, of any length. ES256 is 64 bytes, r and s.
  bool verify(Bytes message, Bytes signature) const;

 private:
  class Key;
  VerifyKey(SignatureAlgorithm algorithm, std::shared_ptr<const Key> key)
      : algorithm_(algorithm), key_(std::move(key)) {}
  static Result<VerifyKey> judged(Key key);

  SignatureAlgorithm algorithm_;
  std::shared_ptr<const Key> key_;
};

}  // namespace sluice::crypto
