// tests/api/cache_wait_test.cpp - one handler for many who ask at once; flushes meanwhile; rules.
#include <atomic>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "api/harness.hpp"

namespace sluice::test {
namespace {

using namespace std::chrono_literals;

// Answers come when the test says so.
class CacheWaits : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    if (testing::Test::IsSkipped()) return;
    server.shards = 3;
    server.response_cache.wait = kPatience;
    server.on_http_request = [this](Connection, const HttpRequest& request,
                                    HttpResponse& response) {
      const int run = ++runs;
      response.content_text(std::to_string(run));
      if (request.document() == "/now") {
        response.cache(Cache::until_invalidated);
        return;
      }
      if (fails.exchange(false)) throw std::runtime_error("on purpose");
      replies.put(std::make_shared<Reply>(response.defer()));
    };
    server.cache_rules = {{"/", Cache::until_invalidated}};
  }
  // The handlers that run have one answer each.
  static void send(Reply& reply, std::string_view text = {}) {
    if (!text.empty()) reply.content_text(text);
    EXPECT_EQ(reply.send(), Errc::none);
  }
  using Clients = std::vector<std::unique_ptr<HttpClient>>;
  Clients ask(std::size_t count, std::string_view target = "/a", std::string_view fields = {}) {
    Clients clients;
    for (std::size_t i = 0; i < count; ++i) {
      clients.push_back(std::make_unique<HttpClient>(port, "127.0.0.1", kPatience));
      EXPECT_TRUE(clients.back()->send("GET " + std::string(target) + " HTTP/1.1\r\nHost: a\r\n" +
                                       std::string(fields) + "\r\n"));
    }
    return clients;
  }
  bool waited(std::uint64_t count) {
    return eventually([&] { return server.cache_counters().waited >= count; });
  }
  static void expect_all(Clients& clients, std::string_view body) {
    for (auto& each : clients) {
      const HttpReply reply = each->read();
      EXPECT_EQ(reply.status, 200);
      EXPECT_EQ(reply.body, body);
    }
  }

  Handover<std::shared_ptr<Reply>> replies;
  std::atomic<int> runs{0};
  std::atomic<bool> fails{false};
};
INSTANTIATE_TEST_SUITE_P(Setups, CacheWaits, engines_and_dispatches(), name_of);

TEST_P(CacheWaits, ForOneHandler) {
  Running running = start();
  Clients first = ask(1);
  auto reply = replies.take();
  ASSERT_TRUE(reply);
  Clients others = ask(24);
  ASSERT_TRUE(waited(24));
  EXPECT_EQ(runs, 1);
  send(**reply);
  expect_all(first, "1");
  expect_all(others, "1");
  EXPECT_EQ(runs, 1);
  EXPECT_EQ(server.cache_counters().hits, 24u);
}

TEST_P(CacheWaits, WithoutARuleOnceItsAnswerWasKept) {
  server.cache_rules.clear();
  server.on_http_request = [this](Connection, const HttpRequest&, HttpResponse& response) {
    response.content_text(std::to_string(++runs)).cache(Cache::until_invalidated);
    if (runs > 1) replies.put(std::make_shared<Reply>(response.defer()));
  };
  Running running = start();
  Clients first = ask(1);
  expect_all(first, "1");
  EXPECT_EQ(server.flush_cache("/a"), 1u);
  Clients more = ask(8);
  auto reply = replies.take();
  ASSERT_TRUE(reply);
  ASSERT_TRUE(waited(7));
  EXPECT_EQ(runs, 2);
  send(**reply);
  expect_all(more, "2");
}

TEST_P(CacheWaits, NoMoreWhenTheHandlerThrows) {
  fails = true;
  server.on_http_request = [this, usual = server.on_http_request](Connection connection,
                                                                  const HttpRequest& request,
                                                                  HttpResponse& response) {
    if (runs == 0 && on_pool()) {  // until the others wait
      EXPECT_TRUE(eventually([this] { return server.cache_counters().waited >= 3; }));
    }
    usual(connection, request, response);
  };
  Running running = start();
  Clients clients = ask(4);
  // One of those who waited runs it again; on the shard nobody could wait before.
  auto reply = replies.take();
  ASSERT_TRUE(reply);
  ASSERT_TRUE(waited(on_pool() ? 5 : 2));
  EXPECT_EQ(runs, 2);
  send(**reply);
  int good = 0, bad = 0;
  for (auto& each : clients) ++(each->read().status == 200 ? good : bad);
  EXPECT_EQ(good, 3);
  EXPECT_EQ(bad, 1);
  EXPECT_EQ(runs, 2);
}

