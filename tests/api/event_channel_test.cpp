// tests/api/event_channel_test.cpp - the same events to many streams, and to clients that come
// back. Layer: tests.
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "api/event_harness.hpp"

namespace sluice::test {
namespace {

using std::chrono::milliseconds;

class EventChannels : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    server.on_http_request = [this](Connection, const HttpRequest& request,
                                    HttpResponse& response) {
      EventStream events = response.event_stream({.heartbeat = heartbeat});
      resumed.tell(channel.subscribe(events, last_event_id(request)));
    };
  }
  bool listens(HttpClient& http, std::string_view request = kListen) {
    const std::size_t before = resumed.size();
    return http.send(request) && resumed.wait_for(before + 1);
  }
  milliseconds heartbeat{0};
  Told<bool> resumed;
  EventChannel channel{{.history = 3, .history_bytes = 50'000}};
};

TEST_P(EventChannels, TellEveryStreamTheSame) {
  Running running = start();
  std::vector<std::unique_ptr<HttpClient>> clients;
  for (int i = 0; i < 5; ++i) {
    clients.push_back(std::make_unique<HttpClient>(port, "127.0.0.1", kPatience));
    ASSERT_TRUE(listens(*clients.back()));
  }
  EXPECT_EQ(channel.size(), 5u);
  EXPECT_EQ(channel.send({.id = "1\n", .data = "x"}), Errc::bad_event);
  EXPECT_EQ(channel.send({.event = "greeting", .id = "1", .data = "hello"}), Errc::none);
  const std::string large = pattern(30'000);  // shared, not copied
  EXPECT_EQ(channel.send({.id = "2", .data = large}), Errc::none);
  EXPECT_EQ(channel.send({.data = "last"}), Errc::none);
  channel.close();
  EXPECT_EQ(channel.size(), 0u);
  for (auto& http : clients) {
    HttpReply reply = http->read();
    EXPECT_TRUE(reply.complete);
    EXPECT_TRUE(reply.body == "event: greeting\nid: 1\ndata: hello\n\nid: 2\ndata: " + large +
                                  "\n\ndata: last\n\n");
  }
  EXPECT_EQ(channel.send({.data = "to nobody"}), Errc::none);
}

TEST_P(EventChannels, RepeatWhatAClientHasMissed) {
  Running running = start();
  for (const char* id : {"1", "2", "3", "4"}) {
    EXPECT_EQ(channel.send({.id = id, .data = id}), Errc::none);
  }
  const auto ask = [&](std::string_view id) {
    HttpClient http = client();
    EXPECT_TRUE(listens(http, listen_after(id)));
    channel.close();
    return http.read().body;
  };
  EXPECT_EQ(ask("2"), "id: 3\ndata: 3\n\nid: 4\ndata: 4\n\n");
  EXPECT_EQ(ask("4"), "");
  EXPECT_EQ(ask("1"), "") << "three are kept";
  EXPECT_EQ(ask("never"), "");
  EXPECT_EQ(ask(""), "");
  EXPECT_EQ(resumed.all(), (std::vector<bool>{true, true, false, false, true}));
  EXPECT_EQ(channel.send({.id = "5", .data = pattern(45'000)}), Errc::none);
  EXPECT_EQ(ask("5"), "");
  EXPECT_EQ(channel.send({.id = "6", .data = pattern(45'000)}), Errc::none);
  EXPECT_EQ(ask("5"), "") << "no more bytes than were allowed";
  EXPECT_EQ(resumed.all(), (std::vector<bool>{true, true, false, false, true, true, false}));
}

TEST_P(EventChannels, LetThoseGoThatHaveGone) {
  heartbeat = milliseconds(20);
  Running running = start();
  HttpClient stays = client(), resets = client(), leaves = client();
  ASSERT_TRUE(listens(stays) && listens(resets) && listens(leaves));
  EXPECT_EQ(channel.size(), 3u);
  resets.reset();
  leaves.disconnect();
  EXPECT_TRUE(eventually([&] { return channel.size() == 1; })) << "without any event";
  EXPECT_EQ(channel.send({.data = "x"}), Errc::none);
  EXPECT_TRUE(sees(stays, "data: x"));
}

TEST_P(EventChannels, TakeAStreamOnceAndNoneThatIsOver) {
  server.on_http_request = [this](Connection, const HttpRequest&, HttpResponse& response) {
    EventStream events = response.event_stream();
    EXPECT_TRUE(channel.subscribe(events));
    EXPECT_TRUE(channel.subscribe(events));
    EXPECT_FALSE(channel.subscribe(response.event_stream())) << "a second answer";
    EXPECT_FALSE(channel.subscribe(EventStream()));
    EXPECT_EQ(channel.size(), 1u);
    EXPECT_EQ(channel.send({.data = "once"}), Errc::none);
    EXPECT_EQ(events.close(), Errc::none);
  };
  Running running = start();
  EXPECT_EQ(client().get("/").body, "data: once\n\n");
  EXPECT_TRUE(eventually([&] { return channel.size() == 0; }));
}

// One that does not read is ended; the others do not notice.
TEST_P(EventChannels, EndTheStreamOfASlowClient) {
  server.limits.send_queue_bytes = 100'000;
  Running running = start();
  HttpClient slow = client(), fast = client();
  slow.receive_buffer(16'384);
  ASSERT_TRUE(listens(slow));
  ASSERT_TRUE(listens(fast));
  const std::string data = pattern(10'000);
  std::size_t sent = 0;
  std::string slow_body, fast_body;
  while (channel.size() == 2 && sent < 10'000) {
    const std::string id = std::to_string(++sent);
    ASSERT_EQ(channel.send({.id = id, .data = data}), Errc::none);
    ASSERT_TRUE(sees(fast, "id: " + id + "\n"));
    fast.drop();
  }
  ASSERT_EQ(channel.size(), 1u) << "a client that does not read must be felt";
  slow.receive_buffer(1 << 20);
  HttpReply reply = slow.read();
  EXPECT_TRUE(reply.complete) << "what was accepted comes whole, and then the end";
  const std::size_t last = reply.body.rfind("\nid: ");
  ASSERT_NE(last, std::string::npos);
  EXPECT_EQ(std::stoul(reply.body.substr(last + 5)), sent - 1);
  // It comes back and is told what it has missed.
  ASSERT_TRUE(listens(slow, listen_after(std::to_string(sent - 1))));
  EXPECT_TRUE(sees(slow, "id: " + std::to_string(sent) + "\n"));
  EXPECT_TRUE(resumed.all().back());
}

// Whoever comes while others send misses nothing and gets nothing twice.
TEST_P(EventChannels, HaveOneOrderForEverybody) {
  static constexpr std::size_t kThreads = 3, kEach = 100, kClients = 4;
  EventChannel wide({.history = kThreads * kEach + 1});
  server.on_http_request = [&](Connection, const HttpRequest& request, HttpResponse& response) {
    EXPECT_TRUE(wide.subscribe(response.event_stream(), last_event_id(request)));
  };
  ASSERT_EQ(wide.send({.id = "begin"}), Errc::none);
  Running running = start();
  std::vector<std::string> bodies(kClients);
  {
    std::vector<std::jthread> readers;
    {
      std::vector<std::jthread> senders;
      for (std::size_t thread = 0; thread < kThreads; ++thread) {
        senders.emplace_back([&, thread] {
          for (std::size_t i = 0; i < kEach; ++i) {
            const std::string id = std::to_string(thread) + "-" + std::to_string(i);
            EXPECT_EQ(wide.send({.id = id, .data = "x"}), Errc::none);
          }
        });
      }
      for (std::string& body : bodies) {
        readers.emplace_back([&] {
          HttpClient http = client();
          EXPECT_TRUE(http.send(listen_after("begin")));
          body = http.read().body;
        });
      }
    }
    ASSERT_TRUE(eventually([&] { return wide.size() == kClients; }));
    wide.close();
  }
  for (const std::string& body : bodies) EXPECT_EQ(body, bodies[0]);
  std::size_t events = 0;
  for (std::size_t at = 0; (at = bodies[0].find("id: ", at)) != std::string::npos; ++at) ++events;
  EXPECT_EQ(events, kThreads * kEach);
}

// Who is not told all that was missed is told nothing that came behind that.
TEST_P(EventChannels, LeaveNoGapWhereTheHistoryIsTooLong) {
  static constexpr int kClients = 150;
  constexpr std::size_t kMissed = 40;
  server.limits.send_queue_bytes = 16'384;
  EventChannel busy({.history = 1'000, .history_bytes = 8 << 20});
  Handover<EventStream> streams;
  server.on_http_request = [&](Connection, const HttpRequest&, HttpResponse& response) {
    streams.put(response.event_stream({.heartbeat = milliseconds(0)}));
  };
  Running running = start();
  std::atomic<std::size_t> sent{0};
  std::atomic<bool> done{false};
  const std::string data(1'000, 'x');
  std::jthread sender([&] {
    while (!done) {
      EXPECT_EQ(busy.send({.id = std::to_string(sent + 1), .data = data}), Errc::none);
      ++sent;
    }
  });
  EXPECT_TRUE(eventually([&] { return sent > 2 * kMissed; }));
  int gaps = 0;
  for (int i = 0; i < kClients; ++i) {
    HttpClient http = client();
    EXPECT_TRUE(http.send(kListen));
    std::optional<EventStream> events = streams.take();
    if (!events) break;
    std::size_t last = sent - kMissed;
    static_cast<void>(busy.subscribe(*events, std::to_string(last)));
    events.reset();
    const HttpReply reply = http.read();  // it is too slow soon, if it was not at once
    EXPECT_TRUE(reply.complete);
    for (std::size_t at = 0; (at = reply.body.find("id: ", at)) != std::string::npos; ++at) {
      const std::size_t id = std::stoul(reply.body.substr(at + 4));
      if (id != last + 1) ++gaps;
      last = id;
    }
  }
  done = true;
  EXPECT_EQ(gaps, 0);
}

TEST_P(EventChannels, CloseTheirStreamsWhenTheyGo) {
  auto brief = std::make_unique<EventChannel>();
  server.on_http_request = [&](Connection, const HttpRequest& request, HttpResponse& response) {
    resumed.tell(brief->subscribe(response.event_stream(), last_event_id(request)));
  };
  Running running = start();
  HttpClient http = client();
  ASSERT_TRUE(listens(http));
  EXPECT_EQ(brief->send({.data = "x"}), Errc::none);
  brief.reset();
  EXPECT_EQ(http.read().body, "data: x\n\n");
}

TEST_P(EventChannels, MayOutliveTheServer) {
  {
    Server other;
    prepare(other);
    other.on_http_request = server.on_http_request;
    ASSERT_TRUE(other.start());
    HttpClient http(other.bound_port(), "127.0.0.1", kPatience);
    ASSERT_TRUE(listens(http));
    EXPECT_EQ(channel.size(), 1u);
  }
  EXPECT_EQ(channel.size(), 0u);
  EXPECT_EQ(channel.send({.data = "x"}), Errc::none);
}

INSTANTIATE_TEST_SUITE_P(Api, EventChannels, engines_and_dispatches(), name_of);

}  // namespace
}  // namespace sluice::test
