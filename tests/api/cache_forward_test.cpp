// tests/api/cache_forward_test.cpp - what others answer, and who may be given it again.
//
// Layer: tests.
#include <atomic>
#include <functional>
#include <string>
#include <string_view>

#include "api/harness.hpp"
#include "support/scripted_server.hpp"

namespace sluice::test {
namespace {

using Peer = ScriptedServer::Peer;

class CachedForwards : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    server.cache_rules = {{"/", Cache::until_invalidated}};
  }
  HttpReply get(std::string_view target, std::string_view fields = {}) {
    return client().get(target, fields);
  }
  // Says what it was asked.
  ScriptedServer::Serve echo() {
    return ScriptedServer::requests([this](Peer& peer, const SeenRequest& request) {
      ++asked;
      peer.answer(request.target() + " " + request.field("Host") + " " + request.field("X-Who"));
    });
  }
  std::atomic<int> asked{0};
};
INSTANTIATE_TEST_SUITE_P(Setups, CachedForwards, engines_and_dispatches(), name_of);

// The key has nothing of what an event has put into the request.
TEST_P(CachedForwards, WithWhatAnEventSetAreForOne) {
  ScriptedServer upstream(echo()), other(echo());
  ASSERT_TRUE(server.forward("/", {.upstreams = {upstream.url()}}));
  server.on_before_forward_http = [&](Connection, const HttpRequest& request, Forward& forward) {
    const std::string user(request.header("X-User"));
    if (request.document() == "/query") forward.query = "user=" + user;
    if (request.document() == "/document") forward.document = "/of/" + user;
    if (request.document() == "/host") forward.host = user + ".test";
    if (request.document() == "/header") forward.headers.add("X-Who", user);
    if (request.document() == "/url" && user == "bob") forward.url = other.url();
    forward.timeouts.response = kPatience;
  };
  Running running = start();
  for (const char* target : {"/query", "/document", "/host", "/header"}) {
    for (const char* user : {"alice", "bob"}) {
      const std::string body = get(target, std::string("X-User: ") + user + "\r\n").body;
      EXPECT_NE(body.find(user), std::string::npos) << target << " " << body;
    }
  }
  EXPECT_EQ(asked, 8);
  get("/url", "X-User: bob\r\n");
  EXPECT_EQ(server.cache_counters().stored, 0u);
  // It has set nothing that counts.
  for (int i = 0; i < 2; ++i) EXPECT_EQ(get("/plain").body, "/plain localhost ");
  EXPECT_EQ(asked, 10);
}

TEST_P(CachedForwards, ThatAnEventReplacesAreOfThatSpelling) {
  ScriptedServer upstream(echo());
  ASSERT_TRUE(server.forward("/", {.upstreams = {upstream.url()}}));
  server.on_after_forward_http = [](Connection, const HttpRequest& request, HttpResponse& response,
                                    const Error*) {
    if (request.document().starts_with("/own/")) {
      response.response_no(404).content_text("nothing at " + std::string(request.raw_target()));
    }
    if (request.document().starts_with("/late/")) {
      response.response_no(404).content_text("nothing at " + std::string(request.raw_target()));
      static_cast<void>(response.defer().send());
    }
  };
  Running running = start();
  for (const std::string path : {"/own/a", "/late/a"}) {
    const std::string other = "/x/.." + path;
    EXPECT_EQ(get(other).body, "nothing at " + other);
    EXPECT_EQ(server.cache_counters().entries, 0u) << path;
    EXPECT_EQ(get(path).body, "nothing at " + path);
    EXPECT_EQ(get(path).body, "nothing at " + path);
    EXPECT_EQ(get(other).body, "nothing at " + path);  // a name of the same
    EXPECT_EQ(server.flush_cache(path), 1u);
    server.flush_cache("/", true);
  }
}

TEST_P(CachedForwards, OfAnEmptyQueryAreNotThoseOfNone) {
  ScriptedServer upstream(ScriptedServer::requests([](Peer& peer, const SeenRequest& request) {
    const bool moved = request.target() == "/a?";
    return moved ? peer.answer("", "Location: /a\r\n", 301)
                 : peer.answer("body of " + request.target());
  }));
  ASSERT_TRUE(server.forward("/", {.upstreams = {upstream.url()}}));
  Running running = start();
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(get("/a?").status, 301);
    EXPECT_EQ(get("/a").body, "body of /a");
  }
  EXPECT_EQ(server.cache_counters().stored, 2u);
  EXPECT_EQ(server.flush_cache("/a"), 2u);
}

TEST_P(CachedForwards, EndWithAChange) {
  std::atomic<int> version{1}, status{200};
  ScriptedServer upstream(ScriptedServer::requests([&](Peer& peer, const SeenRequest& request) {
    if (request.line.starts_with("GET")) return peer.answer(std::to_string(version));
    if (status < 400) ++version;
    return peer.answer("", "", status);
  }));
  ASSERT_TRUE(server.forward("/", {.upstreams = {upstream.url()}}));
  Running running = start();
  EXPECT_EQ(get("/a").body, "1");
  EXPECT_EQ(client().request("PUT", "/a", "", "new").status, 200);
  EXPECT_EQ(get("/a").body, "2");
  status = 303;
  EXPECT_EQ(client().request("POST", "/a", "", "new").status, 303);
  EXPECT_EQ(get("/a").body, "3");
  status = 409;
  EXPECT_EQ(client().request("POST", "/a", "", "new").status, 409);
  version = 9;
  EXPECT_EQ(get("/a").body, "3");
}

}  // namespace
}  // namespace sluice::test
