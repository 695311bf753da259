// tests/service/cache_store_test.cpp - what is kept, what goes, who waits for whom; by many
// threads.
#include "service/cache/store.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "proto/http/head.hpp"

namespace sluice::service {
namespace {

using namespace std::chrono_literals;
using Outcome = CacheStore::Outcome;

class Stores : public testing::Test {
 protected:
  Stores() { head.method = http::Method::get; }

  std::string key(std::string_view document) const {
    std::string text(6, '\0');
    text.append("h").push_back('\0');
    return text.append(document);
  }
  std::shared_ptr<CachedAnswer> made(std::string_view document, std::size_t size = 100,
                                     std::chrono::milliseconds ttl = 1h) {
    Verdict verdict;
    verdict.ttl = ttl;
    auto answer = make_cached({200, "text/plain", "", "Sun, 06 Nov 1994 08:49:37 GMT"}, {},
                              std::string(size, 'x'), verdict, head, now, 0);
    answer->key_text = key(document);
    answer->hash = store.hash_of(answer->key_text);
    answer->bytes += answer->key_text.size();
    return answer;
  }
  CacheStore::Looked look_up(std::string_view document, bool ruled = true) {
    const std::string text = key(document);
    CacheRequest request;
    request.eligible = true;
    return store.look_up(
        {{text, store.hash_of(text)}, head, request, now, {nullptr, this}, ruled, true, true});
  }
  bool has(std::string_view document) {
    const auto looked = look_up(document, false);
    if (looked.leads) store.finish(looked.leads, Outcome::lost, now);
    return looked.found != nullptr;
  }
  bool put(std::string_view document, std::size_t size = 100) {
    return store.put(made(document, size), store.ticket(), now);
  }
  static ResponseCacheOptions options() {
    ResponseCacheOptions made;
    made.bytes = 64 << 10;
    made.entry_bytes = 8 << 10;
    return made;
  }

