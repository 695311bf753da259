// proto/auth/jws.hpp - a signed text in compact form, believed only after its signature.
//
// RFC 7515 sections 3.1, 4.1, 5.2, 7.1; RFC 8725 (best practices). Layer: proto. No I/O.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include <sluice/result.hpp>

#include "proto/auth/jwks.hpp"

namespace sluice::auth {

inline constexpr std::size_t kMostTokenBytes = 8192;
// A token without `kid` is tried with so many keys of its algorithm.
inline constexpr std::size_t kMostKeysTried = 4;

struct Jws {
  crypto::SignatureAlgorithm algorithm;
  std::string kid;   // empty: none
  std::string type;  // `typ`; empty: none
  std::string payload;
};

// header.payload.signature, each in base64url. The algorithm must be one of `allowed` and that of
// the key; `none` is none of them. A key that the header brings or links to (jwk, jku, x5c, x5u) is
// not looked at, a header with `crit` is refused.
//
// Errors: auth_bad_token (form, header, algorithm), auth_bad_signature (no key, or it does not
// fit). The detail is for an operator and holds nothing of the payload.
Result<Jws> verify_jws(std::string_view token, const JwkSet& keys,
                       std::span<const crypto::SignatureAlgorithm> allowed);

}  // namespace sluice::auth
