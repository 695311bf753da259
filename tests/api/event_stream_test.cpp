// tests/api/event_stream_test.cpp - server-sent events on one stream.
//
// WHATWG HTML section 9.2. Layer: tests.
#include <gtest/gtest.h>

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

class EventStreams : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    server.on_http_request = [this](Connection, const HttpRequest&, HttpResponse& response) {
      streams.put(response.event_stream(options));
    };
  }
  std::optional<EventStream> listen(HttpClient& http) {
    EXPECT_TRUE(http.send(kListen));
    return streams.take();
  }
  EventStreamOptions options{.heartbeat = milliseconds(0)};
  Handover<EventStream> streams;
};

TEST_P(EventStreams, AreSentAsTheStandardHasThem) {
  server.on_http_request = [](Connection, const HttpRequest&, HttpResponse& response) {
    EventStream events =
        response.event_stream({.heartbeat = milliseconds(0), .retry = milliseconds(2500)});
    EXPECT_EQ(events.comment("hello\nthere"), Errc::none);
    EXPECT_EQ(events.send({.event = "tick", .id = "7", .data = "one\ntwo\r\nthree\rfour"}),
              Errc::none);
    EXPECT_EQ(events.send({.data = ""}), Errc::none);
    EXPECT_EQ(events.send({.id = "", .data = " x\n", .retry = milliseconds(1)}), Errc::none);
    EXPECT_EQ(events.send({.id = "8"}), Errc::none);
    EXPECT_EQ(events.close(), Errc::none);
    EXPECT_EQ(events.close(), Errc::gone);
    EXPECT_EQ(events.send({.data = "behind the end"}), Errc::gone);
    EXPECT_FALSE(events.is_open());
  };
  const std::string_view text =
      "retry: 2500\n\n"
      ": hello\n: there\n"
      "event: tick\nid: 7\ndata: one\ndata: two\ndata: three\ndata: four\n\n"
      "data: \n\n"
      "id: \nretry: 1\ndata:  x\ndata: \n\n"
      "id: 8\n\n";
  Running running = start();
  HttpClient http = client();
  for (int i = 0; i < 2; ++i) {
    HttpReply reply = http.get("/");
    ASSERT_TRUE(reply.complete);
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.field("Content-Type"), "text/event-stream");
    EXPECT_EQ(reply.field("Cache-Control"), "no-cache");
    EXPECT_EQ(reply.field("X-Accel-Buffering"), "no");
    EXPECT_EQ(reply.field("Transfer-Encoding"), "chunked");
    EXPECT_EQ(reply.body, text);
  }
  ASSERT_TRUE(http.send("GET / HTTP/1.0\r\n\r\n"));
  HttpReply old = http.read();
  EXPECT_TRUE(old.until_close);
  EXPECT_EQ(old.body, text);
}

TEST_P(EventStreams, KeepTheFieldsThatWereSet) {
  server.on_http_request = [](Connection, const HttpRequest&, HttpResponse& response) {
    static_cast<void>(response.header("X-A", "b").cache_control("no-store").event_stream());
  };
  Running running = start();
  HttpReply reply = client().get("/");
  EXPECT_TRUE(reply.complete) << "the last copy has gone";
  EXPECT_EQ(reply.field("X-A"), "b");
  EXPECT_EQ(reply.field("Cache-Control"), "no-store");
  EXPECT_EQ(reply.count("Cache-Control"), 1u);
  EXPECT_EQ(reply.body, "");
}

