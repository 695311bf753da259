// tests/front/wire/flow_test.cpp - what happens when one side is slower than the other: reading
// pauses, queues stay bounded, slow readers get what options.slow_reader says.
//
// Layer: tests.
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "front/wire/harness.hpp"

namespace sluice::test {
namespace {

constexpr std::size_t kBudget = 64 << 10;

struct Flow : testing::Test {
  Flow() { rig.settings.limits.send_queue_bytes = kBudget; }
  Rig rig;
};

// --- HTTP ----------------------------------------------------------------------------------------

TEST_F(Flow, ABodyIsPausedAndResumed) {
  std::optional<RequestBody> body;
  std::string got;
  bool complete = false;
  rig.events.on_http_request = [&](sluice::Connection, const HttpRequest& request, HttpResponse&) {
    body = request.body();
    body->on_data([&](Bytes piece, bool last) {
      got.append(as_text(piece));
      complete = last;
      if (got.size() < 100'000) body->pause();
    });
  };
  ASSERT_TRUE(rig.router.add_body_mode("/", {BodyMode::stream, {}}));
  rig.start();
  for (bool chunked : {false, true}) {
    got.clear();
    io::SimPeer peer = rig.connect();
    std::string sent;
    for (int i = 0; sent.size() < 300'000; ++i) sent += std::to_string(i) + ",";
    if (chunked) {
      peer.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
      for (std::size_t at = 0; at < sent.size(); at += 1000) {
        std::string_view piece = std::string_view(sent).substr(at, 1000);
        char size[16];
        std::snprintf(size, sizeof size, "%zx\r\n", piece.size());
        peer.send(size);
        peer.send(piece);
        peer.send("\r\n");
      }
      peer.send("0\r\n\r\n");
    } else {
      peer.send(post("/", sent));
    }
    peer.send(get("/behind"));
    std::uint64_t before = rig.engine().counters().received_bytes;
    rig.settle();
    EXPECT_GT(got.size(), 0u);
    EXPECT_LT(got.size(), 40'000u);
    EXPECT_LT(rig.engine().counters().received_bytes - before, 100'000u) << "it is not stored here";
    EXPECT_EQ(peer.received(), "");
    for (int i = 0; i < 200 && !complete; ++i) {
      std::size_t had = got.size();
      rig.on(0, [&] { body->resume(); });
      rig.settle();
      ASSERT_GT(got.size(), had);
    }
    EXPECT_EQ(got, sent);
    EXPECT_EQ(take_replies(peer).size(), 2u);
    peer.close();
    rig.settle();
    complete = false;
  }
}

// A peer that pipelines requests and takes no answers.
TEST_F(Flow, AnswersThatNobodyTakesStopTheRequests) {
  int handled = 0;
  rig.events.on_http_request = [&](sluice::Connection, const HttpRequest& request,
                                   HttpResponse& response) {
    ++handled;
    response.content_text(std::string(request.document()) + std::string(4000, 'x'));
  };
  rig.start();
  io::SimPeer peer = rig.connect();
  peer.set_window(0);
  for (int i = 0; i < 2000; ++i) peer.send(get("/" + std::to_string(i)));
  rig.settle();
  EXPECT_LE(rig.shard().queued_bytes, kBudget + 4200);
  EXPECT_LE(handled, int(kBudget / 4000) + 2);
  EXPECT_LT(rig.engine().counters().received_bytes, 64u << 10);
  std::vector<HttpReply> replies;
  std::string got;
  for (int i = 0; i < 1000 && rig.network.open_count() > 0; ++i) {
    peer.open_window(10'000);
    rig.settle();
    EXPECT_LE(rig.shard().queued_bytes, kBudget + 4200);
  }
  replies = take_replies(peer);
  ASSERT_EQ(replies.size(), 2000u);
  EXPECT_EQ(replies[1999].body.substr(0, 5), "/1999");
}

// A streamed answer is told when to stop and when to go on.
TEST_F(Flow, AStreamedAnswerFollowsItsPeer) {
  std::optional<BodyWriter> writer;
  std::size_t written = 0;
  int refused = 0, resumed = 0;
  auto fill = [&] {
    while (written < 1'000'000) {
      written += 1000;
      if (!writer->write(std::string(1000, 'x'))) {
        ++refused;
        return;
      }
    }
    EXPECT_EQ(writer->end(), Errc::none);
  };
  rig.events.on_http_request = [&](sluice::Connection, const HttpRequest&, HttpResponse& response) {
    writer = response.stream();
    writer->on_writable([&] {
      ++resumed;
      fill();
    });
    fill();
  };
  rig.start();
  io::SimPeer peer = rig.connect();
  peer.set_window(0);
  peer.send(get("/"));
  rig.settle();
  EXPECT_EQ(refused, 1);
  EXPECT_LE(rig.shard().queued_bytes, kBudget + 2000);
  peer.open_window(kBudget / 4);
  rig.settle();
  EXPECT_EQ(resumed, 0) << "half of the budget must be free first";
  for (int i = 0; i < 1000 && written < 1'000'000; ++i) {
    peer.open_window(kBudget / 4);
    rig.settle();
    EXPECT_LE(rig.shard().queued_bytes, kBudget + 2000);
  }
  peer.set_window(SIZE_MAX);
  rig.settle();
  EXPECT_GT(resumed, 10);
  EXPECT_EQ(take_reply(peer).body.size(), 1'000'000u);
}

// Many connections below their own budgets, together over the shard's.
TEST_F(Flow, TheShardsTotalIsABudgetToo) {
  rig.settings.limits.send_queue_total = 200'000;
  rig.events.on_http_request = [&](sluice::Connection, const HttpRequest&, HttpResponse& response) {
    response.content_text(std::string(10'000, 'x'));
  };
  rig.start();
  std::vector<io::SimPeer> peers;
  for (int i = 0; i < 20; ++i) {
    peers.push_back(rig.connect());
    peers.back().set_window(0);
    for (int j = 0; j < 6; ++j) peers.back().send(get("/"));
  }
  rig.settle();
  EXPECT_LE(rig.shard().queued_bytes, 200'000u + 20 * 10'200u);
  for (io::SimPeer& peer : peers) peer.set_window(SIZE_MAX);
  rig.settle();
  for (io::SimPeer& peer : peers) EXPECT_EQ(take_replies(peer).size(), 6u);
}

// --- WebSocket: its own answers ------------------------------------------------------------------

TEST_F(Flow, EchoesThatNobodyTakesStopTheReading) {
  rig.events.websocket.on_message = [&](sluice::Connection connection, std::string_view text) {
    EXPECT_EQ(connection.write_data(text), SendStatus::queued);
  };
  rig.start();
  for (std::size_t size : {std::size_t{50}, std::size_t{5000}, std::size_t{20'000}}) {
    io::SimPeer peer = rig.websocket();
    std::string frame = WsClient::frame(WsClient::kText, std::string(size, 'e'));
    peer.set_window(0);
    std::size_t count = 1'000'000 / size;
    for (std::size_t i = 0; i < count; ++i) peer.send(frame);
    std::uint64_t before = rig.engine().counters().received_bytes;
    rig.settle();
    EXPECT_LE(rig.shard().queued_bytes, kBudget + size + 14);
    EXPECT_LT(rig.engine().counters().received_bytes - before, kBudget * 2 + 64'000) << size;
    std::size_t echoed = 0;
    std::string got;
    while (echoed < count) {
      peer.open_window(30'000);
      rig.settle();
      EXPECT_LE(rig.shard().queued_bytes, kBudget + size + 14);
      got += peer.take_received();
      std::size_t more = take_frames(got).size();
      ASSERT_TRUE(more > 0 || size >= 20'000);
      echoed += more;
      if (size >= 20'000) peer.set_window(SIZE_MAX);
    }
    EXPECT_EQ(echoed, count);
    peer.close();
    rig.settle();
  }
}

// Pings of a peer that takes no pongs.
TEST_F(Flow, PongsThatNobodyTakesAreBounded) {
  rig.events.websocket.on_message = [](sluice::Connection, std::string_view) {};
  rig.start();
  io::SimPeer peer = rig.websocket();
  peer.set_window(0);
  for (int i = 0; i < 10'000; ++i)
    peer.send(WsClient::frame(WsClient::kPing, std::string(125, 'p')));
  rig.settle();
  EXPECT_LE(rig.shard().queued_bytes, kBudget + 127);
}

// One that waits to be flushed makes progress by itself, and then has more to send: those who were
// to be flushed behind it are not forgotten.
TEST_F(Flow, NobodyIsForgottenWhenASendEndsInBetween) {
  rig.events.websocket.on_message = [&](sluice::Connection connection, std::string_view text) {
    if (text == "all") {
      rig.session->broadcast(ws::Opcode::text, as_bytes(text), {});
    } else {
      static_cast<void>(connection.write_data(text));
    }
  };
  rig.start();
  io::SimPeer first = rig.websocket(), slow = rig.websocket(), last = rig.websocket();
  slow.set_window(0);
  slow.send(WsClient::frame(WsClient::kText, "waits"));
  rig.settle();
  // All of it in one wake-up.
  first.send(WsClient::frame(WsClient::kText, "all"));
  slow.set_window(SIZE_MAX);
  slow.send(WsClient::frame(WsClient::kText, "more"));
  rig.settle();
  EXPECT_EQ(take_frames(first).size(), 1u);
  EXPECT_EQ(take_frames(slow).size(), 3u);
  EXPECT_EQ(take_frames(last).size(), 1u);
}

// --- WebSocket: what others send to it -----------------------------------------------------------

struct SlowReaders : Flow {
  // A reader that takes nothing and a sender whose messages go to it, by broadcast or by name.
  void begin(SlowReader policy, bool broadcast) {
    rig.settings.options.slow_reader = policy;
    rig.events.websocket.on_message = [this, broadcast](sluice::Connection, std::string_view text) {
      if (broadcast) {
        rig.session->broadcast(ws::Opcode::text, as_bytes(text), {"slow", {}, {}, {}});
        return;
      }
      switch (target.write_data(text)) {
        case SendStatus::queued:
          ++queued;
          break;
        case SendStatus::would_block:
          ++blocked;
          break;
        case SendStatus::gone:
          ++gone;
          break;
      }
    };
    rig.events.websocket.on_disconnect = [this](sluice::Connection, std::uint16_t code) {
      codes.push_back(code);
    };
    rig.start();
    reader = rig.websocket();
    target = rig.newest();
    rig.on(0, [&] { static_cast<void>(target.subscribe("slow")); });
    reader.set_window(0);
    sender = rig.websocket();
  }
  void say(int first, int count, std::size_t size) {
    for (int i = first; i < first + count; ++i) {
      std::string message = std::to_string(i) + ":";
      message.resize(size, '.');
      sender.send(WsClient::frame(WsClient::kText, message));
      rig.settle();
      most = std::max(most, rig.shard().queued_bytes);
    }
  }
  // Takes everything; the numbers of the messages.
  std::vector<int> read_all() {
    reader.set_window(SIZE_MAX);
    rig.settle();
    frames = take_frames(reader);
    std::vector<int> numbers;
    for (const WsFrame& frame : frames) {
      if (frame.opcode == WsClient::kText) numbers.push_back(std::stoi(frame.payload));
    }
    return numbers;
  }
  void TearDown() override {
    target = {};
    if (!rig.loops.empty()) rig.stop();
  }

  io::SimPeer reader, sender;
  sluice::Connection target;
  int queued = 0, blocked = 0, gone = 0;
  std::size_t most = 0;
  std::vector<std::uint16_t> codes;
  std::vector<WsFrame> frames;
};

TEST_F(SlowReaders, AreClosed) {
  for (bool broadcast : {false, true}) {
    if (broadcast) {
      rig.stop();
      codes.clear();
      most = 0;
      gone = 0;
    }
    begin(SlowReader::close, broadcast);
    say(0, 100, 1000);
    EXPECT_LE(most, kBudget + 127 + 14);
    rig.pass(2s);
    EXPECT_EQ(codes, std::vector<std::uint16_t>{1013});
    EXPECT_EQ(rig.network.open_count(), 1u);
    EXPECT_EQ(rig.shard().counters.slow_readers.get(), 1u);
    EXPECT_EQ(rig.count_errors(Errc::slow_reader), broadcast ? 2u : 1u);
    EXPECT_EQ(gone > 0, !broadcast);
    target = {};
  }
}

// One who begins to read in time gets what was queued and the Close frame.
TEST_F(SlowReaders, AreToldWhenTheyReadAfterAll) {
  begin(SlowReader::close, true);
  say(0, 100, 1000);
  std::vector<int> got = read_all();
  ASSERT_FALSE(got.empty());
  for (std::size_t i = 0; i < got.size(); ++i) EXPECT_EQ(got[i], int(i));
  EXPECT_EQ(frames.back().opcode, WsClient::kClose);
  EXPECT_EQ(frames.back().close_code(), 1013);
}

TEST_F(SlowReaders, LoseTheNewest) {
  for (bool broadcast : {false, true}) {
    begin(SlowReader::drop_newest, broadcast);
    say(0, 200, 1000);
    EXPECT_LE(most, kBudget + 14);
    std::vector<int> got = read_all();
    ASSERT_GE(got.size(), 60u);
    ASSERT_LT(got.size(), 70u);
    for (std::size_t i = 0; i < got.size(); ++i) EXPECT_EQ(got[i], int(i));
    EXPECT_EQ(rig.shard().counters.messages_dropped.get(), 200 - got.size());
    EXPECT_EQ(std::size_t(queued), broadcast ? 0 : got.size());
    say(200, 1, 1000);
    EXPECT_EQ(read_all(), std::vector<int>{200}) << "there is room again";
    EXPECT_TRUE(codes.empty());
    target = {};
    queued = 0;
    rig.stop();
    codes.clear();
  }
}

TEST_F(SlowReaders, LoseTheOldest) {
  for (std::size_t size : {std::size_t{100}, std::size_t{1000}, std::size_t{9000}}) {
    for (bool broadcast : {false, true}) {
      SCOPED_TRACE(testing::Message() << size << (broadcast ? " broadcast" : " by name"));
      if (!rig.loops.empty()) rig.stop();
      most = 0;
      begin(SlowReader::drop_oldest, broadcast);
      int count = int(200'000 / size);
      say(0, count, size);
      EXPECT_LE(most, kBudget + 14);
      std::vector<int> got = read_all();
      ASSERT_GE(got.size(), kBudget / (size + 14) - 2);
      EXPECT_EQ(got.back(), count - 1) << "the newest is kept";
      EXPECT_EQ(got[0], 0) << "that one was on its way already";
      for (std::size_t i = 2; i < got.size(); ++i) EXPECT_EQ(got[i], got[i - 1] + 1);
      EXPECT_EQ(rig.shard().counters.messages_dropped.get(), std::size_t(count) - got.size());
      EXPECT_EQ(blocked, 0);
      target = {};
    }
  }
}

// A message of which a part has gone stays, and so do control frames.
TEST_F(SlowReaders, LoseNoHalfMessagesAndNoControlFrames) {
  for (bool broadcast : {false, true}) {
    if (broadcast) rig.stop();
    begin(SlowReader::drop_oldest, broadcast);
    reader.set_window(500);
    say(0, 1, 1000);
    reader.send(WsClient::frame(WsClient::kPing, "p1"));
    rig.settle();
    say(1, 30, 1000);
    reader.send(WsClient::frame(WsClient::kPing, "p2"));
    rig.settle();
    say(31, 300, 1000);
    std::vector<int> got = read_all();
    EXPECT_EQ(got.front(), 0) << "half of it had gone";
    EXPECT_GT(got[1], 200);
    EXPECT_EQ(got.back(), 330);
    std::vector<std::string> pongs;
    for (const WsFrame& frame : frames) {
      if (frame.opcode == WsClient::kPong) pongs.push_back(frame.payload);
      EXPECT_EQ(frame.payload.size(), frame.opcode == WsClient::kText ? 1000u : 2u);
    }
    EXPECT_EQ(pongs, (std::vector<std::string>{"p1", "p2"}));
    target = {};
  }
}

// What an event of the connection itself sends is not lost, whatever others send.
TEST_F(SlowReaders, KeepTheirOwnAnswers) {
  begin(SlowReader::drop_oldest, true);
  rig.on(0, [&] { EXPECT_EQ(target.ping("mine"), SendStatus::queued); });
  say(0, 300, 1000);
  std::vector<int> got = read_all();
  EXPECT_EQ(frames.front().opcode, WsClient::kPing);
  EXPECT_EQ(got.back(), 299);
}

// A message larger than the budget goes to an empty queue, and only there.
TEST_F(SlowReaders, AMessageOverTheBudgetNeedsAnEmptyQueue) {
  begin(SlowReader::drop_newest, false);
  say(0, 3, kBudget * 2);
  EXPECT_EQ(queued, 1);
  EXPECT_EQ(blocked, 2);
  EXPECT_LE(most, kBudget * 2 + 14);
  EXPECT_EQ(read_all(), std::vector<int>{0});
}

// --- The end of a connection whose peer is slow but steady ---------------------------------------

// A peer that takes 8 KiB a second gets all of it, however long that takes.
TEST_F(Flow, ASteadyPeerGetsEverythingBeforeTheEnd) {
  rig.settings.limits.send_queue_bytes = 1 << 20;
  rig.events.websocket.on_message = [](sluice::Connection connection, std::string_view) {
    static_cast<void>(connection.write_data(std::string(200'000, 'x')));
    static_cast<void>(connection.close(1000));
  };
  rig.start();
  io::SimPeer peer = rig.websocket();
  peer.set_window(0);
  peer.send(WsClient::frame(WsClient::kText, "go"));
  rig.settle();
  for (int second = 0; second < 30 && !peer.saw_end(); ++second) {
    peer.open_window(8192);
    rig.pass(1s);
  }
  EXPECT_FALSE(peer.saw_reset());
  std::vector<WsFrame> frames = take_frames(peer);
  ASSERT_EQ(frames.size(), 2u);
  EXPECT_EQ(frames[0].payload.size(), 200'000u);
  EXPECT_EQ(frames[1].close_code(), 1000);
  rig.pass(10s);
  EXPECT_EQ(rig.network.open_count(), 0u);
}

TEST_F(Flow, ASteadyPeerGetsTheLastAnswer) {
  rig.settings.timeouts.drain_entity_body = 5s;
  std::optional<Reply> reply;
  bool late = false;
  rig.events.on_http_request = [&](sluice::Connection, const HttpRequest&, HttpResponse& response) {
    response.content_text(std::string(200'000, 'x'));
    if (late) reply = response.defer();
  };
  rig.start();
  for (bool is_late : {false, true}) {
    late = is_late;
    io::SimPeer peer = rig.connect();
    peer.set_window(0);
    // More comes behind the last request, so that the server lingers.
    peer.send(get("/", "Connection: close\r\n") + get("/") + get("/"));
    rig.settle();
    if (late) rig.on(0, [&] { EXPECT_EQ(reply->send(), Errc::none); });
    rig.settle();
    for (int second = 0; second < 60 && !peer.saw_end(); ++second) {
      peer.open_window(8192);
      rig.pass(1s);
    }
    EXPECT_FALSE(peer.saw_reset()) << late;
    EXPECT_EQ(take_reply(peer).body.size(), 200'000u);
    // The peer leaves its own side open: that is waited for, but not for ever.
    EXPECT_EQ(rig.network.open_count(), 1u);
    rig.pass(10s);
    EXPECT_EQ(rig.network.open_count(), 0u);
  }
}

}  // namespace
}  // namespace sluice::test