  http::RequestHead head;
  base::Instant now{std::chrono::hours(1000)};
  CacheStore store{options()};
};

TEST_F(Stores, HoldToTheirBytes) {
  EXPECT_FALSE(store.may_know(store.hash_of(key("/0"))));
  for (int i = 0; i < 1000; ++i) {
    const std::string document = "/" + std::to_string(i);
    EXPECT_TRUE(put(document, 1000));
    EXPECT_LE(store.counters().bytes, options().bytes);
    EXPECT_TRUE(has("/0")) << i;  // what is asked for stays
  }
  EXPECT_TRUE(has("/999"));
  EXPECT_FALSE(has("/1"));
  const CacheCounters counters = store.counters();
  EXPECT_EQ(counters.entries + counters.evicted, 1000u);
  EXPECT_GE(counters.entries, 20u);
  EXPECT_TRUE(store.wants_release());
  EXPECT_FALSE(store.wants_release());
}

TEST_F(Stores, TakeNothingLargerThanMayBe) {
  const std::size_t fields = made("/a")->fields.size();
  EXPECT_TRUE(put("/a", options().entry_bytes - fields));
  EXPECT_FALSE(put("/b", options().entry_bytes - fields + 1));
  EXPECT_FALSE(has("/b"));
  ResponseCacheOptions none = options();
  none.bytes = 0;
  store.set(none, now);
  EXPECT_EQ(store.counters().entries, 0u);
  EXPECT_EQ(store.counters().bytes, 0u);
  EXPECT_EQ(store.entry_bytes(), 0u);
  EXPECT_FALSE(put("/a"));
}

TEST_F(Stores, LetTheOldGo) {
  ASSERT_TRUE(store.put(made("/a", 100, 10s), store.ticket(), now));
  ASSERT_TRUE(store.put(made("/b", 100, 10s), store.ticket(), now));
  const CachedRef kept = look_up("/a").found;
  ASSERT_TRUE(kept);
  now += 10s - 1ns;
  EXPECT_TRUE(has("/a"));
  now += 1ns;
  EXPECT_FALSE(kept->gone);
  EXPECT_FALSE(has("/a"));
  EXPECT_TRUE(kept->gone);
  // Nobody asks for the other.
  EXPECT_EQ(store.counters().entries, 1u);
  EXPECT_GE(store.sweep(now), now + 10s);
  EXPECT_EQ(store.counters().entries, 0u);
  EXPECT_EQ(store.counters().expired, 2u);
  // That they were kept once is forgotten, too.
  for (int i = 0; i < 3; ++i) store.sweep(now);
  EXPECT_EQ(store.counters().bytes, 0u);
  EXPECT_FALSE(store.may_know(store.hash_of(key("/a"))));
}

TEST_F(Stores, KeepNothingThatWasFlushedMeanwhile) {
  const std::uint64_t ticket = store.ticket();
  EXPECT_EQ(store.flush(*FlushMark::read("/b", false)), 0u);
  EXPECT_TRUE(store.put(made("/a"), ticket, now));
  EXPECT_FALSE(store.put(made("/b"), ticket, now));
  EXPECT_TRUE(put("/b"));
  // So many others that nobody remembers.
  const std::uint64_t second = store.ticket();
  for (std::size_t i = 0; i < CacheStore::kFlushes; ++i) {
    store.flush(*FlushMark::read("/other", true));
  }
  EXPECT_TRUE(store.put(made("/c"), second, now));
  EXPECT_FALSE(store.put(made("/c"), second - 1, now));
}

TEST_F(Stores, KnowOneFlightAtATime) {
  const auto first = look_up("/a"), second = look_up("/a"), other = look_up("/b");
  ASSERT_TRUE(first.leads);
  EXPECT_EQ(second.waits, first.leads);
  EXPECT_TRUE(other.leads);
  EXPECT_EQ(store.finish(first.leads, Outcome::kept, now).size(), 1u);
  EXPECT_TRUE(store.finish(first.leads, Outcome::kept, now).empty());
  const auto third = look_up("/a");
  ASSERT_TRUE(third.leads);
  EXPECT_TRUE(store.finish(third.leads, Outcome::not_kept, now).empty());
  // Nobody waits for what is not kept, for a while.
  EXPECT_FALSE(look_up("/a").leads);
  now += CacheStore::kAlone;
  EXPECT_TRUE(look_up("/a").leads);
}

TEST_F(Stores, WaitWithoutARuleForWhatWasKept) {
  EXPECT_FALSE(look_up("/a", false).leads);
  ASSERT_TRUE(put("/a"));
  EXPECT_EQ(store.flush(*FlushMark::read("/a", false)), 1u);
  const auto leads = look_up("/a", false);
  ASSERT_TRUE(leads.leads);
  EXPECT_TRUE(look_up("/a", false).waits);
  store.finish(leads.leads, Outcome::not_kept, now);
  now += CacheStore::kAlone;
  EXPECT_FALSE(look_up("/a", false).leads);
}

TEST_F(Stores, HoldVariantsToTheirNumber) {
  for (std::size_t i = 0; i < CacheStore::kMostVariants + 4; ++i) {
    auto one = made("/a");
    one->vary.emplace_back("x", std::to_string(i));
    ASSERT_TRUE(store.put(std::move(one), store.ticket(), now));
  }
  EXPECT_EQ(store.counters().entries, CacheStore::kMostVariants);
  EXPECT_EQ(look_up("/a").fresh.size(), CacheStore::kMostVariants);
  ASSERT_TRUE(put("/a"));
  ASSERT_TRUE(put("/a"));  // in the place of the one before
  EXPECT_EQ(store.counters().entries, CacheStore::kMostVariants);
  EXPECT_TRUE(has("/a"));
}

TEST_F(Stores, ForgetADocumentThatHasChanged) {
  FlushMark mark;
  mark.document = "/a";
  mark.host = "h";
  mark.any_query = true;
  for (const char* document : {"/a", "/b", "/a/b"}) ASSERT_TRUE(put(document));
  ASSERT_TRUE(put(std::string("/a\0q", 4)));
  const std::uint64_t before = store.ticket();
  EXPECT_EQ(store.change(mark), 2u);
  EXPECT_FALSE(has("/a"));
  EXPECT_TRUE(has("/b"));
  EXPECT_TRUE(has("/a/b"));
  // Nor what was looked up before, however many changes of others there were.
  for (std::size_t i = 0; i < 10 * CacheStore::kFlushes; ++i) {
    mark.document = "/many/" + std::to_string(i % 7);
    store.change(mark);
  }
  EXPECT_FALSE(store.put(made("/a"), before, now));
  EXPECT_TRUE(store.put(made("/b"), before, now));
  EXPECT_TRUE(put("/a"));
  // Slots that go and come again are found all the same.
  store.flush_all();
  for (int i = 0; i < 4; ++i) store.sweep(now);
  EXPECT_EQ(store.counters().bytes, 0u);
  ASSERT_TRUE(put("/a"));
  mark.document = "/a";
  EXPECT_EQ(store.change(mark), 1u);
}

TEST_F(Stores, ForgetWhatARuleKept) {
  for (const char* document : {"/a", "/b"}) {
    auto one = made(document);
    one->by_rule = true;
    ASSERT_TRUE(store.put(std::move(one), store.ticket(), now));
  }
  ASSERT_TRUE(put("/c"));
  const std::uint64_t before = store.ticket();
  EXPECT_EQ(store.flush_ruled([](std::string_view document) { return document == "/b"; }), 1u);
  EXPECT_FALSE(has("/a"));
  EXPECT_TRUE(has("/b"));
  EXPECT_TRUE(has("/c"));
  EXPECT_FALSE(store.put(made("/d"), before, now));
  // Also when older flushes are forgotten after it.
  for (std::size_t i = 0; i < CacheStore::kFlushes; ++i) {
    store.flush(*FlushMark::read("/other", false));
  }
  const std::uint64_t between = store.ticket();
  EXPECT_EQ(store.flush_all(), 2u);
  store.flush(*FlushMark::read("/other", false));
  EXPECT_FALSE(store.put(made("/d"), between, now));
}

TEST_F(Stores, TellThoseWhoWaitOfWhatOthersBring) {
  const auto leads = look_up("/a"), waits = look_up("/a");
  ASSERT_TRUE(leads.leads && waits.waits);
  CacheStore::Waiters others;
  EXPECT_TRUE(store.put(made("/a"), store.ticket(), now, leads.leads, &others));
  EXPECT_FALSE(others.flight) << "the flight's own end tells them";
  EXPECT_TRUE(store.put(made("/a"), store.ticket(), now, nullptr, &others));
  EXPECT_EQ(others.flight, leads.leads);
  EXPECT_EQ(others.seats.size(), 1u);
  EXPECT_TRUE(store.finish(leads.leads, Outcome::kept, now).empty());
}

TEST_F(Stores, CountWhatIsStillComing) {
  const std::size_t most = std::max(options().bytes / 4, options().entry_bytes);
  EXPECT_TRUE(store.collect(most - 1));
  EXPECT_TRUE(store.collect(1));
  EXPECT_FALSE(store.collect(1));
  store.collected(1);
  EXPECT_TRUE(store.collect(1));
  store.collected(most);
  ResponseCacheOptions none = options();
  none.bytes = 0;
  store.set(none, now);
  EXPECT_FALSE(store.collect(1));
}

TEST_F(Stores, LetSoManyWait) {
  const auto leads = look_up("/a");
  ASSERT_TRUE(leads.leads);
  FlightRef last;
  for (std::size_t i = 0; i < CacheStore::kMostWaiting; ++i) {
    last = look_up("/a").waits;
    ASSERT_TRUE(last) << i;
  }
  const auto one_more = look_up("/a");
  EXPECT_FALSE(one_more.waits || one_more.leads);
  store.leave(last);
  EXPECT_TRUE(look_up("/a").waits);
}

TEST_F(Stores, LookAtSoManyInOneSweep) {
  ResponseCacheOptions wide = options();
  wide.bytes = 8 << 20;
  store.set(wide, now);
  for (std::size_t i = 0; i <= CacheStore::kSwept; ++i) {
    ASSERT_TRUE(store.put(made("/" + std::to_string(i), 10, 1s), store.ticket(), now));
  }
  now += 1s;
  EXPECT_LT(store.sweep(now), now + 1s) << "there is one more";
  EXPECT_EQ(store.counters().entries, 1u);
  EXPECT_GE(store.sweep(now), now + 10s);
  EXPECT_EQ(store.counters().entries, 0u);
}

TEST_F(Stores, AreForManyThreads) {
  std::vector<std::thread> threads;
  std::atomic<std::size_t> found{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([this, t, &found] {
      for (int i = 0; i < 2000; ++i) {
        const std::string document = "/" + std::to_string((i * (t + 1)) % 40);
        const std::uint64_t ticket = store.ticket();
        auto looked = look_up(document);
        if (looked.found) {
          ++found;
          EXPECT_EQ(looked.found->body.size(), 500u);
        }
        if (looked.waits) store.leave(looked.waits);
        if (looked.leads) {
          store.put(made(document, 500), ticket, now);
          store.finish(looked.leads, i % 3 ? Outcome::kept : Outcome::lost, now);
        }
        if (i % 97 == 0) store.flush(*FlushMark::read(document, i % 2 == 0));
        if (i % 31 == 0) store.sweep(now);
        if (i % 53 == 0) {
          FlushMark mark;
          mark.document = document;
          mark.any_query = true;
          store.change(mark);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(found, 0u);
  store.flush(*FlushMark::read("/", true));
  EXPECT_EQ(store.counters().entries, 0u);
  for (int i = 0; i < 3; ++i) store.sweep(now);
  EXPECT_EQ(store.counters().bytes, 0u);
}

}  // namespace
}  // namespace sluice::service
