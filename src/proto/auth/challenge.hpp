// proto/auth/challenge.hpp - what a 401 says about how to come in: values of WWW-Authenticate.
//
// RFC 9110 sections 11.3 and 11.6.1, RFC 7616 section 3.3, RFC 7617 section 2, RFC 6750 section 3.
// Layer: proto. No I/O.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/error.hpp>

#include "proto/auth/digest.hpp"

namespace sluice::auth {

inline constexpr std::size_t kMostRealmBytes = 255;

// 1 to kMostRealmBytes bytes of UTF-8 without controls. Precondition of everything below.
bool is_realm(std::string_view realm);

// `error` is why a token was refused; none and auth_required say nothing (RFC 6750 section 3.1).
std::string bearer_challenge(std::string_view realm, Errc error);
std::string basic_challenge(std::string_view realm);

struct DigestOffer {
  std::string_view nonce = {};
  std::string_view opaque = {};  // empty: none
  // The nonce was too old, the rest was right: the client may try again without asking its user.
  bool stale = false;
};
std::string digest_challenge(std::string_view realm, DigestAlgorithm algorithm,
                             const DigestOffer& offer);

// What is switched on.
struct ChallengeRules {
  std::string_view realm = {};
  bool bearer = false, basic = false, digest = false;
  bool allow_md5 = false;
  Errc token_error = Errc::none;
  DigestOffer offer = {};
};
// A value for each scheme, in the order of preference, SHA-256 before MD5 (RFC 7616 section 3.7).
// Each goes into a field of its own: old clients cannot tell two in one field from each other.
std::vector<std::string> challenges(const ChallengeRules& rules);

}  // namespace sluice::auth
