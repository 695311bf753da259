// proto/auth/challenge.cpp - see challenge.hpp.
//
// Layer: proto. No I/O. Thread: any.
#include "proto/auth/challenge.hpp"

#include "proto/ws/utf8.hpp"

namespace sluice::auth {
namespace {

// name="value", with what must be escaped escaped.
void append_quoted(std::string& text, std::string_view name, std::string_view value) {
  text.append(name).append("=\"");
  for (const char c : value) {
    if (c == '"' || c == '\\') text += '\\';
    text += c;
  }
  text += '"';
}

std::string begin(std::string_view scheme, std::string_view realm) {
  std::string text(scheme);
  text += ' ';
  append_quoted(text, "realm", realm);
  return text;
}

}  // namespace

bool is_realm(std::string_view realm) {
  return !realm.empty() && realm.size() <= kMostRealmBytes && has_no_controls(realm) &&
         ws::is_utf8(as_bytes(realm));
}

std::string bearer_challenge(std::string_view realm, Errc error) {
  std::string text = begin("Bearer", realm);
  if (error == Errc::none || error == Errc::auth_required) return text;
  text += ", ";
  append_quoted(text, "error", error == Errc::auth_malformed ? "invalid_request" : "invalid_token");
  text += ", ";
  append_quoted(text, "error_description", info(error).sentence);
  return text;
}

std::string basic_challenge(std::string_view realm) {
  return begin("Basic", realm) + ", charset=\"UTF-8\"";
}

std::string digest_challenge(std::string_view realm, DigestAlgorithm algorithm,
                             const DigestOffer& offer) {
  std::string text = begin("Digest", realm);
  text += ", ";
  append_quoted(text, "qop", "auth");
  text.append(", algorithm=").append(name_of(algorithm)).append(", ");
  append_quoted(text, "nonce", offer.nonce);
  if (!offer.opaque.empty()) {
    text += ", ";
    append_quoted(text, "opaque", offer.opaque);
  }
  if (offer.stale) text += ", stale=true";
  return text + ", charset=UTF-8, userhash=false";
}

std::vector<std::string> challenges(const ChallengeRules& rules) {
  std::vector<std::string> values;
  if (rules.bearer) values.push_back(bearer_challenge(rules.realm, rules.token_error));
  if (rules.digest) {
    values.push_back(digest_challenge(rules.realm, DigestAlgorithm::sha256, rules.offer));
    if (rules.allow_md5) {
      values.push_back(digest_challenge(rules.realm, DigestAlgorithm::md5, rules.offer));
    }
  }
  if (rules.basic) values.push_back(basic_challenge(rules.realm));
  return values;
}

}  // namespace sluice::auth
