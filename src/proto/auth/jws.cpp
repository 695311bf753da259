// proto/auth/jws.cpp - see jws.hpp.
//
// RFC 7515 section 5.2. Layer: proto. No I/O. Thread: any.
#include "proto/auth/jws.hpp"

#include <algorithm>

#include "crypto/base64.hpp"
#include "proto/auth/json.hpp"

namespace sluice::auth {
namespace {

using crypto::SignatureAlgorithm;

struct Segments {
  std::string_view header, payload, signature;
  std::string_view signed_text;  // the first two and the dot between them
};

bool split(std::string_view token, Segments& segments) {
  const std::size_t first = token.find('.');
  if (first == std::string_view::npos) return false;
  const std::size_t second = token.find('.', first + 1);
  if (second == std::string_view::npos || token.find('.', second + 1) != std::string_view::npos) {
    return false;
  }
  segments = {token.substr(0, first), token.substr(first + 1, second - first - 1),
              token.substr(second + 1), token.substr(0, second)};
  return true;
}

Error bad(const char* words) { return {Errc::auth_bad_token, words}; }

// An optional member that must be a text. False: it is something else.
bool read_text(const Json& object, std::string_view name, std::string& text) {
  const Json* const member = object.find(name);
  if (member == nullptr) return true;
  if (member->kind != Json::Kind::text) return false;
  text = member->text;
  return true;
}

Result<Jws> read_header(std::string_view segment, std::span<const SignatureAlgorithm> allowed) {
  const auto text = crypto::decode_base64url(segment);
  if (!text) return bad("the header is not base64url");
  const auto header = read_json_object(*text, {});
  if (!header) return bad("the header is no JSON object within limits");
  if (header->find("crit") != nullptr) return bad("the header has crit");
  const std::string* const alg = header->find_text("alg");
  const auto algorithm = alg != nullptr ? signature_algorithm(*alg) : std::nullopt;
  if (!algorithm || std::find(allowed.begin(), allowed.end(), *algorithm) == allowed.end()) {
    return bad("the algorithm is not allowed");
  }
  Jws jws = {.algorithm = *algorithm, .kid = {}, .type = {}, .payload = {}};
  if (!read_text(*header, "kid", jws.kid) || !read_text(*header, "typ", jws.type)) {
    return bad("kid and typ must be texts");
  }
  return jws;
}

bool is_signed(const Jws& jws, const JwkSet& keys, Bytes text, Bytes signature) {
  std::size_t tried = 0;
  for (const Jwk& jwk : keys.keys) {
    if (jwk.key.algorithm() != jws.algorithm) continue;
    if (!jws.kid.empty() && !jwk.kid.empty() && jwk.kid != jws.kid) continue;
    if (tried++ == kMostKeysTried) return false;
    if (jwk.key.verify(text, signature)) return true;
  }
  return false;
}

}  // namespace

Result<Jws> verify_jws(std::string_view token, const JwkSet& keys,
                       std::span<const SignatureAlgorithm> allowed) {
  if (token.size() > kMostTokenBytes) return bad("the token is too long");
  Segments segments;
  if (!split(token, segments)) return bad("a token has three segments");
  auto jws = read_header(segments.header, allowed);
  if (!jws) return jws;
  const auto signature = crypto::decode_base64url(segments.signature);
  auto payload = crypto::decode_base64url(segments.payload);
  if (!signature || signature->empty() || !payload) return bad("a segment is not base64url");
  if (!is_signed(*jws, keys, as_bytes(segments.signed_text), as_bytes(*signature))) {
    return Error(Errc::auth_bad_signature, "no key fits");
  }
  jws->payload = std::move(*payload);
  return jws;
}

}  // namespace sluice::auth
