// proto/auth/jwks.cpp - see jwks.hpp.
//
// Layer: proto. No I/O. Thread: any.
#include "proto/auth/jwks.hpp"

#include <algorithm>

#include "crypto/base64.hpp"
#include "crypto/secret.hpp"
#include "proto/auth/json.hpp"

namespace sluice::auth {
namespace {

using crypto::SignatureAlgorithm;
using crypto::VerifyKey;
using enum SignatureAlgorithm;

constexpr JsonLimits kSetLimits = {.bytes = kMostJwksBytes, .depth = 8, .values = 8192};

// A member in base64url; a secret may be in it.
std::optional<crypto::Secret> member(const Json& jwk, std::string_view name) {
  const std::string* const text = jwk.find_text(name);
  if (text == nullptr || text->empty()) return std::nullopt;
  crypto::Secret bytes(crypto::base64_room(text->size()));
  const auto size = crypto::decode_base64url(*text, bytes.bytes());
  if (!size) return std::nullopt;
  bytes.shrink(*size);
  return bytes;
}

Error malformed(std::string_view name) {
  return {Errc::auth_bad_key, std::string(name) + " is missing or not in base64url"};
}

Result<VerifyKey> read_one(const Json& jwk, std::string_view name,
                           Result<VerifyKey> (*make)(Bytes)) {
  const auto bytes = member(jwk, name);
  if (!bytes) return malformed(name);
  return make(as_bytes(bytes->view()));
}

Result<VerifyKey> read_pair(const Json& jwk, std::string_view first, std::string_view second,
                            Result<VerifyKey> (*make)(Bytes, Bytes)) {
  const auto a = member(jwk, first), b = member(jwk, second);
  if (!a) return malformed(first);
  if (!b) return malformed(second);
  return make(as_bytes(a->view()), as_bytes(b->view()));
}

// The algorithm of the key's type and curve; nullopt: not one of ours.
std::optional<SignatureAlgorithm> algorithm_of(const Json& jwk, const std::string& kty) {
  const std::string* const crv = jwk.find_text("crv");
  if (kty == "RSA") return rs256;
  if (kty == "oct") return hs256;
  if (kty == "EC" && crv != nullptr && *crv == "P-256") return es256;
  if (kty == "OKP" && crv != nullptr && *crv == "Ed25519") return eddsa;
  return std::nullopt;
}

bool is_for_verifying(const Json& jwk) {
  if (const Json* use = jwk.find("use"); use != nullptr && use->text != "sig") return false;
  const Json* const operations = jwk.find("key_ops");
  return operations == nullptr ||
         std::any_of(operations->items.begin(), operations->items.end(),
                     [](const Json& operation) { return operation.text == "verify"; });
}

Result<VerifyKey> read_key(const Json& jwk, SignatureAlgorithm algorithm) {
  switch (algorithm) {
    case rs256:
      return read_pair(jwk, "n", "e", VerifyKey::from_rsa);
    case es256:
      return read_pair(jwk, "x", "y", VerifyKey::from_p256);
    case eddsa:
      return read_one(jwk, "x", VerifyKey::from_ed25519);
    case hs256:
      break;
  }
  return read_one(jwk, "k", VerifyKey::from_secret);
}

// Adds the key unless it is not for us.
Result<void> add_key(const Json& jwk, JwkSet& set) {
  const std::string* const kty = jwk.find_text("kty");
  if (kty == nullptr) return Error(Errc::auth_bad_key, "kty is missing");
  const auto algorithm = algorithm_of(jwk, *kty);
  if (!algorithm || !is_for_verifying(jwk)) return {};
  if (const Json* alg = jwk.find("alg"); alg != nullptr && alg->text != name_of(*algorithm)) {
    return {};
  }
  std::string kid;
  if (const Json* id = jwk.find("kid")) {
    if (id->kind != Json::Kind::text) return Error(Errc::auth_bad_key, "kid is no text");
    kid = id->text;
  }
  for (const Jwk& other : set.keys) {
    if (!kid.empty() && other.kid == kid && other.key.algorithm() == *algorithm) {
      return Error(Errc::auth_bad_key, "its kid is that of another key");
    }
  }
  auto key = read_key(jwk, *algorithm);
  if (!key) return key.error();
  set.keys.push_back({std::move(kid), std::move(*key)});
  return {};
}

// Secrets of `oct` keys do not stay behind.
void wipe_texts(Json& value) {
  crypto::wipe(value.text);
  for (Json& item : value.items) wipe_texts(item);
}

Result<JwkSet> read_keys(const Json& root) {
  const Json* const keys = root.find("keys");
  if (keys == nullptr || keys->kind != Json::Kind::array) {
    return Error(Errc::auth_bad_key, "a JWK Set needs an array `keys`");
  }
  if (keys->items.size() > kMostKeys) {
    return Error(Errc::auth_bad_key,
                 "a JWK Set may have " + std::to_string(kMostKeys) + " keys at most");
  }
  JwkSet set;
  for (std::size_t i = 0; i < keys->items.size(); ++i) {
    const auto added = add_key(keys->items[i], set);
    if (!added) {
      return Error(added.error().code,
                   "key " + std::to_string(i + 1) + ": " + added.error().detail);
    }
  }
  if (set.keys.empty()) return Error(Errc::auth_bad_key, "no key is for verifying signatures");
  return set;
}

}  // namespace

std::string_view name_of(SignatureAlgorithm algorithm) {
  switch (algorithm) {
    case hs256:
      return "HS256";
    case rs256:
      return "RS256";
    case es256:
      return "ES256";
    case eddsa:
      return "EdDSA";
  }
  return {};
}

std::optional<SignatureAlgorithm> signature_algorithm(std::string_view name) {
  for (const SignatureAlgorithm algorithm : {hs256, rs256, es256, eddsa}) {
    if (name == name_of(algorithm)) return algorithm;
  }
  return std::nullopt;
}

Result<JwkSet> read_jwks(std::string_view text) {
  auto root = read_json_object(text, kSetLimits);
  if (!root) {
    return Error(Errc::auth_bad_key, "a JWK Set is a JSON object of " +
                                         std::to_string(kMostJwksBytes) + " bytes at most");
  }
  auto set = read_keys(*root);
  wipe_texts(*root);
  return set;
}

}  // namespace sluice::auth
