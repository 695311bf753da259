// tests/api/auth_urls_test.cpp - session tokens and credentials in URLs: what they open, and that
// nobody sees them.
#include "api/auth_harness.hpp"

namespace sluice::test {
namespace {

using namespace std::chrono_literals;

class AuthUrls : public AuthTest {
 protected:
  void SetUp() override {
    AuthTest::SetUp();
    if (testing::Test::IsSkipped()) return;
    settings.session.enabled = settings.url.enabled = true;
    ASSERT_TRUE(settings.users.add("joe", kHash));
    ASSERT_TRUE(settings.users.add("a/b c", kHash));
  }
  std::string token() {
    HttpClient http = client();
    const HttpReply reply = http.get("/sgc/req/auth/session/joe/password");
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.field("Cache-Control"), "no-store");
    EXPECT_EQ(reply.body.size(), 22u);
    return reply.body;
  }
  HttpReply post(std::string_view form) {
    HttpClient http = client();
    return http.request("POST", "/auth/session",
                        "Content-Type: application/x-www-form-urlencoded\r\n", form);
  }
};

// --- A name and a password in the URL ------------------------------------------------------------

TEST_P(AuthUrls, CarryNameAndPassword) {
  const auto item = [this](Connection, const HttpRequest& request, HttpResponse& response) {
    targets.tell(std::string(request.raw_target()));
    response.content_text("item " + std::string(request.param("id")) + " " +
                          std::string(request.query()));
  };
  ASSERT_TRUE(server.route("GET", "/items/{id}", item));
  Running running = start();
  EXPECT_EQ(answer("/sgc/auth/url/joe/password"), "url joe /");
  EXPECT_EQ(answer("/sgc/auth/url/joe/password/"), "url joe /");
  EXPECT_EQ(answer("/sgc/auth/url/joe/password/a/../b%20c?x=1"), "url joe /b c");
  EXPECT_EQ(answer("/sgc/auth/url/joe/password/items/7?q"), "item 7 q");
  EXPECT_EQ(answer("/sgc/auth/url/joe/%70assword/x"), "url joe /x");
  EXPECT_EQ(answer("/sgc/auth/url/a%2Fb%20c/password/x"), "url a/b c /x");
  EXPECT_EQ(upgrade("/sgc/auth/url/joe/password/chat"), 101);
  EXPECT_TRUE(told("url joe /chat"));
  EXPECT_EQ(upgrade("/sgc/auth/url/joe/password"), 101);
  EXPECT_TRUE(told("url joe /"));
  EXPECT_EQ(targets.all(),
            (std::vector<std::string>{"/sgc/auth/url/***/***", "/sgc/auth/url/***/***/",
                                      "/sgc/auth/url/***/***/a/../b%20c?x=1",
                                      "/sgc/auth/url/***/***/items/7?q", "/sgc/auth/url/***/***/x",
                                      "/sgc/auth/url/***/***/x"}));
  HttpClient http = client();
  ASSERT_TRUE(
      http.send("GET http://localhost/sgc/auth/url/joe/password/y?z HTTP/1.1\r\n"
                "Host: localhost\r\n\r\n"));
  EXPECT_EQ(shown(http.read()), "url joe /y");
  EXPECT_EQ(targets.all().back(), "http://localhost/sgc/auth/url/***/***/y?z");
  expect_hidden("assword");
}

TEST_P(AuthUrls, WithWrongCredentialsAreRefusedAndHidden) {
  Running running = start();
  for (const char* target :
       {"/sgc/auth/url/joe/hush", "/sgc/auth/url/joe/hush/x", "/sgc/auth/url/jim/hush",
        "/sgc/auth/url/joe", "/sgc/auth/url/joe/", "/sgc/auth/url//hush", "/sgc/auth/url/joe//hush",
        "/sgc/auth/url/joe/./hush", "/sgc/auth/url/joe/%2e/hush", "/x/../sgc/auth/url/joe/hush",
        "/%73gc/auth/url/joe/hush", "/sgc/auth/url/joe/password%2Fhush", "/sgc/auth/session/hush",
        "/sgc/auth/session/", "/sgc/auth/session/hush/x", "/sgc/req/auth/session/joe/hush",
        "/sgc/req/auth/session/joe/password/hush", "/sgc/req/auth/session/joe",
        "/sgc/auth/url/joe/hush/../../../../../admin"}) {
    EXPECT_EQ(answer(target), "401") << target;
    EXPECT_EQ(upgrade(target), 401) << target;
  }
  for (const char* target :
       {"/sgc/auth/url/joe/hush%00", "/sgc/auth/url/joe/hush/%zz", "/sgc/auth/url/joe/\xff/hush"}) {
    EXPECT_EQ(answer(target), "400") << target;
  }
  HttpClient http = client();
  EXPECT_EQ(http.request("TRACE", "/sgc/auth/url/joe/hush").status, 501);
  EXPECT_EQ(http.request("POST", "/sgc/req/auth/session/joe/hush").status, 405);
  HttpClient bad = client();
  ASSERT_TRUE(bad.send("GET /sgc/auth/url/joe/hush HTTP/1.1\r\nBad Field: x\r\n\r\n"));
  EXPECT_EQ(bad.read().status, 400);
  EXPECT_TRUE(told_error(Errc::http_method_not_implemented));
  expect_hidden("hush");
}

TEST_P(AuthUrls, AreOrdinaryPathsWhereTheyAreOff) {
  settings.session.enabled = settings.url.enabled = false;
  settings.basic.enabled = true;
  Running running = start();
  const std::string joe = basic("joe", "password");
  EXPECT_EQ(answer("/sgc/auth/url/joe/password", joe), "basic joe /sgc/auth/url/joe/password");
  EXPECT_EQ(answer("/sgc/auth/url/joe/password"), "401");
  HttpClient http = client();
  EXPECT_EQ(shown(http.request("POST", "/auth/session", joe, "user=joe")),
            "basic joe /auth/session");
}

TEST_P(AuthUrls, HaveAChallengeOfTheirOwn) {
  Running running = start();
  HttpClient http = client();
  const HttpReply asked = http.get("/");
  EXPECT_EQ(asked.field("WWW-Authenticate"), "Session realm=\"Sluice\", charset=\"UTF-8\"");
}

// --- Session tokens ------------------------------------------------------------------------------

TEST_P(AuthUrls, OfASessionOpenOnce) {
  Running running = start();
  const std::string first = token(), second = token(), third = token();
  EXPECT_EQ(upgrade("/sgc/auth/session/" + first + "/chat"), 101);
  EXPECT_TRUE(told("session joe /chat"));
  EXPECT_EQ(upgrade("/sgc/auth/session/" + first + "/chat"), 401);
  EXPECT_EQ(upgrade("/sgc/auth/session/" + second), 101);
  EXPECT_TRUE(told("session joe /"));
  EXPECT_EQ(answer("/sgc/auth/session/" + third + "/x?y"), "session joe /x");
  EXPECT_EQ(answer("/sgc/auth/session/" + third + "/x?y"), "401");
  expect_hidden(first);
  expect_hidden(second);
  expect_hidden(third);
  expect_hidden("assword");
}

TEST_P(AuthUrls, OfASessionComeByAForm) {
  Running running = start();
  const HttpReply reply = post("user=joe&password=%70assword");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.field("Cache-Control"), "no-store");
  EXPECT_EQ(upgrade("/sgc/auth/session/" + reply.body), 101);
  EXPECT_EQ(post("password=password&user=a/b+c&other=1").status, 200);
  for (const char* form : {"user=joe&password=hush", "user=jim&password=password", "user=joe",
                           "password=password", "user=joe&user=joe&password=password", "x",
                           "user=&password=password", "user=%zz&password=password"}) {
    const HttpReply refused = post(form);
    EXPECT_EQ(refused.status, 401) << form;
    EXPECT_TRUE(refused.has("WWW-Authenticate"));
  }
  EXPECT_EQ(post("user=joe&password=" + std::string(5000, 'x')).status, 413);
  HttpClient http = client();
  EXPECT_EQ(http.request("POST", "/auth/session").status, 401);  // no form at all
  EXPECT_EQ(shown(http.request("POST", "/auth/session", {}, "user=joe&password=hush")), "401");
  EXPECT_EQ(http.request("POST", "/auth/session", {}, "user=joe&password=password").status, 200);
  EXPECT_EQ(http.get("/auth/session").status, 401);  // the application's
}

