// tests/api/urls_test.cpp - URL prefixes, their groups and the request queue, over real sockets.
#include "api/ws_harness.hpp"

namespace sluice::test {
namespace {

using namespace std::chrono_literals;

class Urls : public WsTest {
 protected:
  void SetUp() override {
    WsTest::SetUp();
    if (testing::Test::IsSkipped()) return;
    server.on_http_request = [this](Connection, const HttpRequest& request,
                                    HttpResponse& response) {
      handled.tell(std::string(request.document()));
      response.content_text(std::to_string(request.url_context()) + " " +
                            std::string(request.body().text()));
    };
  }

  void bind(std::string_view host, std::string_view path, PrefixOptions options = {}) {
    server.bindings.add(
        "http://" + std::string(host) + ":" + std::to_string(bound) + std::string(path),
        std::move(options));
  }
  std::string answer(std::string_view host, std::string_view target) {
    HttpClient http = client();
    EXPECT_TRUE(http.send("GET " + std::string(target) + " HTTP/1.1\r\nHost: " + std::string(host) +
                          "\r\n\r\n"));
    HttpReply reply = http.read();
    return reply.status == 200 ? reply.body : std::to_string(reply.status);
  }
  bool waiting(std::uint64_t requests) {
    return eventually([&] { return server.counters().requests >= requests; });
  }
  // Sent, and so many requests have come then.
  void send_and_wait(HttpClient& http, std::string_view bytes, std::uint64_t requests = 1) {
    EXPECT_TRUE(http.send(bytes) && waiting(requests));
  }

  const std::uint16_t bound = free_port();
  Told<std::string> handled;
};

TEST_P(Urls, ThePrefixWithThePrecedenceTakesTheRequest) {
  bind("+", "/strong/", {.context = 1});
  bind("www.example.com", "/", {.context = 2});
  bind("www.example.com", "/deep/er/", {.context = 3});
  bind("*.example.com", "/", {.context = 4});
  bind("127.0.0.1", "/ip/", {.context = 5});
  bind("*", "/weak/", {.context = 6});
  Running running = start();
  struct Case {
    std::string_view host, target, answer;
  };
  const Case cases[] = {
      {"www.example.com", "/strong/x", "1 "}, {"any.thing", "/strong", "1 "},
      {"www.example.com", "/", "2 "},         {"WWW.Example.COM:99", "/ip/x", "2 "},
      {"www.example.com", "/deep/", "2 "},    {"www.example.com", "/deep/er/x?q", "3 "},
      {"www.example.com", "/deep/er", "3 "},  {"www.example.com", "/deep/erest", "2 "},
      {"api.example.com", "/deep/er/", "4 "}, {"a.b.example.com", "/ip/", "4 "},
      {"example.com", "/ip/x", "5 "},         {"10.0.0.1", "/ip/x", "5 "},
      {"example.com", "/weak/x", "6 "},       {"example.com", "/", "400"},
      {"example.com", "/strong/../", "400"},  {"example.com", "/x/../weak/", "6 "},
  };
  for (const Case& one : cases) {
    EXPECT_EQ(answer(one.host, one.target), one.answer) << one.host << one.target;
  }
  EXPECT_TRUE(told_error(Errc::host_not_served));
}

TEST_P(Urls, OnePrefixServesEverythingOrOnlyItsPath) {
  bind("127.0.0.1", "/app/", {.context = 7});
  Running running = start();
  EXPECT_EQ(server.bound_prefixes()[0], "http://127.0.0.1:" + std::to_string(bound) + "/app/");
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(answer("a", "/app/"), "7 ");
    EXPECT_EQ(answer("b", "/"), "400");
  }
}

TEST_P(Urls, MayBeEditedBeforeTheyAreBound) {
  Told<std::string> seen;
  server.on_before_binding = [&](std::vector<Binding>& list) {
    for (const Binding& binding : list) seen.tell(binding.prefix);
    list.push_back({"http://127.0.0.1:0/added/", {.context = 9}});
    list.erase(list.begin());
  };
  Running running = start();
  EXPECT_EQ(seen.all(), std::vector<std::string>{"http://127.0.0.1:0/"});
  EXPECT_EQ(answer("a", "/added/x"), "9 ");
  EXPECT_EQ(answer("a", "/"), "400");
}

TEST_P(Urls, NeedTheirGroup) {
  bind("127.0.0.1", "/", {.url_group = "api"});
  Result<void> started = server.start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, Errc::bad_prefix);
  EXPECT_NE(started.error().message().find("url_groups[\"api\"]"), std::string::npos);
  server.url_groups["api"].connections = 0;
  started = server.start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, Errc::bad_setting);
  EXPECT_NE(started.error().message().find("url_groups[\"api\"].connections"), std::string::npos);
  server.url_groups["api"].connections = 1;
  Running running = start();
}

