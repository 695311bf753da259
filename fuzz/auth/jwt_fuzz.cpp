// fuzz/auth/jwt_fuzz.cpp - tokens, claims and key sets: what is accepted keeps what it promises.
//
// The first octet says what the rest is: `t` a token, `c` claims (signed here), `h` a header
// (signed here), `k` a JWK Set. Layer: fuzz.
#include <string>

#include "crypto/base64.hpp"
#include "crypto/hmac.hpp"
#include "http/expect.hpp"
#include "proto/auth/jwt.hpp"

using namespace sluice;

namespace {

constexpr std::string_view kSecret = "a secret that everybody knows, of 43 octets";
constexpr std::int64_t kNow = 1300819380;

const auth::JwkSet& keys() {
  static const auth::JwkSet set = [] {
    auth::JwkSet made = auth::read_jwks(
                            R"({"keys":[{"kty":"EC","crv":"P-256",
        "x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"},
       {"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]})")
                            .value();
    made.keys.push_back({"", crypto::VerifyKey::from_secret(as_bytes(kSecret)).value()});
    return made;
  }();
  return set;
}

std::string sign(std::string_view header, std::string_view payload) {
  const std::string text =
      crypto::base64url(as_bytes(header)) + "." + crypto::base64url(as_bytes(payload));
  return text + "." + crypto::base64url(crypto::hmac_sha256(as_bytes(kSecret), as_bytes(text)));
}

const auth::JwtRules& rules() {
  using enum crypto::SignatureAlgorithm;
  static const auth::JwtRules made = {.algorithms = {hs256, es256, eddsa}, .audiences = {"us"}};
  return made;
}

void expect_token(std::string_view token) {
  const auto jws = auth::verify_jws(token, keys(), rules().algorithms);
  const auto jwt = auth::verify_jwt(token, keys(), rules(), kNow);
  EXPECT_THAT(jws || !jwt);
  if (jws) {  // one spelling for each token
    const std::size_t dot = token.find('.'), last = token.rfind('.');
    EXPECT_THAT(token.size() <= auth::kMostTokenBytes);
    EXPECT_THAT(token.substr(dot + 1, last - dot - 1) == crypto::base64url(as_bytes(jws->payload)));
  }
  if (!jwt) return;
  EXPECT_THAT(jwt->expires && *jwt->expires > kNow - 60);
  EXPECT_THAT(!jwt->not_before || *jwt->not_before <= kNow + 60);
  EXPECT_THAT(!jwt->audiences.empty() && jwt->audiences.size() <= auth::kMostAudiences);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text = http::text_of(data + 1, size - 1);
  switch (data[0]) {
    case 't':
      expect_token(text);
      break;
    case 'c':
      expect_token(sign(R"({"alg":"HS256"})", text));
      break;
    case 'h':
      expect_token(sign(text, R"({"aud":"us","exp":1300819380})"));
      break;
    case 'k':
      if (const auto set = auth::read_jwks(text)) {
        EXPECT_THAT(!set->keys.empty() && set->keys.size() <= auth::kMostKeys);
      }
      break;
    default:
      break;
  }
  return 0;
}
