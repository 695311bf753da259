// service/auth/authenticator.hpp - the step of admission that asks who it is.
//
// docs/reference/component.md section 5. Passwords are verified on threads of their own; everything
// else happens on the exchange's shard, and the application's events where its handlers run. Layer:
// service. Thread: the exchange's shard, but for what says otherwise.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <sluice/authentication.hpp>
#include <sluice/connection.hpp>
#include <sluice/result.hpp>

#include "core/router.hpp"
#include "proto/auth/credentials.hpp"
#include "proto/auth/digest.hpp"
#include "service/admission/admission.hpp"
#include "service/auth/auth_rules.hpp"
#include "service/auth/nonces.hpp"
#include "service/auth/password_pool.hpp"
#include "service/auth/sessions.hpp"
#include "service/auth/url_credentials.hpp"
#include "service/auth/users.hpp"
#include "service/auth/verified.hpp"

namespace sluice::service {

// See Server.
struct AuthenticationEvents {
  std::function<void(sluice::Connection, std::string_view, std::string_view, bool&)> on_password;
  std::function<void(sluice::Connection, std::string_view, std::string_view, AuthenticationReply)>
      on_password_async;
  std::function<void(std::string_view, std::string_view, std::string&)> on_digest_secret;
};

struct AuthenticationUsers {
  std::shared_ptr<Users> passwords;
  std::shared_ptr<DigestUsers> digests;
};

class Authenticator final : public AdmissionStep {
 public:
  using Events = std::shared_ptr<const AuthenticationEvents>;
  // What `before` remembers goes on, each part whose limits are the same: who was verified, tokens,
  // nonces, who failed. Nothing is forgiven by a change of the settings.
  Authenticator(AuthRules rules, AuthenticationUsers users, Events events,
                const Authenticator* before = nullptr);

  void on_path(core::Exchange& exchange) override;
  std::string shown(std::string_view target) const override;
  Verdict check(core::Exchange& exchange) override;
  void stop() override;

 private:
  class State;
  struct Ticket;
  struct DigestAttempt;

  // A name and a password that came with a request.
  struct Attempt {
    AuthenticationScheme scheme = AuthenticationScheme::none;
    std::string user;
    crypto::Secret password;
    bool for_token = false;  // to be answered with a session token
    std::uint64_t version = 0;
  };
  struct Failure {
    Errc code = Errc::auth_refused;
    AuthenticationScheme scheme = AuthenticationScheme::none;
    std::uint64_t mark = 0;  // see Failures::failed
    std::string detail = {};
  };

  bool covers(std::string_view document) const;
  Verdict check_field(core::Exchange& exchange, const auth::Credentials& credentials, bool& ours);
  Verdict check_bearer(core::Exchange& exchange, const auth::Credentials& credentials);
  Verdict check_basic(core::Exchange& exchange, const auth::Credentials& credentials);
  Verdict check_digest(core::Exchange& exchange, const auth::Credentials& credentials);
  Verdict ask_for_secret(core::Exchange& exchange, DigestAttempt attempt);
  Verdict judge_digest(core::Exchange& exchange, const DigestAttempt& attempt);
  Verdict check_session(core::Exchange& exchange, const UrlCredentials& credentials);
  Verdict check_ask(core::Exchange& exchange, UrlCredentials& credentials);
  void check_form(core::Exchange& exchange);

  Verdict check_password(core::Exchange& exchange, Attempt attempt);
  Verdict ask_pool(core::Exchange& exchange);
  Verdict pool_answered(core::Exchange& exchange, PasswordVerdict verdict);
  Verdict after_users(core::Exchange& exchange, bool right);
  Verdict ask_later(core::Exchange& exchange, bool right);
  Verdict decide(core::Exchange& exchange, bool right);
  Verdict finish(core::Exchange& exchange, const Attempt& attempt);
  Verdict issue_token(core::Exchange& exchange, const Attempt& attempt);
  static Verdict accept(core::Exchange& exchange, std::string_view user,
                        AuthenticationScheme scheme);

  // The address has failed too often: true when that was answered.
  bool is_refused(core::Exchange& exchange);
  // Counts, and answers now or after the delay that the address has earned.
  Verdict fail(core::Exchange& exchange, Failure failure);
  Verdict refuse(core::Exchange& exchange, const Failure& failure);
  void add_challenges(core::Exchange& exchange, const Failure& failure) const;

  // The state of the exchange, made at the first call.
  State& own(core::Exchange& exchange);
  State* find(core::Exchange& exchange) const;
  // A ticket for what answers elsewhere: one use of the exchange goes with it.
  std::shared_ptr<Ticket> wait(core::Exchange& exchange);
  void stop_waiting(core::Exchange& exchange);
  // Runs `next` on the exchange's shard, unless nobody waits any more. Thread: any.
  static void resume(const std::shared_ptr<Ticket>& ticket,
                     std::function<Verdict(core::Exchange&)> next) noexcept;
  void go_on(Ticket& ticket, const std::function<Verdict(core::Exchange&)>& next);
  // Calls `event` where handlers run, then `next` on the shard; what it throws is a 500.
  Verdict call(core::Exchange& exchange, std::string_view name, std::function<void()> event,
               std::function<Verdict(core::Exchange&)> next);

  const AuthRules rules_;
  const AuthenticationUsers users_;
  const Events events_;  // kept by each that is under way, which may outlive this
  const UrlForms forms_;
  core::Route form_route_;  // POST /auth/session
  const std::shared_ptr<Verified> verified_;
  const std::shared_ptr<Sessions> sessions_;
  const std::shared_ptr<Nonces> nonces_;
  const std::shared_ptr<Failures> failures_;
  const std::shared_ptr<PasswordPool> pool_;
};

}  // namespace sluice::service
