// tests/service/cache_policy_test.cpp - RFC 9111 sections 3, 4.2 and 5.2, row by row.
#include "service/cache/policy.hpp"

#include <gtest/gtest.h>

#include <string>

#include "core/response_cache.hpp"
#include "proto/http/head.hpp"
#include "service/cache/cached_answer.hpp"

namespace sluice::service {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t kNow = 784111777;  // Sun, 06 Nov 1994 08:49:37 GMT

TEST(CacheControls, AreRead) {
  struct Case {
    const char* value;
    bool no_store, no_cache, is_private, is_public;
    std::int64_t max_age, shared;  // -1: not said
  };
  constexpr std::int64_t kMost = 10LL * 365 * 86'400;
  const Case cases[] = {{"", false, false, false, false, -1, -1},
                        {"no-store", true, false, false, false, -1, -1},
                        {" NO-Store ,, no-cache", true, true, false, false, -1, -1},
                        {"no-cache=\"a, no-store\"", false, true, false, false, -1, -1},
                        {"private=\"x\\\", public\", max-age=1", false, false, true, false, 1, -1},
                        {"public, max-age=60,s-maxage = 5", false, false, false, true, 60, 5},
                        {"max-age=\"60\"", false, false, false, false, 60, -1},
                        {"max-age=60, max-age=50", false, false, false, false, 50, -1},
                        {"max-age=", false, false, false, false, 0, -1},
                        {"max-age", false, false, false, false, 0, -1},
                        {"max-age=-1", false, false, false, false, 0, -1},
                        {"max-age=1x", false, false, false, false, 0, -1},
                        {"max-age=99999999999999999999", false, false, false, false, kMost, -1},
                        {"s-maxage=-99999999999999999999", false, false, false, false, -1, 0},
                        {"max-ages=1, xno-store, no-store-x", false, false, false, false, -1, -1},
                        {"a=\"unended, no-store", false, false, false, false, -1, -1},
                        {"a=\"unended\\", false, false, false, false, -1, -1}};
  for (const Case& each : cases) {
    CacheControl control;
    read_cache_control(each.value, control);
    EXPECT_EQ(control.no_store, each.no_store) << each.value;
    EXPECT_EQ(control.no_cache, each.no_cache) << each.value;
    EXPECT_EQ(control.is_private, each.is_private) << each.value;
    EXPECT_EQ(control.is_public, each.is_public) << each.value;
    EXPECT_EQ(control.max_age.value_or(-1), each.max_age) << each.value;
    EXPECT_EQ(control.shared_max_age.value_or(-1), each.shared) << each.value;
  }
}

TEST(CacheVerdicts, FollowTheFields) {
  struct Case {
    const char* lines;
    std::int64_t seconds;  // by a rule of a minute; 0: not kept
  };
  const Case cases[] = {
      {"", 60},
      {"X: y\r\n", 60},
      {"Cache-Control: max-age=7\r\n", 7},
      {"Cache-Control: max-age=7000\r\n", 60},
      {"Cache-Control: max-age=0\r\n", 0},
      {"cache-control: max-age=7, s-maxage=9\r\n", 9},
      {"Cache-Control: max-age=7\r\nCache-Control: no-store\r\n", 0},
      {"Cache-Control: private\r\n", 0},
      {"Set-Cookie: a=b\r\n", 0},
      {"Vary: Accept\r\nVary: *\r\n", 0},
      {"Expires: Sun, 06 Nov 1994 08:49:47 GMT\r\n", 10},
      {"Expires: Sun, 06 Nov 1994 08:49:47 GMT\r\nDate: Sun, 06 Nov 1994 08:49:42 GMT\r\n", 5},
      {"Expires: Sun, 06 Nov 1994 08:49:37 GMT\r\n", 0},
      {"Expires: 0\r\n", 0},
      {"Expires: 0\r\nCache-Control: max-age=5\r\n", 5},
      {"Age: 10\r\nCache-Control: max-age=30\r\n", 20},
      {"Age: 30\r\nCache-Control: max-age=30\r\n", 0},
      {"Age: 30\r\n", 60},
      // Section 4.2.3: also by its date. Of several the first (section 4.2.1).
      {"Date: Sun, 06 Nov 1994 08:49:27 GMT\r\nCache-Control: max-age=30\r\n", 20},
      {"Date: Sun, 06 Nov 1994 08:49:27 GMT\r\nAge: 15\r\nCache-Control: max-age=30\r\n", 15},
      {"Date: Sun, 06 Nov 1994 08:49:07 GMT\r\nCache-Control: max-age=30\r\n", 0},
      {"Date: Sun, 06 Nov 1994 09:49:37 GMT\r\nCache-Control: max-age=30\r\n", 30},
      {"Date: never\r\nCache-Control: max-age=30\r\n", 30},
      {"Age: 10\r\nAge: 5\r\nCache-Control: max-age=30\r\n", 20},
      {"Expires: Sun, 06 Nov 1994 08:49:47 GMT\r\nExpires: Sun, 06 Nov 1994 08:50:17 GMT\r\n", 10}};
  http::RequestHead head;
  head.method = http::Method::get;
  CacheRequest request;
  request.eligible = true;
  const CacheRule rule{"/", Cache::time_to_live, 60s};
  for (const Case& each : cases) {
    const Verdict verdict =
        judge(200, read_answer(each.lines), head, request, std::nullopt, &rule, kNow);
    EXPECT_EQ(verdict.ttl, std::chrono::seconds(each.seconds)) << each.lines;
  }
  // What the application says of the server's cache goes before what it says to others.
  const AnswerFacts facts = read_answer("Cache-Control: max-age=7\r\n");
  EXPECT_EQ(judge(200, facts, head, request, 30s, &rule, kNow).ttl, 30s);
  EXPECT_EQ(judge(200, facts, head, request, 0s, &rule, kNow).ttl, 0s);
  EXPECT_EQ(judge(200, facts, head, request, std::nullopt, nullptr, kNow).ttl, 0s);
  const CacheRule for_ever{"/", Cache::until_invalidated};
  EXPECT_EQ(judge(200, facts, head, request, std::nullopt, &for_ever, kNow).ttl, 7s);
  EXPECT_EQ(judge(200, {}, head, request, std::nullopt, &for_ever, kNow).ttl, core::kUntilFlushed);
  head.method = http::Method::head;
  EXPECT_EQ(judge(200, {}, head, request, 30s, nullptr, kNow).ttl, 0s);
}

TEST(CacheVerdicts, KnowWhoAsks) {
  http::RequestHead head;
  head.method = http::Method::get;
  const CacheRule rule{"/"};
  const AnswerFacts silent, open = read_answer("Cache-Control: public\r\n");
  CacheRequest request;
  request.eligible = true;
  request.is_personal = true;
  EXPECT_EQ(judge(200, silent, head, request, 9s, nullptr, kNow).ttl, 0s);
  EXPECT_EQ(judge(200, open, head, request, 9s, nullptr, kNow).ttl, 9s);
  request.is_personal = false;
  request.has_cookie = true;
  EXPECT_EQ(judge(200, silent, head, request, 9s, nullptr, kNow).ttl, 9s);
  EXPECT_EQ(judge(200, silent, head, request, std::nullopt, &rule, kNow).ttl, 0s);
  EXPECT_EQ(judge(200, open, head, request, std::nullopt, &rule, kNow).ttl, 60s);
}

TEST(CacheVerdicts, SayHowOldItIs) {
  http::RequestHead head;
  head.method = http::Method::get;
  CacheRequest request;
  request.eligible = true;
  const auto age = [&](const char* lines) {
    return judge(200, read_answer(lines), head, request, 60s, nullptr, kNow).age;
  };
  EXPECT_EQ(age(""), 0);
  EXPECT_EQ(age("Age: 7\r\n"), 7);
  EXPECT_EQ(age("Date: Sun, 06 Nov 1994 08:49:28 GMT\r\nAge: 7\r\n"), 9);
  EXPECT_EQ(age("Date: Sun, 06 Nov 1994 08:49:35 GMT\r\nAge: 7\r\n"), 7);
  EXPECT_EQ(age("Date: Sun, 06 Nov 1994 08:59:37 GMT\r\n"), 0);
  request.no_store = true;
  EXPECT_EQ(judge(200, {}, head, request, 60s, nullptr, kNow).ttl, 0s);
}

TEST(CacheRequests, ThatChangeSomething) {
  const auto is_changing = [](http::Method method, std::string_view text) {
    http::RequestHead head;
    head.method = method;
    head.method_text = text;
    return is_unsafe(head);
  };
  using http::Method;
  for (const auto method : {Method::get, Method::head, Method::options, Method::trace}) {
    EXPECT_FALSE(is_changing(method, ""));
  }
  for (const auto method : {Method::post, Method::put, Method::delete_, Method::patch}) {
    EXPECT_TRUE(is_changing(method, ""));
  }
  EXPECT_FALSE(is_changing(Method::other, "PROPFIND"));
  EXPECT_TRUE(is_changing(Method::other, "MOVE"));
  EXPECT_TRUE(is_changing(Method::other, "propfind"));
}

TEST(CacheRuleLists, TheLongestPathDecides) {
  const CacheRules rules(
      {{"/", Cache::time_to_live, 1s}, {"/a/b/", Cache::time_to_live, 2s}, {"/a", Cache::none}});
  EXPECT_EQ(rules.find("/")->ttl, 1s);
  EXPECT_EQ(rules.find("/ab")->ttl, 1s);
  EXPECT_EQ(rules.find("/a"), nullptr);
  EXPECT_EQ(rules.find("/a/c"), nullptr);
  EXPECT_EQ(rules.find("/a/b")->ttl, 2s);
  EXPECT_EQ(rules.find("/a/b/c")->ttl, 2s);
  EXPECT_EQ(CacheRules().find("/"), nullptr);
}

// The key of GET document?query with that Host, on that port.
std::string key(std::uint16_t port, std::string_view host, std::string_view document,
                std::string_view query = {}) {
  std::string text(4, '\0');
  text.append(reinterpret_cast<const char*>(&port), sizeof port);
  text.append(host).push_back('\0');
  text.append(document);
  if (!query.empty()) text.append(1, '\0').append(query);
  return text;
}

TEST(FlushMarks, CoverWhatTheyName) {
  struct Case {
    const char* url;
    bool recursive;
    std::string key;
    bool covered;
  };
  const std::string empty_query = key(80, "h", "/a") + '\0';
  const Case cases[] = {{"/a", false, key(80, "h", "/a"), true},
                        {"/a", false, empty_query, true},
                        {"/a?", false, key(80, "h", "/a"), true},
                        {"/a?q", false, empty_query, false},
                        {"/a", true, empty_query, true},
                        {"/a", false, key(80, "h", "/a", "q"), false},
                        {"/a?q", false, key(80, "h", "/a", "q"), true},
                        {"/a", false, key(80, "h", "/a/b"), false},
                        {"/a", true, key(80, "h", "/a", "q"), true},
                        {"/a", true, key(80, "h", "/a/b", "q"), true},
                        {"/a/", true, key(80, "h", "/a"), true},
                        {"/a", true, key(80, "h", "/ab"), false},
                        {"/", true, key(80, "h", "/ab"), true},
                        {"/%61/../b", false, key(80, "h", "/b"), true},
                        {"http://h/a", false, key(80, "H", "/a"), true},
                        {"http://h", false, key(80, "h:80", "/"), true},
                        {"http://h:8080/a", false, key(8080, "h:8080", "/a"), true},
                        {"http://h:8080/a", false, key(80, "h:8080", "/a"), false},
                        {"HTTP://h:80/a", false, key(80, "g", "/a"), false},
                        {"https://h/a", false, key(443, "h", "/a"), true},
                        {"http://[::1]/a", false, key(80, "[::1]:80", "/a"), true},
                        {"http://[::1]:81/a", false, key(81, "[::1]", "/a"), true},
                        {"http://h?q", false, key(80, "h", "/", "q"), true}};
  for (const Case& each : cases) {
    const auto mark = FlushMark::read(each.url, each.recursive);
    ASSERT_TRUE(mark) << each.url;
    EXPECT_EQ(mark->covers(each.key), each.covered) << each.url << " " << each.key;
  }
  for (const char* url : {"", "a", "ftp://h/", "http://", "http:///a", "http://h:x/", "http://h:0/",
                          "http://h:70000/", "/%zz", "http://a@h/"}) {
    EXPECT_FALSE(FlushMark::read(url, false)) << url;
  }
}

}  // namespace
}  // namespace sluice::service