TEST_P(EventStreams, RefuseWhatCannotBeWrittenDown) {
  Running running = start();
  HttpClient http = client();
  std::optional<EventStream> events = listen(http);
  ASSERT_TRUE(events);
  using namespace std::string_view_literals;
  for (const std::string_view bad : {"a\nb"sv, "a\rb"sv, "a\0b"sv, "\xff"sv, "\n"sv}) {
    EXPECT_EQ(events->send({.event = bad, .data = "x"}), Errc::bad_event);
    EXPECT_EQ(events->send({.id = bad, .data = "x"}), Errc::bad_event);
  }
  const std::string longest(kMaxEventId, 'i');
  EXPECT_EQ(events->send({.id = longest + "i", .data = "x"}), Errc::bad_event);
  EXPECT_EQ(events->send({}), Errc::bad_event);
  EXPECT_EQ(events->send({.event = "nothing"}), Errc::bad_event);
  EXPECT_NE(Error(Errc::bad_event).message().find("line break"), std::string::npos);
  EXPECT_EQ(events->send({.id = longest, .data = "good"}), Errc::none);
  EXPECT_EQ(events->close(), Errc::none);
  EXPECT_EQ(http.read().body, "id: " + longest + "\ndata: good\n\n");
}

TEST_P(EventStreams, KnowWhatTheirClientHasSeen) {
  Told<std::string> seen;
  server.on_http_request = [&](Connection, const HttpRequest& request, HttpResponse& response) {
    seen.tell(std::string(last_event_id(request)));
    static_cast<void>(response.event_stream());
  };
  Running running = start();
  HttpClient http = client();
  const std::string longest(kMaxEventId, '1');
  EXPECT_TRUE(http.get("/").complete);
  for (const std::string& id : {std::string("41"), std::string("gr\xc3\xbc\xc3\x9f"), longest,
                                longest + "1", std::string("\xc3")}) {
    EXPECT_TRUE(http.get("/", "Last-Event-ID: " + id + "\r\n").complete);
  }
  EXPECT_EQ(seen.all(),
            (std::vector<std::string>{"", "41", "gr\xc3\xbc\xc3\x9f", longest, "", ""}));
}

TEST_P(EventStreams, BeginFromAReplyToo) {
  Handover<Reply> replies;
  server.on_http_request = [&](Connection, const HttpRequest&, HttpResponse& response) {
    replies.put(response.defer());
  };
  Running running = start();
  HttpClient http = client();
  ASSERT_TRUE(http.send(kListen));
  std::optional<Reply> reply = replies.take();
  ASSERT_TRUE(reply);
  EventStream events = reply->event_stream();
  EXPECT_EQ(reply->send(), Errc::already_replied);
  EXPECT_FALSE(reply->event_stream().is_open());
  reply.reset();
  EXPECT_TRUE(events.is_open());
  EXPECT_EQ(events.send({.data = "x"}), Errc::none);
  EXPECT_TRUE(sees(http, "\r\ndata: x\n\n\r\n"));
  events = {};
  HttpReply answer = http.read();
  EXPECT_TRUE(answer.complete);
  EXPECT_EQ(answer.field("Content-Type"), "text/event-stream");
}

TEST_P(EventStreams, OfASecondAnswerAreClosed) {
  Told<bool> closed;
  server.on_http_request = [&](Connection, const HttpRequest&, HttpResponse& response) {
    EventStream events = response.event_stream();
    EventStream second = response.event_stream();
    EXPECT_FALSE(second.is_open());
    EXPECT_EQ(second.send({.data = "x"}), Errc::gone);
    EXPECT_EQ(second.close(), Errc::gone);
    second.on_close([&] { closed.tell(true); });
    EventStream none;
    EXPECT_EQ(none.send({.data = "x"}), Errc::gone);
    EXPECT_EQ(none.comment(""), Errc::gone);
    EXPECT_EQ(events.send({.data = "first"}), Errc::none);
  };
  Running running = start();
  EXPECT_EQ(client().get("/").body, "data: first\n\n");
  EXPECT_EQ(closed.size(), 1u);
}

