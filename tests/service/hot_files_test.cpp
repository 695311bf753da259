// tests/service/hot_files_test.cpp - what a shard remembers of files, and for how long.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <sstream>
#include <string>

#include "harness.hpp"
#include "support/new_hook.hpp"
#include "temp_dir.hpp"

namespace sluice::test {
namespace {

using std::chrono::milliseconds;

TEST(HotFiles, AChangeIsNoticedWithinASecond) {
  TempDir dir;
  dir.write("a.txt", "one");
  Harness harness;
  ASSERT_TRUE(harness.files("/", dir.path(), {.listing = true}));
  Outcome first = harness.get("/a.txt");
  EXPECT_EQ(harness.get("/b.txt").status, 404);
  EXPECT_EQ(harness.get("/").body.find("b.txt"), std::string::npos);
  dir.replace("a.txt", "two!");
  dir.write("b.txt", "new");
  EXPECT_EQ(harness.get("/a.txt").body, "one") << "remembered";
  EXPECT_EQ(harness.get("/b.txt").status, 404) << "remembered";
  harness.pass(std::chrono::seconds(1));
  Outcome second = harness.get("/a.txt");
  EXPECT_EQ(second.body, "two!");
  EXPECT_NE(second.field("ETag"), first.field("ETag"));
  EXPECT_EQ(harness.get("/b.txt").body, "new");
  EXPECT_NE(harness.get("/").body.find("b.txt"), std::string::npos);
  std::filesystem::remove(dir / "a.txt");
  harness.pass(std::chrono::seconds(1));
  EXPECT_EQ(harness.get("/a.txt").status, 404);
}

// In place, same size, within one tick of the file system's clock.
TEST(HotFiles, ARewriteInPlaceIsNoticedEvenIfItLeavesNoTraceInTheFacts) {
  TempDir dir;
  Harness harness;
  ASSERT_TRUE(harness.files("/", dir.path()));
  for (char c = 'a'; c <= 'z'; ++c) {
    dir.write("x", std::string(10, c));
    harness.pass(std::chrono::seconds(1));
    EXPECT_EQ(harness.get("/x").body, std::string(10, c));
  }
}

TEST(HotFiles, AHotFileIsLookedUpBehindTheAnswer) {
  TempDir dir;
  dir.write("a.txt", "one");
  Harness harness;
  ASSERT_TRUE(harness.files("/", dir.path()));
  harness.get("/a.txt");
  EXPECT_EQ(harness.submitted(), 1u);
  harness.pass(milliseconds(499));
  harness.get("/a.txt");
  EXPECT_EQ(harness.submitted(), 1u) << "fresh";
  harness.pass(milliseconds(1));
  dir.replace("a.txt", "two");
  EXPECT_EQ(harness.get("/a.txt").body, "one") << "answered at once";
  EXPECT_EQ(harness.get("/a.txt").body, "one");
  EXPECT_EQ(harness.submitted(), 2u) << "one look-up for all";
  harness.settle();
  EXPECT_EQ(harness.get("/a.txt").body, "two");
  EXPECT_EQ(harness.submitted(), 2u);
}

TEST(HotFiles, LastModifiedIsTheFilesDate) {
  TempDir dir;
  dir.write("a.txt", "one");
  timespec old[2] = {{1'700'000'000, 0}, {1'700'000'000, 0}};
  Harness harness;
  ASSERT_TRUE(harness.files("/", dir.path()));
  ASSERT_EQ(::utimensat(AT_FDCWD, (dir / "a.txt").c_str(), old, 0), 0);
  EXPECT_EQ(harness.get("/a.txt").field("Last-Modified"), "Tue, 14 Nov 2023 22:13:20 GMT");
}

TEST(HotFiles, WhatHasNotChangedIsNotReadAgain) {
  TempDir dir;
  dir.write("a.txt", "one");
  service::Root root;
  root.directory = dir.path();
  const http::MediaTypes types;
  service::FoundRef known = service::look_up(root, {"a.txt", false}, types, nullptr, {});
  // A file that was written just now is read again until its dates can be trusted.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!known->version(service::Coding::identity)->settled) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline);
    known = service::look_up(root, {"a.txt", false}, types, known, {});
  }
  auto again = service::look_up(root, {"a.txt", false}, types, known, {});
  EXPECT_EQ(again->version(service::Coding::identity), known->version(service::Coding::identity));
  dir.replace("a.txt", "two");
  again = service::look_up(root, {"a.txt", false}, types, known, {});
  EXPECT_NE(again->version(service::Coding::identity), known->version(service::Coding::identity));
}

TEST(HotFiles, ADateInTheFutureIsNotSent) {
  TempDir dir;
  dir.write("a.txt", "one");
  timespec future[2] = {{4'000'000'000, 0}, {4'000'000'000, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, (dir / "a.txt").c_str(), future, 0), 0);
  Harness harness;
  ASSERT_TRUE(harness.files("/", dir.path()));
  Outcome got = harness.get("/a.txt");
  EXPECT_FALSE(got.has("Last-Modified"));
  EXPECT_TRUE(got.has("ETag"));
}

TEST(HotFiles, SeveralWhoWaitForOneFileShareOneLookUp) {
  TempDir dir;
  dir.write("a.txt", "one");
  Harness harness;
  ASSERT_TRUE(harness.files("/", dir.path()));
  const std::string text = Harness::text_of("GET", "/a.txt");
  RecordingPort ports[10];
  for (RecordingPort& port : ports) harness.begin(port, text);
  EXPECT_EQ(harness.submitted(), 1u);
  for (RecordingPort& port : ports) {
    harness.finish(port);
    EXPECT_EQ(port.outcome.body, "one");
  }
  EXPECT_EQ(harness.submitted(), 1u);
}

TEST(HotFiles, AConnectionThatGoesWhileItWaitsIsLetGo) {
  TempDir dir;
  dir.write("a.txt", "one");
  Harness harness;
  ASSERT_TRUE(harness.files("/", dir.path()));
  const std::string text = Harness::text_of("GET", "/a.txt");
  RecordingPort gone, stays;
  core::Exchange* exchange = harness.begin(gone, text);
  harness.begin(stays, text);
  harness.session().on_abort(*exchange);
  exchange->release();
  harness.finish(stays);
  EXPECT_EQ(stays.outcome.body, "one");
  EXPECT_FALSE(gone.done);
}

TEST(HotFiles, TooMuchWaitingIs503) {
  TempDir dir;
  dir.write("a.txt", "one");
  Harness harness;
  ASSERT_TRUE(harness.files("/", dir.path()));
  EXPECT_EQ(harness.get("/a.txt").status, 200);
  harness.full = true;
  EXPECT_EQ(harness.get("/b.txt").status, 503);
  harness.pass(milliseconds(700));
  EXPECT_EQ(harness.get("/a.txt").status, 200) << "still good";
  harness.pass(milliseconds(300));
  EXPECT_EQ(harness.get("/a.txt").status, 503);
  harness.full = false;
  EXPECT_EQ(harness.get("/a.txt").status, 200);
}

TEST(HotFiles, TheBoundOfEntriesHolds) {
  TempDir dir;
  for (int i = 0; i < 5; ++i) dir.write("f" + std::to_string(i), std::to_string(i));
  Harness harness({.entries = 4, .bytes = 1 << 20, .failures = 2, .descriptors = 10});
  ASSERT_TRUE(harness.files("/", dir.path()));
  const service::FileCache& cache = harness.service().cache(harness.shard());
  for (int i = 0; i < 4; ++i) harness.get("/f" + std::to_string(i));
  EXPECT_EQ(cache.size(), 4u);
  const std::size_t before = harness.submitted();
  EXPECT_EQ(harness.get("/f0").body, "0");
  EXPECT_EQ(harness.submitted(), before);
  EXPECT_EQ(harness.get("/f4").body, "4");
  EXPECT_EQ(cache.size(), 4u);
  EXPECT_EQ(harness.get("/f0").body, "0");
  EXPECT_EQ(harness.submitted(), before + 1) << "f1 was the oldest";
  EXPECT_EQ(harness.get("/f1").body, "1");
  EXPECT_EQ(harness.submitted(), before + 2);
  for (int i = 0; i < 20; ++i) harness.get("/missing" + std::to_string(i));
  EXPECT_EQ(cache.size(), 6u);
}

TEST(HotFiles, TheBoundOfDescriptorsHolds) {
  TempDir dir;
  const std::string large(service::kInMemory + 1, 'x');
  for (int i = 0; i < 5; ++i) dir.write("f" + std::to_string(i), large);
  dir.write("f4.gz", large);
  dir.write("small", "s");
  Harness harness({.entries = 100, .bytes = 1 << 20, .failures = 2, .descriptors = 3});
  ASSERT_TRUE(harness.files("/", dir.path()));
  const service::FileCache& cache = harness.service().cache(harness.shard());
  EXPECT_EQ(harness.get("/small").body, "s");
  EXPECT_EQ(cache.descriptors(), 0u) << "what is in memory keeps none";
  for (int i = 0; i < 3; ++i) harness.get("/f" + std::to_string(i));
  EXPECT_EQ(cache.descriptors(), 3u);
  EXPECT_EQ(cache.size(), 4u);
  EXPECT_EQ(harness.get("/f3").body, large);
  EXPECT_EQ(cache.descriptors(), 3u);
  EXPECT_EQ(harness.get("/f4").body, large) << "two at once";
  EXPECT_EQ(cache.descriptors(), 3u);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(harness.get("/f" + std::to_string(i)).body, large);
  EXPECT_LE(cache.descriptors(), 3u);
}

TEST(HotFiles, WhatIsHotMovesIntoMemory) {
  TempDir dir;
  const std::string content(service::kHotFrom, 'm');
  dir.write("m", content);
  dir.write("small", std::string(service::kHotFrom - 1, 's'));
  dir.write("large", std::string(service::kHotUpTo + 1, 'l'));
  Harness harness;
  ASSERT_TRUE(harness.files("/", dir.path()));
  const service::FileCache& cache = harness.service().cache(harness.shard());
  for (std::uint32_t i = 0; i <= service::FileService::kHot; ++i) {
    for (const char* name : {"/m", "/small", "/large"}) {
      EXPECT_FALSE(harness.get(name).in_memory) << name << ' ' << i;
    }
  }
  EXPECT_EQ(cache.descriptors(), 3u);
  harness.settle();
  const Outcome hot = harness.get("/m");
  EXPECT_TRUE(hot.in_memory);
  EXPECT_EQ(hot.body, content);
  EXPECT_EQ(cache.descriptors(), 2u);
  EXPECT_FALSE(harness.get("/small").in_memory);
  EXPECT_FALSE(harness.get("/large").in_memory);
  // What has changed is cold again.
  dir.replace("m", std::string(service::kHotFrom, 'n'));
  harness.pass(std::chrono::seconds(1));
  const Outcome changed = harness.get("/m");
  EXPECT_EQ(changed.body, std::string(service::kHotFrom, 'n'));
  EXPECT_FALSE(changed.in_memory);
}

TEST(HotFiles, AHotFileAllocatesNothing) {
  TempDir dir;
  dir.write("a.css", std::string(1000, 'c'));
  dir.write("b.js", std::string(100'000, 'j'));
  dir.write("b.js.gz", std::string(50'000, 'z'));
  Harness harness;
  ASSERT_TRUE(harness.files("/", dir.path()));
  for (const char* target : {"/a.css", "/b.js"}) {
    const std::string text = Harness::text_of(
        "GET", target, "Accept-Encoding: gzip, br\r\nIf-None-Match: \"other\"\r\nX: y\r\n");
    for (int warm = 0; warm < 4; ++warm) {
      RecordingPort port;
      port.keep_body = false;
      harness.begin(port, text);
      harness.finish(port);
    }
    core::Exchange* exchange = harness.shard().take_exchange();
    exchange->head.fields.reserve(16);
    http1::RequestDecoder decoder;
    ASSERT_TRUE(decoder.decode(as_bytes(text), http::HeadLimits{}, exchange->head).is_done());
    core::Router::Match match = harness.session().router.find("GET", target, exchange->params);
    ASSERT_NE(match.route, nullptr);
    exchange->document = target;
    // No port: respond() is where this test ends.
    const std::size_t news = count_news([&] { match.route->native(*exchange); });
    EXPECT_EQ(news, 0u) << target;
    EXPECT_EQ(exchange->answer.extras().parts.size(), 1u);
    exchange->release();
  }
}

// Allocates nothing itself.
class BarePort final : public core::ExchangePort {
 public:
  bool done = false;
  int status = 0;
  bool broken = false;

  void respond(core::Exchange& exchange) override {
    status = exchange.answer.status;
    end(exchange);
  }
  void begin_stream(core::Exchange& exchange) override { status = exchange.answer.status; }
  bool write_stream(core::Exchange&, Bytes) override { return true; }
  void end_stream(core::Exchange& exchange, std::string_view) override { end(exchange); }
  void break_off(core::Exchange& exchange, const Error&) override {
    broken = true;
    end(exchange);
  }
  void pause_body(core::Exchange&) override {}
  void resume_body(core::Exchange&) override {}
  void decided(core::Exchange&) override {}
  void upgrade(core::Exchange&, std::string_view, core::StreamPtr) override { std::abort(); }

 private:
  void end(core::Exchange& exchange) {
    done = true;
    exchange.port = nullptr;
    exchange.release();
  }
};

// The shard's Nth allocation fails, for every N: an answer, or the end of the connection, and
// nothing leaks.
TEST(HotFiles, EveryAllocationMayFail) {
  TempDir dir;
  dir.write("a.js", std::string(100'000, 'j'));
  dir.write("a.js.gz", std::string(50'000, 'z'));
  for (const char* fields : {"", "Range: bytes=1-2,5-6,9-10\r\nAccept-Encoding: gzip\r\n"}) {
    int broken = 0;
    for (std::size_t n = 1;; ++n) {
      ASSERT_LT(n, 1000u);
      Harness harness;
      ASSERT_TRUE(harness.files("/", dir.path()));
      const std::string text = Harness::text_of("GET", "/a.js", fields);
      core::Exchange* exchange = harness.shard().take_exchange();
      BarePort port;
      exchange->port = &port;
      http1::RequestDecoder decoder;
      ASSERT_TRUE(decoder.decode(as_bytes(text), http::HeadLimits{}, exchange->head).is_done());
      const auto match = harness.session().router.find("GET", "/a.js", exchange->params);
      exchange->document = "/a.js";
      fail_after = n;
      match.route->native(*exchange);
      while (!port.done) harness.run_mail();
      const bool failed = fail_after == 0;
      fail_after = 0;
      if (!failed) {
        EXPECT_EQ(port.status, *fields ? 206 : 200);
        break;
      }
      broken += port.broken;
      harness.settle();
    }
    EXPECT_GT(broken, 0);
  }
}

TEST(HotFiles, EveryAllocationOfAStreamMayFail) {
  for (std::size_t n = 1;; ++n) {
    ASSERT_LT(n, 1000u);
    Harness harness;
    const std::string text =
        Harness::text_of("GET", "/", "Range: bytes=1-2,5-6,9-10\r\nIf-None-Match: \"x\"\r\n");
    core::Exchange* exchange = harness.shard().take_exchange();
    BarePort port;
    exchange->port = &port;
    http1::RequestDecoder decoder;
    ASSERT_TRUE(decoder.decode(as_bytes(text), http::HeadLimits{}, exchange->head).is_done());
    exchange->answer.set_extras().source =
        std::make_unique<std::istringstream>(std::string(100'000, 's'));
    exchange->answer.fields = "ETag: \"y\"\r\n";
    fail_after = n;
    harness.service().respond_stream(*exchange);
    while (!port.done) harness.run_mail();
    const bool failed = fail_after == 0;
    fail_after = 0;
    if (!failed) {
      EXPECT_EQ(port.status, 206);
      break;
    }
    harness.settle();
  }
}

// Where bodies are stored, whichever allocation fails: that request is answered, the others are.
TEST(BodiesInFiles, WithoutMemoryOneRequestEnds) {
  Harness harness({}, [](Connection, const HttpRequest& request, HttpResponse& response) {
    response.content_text(std::to_string(request.body().size()));
  });
  const std::string body(1'000'000, 'x');
  const std::string head = Harness::text_of("POST", "/", "Content-Length: 1000000\r\n");
  const auto post = [&] {
    RecordingPort port;
    harness.begin(port, head, body);
    harness.finish(port);
    harness.settle();
    return std::move(port.outcome);
  };
  EXPECT_EQ(post().body, "1000000");
  harness.before_job = [] { fail_after = 1; };
  EXPECT_EQ(post().status, 503);
  harness.before_job = [] { fail_after = 0; };
  EXPECT_EQ(post().body, "1000000");
}

}  // namespace
}  // namespace sluice::test
