// tests/api/cache_change_test.cpp - what ends with a change: of a document, of the rules.
//
// RFC 9111 sections 4.4 and 5.2.1.7. Layer: tests.
#include <atomic>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "api/harness.hpp"
#include "service/temp_dir.hpp"

namespace sluice::test {
namespace {

using namespace std::chrono_literals;

class CacheChanges : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    server.cache_rules = {{"/", Cache::until_invalidated}};
    server.on_http_request = [this](Connection, const HttpRequest& request,
                                    HttpResponse& response) {
      response.content_text(std::to_string(++runs));
      if (request.method() != "GET") response.response_no(status);
      if (answer) answer(response);
    };
  }
  HttpReply get(std::string_view target, std::string_view fields = {}) {
    return client().get(target, fields);
  }
  bool runs_again(std::string_view target, std::string_view fields = {}) {
    const int before = runs;
    EXPECT_EQ(get(target, fields).status, 200);
    return runs == before + 1;
  }
  int change(std::string_view method, std::string_view target, std::string_view body = "new") {
    return client().request(method, target, "", body).status;
  }
  std::atomic<int> runs{0}, status{200};
  std::function<void(HttpResponse&)> answer;  // set before the start
};
INSTANTIATE_TEST_SUITE_P(Setups, CacheChanges, engines_and_dispatches(), name_of);

