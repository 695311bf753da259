// service/auth/auth_rules.cpp - see auth_rules.hpp.
//
// Layer: service. Blocks on a disk: at start.
#include "service/auth/auth_rules.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/arena.hpp"
#include "crypto/signature.hpp"
#include "proto/auth/challenge.hpp"
#include "proto/http/target.hpp"
#include "service/auth/secret_file.hpp"

namespace sluice::service {
namespace {

using namespace std::chrono_literals;
using crypto::SignatureAlgorithm;

constexpr std::size_t kMostPathSegments = 255;

Error bad(std::string_view setting, std::string_view why) {
  return {Errc::bad_setting,
          std::string("authentication.") + std::string(setting) + " " + std::string(why)};
}

SignatureAlgorithm algorithm_of(TokenAlgorithm algorithm) {
  switch (algorithm) {
    case TokenAlgorithm::hs256:
      return SignatureAlgorithm::hs256;
    case TokenAlgorithm::rs256:
      return SignatureAlgorithm::rs256;
    case TokenAlgorithm::es256:
      return SignatureAlgorithm::es256;
    case TokenAlgorithm::eddsa:
      return SignatureAlgorithm::eddsa;
  }
  return SignatureAlgorithm::eddsa;
}

bool has_secret(const auth::JwkSet& keys) {
  return std::any_of(keys.keys.begin(), keys.keys.end(), [](const auth::Jwk& jwk) {
    return jwk.key.algorithm() == SignatureAlgorithm::hs256;
  });
}

Error add_key(std::string_view setting, Result<crypto::VerifyKey> key, auth::JwkSet& keys) {
  if (!key) return bad(setting, "cannot be used: " + key.error().message());
  keys.keys.push_back({{}, std::move(*key)});
  return {};
}

Error read_jwks_file(const std::string& file, auth::JwkSet& keys) {
  auto text = read_secret_text(file, FileMode::any);
  if (!text) return bad("bearer.jwks_file", "cannot be read: " + text.error().message());
  auto read = auth::read_jwks(text->view());
  if (!read) return bad("bearer.jwks_file", "cannot be used: " + read.error().message());
  if (has_secret(*read)) {
    text = read_secret_text(file, FileMode::owner_only);
    if (!text) return bad("bearer.jwks_file", "has a secret in it: " + text.error().message());
  }
  std::move(read->keys.begin(), read->keys.end(), std::back_inserter(keys.keys));
  return {};
}

Error read_keys(const BearerAuthentication& bearer, auth::JwkSet& keys) {
  for (const std::string& file : bearer.key_files) {
    auto text = read_secret_text(file, FileMode::any);
    if (!text) return bad("bearer.key_files", "cannot be read: " + text.error().message());
    auto key = crypto::VerifyKey::from_pem(text->view());
    if (Error wrong = add_key("bearer.key_files (" + file + ")", std::move(key), keys)) {
      return wrong;
    }
  }
  if (!bearer.jwks_file.empty()) {
    if (Error wrong = read_jwks_file(bearer.jwks_file, keys)) return wrong;
  }
  if (!bearer.secret.empty()) {
    auto key = crypto::VerifyKey::from_secret(as_bytes(bearer.secret));
    if (Error wrong = add_key("bearer.secret", std::move(key), keys)) return wrong;
  }
  if (keys.keys.empty()) {
    return bad("bearer", "needs a key: set key_files, jwks_file or secret");
  }
  return {};
}

Error make_token_rules(const BearerAuthentication& bearer, AuthRules& rules) {
  if (Error wrong = read_keys(bearer, rules.keys)) return wrong;
  auth::JwtRules& tokens = rules.tokens;
  tokens.algorithms.clear();
  for (const TokenAlgorithm algorithm : bearer.algorithms) {
    tokens.algorithms.push_back(algorithm_of(algorithm));
  }
  const auto is_allowed = [&](SignatureAlgorithm algorithm) {
    return std::find(tokens.algorithms.begin(), tokens.algorithms.end(), algorithm) !=
           tokens.algorithms.end();
  };
  for (const auth::Jwk& jwk : rules.keys.keys) {
    if (is_allowed(jwk.key.algorithm())) continue;
    return bad("bearer.algorithms", "must name " + std::string(auth::name_of(jwk.key.algorithm())) +
                                        ": there is a key for it");
  }
  tokens.issuer = bearer.issuer;
  tokens.audiences = bearer.audience;
  tokens.require_expiry = bearer.require_expiry;
  tokens.skew = bearer.clock_skew;
  return {};
}

Error check_times(const Authentication& settings) {
  const AuthenticationFailures& failures = settings.failures;
  if (settings.basic.cache_ttl < 0s || settings.basic.cache_ttl > 24h) {
    return bad("basic.cache_ttl", "must be from 0 to 86,400 seconds");
  }
  if (settings.digest.nonce_ttl < 1s || settings.digest.nonce_ttl > 24h) {
    return bad("digest.nonce_ttl", "must be from 1 to 86,400 seconds");
  }
  if (settings.session.ttl < 1s || settings.session.ttl > 1h) {
    return bad("session.ttl", "must be from 1 to 3,600 seconds");
  }
  if (failures.first_delay < 0ms || failures.most_delay > 60s ||
      failures.first_delay > failures.most_delay) {
    return bad("failures.first_delay",
               "must be from 0 to failures.most_delay, and that at most 60 seconds");
  }
  if (failures.refuse_for < 0s || failures.refuse_for > 24h) {
    return bad("failures.refuse_for", "must be from 0 to 86,400 seconds");
  }
  if (failures.forget_after < 0s || failures.forget_after > 168h) {
    return bad("failures.forget_after", "must be from 0 to 604,800 seconds");
  }
  return {};
}

Error check_numbers(const Authentication& settings) {
  if (settings.parallel < 1 || settings.parallel > 64) {
    return bad("parallel", "must be from 1 to 64");
  }
  if (settings.waiting > 65536) return bad("waiting", "must be at most 65,536");
  if (!auth::is_realm(settings.realm)) {
    return bad("realm", "must be 1 to 255 bytes of UTF-8 without controls");
  }
  if (!settings.basic.enabled && !settings.digest.enabled && !settings.bearer.enabled &&
      !settings.session.enabled && !settings.url.enabled) {
    return bad("enabled", "needs a scheme: basic, digest, bearer, session or url");
  }
  return check_times(settings);
}

// As a document is written: decoded, without dot segments.
Error check_paths(std::vector<std::string>& paths) {
  for (std::string& path : paths) {
    base::Arena arena;
    const auto document = http::routing_path(path, kMostPathSegments, arena);
    if (!document.is_done() || document.value() != path) {
      return bad("paths", "has \"" + path +
                              "\": a prefix begins with a slash and is written as documents are, "
                              "decoded and without dot segments");
    }
    while (path.ends_with('/')) path.pop_back();
  }
  return {};
}

}  // namespace

Result<void> check(const Authentication& settings) {
  if (Error wrong = check_numbers(settings)) return wrong;
  std::vector<std::string> paths = settings.paths;
  if (Error wrong = check_paths(paths)) return wrong;
  const BearerAuthentication& bearer = settings.bearer;
  if (bearer.enabled && (bearer.clock_skew < 0s || bearer.clock_skew > 24h)) {
    return bad("bearer.clock_skew", "must be from 0 to 86,400 seconds");
  }
  return {};
}

Result<AuthRules> make_auth_rules(const Authentication& settings) {
  AuthRules rules;
  rules.settings = settings;
  if (auto good = check(settings); !good) return good.error();
  if (Error wrong = check_paths(rules.settings.paths)) return wrong;
  if (settings.bearer.enabled) {
    if (Error wrong = make_token_rules(settings.bearer, rules)) return wrong;
  }
  crypto::wipe(rules.settings.bearer.secret);  // the key has it
  const AuthenticationFailures& failures = settings.failures;
  rules.failures.free = failures.free;
  rules.failures.refuse_after =
      failures.refuse_after > 0 ? failures.refuse_after : std::numeric_limits<std::uint32_t>::max();
  rules.failures.first_delay = failures.first_delay;
  rules.failures.most_delay = failures.most_delay;
  rules.failures.refuse_for = failures.refuse_for;
  rules.failures.forget_after = failures.forget_after;
  return rules;
}

}  // namespace sluice::service
