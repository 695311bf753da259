// tests/front/wire/http2_test.cpp - HTTP/2 on connections of ours: requests, bodies, answers, ends.
//
// RFC 9113. The frames themselves: tests/proto/http2. Layer: tests.
#include <gtest/gtest.h>

#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "front/wire/http2_rig.hpp"
#include "service/temp_dir.hpp"

namespace sluice::test {
namespace {

struct Http2 : testing::Test {
  Http2() { rig.events.on_http_request = echo; }
  void TearDown() override {
    replies.clear();
    writer.reset();
    body.reset();
    rig.settle();
  }
  void add(std::string_view method, std::string_view pattern, RequestHandler handler) {
    ASSERT_TRUE(rig.router.add(method, pattern, std::move(handler), {}));
  }
  void add_late() {
    add("GET", "/late", [this](sluice::Connection, const HttpRequest&, HttpResponse& response) {
      response.content_text("late");
      replies.push_back(response.defer());
      replies.back().on_abort([this] { ++aborted; });
    });
  }
  void drain(base::Duration spread = {}) {
    rig.on(0, [&] { rig.loop().drain(1001, spread); });
    rig.settle();
  }

  Rig rig;
  std::vector<Reply> replies;
  std::optional<BodyWriter> writer;
  std::optional<RequestBody> body;
  int aborted = 0;
};

TEST_F(Http2, PriorKnowledgeWhereverItIsCut) {
  rig.start();
  const std::string all =
      h2::opening() + h2::headers(1, h2::post("/cut"), false) + h2::data(1, "a body", true);
  for (std::size_t at = 1; at < all.size(); ++at) {
    SCOPED_TRACE(at);
    H2Peer peer(rig, false);
    peer.run(all.substr(0, at));
    peer.run(all.substr(at));
    EXPECT_EQ(peer.answers[1].body, "/cuta body");
    EXPECT_TRUE(peer.answers[1].ended);
    EXPECT_TRUE(peer.answers[1].has(":status=200 "));
    EXPECT_TRUE(peer.goaways.empty());
    peer.wire.close();
  }
  rig.network.deliver_at_most(1);
  H2Peer peer(rig, false);
  peer.run(all);
  EXPECT_EQ(peer.answers[1].body, "/cuta body");
}

TEST_F(Http2, ItMayBeSwitchedOff) {
  rig.settings.options.http2 = false;
  rig.start();
  H2Peer peer(rig);
  rig.settle();
  EXPECT_EQ(peer.wire.received().substr(0, 9), "HTTP/1.1 ");
  EXPECT_TRUE(peer.wire.saw_end());
}

TEST_F(Http2, H2cIsIgnored) {
  rig.start();
  io::SimPeer peer = rig.connect();
  peer.send(
      get("/", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: \r\n"));
  rig.settle();
  EXPECT_EQ(take_reply(peer).status, 200);
}

TEST_F(Http2, AnswersOfAllKinds) {
  add("GET", "/none", [](sluice::Connection, const HttpRequest&, HttpResponse& response) {
    response.response_no(204);
  });
  add("GET", "/throws", [](sluice::Connection, const HttpRequest&, HttpResponse&) {
    throw std::runtime_error("no");
  });
  add("GET", "/large", [](sluice::Connection, const HttpRequest&, HttpResponse& response) {
    response.content_text(std::string(50'000, 'x'));
  });
  rig.start();
  H2Peer peer(rig);
  EXPECT_EQ(peer.ask(h2::get("/a")).body, "/a");
  EXPECT_TRUE(peer.answers[1].has("content-length=2 "));
  h2::FieldList head = h2::get("/b");
  head[0].second = "HEAD";
  const H2Peer::Answer& only_head = peer.ask(head);
  EXPECT_TRUE(only_head.has("content-length=2 "));
  EXPECT_EQ(only_head.body, "");
  EXPECT_TRUE(only_head.ended);
  const H2Peer::Answer& none = peer.ask(h2::get("/none"));
  EXPECT_TRUE(none.has(":status=204 ") && none.ended && !none.has("content-length"));
  EXPECT_TRUE(peer.ask(h2::get("/throws")).has(":status=500 "));
  EXPECT_EQ(peer.ask(h2::get("/large")).body.size(), 50'000u);
  h2::FieldList trace = h2::get("/");
  trace[0].second = "TRACE";
  EXPECT_TRUE(peer.ask(trace).has(":status=501 "));
  EXPECT_TRUE(peer.ask({{":method", "CONNECT"}, {":authority", "a:1"}}).has(":status=501 "));
  EXPECT_EQ(peer.ask(h2::get("/c")).body, "/c");
}

TEST_F(Http2, ContinueIsSaidAndTrailersGoBothWays) {
  std::string body_text;
  add("POST", "/t", [&](sluice::Connection, const HttpRequest& request, HttpResponse& response) {
    body_text = request.body().text();
    BodyWriter out = response.stream();
    out.write("text");
    EXPECT_EQ(out.end({{"X-Trailer", "1"}}), Errc::none);
  });
  rig.start();
  H2Peer peer(rig);
  peer.run(h2::headers(1, h2::with(h2::post("/t"), {{"expect", "100-continue"}}), false));
  EXPECT_EQ(peer.answers[1].fields, ":status=100 ");
  peer.run(h2::data(1, "body") + h2::headers(1, {{"x-sum", "7"}}));
  EXPECT_EQ(body_text, "body");
  EXPECT_EQ(peer.answers[1].body, "text");
  EXPECT_TRUE(peer.answers[1].has("x-trailer=1 "));
  EXPECT_TRUE(peer.answers[1].ended && !peer.answers[1].was_reset);
}

TEST_F(Http2, ABodyThatIsTooLargeIsNotWaitedFor) {
  rig.settings.limits.body_bytes = 1000;
  rig.start();
  H2Peer peer(rig);
  peer.run(h2::headers(1, h2::post("/"), false) + h2::data(1, std::string(2000, 'x')));
  EXPECT_TRUE(peer.answers[1].has(":status=413 "));
  EXPECT_TRUE(peer.answers[1].ended && peer.answers[1].was_reset);
  EXPECT_EQ(peer.answers[1].code, 0u);
  EXPECT_EQ(peer.ask((peer.next(), h2::get("/b"))).body, "/b");
}

TEST_F(Http2, ABodyOfAnotherLengthIsReset) {
  rig.start();
  H2Peer peer(rig);
  peer.run(h2::headers(1, h2::with(h2::post("/"), {{"content-length", "5"}}), false) +
           h2::data(1, "four", true) + h2::headers(3, h2::get("/b")));
  EXPECT_TRUE(peer.answers[1].was_reset);
  EXPECT_EQ(peer.answers[1].code, 1u);
  EXPECT_EQ(peer.answers[3].body, "/b");
}

TEST_F(Http2, APausedBodyKeepsItsWindowAndOthersGoOn) {
  std::string got;
  bool complete = false;
  rig.events.on_http_request = [&](sluice::Connection, const HttpRequest& request,
                                   HttpResponse& response) {
    if (request.document() != "/p") {
      response.content_text("other");
      return;
    }
    body = request.body();
    body->on_data([&](Bytes piece, bool last) {
      got.append(as_text(piece));
      complete = last;
      if (got.size() == 10'000) body->pause();
    });
  };
  ASSERT_TRUE(rig.router.add_body_mode("/p", {BodyMode::stream, {}}));
  rig.start();
  H2Peer peer(rig);
  const std::string piece(10'000, 'x');
  peer.run(h2::headers(1, h2::post("/p"), false) + h2::data(1, piece));
  for (int i = 0; i < 20; ++i) peer.run(h2::data(1, piece));
  EXPECT_EQ(got.size(), 10'000u);
  EXPECT_EQ(peer.window_of(1), 0u);
  peer.run(h2::headers(3, h2::get("/o")));
  EXPECT_EQ(peer.answers[3].body, "other");
  rig.on(0, [&] { body->resume(); });
  peer.run();
  EXPECT_EQ(got.size(), 210'000u);
  EXPECT_GT(peer.window_of(1), 100'000u);
  peer.run(h2::data(1, piece, true));
  EXPECT_TRUE(complete);
  EXPECT_TRUE(peer.answers[1].ended);
}

TEST_F(Http2, AStreamedAnswerFollowsItsClient) {
  rig.settings.limits.send_queue_bytes = 64 << 10;
  std::size_t written = 0;
  int resumed = 0;
  const auto fill = [&] {
    while (written < 1'000'000) {
      written += 1000;
      if (!writer->write(std::string(1000, 'x'))) return;
    }
    EXPECT_EQ(writer->end(), Errc::none);
  };
  add("GET", "/w", [&](sluice::Connection, const HttpRequest&, HttpResponse& response) {
    writer = response.stream();
    writer->on_writable([&] {
      ++resumed;
      fill();
    });
    fill();
  });
  rig.start();
  H2Peer peer(rig);
  peer.run(h2::headers(1, h2::get("/w")));
  EXPECT_EQ(peer.answers[1].body.size(), 65'535u);
  EXPECT_LT(written, 300'000u);
  EXPECT_LE(rig.shard().queued_bytes, 70'000u);
  EXPECT_EQ(peer.ask((peer.next(), h2::with(h2::get("/n"), {}))).is_open(), true)
      << "the window of the connection is used up";
  for (int i = 0; i < 200 && peer.answers[1].is_open(); ++i) {
    peer.run(h2::window(0, 20'000) + h2::window(1, 20'000));
    EXPECT_LE(rig.shard().queued_bytes, 70'000u);
  }
  EXPECT_EQ(peer.answers[1].body.size(), 1'000'000u);
  EXPECT_TRUE(peer.answers[1].ended);
  EXPECT_GT(resumed, 5);
}

TEST_F(Http2, AClientsResetEndsTheAnswerAndNoOther) {
  add_late();
  rig.start();
  H2Peer peer(rig);
  peer.run(h2::headers(1, h2::get("/late")) + h2::headers(3, h2::get("/late")));
  ASSERT_EQ(replies.size(), 2u);
  peer.run(h2::reset(1));
  EXPECT_EQ(aborted, 1);
  rig.on(0, [&] {
    EXPECT_EQ(replies[0].send(), Errc::gone);
    EXPECT_EQ(replies[1].send(), Errc::none);
  });
  peer.run();
  EXPECT_EQ(peer.answers[3].body, "late");
}

TEST_F(Http2, TheEndOfTheConnectionEndsAllAnswers) {
  add_late();
  rig.start();
  H2Peer peer(rig);
  peer.run(h2::headers(1, h2::get("/late")) + h2::headers(3, h2::get("/late")));
  peer.wire.reset();
  rig.settle();
  EXPECT_EQ(aborted, 2);
  EXPECT_EQ(rig.network.open_count(), 0u);
}

// What was asked is answered; then the connection goes.
TEST_F(Http2, AClientThatEndsIsAnswered) {
  add_late();
  rig.start();
  H2Peer peer(rig);
  peer.run(h2::headers(1, h2::get("/late")) + h2::headers(3, h2::post("/never"), false));
  peer.wire.end();
  peer.run();
  EXPECT_TRUE(peer.answers[3].was_reset);
  EXPECT_EQ(rig.count_errors(Errc::http_body_truncated), 1u);
  EXPECT_EQ(rig.network.open_count(), 1u);
  rig.on(0, [&] { EXPECT_EQ(replies[0].send(), Errc::none); });
  peer.run();
  EXPECT_EQ(peer.answers[1].body, "late");
  EXPECT_EQ(rig.network.open_count(), 0u);
}

TEST_F(Http2, AClientThatEndsBeforeItAsksIsNotKept) {
  rig.start();
  H2Peer peer(rig);
  peer.run();
  peer.wire.end();
  peer.run();
  EXPECT_EQ(rig.network.open_count(), 0u);
}

TEST_F(Http2, NothingIsHandledBehindADisconnect) {
  int handled = 0;
  rig.events.on_http_request = [&](sluice::Connection connection, const HttpRequest&,
                                   HttpResponse&) {
    ++handled;
    static_cast<void>(connection.disconnect());
  };
  rig.start();
  H2Peer peer(rig);
  peer.run(h2::headers(1, h2::get()) + h2::headers(3, h2::get()));
  EXPECT_EQ(handled, 1);
  EXPECT_EQ(rig.network.open_count(), 0u);
}

TEST_F(Http2, ADrainHasTwoSteps) {
  add_late();
  rig.start();
  H2Peer peer(rig);
  peer.run(h2::headers(1, h2::get("/late")));
  drain();
  peer.run();
  ASSERT_EQ(peer.goaways.size(), 1u);
  EXPECT_EQ(peer.goaways[0].last, 0x7fff'ffffu);
  peer.run(h2::headers(3, h2::get("/between")));
  EXPECT_EQ(peer.answers[3].body, "/between");
  rig.pass(300ms);
  peer.read();
  ASSERT_EQ(peer.goaways.size(), 2u);
  EXPECT_EQ(peer.goaways[1].last, 3u);
  EXPECT_EQ(rig.network.open_count(), 1u);
  rig.on(0, [&] { EXPECT_EQ(replies[0].send(), Errc::none); });
  peer.run();
  EXPECT_EQ(peer.answers[1].body, "late");
  EXPECT_TRUE(peer.wire.saw_end());
  EXPECT_FALSE(peer.wire.saw_reset());
}

// However long WebSockets have: a request in that time must not make it forgotten.
TEST_F(Http2, ADrainThatTakesItsTimeReachesItAtOnce) {
  rig.start();
  std::vector<io::SimPeer> others;
  for (int i = 0; i < 4000; ++i) others.push_back(rig.connect());
  H2Peer peer(rig);
  peer.run(h2::headers(1, h2::get("/a")));
  drain(60s);
  peer.run(h2::headers(3, h2::get("/b")));
  EXPECT_EQ(peer.answers[3].body, "/b");
  rig.pass(2s);
  peer.read();
  EXPECT_EQ(peer.goaways.size(), 2u);
  EXPECT_TRUE(peer.wire.saw_end());
}

TEST_F(Http2, WhoBeginsItDuringADrainIsToldToo) {
  rig.start();
  H2Peer peer(rig, false);
  peer.run("PRI * HT");
  drain();
  peer.run(h2::opening().substr(8) + h2::headers(1, h2::get("/a")));
  EXPECT_EQ(peer.answers[1].body, "/a");
  rig.pass(500ms);
  peer.read();
  EXPECT_EQ(peer.goaways.size(), 2u);
  EXPECT_TRUE(peer.wire.saw_end());
}

TEST_F(Http2, AnIdleConnectionEndsWithGoaway) {
  rig.settings.timeouts.idle_connection = 5s;
  rig.start();
  H2Peer peer(rig);
  peer.run(h2::headers(1, h2::get("/a")));
  rig.pass(4s);
  EXPECT_EQ(peer.ask((peer.next(), h2::get("/b"))).body, "/b");
  rig.pass(4s);
  EXPECT_FALSE(peer.wire.saw_end());
  rig.pass(2s);
  peer.read();
  ASSERT_EQ(peer.goaways.size(), 1u);
  EXPECT_EQ(peer.goaways[0].code, 0u);
  EXPECT_TRUE(peer.wire.saw_end());
}

TEST_F(Http2, TimeIsShortForWhoAsksNothing) {
  rig.settings.timeouts.header_wait = 5s;
  rig.start();
  H2Peer peer(rig);
  peer.run();
  rig.pass(6s);
  peer.read();
  EXPECT_EQ(peer.goaways.size(), 1u);
  EXPECT_EQ(rig.count_errors(Errc::header_timeout), 1u);
}

TEST_F(Http2, ABodyThatDoesNotComeIs408) {
  rig.settings.timeouts.entity_body = 5s;
  rig.start();
  H2Peer peer(rig);
  peer.run(h2::headers(1, h2::post("/"), false) + h2::data(1, "x"));
  rig.pass(6s);
  peer.run();
  EXPECT_TRUE(peer.answers[1].has(":status=408 "));
  EXPECT_TRUE(peer.answers[1].was_reset);
  EXPECT_EQ(peer.ask((peer.next(), h2::get("/b"))).body, "/b");
}

// Its window is closed: no queue of the connection shows it.
TEST_F(Http2, AClientThatTakesNothingIsGivenUp) {
  for (const Errc why : {Errc::write_timeout, Errc::send_rate_timeout}) {
    Rig own;
    own.settings.timeouts.min_send_rate = why == Errc::send_rate_timeout ? 150 : 0;
    own.settings.options.write_timeout = why == Errc::write_timeout ? 5s : 0s;
    own.events.on_http_request = [](sluice::Connection, const HttpRequest&,
                                    HttpResponse& response) {
      response.content_text(std::string(200'000, 'x'));
    };
    own.start();
    H2Peer peer(own);
    peer.run(h2::headers(1, h2::get("/a")));
    EXPECT_EQ(peer.answers[1].body.size(), 65'535u);
    for (int i = 0; i < 25; ++i) own.pass(1s);
    peer.read();
    EXPECT_TRUE(peer.answers[1].was_reset);
    EXPECT_EQ(own.count_errors(why), 1u);
    EXPECT_FALSE(peer.wire.saw_reset());
  }
}

TEST_F(Http2, AFloodEndsIt) {
  rig.start();
  H2Peer peer(rig);
  std::string pings;
  for (int i = 0; i < 200; ++i) pings += h2::ping();
  peer.run(pings);
  ASSERT_EQ(peer.goaways.size(), 1u);
  EXPECT_EQ(peer.goaways[0].code, 11u);
  EXPECT_EQ(rig.count_errors(Errc::http2_flood), 1u);
  EXPECT_TRUE(peer.wire.saw_end());
}

TEST_F(Http2, AMalformedHeadEndsItsStream) {
  rig.start();
  H2Peer peer(rig);
  peer.run(h2::headers(1, h2::with(h2::get("/"), {{"connection", "close"}})) +
           h2::headers(3, h2::get("/b")));
  EXPECT_TRUE(peer.answers[1].was_reset);
  EXPECT_EQ(peer.answers[1].code, 1u);
  EXPECT_EQ(peer.answers[3].body, "/b");
  EXPECT_EQ(rig.errors.size(), 1u);
}

TEST_F(Http2, SoManyStreamsAtATime) {
  rig.settings.limits.streams = 2;
  add_late();
  rig.start();
  H2Peer peer(rig);
  peer.run(h2::headers(1, h2::get("/late")) + h2::headers(3, h2::get("/late")));
  peer.run(h2::headers(5, h2::get("/late")));
  EXPECT_EQ(replies.size(), 2u);
  EXPECT_TRUE(peer.answers[5].was_reset || !peer.goaways.empty());
}

TEST_F(Http2, HugeAnswersForAClientThatDoesNotRead) {
  int handled = 0;
  rig.events.on_http_request = [&](sluice::Connection, const HttpRequest&, HttpResponse& response) {
    ++handled;
    response.content_text(std::string(300'000, 'x'));
  };
  rig.settings.limits.send_queue_bytes = 256 << 10;
  rig.start();
  H2Peer peer(rig);
  peer.run(h2::window(0, 1 << 30) + h2::settings({{4, 1 << 29}}));
  peer.wire.set_window(0);
  std::string all;
  for (std::uint32_t i = 0; i < 100; ++i) all += h2::headers(2 * i + 1, h2::get("/"));
  peer.run(all);
  EXPECT_LE(handled, 8);
  EXPECT_LE(rig.shard().queued_bytes, 2'000'000u);
  peer.wire.set_window(SIZE_MAX);
  peer.run();
  EXPECT_EQ(handled, 100);
  for (std::uint32_t i = 0; i < 100; ++i) {
    EXPECT_EQ(peer.answers[2 * i + 1].body.size(), 300'000u);
    EXPECT_TRUE(peer.answers[2 * i + 1].ended);
  }
}

// The session has more than the queue takes, and all of that leaves at once.
TEST_F(Http2, AVerySmallQueueDoesNotStopIt) {
  rig.settings.limits.send_queue_bytes = 1024;
  add("GET", "/large", [](sluice::Connection, const HttpRequest&, HttpResponse& response) {
    response.content_text(std::string(50'000, 'x'));
  });
  rig.start();
  H2Peer peer(rig);
  EXPECT_EQ(peer.ask(h2::get("/large")).body.size(), 50'000u);
}

struct Http2Files : Http2 {
  Http2Files() {
    dir.write("large.bin", std::string(500'000, 'l'));
    rig.directories.emplace_back("/f/", dir.path().string());
    rig.start();
  }
  const std::string wide = h2::window(0, 1 << 30) + h2::settings({{4, 1 << 29}});
  TempDir dir;
};

TEST_F(Http2Files, FilesLargerThanWhatIsReadAhead) {
  H2Peer peer(rig);
  peer.run(wide);
  EXPECT_EQ(peer.ask(h2::get("/f/large.bin")).body, std::string(500'000, 'l'));
  EXPECT_TRUE(peer.answers[1].ended);
}

TEST_F(Http2Files, AFileThatBecomesShorterEndsItsStreamOnly) {
  H2Peer peer(rig);
  peer.run(h2::headers(1, h2::get("/f/large.bin")));
  EXPECT_EQ(peer.answers[1].body.size(), 65'535u);
  std::filesystem::resize_file(dir.path() / "large.bin", 1000);
  peer.run(wide + h2::headers(3, h2::get("/b")));
  EXPECT_TRUE(peer.answers[1].was_reset);
  EXPECT_EQ(peer.answers[1].code, 2u);
  EXPECT_EQ(peer.answers[3].body, "/b");
}

}  // namespace
}  // namespace sluice::test
