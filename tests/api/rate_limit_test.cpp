// tests/api/rate_limit_test.cpp - who asks too often is told so, and when to come again.
#include "api/auth_harness.hpp"

namespace sluice::test {
namespace {

using namespace std::chrono_literals;

RateRule rule(std::string name, RateKey key, std::uint32_t requests, std::string prefix = "/") {
  RateRule made;
  made.name = std::move(name);
  made.key = key;
  made.requests = requests;
  made.window = 3600s;  // none comes back while a test runs
  made.prefix = std::move(prefix);
  made.entries = 64;
  return made;
}

class RateLimits : public AuthTest {
 protected:
  void SetUp() override {
    AuthTest::SetUp();
    settings.enabled = false;
  }
  int status(std::string_view target, std::string_view fields = {}) {
    HttpClient http = client();
    return http.get(target, fields).status;
  }
};

TEST_P(RateLimits, RefuseAnAddress) {
  server.rate_limits = {rule("site", RateKey::address, 3)};
  Running running = start();
  HttpClient http = client();
  for (int left : {2, 1, 0}) {
    const HttpReply reply = http.get("/a");
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.field("RateLimit-Policy"), "\"site\";q=3;w=3600");
    EXPECT_TRUE(reply.field("RateLimit").starts_with("\"site\";r=" + std::to_string(left)))
        << reply.field("RateLimit");
    EXPECT_EQ(reply.count("Retry-After"), 0u);
  }
  const HttpReply reply = http.get("/b");
  EXPECT_EQ(reply.status, 429);
  EXPECT_EQ(reply.field("RateLimit-Policy"), "\"site\";q=3;w=3600");
  EXPECT_TRUE(reply.field("RateLimit").starts_with("\"site\";r=0;t=")) << reply.field("RateLimit");
  const std::string seconds(reply.field("Retry-After"));
  EXPECT_TRUE(reply.field("RateLimit").ends_with(";t=" + seconds));
  EXPECT_NE(seconds, "0");
  // The connection serves on, another connection of the address changes nothing, nor does a body.
  EXPECT_EQ(http.get("/").status, 429);
  EXPECT_EQ(status("/"), 429);
  HttpClient second = client();
  EXPECT_EQ(second.request("POST", "/", "", std::string(100'000, 'x')).status, 429);
  ASSERT_TRUE(http.send("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"));
  EXPECT_EQ(http.read().status, 429);
  EXPECT_TRUE(told_error(Errc::rate_limited));
  EXPECT_TRUE(logged(Errc::rate_limited));
}

TEST_P(RateLimits, AreForWhatLiesBelow) {
  server.rate_limits = {rule("login", RateKey::address, 1, "/login")};
  Running running = start();
  HttpClient http = client();
  const HttpReply other = http.get("/logins");
  EXPECT_EQ(other.status, 200);
  EXPECT_EQ(other.count("RateLimit"), 0u);
  EXPECT_EQ(http.get("/login").status, 200);
  for (const char* path : {"/login", "/login/x", "/%6cogin", "/x/../login"}) {
    EXPECT_EQ(http.get(path).status, 429) << path;
    EXPECT_EQ(upgrade(path), 429) << path;
  }
  EXPECT_EQ(http.get("/").status, 200);
}

TEST_P(RateLimits, RefuseUpgradesBeforeThe101) {
  RateRule sliding = rule("ws", RateKey::address, 2);
  sliding.algorithm = RateAlgorithm::sliding_window;
  server.rate_limits = {sliding};
  Running running = start();
  EXPECT_EQ(upgrade("/chat"), 101);
  EXPECT_EQ(upgrade("/chat"), 101);
  WsClient socket = ws("/chat");
  EXPECT_EQ(socket.reply().status, 429);
  EXPECT_NE(socket.reply().field("Retry-After"), "");
}

TEST_P(RateLimits, OfAddressesAreAskedBeforeAuthentication) {
  settings.enabled = settings.basic.enabled = true;
  ASSERT_TRUE(settings.users.add("joe", kHash));
  server.rate_limits = {rule("address", RateKey::address, 2)};
  Running running = start();
  EXPECT_EQ(status("/", basic("joe", "no")), 401);
  EXPECT_EQ(status("/", basic("joe", "password")), 200);
  EXPECT_EQ(status("/", basic("joe", "no")), 429);
  EXPECT_EQ(status("/", basic("joe", "password")), 429);
}

TEST_P(RateLimits, OfUsersAreAskedBehindIt) {
  settings.enabled = settings.basic.enabled = settings.allow_non_auth = true;
  ASSERT_TRUE(settings.users.add("joe", kHash));
  ASSERT_TRUE(settings.users.add("ann", kHash));
  server.rate_limits = {rule("user", RateKey::user, 2), rule("address", RateKey::address, 100)};
  Running running = start();
  for (int i = 0; i < 4; ++i) EXPECT_EQ(status("/", basic("joe", "no")), 401);
  EXPECT_EQ(status("/", basic("joe", "password")), 200);
  HttpClient http = client();
  const HttpReply reply = http.get("/", basic("joe", "password"));
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.count("RateLimit"), 2u);
  const HttpReply refused = http.get("/", basic("joe", "password"));
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(refused.count("RateLimit"), 1u);  // of the rule that refuses
  EXPECT_EQ(refused.field("RateLimit-Policy"), "\"user\";q=2;w=3600");
  // Others are not told apart from him by their address, and nobody has no name.
  EXPECT_EQ(status("/", basic("ann", "password")), 200);
  EXPECT_EQ(status("/"), 200);
  EXPECT_EQ(upgrade("/chat", basic("joe", "password")), 429);
}

TEST_P(RateLimits, OfOneRuleCountOnOverARestart) {
  server.rate_limits = {rule("a", RateKey::address, 1, "/a"), rule("b", RateKey::address, 1, "/b")};
  Running running = start();
  EXPECT_EQ(status("/a"), 200);
  EXPECT_EQ(status("/b"), 200);
  server.rate_limits[1].requests = 2;
  ASSERT_TRUE(server.restart(0ms));
  port = server.bound_port();
  EXPECT_EQ(status("/a"), 429);
  EXPECT_EQ(status("/b"), 200);  // another rule
}

TEST_P(RateLimits, ThatAreBadAreRefusedByName) {
  server.rate_limits = {rule("fine", RateKey::address, 1), rule("none", RateKey::address, 0)};
  refused_setting("\"none\"");
  server.rate_limits = {rule("twice", RateKey::address, 1), rule("twice", RateKey::user, 1)};
  refused_setting("\"twice\"");
  server.rate_limits = {rule("a b", RateKey::address, 1)};
  refused_setting("rate_limits: ");
  server.rate_limits.assign(33, rule("many", RateKey::address, 1));
  refused_setting("32");
  server.rate_limits.clear();
  Running running = start();
  EXPECT_EQ(status("/"), 200);
}

INSTANTIATE_TEST_SUITE_P(Engines, RateLimits, engines(), name_of);

}  // namespace
}  // namespace sluice::test