TEST_P(EventStreams, ToHeadAreAHeadOnly) {
  Running running = start();
  HttpClient http = client();
  ASSERT_TRUE(http.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"));
  HttpReply head = http.read(true);
  EXPECT_TRUE(head.complete);
  EXPECT_EQ(head.field("Content-Type"), "text/event-stream");
  std::optional<EventStream> events = streams.take();
  ASSERT_TRUE(events);
  Told<bool> closed;
  events->on_close([&] { closed.tell(true); });
  EXPECT_TRUE(closed.wait_for(1));
  EXPECT_EQ(events->send({.data = "x"}), Errc::gone);
  // The connection is free for the next request.
  events = listen(http);
  ASSERT_TRUE(events);
  EXPECT_EQ(events->send({.data = "next"}), Errc::none);
  events.reset();
  EXPECT_EQ(http.read().body, "data: next\n\n");
}

TEST_P(EventStreams, WithAFieldThatMayNotBeSentBecome500) {
  Told<bool> closed;
  server.on_http_request = [&](Connection, const HttpRequest&, HttpResponse& response) {
    EventStream events = response.header("X-A", "b\r\nX-C: d").event_stream();
    events.on_close([&] { closed.tell(true); });
    static_cast<void>(events.send({.data = "x"}));
    streams.put(events);
  };
  Running running = start();
  HttpReply reply = client().get("/");
  EXPECT_EQ(reply.status, 500);
  EXPECT_FALSE(reply.has("X-C"));
  EXPECT_TRUE(closed.wait_for(1));
  EXPECT_FALSE(streams.take()->is_open());
}

TEST_P(EventStreams, BeatWhileNothingIsSent) {
  options.heartbeat = milliseconds(20);
  Running running = start();
  HttpClient http = client();
  std::optional<EventStream> events = listen(http);
  ASSERT_TRUE(events);
  ASSERT_TRUE(sees(http, "\r\n2\r\n:\n\r\n2\r\n:\n\r\n")) << "two, one behind the other";
  EXPECT_EQ(events->send({.data = "x"}), Errc::none);
  ASSERT_TRUE(sees(http, "data: x\n\n\r\n2\r\n:\n\r\n")) << "and again behind an event";
  events.reset();
  EXPECT_TRUE(http.read().complete);
}

// Whoever does not read is noticed, costs a bounded number of bytes, and gets what was accepted.
TEST_P(EventStreams, TellASlowClient) {
  server.limits.send_queue_bytes = 100'000;
  Told<bool> writable;
  Running running = start();
  HttpClient http = client();
  http.receive_buffer(16'384);
  std::optional<EventStream> events = listen(http);
  ASSERT_TRUE(events);
  events->on_writable([&] { writable.tell(true); });
  const std::string data = pattern(10'000);
  std::size_t accepted = 0;
  const auto send_until_full = [&] {
    Errc sent = Errc::none;
    while (accepted < 10'000 && (sent = events->send({.data = data})) == Errc::none) ++accepted;
    return sent;
  };
  ASSERT_EQ(send_until_full(), Errc::would_block) << "a client that does not read must be felt";
  // The kernel may have taken some more meanwhile.
  std::string comments;
  Errc commented = Errc::none;
  while (comments.size() < 1'000'000 &&
         (commented = events->comment("not this either")) == Errc::none) {
    comments += ": not this either\n\n";
  }
  EXPECT_EQ(commented, Errc::would_block);
  EXPECT_TRUE(events->is_open());
  // Megabytes through a window of 16 KiB would take half a minute.
  http.receive_buffer(1 << 20);
  std::string body;
  std::jthread reader([&] { body = http.read().body; });
  ASSERT_TRUE(writable.wait_for(1));
  while (events->send({.data = "last"}) != Errc::none) std::this_thread::yield();
  EXPECT_EQ(events->close(), Errc::none);
  reader.join();
  const std::string one = "data: " + data + "\n\n";
  ASSERT_EQ(body.size(),
            accepted * one.size() + comments.size() + std::string_view("data: last\n\n").size());
  for (std::size_t i = 0; i < accepted; ++i) {
    ASSERT_TRUE(std::string_view(body).substr(i * one.size(), one.size()) == one) << i;
  }
}

// Whoever sets it on another thread may be late: the client has read meanwhile.
TEST_P(EventStreams, TellOfRoomThatCameBeforeSomebodyAsked) {
  server.limits.send_queue_bytes = 100'000;
  server.shards = 1;
  Told<bool> writable;
  Running running = start();
  HttpClient http = client();
  http.receive_buffer(16'384);
  std::optional<EventStream> events = listen(http);
  ASSERT_TRUE(events);
  const std::string data = pattern(10'000);
  std::size_t accepted = 0;
  while (accepted < 10'000 && events->send({.data = data}) == Errc::none) ++accepted;
  ASSERT_EQ(events->comment("x"), Errc::would_block);
  http.receive_buffer(1 << 20);
  for (std::size_t had = 0; had < accepted * data.size();) {
    const std::size_t now = http.wait_for(1).size();
    ASSERT_GT(now, 0u);
    had += now;
    http.drop();
  }
  // The shard has had other things to do since.
  for (int i = 0; i < 2; ++i) {
    HttpClient other = client();
    ASSERT_TRUE(listen(other));
  }
  events->on_writable([&] { writable.tell(true); });
  EXPECT_TRUE(writable.wait_for(1));
  EXPECT_EQ(events->send({.data = "x"}), Errc::none);
}

TEST_P(EventStreams, TakeEveryHeartbeat) {
  server.on_http_request = [](Connection, const HttpRequest& request, HttpResponse& response) {
    const milliseconds each = request.document() == "/most"    ? milliseconds::max()
                              : request.document() == "/least" ? milliseconds::min()
                                                               : std::chrono::hours(24);
    EventStream events = response.event_stream({.heartbeat = each});
    EXPECT_EQ(events.send({.data = "x"}), Errc::none);
  };
  Running running = start();
  for (const char* target : {"/most", "/least", "/day"}) {
    EXPECT_EQ(client().get(target).body, "data: x\n\n") << target;
  }
}

// It may be open for ever: others may defer their answers all the same.
TEST_P(EventStreams, FromAReplyLeaveItsPlaceToOthers) {
  server.limits.deferred = 1;
  Handover<EventStream> open;
  server.on_http_request = [&](Connection, const HttpRequest&, HttpResponse& response) {
    open.put(response.defer().event_stream({.heartbeat = milliseconds(0)}));
  };
  Running running = start();
  std::vector<EventStream> all;
  for (int i = 0; i < 3; ++i) {
    HttpClient http = client();
    ASSERT_TRUE(http.send(kListen));
    std::optional<EventStream> events = open.take();
    ASSERT_TRUE(events);
    EXPECT_EQ(events->send({.data = "x"}), Errc::none);
    ASSERT_TRUE(sees(http, "data: x"));
    EXPECT_EQ(events->close(), Errc::none);
    all.push_back(std::move(*events));
    EXPECT_TRUE(http.read().complete);
  }
  HttpClient one = client(), two = client();
  for (HttpClient* http : {&one, &two}) {
    ASSERT_TRUE(http->send(kListen));
    std::optional<EventStream> events = open.take();
    ASSERT_TRUE(events);
    EXPECT_EQ(events->send({.data = "x"}), Errc::none);
    ASSERT_TRUE(sees(*http, "data: x"));
    all.push_back(std::move(*events));  // and stays
  }
}

TEST_P(EventStreams, EndWithTheClient) {
  Running running = start();
  HttpClient http = client();
  std::optional<EventStream> events = listen(http);
  ASSERT_TRUE(events);
  Told<int> closed;
  events->on_close([&] { closed.tell(1); });
  events->on_close([&, copy = *events] { closed.tell(copy.is_open() ? 3 : 2); });
  EXPECT_EQ(events->send({.data = "x"}), Errc::none);
  ASSERT_TRUE(sees(http, "data: x"));
  http.reset();
  ASSERT_TRUE(closed.wait_for(2));
  EXPECT_EQ(closed.all(), (std::vector<int>{1, 2}));
  EXPECT_EQ(events->send({.data = "x"}), Errc::gone);
  EXPECT_EQ(events->close(), Errc::gone);
  events->on_close([&] { closed.tell(4); });
  EXPECT_EQ(closed.count(4), 1u) << "here and now";
}

TEST_P(EventStreams, FindOutByTheirHeartbeatThatNobodyListens) {
  options.heartbeat = milliseconds(20);
  Running running = start();
  HttpClient http = client();
  std::optional<EventStream> events = listen(http);
  ASSERT_TRUE(events);
  Told<bool> closed;
  events->on_close([&] { closed.tell(true); });
  http.disconnect();
  EXPECT_TRUE(closed.wait_for(1));
}

TEST_P(EventStreams, OfAHandlerThatThrowsEndProperly) {
  Told<bool> thrown;
  server.on_exception = [&](Connection, std::exception_ptr) { thrown.tell(true); };
  server.on_http_request = [](Connection, const HttpRequest&, HttpResponse& response) {
    EventStream events = response.event_stream();
    static_cast<void>(events.send({.data = "x"}));
    throw std::runtime_error("no");
  };
  Running running = start();
  HttpReply reply = client().get("/");
  EXPECT_TRUE(reply.complete);
  EXPECT_EQ(reply.body, "data: x\n\n");
  EXPECT_TRUE(thrown.wait_for(1));
}

TEST_P(EventStreams, WhoseOnCloseThrowsAreReported) {
  Told<bool> thrown;
  server.on_exception = [&](Connection, std::exception_ptr) { thrown.tell(true); };
  Running running = start();
  HttpClient http = client();
  std::optional<EventStream> events = listen(http);
  ASSERT_TRUE(events);
  events->on_close([] { throw std::runtime_error("no"); });
  EXPECT_EQ(events->close(), Errc::none);
  EXPECT_TRUE(http.read().complete);
  EXPECT_TRUE(thrown.wait_for(1));
}

// The drain does not wait for streams that would never end: their clients come back elsewhere.
TEST_P(EventStreams, EndProperlyWhenTheServerStops) {
  Server other;
  prepare(other);
  other.on_http_request = server.on_http_request;
  ASSERT_TRUE(other.start());
  std::vector<std::unique_ptr<HttpClient>> clients;
  std::vector<EventStream> open;
  Told<bool> closed;
  for (int i = 0; i < 8; ++i) {
    clients.push_back(std::make_unique<HttpClient>(other.bound_port(), "127.0.0.1", kPatience));
    std::optional<EventStream> events = listen(*clients.back());
    ASSERT_TRUE(events);
    events->on_close([&] { closed.tell(true); });
    EXPECT_EQ(events->send({.data = "x"}), Errc::none);
    open.push_back(*events);
  }
  std::jthread stopping([&] { EXPECT_TRUE(other.stop(10 * kPatience)); });
  for (auto& http : clients) {
    HttpReply reply = http->read();
    EXPECT_TRUE(reply.complete);
    EXPECT_EQ(reply.body, "data: x\n\n");
    EXPECT_TRUE(http->at_end());
  }
  stopping.join();
  EXPECT_TRUE(closed.wait_for(8));
  for (EventStream& events : open) EXPECT_EQ(events.send({.data = "x"}), Errc::gone);
}

TEST_P(EventStreams, MayOutliveTheServer) {
  std::optional<EventStream> events, dropped;
  Told<bool> closed;
  {
    Server other;
    prepare(other);
    other.on_http_request = server.on_http_request;
    ASSERT_TRUE(other.start());
    HttpClient one(other.bound_port(), "127.0.0.1", kPatience);
    HttpClient two(other.bound_port(), "127.0.0.1", kPatience);
    events = listen(one);
    dropped = listen(two);
    ASSERT_TRUE(events && dropped);
    events->on_close([&] { closed.tell(true); });
    EXPECT_TRUE(other.stop(milliseconds(0)));
  }
  EXPECT_FALSE(events->is_open());
  EXPECT_EQ(events->send({.data = "x"}), Errc::gone);
  EXPECT_EQ(events->close(), Errc::gone);
  EXPECT_EQ(closed.size(), 1u);
}

INSTANTIATE_TEST_SUITE_P(Api, EventStreams, engines_and_dispatches(), name_of);

}  // namespace
}  // namespace sluice::test