TEST_P(CacheChanges, OfADocumentEndWhatIsKeptOfIt) {
  Running running = start();
  const auto fill = [&] {
    for (const char* target : {"/a", "/a?q", "/a/b", "/b"}) get(target);
    EXPECT_TRUE(get("/a", "Host: other\r\n").status != 0);
  };
  for (const char* method : {"PUT", "POST", "DELETE", "PATCH", "MKCOL"}) {
    fill();
    EXPECT_EQ(change(method, "/%61?x"), 200);
    EXPECT_TRUE(runs_again("/a")) << method;
    EXPECT_TRUE(runs_again("/a?q")) << method;
    EXPECT_FALSE(runs_again("/a/b")) << method;
    EXPECT_FALSE(runs_again("/b")) << method;
  }
  for (const int done : {201, 204, 303}) {
    status = done;
    fill();
    EXPECT_EQ(change("POST", "/a"), done);
    EXPECT_TRUE(runs_again("/a")) << done;
  }
  // What was not done, and what changes nothing.
  fill();
  for (const int refused : {400, 403, 500}) {
    status = refused;
    EXPECT_EQ(change("POST", "/a"), refused);
  }
  status = 200;
  for (const char* method : {"HEAD", "OPTIONS", "PROPFIND", "REPORT", "SEARCH", "QUERY"}) {
    HttpClient http = client();
    ASSERT_TRUE(http.send(std::string(method) + " /a HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    EXPECT_EQ(http.read(method == std::string_view("HEAD")).status, 200) << method;
  }
  EXPECT_FALSE(runs_again("/a"));
}

TEST_P(CacheChanges, AreThoseOfTheirHost) {
  Running running = start();
  HttpClient http = client();
  const auto ask = [&](std::string_view method, std::string_view host) {
    const int before = runs;
    EXPECT_TRUE(http.send(std::string(method) + " /a HTTP/1.1\r\nHost: " + std::string(host) +
                          "\r\nContent-Length: 0\r\n\r\n"));
    EXPECT_EQ(http.read().status, 200);
    return runs - before;
  };
  EXPECT_EQ(ask("GET", "one"), 1);
  EXPECT_EQ(ask("GET", "two"), 1);
  EXPECT_EQ(ask("POST", "ONE:80"), 1);
  EXPECT_EQ(ask("GET", "one"), 1);
  EXPECT_EQ(ask("GET", "two"), 0);
}

TEST_P(CacheChanges, AreToldByEveryKindOfAnswer) {
  answer = [&](HttpResponse& response) {
    static std::atomic<int> turn{0};
    switch (turn++ % 4) {
      case 0:
        break;
      case 1: {
        BodyWriter writer = response.stream();
        writer.write("x");
        static_cast<void>(writer.end());
        break;
      }
      case 2:
        static_cast<void>(response.defer().send());
        break;
      case 3:
        response.content_producer([done = false](std::span<std::byte> room) mutable {
          room[0] = std::byte('x');
          return std::exchange(done, true) ? std::size_t(0) : std::size_t(1);
        });
        break;
    }
  };
  Running running = start();
  // Each GET and each POST has its turn: both kinds meet all ways.
  for (int i = 0; i < 8; ++i) {
    EXPECT_TRUE(runs_again("/a")) << i;
    EXPECT_FALSE(runs_again("/a")) << i;
    EXPECT_EQ(change("POST", "/a"), 200);
    if (i == 3) {
      EXPECT_EQ(change("POST", "/other"), 200);
    }
  }
}

// What was read before a change must not come back after it.
TEST_P(CacheChanges, EndWhatIsBeingMade) {
  Handover<std::shared_ptr<Reply>> replies;
  server.on_http_request = [&](Connection, const HttpRequest& request, HttpResponse& response) {
    response.content_text(std::to_string(++runs));
    if (request.method() == "GET" && runs < 3) {
      replies.put(std::make_shared<Reply>(response.defer()));
    }
  };
  Running running = start();
  HttpClient first = client();
  ASSERT_TRUE(first.send("GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  auto old = replies.take();
  ASSERT_TRUE(old);
  EXPECT_EQ(change("PUT", "/a"), 200);
  EXPECT_EQ((*old)->send(), Errc::none);
  EXPECT_EQ(first.read().body, "1");
  EXPECT_EQ(get("/a").body, "3");
  EXPECT_EQ(get("/a").body, "3");
  EXPECT_EQ(server.cache_counters().stored, 1u);
}

TEST_P(CacheChanges, OfUploadsAreSeen) {
  TempDir dir;
  std::ofstream(dir.path() / "a").close();
  ASSERT_TRUE(server.uploads("/up/", dir.path().string(), {.existing = ExistingFile::replace}));
  ASSERT_TRUE(server.files("/up/", dir.path().string()));
  Running running = start();
  EXPECT_EQ(get("/up/a").body, "");
  EXPECT_EQ(change("PUT", "/up/a", "new") / 100, 2);
  // A file has a moment in which it is not looked at again.
  EXPECT_TRUE(eventually([&] { return get("/up/a").body == "new"; }));
}

TEST_P(CacheChanges, OfTheRulesEndWhatTheyHaveKept) {
  server.cache_rules = {{"/a", Cache::until_invalidated}, {"/b", Cache::until_invalidated}};
  Running running = start();
  Settings next = server;
  for (const char* target : {"/a", "/a/x", "/b"}) get(target);
  next.cache_rules = {{"/b", Cache::until_invalidated}, {"/c", Cache::until_invalidated}};
  ASSERT_TRUE(server.apply(next));
  EXPECT_TRUE(runs_again("/a"));
  EXPECT_TRUE(runs_again("/a"));
  EXPECT_TRUE(runs_again("/a/x"));
  EXPECT_FALSE(runs_again("/b"));
  next.cache_rules = {{"/b", Cache::time_to_live, 1h}};
  ASSERT_TRUE(server.apply(next));
  EXPECT_TRUE(runs_again("/b"));
  EXPECT_FALSE(runs_again("/b"));
  next.cache_rules = {{"/b", Cache::time_to_live, 1h}, {"/b/c", Cache::none}};
  ASSERT_TRUE(server.apply(next));
  EXPECT_FALSE(runs_again("/b"));
  next.cache_rules = {};
  ASSERT_TRUE(server.apply(next));
  EXPECT_TRUE(runs_again("/b"));
}

TEST_P(CacheChanges, OfTheRulesLeaveWhatHandlersSaid) {
  answer = [](HttpResponse& response) { response.cache(1h); };
  Running running = start();
  get("/a");
  Settings next = server;
  next.cache_rules = {};
  ASSERT_TRUE(server.apply(next));
  EXPECT_FALSE(runs_again("/a"));
}

TEST_P(CacheChanges, AreNotForThoseWhoWantOnlyWhatIsKept) {
  server.cache_rules = {{"/a", Cache::until_invalidated}};
  const char* only = "Cache-Control: max-stale=9, only-if-cached\r\n";
  Running running = start();
  EXPECT_EQ(get("/a", only).status, 504);
  EXPECT_EQ(runs, 0);
  EXPECT_EQ(get("/a").status, 200);
  EXPECT_FALSE(runs_again("/a", only));
  server.flush_cache("/a");
  EXPECT_EQ(get("/a", only).status, 504);
  EXPECT_TRUE(runs_again("/other", only));  // the cache has nothing to do with it
}

TEST_P(CacheChanges, TheirCostIsCountedForEachShard) {
  const auto bytes_with = [&](std::uint32_t shards) {
    Server one;
    prepare(one);
    one.shards = shards;
    one.on_http_request = server.on_http_request;
    one.cache_rules = server.cache_rules;
    EXPECT_TRUE(one.start());
    EXPECT_EQ(HttpClient(one.bound_port(), "127.0.0.1", kPatience).get("/a").status, 200);
    const std::uint64_t bytes = one.cache_counters().bytes;
    EXPECT_TRUE(one.stop(0ms));
    return bytes;
  };
  EXPECT_GE(bytes_with(4), bytes_with(1) + 300);
}

}  // namespace
}  // namespace sluice::test
