// service/auth/authenticator.cpp - see authenticator.hpp.
//
// Layer: service. Thread: the exchange's shard, but for what says otherwise.
#include "service/auth/authenticator.hpp"

#include <algorithm>
#include <chrono>
#include <new>
#include <optional>
#include <utility>

#include "core/connection.hpp"
#include "core/dispatcher.hpp"
#include "core/exchange.hpp"
#include "core/session.hpp"
#include "core/shard.hpp"
#include "core/step.hpp"
#include "proto/auth/basic.hpp"
#include "proto/http/target.hpp"

namespace sluice::service {
namespace {

using Kind = UrlCredentials::Kind;

constexpr std::string_view kFormPath = "/auth/session";
constexpr std::uint64_t kFormBytes = 4096;

VerifiedLimits verified_limits(const BasicAuthentication& basic) {
  VerifiedLimits limits;
  limits.ttl = basic.cache_ttl;
  if (basic.cache_ttl.count() == 0) limits.entries = 0;
  return limits;
}

SessionLimits session_limits(const SessionAuthentication& session) {
  SessionLimits limits;
  limits.ttl = session.ttl;
  return limits;
}

NonceLimits nonce_limits(const DigestAuthentication& digest) {
  NonceLimits limits;
  limits.ttl = digest.nonce_ttl;
  return limits;
}

template <class Part, class Limits>
std::shared_ptr<Part> kept_or_made(const std::shared_ptr<Part>& before, const Limits& limits) {
  return before && before->limits() == limits ? before : std::make_shared<Part>(limits);
}

// A token is for a user as he was: another version voids it.
std::string token_owner(std::string_view user, std::uint64_t version) {
  return std::to_string(version).append(" ").append(user);
}

// Whether the token's user is still who he was; the name then.
std::optional<std::string> owner_of(std::string_view owner, const Users& users) {
  const std::size_t space = owner.find(' ');
  std::string user(owner.substr(space + 1));
  if (owner.substr(0, space) != std::to_string(users.version(user))) return std::nullopt;
  return user;
}

}  // namespace

// What crosses threads. `exchange` is touched on the shard alone, and null once nobody waits.
struct Authenticator::Ticket {
  Authenticator& authenticator;
  core::Exchange* exchange;
  const std::shared_ptr<core::Mailbox> mailbox;
};

class Authenticator::State final : public core::GateState {
 public:
  explicit State(Authenticator& authenticator)
      : authenticator_(authenticator), timer(&State::fired, this) {}

  void given_up(core::Exchange& exchange) override { authenticator_.stop_waiting(exchange); }

 private:
  static void fired(void* self) {
    auto& state = *static_cast<State*>(self);
    const std::shared_ptr<Ticket> kept = state.ticket;
    if (!kept) return;
    state.authenticator_.go_on(*kept, [&state](core::Exchange& exchange) {
      return state.authenticator_.refuse(exchange, state.failure);
    });
  }
  Authenticator& authenticator_;

