// proto/auth/jwks.hpp - the keys that tokens are verified with.
//
// RFC 7517 (JWK Set), RFC 7518 section 6 (RSA, EC, oct), RFC 8037 (OKP). Layer: proto. No I/O.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/result.hpp>

#include "crypto/signature.hpp"

namespace sluice::auth {

inline constexpr std::size_t kMostJwksBytes = 262144;
inline constexpr std::size_t kMostKeys = 64;

struct Jwk {
  std::string kid;  // empty: none; such a key fits every token of its algorithm
  crypto::VerifyKey key;
};

struct JwkSet {
  std::vector<Jwk> keys;
};

// "HS256", "RS256", "ES256", "EdDSA" (RFC 7518 section 3.1, RFC 8037 section 3.1); compared
// exactly.
std::string_view name_of(crypto::SignatureAlgorithm algorithm);
std::optional<crypto::SignatureAlgorithm> signature_algorithm(std::string_view name);

// The text of a JWK Set. Keys that are not for verifying (`use`, `key_ops`), of another `alg`, type
// or curve are passed over (RFC 7517 section 5); private members are not looked at.
//
// Errors: auth_bad_key, with the number of the key and what is wrong: malformed, too weak, a `kid`
// that another key of the same algorithm has, more than kMostKeys, or no key that can be used.
Result<JwkSet> read_jwks(std::string_view text);

}  // namespace sluice::auth
