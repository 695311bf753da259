// tests/front/wire/failure/gate_scenario.hpp - who comes in by what, in six connections: rates by
// address, basic authentication, credentials and tokens in URLs, API keys, rates by name.
//
// Layer: tests.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "crypto/base64.hpp"
#include "front/wire/harness.hpp"
#include "service/admission/admission.hpp"
#include "service/api_keys/key_step.hpp"
#include "service/api_keys/memory_store.hpp"
#include "service/auth/authenticator.hpp"
#include "service/rate_limit/rate_step.hpp"

namespace sluice::test {

class GateScenario {
 public:
  GateScenario() {
    rig.events.on_http_request = [](sluice::Connection, const HttpRequest& request,
                                    HttpResponse& response) {
      std::string text(request.authentication().user);
      response.content_text(text.append(" ").append(request.api_key().owner));
    };
    make_gate();
    rig.gate = admission_;
    rig.start();
    // What was verified once is known from here on.
    io::SimPeer peer = rig.connect();
    peer.send(request("/", basic("joe:password")));
    std::string got;
    while (got.empty()) {  // a thread of its own verifies, and posts what it found
      const std::uint64_t before = rig.engine().wakes;
      rig.settle();
      got = peer.take_received();
      if (got.empty()) rig.engine().wakes.wait(before);
    }
    EXPECT_TRUE(got.ends_with("joe owner")) << got;
    peer.end();
    rig.settle();
  }
  ~GateScenario() {
    admission_->stop();
    rig.settle();
    rig.stop();
  }

  void run() {
    const std::string joe = basic("joe:password");
    for (std::size_t i = 0; i < kPeers; ++i) peers.push_back(rig.connect());
    io::SimPeer &plain = peers[0], &urls = peers[1], &upgrade = peers[2], &refused = peers[3],
                &wrong = peers[4], &often = peers[5];
    plain.send(request("/one", joe) + request("/two", joe));
    urls.send(request("/sgc/auth/url/joe/password/x"));
    upgrade.send(WsClient::handshake("/chat", joe + key()));
    refused.send(get("/", joe) + get("/?api_key=none", joe) + request("/"));
    for (int i = 0; i < 4; ++i) often.send(request("/often", joe));
    rig.settle();
    urls.send(request("/sgc/req/auth/session/joe/password"));
    rig.settle();
    const std::string answer = urls.received();
    std::string token = answer.substr(std::min(answer.size(), answer.rfind("\r\n\r\n") + 4));
    if (token.size() != 22) token = "none";
    token_ = token;
    urls.send(request("/sgc/auth/session/" + token + "/y"));
    upgrade.send(WsClient::frame(WsClient::kText, "hello"));
    // Nobody waits for this one: it is cancelled, or found wrong, when the gate stops.
    wrong.send(request("/", basic("joe:wrong")));
    rig.settle();
    admission_->stop();
    rig.settle();
    rig.pass(5s);
  }
  // What each peer got but for what is random, and how it ended.
  std::vector<std::string> transcripts() {
    std::vector<std::string> all;
    for (std::size_t i = 0; i < peers.size(); ++i) {
      if (&peers[i] == &peers[4]) continue;
      std::string text = transcript_of(peers[i]);
      if (const std::size_t at = text.find(token_); at != std::string::npos) {
        text.erase(at, token_.size());
      }
      all.push_back(text);
    }
    return all;
  }
  // The pool has stopped, but what was verified is known.
  void expect_service() {
    io::SimPeer peer = rig.connect();
    peer.send(request("/after", basic("joe:password")));
    rig.settle();
    EXPECT_TRUE(peer.take_received().ends_with("joe owner"));
    peer.end();
    rig.settle();
  }

  Rig rig;
  std::vector<io::SimPeer> peers;

 private:
  static constexpr std::size_t kPeers = 6;

  static std::string basic(std::string_view pair) {
    return "Authorization: Basic " + crypto::base64(as_bytes(pair)) + "\r\n";
  }
  std::string key() const { return "X-API-Key: " + key_ + "\r\n"; }
  std::string request(std::string_view target, const std::string& fields = {}) const {
    return get(target, fields + key());
  }

  void make_gate() {
    using service::RateStep;
    RateRule address, often;
    address.name = "address";
    address.entries = often.entries = 8;
    often.name = "often";
    often.key = RateKey::user;
    often.prefix = "/often";
    often.requests = 2;
    auto limit = service::RateLimit::create({address, often});
    ASSERT_TRUE(limit) << limit.error().message();
    const std::shared_ptr<service::RateLimit> rates = std::move(*limit);
    admission_->add(std::make_unique<RateStep>(rates, RateStep::Asks::address));

    Authentication settings;
    settings.enabled = settings.basic.enabled = true;
    settings.session.enabled = settings.url.enabled = true;
    auto rules = service::make_auth_rules(settings);
    ASSERT_TRUE(rules) << rules.error().message();
    auto users = std::make_shared<service::Users>();
    // "password", by openssl passwd -5.
    ASSERT_TRUE(users->add("joe", "$5$saltsalt$gOjOtoMpVhru2uyjeJSEc/JaLQWOXMNmlOnj6T4AtC."));
    admission_->add(std::make_unique<service::Authenticator>(
        std::move(*rules),
        service::AuthenticationUsers{std::move(users), std::make_shared<service::DigestUsers>()},
        std::make_shared<const service::AuthenticationEvents>()));

    const auto at_once = [](const std::function<void()>& task) {
      task();
      return true;
    };
    auto keys =
        std::make_shared<api_keys::KeyManager>(std::make_unique<api_keys::MemoryStore>(), at_once);
    // On the clock of the simulation: keys that were read at another time may count as stale.
    const api_keys::Moment now{api_keys::read_clocks().wall, rig.network.now()};
    keys->open(now, [](const Result<void>& done) { EXPECT_TRUE(done); });
    keys->issue({.owner = "owner"}, "test", now, [this](const Result<api_keys::IssuedKey>& issued) {
      ASSERT_TRUE(issued);
      key_ = issued->text.view();
    });
    admission_->add(std::make_unique<api_keys::KeyStep>(std::move(keys), ApiKeySettings(), 1));
    admission_->add(std::make_unique<RateStep>(rates, RateStep::Asks::names));
  }

  const std::shared_ptr<service::Admission> admission_ = std::make_shared<service::Admission>();
  std::string key_, token_;
};

}  // namespace sluice::test
