// tests/api/cache_test.cpp - answers that are given again without their handler.
#include <atomic>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "api/harness.hpp"

namespace sluice::test {
namespace {

using namespace std::chrono_literals;

constexpr const char* kDate = "Sun, 06 Nov 1994 08:49:37 GMT";

// What the handler does; may be changed while the server runs.
class Answering {
 public:
  using Call = std::function<void(const HttpRequest&, HttpResponse&)>;
  Answering& operator=(Call call) {
    std::lock_guard lock(mutex_);
    call_ = std::move(call);
    return *this;
  }
  void operator()(const HttpRequest& request, HttpResponse& response) {
    Call call;
    {
      std::lock_guard lock(mutex_);
      call = call_;
    }
    call(request, response);
  }

 private:
  std::mutex mutex_;
  Call call_ = [](const HttpRequest&, HttpResponse& response) {
    response.cache(Cache::until_invalidated);
  };
};

// Each answer says how often its handler has run.
class CachedAnswers : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    if (testing::Test::IsSkipped()) return;
    server.on_http_request = [this](Connection, const HttpRequest& request,
                                    HttpResponse& response) {
      const int run = ++runs;
      response.content_text(std::to_string(run) + " " + std::string(request.raw_target()));
      answer(request, response);
    };
  }
  HttpReply get(std::string_view target, std::string_view fields = {}) {
    HttpClient http = client();
    return http.get(target, fields);
  }
  // Another request runs the handler again.
  bool runs_again(std::string_view target, std::string_view fields = {}) {
    const int before = runs;
    EXPECT_EQ(get(target, fields).status / 100 % 2, 0);
    return runs == before + 1;
  }

  std::atomic<int> runs{0};
  Answering answer;
};
INSTANTIATE_TEST_SUITE_P(Setups, CachedAnswers, engines_and_dispatches(), name_of);

TEST_P(CachedAnswers, NeedNoHandler) {
  answer = [](const HttpRequest&, HttpResponse& response) {
    response.content_type("text/x-own").header("X-Own", "yes").cache(1h);
  };
  Running running = start();
  const HttpReply first = get("/a?b=c");
  EXPECT_EQ(first.body, "1 /a?b=c");
  EXPECT_FALSE(first.has("Age"));
  for (int i = 0; i < 8; ++i) {  // on whatever shard
    const HttpReply again = get("/a?b=c");
    EXPECT_EQ(again.status, 200);
    EXPECT_EQ(again.body, "1 /a?b=c");
    EXPECT_EQ(again.field("Content-Type"), "text/x-own");
    EXPECT_EQ(again.field("X-Own"), "yes");
    EXPECT_EQ(again.field("Date"), first.field("Date"));
    EXPECT_EQ(again.field("ETag"), first.field("ETag"));
    EXPECT_EQ(again.count("Date"), 1u);
    EXPECT_EQ(again.count("Age"), 1u);
  }
  EXPECT_EQ(runs, 1);
  EXPECT_EQ(server.counters().requests, 9u);
  const CacheCounters counters = server.cache_counters();
  EXPECT_EQ(counters.hits, 8u);
  EXPECT_EQ(counters.misses, 1u);
  EXPECT_EQ(counters.stored, 1u);
  EXPECT_EQ(counters.entries, 1u);
  EXPECT_GT(counters.bytes, 0u);
  // Query, host and path are what it is found by.
  EXPECT_TRUE(runs_again("/a?b=d"));
  EXPECT_TRUE(runs_again("/a"));
  EXPECT_FALSE(runs_again("/%61"));  // the same document
}