TEST_P(CacheWaits, NoMoreWhenTheirLeaderHasGone) {
  Running running = start();
  Clients first = ask(1);
  auto abandoned = replies.take();
  ASSERT_TRUE(abandoned);
  Clients others = ask(5);
  ASSERT_TRUE(waited(5));
  first.front()->reset();
  EXPECT_TRUE(eventually([&] { return (*abandoned)->aborted(); }));
  abandoned->reset();
  auto reply = replies.take();
  ASSERT_TRUE(reply);
  ASSERT_TRUE(waited(9));
  send(**reply);
  expect_all(others, "2");
  EXPECT_EQ(runs, 2);
}

TEST_P(CacheWaits, UntilTheClientGoes) {
  Running running = start();
  Clients first = ask(1);
  auto reply = replies.take();
  ASSERT_TRUE(reply);
  Clients others = ask(6), stay = ask(2);
  ASSERT_TRUE(waited(8));
  const auto open = [&] { return server.counters().connections; };
  EXPECT_EQ(open(), 9u);
  for (auto& each : others) each->reset();
  EXPECT_TRUE(eventually([&] { return open() == 3u; }));
  send(**reply);
  expect_all(first, "1");
  expect_all(stay, "1");
}

TEST_P(CacheWaits, NotAfterTheServerHasStopped) {
  Running running = start();
  Clients first = ask(1);
  auto reply = replies.take();
  ASSERT_TRUE(reply);
  Clients others = ask(6);
  ASSERT_TRUE(waited(6));
  EXPECT_TRUE(server.stop(0ms));
  EXPECT_EQ((*reply)->send(), Errc::gone);
  for (auto& each : others) EXPECT_NE(each->read().status, 200);
  EXPECT_EQ(runs, 1);
}

TEST_P(CacheWaits, NoLongerThanTheirTime) {
  server.response_cache.wait = 20ms;
  Running running = start();
  Clients first = ask(1);
  auto slow = replies.take();
  ASSERT_TRUE(slow);
  Clients second = ask(1);
  auto own = replies.take();
  ASSERT_TRUE(own);
  send(**own);
  expect_all(second, "2");
  send(**slow);
  expect_all(first, "1");
  EXPECT_EQ(server.cache_counters().waited, 1u);
}

TEST_P(CacheWaits, NotForWhatIsNotKept) {
  Running running = start();
  Clients first = ask(1);
  auto reply = replies.take();
  ASSERT_TRUE(reply);
  Clients others = ask(3);
  ASSERT_TRUE(waited(3));
  (*reply)->cache_control("private");
  send(**reply);
  expect_all(first, "1");
  // Each runs it now, also who comes next.
  Clients next = ask(1);
  std::vector<std::shared_ptr<Reply>> all;
  for (int i = 0; i < 4; ++i) {
    auto one = replies.take();
    ASSERT_TRUE(one);
    all.push_back(*one);
  }
  for (auto& one : all) send(*one, "own");
  expect_all(others, "own");
  expect_all(next, "own");
  EXPECT_EQ(server.cache_counters().waited, 3u);
}

TEST_P(CacheWaits, NotForTheAnswersOfOthers) {
  Running running = start();
  Clients first = ask(1);
  auto reply = replies.take();
  ASSERT_TRUE(reply);
  for (const char* fields : {"Authorization: x\r\n", "Cookie: a=b\r\n"}) {
    Clients own = ask(1, "/a", fields);
    auto one = replies.take();
    ASSERT_TRUE(one);
    send(**one, "own");
    expect_all(own, "own");
  }
  EXPECT_EQ(server.cache_counters().stored, 0u);
  send(**reply);
  expect_all(first, "1");
  // Nor are they given what everybody gets by a rule.
  Clients own = ask(1, "/a", "Cookie: a=b\r\n");
  auto one = replies.take();
  ASSERT_TRUE(one);
  send(**one, "own");
  expect_all(own, "own");
}

