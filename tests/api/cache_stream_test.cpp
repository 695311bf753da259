// tests/api/cache_stream_test.cpp - bodies that come in pieces, and who waits for them.
//
// Layer: tests.
#include <atomic>
#include <fstream>
#include <functional>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "api/harness.hpp"
#include "service/temp_dir.hpp"

namespace sluice::test {
namespace {

using namespace std::chrono_literals;
using Room = std::span<std::byte>;

class CachedStreams : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    server.cache_rules = {{"/", Cache::until_invalidated}};
    server.response_cache.wait = 30 * kPatience;  // nobody waits so long
  }
  void serve(std::function<void(HttpResponse&)> with) {
    server.on_http_request = [this, with = std::move(with)](Connection, const HttpRequest&,
                                                            HttpResponse& response) {
      ++runs;
      with(response);
    };
  }
  HttpReply get(std::string_view target, std::string_view fields = {}) {
    return client().get(target, fields);
  }
  std::unique_ptr<HttpClient> ask(std::string_view target, std::string_view fields = {}) {
    auto http = std::make_unique<HttpClient>(port, "127.0.0.1", kPatience);
    EXPECT_TRUE(http->send("GET " + std::string(target) + " HTTP/1.1\r\nHost: localhost\r\n" +
                           std::string(fields) + "\r\n"));
    return http;
  }
  bool waited(std::uint64_t count) {
    return eventually([&] { return server.cache_counters().waited >= count; });
  }
  std::atomic<int> runs{0};
};
INSTANTIATE_TEST_SUITE_P(Setups, CachedStreams, engines_and_dispatches(), name_of);

// Says `text` and then nothing.
BodyProducer producer_of(std::string text) {
  return [text = std::move(text), at = std::size_t(0)](Room room) mutable {
    const std::size_t count = std::min(room.size(), text.size() - at);
    std::copy_n(as_bytes(std::string_view(text)).begin() + static_cast<std::ptrdiff_t>(at), count,
                room.begin());
    at += count;
    return count;
  };
}

