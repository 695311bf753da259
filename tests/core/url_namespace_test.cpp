// tests/core/url_namespace_test.cpp - adding and removing, whole or not at all, while others read.
//
// Layer: tests.
#include "core/url_namespace.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "core/url_group.hpp"
#include "core/url_harness.hpp"

namespace sluice::test {
namespace {

using core::UrlEntry;
using core::UrlGroupView;
using core::UrlNamespace;
using core::UrlPrefix;
using core::UrlReader;
using core::UrlRegistration;
using core::UrlSnapshot;

std::shared_ptr<const UrlGroupView> a_view() {
  auto view = std::make_shared<UrlGroupView>();
  view->queue = *core::RequestQueue::create("");
  view->connections = std::make_shared<core::UrlConnections>();
  return view;
}

class Namespace : public testing::Test {
 protected:
  Namespace() : one(*urls.open_group(a_view())), other(*urls.open_group(a_view())) {}

  Result<void> add(std::uint32_t group, const std::vector<std::string>& texts) {
    std::vector<UrlRegistration> all;
    for (const std::string& text : texts) all.push_back({prefix(text), all.size()});
    return urls.add(group, all);
  }
  Result<void> reserve(std::string_view text) {
    const UrlPrefix reserved = prefix(text);
    return urls.reserve({&reserved, 1});
  }
  // What a request to port 80 meets.
  Errc find(std::string_view host, std::string_view path) {
    return urls.snapshot()->find(request(host, path)).refused;
  }
  std::string all() {
    std::string out;
    for (const UrlEntry& entry : urls.snapshot()->tree->entries()) {
      out += entry.prefix.text() + (entry.reserved ? " reserved" : "") +
             (entry.registered() ? " " + std::to_string(entry.group) : "") + "\n";
    }
    return out;
  }

  UrlNamespace urls;
  std::uint32_t one, other;
};

TEST_F(Namespace, AddsAndRemoves) {
  ASSERT_TRUE(add(one, {"http://*:80/", "http://*:80/a/"}));
  ASSERT_TRUE(add(other, {"http://*:80/b/"}));
  EXPECT_EQ(all(), "http://*:80/ 0\nhttp://*:80/a/ 0\nhttp://*:80/b/ 1\n");
  ASSERT_TRUE(urls.remove(one, prefix("http://*:80/")));
  EXPECT_EQ(all(), "http://*:80/a/ 0\nhttp://*:80/b/ 1\n");
  EXPECT_EQ(find("x", "/"), Errc::host_not_served);
  EXPECT_EQ(urls.remove_all(one), 1u);
  EXPECT_EQ(urls.remove_all(one), 0u);
  EXPECT_EQ(all(), "http://*:80/b/ 1\n");
}

TEST_F(Namespace, OnlyItsGroupRemovesAPrefix) {
  ASSERT_TRUE(add(one, {"http://*:80/"}));
  Result<void> removed = urls.remove(other, prefix("http://*:80/"));
  ASSERT_FALSE(removed);
  EXPECT_EQ(removed.error().code, Errc::no_such_prefix);
  EXPECT_EQ(removed.error().detail, "\"http://*:80/\" is registered by another URL group");
  removed = urls.remove(one, prefix("http://*:80/a/"));
  EXPECT_EQ(removed.error().code, Errc::no_such_prefix);
  EXPECT_EQ(removed.error().detail, "\"http://*:80/a/\" is not registered");
  EXPECT_EQ(all(), "http://*:80/ 0\n");
}

TEST_F(Namespace, APrefixIsTakenOnce) {
  ASSERT_TRUE(add(one, {"http://A.com:80/"}));
  for (std::uint32_t group : {one, other}) {
    Result<void> again = add(group, {"http://a.COM:80/"});
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().code, Errc::already_exists);
    EXPECT_EQ(again.error().detail,
              "\"http://a.com:80/\" is registered already; remove it there or choose another path");
  }
  EXPECT_EQ(add(one, {"http://b.com:80/", "http://b.com:80/"}).error().code, Errc::already_exists)
      << "twice in one call";
  EXPECT_EQ(all(), "http://a.com:80/ 0\n");
}

TEST_F(Namespace, SeveralAreAddedAllOrNone) {
  ASSERT_TRUE(add(one, {"http://*:80/m/"}));
  const std::uint64_t generation = urls.generation();
  EXPECT_FALSE(add(one, {"http://*:80/a/", "http://*:80/m/", "http://*:80/z/"}));
  EXPECT_FALSE(add(one, {"http://*:80/a/", "https://*:80/b/"}));
  EXPECT_EQ(all(), "http://*:80/m/ 0\n");
  EXPECT_EQ(urls.generation(), generation);
}

TEST_F(Namespace, APortHasOneScheme) {
  ASSERT_TRUE(add(one, {"http://a.com:80/", "https://a.com:443/"}));
  Result<void> added = add(other, {"https://b.com:80/"});
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().code, Errc::scheme_conflict);
  EXPECT_EQ(added.error().detail,
            "\"https://b.com:80/\": port 80 is used with http; choose another port");
  EXPECT_EQ(add(one, {"http://+:443/"}).error().code, Errc::scheme_conflict);
  const Error reserved = reserve("https://*:80/").error();
  EXPECT_EQ(reserved.code, Errc::scheme_conflict);
  EXPECT_EQ(add(one, {"http://*:81/", "https://*:81/"}).error().code, Errc::scheme_conflict)
      << "in one call";
  ASSERT_TRUE(reserve("http://*:82/"));
  EXPECT_EQ(add(one, {"https://*:82/"}).error().code, Errc::scheme_conflict);
  // With its last prefix a port is free again.
  ASSERT_TRUE(urls.remove(one, prefix("http://a.com:80/")));
  EXPECT_TRUE(add(one, {"https://a.com:80/"}));
}