TEST_P(CacheWaits, EndWithAFlush) {
  Running running = start();
  Clients first = ask(1);
  auto reply = replies.take();
  ASSERT_TRUE(reply);
  Clients others = ask(2);
  ASSERT_TRUE(waited(2));
  EXPECT_EQ(server.flush_cache("/a"), 0u);
  send(**reply);  // made before the flush: not kept
  expect_all(first, "1");
  auto second = replies.take();
  ASSERT_TRUE(second);
  send(**second);
  expect_all(others, "2");
  EXPECT_EQ(server.cache_counters().stored, 1u);
  // A flush of something else changes nothing.
  Clients third = ask(1, "/b");
  auto other = replies.take();
  ASSERT_TRUE(other);
  server.flush_cache("/a");
  send(**other);
  expect_all(third, "3");
  Clients again = ask(1, "/b");
  expect_all(again, "3");
}

TEST_P(CacheWaits, AFlushBeforeTheFirstAnswerCounts) {
  server.cache_rules.clear();
  server.on_http_request = [this](Connection, const HttpRequest&, HttpResponse& response) {
    response.content_text(std::to_string(++runs)).cache(Cache::until_invalidated);
    replies.put(std::make_shared<Reply>(response.defer()));
  };
  Running running = start();
  Clients first = ask(1);
  auto reply = replies.take();
  ASSERT_TRUE(reply);
  EXPECT_EQ(server.flush_cache("/a"), 0u);
  send(**reply);
  expect_all(first, "1");
  Clients second = ask(1);
  reply = replies.take();
  ASSERT_TRUE(reply);
  send(**reply);
  expect_all(second, "2");
  Clients third = ask(1);
  expect_all(third, "2");
}

class CacheRules : public ServerTest {
 protected:
  HttpReply get(std::string_view target, std::string_view fields = {}) {
    HttpClient http = client();
    return http.get(target, fields);
  }
  int runs_of(std::string_view target, int times = 2) {
    const int before = runs;
    for (int i = 0; i < times; ++i) {
      const HttpReply reply = get(target);
      EXPECT_TRUE(reply.complete) << target;
      EXPECT_EQ(reply.body, "body of " + std::string(target)) << target;
    }
    return runs - before;
  }
  void serve(std::string_view target, std::function<void(HttpResponse&)> fill) {
    EXPECT_TRUE(
        server.route("GET", target,
                     [this, fill = std::move(fill), text = "body of " + std::string(target)](
                         Connection, const HttpRequest&, HttpResponse& response) {
                       ++runs;
                       response.content_text(text);
                       fill(response);
                     }));
  }
  std::atomic<int> runs{0};
};
INSTANTIATE_TEST_SUITE_P(Setups, CacheRules, engines_and_dispatches(), name_of);

TEST_P(CacheRules, TakeWhatSaysNothing) {
  server.cache_rules = {{"/a", Cache::until_invalidated},
                        {"/a/not", Cache::none},
                        {"/short/", Cache::time_to_live, 1ms}};
  const auto says = [](const char* control) {
    return [control](HttpResponse& response) { response.cache_control(control); };
  };
  const auto nothing = [](HttpResponse&) {};
  serve("/a", nothing);
  serve("/a/b", nothing);
  serve("/ab", nothing);
  serve("/a/not/this", nothing);
  serve("/a/not/but", [](HttpResponse& response) { response.cache(1h); });
  serve("/a/none", [](HttpResponse& response) { response.cache(Cache::none); });
  serve("/a/private", says("private"));
  serve("/a/old", says("max-age=0"));
  serve("/a/old-here", says("max-age=60, s-maxage=0"));
  serve("/a/kept", says("s-maxage=\"60\", max-age=0"));
  serve("/a/past",
        [](HttpResponse& response) { response.expires(std::chrono::system_clock::now() - 1h); });
  serve("/a/future",
        [](HttpResponse& response) { response.expires(std::chrono::system_clock::now() + 1h); });
  serve("/a/aged",
        [](HttpResponse& response) { response.cache_control("max-age=60").header("Age", "61"); });
  serve("/a/young",
        [](HttpResponse& response) { response.cache_control("max-age=60").header("Age", "20"); });
  serve("/short/a", nothing);
  Running running = start();
  EXPECT_EQ(runs_of("/a"), 1);
  EXPECT_EQ(runs_of("/a/b"), 1);
  EXPECT_EQ(runs_of("/ab"), 2);
  EXPECT_EQ(runs_of("/a/not/this"), 2);
  EXPECT_EQ(runs_of("/a/not/but"), 1);
  EXPECT_EQ(runs_of("/a/none"), 2);
  EXPECT_EQ(runs_of("/a/private"), 2);
  EXPECT_EQ(runs_of("/a/old"), 2);
  EXPECT_EQ(runs_of("/a/old-here"), 2);
  EXPECT_EQ(runs_of("/a/kept"), 1);
  EXPECT_EQ(runs_of("/a/past"), 2);
  EXPECT_EQ(runs_of("/a/future"), 1);
  EXPECT_EQ(runs_of("/a/aged"), 2);
  EXPECT_EQ(runs_of("/a/young"), 1);
  const int age = std::stoi(std::string(get("/a/young").field("Age")));
  EXPECT_GE(age, 20);
  EXPECT_EQ(get("/a/young").count("Age"), 1u);
  EXPECT_TRUE(eventually([&] { return runs_of("/short/a", 1) == 1; }));
}

