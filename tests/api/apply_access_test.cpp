// tests/api/apply_access_test.cpp - who may come in, and how often, changes while the server runs:
// a request sees all of the old or all of the new.
//
// Layer: tests.
#include <atomic>
#include <thread>

#include "api/auth_harness.hpp"

namespace sluice::test {
namespace {

using namespace std::chrono_literals;

const std::string joe = basic("joe", "password");

RateRule rule(std::string name, std::uint32_t requests, RateKey key = RateKey::address,
              std::string prefix = "/") {
  RateRule made;
  made.name = std::move(name);
  made.key = key;
  made.requests = requests;
  made.window = 3600s;  // none comes back while a test runs
  made.prefix = std::move(prefix);
  made.entries = 64;
  return made;
}

class ApplyAccess : public AuthTest {
 protected:
  void SetUp() override {
    AuthTest::SetUp();
    settings.enabled = false;
    settings.basic.enabled = true;
    ASSERT_TRUE(settings.users.add("joe", kHash));
  }
  Settings next() const { return server; }
  // A request whose password takes a while, on its way.
  bool ask_slowly(HttpClient& http) {
    const std::uint64_t before = server.counters().requests;
    return http.send("GET / HTTP/1.1\r\nHost: a\r\n" + basic("slow", "x") + "\r\n") &&
           eventually([&] { return server.counters().requests == before + 1; });
  }
};

TEST_P(ApplyAccess, RatesComeAndGo) {
  Running running = start();
  HttpClient http = client();
  EXPECT_EQ(http.get("/").count("RateLimit"), 0u);
  Settings other = next();
  other.rate_limits = {rule("site", 2)};
  ASSERT_TRUE(server.apply(other));
  EXPECT_EQ(http.get("/").status, 200);  // also on a connection that was there
  EXPECT_EQ(http.get("/").status, 200);
  EXPECT_EQ(http.get("/").status, 429);
  // A rule that stays goes on counting, whatever comes and goes beside it.
  other.rate_limits.insert(other.rate_limits.begin(), rule("a", 1, RateKey::address, "/a"));
  ASSERT_TRUE(server.apply(other));
  EXPECT_EQ(http.get("/").status, 429);
  other.rate_limits.pop_back();
  ASSERT_TRUE(server.apply(other));
  EXPECT_EQ(http.get("/").status, 200);
  EXPECT_EQ(http.get("/a").status, 200);
  EXPECT_EQ(http.get("/a").status, 429);
  other.rate_limits[0].requests = 2;  // another rule
  ASSERT_TRUE(server.apply(other));
  EXPECT_EQ(http.get("/a").status, 200);
  other.rate_limits.clear();
  ASSERT_TRUE(server.apply(other));
  EXPECT_EQ(http.get("/a").count("RateLimit"), 0u);
}

TEST_P(ApplyAccess, AuthenticationComesAndGoes) {
  Running running = start();
  HttpClient http = client();
  EXPECT_EQ(shown(http.get("/")), "none  /");
  Settings other = next();
  other.authentication.enabled = true;
  ASSERT_TRUE(server.apply(other));
  EXPECT_EQ(shown(http.get("/")), "401");
  EXPECT_EQ(shown(http.get("/", joe)), "basic joe /");
  EXPECT_EQ(upgrade("/chat"), 401);
  other.authentication.realm = "Other";
  other.authentication.paths = {"/a"};
  ASSERT_TRUE(server.apply(other));
  EXPECT_EQ(shown(http.get("/")), "none  /");
  const HttpReply refused = http.get("/a");
  EXPECT_EQ(refused.status, 401);
  EXPECT_NE(refused.field("WWW-Authenticate").find("\"Other\""), std::string_view::npos);
  EXPECT_EQ(server.authentication.realm, "Other");
  other.rate_limits = {rule("user", 1, RateKey::user)};
  ASSERT_TRUE(server.apply(other));
  EXPECT_EQ(shown(http.get("/a", joe)), "basic joe /a");
  EXPECT_EQ(shown(http.get("/a", joe)), "429");
  other.authentication.enabled = false;
  ASSERT_TRUE(server.apply(other));
  EXPECT_EQ(shown(http.get("/a")), "none  /a");
}

TEST_P(ApplyAccess, ApiKeysComeAndGo) {
  Running running = start();
  HttpClient http = client();
  auto first = ApiKeyManager::memory(), second = ApiKeyManager::memory();
  ASSERT_TRUE(first && second);
  const auto issued = (*first)->issue({.owner = "joe"});
  ASSERT_TRUE(issued);
  const std::string key = "X-API-Key: " + issued->text + "\r\n";
  Settings other = next();
  other.api_key_manager = *first;
  ASSERT_TRUE(server.apply(other));
  EXPECT_EQ(http.get("/").status, 401);
  EXPECT_EQ(http.get("/", key).status, 200);
  other.api_key_manager = *second;
  ASSERT_TRUE(server.apply(other));
  EXPECT_EQ(http.get("/", key).status, 401);
  // Nobody needs the first any more, and it goes.
  const std::weak_ptr<ApiKeyManager> gone = *first;
  first = Errc::gone;
  EXPECT_TRUE(gone.expired());
  other.api_key_manager.reset();
  ASSERT_TRUE(server.apply(other));
  EXPECT_EQ(http.get("/").status, 200);
}

TEST_P(ApplyAccess, NothingChangesWhenAnythingIsWrong) {
  server.rate_limits = {rule("site", 1'000)};
  Running running = start();
  Settings other = next();
  other.limits.body_bytes = 1;
  other.authentication.enabled = true;
  const auto refused = [&](std::string_view name) {
    const Result<void> applied = server.apply(other);
    EXPECT_EQ(applied.error().code, Errc::bad_setting) << name;
    EXPECT_NE(applied.error().message().find(name), std::string::npos) << applied.error().message();
    EXPECT_FALSE(server.authentication.enabled);
    HttpClient http = client();
    EXPECT_EQ(http.request("POST", "/", {}, "xx").status, 200) << name;
  };
  other.authentication.realm.clear();
  refused("authentication.realm");
  other.authentication.realm = "Fine";
  other.authentication.bearer.enabled = true;
  refused("authentication.bearer");
  other.authentication.bearer.key_files = {"/no/such/file"};
  refused("authentication.bearer.key_files");
  other.authentication.bearer.enabled = false;
  other.rate_limits.push_back(rule("site", 5));
  refused("\"site\"");
}

// Who has come to the old ones is judged by them, and is answered.
TEST_P(ApplyAccess, WhoWaitsIsAnswered) {
  settings.enabled = true;
  ASSERT_TRUE(settings.users.add("slow", kSlowHash));
  Running running = start();
  HttpClient waits = client(), gone = client();
  ASSERT_TRUE(ask_slowly(waits));
  ASSERT_TRUE(ask_slowly(gone));
  Settings other = next();
  other.authentication.parallel = 1;  // other threads
  other.authentication.realm = "Other";
  ASSERT_TRUE(server.apply(other));
  gone.reset();
  EXPECT_EQ(shown(client().get("/", joe)), "basic joe /");
  const HttpReply refused = waits.read();
  EXPECT_EQ(refused.status, 401);
  EXPECT_NE(refused.field("WWW-Authenticate").find("\"Sluice\""), std::string_view::npos);
  other.authentication.enabled = false;
  ASSERT_TRUE(server.apply(other));
  EXPECT_EQ(waits.get("/").status, 200);
}

TEST_P(ApplyAccess, WhoWaitsIsCancelledByAStop) {
  settings.enabled = true;
  settings.parallel = 1;
  ASSERT_TRUE(settings.users.add("slow", kSlowHash));
  server.shards = 1;
  Running running = start();
  HttpClient verified = client(), waits = client();
  ASSERT_TRUE(ask_slowly(verified));
  ASSERT_TRUE(ask_slowly(waits));
  Settings other = next();
  other.authentication.parallel = 2;
  ASSERT_TRUE(server.apply(other));
  ASSERT_TRUE(server.stop(20s));
  const int first = verified.read().status;
  EXPECT_TRUE(first == 401 || first == 503) << first;  // whether a thread had begun with it
  EXPECT_EQ(waits.read().status, 503);
}

TEST_P(ApplyAccess, WhatTheApplicationDecidesLater) {
  decide_later();
  settings.enabled = true;
  Running running = start();
  HttpClient first = client(), second = client();
  const std::string request = "GET / HTTP/1.1\r\nHost: a\r\n" + joe + "\r\n";
  ASSERT_TRUE(first.send(request));
  auto of_first = replies.take();
  ASSERT_TRUE(second.send(request));
  auto of_second = replies.take();
  ASSERT_TRUE(of_first && of_second);
  Settings other = next();
  other.authentication.enabled = false;
  ASSERT_TRUE(server.apply(other));
  EXPECT_EQ(shown(client().get("/")), "none  /");
  EXPECT_EQ(of_first->accept(), Errc::none);
  EXPECT_EQ(shown(first.read()), "basic joe /");
  second.reset();
  EXPECT_TRUE(eventually([&] { return server.counters().connections == 1; }));
  ASSERT_TRUE(server.apply(other));  // the old ones go
  EXPECT_EQ(of_second->refuse(), Errc::none);
  other.authentication.enabled = true;  // and the application is asked again
  ASSERT_TRUE(server.apply(other));
  ASSERT_TRUE(first.send(request));
  auto again = replies.take();
  ASSERT_TRUE(again);
  EXPECT_EQ(again->accept(), Errc::none);
  EXPECT_EQ(shown(first.read()), "basic joe /");
}

// Nothing is forgiven, and nobody has to come again.
TEST_P(ApplyAccess, WhatIsRememberedGoesOn) {
  settings.enabled = true;
  settings.session.enabled = true;
  settings.failures = {.free = 1, .refuse_after = 2, .first_delay = 1ms, .most_delay = 1ms};
  server.shards = 1;
  Running running = start();
  const std::string token = answer("/sgc/req/auth/session/joe/password");
  ASSERT_EQ(token.size(), 22u) << token;
  EXPECT_EQ(answer("/", basic("joe", "1")), "401");
  EXPECT_EQ(answer("/", basic("joe", "2")), "401");
  EXPECT_EQ(answer("/", basic("joe", "3")), "429");
  Settings other = next();
  other.authentication.realm = "Other";
  other.authentication.parallel = 1;
  ASSERT_TRUE(server.apply(other));
  EXPECT_EQ(answer("/", basic("joe", "4")), "429");
  EXPECT_EQ(answer("/", joe), "basic joe /");  // was verified before
  other.authentication.failures.refuse_after = 10;
  ASSERT_TRUE(server.apply(other));
  EXPECT_EQ(answer("/sgc/auth/session/" + token + "/a"), "session joe /a");
  EXPECT_EQ(answer("/", basic("joe", "4")), "401");
}

// The users of another list, or the same list with others in it.
TEST_P(ApplyAccess, UsersChange) {
  settings.enabled = true;
  Running running = start();
  EXPECT_EQ(answer("/", joe), "basic joe /");
  UserList others;
  ASSERT_TRUE(others.add("ann", kHash));
  Settings other = next();
  other.authentication.users = others;
  ASSERT_TRUE(server.apply(other));
  EXPECT_EQ(answer("/", joe), "401");
  EXPECT_EQ(answer("/", basic("ann", "password")), "basic ann /");
  UserList back;
  ASSERT_TRUE(back.add("joe", kHash));
  others.assign(back);
  EXPECT_EQ(answer("/", basic("ann", "password")), "401");
  EXPECT_EQ(answer("/", joe), "basic joe /");
}

TEST_P(ApplyAccess, AgainAndAgainUnderLoadHarmsNobody) {
  Running running = start();
  std::atomic<bool> over{false};
  std::thread changes([&] {
    Settings other = next();
    for (std::uint32_t i = 0; !over; ++i) {
      other.authentication.enabled = i % 2 == 0;
      other.authentication.parallel = 1 + i % 3;
      other.rate_limits.clear();
      if (i % 3 != 0) other.rate_limits.push_back(rule("site", 900'000));
      if (i % 4 == 0) other.rate_limits.push_back(rule("user", 800'000 + i, RateKey::user));
      EXPECT_TRUE(server.apply(other));
    }
  });
  std::vector<std::thread> clients;
  for (int i = 0; i < 3; ++i) {
    clients.emplace_back([&] {
      HttpClient http = client();
      for (int asked = 0; asked < 200; ++asked) {
        const std::string got = shown(http.get("/", joe));
        EXPECT_TRUE(got == "basic joe /" || got == "none  /") << got;
      }
    });
  }
  for (std::thread& one : clients) one.join();
  over = true;
  changes.join();
}

INSTANTIATE_TEST_SUITE_P(Setups, ApplyAccess, engines_and_dispatches(), name_of);

}  // namespace
}  // namespace sluice::test