// --- Groups --------------------------------------------------------------------------------------

TEST_P(Urls, GroupsAreSwitchedOffAndOn) {
  bind("127.0.0.1", "/");
  bind("127.0.0.1", "/api/", {.url_group = "api", .context = 1});
  server.url_groups["api"].active = false;
  Running running = start();
  EXPECT_EQ(answer("a", "/api/x"), "503");
  EXPECT_TRUE(told_error(Errc::group_inactive));
  EXPECT_EQ(answer("a", "/x"), "0 ");
  EXPECT_TRUE(server.url_group_active("api", true));
  EXPECT_EQ(answer("a", "/api/x"), "1 ");
  EXPECT_TRUE(server.url_group_active("api", false));
  EXPECT_EQ(answer("a", "/api/x"), "503");
  EXPECT_EQ(server.url_group_active("none", false).error().code, Errc::invalid_argument);
}

TEST_P(Urls, GroupsHaveLimitsOfTheirOwn) {
  bind("127.0.0.1", "/");
  bind("127.0.0.1", "/api/", {.url_group = "api"});
  server.url_groups["api"].body_bytes = 10;
  server.url_groups["api"].head_bytes = 200;
  Running running = start();
  auto post = [&](std::string_view target, std::size_t body, std::size_t field) {
    HttpClient http = client();
    EXPECT_TRUE(http.send(
        "POST " + std::string(target) + " HTTP/1.1\r\nHost: a\r\nX: " + std::string(field, 'x') +
        "\r\nContent-Length: " + std::to_string(body) + "\r\n\r\n" + std::string(body, 'b')));
    return http.read().status;
  };
  EXPECT_EQ(post("/api/", 10, 1), 200);
  EXPECT_EQ(post("/api/", 11, 1), 413);
  EXPECT_EQ(post("/", 11, 1), 200);
  EXPECT_EQ(post("/api/", 1, 200), 431);
  EXPECT_EQ(post("/", 1, 200), 200);
}

TEST_P(Urls, GroupsLimitTheirConnections) {
  bind("127.0.0.1", "/");
  bind("127.0.0.1", "/api/", {.url_group = "api"});
  server.url_groups["api"].connections = 2;
  Running running = start();
  HttpClient first = client(), second = client();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(first.get("/api/").status, 200) << "one connection counts once";
    EXPECT_EQ(second.get("/api/").status, 200);
  }
  EXPECT_EQ(answer("a", "/api/"), "503");
  EXPECT_TRUE(told_error(Errc::too_many_connections));
  EXPECT_EQ(answer("a", "/"), "0 ");
  first.disconnect();
  EXPECT_TRUE(eventually([&] { return answer("a", "/api/") == "0 "; }));
}

TEST_P(Urls, GroupsHaveAnIdleTimeOfTheirOwn) {
  bind("127.0.0.1", "/");
  bind("127.0.0.1", "/api/", {.url_group = "api"});
  server.url_groups["api"].idle_connection = 20ms;
  Running running = start();
  HttpClient http = client();
  EXPECT_EQ(http.get("/api/").status, 200);
  EXPECT_TRUE(http.at_end());
}

// --- The request queue ---------------------------------------------------------------------------

