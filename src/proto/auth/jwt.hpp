// proto/auth/jwt.hpp - a token's claims, and whether they are meant for us, now.
//
// RFC 7519 sections 4.1 and 7.2; RFC 8725. Layer: proto. No I/O: the time is given.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/result.hpp>

#include "proto/auth/json.hpp"
#include "proto/auth/jws.hpp"

namespace sluice::auth {

inline constexpr std::size_t kMostAudiences = 32;

struct JwtRules {
  // HS256 must be named: whoever verifies with a shared secret could sign with it, too.
  std::vector<crypto::SignatureAlgorithm> algorithms = {crypto::SignatureAlgorithm::rs256,
                                                        crypto::SignatureAlgorithm::es256,
                                                        crypto::SignatureAlgorithm::eddsa};
  std::string issuer = {};  // empty: any
  // Who we are. A token with `aud` must name one of them, so that without any a token with `aud` is
  // refused; a token without `aud` is refused when there is one.
  std::vector<std::string> audiences = {};
  std::string subject = {};       // empty: any
  std::string type = {};          // `typ`, for example "at+jwt"; empty: any
  bool require_expiry = true;     // a token without `exp` is refused
  std::chrono::seconds skew{60};  // how far clocks may be apart
};

struct JwtClaims {
  std::string issuer, subject, id;
  std::vector<std::string> audiences;
  // Seconds since 1970.
  std::optional<std::int64_t> expires, not_before, issued;
  Json all;
};

// `now` in seconds since 1970. Errors: those of verify_jws; auth_bad_token (claims of a wrong kind,
// no expiry), auth_expired, auth_not_yet_valid (nbf, iat), auth_bad_claim (iss, aud, sub).
Result<JwtClaims> verify_jwt(std::string_view token, const JwkSet& keys, const JwtRules& rules,
                             std::int64_t now);

}  // namespace sluice::auth