TEST_P(CacheRules, TakeStreams) {
  server.cache_rules = {{"/", Cache::until_invalidated}};
  server.response_cache.entry_bytes = 4096;
  const auto stream = [](std::vector<std::string> pieces, bool ends = true) {
    return [pieces, ends](HttpResponse& response) {
      response.content_type("text/x-own");
      BodyWriter writer = response.stream();
      for (const std::string& piece : pieces) writer.write(piece);
      if (ends) static_cast<void>(writer.end());
    };
  };
  serve("/a", stream({"body ", "of ", "/a"}));
  serve("/large", stream({"body of /large", std::string(5000, 'x')}));
  serve("/broken", stream({"body of /broken"}, false));
  serve("/trailers", [](HttpResponse& response) {
    BodyWriter writer = response.stream();
    writer.write("body of /trailers");
    static_cast<void>(writer.end({{"X-Sum", "1"}}));
  });
  serve("/said", [](HttpResponse& response) {
    response.cache_control("no-store");
    BodyWriter writer = response.stream();
    writer.write("body of /said");
    static_cast<void>(writer.end());
  });
  Running running = start();
  EXPECT_EQ(runs_of("/a", 3), 1);
  const HttpReply reply = get("/a");
  EXPECT_EQ(reply.field("Content-Length"), "10");
  EXPECT_EQ(reply.field("Content-Type"), "text/x-own");
  EXPECT_TRUE(reply.has("ETag"));
  EXPECT_EQ(get("/a", "Range: bytes=0-3\r\n").body, "body");
  EXPECT_EQ(runs_of("/trailers"), 2);
  EXPECT_EQ(runs_of("/said"), 2);
  for (const char* target : {"/large", "/broken"}) {
    runs = 0;
    get(target);
    get(target);
    EXPECT_EQ(runs, 2) << target;
  }
}

TEST_P(CacheRules, LeaveFilesToThoseWhoServeThem) {
  server.cache_rules = {{"/", Cache::until_invalidated}};
  ASSERT_TRUE(server.files("/files/", SLUICE_TEST_SOURCE_DIR "/examples"));
  Running running = start();
  for (int i = 0; i < 3; ++i) {
    const HttpReply reply = get("/files/sluice.toml");
    EXPECT_EQ(reply.status, 200);
    EXPECT_FALSE(reply.has("Age"));
    EXPECT_FALSE(reply.body.empty());
  }
  EXPECT_EQ(server.cache_counters().stored, 0u);
}

TEST_P(CacheRules, AreChecked) {
  const auto refused = [&](std::string_view words) {
    const Result<void> started = server.start();
    EXPECT_FALSE(started) << words;
    EXPECT_EQ(started.error().code, Errc::bad_setting);
    EXPECT_NE(started.error().message().find(words), std::string::npos)
        << started.error().message();
  };
  server.cache_rules = {{"a"}};
  refused("cache_rules: \"a\": path");
  server.cache_rules = {{"/a"}, {"/a"}};
  refused("given twice");
  server.cache_rules = {{"/a", Cache::time_to_live, 0ms}};
  refused("ttl");
  server.cache_rules.assign(65, {"/a"});
  refused("64 rules");
  server.cache_rules.clear();
  server.response_cache.entry_bytes = 1023;
  refused("response_cache.entry_bytes");
  server.response_cache = {};
  server.response_cache.wait = -1ms;
  refused("response_cache.wait");
}

}  // namespace
}  // namespace sluice::test
