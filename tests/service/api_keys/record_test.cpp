// tests/service/api_keys/record_test.cpp - what may stand in a record, what a scope covers, and how
// fast a rate is used up.
//
// Layer: tests.
#include "service/api_keys/record.hpp"

#include <gtest/gtest.h>

#include <functional>

#include "service/api_keys/key.hpp"
#include "service/api_keys/rate_meter.hpp"

namespace sluice::api_keys {
namespace {

using namespace std::chrono_literals;

KeyRecord good() {
  KeyRecord key;
  key.id = new_id();
  key.prefix = "slk";
  key.owner = "joe";
  return key;
}

TEST(Record, Limits) {
  EXPECT_FALSE(problem_of(good()));
  struct Case {
    const char* what;
    bool allowed;
    std::function<void(KeyRecord&)> change;
  };
  const Case cases[] = {
      {"owner 255", true, [](KeyRecord& k) { k.owner.assign(255, 'o'); }},
      {"owner 256", false, [](KeyRecord& k) { k.owner.assign(256, 'o'); }},
      {"no owner", false, [](KeyRecord& k) { k.owner.clear(); }},
      {"owner with a line feed", false, [](KeyRecord& k) { k.owner = "a\nb"; }},
      {"owner that is not UTF-8", false, [](KeyRecord& k) { k.owner = "\xff"; }},
      {"32 scopes", true, [](KeyRecord& k) { k.scopes.assign(32, "a"); }},
      {"33 scopes", false, [](KeyRecord& k) { k.scopes.assign(33, "a"); }},
      {"a bad scope", false,
       [](KeyRecord& k) {
         k.scopes = {"a", "a b"};
       }},
      {"32 networks", true, [](KeyRecord& k) { k.networks.assign(32, Network()); }},
      {"33 networks", false, [](KeyRecord& k) { k.networks.assign(33, Network()); }},
      {"most requests", true, [](KeyRecord& k) { k.rate.requests = kMostRateRequests; }},
      {"more requests", false, [](KeyRecord& k) { k.rate.requests = kMostRateRequests + 1; }},
      {"1 second", true, [](KeyRecord& k) { k.rate.period = 1s; }},
      {"0 seconds", false, [](KeyRecord& k) { k.rate.period = 0s; }},
      {"a day", true, [](KeyRecord& k) { k.rate.period = 24h; }},
      {"more than a day", false, [](KeyRecord& k) { k.rate.period = 24h + 1s; }},
      {"year 9999", true, [](KeyRecord& k) { k.expires = kMostTime; }},
      {"year 10000", false, [](KeyRecord& k) { k.expires = kMostTime + 1s; }},
      {"before 1970", false, [](KeyRecord& k) { k.expires = Time(-1s); }},
      {"a bad prefix", false, [](KeyRecord& k) { k.prefix = "a_b"; }},
      {"a bad id", false, [](KeyRecord& k) { k.id = "x"; }},
      {"a bad replacement", false, [](KeyRecord& k) { k.replaced_by = "x"; }},
  };
  for (const Case& c : cases) {
    KeyRecord key = good();
    c.change(key);
    EXPECT_EQ(!problem_of(key), c.allowed) << c.what;
  }
}

TEST(Record, EndsWithTheFirstReason) {
  KeyRecord key = good();
  EXPECT_EQ(key.ends(), kNever);
  key.expires = Time(30s);
  EXPECT_EQ(key.ends(), Time(30s));
  key.grace_until = Time(20s);
  EXPECT_EQ(key.ends(), Time(20s));
  key.revoked = Time(10s);
  EXPECT_EQ(key.ends(), Time(10s));
}

TEST(Scope, Names) {
  for (const char* scope : {"read", "orders:read", "a.b/c_d-E9", "*", "orders:*", "a/*", "a.*"}) {
    EXPECT_TRUE(is_scope(scope)) << scope;
  }
  for (const char* scope : {"", "a b", "orders*", "**", "*a", "a:*:b", "a,b", "\xc3\xa4", "a\n"}) {
    EXPECT_FALSE(is_scope(scope)) << scope;
  }
  EXPECT_TRUE(is_scope(std::string(64, 's')));
  EXPECT_FALSE(is_scope(std::string(65, 's')));
}

TEST(Scope, Covers) {
  EXPECT_TRUE(covers({}, ""));
  EXPECT_FALSE(covers({}, "read"));
  EXPECT_TRUE(covers({"read", "write"}, "write"));
  EXPECT_FALSE(covers({"read"}, "Read"));
  EXPECT_FALSE(covers({"read"}, "reader"));
  EXPECT_FALSE(covers({"reader"}, "read"));
  EXPECT_TRUE(covers({"orders:*"}, "orders:read"));
  EXPECT_FALSE(covers({"orders:*"}, "orders"));
  EXPECT_FALSE(covers({"orders:*"}, "ordersx:read"));
  EXPECT_TRUE(covers({"*"}, "anything"));
}

TEST(RateMeter, SoManyAtOnceThenEvenly) {
  const Rate rate{6, 60s};
  RateMeter meter;
  base::Instant now{1000s};
  for (int i = 0; i < 6; ++i) EXPECT_EQ(meter.take(rate, now), 0ns) << i;
  EXPECT_EQ(meter.take(rate, now), 10s);
  EXPECT_EQ(meter.take(rate, now), 10s);  // to be refused costs nothing
  now += 10s - 1ns;
  EXPECT_EQ(meter.take(rate, now), 1ns);
  now += 1ns;
  EXPECT_EQ(meter.take(rate, now), 0ns);
  EXPECT_EQ(meter.take(rate, now), 10s);
  now += 3600s;  // no more is saved up than a period's
  for (int i = 0; i < 6; ++i) EXPECT_EQ(meter.take(rate, now), 0ns) << i;
  EXPECT_GT(meter.take(rate, now), 0ns);
}

TEST(RateMeter, ExtremesAreExact) {
  RateMeter one, many;
  const base::Instant now{5s};
  EXPECT_EQ(one.take({1, 86400s}, now), 0ns);
  EXPECT_EQ(one.take({1, 86400s}, now), 86400s);
  EXPECT_EQ(one.take({1, 86400s}, now + 86400s), 0ns);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(many.take({kMostRateRequests, 1s}, now), 0ns);
}

TEST(Record, TimesAsText) {
  EXPECT_EQ(text_of(kNever), "never");
  EXPECT_EQ(text_of(Time(0s)), "1970-01-01T00:00:00Z");
  EXPECT_EQ(text_of(Time(1'795'392'000s)), "2026-11-23T00:00:00Z");
  EXPECT_EQ(text_of(kMostTime), "9999-12-31T23:59:59Z");
}

}  // namespace
}  // namespace sluice::api_keys
