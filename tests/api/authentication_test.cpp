// tests/api/authentication_test.cpp - who may come in with a password, who decides it, and what
// becomes of those who wait for it.
#include "api/auth_harness.hpp"

namespace sluice::test {
namespace {

using namespace std::chrono_literals;

class Passwords : public AuthTest {
 protected:
  void SetUp() override {
    AuthTest::SetUp();
    if (testing::Test::IsSkipped()) return;
    settings.basic.enabled = true;
    ASSERT_TRUE(settings.users.add("joe", kHash));
  }
  const std::string joe = basic("joe", "password");
};

TEST_P(Passwords, OpenTheDoorForTheirUser) {
  Running running = start();
  EXPECT_EQ(answer("/a", joe), "basic joe /a");
  EXPECT_EQ(answer("/a", joe), "basic joe /a");  // remembered
  EXPECT_EQ(upgrade("/chat", joe), 101);
  EXPECT_TRUE(told("basic joe /chat"));
  for (const std::string& wrong :
       {basic("joe", "Password"), basic("joe", ""), basic("joe ", "password"),
        basic("jim", "password"), std::string("Authorization: Basic joe\r\n"),
        std::string("Authorization: Basic \"\r\n"), std::string("Authorization: Negotiate abc\r\n"),
        joe + joe, std::string("Authorization: Bearer abc\r\n")}) {
    EXPECT_EQ(answer("/a", wrong), "401") << wrong;
    EXPECT_EQ(upgrade("/chat", wrong), 401) << wrong;
  }
  EXPECT_EQ(answer("/a"), "401");
  EXPECT_EQ(upgrade("/chat"), 401);
  EXPECT_TRUE(told_error(Errc::auth_required));
  EXPECT_TRUE(told_error(Errc::auth_refused));
  EXPECT_TRUE(told_error(Errc::auth_malformed));
  expect_hidden("assword");
}

TEST_P(Passwords, AreAskedForByAChallenge) {
  settings.realm = "a \"realm\"";
  Running running = start();
  HttpClient http = client();
  const HttpReply reply = http.get("/");
  EXPECT_EQ(reply.status, 401);
  EXPECT_EQ(reply.field("WWW-Authenticate"), "Basic realm=\"a \\\"realm\\\"\", charset=\"UTF-8\"");
  EXPECT_EQ(reply.count("WWW-Authenticate"), 1u);
  // The connection serves on.
  EXPECT_EQ(shown(http.get("/b", joe)), "basic joe /b");
  EXPECT_EQ(http.get("/b", basic("joe", "no")).status, 401);
  EXPECT_EQ(shown(http.get("/c", joe)), "basic joe /c");
  EXPECT_EQ(http.request("HEAD", "/").status, 401);
  EXPECT_EQ(server.counters().accepted, 1u);
}

TEST_P(Passwords, AnswerBeforeTheBodyIsRead) {
  Running running = start();
  HttpClient http = client();
  ASSERT_TRUE(
      http.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n"
                "Expect: 100-continue\r\n\r\n"));
  const HttpReply reply = http.read();
  EXPECT_EQ(reply.status, 401);
  EXPECT_TRUE(reply.interim.empty());
  EXPECT_TRUE(http.at_end());
  HttpClient second = client();
  const HttpReply echoed = second.request("POST", "/x", joe, std::string(100'000, 'x'));
  EXPECT_EQ(shown(echoed), "basic joe /x");
}

TEST_P(Passwords, MayBeLeftOutButNotBeWrong) {
  settings.allow_non_auth = true;
  Running running = start();
  EXPECT_EQ(answer("/a"), "none  /a");
  EXPECT_EQ(answer("/a", joe), "basic joe /a");
  EXPECT_EQ(answer("/a", basic("joe", "no")), "401");
  EXPECT_EQ(answer("/a", "Authorization: Digest x=y\r\n"), "401");
  EXPECT_EQ(upgrade("/chat"), 101);
  EXPECT_TRUE(told("none  /chat"));
  EXPECT_EQ(upgrade("/chat", basic("joe", "no")), 401);
}

TEST_P(Passwords, AreAskedForBelowPaths) {
  settings.paths = {"/admin/", "/b/c"};
  Running running = start();
  for (const char* path : {"/admin", "/admin/", "/admin/x", "/%61dmin/x", "/x/../admin/", "/b/c",
                           "/b/c/d", "//../admin/"}) {
    EXPECT_EQ(answer(path), "401") << path;
    EXPECT_NE(answer(path, joe), "401") << path;
    EXPECT_EQ(upgrade(path), 401) << path;
  }
  for (const char* path : {"/", "/administrator", "/b/cd", "/b", "/Admin/"}) {
    EXPECT_EQ(answer(path), std::string("none  ") + path);
    EXPECT_EQ(answer(path, basic("joe", "no")), std::string("none  ") + path);
  }
}

TEST_P(Passwords, OfWhoIsChangedOrRemovedAreForgotten) {
  Running running = start();
  HttpClient http = client();
  EXPECT_EQ(http.get("/", joe).status, 200);
  ASSERT_TRUE(settings.users.add("joe", kSlowHash));  // nobody knows its password
  EXPECT_EQ(http.get("/", joe).status, 401);
  ASSERT_TRUE(settings.users.add("joe", kHash));
  EXPECT_EQ(http.get("/", joe).status, 200);
  ASSERT_TRUE(settings.users.remove("joe"));
  EXPECT_EQ(http.get("/", joe).status, 401);
}

TEST_P(Passwords, AreVerifiedForManyAtOnce) {
  settings.parallel = 3;
  settings.basic.cache_ttl = 0s;
  Running running = start();
  std::vector<std::unique_ptr<HttpClient>> clients;
  const std::string wrong = basic("joe", "no");
  for (int i = 0; i < 40; ++i) {
    clients.push_back(std::make_unique<HttpClient>(port, "127.0.0.1", kPatience));
    EXPECT_TRUE(clients.back()->send("GET /" + std::to_string(i) + " HTTP/1.1\r\nHost: a\r\n" +
                                     (i % 2 ? wrong : joe) + "\r\n"));
  }
  for (int i = 0; i < 40; ++i) {
    const HttpReply reply = clients[std::size_t(i)]->read();
    EXPECT_EQ(shown(reply), i % 2 ? "401" : "basic joe /" + std::to_string(i));
  }
}

TEST_P(Passwords, PipelinedKeepTheirOrder) {
  Running running = start();
  HttpClient http = client();
  const auto request = [](const char* path, const std::string& fields) {
    return std::string("GET ") + path + " HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n";
  };
  ASSERT_TRUE(http.send(request("/1", joe) + request("/2", basic("joe", "no")) +
                        request("/3", joe) + request("/4", {})));
  EXPECT_EQ(shown(http.read()), "basic joe /1");
  EXPECT_EQ(shown(http.read()), "401");
  EXPECT_EQ(shown(http.read()), "basic joe /3");
  EXPECT_EQ(shown(http.read()), "401");
}

TEST_P(Passwords, WaitInABoundedNumber) {
  settings.parallel = 1;
  settings.waiting = 0;
  ASSERT_TRUE(settings.users.add("slow", kSlowHash));
  server.shards = 1;
  Running running = start();
  HttpClient first = client();
  ASSERT_TRUE(first.send("GET / HTTP/1.1\r\nHost: a\r\n" + basic("slow", "x") + "\r\n"));
  ASSERT_TRUE(eventually([&] { return server.counters().requests == 1; }));
  HttpClient second = client();
  const HttpReply busy = second.get("/", joe);
  EXPECT_EQ(busy.status, 503);
  EXPECT_EQ(busy.field("Retry-After"), "1");
  EXPECT_TRUE(told_error(Errc::auth_busy));
  EXPECT_EQ(first.read().status, 401);
  // Soon after its answer the thread is free again.
  EXPECT_TRUE(eventually([&] { return shown(second.get("/", joe)) == "basic joe /"; }));
}

TEST_P(Passwords, OfWhoHasGoneAreNobodys) {
  ASSERT_TRUE(settings.users.add("slow", kSlowHash));
  settings.parallel = 1;
  Running running = start();
  {
    HttpClient gone = client();
    ASSERT_TRUE(gone.send("GET / HTTP/1.1\r\nHost: a\r\n" + basic("slow", "x") + "\r\n"));
    ASSERT_TRUE(eventually([&] { return server.counters().requests == 1; }));
    gone.reset();
  }
  EXPECT_TRUE(eventually([&] { return server.counters().connections == 0; }));
  EXPECT_EQ(answer("/", joe), "basic joe /");  // its turn comes
  EXPECT_EQ(targets.size(), 1u);
}

TEST_P(Passwords, ThatWaitAreCancelledByAStop) {
  ASSERT_TRUE(settings.users.add("slow", kSlowHash));
  settings.parallel = 1;
  server.shards = 1;
  Running running = start();
  HttpClient verified = client(), waiting = client();
  const std::string request = "GET / HTTP/1.1\r\nHost: a\r\n" + basic("slow", "x") + "\r\n";
  ASSERT_TRUE(verified.send(request));
  ASSERT_TRUE(eventually([&] { return server.counters().requests == 1; }));
  ASSERT_TRUE(waiting.send(request));
  ASSERT_TRUE(eventually([&] { return server.counters().requests == 2; }));
  ASSERT_TRUE(server.stop(20s));
  const int first = verified.read().status;
  EXPECT_TRUE(first == 401 || first == 503) << first;  // whether a thread had begun with it
  EXPECT_EQ(waiting.read().status, 503);
  EXPECT_TRUE(waiting.at_end());
  EXPECT_TRUE(told_error(Errc::server_stopping));
}

TEST_P(Passwords, UnderWayAreBrokenOffByAStopWithoutDrain) {
  ASSERT_TRUE(settings.users.add("slow", kSlowHash));
  Running running = start();
  HttpClient http = client();
  ASSERT_TRUE(http.send("GET / HTTP/1.1\r\nHost: a\r\n" + basic("slow", "x") + "\r\n"));
  ASSERT_TRUE(eventually([&] { return server.counters().requests == 1; }));
  ASSERT_TRUE(server.stop(0ms));
  http.read();
  EXPECT_TRUE(http.at_end());
  ASSERT_TRUE(server.start());  // and all begins anew
  port = server.bound_port();
  EXPECT_EQ(answer("/", joe), "basic joe /");
}

TEST_P(Passwords, ThatTakeTooLongAreGivenUp) {
  ASSERT_TRUE(settings.users.add("slow", kSlowHash));
  server.timeouts.request_queue = 1ms;
  Running running = start();
  HttpClient http = client();
  EXPECT_EQ(http.get("/", basic("slow", "x")).status, 503);
  EXPECT_TRUE(told_error(Errc::queue_timeout));
}

// --- The application's own decision --------------------------------------------------------------

TEST_P(Passwords, AreTheApplicationsDecision) {
  Told<std::string> asked;
  server.on_authentication = [&](Connection connection, std::string_view user,
                                 std::string_view password, bool& authenticated) {
    EXPECT_TRUE(connection.is_open());
    asked.tell(std::string(user) + ":" + std::string(password) + (authenticated ? " yes" : " no"));
    if (user == "joe") authenticated = authenticated && password != "never";
    if (user == "ann") authenticated = password == "bob";
    if (user == "bug") throw std::runtime_error("a bug");
  };
  Running running = start();
  EXPECT_EQ(answer("/", joe), "basic joe /");
  EXPECT_EQ(answer("/", joe), "basic joe /");
  EXPECT_EQ(answer("/", basic("joe", "never")), "401");
  EXPECT_EQ(answer("/", basic("ann", "bob")), "basic ann /");
  EXPECT_EQ(answer("/", basic("ann", "bo")), "401");
  EXPECT_EQ(answer("/", basic("bug", "x")), "500");
  EXPECT_EQ(upgrade("/chat", basic("ann", "bob")), 101);
  EXPECT_TRUE(told("basic ann /chat"));
  EXPECT_EQ(upgrade("/chat", basic("ann", "bo")), 401);
  EXPECT_EQ(asked.count("joe:password yes"), 2u);
  EXPECT_EQ(asked.count("joe:never no"), 1u);
  EXPECT_EQ(asked.count("ann:bob no"), 2u);
}

TEST_P(Passwords, AreDecidedWithoutAnyUsersOfOurs) {
  ASSERT_TRUE(settings.users.remove("joe"));
  server.on_authentication = [&](Connection, std::string_view user, std::string_view, bool& good) {
    good = user == "ann";
  };
  Running running = start();
  EXPECT_EQ(answer("/", basic("ann", "x")), "basic ann /");
  EXPECT_EQ(answer("/", joe), "401");
}

TEST_P(Passwords, OfAConnectionThatTheDecisionEnds) {
  server.on_authentication = [&](Connection connection, std::string_view, std::string_view, bool&) {
    connection.disconnect();
  };
  Running running = start();
  HttpClient http = client();
  EXPECT_EQ(http.get("/", joe).status, 0);
  EXPECT_TRUE(eventually([&] { return server.counters().connections == 0; }));
}

TEST_P(Passwords, MayBeDecidedLater) {
  server.on_authentication_async = [&](Connection, std::string_view user, std::string_view,
                                       AuthenticationReply reply) {
    if (user == "now") {
      EXPECT_EQ(reply.accept(), Errc::none);
      EXPECT_EQ(reply.refuse(), Errc::already_replied);
    } else if (user != "forgotten") {
      replies.put(std::move(reply));
    }
  };
  Running running = start();
  HttpClient first = client(), second = client();
  const auto ask = [](HttpClient& http, const std::string& fields) {
    return http.send("GET / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n");
  };
  ASSERT_TRUE(ask(first, joe));
  auto of_first = replies.take();
  ASSERT_TRUE(ask(second, basic("ann", "x")));
  auto of_second = replies.take();
  ASSERT_TRUE(of_first && of_second);
  EXPECT_TRUE(of_first->authenticated());
  EXPECT_FALSE(of_second->authenticated());
  EXPECT_EQ(of_second->accept(), Errc::none);
  EXPECT_EQ(shown(second.read()), "basic ann /");
  EXPECT_EQ(of_first->refuse(), Errc::none);
  EXPECT_EQ(shown(first.read()), "401");
  EXPECT_EQ(answer("/", basic("now", "x")), "basic now /");
  EXPECT_EQ(answer("/", basic("forgotten", "x")), "401");
  ASSERT_TRUE(ask(first, joe));
  EXPECT_TRUE(replies.take());  // and gone
  EXPECT_EQ(shown(first.read()), "401");
}

TEST_P(Passwords, DecidedLaterOpenWebSockets) {
  decide_later();
  Running running = start();
  HttpClient http = client();
  // What is sent on trust is there when the door opens.
  ASSERT_TRUE(http.send(WsClient::handshake("/chat", joe) + WsClient::frame(1, "hello")));
  auto reply = replies.take();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->accept(), Errc::none);
  EXPECT_EQ(http.read().status, 101);
  std::string frame;
  ASSERT_TRUE(http.read_bytes(7, frame));
  EXPECT_EQ(frame.substr(2), "hello");
  EXPECT_EQ(next_connection().authentication(), (Identity{"joe", AuthenticationScheme::basic}));
}

TEST_P(Passwords, ThatNobodyDecidesEndWithTheServer) {
  decide_later();
  std::optional<AuthenticationReply> late, gone;
  {
    Running running = start();
    HttpClient first = client();
    ASSERT_TRUE(first.send("GET / HTTP/1.1\r\nHost: a\r\n" + joe + "\r\n"));
    gone = replies.take();
    first.reset();
    EXPECT_TRUE(eventually([&] { return server.counters().connections == 0; }));
    ASSERT_TRUE(gone);
    EXPECT_EQ(gone->accept(), Errc::none);
    HttpClient second = client();
    ASSERT_TRUE(second.send("GET / HTTP/1.1\r\nHost: a\r\n" + joe + "\r\n"));
    late = replies.take();
    ASSERT_TRUE(server.stop(0ms));
    EXPECT_TRUE(second.at_end());
  }
  ASSERT_TRUE(late);
  EXPECT_EQ(late->accept(), Errc::none);
  EXPECT_EQ(targets.size(), 0u);
}

// --- Failures ------------------------------------------------------------------------------------

TEST_P(Passwords, ThatAreGuessedAreSlowedDownAndThenRefused) {
  settings.failures = {.free = 1, .refuse_after = 4, .first_delay = 1ms, .most_delay = 2ms};
  server.shards = 1;
  Running running = start();
  HttpClient http = client();
  EXPECT_EQ(http.get("/", joe).status, 200);
  for (int i = 0; i < 4; ++i) {
    // The same wrong one again is no new guess.
    EXPECT_EQ(http.get("/", basic("joe", std::to_string(i))).status, 401);
    EXPECT_EQ(http.get("/", basic("joe", std::to_string(i))).status, i < 3 ? 401 : 429);
  }
  HttpClient other = client();
  const HttpReply refused = other.get("/", basic("jim", "password"));
  EXPECT_EQ(refused.status, 429);
  const int seconds = std::atoi(std::string(refused.field("Retry-After")).c_str());
  EXPECT_TRUE(seconds > 0 && seconds <= 300) << seconds;
  EXPECT_EQ(upgrade("/chat", basic("joe", "x")), 429);
  EXPECT_EQ(other.get("/").status, 401);       // who shows nothing is asked, as ever
  EXPECT_EQ(other.get("/", joe).status, 200);  // and who is known comes in
  EXPECT_TRUE(told_error(Errc::auth_throttled));
}

TEST_P(Passwords, AndTokensThatWereWrongKeepTheirClientWaiting) {
  settings.session.enabled = true;  // a token is judged at once
  settings.failures = {.free = 0, .first_delay = 60s, .most_delay = 60s};
  server.timeouts.request_queue = 0ms;
  Running running = start();
  HttpClient gone = client();
  const std::string_view request = "GET /sgc/auth/session/x HTTP/1.1\r\nHost: a\r\n\r\n";
  ASSERT_TRUE(gone.send(request));
  ASSERT_TRUE(eventually([&] { return server.counters().requests == 1; }));
  gone.reset();
  EXPECT_TRUE(eventually([&] { return server.counters().connections == 0; }));
  HttpClient stopped = client();
  ASSERT_TRUE(stopped.send(request));
  ASSERT_TRUE(eventually([&] { return server.counters().requests == 2; }));
  ASSERT_TRUE(server.stop(0ms));
  EXPECT_EQ(stopped.read().status, 0);
  EXPECT_TRUE(stopped.at_end());
}

// --- Settings ------------------------------------------------------------------------------------

TEST_P(Passwords, NeedGoodSettings) {
  const auto with = [&](std::string_view name, auto change) {
    const Authentication before = settings;
    change(settings);
    refused_setting(name);
    settings = before;
  };
  with("authentication.enabled", [](Authentication& a) { a.basic.enabled = false; });
  with("authentication.realm", [](Authentication& a) { a.realm = ""; });
  with("authentication.realm", [](Authentication& a) { a.realm = "a\nb"; });
  with("authentication.paths", [](Authentication& a) { a.paths = {"admin"}; });
  with("authentication.paths", [](Authentication& a) { a.paths = {"/a/../b"}; });
  with("authentication.paths", [](Authentication& a) { a.paths = {"/%61"}; });
  with("authentication.parallel", [](Authentication& a) { a.parallel = 0; });
  with("authentication.waiting", [](Authentication& a) { a.waiting = 100'000; });
  with("authentication.basic.cache_ttl", [](Authentication& a) { a.basic.cache_ttl = -1s; });
  with("authentication.digest.nonce_ttl", [](Authentication& a) { a.digest.nonce_ttl = 0s; });
  with("authentication.session.ttl", [](Authentication& a) { a.session.ttl = 0s; });
  with("authentication.failures.first_delay",
       [](Authentication& a) { a.failures.first_delay = 5s; });
  with("authentication.failures.refuse_for",
       [](Authentication& a) { a.failures.refuse_for = -1s; });
  with("authentication.failures.forget_after",
       [](Authentication& a) { a.failures.forget_after = -1s; });
  with("authentication.bearer", [](Authentication& a) { a.bearer.enabled = true; });
  server.on_authentication = [](Connection, std::string_view, std::string_view, bool&) {};
  server.on_authentication_async = [](Connection, std::string_view, std::string_view,
                                      AuthenticationReply) {};
  refused_setting("on_authentication_async");
  server.on_authentication = nullptr;
  server.on_authentication_async = nullptr;
  EXPECT_EQ(settings.users.add("joe", "plain").error().code, Errc::bad_setting);
  settings.enabled = false;
  settings.realm = "";  // nobody asks
  Running running = start();
  EXPECT_EQ(answer("/"), "none  /");
}

INSTANTIATE_TEST_SUITE_P(Engines, Passwords, engines_and_dispatches(), name_of);

}  // namespace
}  // namespace sluice::test