TEST_P(CachedAnswers, AreGivenOnOneConnection) {
  answer = [](const HttpRequest&, HttpResponse& response) {
    response.content_text(pattern(100'000)).cache(Cache::until_invalidated);
  };
  Running running = start();
  HttpClient http = client();
  ASSERT_TRUE(
      http.send("GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /a HTTP/1.1\r\nHost: a\r\n\r\n"
                "GET /a HTTP/1.1\r\nHost: a\r\n\r\n"));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(http.read().body, pattern(100'000));
  EXPECT_EQ(runs, 1);
}

TEST_P(CachedAnswers, EndWithTheirTime) {
  answer = [](const HttpRequest&, HttpResponse& response) { response.cache(50ms); };
  Running running = start();
  EXPECT_EQ(get("/a").body, "1 /a");
  EXPECT_TRUE(eventually([&] { return get("/a").body == "2 /a"; }));
  EXPECT_GE(server.cache_counters().expired, 1u);
}

TEST_P(CachedAnswers, OfHeadAreThoseOfGet) {
  Running running = start();
  HttpClient http = client();
  // An answer to HEAD is not kept.
  EXPECT_EQ(http.request("HEAD", "/a").status, 200);
  EXPECT_EQ(http.request("HEAD", "/a").status, 200);
  EXPECT_EQ(runs, 2);
  const HttpReply got = http.get("/a");
  EXPECT_EQ(got.body, "3 /a");
  const HttpReply head = http.request("HEAD", "/a");
  EXPECT_EQ(head.field("Content-Length"), std::to_string(got.body.size()));
  EXPECT_EQ(head.field("ETag"), got.field("ETag"));
  EXPECT_TRUE(head.has("Age"));
  EXPECT_EQ(runs, 3);
  EXPECT_EQ(http.get("/a").body, "3 /a");  // nothing of a body is in between
}

TEST_P(CachedAnswers, AreFlushed) {
  Running running = start();
  const std::string host = "http://localhost:" + std::to_string(port);
  for (const char* target : {"/a", "/a?x", "/a/b", "/a/b/c", "/ab", "/"}) get(target);
  EXPECT_EQ(runs, 6);
  EXPECT_EQ(server.flush_cache("/nothing"), 0u);
  EXPECT_EQ(server.flush_cache("no url"), 0u);
  EXPECT_EQ(server.flush_cache("http://elsewhere:" + std::to_string(port) + "/a"), 0u);
  EXPECT_EQ(server.flush_cache("http://localhost:1/a"), 0u);
  EXPECT_EQ(server.flush_cache("/a"), 1u);
  EXPECT_TRUE(runs_again("/a"));
  EXPECT_FALSE(runs_again("/a?x"));
  EXPECT_EQ(server.flush_cache(host + "/a?x"), 1u);
  EXPECT_TRUE(runs_again("/a?x"));
  EXPECT_FALSE(runs_again("/a/b"));
  EXPECT_EQ(server.flush_cache(host + "/a/", true), 4u);
  for (const char* target : {"/a", "/a?x", "/a/b", "/a/b/c"}) EXPECT_TRUE(runs_again(target));
  for (const char* target : {"/ab", "/"}) EXPECT_FALSE(runs_again(target));
  EXPECT_EQ(server.flush_cache("/", true), 6u);
  EXPECT_EQ(server.cache_counters().flushed, 12u);
  EXPECT_EQ(server.cache_counters().entries, 0u);
}

TEST_P(CachedAnswers, AreNotThoseOfEveryRequest) {
  Running running = start();
  EXPECT_EQ(get("/a").body, "1 /a");
  EXPECT_TRUE(runs_again("/a", "Authorization: Basic eDp5\r\n"));
  EXPECT_TRUE(runs_again("/a", "Translate: f\r\n"));
  HttpClient http = client();
  EXPECT_EQ(http.request("GET", "/a", "", "body").status, 200);
  EXPECT_EQ(http.request("POST", "/c", "", "body").status, 200);
  EXPECT_EQ(runs, 5);
  // What asks for something newer has to take what is there, as with http.sys.
  EXPECT_FALSE(runs_again("/a", "Cache-Control: no-cache, max-age=0\r\nPragma: no-cache\r\n"));
  EXPECT_FALSE(runs_again("/a", "Cookie: a=b\r\n"));
  // Nor is what they are answered kept.
  for (const char* fields :
       {"Authorization: Basic eDp5\r\n", "Translate: f\r\n", "Cache-Control: no-store\r\n"}) {
    EXPECT_TRUE(runs_again("/b", fields)) << fields;
  }
  EXPECT_TRUE(runs_again("/b"));
  EXPECT_FALSE(runs_again("/b"));
}

TEST_P(CachedAnswers, AreNotAllAnswers) {
  const std::pair<const char*, std::function<void(HttpResponse&)>> cases[] = {
      {"nothing is said", [](HttpResponse&) {}},
      {"none", [](HttpResponse& r) { r.cache(Cache::none); }},
      {"no time", [](HttpResponse& r) { r.cache(0ms); }},
      {"none, said last", [](HttpResponse& r) { r.cache(1h).cache(Cache::none); }},
      {"202", [](HttpResponse& r) { r.response_no(202).cache(1h); }},
      {"302", [](HttpResponse& r) { r.response_no(302).location("/").cache(1h); }},
      {"206",
       [](HttpResponse& r) {
         r.content_text("ab").cache(1h);
         r.content_range_start(0).content_range_end(1).content_range_instance_length(9);
       }},
      {"Set-Cookie", [](HttpResponse& r) { r.header("Set-Cookie", "a=b").cache(1h); }},
      {"no-store", [](HttpResponse& r) { r.cache_control("max-age=5, no-store").cache(1h); }},
      {"no-cache", [](HttpResponse& r) { r.cache_control("No-Cache").cache(1h); }},
      {"private", [](HttpResponse& r) { r.cache_control("private=\"a, b\"").cache(1h); }},
      {"Vary: *", [](HttpResponse& r) { r.header("Vary", "Accept, *").cache(1h); }},
      {"too large", [](HttpResponse& r) { r.content_text(std::string(5000, 'x')).cache(1h); }},
      {"a bad field", [](HttpResponse& r) { r.header("X", "a\r\nb").cache(1h); }},
      {"a stream",
       [](HttpResponse& r) {
         r.cache(1h);
         BodyWriter writer = r.stream();
         writer.write("abc");
         static_cast<void>(writer.end());
       }},
      {"thrown", [](HttpResponse& r) {
         r.cache(1h);
         throw std::runtime_error("on purpose");
       }}};
  server.response_cache.entry_bytes = 4096;
  Running running = start();
  for (const auto& each : cases) {
    answer = [&](const HttpRequest&, HttpResponse& response) { each.second(response); };
    const std::string target = "/" + std::to_string(&each - cases);
    get(target);
    const int before = runs;
    get(target);
    EXPECT_EQ(runs, before + 1) << each.first;
  }
  EXPECT_EQ(server.cache_counters().stored, 0u);
}

TEST_P(CachedAnswers, HaveManyStatuses) {
  answer = [](const HttpRequest& request, HttpResponse& response) {
    response.response_no(std::stoi(std::string(request.document().substr(1)))).cache(1h);
  };
  Running running = start();
  for (const char* target :
       {"/200", "/203", "/204", "/300", "/301", "/308", "/404", "/405", "/410", "/414", "/501"}) {
    const HttpReply first = get(target), again = get(target);
    EXPECT_EQ(again.status, first.status);
    EXPECT_EQ(again.body, first.body);
    EXPECT_TRUE(again.has("Age")) << target;
  }
  EXPECT_EQ(runs, 11);
}

TEST_P(CachedAnswers, AreDeferredAnswersToo) {
  std::vector<std::thread> threads;
  answer = [&](const HttpRequest&, HttpResponse& response) {
    response.cache(1h);
    threads.emplace_back([reply = response.defer()]() mutable {
      reply.content_text("late");
      EXPECT_EQ(reply.send(), Errc::none);
    });
  };
  {
    Running running = start();
    EXPECT_EQ(get("/a").body, "late");
    EXPECT_EQ(get("/a").body, "late");
    EXPECT_EQ(runs, 1);
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_P(CachedAnswers, AreCutToRanges) {
  const std::string body = pattern(20'000);
  answer = [&](const HttpRequest&, HttpResponse& response) {
    response.content_text(body).content_type("text/plain").cache(1h);
  };
  Running running = start();
  // Also the first: what is kept is the whole.
  HttpReply reply = get("/a", "Range: bytes=5-9\r\n");
  EXPECT_EQ(reply.status, 206);
  EXPECT_EQ(reply.body, body.substr(5, 5));
  reply = get("/a", "Range: bytes=-10000\r\n");
  EXPECT_EQ(reply.status, 206);
  EXPECT_EQ(reply.field("Content-Range"), "bytes 10000-19999/20000");
  EXPECT_EQ(reply.body, body.substr(10'000));
  EXPECT_EQ(reply.field("Content-Type"), "text/plain");
  reply = get("/a", "Range: bytes=20000-\r\n");
  EXPECT_EQ(reply.status, 416);
  EXPECT_EQ(reply.field("Content-Range"), "bytes */20000");
  reply = get("/a", "Range: bytes=0-1,100-101\r\n");
  EXPECT_EQ(reply.status, 206);
  EXPECT_TRUE(reply.field("Content-Type").starts_with("multipart/byteranges; boundary="));
  EXPECT_NE(reply.body.find("Content-Range: bytes 0-1/20000\r\n\r\n" + body.substr(0, 2)),
            std::string::npos);
  EXPECT_NE(reply.body.find("Content-Range: bytes 100-101/20000\r\n\r\n" + body.substr(100, 2)),
            std::string::npos);
  reply = get("/a");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body, body);
  EXPECT_EQ(reply.field("Accept-Ranges"), "bytes");
  const std::string tag(reply.field("ETag"));
  EXPECT_EQ(get("/a", "Range: bytes=0-0\r\nIf-Range: " + tag + "\r\n").status, 206);
  EXPECT_EQ(get("/a", "Range: bytes=0-0\r\nIf-Range: \"other\"\r\n").status, 200);
  EXPECT_EQ(runs, 1);
}

TEST_P(CachedAnswers, KnowPreconditions) {
  answer = [&](const HttpRequest& request, HttpResponse& response) {
    response.content_type("text/plain").cache_control("max-age=7").header("X-Own", "x").cache(1h);
    if (request.document() == "/tag") response.etag("\"mine\"");
    if (request.document() == "/date") response.header("Last-Modified", kDate);
  };
  Running running = start();
  const std::string tag(get("/a").field("ETag"));
  EXPECT_EQ(tag.size(), 34u);
  HttpReply reply = get("/a", "If-None-Match: " + tag + "\r\n");
  EXPECT_EQ(reply.status, 304);
  EXPECT_EQ(reply.field("ETag"), tag);
  EXPECT_EQ(reply.field("Cache-Control"), "max-age=7");
  EXPECT_TRUE(reply.has("Age"));
  EXPECT_FALSE(reply.has("X-Own"));
  EXPECT_FALSE(reply.has("Content-Type"));
  EXPECT_EQ(get("/a", "If-None-Match: \"x\"\r\n").status, 200);
  EXPECT_EQ(get("/a", "If-Match: \"x\"\r\n").status, 412);
  // The first one, too.
  reply = get("/tag", "If-None-Match: \"mine\"\r\n");
  EXPECT_EQ(reply.status, 304);
  EXPECT_FALSE(reply.has("Content-Type"));
  EXPECT_EQ(get("/tag", "If-None-Match: \"mine\"\r\n").status, 304);
  EXPECT_EQ(get("/tag").count("ETag"), 1u);
  EXPECT_EQ(get("/date").status, 200);
  EXPECT_FALSE(get("/date").has("ETag"));
  EXPECT_EQ(get("/date", std::string("If-Modified-Since: ") + kDate + "\r\n").status, 304);
  EXPECT_EQ(get("/date", "If-Modified-Since: Sat, 05 Nov 1994 08:49:37 GMT\r\n").status, 200);
  EXPECT_EQ(runs, 3);
}

TEST_P(CachedAnswers, VaryByWhatTheySay) {
  answer = [&](const HttpRequest& request, HttpResponse& response) {
    response.content_text("in " + std::string(request.header("Accept-Language")));
    response.header("vary", "accept-language, X-Kind").cache(1h);
  };
  Running running = start();
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(get("/a", "Accept-Language: de\r\n").body, "in de");
    EXPECT_EQ(get("/a", "Accept-Language: fr\r\n").body, "in fr");
    EXPECT_EQ(get("/a").body, "in ");
    EXPECT_EQ(get("/a", "Accept-Language: \r\n").body, "in ");  // not the same as none
    EXPECT_EQ(get("/a", "Accept-Language: de\r\nx-kind: 1\r\nX-Kind: 2\r\n").body, "in de");
  }
  EXPECT_EQ(runs, 5);
  EXPECT_EQ(server.cache_counters().entries, 5u);
  EXPECT_EQ(server.flush_cache("/a"), 5u);
}

TEST_P(CachedAnswers, MakePlaceForOthers) {
  server.response_cache.bytes = 64 << 10;
  server.response_cache.entry_bytes = 16 << 10;
  answer = [](const HttpRequest&, HttpResponse& response) {
    response.content_text(std::string(8000, 'x')).cache(1h);
  };
  Running running = start();
  for (int i = 0; i < 40; ++i) {
    get("/" + std::to_string(i));
    EXPECT_LE(server.cache_counters().bytes, server.response_cache.bytes);
  }
  const CacheCounters counters = server.cache_counters();
  EXPECT_EQ(counters.stored, 40u);
  EXPECT_EQ(counters.entries + counters.evicted, 40u);
  EXPECT_GE(counters.entries, 5u);
  EXPECT_FALSE(runs_again("/39"));
  EXPECT_TRUE(runs_again("/0"));
}

TEST_P(CachedAnswers, StandBehindTheGate) {
  RateRule rule;
  rule.name = "site";
  rule.requests = 3;
  rule.window = 3600s;
  rule.entries = 64;
  server.rate_limits = {rule};
  Running running = start();
  for (int left : {2, 1, 0}) {
    const HttpReply reply = get("/a");
    EXPECT_EQ(reply.body, "1 /a");
    EXPECT_EQ(reply.count("RateLimit"), 1u);
    EXPECT_TRUE(reply.field("RateLimit").starts_with("\"site\";r=" + std::to_string(left)))
        << reply.field("RateLimit");
  }
  EXPECT_EQ(get("/a").status, 429);
}

TEST_P(CachedAnswers, StandBehindTheGroup) {
  server.bindings.add("http://127.0.0.1:0/", {.url_group = "own"});
  server.url_groups["own"] = {};
  Running running = start();
  EXPECT_EQ(get("/a").status, 200);
  EXPECT_EQ(get("/a").status, 200);
  ASSERT_TRUE(server.url_group_active("own", false));
  EXPECT_EQ(get("/a").status, 503);
  ASSERT_TRUE(server.url_group_active("own", true));
  EXPECT_EQ(get("/a").body, "1 /a");
}

TEST_P(CachedAnswers, AreForUsersIfTheySayPublic) {
  answer = [](const HttpRequest& request, HttpResponse& response) {
    response.cache(1h);
    if (request.document() == "/public") response.cache_control("public, max-age=5");
  };
  server.authentication.enabled = true;
  server.authentication.basic.enabled = true;
  // "password", by openssl passwd.
  ASSERT_TRUE(server.authentication.users.add(
      "mira", "$5$saltsalt$gOjOtoMpVhru2uyjeJSEc/JaLQWOXMNmlOnj6T4AtC."));
  Running running = start();
  const char* mira = "Authorization: Basic bWlyYTpwYXNzd29yZA==\r\n";
  EXPECT_EQ(get("/public").status, 401);
  EXPECT_EQ(get("/public", mira).body, "1 /public");
  EXPECT_EQ(get("/public", mira).body, "1 /public");
  EXPECT_EQ(get("/public").status, 401);
  EXPECT_EQ(get("/own", mira).body, "2 /own");
  EXPECT_EQ(get("/own", mira).body, "3 /own");
}

TEST_P(CachedAnswers, ChangeWithTheSettings) {
  Running running = start();
  EXPECT_EQ(get("/a").body, "1 /a");
  Settings next = server;
  next.response_cache.bytes = 0;
  next.response_cache.entry_bytes = 1;
  EXPECT_EQ(server.apply(next).error().code, Errc::bad_setting);
  next.response_cache.entry_bytes = 4096;
  ASSERT_TRUE(server.apply(next));
  EXPECT_EQ(server.cache_counters().entries, 0u);
  EXPECT_EQ(get("/a").body, "2 /a");
  EXPECT_EQ(get("/a").body, "3 /a");
  next.response_cache.bytes = 1 << 20;
  ASSERT_TRUE(server.apply(next));
  EXPECT_EQ(get("/a").body, "4 /a");
  EXPECT_EQ(get("/a").body, "4 /a");
  answer = [](const HttpRequest&, HttpResponse&) {};
  EXPECT_EQ(get("/rule").body, "5 /rule");
  next.cache_rules = {{"/rule", Cache::until_invalidated}};
  ASSERT_TRUE(server.apply(next));
  EXPECT_EQ(get("/rule").body, "6 /rule");
  EXPECT_EQ(get("/rule").body, "6 /rule");
}

}  // namespace
}  // namespace sluice::test
