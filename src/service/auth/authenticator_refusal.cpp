// service/auth/authenticator_refusal.cpp - what those get who are not let in.
//
// Layer: service. Thread: the exchange's shard.
#include <chrono>
#include <string>
#include <utility>

#include "core/connection.hpp"
#include "core/exchange.hpp"
#include "core/session.hpp"
#include "core/shard.hpp"
#include "proto/auth/challenge.hpp"
#include "service/auth/authenticator.hpp"

namespace sluice::service {

bool Authenticator::is_refused(core::Exchange& exchange) {
  const auto standing = failures_->standing(exchange.connection->remote, exchange.shard.now);
  if (standing.refused_for <= base::Duration::zero()) return false;
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(standing.refused_for);
  core::ServerSession& session = exchange.shard.session;
  exchange.set_error(Errc::auth_throttled);
  exchange.add_field_unchecked("Retry-After", std::to_string(seconds.count()));
  session.reject(exchange.connection,
                 {Errc::auth_throttled, std::string(exchange.head.method_text) + " " +
                                            session.shown_target(exchange) + " from " +
                                            exchange.connection->remote.ip()},
                 exchange.shard);
  session.respond(exchange);
  return true;
}

core::Gate::Verdict Authenticator::refuse(core::Exchange& exchange, const Failure& failure) {
  core::ServerSession& session = exchange.shard.session;
  std::string words(exchange.head.method_text);
  words.append(" ").append(session.shown_target(exchange));
  words.append(" from ").append(exchange.connection->remote.ip());
  if (failure.scheme != AuthenticationScheme::none) {
    words.append(" by ").append(to_string(failure.scheme));
  }
  if (!failure.detail.empty()) words.append(": ").append(failure.detail);
  exchange.set_error(failure.code);
  if (exchange.answer.status == 401) add_challenges(exchange, failure);
  if (exchange.answer.status == 503) exchange.add_field_unchecked("Retry-After", "1");
  session.reject(exchange.connection, {failure.code, std::move(words)}, exchange.shard);
  session.respond(exchange);
  return Verdict::answered;
}

void Authenticator::add_challenges(core::Exchange& exchange, const Failure& failure) const {
  const Authentication& settings = rules_.settings;
  auth::ChallengeRules rules;
  rules.realm = settings.realm;
  rules.bearer = settings.bearer.enabled;
  rules.basic = settings.basic.enabled;
  rules.digest = settings.digest.enabled;
  rules.allow_md5 = settings.digest.allow_md5;
  if (failure.scheme == AuthenticationScheme::bearer) rules.token_error = failure.code;
  std::string nonce;
  if (rules.digest) nonce = nonces_->issue(exchange.shard.now);
  rules.offer.nonce = nonce;
  rules.offer.stale = failure.code == Errc::auth_stale;
  for (const std::string& value : auth::challenges(rules)) {
    exchange.add_field_unchecked("WWW-Authenticate", value);
  }
  if (rules.bearer || rules.basic || rules.digest) return;
  // Those in the URL have no scheme of HTTP, and a 401 has a challenge (RFC 9110 section 15.5.2).
  std::string value = auth::basic_challenge(settings.realm);
  value.replace(0, value.find(' '), settings.session.enabled ? "Session" : "Url");
  exchange.add_field_unchecked("WWW-Authenticate", value);
}

}  // namespace sluice::service