TEST_P(Urls, RequestsWaitWhileTheQueueIsInactive) {
  server.request_queue.active = false;
  Running running = start();
  HttpClient plain = client(), post = client(), large = client();
  ASSERT_TRUE(plain.send("GET /plain HTTP/1.1\r\nHost: a\r\n\r\n"));
  ASSERT_TRUE(post.send("POST /post HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbo"));
  const std::string body = pattern(300'000);
  send_and_wait(large,
                "POST /large HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                "Content-Length: 300000\r\n\r\n",
                3);
  EXPECT_EQ(handled.size(), 0u);
  EXPECT_TRUE(server.request_queue_active(true));
  EXPECT_EQ(plain.read().body, "0 ");
  ASSERT_TRUE(post.send("dy"));
  EXPECT_EQ(post.read().body, "0 body");
  // A body that comes unasked is not asked for.
  const std::string_view wanted = "HTTP/1.1 100 Continue\r\n\r\n";
  std::string interim;
  ASSERT_TRUE(large.read_bytes(wanted.size(), interim));
  EXPECT_EQ(interim, wanted);
  ASSERT_TRUE(large.send(body));
  EXPECT_EQ(large.read().body, "0 " + body);
  // And the connections go on.
  EXPECT_EQ(plain.get("/").status, 200);
  EXPECT_EQ(post.get("/").status, 200);
}

TEST_P(Urls, UpgradesWaitWhileTheQueueIsInactive) {
  server.request_queue.active = false;
  Running running = start();
  HttpClient raw = client();
  // What follows the handshake at once is kept for the WebSocket: a masked "hi" with a zero key.
  const std::string frame("\x81\x82\0\0\0\0hi", 8);
  send_and_wait(raw,
                "GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
                "\r\n" +
                    frame);
  EXPECT_EQ(events.size(), 0u);
  EXPECT_TRUE(server.request_queue_active(true));
  EXPECT_TRUE(told("connect"));
  EXPECT_TRUE(told("text hi"));
}

TEST_P(Urls, PipelinedRequestsWaitInOrder) {
  server.request_queue.active = false;
  Running running = start();
  HttpClient http = client();
  send_and_wait(http, "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(server.request_queue_active(true));
  EXPECT_EQ(http.read().status, 200);
  EXPECT_EQ(http.read().status, 200);
  EXPECT_EQ(handled.all(), (std::vector<std::string>{"/1", "/2"}));
}

TEST_P(Urls, AFullQueueAnswersAsItsVerbositySays) {
  for (Verbosity503 verbosity : {Verbosity503::basic, Verbosity503::limited, Verbosity503::full}) {
    server.request_queue = {verbosity, false};
    server.fine_tune.queue_length = 1;
    Running running = start();
    HttpClient first = client(), second = client();
    const std::uint64_t before = server.counters().requests;
    send_and_wait(first, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", before + 1);
    HttpReply reply = second.get("/");
    EXPECT_TRUE(told_error(Errc::queue_full));
    EXPECT_TRUE(second.at_end());
    if (verbosity == Verbosity503::basic) {
      EXPECT_EQ(reply.status, 0);
    } else {
      EXPECT_EQ(reply.status, 503);
      EXPECT_EQ(reply.field("Connection"), "close");
      EXPECT_EQ(reply.field("Retry-After"), "1");
      EXPECT_EQ(reply.body, verbosity == Verbosity503::full ? "the request queue is full\n"
                                                            : "the service is unavailable\n");
    }
    EXPECT_TRUE(server.request_queue_active(true));
    EXPECT_EQ(first.read().status, 200);
  }
}

TEST_P(Urls, WhoWaitsTooLongInTheQueueIsAnswered) {
  server.request_queue.active = false;
  server.timeouts.request_queue = 30ms;
  Running running = start();
  EXPECT_EQ(client().get("/").status, 503);
  EXPECT_TRUE(told_error(Errc::queue_timeout));
  EXPECT_TRUE(server.request_queue_active(true));
  EXPECT_EQ(client().get("/").status, 200);
}

TEST_P(Urls, WhoGoesWhileWaitingLeavesItsPlace) {
  server.request_queue.active = false;
  server.fine_tune.queue_length = 1;
  Running running = start();
  {
    HttpClient gone = client();
    send_and_wait(gone, "GET /gone HTTP/1.1\r\nHost: a\r\n\r\n");
    gone.reset();
  }
  ASSERT_TRUE(eventually([&] { return server.counters().connections == 0; }));
  HttpClient next = client();
  send_and_wait(next, "GET /next HTTP/1.1\r\nHost: a\r\n\r\n", 2);
  EXPECT_TRUE(server.request_queue_active(true));
  EXPECT_EQ(next.read().status, 200);
  EXPECT_EQ(handled.all(), std::vector<std::string>{"/next"});
}

TEST_P(Urls, AStopAnswersWhoWaits) {
  server.request_queue.active = false;
  Running running = start();
  HttpClient http = client();
  send_and_wait(http, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(server.stop(kPatience));
  EXPECT_EQ(http.read().status, 503);
  EXPECT_TRUE(server.start());
}

INSTANTIATE_TEST_SUITE_P(Setups, Urls, engines_and_dispatches(), name_of);

}  // namespace
}  // namespace sluice::test