TEST_P(AuthUrls, OfASessionAreBoundToAnAddress) {
  Running running = start();
  const std::string taken = token();
  HttpClient other(port, "127.0.0.1", kPatience, "127.0.0.2");
  ASSERT_TRUE(other.connected());
  EXPECT_EQ(other.get("/sgc/auth/session/" + taken).status, 401);
  EXPECT_EQ(answer("/sgc/auth/session/" + taken), "401");  // it is no secret any more
}

TEST_P(AuthUrls, OfASessionAreForWhoTheUserWas) {
  Running running = start();
  const std::string first = token(), second = token();
  ASSERT_TRUE(settings.users.add("joe", kHash));
  EXPECT_EQ(answer("/sgc/auth/session/" + first), "401");
  ASSERT_TRUE(settings.users.remove("joe"));
  EXPECT_EQ(answer("/sgc/auth/session/" + second), "401");
}

TEST_P(AuthUrls, OfASessionExpire) {
  settings.session.ttl = 1s;
  Running running = start();
  const std::string old = token();
  // Its time is that of the server's clock, which no test can turn.
  const auto until = std::chrono::steady_clock::now() + 1100ms;
  ASSERT_TRUE(eventually([&] { return std::chrono::steady_clock::now() > until; }));
  EXPECT_EQ(answer("/sgc/auth/session/" + old), "401");
}