TEST_F(Namespace, ReservationsAndRegistrations) {
  ASSERT_TRUE(reserve("http://*:80/a/"));
  EXPECT_EQ(find("x", "/a/"), Errc::url_reserved);
  EXPECT_EQ(reserve("http://*:80/a/").error().code, Errc::already_exists);
  ASSERT_TRUE(add(one, {"http://*:80/a/", "http://*:80/b/"}));
  EXPECT_EQ(find("x", "/a/"), Errc::none);
  EXPECT_EQ(add(other, {"http://*:80/a/"}).error().code, Errc::already_exists);
  ASSERT_TRUE(reserve("http://*:80/b/")) << "reserved after it was registered";
  EXPECT_EQ(reserve("http://*:80/b/").error().code, Errc::already_exists);
  EXPECT_EQ(all(), "http://*:80/a/ reserved 0\nhttp://*:80/b/ reserved 0\n");
  // The registration goes, the reservation stays; and the other way round.
  ASSERT_TRUE(urls.remove(one, prefix("http://*:80/a/")));
  ASSERT_TRUE(urls.remove_reservation(prefix("http://*:80/b/")));
  EXPECT_EQ(all(), "http://*:80/a/ reserved\nhttp://*:80/b/ 0\n");
  EXPECT_EQ(find("x", "/a/"), Errc::url_reserved);
  EXPECT_EQ(find("x", "/b/"), Errc::none);
  EXPECT_EQ(urls.remove(one, prefix("http://*:80/a/")).error().code, Errc::no_such_prefix);
  EXPECT_EQ(urls.remove_reservation(prefix("http://*:80/b/")).error().code, Errc::no_such_prefix);
  ASSERT_TRUE(urls.remove_reservation(prefix("http://*:80/a/")));
  EXPECT_EQ(find("x", "/a/"), Errc::host_not_served);
  ASSERT_TRUE(reserve("http://*:80/b/"));
  EXPECT_EQ(urls.remove_all(one), 1u);
  EXPECT_EQ(all(), "http://*:80/b/ reserved\n");
}

