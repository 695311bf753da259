// service/rate_limit/rate_step.cpp - see rate_step.hpp.
//
// Layer: service. Thread: the exchange's shard.
#include "service/rate_limit/rate_step.hpp"

#include <string>

#include "core/connection.hpp"
#include "core/exchange.hpp"
#include "core/session.hpp"
#include "core/shard.hpp"
#include "service/rate_limit/fields.hpp"

namespace sluice::service {

core::Gate::Verdict RateStep::check(core::Exchange& exchange) {
  RateSubject subject;
  if (asks_ == Asks::address) {
    subject.peer = &exchange.connection->remote;
  } else {
    subject.user = exchange.identity.user;
    subject.api_key = exchange.api_key.id;
  }
  // OPTIONS * is about the server: it lies below no path but counts for the root.
  const std::string_view document = exchange.document == "*" ? "/" : exchange.document;
  const RateVerdict verdict = limit_->take(subject, document, exchange.shard.now);
  if (verdict.rule == nullptr) return Verdict::pass;
  const bool passes = verdict.is_allowed();
  if (!passes) exchange.set_error(Errc::rate_limited);
  const RateFields fields(verdict);
  exchange.add_field_unchecked("RateLimit-Policy", fields.policy());
  exchange.add_field_unchecked("RateLimit", fields.limit());
  if (passes) return Verdict::pass;

  exchange.add_field_unchecked("Retry-After", fields.retry_after());
  core::ServerSession& session = exchange.shard.session;
  std::string words(exchange.head.method_text);
  words.append(" ").append(session.shown_target(exchange));
  words.append(" from ").append(exchange.connection->remote.ip());
  words.append(" by \"").append(verdict.rule->name).append("\"");
  session.reject(exchange.connection, {Errc::rate_limited, std::move(words)}, exchange.shard);
  session.respond(exchange);
  return Verdict::answered;
}

}  // namespace sluice::service
