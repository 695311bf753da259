// tests/core/url_group_test.cpp - what a group inherits, where its requests go, what it counts.
//
// Layer: tests.
#include "core/url_group.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/url_harness.hpp"

namespace sluice::test {
namespace {

using namespace std::chrono_literals;

using core::kNoLimit;
using core::RequestQueue;
using core::UrlGroup;
using core::UrlNamespace;
using core::UrlProperties;
using core::UrlRegistration;
using core::UrlSession;
using core::UrlSettings;
using core::UrlSnapshot;

class Groups : public testing::Test {
 protected:
  std::unique_ptr<UrlGroup> open() {
    auto group = UrlGroup::open(session);
    EXPECT_TRUE(group);
    return std::move(*group);
  }
  UrlSnapshot::Target find(std::string_view path) {
    snapshot = urls->snapshot();
    return snapshot->find(request("x", path));
  }

  std::shared_ptr<UrlNamespace> urls = std::make_shared<UrlNamespace>();
  std::shared_ptr<UrlSession> session = std::make_shared<UrlSession>(urls);
  std::shared_ptr<const UrlSnapshot> snapshot;  // keeps what find() answered
};

TEST_F(Groups, TheContextComesWithTheMatch) {
  std::unique_ptr<UrlGroup> group = open(), other = open();
  const auto queue = *RequestQueue::create("");
  group->bind(queue);
  other->bind(queue);
  ASSERT_TRUE(group->add_url("http://*:80/a/", 0xffff'ffff'ffff'ffff));
  ASSERT_TRUE(group->add_url("http://*:80/a/b/", 2));
  ASSERT_TRUE(other->add_url("http://*:80/c/"));
  UrlSnapshot::Target target = find("/a/x");
  EXPECT_EQ(target.refused, Errc::none);
  EXPECT_EQ(target.entry->context, 0xffff'ffff'ffff'ffff);
  EXPECT_EQ(target.entry->group, group->id());
  EXPECT_EQ(target.group->queue, queue);
  EXPECT_EQ(find("/a/b/x").entry->context, 2u);
  EXPECT_EQ(find("/c/").entry->context, 0u);
  EXPECT_EQ(find("/c/").entry->group, other->id());
}

TEST_F(Groups, UrlsComeAndGo) {
  std::unique_ptr<UrlGroup> group = open(), other = open();
  const std::vector<UrlRegistration> two = {{prefix("http://*:80/b/"), 1},
                                            {prefix("http://*:80/a/"), 2}};
  ASSERT_TRUE(group->add_urls(two));
  ASSERT_TRUE(other->add_url("http://*:80/c/"));
  EXPECT_EQ(group->add_url("http://*:80/c/").error().code, Errc::already_exists);
  EXPECT_EQ(group->add_url("http://*:80/d").error().code, Errc::bad_prefix);
  ASSERT_EQ(group->urls().size(), 2u);
  EXPECT_EQ(group->urls()[0].prefix.path, "/a/");
  EXPECT_EQ(group->urls()[0].context, 2u);
  EXPECT_EQ(group->remove_url("http://*:80/c/").error().code, Errc::no_such_prefix);
  EXPECT_EQ(group->remove_url("http://*:80/c").error().code, Errc::bad_prefix);
  ASSERT_TRUE(group->remove_url("http://*:80/a/"));
  EXPECT_EQ(find("/a/").refused, Errc::host_not_served);
  EXPECT_EQ(group->remove_all_urls(), 1u);
  EXPECT_EQ(group->remove_all_urls(), 0u);
  EXPECT_TRUE(group->urls().empty());
  EXPECT_EQ(other->urls().size(), 1u);
}

TEST_F(Groups, ClosingRemovesItsUrls) {
  std::unique_ptr<UrlGroup> group = open(), other = open();
  ASSERT_TRUE(group->add_url("http://*:80/"));
  ASSERT_TRUE(other->add_url("http://*:80/b/"));
  group.reset();
  EXPECT_EQ(find("/").refused, Errc::host_not_served);
  EXPECT_EQ(find("/b/").refused, Errc::no_queue) << "the other is as it was";
  ASSERT_TRUE(other->add_url("http://*:80/")) << "free again";
}

TEST_F(Groups, WithoutAQueue503) {
  std::unique_ptr<UrlGroup> group = open();
  ASSERT_TRUE(group->add_url("http://*:80/"));
  EXPECT_EQ(find("/").refused, Errc::no_queue);
  const auto first = *RequestQueue::create("first"), second = *RequestQueue::create("second");
  group->bind(first);
  EXPECT_EQ(find("/").refused, Errc::none);
  EXPECT_EQ(find("/").group->queue, first);
  group->bind(second);
  EXPECT_EQ(find("/").group->queue, second);
  EXPECT_EQ(group->queue(), second);
  group->bind(nullptr);
  EXPECT_EQ(find("/").refused, Errc::no_queue);
}

TEST_F(Groups, ActiveIsWhatBothAre) {
  std::unique_ptr<UrlGroup> group = open();
  ASSERT_TRUE(group->add_url("http://*:80/"));
  group->bind(*RequestQueue::create(""));
  for (bool above : {true, false}) {
    for (bool own : {true, false}) {
      session->set_active(above);
      group->set_active(own);
      EXPECT_EQ(find("/").refused, above && own ? Errc::none : Errc::group_inactive);
      EXPECT_EQ(session->active(), above);
      EXPECT_EQ(group->active(), own) << "by itself";
    }
  }
  session->set_active(true);
  EXPECT_EQ(find("/").refused, Errc::group_inactive) << "the group still is";
  std::unique_ptr<UrlGroup> born_later = open();
  session->set_active(false);
  std::unique_ptr<UrlGroup> born_inactive = open();
  born_inactive->bind(*RequestQueue::create(""));
  ASSERT_TRUE(born_inactive->add_url("http://*:80/late/"));
  EXPECT_EQ(find("/late/").refused, Errc::group_inactive);
}

// --- Inheritance ---------------------------------------------------------------------------------

TEST_F(Groups, DefaultsAreThoseOfTheMachine) {
  std::unique_ptr<UrlGroup> group = open();
  EXPECT_EQ(group->settings(), UrlSettings());
  EXPECT_EQ(UrlSettings().head_bytes, 16384u);
  EXPECT_EQ(UrlSettings().header_wait, 30s);
  EXPECT_EQ(UrlSettings().entity_body, 120s);
  EXPECT_EQ(UrlSettings().request_queue, 120s);
  EXPECT_EQ(UrlSettings().min_send_rate, 150u);
  EXPECT_EQ(UrlSettings().bandwidth, kNoLimit);
  EXPECT_EQ(UrlSettings().connections, kNoLimit);
  EXPECT_EQ(UrlSettings().authentication, nullptr);
}

// Each property, set at one level and at both: the nearest one counts. A property that inherit()
// forgot would be found here, unless it is missing in this list too.
template <class T>
void check_one(T UrlSettings::*setting, std::optional<T> UrlProperties::*property, T machine,
               T session_value, T group_value) {
  auto urls = std::make_shared<UrlNamespace>();
  UrlSettings defaults;
  defaults.*setting = machine;
  auto session = std::make_shared<UrlSession>(urls, defaults);
  std::unique_ptr<UrlGroup> group = *UrlGroup::open(session);
  const auto in_force = [&] {
    const UrlSettings told = group->settings();
    // What shards see is the same, and nothing else has changed.
    EXPECT_EQ(urls->snapshot()->groups[group->id()]->settings, told);
    UrlSettings rest = told;
    rest.*setting = UrlSettings().*setting;
    EXPECT_EQ(rest, UrlSettings());
    return told.*setting;
  };
  EXPECT_EQ(in_force(), machine);
  UrlProperties own;
  own.*property = session_value;
  EXPECT_TRUE(session->set(own));
  EXPECT_EQ(in_force(), session_value);
  EXPECT_EQ(session->settings().*setting, session_value);
  own.*property = group_value;
  EXPECT_TRUE(group->set(own));
  EXPECT_EQ(in_force(), group_value);
  EXPECT_EQ(session->settings().*setting, session_value);
  EXPECT_TRUE(session->set({}));
  EXPECT_EQ(in_force(), group_value);
  EXPECT_TRUE(group->set({}));
  EXPECT_EQ(in_force(), machine);
}

TEST_F(Groups, EveryPropertyIsInherited) {
  using S = UrlSettings;
  using P = UrlProperties;
  check_one<std::size_t>(&S::head_bytes, &P::head_bytes, 1, 2, 3);
  check_one<std::uint64_t>(&S::body_bytes, &P::body_bytes, 0, 2, 3);
  check_one<std::uint64_t>(&S::message_bytes, &P::message_bytes, 1, 2, 3);
  check_one(&S::header_wait, &P::header_wait, 1ms, 2ms, 0ms);
  check_one(&S::entity_body, &P::entity_body, 1ms, 2ms, 0ms);
  check_one(&S::drain_entity_body, &P::drain_entity_body, 1ms, 2ms, 0ms);
  check_one(&S::request_queue, &P::request_queue, 1ms, 2ms, 0ms);
  check_one(&S::idle_connection, &P::idle_connection, 1ms, 2ms, 0ms);
  check_one<std::uint32_t>(&S::min_send_rate, &P::min_send_rate, 1, 2, 0);
  check_one<std::uint64_t>(&S::bandwidth, &P::bandwidth, 1000, 2000, kNoLimit);
  check_one<std::uint64_t>(&S::connections, &P::connections, 1, 2, kNoLimit);
  const std::shared_ptr<const void> basic = std::make_shared<int>(1);
  const std::shared_ptr<const void> digest = std::make_shared<int>(2);
  check_one(&S::authentication, &P::authentication, basic, digest, std::shared_ptr<const void>());
}

TEST_F(Groups, AChangeOfTheSessionReachesAllGroupsAtOnce) {
  std::unique_ptr<UrlGroup> a = open(), b = open(), c = open();
  UrlProperties own;
  own.bandwidth = 7;
  ASSERT_TRUE(b->set(own));
  const std::uint64_t before = urls->generation();
  own.bandwidth = 5000;
  own.entity_body = 1s;
  ASSERT_TRUE(session->set(own));
  EXPECT_EQ(urls->generation(), before + 1);
  EXPECT_EQ(a->settings().bandwidth, 5000u);
  EXPECT_EQ(b->settings().bandwidth, 7u);
  EXPECT_EQ(b->settings().entity_body, 1s);
  EXPECT_EQ(c->settings(), session->settings());
  b.reset();
  ASSERT_TRUE(session->set({})) << "who has gone is forgotten";
  EXPECT_EQ(a->settings(), UrlSettings());
}

TEST_F(Groups, WhatMakesNoSenseIsRefusedByName) {
  std::unique_ptr<UrlGroup> group = open();
  UrlProperties good;
  good.head_bytes = 9;
  ASSERT_TRUE(group->set(good));
  ASSERT_TRUE(session->set(good));
  const std::pair<const char*, void (*)(UrlProperties&)> cases[] = {
      {"head_bytes", [](UrlProperties& p) { p.head_bytes = 0; }},
      {"message_bytes", [](UrlProperties& p) { p.message_bytes = 0; }},
      {"header_wait", [](UrlProperties& p) { p.header_wait = -1ms; }},
      {"entity_body", [](UrlProperties& p) { p.entity_body = -1ms; }},
      {"drain_entity_body", [](UrlProperties& p) { p.drain_entity_body = -1ms; }},
      {"request_queue", [](UrlProperties& p) { p.request_queue = -1ms; }},
      {"idle_connection", [](UrlProperties& p) { p.idle_connection = -1ms; }},
      {"bandwidth", [](UrlProperties& p) { p.bandwidth = 0; }},
      {"connections", [](UrlProperties& p) { p.connections = 0; }},
  };
  for (const auto& [name, spoil] : cases) {
    UrlProperties bad;
    spoil(bad);
    for (const Result<void>& set : {group->set(bad), session->set(bad)}) {
      ASSERT_FALSE(set) << name;
      EXPECT_EQ(set.error().code, Errc::bad_setting);
      EXPECT_EQ(set.error().detail.find(std::string(name) + " must"), 0u) << set.error().detail;
    }
    EXPECT_EQ(group->properties(), good) << "nothing changed";
    EXPECT_EQ(session->properties(), good);
  }
}

// --- Connections ---------------------------------------------------------------------------------

TEST_F(Groups, ConnectionsAreCountedByGroup) {
  std::unique_ptr<UrlGroup> a = open(), b = open();
  UrlProperties own;
  own.connections = 2;
  ASSERT_TRUE(session->set(own));
  ASSERT_TRUE(a->add_url("http://*:80/a/"));
  ASSERT_TRUE(b->add_url("http://*:80/b/"));
  EXPECT_TRUE(find("/a/").group->enter_connection());
  EXPECT_TRUE(find("/a/").group->enter_connection());
  EXPECT_FALSE(find("/a/").group->enter_connection()) << "two are open";
  EXPECT_EQ(a->open_connections(), 2u);
  EXPECT_TRUE(find("/b/").group->enter_connection()) << "the other group has its own";
  find("/a/").group->connections->leave();
  EXPECT_TRUE(find("/a/").group->enter_connection());
  // A new limit finds those that are open already.
  own.connections = 1;
  ASSERT_TRUE(a->set(own));
  EXPECT_FALSE(find("/a/").group->enter_connection());
  find("/a/").group->connections->leave();
  EXPECT_FALSE(find("/a/").group->enter_connection());
  own.connections = kNoLimit;
  ASSERT_TRUE(a->set(own));
  EXPECT_TRUE(find("/a/").group->enter_connection());
  EXPECT_EQ(a->open_connections(), 2u);
}

TEST_F(Groups, ConnectionsOfManyShards) {
  core::UrlConnections connections;
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 20000; ++i) {
        // As many threads as places: there is always room.
        EXPECT_TRUE(connections.enter(3));
        connections.leave();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(connections.open(), 0u);
}

// A connection may leave after its group has been closed: it holds what it counts in.
TEST_F(Groups, AConnectionMayOutliveItsGroup) {
  std::unique_ptr<UrlGroup> group = open();
  ASSERT_TRUE(group->add_url("http://*:80/"));
  std::shared_ptr<core::UrlConnections> counted = find("/").group->connections;
  EXPECT_TRUE(find("/").group->enter_connection());
  group.reset();
  snapshot.reset();
  counted->leave();
  EXPECT_EQ(counted->open(), 0u);
}

}  // namespace
}  // namespace sluice::test