// A later reservation of a higher category cuts off an application that runs.
TEST_F(Namespace, AReservationCutsOffLowerCategories) {
  ASSERT_TRUE(add(one, {"http://*:80/vroot/"}));
  EXPECT_EQ(find("adatum.com", "/vroot/f"), Errc::none);
  ASSERT_TRUE(reserve("http://adatum.com:80/"));
  EXPECT_EQ(find("adatum.com", "/vroot/f"), Errc::url_reserved);
  EXPECT_EQ(find("other.com", "/vroot/f"), Errc::none);
}

TEST_F(Namespace, AnswersForTheWire) {
  EXPECT_EQ(info(Errc::host_not_served).wire, 400);
  EXPECT_EQ(info(Errc::host_not_served).reason, "Hostname");
  EXPECT_EQ(info(Errc::url_reserved).wire, 503);
  EXPECT_EQ(info(Errc::group_inactive).wire, 503);
  EXPECT_EQ(info(Errc::group_inactive).reason, "Disabled");
  EXPECT_EQ(info(Errc::no_queue).wire, 503);
}

TEST_F(Namespace, HasALimit) {
  std::vector<UrlRegistration> all;
  for (std::size_t i = 0; i < UrlNamespace::kMaxPrefixes; ++i)
    all.push_back({prefix("http://*:80/" + std::to_string(i) + "/"), i});
  ASSERT_TRUE(urls.add(one, all));
  const Error error = add(one, {"http://*:81/"}).error();
  EXPECT_EQ(error.code, Errc::too_many_prefixes);
  EXPECT_NE(error.detail.find("65536 are possible"), std::string::npos);
  EXPECT_EQ(reserve("http://*:81/").error().code, Errc::too_many_prefixes);
  EXPECT_TRUE(reserve("http://*:80/7/")) << "this one exists";
  ASSERT_TRUE(urls.remove(one, prefix("http://*:80/9/")));
  EXPECT_TRUE(add(one, {"http://*:81/"}));
  const UrlSnapshot::Target target = urls.snapshot()->find(request("x", "/65535/y"));
  ASSERT_TRUE(target.entry);
  EXPECT_EQ(target.entry->context, 65535u);
}

TEST_F(Namespace, PlacesOfGroupsAreUsedAgain) {
  ASSERT_TRUE(add(one, {"http://*:80/"}));
  ASSERT_TRUE(add(other, {"http://*:80/b/"}));
  urls.close_group(one);
  EXPECT_EQ(all(), "http://*:80/b/ 1\n");
  std::shared_ptr<const UrlGroupView> view = a_view();
  EXPECT_EQ(*urls.open_group(view), one);
  EXPECT_EQ(urls.snapshot()->groups[one], view);
  EXPECT_EQ(find("x", "/"), Errc::host_not_served) << "it does not inherit URLs";
  urls.close_group(one);
  urls.close_group(other);
  EXPECT_TRUE(urls.snapshot()->groups.empty());
}

// What a reader holds does not change under it.
TEST_F(Namespace, ASnapshotStaysAsItWas) {
  ASSERT_TRUE(add(one, {"http://*:80/"}));
  UrlReader reader(urls);
  std::shared_ptr<const UrlSnapshot> kept = reader.current();
  const UrlSnapshot* same = kept.get();
  EXPECT_EQ(reader.current().get(), same) << "nothing has changed";
  urls.close_group(one);
  EXPECT_EQ(kept->find(request("x", "/")).refused, Errc::none);
  EXPECT_NE(reader.current().get(), same);
  EXPECT_EQ(reader.current()->find(request("x", "/")).refused, Errc::host_not_served);
  EXPECT_EQ(kept.use_count(), 1) << "the reader has let it go";
}

TEST_F(Namespace, ReadersAreCountedApart) {
  UrlReader a(urls), b(urls);
  EXPECT_EQ(a.current().get(), b.current().get()) << "one picture";
  std::shared_ptr<const UrlSnapshot> kept = a.current();
  EXPECT_EQ(a.current().use_count(), 2);
  EXPECT_EQ(b.current().use_count(), 1);
}