 public:
  UrlCredentials url;
  Attempt attempt;
  std::shared_ptr<Ticket> ticket;  // while it waits
  Failure failure;                 // to be answered when the timer fires
  base::Timer timer;
};

struct Authenticator::DigestAttempt {
  auth::DigestCredentials credentials;
  std::string ha1;
};

Authenticator::Authenticator(AuthRules rules, AuthenticationUsers users, Events events,
                             const Authenticator* before)
    : rules_(std::move(rules)),
      users_(std::move(users)),
      events_(std::move(events)),
      forms_{rules_.settings.session.enabled, rules_.settings.url.enabled},
      verified_(kept_or_made(before ? before->verified_ : nullptr,
                             verified_limits(rules_.settings.basic))),
      sessions_(kept_or_made(before ? before->sessions_ : nullptr,
                             session_limits(rules_.settings.session))),
      nonces_(
          kept_or_made(before ? before->nonces_ : nullptr, nonce_limits(rules_.settings.digest))),
      failures_(kept_or_made(before ? before->failures_ : nullptr, rules_.failures)),
      pool_(kept_or_made(before ? before->pool_ : nullptr,
                         PasswordPoolLimits{rules_.settings.parallel, rules_.settings.waiting})) {
  form_route_.name = "POST " + std::string(kFormPath);
  form_route_.options.body_bytes = kFormBytes;
  form_route_.native = [this](core::Exchange& exchange) { check_form(exchange); };
}

void Authenticator::stop() { pool_->stop(); }

// --- What carries credentials --------------------------------------------------------------------

void Authenticator::on_path(core::Exchange& exchange) {
  if (!forms_.session && !forms_.url) return;
  UrlCredentials found =
      take_url_credentials(exchange, forms_, exchange.shard.settings().limits.target_segments);
  if (found.kind != Kind::none) own(exchange).url = std::move(found);
}

std::string Authenticator::shown(std::string_view target) const {
  return hide_url_credentials(target, forms_);
}

bool Authenticator::covers(std::string_view document) const {
  const std::vector<std::string>& paths = rules_.settings.paths;
  return paths.empty() || std::any_of(paths.begin(), paths.end(), [&](const std::string& path) {
           return document.starts_with(path) &&
                  (document.size() == path.size() || document[path.size()] == '/');
         });
}

core::Gate::Verdict Authenticator::check(core::Exchange& exchange) {
  State* mine = find(exchange);
  const Kind kind = mine ? mine->url.kind : Kind::none;
  if (kind == Kind::malformed) {
    return fail(exchange, {Errc::auth_malformed, AuthenticationScheme::url});
  }
  if (kind == Kind::ask) return check_ask(exchange, mine->url);
  if (forms_.session && exchange.document == kFormPath &&
      exchange.head.method == http::Method::post) {
    exchange.route = &form_route_;
    return Verdict::pass;
  }
  if (!covers(exchange.document)) return Verdict::pass;

  std::size_t fields = 0;
  std::string_view field;
  for (const http::Field& each : exchange.head.fields) {
    if (each.id != http::FieldId::authorization) continue;
    field = each.value;
    ++fields;
  }
  if (fields > 1) return fail(exchange, {Errc::auth_malformed});
  if (fields == 1) {
    const auto credentials = auth::read_credentials(field);
    if (!credentials) return fail(exchange, {Errc::auth_malformed});
    bool ours = true;
    const Verdict verdict = check_field(exchange, *credentials, ours);
    if (ours) return verdict;
  }
  if (kind == Kind::session) return check_session(exchange, mine->url);
  if (kind == Kind::url) {
    Attempt attempt{AuthenticationScheme::url, std::move(mine->url.user),
                    std::move(mine->url.secret)};
    return check_password(exchange, std::move(attempt));
  }
  // Credentials that nobody here can judge are not right.
  if (fields == 1) return fail(exchange, {Errc::auth_refused});
  if (rules_.settings.allow_non_auth) return Verdict::pass;
  return refuse(exchange, {Errc::auth_required});
}

// `ours`: the scheme is switched on.
core::Gate::Verdict Authenticator::check_field(core::Exchange& exchange,
                                               const auth::Credentials& credentials, bool& ours) {
  const Authentication& settings = rules_.settings;
  if (settings.bearer.enabled && credentials.is("Bearer")) {
    return check_bearer(exchange, credentials);
  }
  if (settings.basic.enabled && credentials.is("Basic")) return check_basic(exchange, credentials);
  if (settings.digest.enabled && credentials.is("Digest")) {
    return check_digest(exchange, credentials);
  }
  ours = false;
  return Verdict::pass;
}

core::Gate::Verdict Authenticator::check_bearer(core::Exchange& exchange,
                                                const auth::Credentials& credentials) {
  constexpr auto kScheme = AuthenticationScheme::bearer;
  if (is_refused(exchange)) return Verdict::answered;
  const auto token = auth::read_bearer(credentials);
  if (!token) return fail(exchange, {Errc::auth_malformed, kScheme});
  const auto claims =
      auth::verify_jwt(*token, rules_.keys, rules_.tokens, exchange.shard.wall_seconds());
  if (claims) return accept(exchange, claims->subject, kScheme);
  const Error& why = claims.error();
  Failure failure{why.code, kScheme, failures_->mark({}, *token), why.detail};
  // One that was signed for somebody is no guess.
  if (why.code == Errc::auth_expired || why.code == Errc::auth_not_yet_valid ||
      why.code == Errc::auth_bad_claim) {
    return refuse(exchange, failure);
  }
  return fail(exchange, std::move(failure));
}

core::Gate::Verdict Authenticator::check_basic(core::Exchange& exchange,
                                               const auth::Credentials& credentials) {
  auto read = auth::read_basic(credentials);
  if (!read) return fail(exchange, {Errc::auth_malformed, AuthenticationScheme::basic});
  return check_password(
      exchange, {AuthenticationScheme::basic, std::move(read->user), std::move(read->password)});
}

core::Gate::Verdict Authenticator::check_session(core::Exchange& exchange,
                                                 const UrlCredentials& credentials) {
  constexpr auto kScheme = AuthenticationScheme::session;
  if (is_refused(exchange)) return Verdict::answered;
  const auto owner =
      sessions_->take(credentials.secret.view(), exchange.connection->remote, exchange.shard.now);
  const auto user = owner ? owner_of(*owner, *users_.passwords) : std::nullopt;
  if (user) return accept(exchange, *user, kScheme);
  return fail(exchange,
              {Errc::auth_refused, kScheme, failures_->mark({}, credentials.secret.view())});
}

// GET /sgc/req/auth/session/USER/PASSWORD
core::Gate::Verdict Authenticator::check_ask(core::Exchange& exchange,
                                             UrlCredentials& credentials) {
  if (exchange.head.method != http::Method::get) {
    core::ServerSession& session = exchange.shard.session;
    exchange.set_error(Errc::http_method_not_allowed);
    exchange.add_field_unchecked("Allow", "GET");
    session.reject(exchange.connection,
                   {Errc::http_method_not_allowed,
                    std::string(exchange.head.method_text) + " " + session.shown_target(exchange)},
                   exchange.shard);
    session.respond(exchange);
    return Verdict::answered;
  }
  return check_password(exchange, {AuthenticationScheme::session, std::move(credentials.user),
                                   std::move(credentials.secret), true});
}

// POST /auth/session
void Authenticator::check_form(core::Exchange& exchange) {
  constexpr auto kScheme = AuthenticationScheme::session;
  std::optional<std::string_view> user, password;
  bool twice = false;
  std::string_view form = as_text(exchange.body), name, value;
  while (http::next_parameter(form, name, value)) {
    auto* wanted = name == "user" ? &user : name == "password" ? &password : nullptr;
    if (!wanted) continue;
    twice = twice || *wanted;
    *wanted = http::decode_component(value, exchange.arena);
  }
  if (twice || !user || !password || !auth::is_user_name(*user) ||
      password->size() > crypto::kMostPasswordBytes) {
    fail(exchange, {Errc::auth_malformed, kScheme});
    return;
  }
  check_password(exchange, {kScheme, std::string(*user), crypto::Secret(*password), true});
}

// --- Digest --------------------------------------------------------------------------------------

core::Gate::Verdict Authenticator::check_digest(core::Exchange& exchange,
                                                const auth::Credentials& credentials) {
  constexpr auto kScheme = AuthenticationScheme::digest;
  if (is_refused(exchange)) return Verdict::answered;
  auto read = auth::read_digest(credentials, rules_.settings.digest.allow_md5);
  if (!read) return fail(exchange, {read.error().code, kScheme});
  if (read->realm != rules_.settings.realm) {
    return fail(exchange, {Errc::auth_refused, kScheme, 0, "another realm"});
  }
  if (!auth::is_for_target(*read, exchange.head.target)) {
    return fail(exchange, {Errc::auth_refused, kScheme, 0, "a uri that is not the target"});
  }
  const auto entry = users_.digests->find(read->user, read->realm, name_of(read->algorithm));
  DigestAttempt attempt{std::move(*read), entry.known ? entry.ha1 : std::string()};
  if (events_->on_digest_secret) return ask_for_secret(exchange, std::move(attempt));
  return judge_digest(exchange, attempt);
}

core::Gate::Verdict Authenticator::ask_for_secret(core::Exchange& exchange, DigestAttempt attempt) {
  auto asked = std::make_shared<DigestAttempt>(std::move(attempt));
  return call(
      exchange, "on_digest_secret",
      [events = events_, asked] {
        events->on_digest_secret(asked->credentials.user, asked->credentials.realm, asked->ha1);
      },
      [this, asked](core::Exchange& answered) { return judge_digest(answered, *asked); });
}

core::Gate::Verdict Authenticator::judge_digest(core::Exchange& exchange,
                                                const DigestAttempt& attempt) {
  constexpr auto kScheme = AuthenticationScheme::digest;
  const auth::DigestCredentials& credentials = attempt.credentials;
  // Who is not known takes the same steps.
  const bool known = auth::is_digest_hex(credentials.algorithm, attempt.ha1);
  const std::string ha1 =
      known ? attempt.ha1 : std::string(auth::hex_size(credentials.algorithm), '0');
  const bool right = auth::is_right(credentials, ha1, exchange.head.method_text);
  if (!known || !right) {
    return fail(exchange, {Errc::auth_refused, kScheme,
                           failures_->mark(credentials.user, credentials.response)});
  }
  switch (nonces_->use(credentials.nonce, credentials.count, exchange.shard.now)) {
    case NonceVerdict::good:
      return accept(exchange, credentials.user, kScheme);
    case NonceVerdict::stale:
      return refuse(exchange, {Errc::auth_stale, kScheme});
    case NonceVerdict::replayed:
      break;
  }
  return refuse(exchange, {Errc::auth_stale, kScheme, 0, "its count was used before"});
}

// --- Passwords -----------------------------------------------------------------------------------

core::Gate::Verdict Authenticator::check_password(core::Exchange& exchange, Attempt attempt) {
  const bool asks = events_->on_password || events_->on_password_async;
  const std::uint64_t version = users_.passwords->version(attempt.user);
  const bool known = version != 0 && verified_->knows(attempt.user, attempt.password.view(),
                                                      version, exchange.shard.now);
  if (known) attempt.version = version;
  if (known && !asks) return finish(exchange, attempt);
  if (!known && is_refused(exchange)) return Verdict::answered;
  own(exchange).attempt = std::move(attempt);
  if (known) return after_users(exchange, true);
  // Where there is nobody, nothing tells who is unknown.
  if (users_.passwords->size() == 0) return after_users(exchange, false);
  return ask_pool(exchange);
}

core::Gate::Verdict Authenticator::ask_pool(core::Exchange& exchange) {
  Attempt& attempt = own(exchange).attempt;
  Users::Entry entry = users_.passwords->find(attempt.user);
  attempt.version = entry.version;
  const std::shared_ptr<Ticket> ticket = wait(exchange);
  const auto done = [this, ticket](PasswordVerdict verdict) {
    // Nothing here may be touched: who asked may have gone, and with it this.
    resume(ticket,
           [this, verdict](core::Exchange& answered) { return pool_answered(answered, verdict); });
  };
  const auto asked =
      pool_->verify(crypto::Secret(attempt.password.view()), std::move(entry.hash), done);
  if (asked) return Verdict::later;
  stop_waiting(exchange);
  return refuse(exchange, {asked.error().code, attempt.scheme});
}

core::Gate::Verdict Authenticator::pool_answered(core::Exchange& exchange,
                                                 PasswordVerdict verdict) {
  const Attempt& attempt = own(exchange).attempt;
  if (verdict == PasswordVerdict::cancelled) {
    return refuse(exchange, {Errc::server_stopping, attempt.scheme});
  }
  // Who was changed or removed meanwhile is somebody else.
  const bool right = verdict == PasswordVerdict::right && attempt.version != 0 &&
                     users_.passwords->version(attempt.user) == attempt.version;
  if (right) {
    verified_->remember(attempt.user, attempt.password.view(), attempt.version, exchange.shard.now);
  }
  return after_users(exchange, right);
}

// The application is asked, if it wants to be.
core::Gate::Verdict Authenticator::after_users(core::Exchange& exchange, bool right) {
  if (events_->on_password_async) return ask_later(exchange, right);
  if (!events_->on_password) return decide(exchange, right);
  struct Asked {
    sluice::Connection connection;
    std::string user;
    crypto::Secret password;
    bool right;
  };
  const Attempt& attempt = own(exchange).attempt;
  auto asked = std::make_shared<Asked>(Asked{exchange.connection->handle(), attempt.user,
                                             crypto::Secret(attempt.password.view()), right});
  return call(
      exchange, "on_authentication",
      [events = events_, asked] {
        events->on_password(asked->connection, asked->user, asked->password.view(), asked->right);
      },
      [this, asked](core::Exchange& answered) { return decide(answered, asked->right); });
}

core::Gate::Verdict Authenticator::ask_later(core::Exchange& exchange, bool right) {
  struct Asked {
    sluice::Connection connection;
    std::string user;
    crypto::Secret password;
    AuthenticationReply reply;
  };
  const Attempt& attempt = own(exchange).attempt;
  const std::shared_ptr<Ticket> ticket = wait(exchange);
  // The reply may outlive the server: what it holds of it is only touched on the shard.
  const auto told = [this, ticket](bool authenticated) {
    resume(ticket, [this, authenticated](core::Exchange& answered) {
      return decide(answered, authenticated);
    });
  };
  auto asked = std::make_shared<Asked>(Asked{exchange.connection->handle(), attempt.user,
                                             crypto::Secret(attempt.password.view()),
                                             AuthenticationReply(right, told)});
  return call(
      exchange, "on_authentication_async",
      [events = events_, asked] {
        events->on_password_async(asked->connection, asked->user, asked->password.view(),
                                  std::move(asked->reply));
      },
      [](core::Exchange&) { return Verdict::later; });
}

core::Gate::Verdict Authenticator::decide(core::Exchange& exchange, bool right) {
  const Attempt attempt = std::exchange(own(exchange).attempt, {});
  if (right) return finish(exchange, attempt);
  return fail(exchange, {Errc::auth_refused, attempt.scheme,
                         failures_->mark(attempt.user, attempt.password.view())});
}

core::Gate::Verdict Authenticator::finish(core::Exchange& exchange, const Attempt& attempt) {
  if (attempt.for_token) return issue_token(exchange, attempt);
  return accept(exchange, attempt.user, attempt.scheme);
}

core::Gate::Verdict Authenticator::issue_token(core::Exchange& exchange, const Attempt& attempt) {
  const std::uint64_t version =
      attempt.version != 0 ? attempt.version : users_.passwords->version(attempt.user);
  const auto token = sessions_->issue(token_owner(attempt.user, version),
                                      exchange.connection->remote, exchange.shard.now);
  if (!token) return refuse(exchange, {token.error().code, attempt.scheme});
  exchange.set_plain(200, *token);
  exchange.add_field_unchecked("Cache-Control", "no-store");
  exchange.shard.session.respond(exchange);
  return Verdict::answered;
}

core::Gate::Verdict Authenticator::accept(core::Exchange& exchange, std::string_view user,
                                          AuthenticationScheme scheme) {
  exchange.identity.user.assign(user);
  exchange.identity.scheme = scheme;
  return Verdict::pass;
}

// --- Failures ------------------------------------------------------------------------------------

core::Gate::Verdict Authenticator::fail(core::Exchange& exchange, Failure failure) {
  const base::Instant now = exchange.shard.now;
  const auto standing = failures_->failed(exchange.connection->remote, failure.mark, now);
  if (standing.delay <= base::Duration::zero()) return refuse(exchange, failure);
  State& mine = own(exchange);
  wait(exchange);
  mine.failure = std::move(failure);
  exchange.shard.timers.set(mine.timer, now + standing.delay);
  return Verdict::later;
}

// --- Waiting -------------------------------------------------------------------------------------

Authenticator::State* Authenticator::find(core::Exchange& exchange) const {
  return static_cast<State*>(state(exchange));
}

Authenticator::State& Authenticator::own(core::Exchange& exchange) {
  if (!find(exchange)) set_state(exchange, std::make_unique<State>(*this));
  return *find(exchange);
}

std::shared_ptr<Authenticator::Ticket> Authenticator::wait(core::Exchange& exchange) {
  State& mine = own(exchange);
  if (!mine.ticket) {
    mine.ticket = std::make_shared<Ticket>(Ticket{*this, &exchange, exchange.shard.mailbox});
    exchange.retain();
    // That of a request which was let in is open again: its time in the queue is that of others.
    if (exchange.route == &form_route_) exchange.undecided = true;
  }
  return mine.ticket;
}

// The caller keeps a use of the exchange.
void Authenticator::stop_waiting(core::Exchange& exchange) {
  State* mine = find(exchange);
  if (!mine || !mine->ticket) return;
  mine->ticket->exchange = nullptr;
  mine->ticket.reset();
  exchange.shard.timers.cancel(mine->timer);
  if (exchange.route == &form_route_) exchange.undecided = false;
  exchange.release();
}

void Authenticator::resume(const std::shared_ptr<Ticket>& ticket,
                           std::function<Verdict(core::Exchange&)> next) noexcept {
  try {
    ticket->mailbox->post_always([ticket, next = std::move(next)] {
      if (ticket->exchange) ticket->authenticator.go_on(*ticket, next);
    });
  } catch (const std::bad_alloc&) {
    // The request's time in the queue ends it.
  }
}

void Authenticator::go_on(Ticket& ticket, const std::function<Verdict(core::Exchange&)>& next) {
  if (!ticket.exchange) return;
  core::Exchange& exchange = *ticket.exchange;
  core::step(exchange, [&] {
    if (!exchange.port || exchange.answered) return stop_waiting(exchange);
    const Verdict verdict = next(exchange);
    if (verdict == Verdict::later) return;
    stop_waiting(exchange);
    if (verdict == Verdict::pass) pass(exchange);
  });
}

core::Gate::Verdict Authenticator::call(core::Exchange& exchange, std::string_view name,
                                        std::function<void()> event,
                                        std::function<Verdict(core::Exchange&)> next) {
  core::ServerSession& session = exchange.shard.session;
  core::Connection& connection = *exchange.connection;
  const auto after = [&session, next = std::move(next)](core::Exchange& answered, bool threw) {
    if (!threw) return next(answered);
    session.respond_error(answered, Errc::handler_threw);
    return Verdict::answered;
  };
  if (!session.dispatcher.uses_pool()) {
    core::Hold<core::Exchange> hold(exchange);
    const bool fine = session.dispatcher.call(connection, name, event);
    const bool gone = !exchange.port || exchange.answered;
    const Verdict verdict = gone ? Verdict::answered : after(exchange, !fine);
    if (verdict == Verdict::answered) stop_waiting(exchange);
    return verdict;
  }
  const std::shared_ptr<Ticket> ticket = wait(exchange);
  auto threw = std::make_shared<bool>(false);
  core::PoolQueue::Event queued;
  queued.work = [&session, handle = connection.handle(), name, event = std::move(event), threw] {
    *threw = !session.dispatcher.call(*core::Connection::of(handle), name, event);
  };
  queued.done = [ticket, threw, after] {
    if (!ticket->exchange) return;  // and this may be gone
    ticket->authenticator.go_on(*ticket,
                                [&](core::Exchange& answered) { return after(answered, *threw); });
  };
  session.dispatcher.submit(exchange, std::move(queued));
  return Verdict::later;
}

}  // namespace sluice::service
