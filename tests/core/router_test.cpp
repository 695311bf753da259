// tests/core/router_test.cpp - which handler takes a path, and which patterns are refused.
//
// Layer: tests.
#include "core/router.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace sluice::test {
namespace {

using core::Params;
using core::Router;

void nothing(sluice::Connection, const HttpRequest&, HttpResponse&) {}

// The name of the route, and what its parameters matched: "GET /a/{b} b=1".
std::string find(const Router& router, std::string_view method, std::string_view path) {
  Params params;
  Router::Match match = router.find(method, path, params);
  if (!match.route) return match.path_known ? "405 " + std::string(match.allow) : "404";
  std::string found = match.route->name;
  for (auto [name, value] : params) {
    found.append(" ").append(name).append("=").append(value);
  }
  return found;
}

Router router_with(std::initializer_list<const char*> patterns) {
  Router router;
  for (const char* pattern : patterns) EXPECT_TRUE(router.add("GET", pattern, nothing, {}));
  return router;
}

TEST(Router, MatchesWholeSegments) {
  Router router = router_with({"/", "/items", "/items/{id}", "/items/{id}/parts/{part}"});
  EXPECT_EQ(find(router, "GET", "/"), "GET /");
  EXPECT_EQ(find(router, "GET", "/items"), "GET /items");
  EXPECT_EQ(find(router, "GET", "/items/7"), "GET /items/{id} id=7");
  EXPECT_EQ(find(router, "GET", "/items/7/parts/x"), "GET /items/{id}/parts/{part} id=7 part=x");
  EXPECT_EQ(find(router, "GET", "/item"), "404");
  EXPECT_EQ(find(router, "GET", "/itemsx"), "404");
  EXPECT_EQ(find(router, "GET", "/items/7/parts"), "404");
  EXPECT_EQ(find(router, "GET", ""), "404");
  EXPECT_EQ(find(router, "GET", "*"), "404");
}

TEST(Router, AParameterIsNeverEmpty) {
  Router router = router_with({"/items/{id}", "/all/{rest...}"});
  EXPECT_EQ(find(router, "GET", "/items/"), "404");
  EXPECT_EQ(find(router, "GET", "/all/"), "GET /all/{rest...} rest=");
  EXPECT_EQ(find(router, "GET", "/all"), "404");
}

TEST(Router, ASlashAtTheEndIsAPathOfItsOwn) {
  Router router = router_with({"/a", "/b/"});
  EXPECT_EQ(find(router, "GET", "/a/"), "404");
  EXPECT_EQ(find(router, "GET", "/b/"), "GET /b/");
  EXPECT_EQ(find(router, "GET", "/b"), "404");
}

TEST(Router, TheMostExactPatternWins) {
  // In any order of adding.
  for (bool reversed : {false, true}) {
    std::vector<const char*> patterns = {"/{all...}", "/a/{x}", "/a/b", "/a/{x}/c", "/a/{r...}"};
    if (reversed) patterns = {"/a/{r...}", "/a/{x}/c", "/a/b", "/a/{x}", "/{all...}"};
    Router router;
    for (const char* pattern : patterns) ASSERT_TRUE(router.add("GET", pattern, nothing, {}));
    EXPECT_EQ(find(router, "GET", "/a/b"), "GET /a/b");
    EXPECT_EQ(find(router, "GET", "/a/z"), "GET /a/{x} x=z");
    EXPECT_EQ(find(router, "GET", "/a/z/c"), "GET /a/{x}/c x=z");
    EXPECT_EQ(find(router, "GET", "/a/z/d"), "GET /a/{r...} r=z/d");
    EXPECT_EQ(find(router, "GET", "/z"), "GET /{all...} all=z");
    EXPECT_EQ(find(router, "GET", "/"), "GET /{all...} all=");
  }
}

// A literal that leads nowhere does not hide what a parameter would match.
TEST(Router, GoesBackFromDeadEnds) {
  Router router = router_with({"/a/b/c", "/a/{x}/d", "/{y}/b/e", "/{z...}"});
  EXPECT_EQ(find(router, "GET", "/a/b/c"), "GET /a/b/c");
  EXPECT_EQ(find(router, "GET", "/a/b/d"), "GET /a/{x}/d x=b");
  EXPECT_EQ(find(router, "GET", "/a/b/e"), "GET /{y}/b/e y=a");
  EXPECT_EQ(find(router, "GET", "/a/b/f"), "GET /{z...} z=a/b/f")
      << "parameters of dead ends are forgotten";
}

TEST(Router, HeadFollowsGet) {
  Router router;
  ASSERT_TRUE(router.add("GET", "/a", nothing, {}));
  ASSERT_TRUE(router.add("POST", "/a", nothing, {}));
  ASSERT_TRUE(router.add("GET", "/b", nothing, {}));
  ASSERT_TRUE(router.add("HEAD", "/b", nothing, {}));
  ASSERT_TRUE(router.add("DELETE", "/c", nothing, {}));
  EXPECT_EQ(find(router, "HEAD", "/a"), "GET /a");
  EXPECT_EQ(find(router, "HEAD", "/b"), "HEAD /b");
  EXPECT_EQ(find(router, "HEAD", "/c"), "405 DELETE");
  EXPECT_EQ(find(router, "PUT", "/a"), "405 GET, POST, HEAD");
  EXPECT_EQ(find(router, "PUT", "/b"), "405 GET, HEAD");
  EXPECT_EQ(find(router, "get", "/a"), "405 GET, POST, HEAD") << "methods have a case";
}

TEST(Router, RefusesWhatMakesNoSense) {
  Router router;
  for (const char* pattern : {"", "a", "a/b", "/{", "/{}", "/{a", "/a{b}", "/{a}b", "/}a", "/{a-b}",
                              "/{a...}/b", "/{...}", "/{a}/{b...}/c"}) {
    Result<void> added = router.add("GET", pattern, nothing, {});
    ASSERT_FALSE(added) << pattern;
    EXPECT_EQ(added.error().code, Errc::invalid_argument);
    EXPECT_NE(added.error().detail.find(pattern), std::string::npos) << "names the pattern";
  }
  EXPECT_FALSE(router.add("GET", "/a", nullptr, {})) << "no handler";
  EXPECT_FALSE(router.add("", "/a", nothing, {})) << "no method";
}

TEST(Router, RefusesTheSameTwice) {
  Router router = router_with({"/a", "/b/{id}"});
  EXPECT_FALSE(router.add("GET", "/a", nothing, {}));
  EXPECT_TRUE(router.add("POST", "/a", nothing, {}));
  EXPECT_FALSE(router.add("POST", "/b/{name}", nothing, {})) << "another name for one place";
  EXPECT_TRUE(router.add_websocket("/a", {}));
  EXPECT_FALSE(router.add_websocket("/a", {}));
}

TEST(Router, WebSocketsHaveTheirOwnPatterns) {
  Router router = router_with({"/chat/{room}"});
  ASSERT_TRUE(router.add_websocket("/chat/{room}", {}));
  ASSERT_TRUE(router.add_websocket("/all/{rest...}", {}));
  Params params;
  EXPECT_NE(router.find_websocket("/chat/a", params), nullptr);
  ASSERT_EQ(params.size(), 1u);
  EXPECT_EQ(params[0].second, "a");
  params.clear();
  EXPECT_EQ(router.find_websocket("/chat", params), nullptr);
  EXPECT_TRUE(params.empty());
  EXPECT_EQ(find(router, "GET", "/all/x"), "404") << "no plain request goes there";
}

TEST(Router, BodyModesByTheLongestPrefix) {
  Router router;
  RouteOptions streamed{BodyMode::stream, 10}, whole{BodyMode::whole, 20};
  ASSERT_TRUE(router.add_body_mode("/up/", streamed));
  ASSERT_TRUE(router.add_body_mode("/up/small/", whole));
  EXPECT_FALSE(router.add_body_mode("up", whole));
  EXPECT_EQ(router.body_mode("/other"), nullptr);
  EXPECT_EQ(router.body_mode("/up/x")->body_mode, BodyMode::stream);
  EXPECT_EQ(router.body_mode("/up/small/x")->body_bytes, 20u);
}

TEST(Router, SegmentsOfEverySizeAndOfOneSize) {
  Router router;
  std::vector<std::string> paths;
  for (std::size_t size = 0; size < 130; ++size) paths.push_back("/" + std::string(size, 'x'));
  for (char c = 'z'; c >= 'a'; --c) paths.push_back(std::string("/same") + c);
  for (const std::string& path : paths) ASSERT_TRUE(router.add("GET", path, nothing, {}));
  for (const std::string& path : paths) {
    EXPECT_EQ(find(router, "GET", path), "GET " + path);
    EXPECT_EQ(find(router, "GET", path + "-"), "404");
    EXPECT_FALSE(router.add("GET", path, nothing, {})) << path << " is taken";
  }
}

TEST(Router, IsEmptyUntilARouteIsAdded) {
  Router router;
  EXPECT_TRUE(router.empty());
  EXPECT_EQ(find(router, "GET", "/"), "404");
  ASSERT_TRUE(router.add("GET", "/", nothing, {}));
  EXPECT_FALSE(router.empty());
}

}  // namespace
}  // namespace sluice::test
