// proto/auth/jwt.cpp - see jwt.hpp.
//
// RFC 7519 section 4.1. Layer: proto. No I/O. Thread: any.
#include "proto/auth/jwt.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "proto/http/token.hpp"

namespace sluice::auth {
namespace {

Error bad(const char* words) { return {Errc::auth_bad_token, words}; }

// Dates are bounded so that sums with the skew stay in range: about 146,000 million years.
constexpr std::int64_t kLatest = std::numeric_limits<std::int64_t>::max() / 2;

// False: there, and not of the kind it must be.
bool read_text(const Json& claims, std::string_view name, std::string& text) {
  const Json* const claim = claims.find(name);
  if (claim == nullptr) return true;
  if (claim->kind != Json::Kind::text) return false;
  text = claim->text;
  return true;
}

bool read_date(const Json& claims, std::string_view name, std::optional<std::int64_t>& date) {
  const Json* const claim = claims.find(name);
  if (claim == nullptr) return true;
  if (claim->kind == Json::Kind::integer) {
    date = std::clamp(claim->integer, -kLatest, kLatest);
    return true;
  }
  if (claim->kind != Json::Kind::real || !std::isfinite(claim->real)) return false;
  constexpr auto latest = static_cast<double>(kLatest);
  date = claim->real >= latest    ? kLatest
         : claim->real <= -latest ? -kLatest
                                  : static_cast<std::int64_t>(std::floor(claim->real));
  return true;
}

// A text, or an array of texts.
bool read_audiences(const Json& claims, std::vector<std::string>& audiences) {
  const Json* const claim = claims.find("aud");
  if (claim == nullptr) return true;
  if (claim->kind == Json::Kind::text) {
    audiences.push_back(claim->text);
    return true;
  }
  if (claim->kind != Json::Kind::array || claim->items.size() > kMostAudiences) return false;
  for (const Json& item : claim->items) {
    if (item.kind != Json::Kind::text) return false;
    audiences.push_back(item.text);
  }
  return true;
}

Result<JwtClaims> read_claims(std::string_view payload) {
  auto object = read_json_object(payload, {});
  if (!object) return bad("the claims are no JSON object within limits");
  JwtClaims claims;
  if (!read_text(*object, "iss", claims.issuer) || !read_text(*object, "sub", claims.subject) ||
      !read_text(*object, "jti", claims.id) || !read_audiences(*object, claims.audiences) ||
      !read_date(*object, "exp", claims.expires) || !read_date(*object, "nbf", claims.not_before) ||
      !read_date(*object, "iat", claims.issued)) {
    return bad("a claim has the wrong kind");
  }
  claims.all = std::move(*object);
  return claims;
}

Error judge_time(const JwtClaims& claims, const JwtRules& rules, std::int64_t now) {
  const std::int64_t skew = std::clamp<std::int64_t>(rules.skew.count(), 0, kLatest);
  now = std::clamp(now, -kLatest, kLatest);
  if (!claims.expires && rules.require_expiry) return bad("exp is missing");
  if (claims.expires && now >= *claims.expires + skew) return {Errc::auth_expired, "exp"};
  if (claims.not_before && now + skew < *claims.not_before) {
    return {Errc::auth_not_yet_valid, "nbf"};
  }
  if (claims.issued && now + skew < *claims.issued) return {Errc::auth_not_yet_valid, "iat"};
  return {};
}

bool is_for_us(const JwtClaims& claims, const JwtRules& rules) {
  if (claims.all.find("aud") == nullptr) return rules.audiences.empty();
  return std::any_of(rules.audiences.begin(), rules.audiences.end(), [&](const std::string& us) {
    return std::find(claims.audiences.begin(), claims.audiences.end(), us) !=
           claims.audiences.end();
  });
}

// RFC 7515 section 4.1.9: without a slash, `application/` stands in front.
bool is_type(std::string_view type, std::string_view wanted) {
  constexpr std::string_view application = "application/";
  for (std::string_view* text : {&type, &wanted}) {
    if (http::equal_nocase(text->substr(0, application.size()), application)) {
      text->remove_prefix(application.size());
    }
  }
  return http::equal_nocase(type, wanted);
}

}  // namespace

Result<JwtClaims> verify_jwt(std::string_view token, const JwkSet& keys, const JwtRules& rules,
                             std::int64_t now) {
  const auto jws = verify_jws(token, keys, rules.algorithms);
  if (!jws) return jws.error();
  if (!rules.type.empty() && !is_type(jws->type, rules.type)) return bad("typ is another");
  auto claims = read_claims(jws->payload);
  if (!claims) return claims;
  if (Error wrong = judge_time(*claims, rules, now)) return wrong;
  if (!rules.issuer.empty() && claims->issuer != rules.issuer) {
    return Error(Errc::auth_bad_claim, "iss");
  }
  if (!is_for_us(*claims, rules)) return Error(Errc::auth_bad_claim, "aud");
  if (!rules.subject.empty() && claims->subject != rules.subject) {
    return Error(Errc::auth_bad_claim, "sub");
  }
  return claims;
}

}  // namespace sluice::auth