TEST_P(CachedStreams, AreKeptByARule) {
  const std::string text = pattern(100'000);
  const std::pair<const char*, std::function<void(HttpResponse&)>> cases[] = {
      {"/produced", [&](HttpResponse& r) { r.content_producer(producer_of(text)); }},
      {"/length", [&](HttpResponse& r) { r.content_producer(producer_of(text), text.size()); }},
      {"/stream",
       [&](HttpResponse& r) { r.content_stream(std::make_unique<std::istringstream>(text)); }}};
  std::atomic<const std::function<void(HttpResponse&)>*> current{nullptr};
  serve([&](HttpResponse& response) { (*current.load())(response); });
  Running running = start();
  for (const auto& each : cases) {
    current = &each.second;
    runs = 0;
    for (int i = 0; i < 3; ++i) {
      const HttpReply reply = get(each.first);
      EXPECT_EQ(reply.status, 200);
      EXPECT_TRUE(reply.complete && reply.body == text) << each.first;
    }
    EXPECT_EQ(get(each.first, "Range: bytes=5-9\r\n").body, text.substr(5, 5)) << each.first;
    EXPECT_EQ(runs, 1) << each.first;
  }
}

TEST_P(CachedStreams, AreNotKeptInPart) {
  const std::string text = pattern(3'000);
  std::atomic<int> turn{0};
  serve([&](HttpResponse& response) {
    switch (turn) {
      case 0:
        response.content_stream(std::make_unique<std::istringstream>(text));
        break;
      case 1:
        response.content_producer(producer_of(text)).trailer("X-Sum", "1");
        break;
      case 2:
        response.content_producer(producer_of(text), text.size() + 1);
        break;
      case 3:
        response.content_stream(std::make_unique<std::istringstream>(text)).cache(1h);
        break;
      default:
        response.cache_control("private").content_producer(producer_of(text));
        break;
    }
  });
  Running running = start();
  EXPECT_EQ(get("/0", "Range: bytes=1-2\r\n").status, 206);
  EXPECT_EQ(get("/0", "Range: bytes=9000-\r\n").status, 416);
  for (const char* target : {"/1", "/2", "/3", "/4"}) {
    ++turn;
    get(target);
  }
  EXPECT_EQ(server.cache_counters().stored, 0u);
}

TEST_P(CachedStreams, OfNothingAreNotKeptForSomething) {
  TempDir dir;
  std::ofstream(dir.path() / "empty.txt").close();
  ASSERT_TRUE(server.files("/files/", dir.path().string()));
  const std::string file = (dir.path() / "empty.txt").string();
  std::atomic<int> turn{0};
  serve([&](HttpResponse& response) {
    if (turn == 0) response.content_stream(std::make_unique<std::istringstream>(""));
    if (turn == 1) response.content_producer(producer_of(""), 0);
    if (turn == 2) response.file_name(file);
    response.cache(Cache::until_invalidated);
  });
  Running running = start();
  for (const char* target : {"/0", "/1", "/2"}) {
    for (int i = 0; i < 2; ++i) {
      const HttpReply reply = get(target);
      EXPECT_EQ(reply.status, 200) << target;
      EXPECT_EQ(reply.body, "") << target;
      EXPECT_FALSE(reply.has("Age")) << target;
    }
    ++turn;
  }
  EXPECT_EQ(runs, 6);
  for (int i = 0; i < 2; ++i) EXPECT_EQ(get("/files/empty.txt").status, 200);
  EXPECT_EQ(server.cache_counters().stored, 0u);
}

// Nobody waits for what is known not to be kept, however long it takes.
TEST_P(CachedStreams, ThatAreTooLargeHoldNobody) {
  server.response_cache.entry_bytes = 4096;
  Gate gate;
  serve([&](HttpResponse& response) {
    if (runs > 1) {
      response.content_text("second");
      return;
    }
    response.content_producer([&gate, said = false](Room room) mutable {
      if (std::exchange(said, true)) {
        gate.wait();
        return std::size_t(0);
      }
      std::fill(room.begin(), room.end(), std::byte('x'));
      return room.size();
    });
  });
  Running running = start();
  auto first = ask("/a");
  EXPECT_FALSE(first->wait_for(1).empty());
  EXPECT_EQ(get("/a").body, "second");
  gate.open();
  EXPECT_TRUE(first->read().complete);
}

TEST_P(CachedStreams, OfOneProducerAreForAllWhoWait) {
  Gate gate;
  Told<bool> begun;
  serve([&](HttpResponse& response) {
    response.content_producer([&, said = false](Room room) mutable {
      begun.tell(true);
      gate.wait();
      room[0] = std::byte('x');
      return std::exchange(said, true) ? std::size_t(0) : std::size_t(1);
    });
  });
  Running running = start();
  std::vector<std::unique_ptr<HttpClient>> clients;
  clients.push_back(ask("/a"));
  ASSERT_TRUE(begun.wait_for(1));
  for (int i = 0; i < 5; ++i) clients.push_back(ask("/a"));
  ASSERT_TRUE(waited(5));
  gate.open();
  for (auto& each : clients) EXPECT_EQ(each->read().body, "x");
  EXPECT_EQ(runs, 1);
}

// A stream of events is no answer that somebody else could wait for.
TEST_P(CachedStreams, OfEventsHoldNobodyAndAreNotKept) {
  Handover<EventStream> streams;
  serve([&](HttpResponse& response) {
    streams.put(response.cache_control("no-transform").event_stream());
  });
  Running running = start();
  std::vector<EventStream> open;
  std::vector<std::unique_ptr<HttpClient>> clients;
  for (int i = 0; i < 2; ++i) {
    clients.push_back(ask("/a"));
    auto events = streams.take();
    ASSERT_TRUE(events);
    EXPECT_EQ(events->send({.data = "x"}), Errc::none);
    open.push_back(std::move(*events));
  }
  open.clear();
  for (auto& each : clients) EXPECT_EQ(each->read().body, "data: x\n\n");
  EXPECT_EQ(server.cache_counters().stored, 0u);
}

// Who leads and does not read holds nobody; and who is done first has it for all.
TEST_P(CachedStreams, OfASlowClientHoldNobody) {
  server.limits.send_queue_bytes = 100'000;
  server.response_cache.entry_bytes = 48 << 20;
  Handover<std::shared_ptr<BodyWriter>> writers;
  serve([&](HttpResponse& response) {
    writers.put(std::make_shared<BodyWriter>(response.stream()));
  });
  Running running = start();
  auto slow = ask("/a");
  slow->receive_buffer(16'384);
  auto writer = writers.take();
  ASSERT_TRUE(writer);
  auto next = ask("/a");
  ASSERT_TRUE(waited(1));
  const std::string piece(10'000, 'x');
  // Until the shard finds that the client takes no more; this thread may be far ahead of it.
  std::size_t written = 0;
  while (runs < 2 && written < (32 << 20)) {
    (*writer)->write(piece);
    written += piece.size();
  }
  auto own = writers.take();
  ASSERT_TRUE(own) << "a client that does not read must be felt";
  // Others wait for the second, and get what the first one brings.
  auto last = ask("/a");
  ASSERT_TRUE(waited(2));
  EXPECT_EQ((*writer)->end(), Errc::none);
  slow->receive_buffer(1 << 20);
  EXPECT_EQ(slow->read().body.size(), written);
  EXPECT_EQ(last->read().body.size(), written);
  EXPECT_EQ(runs, 2);
  (*own)->write("mine");
  EXPECT_EQ((*own)->end(), Errc::none);
  EXPECT_EQ(next->read().body, "mine");
}

TEST_P(CachedStreams, UnderWayAreCountedTogether) {
  server.response_cache.bytes = 64 << 10;
  server.response_cache.entry_bytes = 16 << 10;
  Handover<std::shared_ptr<BodyWriter>> writers;
  serve([&](HttpResponse& response) {
    writers.put(std::make_shared<BodyWriter>(response.stream()));
  });
  Running running = start();
  std::vector<std::unique_ptr<HttpClient>> clients;
  std::vector<std::shared_ptr<BodyWriter>> open;
  for (int i = 0; i < 4; ++i) {
    clients.push_back(ask("/" + std::to_string(i)));
    auto writer = writers.take();
    ASSERT_TRUE(writer);
    (*writer)->write(std::string(10'000, 'x'));
    ASSERT_FALSE(clients.back()->wait_for(5'000).empty());
    open.push_back(*writer);
  }
  for (auto& each : open) EXPECT_EQ(each->end(), Errc::none);
  for (auto& each : clients) EXPECT_EQ(each->read().body.size(), 10'000u);
  EXPECT_EQ(server.cache_counters().stored, 1u);
  // Their room is free again.
  auto again = ask("/9");
  auto writer = writers.take();
  ASSERT_TRUE(writer);
  (*writer)->write(std::string(10'000, 'x'));
  EXPECT_EQ((*writer)->end(), Errc::none);
  EXPECT_EQ(again->read().body.size(), 10'000u);
  EXPECT_EQ(server.cache_counters().stored, 2u);
}

// How somebody asks must not decide that nobody waits.
TEST_P(CachedStreams, AreNotLedByWhoCannotBringThem) {
  Handover<std::shared_ptr<Reply>> replies;
  serve([&](HttpResponse& response) {
    response.content_text(std::to_string(runs));
    replies.put(std::make_shared<Reply>(response.defer()));
  });
  Running running = start();
  std::vector<std::unique_ptr<HttpClient>> clients;
  std::vector<std::shared_ptr<Reply>> open;
  const std::pair<const char*, const char*> odd[] = {{"/a", "Cache-Control: no-store\r\n"},
                                                     {"/x/../a", ""}};
  for (const auto& [target, fields] : odd) {
    clients.push_back(ask(target, fields));
    auto reply = replies.take();
    ASSERT_TRUE(reply);
    open.push_back(*reply);
  }
  auto first = ask("/a");
  auto leads = replies.take();
  ASSERT_TRUE(leads);
  auto second = ask("/a");
  ASSERT_TRUE(waited(1));
  EXPECT_EQ(open[0]->send(), Errc::none);
  EXPECT_EQ(clients[0]->read().body, "1");
  auto third = ask("/a");
  ASSERT_TRUE(waited(2));
  EXPECT_EQ((*leads)->send(), Errc::none);
  for (auto* each : {&first, &second, &third}) EXPECT_EQ((*each)->read().body, "3");
  EXPECT_EQ(open[1]->send(), Errc::none);
  EXPECT_EQ(clients[1]->read().body, "2");
  EXPECT_EQ(runs, 3);
}

TEST_P(CachedStreams, OfWhoHasGoneHoldNobody) {
  Handover<std::shared_ptr<Reply>> replies;
  serve([&](HttpResponse& response) {
    response.content_text(std::to_string(runs));
    replies.put(std::make_shared<Reply>(response.defer()));
  });
  Running running = start();
  auto first = ask("/a");
  auto kept = replies.take();
  ASSERT_TRUE(kept);
  auto second = ask("/a");
  ASSERT_TRUE(waited(1));
  first->reset();
  auto reply = replies.take();
  ASSERT_TRUE(reply);
  EXPECT_EQ((*reply)->send(), Errc::none);
  EXPECT_EQ(second->read().body, "2");
  EXPECT_EQ((*kept)->send(), Errc::gone);
}

}  // namespace
}  // namespace sluice::test