// Random changes, against a map. The namespace is built anew from what is left, again and again.
TEST_F(Namespace, AgreesWithAMap) {
  std::mt19937 random(random_seed());
  struct Known {
    bool reserved = false;
    std::uint32_t group = UrlEntry::kNoGroup;
  };
  std::map<std::string, Known> known;
  const char* hosts[] = {"+", "a.com", "*.a.com", "192.0.2.1", "*"};
  for (int step = 0; step < 3000; ++step) {
    const std::string text = "http://" + std::string(hosts[random() % 5]) + ":80/" +
                             (random() % 3 == 0 ? "" : std::to_string(random() % 6) + "/");
    const std::uint32_t group = random() % 2 == 0 ? one : other;
    Known now = known.contains(text) ? known[text] : Known();
    switch (random() % 9) {
      case 0:
      case 1:
      case 2:
        EXPECT_EQ(bool(add(group, {text})), now.group == UrlEntry::kNoGroup);
        if (now.group == UrlEntry::kNoGroup) now.group = group;
        break;
      case 3:
      case 4:
        EXPECT_EQ(bool(reserve(text)), !now.reserved);
        now.reserved = true;
        break;
      case 5:
      case 6:
        EXPECT_EQ(bool(urls.remove(group, prefix(text))), now.group == group);
        if (now.group == group) now.group = UrlEntry::kNoGroup;
        break;
      case 7:
        EXPECT_EQ(bool(urls.remove_reservation(prefix(text))), now.reserved);
        now.reserved = false;
        break;
      default:
        if (random() % 20 == 0) {
          urls.remove_all(group);
          for (auto& [each, state] : known)
            if (state.group == group) state.group = UrlEntry::kNoGroup;
          if (now.group == group) now.group = UrlEntry::kNoGroup;
        }
        break;
    }
    known[text] = now;
    std::set<std::string> expected, found;
    for (const auto& [each, state] : known) {
      if (state.reserved) expected.insert(each + " reserved");
      if (state.group != UrlEntry::kNoGroup)
        expected.insert(each + " " + std::to_string(state.group));
    }
    for (const UrlEntry& entry : urls.snapshot()->tree->entries()) {
      if (entry.reserved) found.insert(entry.prefix.text() + " reserved");
      if (entry.registered()) found.insert(entry.prefix.text() + " " + std::to_string(entry.group));
    }
    ASSERT_EQ(found, expected) << "at step " << step;
  }
}

// Readers look up while prefixes and groups come and go; what they see is always whole: both
// prefixes of the group, or none.
TEST_F(Namespace, ReadersOnOtherThreads) {
  ASSERT_TRUE(add(one, {"http://*:80/stays/"}));
  std::atomic<bool> stop{false};
  std::atomic<int> ready{0};
  std::vector<std::thread> readers;
  for (int i = 0; i < 2; ++i) {
    readers.emplace_back([&] {
      UrlReader reader(urls);
      std::uint64_t generation = 0;
      ready.fetch_add(1);
      while (!stop) {
        std::shared_ptr<const UrlSnapshot> now = reader.current();
        EXPECT_GE(now->generation, generation) << "never back";
        generation = now->generation;
        EXPECT_EQ(now->find(request("x", "/stays/")).refused, Errc::none);
        const UrlSnapshot::Target first = now->find(request("x", "/first/"));
        const UrlSnapshot::Target second = now->find(request("x", "/second/"));
        EXPECT_EQ(first.refused, second.refused);
        EXPECT_EQ(first.group, second.group);
        if (first.group) {
          EXPECT_TRUE(first.group->enter_connection());
          first.group->connections->leave();
        }
      }
    });
  }
  while (ready < 2) std::this_thread::yield();
  for (int round = 0; round < 500; ++round) {
    std::uint32_t group = *urls.open_group(a_view());
    EXPECT_TRUE(add(group, {"http://*:80/first/", "http://*:80/second/"}));
    urls.close_group(group);
  }
  stop = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(all(), "http://*:80/stays/ 0\n");
}

}  // namespace
}  // namespace sluice::test
