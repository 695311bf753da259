// tests/core/url_memory_test.cpp - looking up asks for no memory; a change without memory is none.
//
// Layer: tests.
#include <gtest/gtest.h>

#include <memory>
#include <new>
#include <string>

#include "core/url_group.hpp"
#include "core/url_harness.hpp"
#include "core/url_namespace.hpp"
#include "core/url_tree.hpp"
#include "support/new_hook.hpp"

namespace sluice::test {
namespace {

using core::UrlRequest;
using core::UrlTree;

TEST(UrlMemory, ALookUpAllocatesNothing) {
  const UrlTree tree(ten_thousand());
  std::string host, path, deep = "/";
  for (int i = 0; i < 1000; ++i) deep += "a/";
  std::string labels = "a";
  for (int i = 0; i < 126; ++i) labels += ".a";
  std::size_t found = 0;
  for (std::uint32_t i = 0; i < 10'000; ++i) {
    const UrlRequest one = request_for(i, host, path);
    EXPECT_EQ(count_news([&] { found += tree.find(one).entry != nullptr; }), 0u) << i;
  }
  EXPECT_EQ(found, 10'000u);
  const UrlRequest odd[] = {request(labels, deep), request("", "*"), request("x", deep, 81),
                            request("[::1]:80", "//", 80, "::1")};
  for (const UrlRequest& one : odd) {
    EXPECT_EQ(count_news([&] { found += tree.find(one).entry != nullptr; }), 0u);
  }
  EXPECT_EQ(found, 10'000u);
}

// The same through a namespace, as a shard does it.
TEST(UrlMemory, AShardsLookUpAllocatesNothing) {
  auto urls = std::make_shared<core::UrlNamespace>();
  auto session = std::make_shared<core::UrlSession>(urls);
  std::unique_ptr<core::UrlGroup> group = *core::UrlGroup::open(session);
  ASSERT_TRUE(group->add_url("http://*:80/a/", 5));
  group->bind(*core::RequestQueue::create(""));
  core::UrlReader reader(*urls);
  const UrlRequest good = request("x", "/a/b"), bad = request("x", "/b");
  EXPECT_EQ(count_news([&] {
              std::shared_ptr<const core::UrlSnapshot> kept = reader.current();
              core::UrlSnapshot::Target target = kept->find(good);
              EXPECT_EQ(target.refused, Errc::none);
              EXPECT_TRUE(target.group->enter_connection());
              EXPECT_EQ(target.group->queue->admit(true), core::RequestQueue::Admission::run);
              target.group->connections->leave();
              EXPECT_EQ(kept->find(bad).refused, Errc::host_not_served);
            }),
            0u);
}

// Every allocation of a change may fail: then nothing has changed.
TEST(UrlMemory, WithoutMemoryNothingChanges) {
  auto urls = std::make_shared<core::UrlNamespace>();
  auto session = std::make_shared<core::UrlSession>(urls);
  std::unique_ptr<core::UrlGroup> group = *core::UrlGroup::open(session);
  ASSERT_TRUE(group->add_url("http://*:80/"));
  std::shared_ptr<const core::UrlSnapshot> before = urls->snapshot();
  const core::UrlRegistration url{prefix("http://*:80/some/path/that/is/long/"), 1};
  core::UrlProperties properties;
  properties.bandwidth = 5000;
  const auto attempt = [&](auto&& change) {
    return fail_each_new([&] {
      try {
        change();
      } catch (const std::bad_alloc&) {
        fail_after = 0;
        EXPECT_EQ(urls->snapshot(), before);
        EXPECT_EQ(group->properties(), core::UrlProperties());
        EXPECT_EQ(session->properties(), core::UrlProperties());
        throw;
      }
      fail_after = 0;
      EXPECT_NE(urls->snapshot(), before);
      before = urls->snapshot();
    });
  };
  EXPECT_GT(attempt([&] { EXPECT_TRUE(group->add_urls({&url, 1})); }), 5u);
  EXPECT_GT(attempt([&] { EXPECT_TRUE(urls->remove(group->id(), url.prefix)); }), 5u);
  EXPECT_GT(attempt([&] { EXPECT_TRUE(urls->reserve({&url.prefix, 1})); }), 5u);
  EXPECT_GT(attempt([&] { EXPECT_TRUE(urls->remove_reservation(url.prefix)); }), 5u);
  EXPECT_GT(attempt([&] { EXPECT_EQ(group->remove_all_urls(), 1u); }), 3u);
  EXPECT_GT(attempt([&] { (void)core::UrlGroup::open(session); }), 3u);
  EXPECT_GT(attempt([&] { EXPECT_TRUE(group->set(properties)); }), 2u);
  EXPECT_TRUE(group->set({}));
  before = urls->snapshot();
  EXPECT_GT(attempt([&] { EXPECT_TRUE(session->set(properties)); }), 2u);
}

// Closing cannot fail: a group that could not take its URLs away leaves them without a queue.
TEST(UrlMemory, ClosingAGroupWithoutMemory) {
  for (std::size_t n = 1;; ++n) {
    auto urls = std::make_shared<core::UrlNamespace>();
    auto session = std::make_shared<core::UrlSession>(urls);
    std::unique_ptr<core::UrlGroup> group = *core::UrlGroup::open(session);
    ASSERT_TRUE(group->add_url("http://*:80/"));
    group->bind(*core::RequestQueue::create(""));
    fail_after = n;
    group.reset();
    const bool failed = fail_after == 0;
    fail_after = 0;
    const Errc refused = urls->snapshot()->find(request("x", "/")).refused;
    EXPECT_EQ(refused, failed ? Errc::no_queue : Errc::host_not_served) << n;
    if (!failed) break;
    ASSERT_LT(n, 100u);
  }
}

}  // namespace
}  // namespace sluice::test
