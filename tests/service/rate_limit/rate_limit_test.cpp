// tests/service/rate_limit/rate_limit_test.cpp - several rules at once: whom they count, where, and
// which one answers.
//
// Layer: tests.
#include "service/rate_limit/rate_limit.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "service/auth/peers.hpp"
#include "service/rate_limit/fields.hpp"
#include "support/new_hook.hpp"

namespace sluice::service {
namespace {

std::unique_ptr<RateLimit> made(std::vector<RateRule> rules, const RateLimit* before = nullptr) {
  auto limit = RateLimit::create(std::move(rules), before);
  EXPECT_TRUE(limit.has_value()) << limit.error().message();
  return std::move(*limit);
}

RateRule rule(std::string name, RateKey key, std::uint32_t requests) {
  return {.name = std::move(name), .key = key, .requests = requests, .window = 10s, .entries = 512};
}
RateRule by_address(std::uint32_t requests) { return rule("address", RateKey::address, requests); }

// How many of `times` pass.
int passes(RateLimit& limit, const RateSubject& subject, std::string_view document, int times,
           base::Instant now = kStart) {
  int passed = 0;
  for (int i = 0; i < times; ++i) passed += limit.take(subject, document, now).is_allowed() ? 1 : 0;
  return passed;
}

TEST(RateRule, ChecksItsMembers) {
  const RateRule good = by_address(10);
  EXPECT_TRUE(check(good).has_value());
  const auto error = [&good](auto change) {
    RateRule changed = good;
    change(changed);
    const auto checked = check(changed);
    EXPECT_EQ(checked.error().code == Errc::bad_setting, !checked.has_value());
    return checked.error().detail;
  };
  const auto has = [](const std::string& words, std::string_view word) {
    return words.find(word) != std::string::npos;
  };
  using namespace std::string_literals;
  for (const std::string& name : {""s, "a b"s, "\""s, "\xc3\xa9"s, std::string(33, 'a')}) {
    EXPECT_TRUE(has(error([&](RateRule& r) { r.name = name; }), "name")) << name;
  }
  EXPECT_EQ(error([](RateRule& r) { r.name = std::string(32, 'a'); }), "");
  EXPECT_TRUE(has(error([](RateRule& r) { r.prefix = "api"; }), "prefix"));
  EXPECT_TRUE(has(error([](RateRule& r) { r.prefix.append(2048, 'a'); }), "prefix"));
  EXPECT_EQ(error([](RateRule& r) { r.prefix.append(2047, 'a'); }), "");
  EXPECT_TRUE(has(error([](RateRule& r) { r.window = 0s; }), "window"));
  EXPECT_EQ(error([](RateRule& r) { r.window = 86'400s; }), "");
  EXPECT_TRUE(has(error([](RateRule& r) { r.window = 86'401s; }), "window"));
  EXPECT_TRUE(has(error([](RateRule& r) { r.requests = 0; }), "requests"));
  EXPECT_EQ(error([](RateRule& r) { r.requests = 1'000'000; }), "");
  EXPECT_TRUE(has(error([](RateRule& r) { r.requests = 1'000'001; }), "requests"));
  EXPECT_EQ(error([](RateRule& r) { r.burst = 10; }), "");
  EXPECT_TRUE(has(error([](RateRule& r) { r.burst = 11; }), "burst"));
  EXPECT_TRUE(has(error([](RateRule& r) { r.entries = 12; }), "entries"));
  EXPECT_TRUE(has(error([](RateRule& r) { r.entries = 0; }), "entries"));
  EXPECT_EQ(error([](RateRule& r) { r.entries = 8; }), "");
  EXPECT_TRUE(has(error([](RateRule& r) { r.entries = (1 << 24) + 8; }), "entries"));
  const auto slide = [](RateRule& r) { r.algorithm = RateAlgorithm::sliding_window; };
  EXPECT_EQ(error([&](RateRule& r) { slide(r), r.requests = 65'535; }), "");
  EXPECT_TRUE(has(error([&](RateRule& r) { slide(r), r.requests = 65'536; }), "token bucket"));
  EXPECT_TRUE(has(error([&](RateRule& r) { slide(r), r.burst = 1; }), "burst"));
}

TEST(RateRule, IsForADocumentAndWhatLiesBelow) {
  EXPECT_TRUE(is_below("/", "/"));
  EXPECT_TRUE(is_below("/a/b", "/"));
  EXPECT_TRUE(is_below("/login", "/login"));
  EXPECT_TRUE(is_below("/login/", "/login"));
  EXPECT_TRUE(is_below("/login/x", "/login/"));
  EXPECT_TRUE(is_below("/login", "/login/"));
  EXPECT_FALSE(is_below("/logins", "/login"));
  EXPECT_FALSE(is_below("/Login", "/login"));
  EXPECT_FALSE(is_below("/log", "/login"));
  EXPECT_FALSE(is_below("*", "/login"));
}

TEST(RateLimit, ErrorsOfASetOfRules) {
  std::vector<RateRule> rules(RateLimit::kMaxRules);
  for (std::size_t i = 0; i < rules.size(); ++i) {
    rules[i] = rule("r" + std::to_string(i), RateKey::user, 1);
    rules[i].entries = 8;
  }
  EXPECT_TRUE(RateLimit::create(rules).has_value());
  rules.push_back(rule("one more", RateKey::user, 1));
  EXPECT_EQ(RateLimit::create(rules).error().code, Errc::bad_setting);
  const auto twice = RateLimit::create({by_address(1), by_address(2)});
  EXPECT_NE(twice.error().detail.find("two rate limits"), std::string::npos);
  EXPECT_EQ(RateLimit::create({RateRule{}}).error().code, Errc::bad_setting);
}

TEST(RateLimit, CountsAddressesAndNetworks) {
  const auto limit = made({by_address(3)});
  const auto of = [&limit](const core::Endpoint& peer) {
    return passes(*limit, {.peer = &peer}, "/", 5);
  };
  EXPECT_EQ(of(ip4(1, 1000)), 3);
  EXPECT_EQ(of(ip4(1, 2000)), 0);  // the port is no other client
  EXPECT_EQ(of(ip4(2)), 3);
  EXPECT_EQ(of(ip6({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 2})), 0);
  EXPECT_EQ(of(ip6({0x20, 1, 0xd, 0xb8, 0, 0, 0, 1, 1})), 3);
  EXPECT_EQ(of(ip6({0x20, 1, 0xd, 0xb8, 0, 0, 0, 1, 2})), 0);  // the same /64
  EXPECT_EQ(of(ip6({0x20, 1, 0xd, 0xb8, 0, 0, 0, 2, 1})), 3);
  EXPECT_EQ(of(core::Endpoint()), 5);  // a local stream has no address
  EXPECT_EQ(passes(*limit, {.user = "ann"}, "/", 5), 5);
}

TEST(RateLimit, CountsKeysAndUsersApart) {
  const auto limit = made({rule("k", RateKey::api_key, 2), rule("u", RateKey::user, 3)});
  EXPECT_EQ(passes(*limit, {.api_key = "same"}, "/", 5), 2);
  EXPECT_EQ(passes(*limit, {.user = "same"}, "/", 5), 3);
  EXPECT_EQ(passes(*limit, {.user = "other"}, "/", 5), 3);
  EXPECT_EQ(passes(*limit, {}, "/", 5), 5);
  EXPECT_EQ(limit->take({}, "/", kStart).rule, nullptr);
}

TEST(RateLimit, APrefixIsARuleOfItsOwn) {
  RateRule login = by_address(2);
  login.name = "login";
  login.prefix = "/login";
  const auto limit = made({by_address(6), login});
  const core::Endpoint peer = ip4(1);
  EXPECT_EQ(passes(*limit, {.peer = &peer}, "/login", 5), 2);
  EXPECT_EQ(passes(*limit, {.peer = &peer}, "/logins", 9), 4);  // the two before count here too
  EXPECT_EQ(passes(*limit, {.peer = &peer}, "/login", 5, kStart + 5s), 1);
}

TEST(RateLimit, TheStrictestAnswers) {
  RateRule day = rule("day", RateKey::user, 4);
  day.window = 86'400s;
  day.algorithm = RateAlgorithm::sliding_window;
  const auto limit = made({rule("second", RateKey::user, 3), day});
  const RateSubject ann{.user = "ann"};
  RateVerdict verdict = limit->take(ann, "/", kStart);
  EXPECT_TRUE(verdict.is_allowed());
  EXPECT_EQ(verdict.rule->name, "second");
  EXPECT_EQ(verdict.count.remaining, 2u);
  EXPECT_EQ(passes(*limit, ann, "/", 9), 2);
  EXPECT_EQ(limit->take(ann, "/", kStart).rule->name, "second");
  verdict = limit->take(ann, "/", kStart + 20s);  // both allow it; the day has none left then
  EXPECT_TRUE(verdict.is_allowed());
  EXPECT_EQ(verdict.rule->name, "day");
  verdict = limit->take(ann, "/", kStart + 20s);
  EXPECT_FALSE(verdict.is_allowed());
  EXPECT_EQ(verdict.rule->name, "day");
  EXPECT_GT(verdict.count.wait, 80'000s);
}

TEST(RateLimit, WhatOneRefusesNoOtherCounts) {
  const auto limit = made({rule("many", RateKey::user, 10), rule("few", RateKey::api_key, 2)});
  EXPECT_EQ(passes(*limit, {.api_key = "k", .user = "ann"}, "/", 100), 2);
  EXPECT_EQ(passes(*limit, {.user = "ann"}, "/", 100), 8);
}

TEST(RateLimit, AReloadForgivesNothing) {
  const std::vector<RateRule> rules = {rule("a", RateKey::user, 3), rule("b", RateKey::api_key, 3)};
  auto limit = made(rules);
  const RateSubject ann{.api_key = "k", .user = "ann"};
  EXPECT_EQ(passes(*limit, ann, "/", 9), 3);
  std::vector<RateRule> changed = {rules[1], rules[0]};
  changed[0].requests = 5;
  limit = made(changed, limit.get());  // the one before may go
  EXPECT_EQ(passes(*limit, {.user = "ann"}, "/", 9), 0);
  EXPECT_EQ(passes(*limit, {.api_key = "k"}, "/", 9), 5);  // another rule: it begins anew
}

TEST(RateLimit, AllocatesNothing) {
  RateRule slow = rule("slow", RateKey::user, 20);
  slow.algorithm = RateAlgorithm::sliding_window;
  slow.entries = 8;
  RateRule narrow = by_address(20);
  narrow.entries = 8;
  const auto limit = made({narrow, slow, rule("key", RateKey::api_key, 20)});
  std::mt19937 random(1);
  std::vector<std::string> names;
  for (int i = 0; i < 50; ++i)
    names.push_back("a name of more than a few bytes " + std::to_string(i));
  int refused = 0;
  const std::size_t news = test::count_news([&] {
    base::Instant now = kStart;
    for (int i = 0; i < 2000; ++i) {
      const core::Endpoint peer = ip4(static_cast<std::uint32_t>(random() % 50));
      const std::string& name = names[random() % names.size()];
      const RateVerdict verdict =
          limit->take({.peer = &peer, .api_key = name, .user = name}, "/a/b/c", now);
      const RateFields fields(verdict);
      refused += fields.retry_after().empty() ? 0 : 1;
      now += std::chrono::milliseconds(random() % 30);
    }
  });
  EXPECT_EQ(news, 0u);
  EXPECT_GT(refused, 0);
  EXPECT_LT(refused, 2000);
  EXPECT_GT(limit->displaced(0), 0u);
  EXPECT_EQ(limit->displaced(2), 0u);
}

TEST(RateLimit, WithoutMemoryThereIsNone) {
  const auto work = [] {
    auto limit = RateLimit::create({by_address(1), rule("u", RateKey::user, 1)});
    EXPECT_TRUE(limit.has_value());
  };
  EXPECT_GT(test::fail_each_new(work), 5u);
}

TEST(RateFields, SayWhatTheStrictestRuleSays) {
  const auto limit = made({rule("api", RateKey::user, 3)});
  const RateSubject ann{.user = "ann"};
  const auto fields = [&](base::Instant now) { return RateFields(limit->take(ann, "/", now)); };
  RateFields first = fields(kStart);
  EXPECT_EQ(first.policy(), "\"api\";q=3;w=10");
  EXPECT_EQ(first.limit(), "\"api\";r=2;t=7");  // two are earned in 6.7 s
  EXPECT_EQ(first.retry_after(), "");
  EXPECT_EQ(fields(kStart).limit(), "\"api\";r=1;t=4");
  EXPECT_EQ(fields(kStart).limit(), "\"api\";r=0;t=4");  // the next one in 3.3 s
  const RateFields refused = fields(kStart + 1s);
  EXPECT_EQ(refused.limit(), "\"api\";r=0;t=3");
  EXPECT_EQ(refused.retry_after(), "3");
  EXPECT_EQ(fields(kStart + 3333ms).retry_after(), "1");  // never 0
}

TEST(RateFields, OfTheLargestNumbers) {
  RateRule largest = rule(std::string(32, 'x'), RateKey::user, RateRule::kMostRequests);
  largest.window = RateRule::kLongestWindow;
  const auto limit = made({largest});
  const RateFields fields(limit->take({.user = "ann"}, "/", kStart));
  const std::string name = "\"" + std::string(32, 'x') + "\"";
  EXPECT_EQ(fields.policy(), name + ";q=1000000;w=86400");
  EXPECT_EQ(fields.limit(), name + ";r=999999;t=86400");
}

TEST(RateFields, OfNoRuleAreEmpty) {
  const RateFields none{RateVerdict()};
  EXPECT_EQ(none.policy(), "");
  EXPECT_EQ(none.limit(), "");
  EXPECT_EQ(none.retry_after(), "");
}

}  // namespace
}  // namespace sluice::service