TEST_P(AuthUrls, OfASessionFollowTheApplicationsDecision) {
  decide_later();
  Running running = start();
  HttpClient http = client();
  ASSERT_TRUE(
      http.send("POST /auth/session HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n"
                "user=ann&password=bo"));
  auto reply = replies.take();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->accept(), Errc::none);
  const std::string given = http.read().body;
  EXPECT_EQ(answer("/sgc/auth/session/" + given), "session ann /");
  // Nobody decides: it ends with its client, or with its time.
  ASSERT_TRUE(
      http.send("POST /auth/session HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n"
                "user=ann&password=bo"));
  reply = replies.take();
  http.reset();
  EXPECT_TRUE(eventually([&] { return server.counters().connections == 0; }));
}

TEST_P(AuthUrls, AreGivenUpInTime) {
  server.timeouts.request_queue = 1ms;
  decide_later();
  Running running = start();
  EXPECT_EQ(post("user=ann&password=bob").status, 503);
  EXPECT_EQ(answer("/sgc/auth/url/ann/bob"), "503");
  EXPECT_TRUE(told_error(Errc::queue_timeout));
}

TEST_P(AuthUrls, KeepToTheirPaths) {
  settings.paths = {"/admin"};
  Running running = start();
  EXPECT_EQ(answer("/sgc/auth/url/joe/password/admin/x"), "url joe /admin/x");
  EXPECT_EQ(answer("/sgc/auth/url/joe/hush/admin/x"), "401");
  EXPECT_EQ(answer("/sgc/auth/url/joe/hush/public"), "none  /public");  // nobody asked
  EXPECT_EQ(answer("/sgc/auth/session/" + token() + "/admin"), "session joe /admin");
  expect_hidden("hush");
}

INSTANTIATE_TEST_SUITE_P(Engines, AuthUrls, engines_and_dispatches(), name_of);

}  // namespace
}  // namespace sluice::test
