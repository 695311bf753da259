// proto/auth/digest.hpp - Digest credentials, and what they must say for a user to be believed.
//
// RFC 7616 sections 3.4 (Authorization), 3.3 (what a challenge offered: qop=auth, SHA-256, and MD5
// where it is allowed; no session variants, no user hash, no auth-int). Layer: proto. No I/O.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <sluice/result.hpp>

#include "proto/auth/credentials.hpp"

namespace sluice::auth {

enum class DigestAlgorithm { sha256, md5 };

// "SHA-256", "MD5".
std::string_view name_of(DigestAlgorithm algorithm);
std::optional<DigestAlgorithm> digest_algorithm(std::string_view name);

// Letters in a digest written in hexadecimal: 64 or 32.
constexpr std::size_t hex_size(DigestAlgorithm algorithm) {
  return algorithm == DigestAlgorithm::sha256 ? 64 : 32;
}
// Whether `text` is one: hex_size digits, letters in lower case.
bool is_digest_hex(DigestAlgorithm algorithm, std::string_view text);

struct DigestCredentials {
  std::string user;
  std::string realm;
  std::string nonce;
  // What the client hashed: see is_for_target.
  std::string uri;
  std::string response;
  std::string cnonce;
  std::string opaque;  // empty when it was not sent
  DigestAlgorithm algorithm = DigestAlgorithm::sha256;
  std::string nc;           // as it was sent: eight digits
  std::uint32_t count = 0;  // the same as a number, from 1
};

// `username*` (RFC 8187) is read as well as `username`. Errors: auth_malformed; auth_refused for
// what was not offered: another algorithm or qop, none, a user hash, MD5 unless `allow_md5`.
Result<DigestCredentials> read_digest(const Credentials& credentials, bool allow_md5);

// Whether the uri that was hashed is the target that was asked for, byte by byte; either may be in
// absolute form (section 3.4.6). Without this a response for one resource would open another.
bool is_for_target(const DigestCredentials& credentials, std::string_view raw_target);

// H(user:realm:password) in hexadecimal: what is kept of a user. nullopt: the installation refuses
// this algorithm.
std::optional<std::string> digest_ha1(DigestAlgorithm algorithm, std::string_view user,
                                      std::string_view realm, std::string_view password);

// What the response must be, in hexadecimal (section 3.4.1).
std::optional<std::string> digest_response(const DigestCredentials& credentials,
                                           std::string_view ha1, std::string_view method);

// Whether the response is right; compared in constant time.
bool is_right(const DigestCredentials& credentials, std::string_view ha1, std::string_view method);

}  // namespace sluice::auth
