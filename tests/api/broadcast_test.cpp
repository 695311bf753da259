// tests/api/broadcast_test.cpp - to many at once: channels, protocols, lists of ids.
//
// Layer: tests.
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "api/ws_harness.hpp"

namespace sluice::test {
namespace {

class Broadcasts : public WsTest {
 protected:
  static constexpr std::size_t kClients = 12;

  void SetUp() override {
    WsTest::SetUp();
    server.shards = 3;
    server.protocols = {"a", "b"};
  }
  // Even ones speak protocol a, odd ones b; every third is in the channel "third".
  void connect_all() {
    for (std::size_t i = 0; i < kClients; ++i) {
      sockets.push_back(std::make_unique<WsClient>(
          port, "/", i % 2 == 0 ? "Sec-WebSocket-Protocol: a\r\n" : "Sec-WebSocket-Protocol: b\r\n",
          kPatience));
      ASSERT_TRUE(sockets.back()->is_open());
      handles.push_back(next_connection());
      if (i % 3 != 0) continue;
      EXPECT_EQ(handles.back().subscribe("third"), SendStatus::queued);
    }
  }
  // Who gets it: '1' for each that does. A message to everybody marks the end.
  std::string who_gets(const BroadcastOptions& options) {
    EXPECT_EQ(server.broadcast("here", options), 3u);
    EXPECT_EQ(server.broadcast("end"), 3u);
    std::string who;
    for (auto& socket : sockets) {
      std::string message = socket->read();
      who.push_back(message == "here" ? '1' : '0');
      if (message == "here") message = socket->read();
      EXPECT_EQ(message, "end");
    }
    return who;
  }
  std::string id(std::size_t i) const { return handles[i].id().to_string(); }

  std::vector<std::unique_ptr<WsClient>> sockets;
  std::vector<Connection> handles;
};

TEST_P(Broadcasts, ReachWhomTheFiltersLeave) {
  Running running = start();
  connect_all();
  EXPECT_EQ(who_gets({}), "111111111111");
  BroadcastOptions channel;
  channel.channel = "third";
  EXPECT_EQ(who_gets(channel), "100100100100");
  BroadcastOptions nobody;
  nobody.channel = "no such channel";
  EXPECT_EQ(who_gets(nobody), "000000000000");
  BroadcastOptions protocol;
  protocol.protocol = "a";
  EXPECT_EQ(who_gets(protocol), "101010101010");
  BroadcastOptions both = channel;
  both.protocol = "a";
  EXPECT_EQ(who_gets(both), "100000100000");
  const std::string two = id(1) + "," + id(2);
  BroadcastOptions include;
  include.include = two;
  EXPECT_EQ(who_gets(include), "011000000000");
  const std::string three = "{" + id(1) + "}; " + id(2) + " ;no id;" + id(3);
  BroadcastOptions exclude;
  exclude.exclude = three;
  EXPECT_EQ(who_gets(exclude), "100011111111");
  BroadcastOptions exclude_wins;
  exclude_wins.include = three;
  exclude_wins.exclude = two;
  EXPECT_EQ(who_gets(exclude_wins), "000100000000");
  BroadcastOptions unknown;
  unknown.include = "no id at all";
  EXPECT_EQ(who_gets(unknown), "000000000000");
}

TEST_P(Broadcasts, FollowSubscriptions) {
  Running running = start();
  connect_all();
  BroadcastOptions channel;
  channel.channel = "third";
  EXPECT_EQ(handles[0].unsubscribe("third"), SendStatus::queued);
  EXPECT_EQ(handles[1].subscribe("third"), SendStatus::queued);
  EXPECT_EQ(handles[1].subscribe("third"), SendStatus::queued);  // twice is once
  EXPECT_EQ(handles[2].unsubscribe("third"), SendStatus::queued);
  EXPECT_EQ(who_gets(channel), "010100100100");
  // Who has gone is not in it any more.
  EXPECT_TRUE(sockets[3]->close_and_wait());
  ASSERT_TRUE(told("disconnect 1000"));
  sockets.erase(sockets.begin() + 3);
  EXPECT_EQ(who_gets(channel), "01000100100");
}

TEST_P(Broadcasts, OfBytesAreBinary) {
  Running running = start();
  connect_all();
  const std::string large = pattern(300'000);
  EXPECT_EQ(server.broadcast(as_bytes(large)), 3u);
  for (auto& socket : sockets) {
    std::optional<WsFrame> frame = socket->read_frame();
    ASSERT_TRUE(frame);
    EXPECT_EQ(frame->opcode, WsClient::kBinary);
    EXPECT_TRUE(frame->payload == large);
  }
}

TEST_P(Broadcasts, ComeFromHandlersToo) {
  server.on_connect = [&](Connection connection) {
    connection.subscribe("room");
    EXPECT_EQ(connection.subscribed("room"), GetParam().dispatch == Dispatch::inline_);
    EXPECT_FALSE(connection.subscribed("other"));
    connections.put(connection);
  };
  server.on_message = [&](Connection, std::string_view text) {
    BroadcastOptions room;
    room.channel = "room";
    EXPECT_EQ(server.broadcast(text, room), 3u);
  };
  Running running = start();
  connect_all();
  for (std::size_t sender = 0; sender < kClients; ++sender) {
    sockets[sender]->text(std::to_string(sender));
    for (auto& socket : sockets) ASSERT_EQ(socket->read(), std::to_string(sender));
  }
}

TEST_P(Broadcasts, FromManyThreadsArriveInTheOrderOfEach) {
  Running running = start();
  connect_all();
  constexpr int kThreads = 3, kMessages = 200;
  std::vector<std::jthread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kMessages; ++i) server.broadcast(std::to_string(t * 10000 + i));
    });
  }
  for (auto& socket : sockets) {
    std::vector<int> next(kThreads, 0);
    for (int i = 0; i < kThreads * kMessages; ++i) {
      const int number = std::stoi(socket->read());
      ASSERT_EQ(number % 10000, next[static_cast<std::size_t>(number / 10000)]++);
    }
  }
  for (std::jthread& thread : threads) thread.join();
}

TEST_P(Broadcasts, AreNotStoppedByOneThatHasGone) {
  Running running = start();
  connect_all();
  for (std::size_t i = 0; i < kClients; i += 2) sockets[i]->http().reset();
  for (int n = 0; n < 50; ++n) EXPECT_EQ(server.broadcast(std::to_string(n)), 3u);
  for (std::size_t i = 1; i < kClients; i += 2) {
    for (int n = 0; n < 50; ++n) ASSERT_EQ(sockets[i]->read(), std::to_string(n));
  }
  EXPECT_TRUE(told("disconnect 1006", kClients / 2));
}

TEST_P(Broadcasts, ReachEveryChannelThatAMaskMatches) {
  Running running = start();
  connect_all();
  const char* names[] = {"Room1", "Room22", "Lobby", "Room1/x"};
  for (std::size_t i = 0; i < 8; ++i) handles[i].subscribe(names[i % 4]);
  handles[0].subscribe("Room22");  // in two of them: it gets it once all the same
  handles[9].subscribe("Bathroom");
  const std::pair<const char*, const char*> table[] = {
      {"Room*", "110111010000"},  {"Room?", "100010000000"},  {"*", "111111110100"},
      {"Room??", "110001000000"}, {"*oom*", "110111010100"},  {"R*1*x", "000100010000"},
      {"Room1", "100010000000"},  {"room*", "000000000000"},  {"*Room1", "100010000000"},
      {"?", "000000000000"},      {"Room1*?", "000100010000"}};
  for (const auto& [mask, who] : table) {
    BroadcastOptions options;
    options.channel = mask;
    EXPECT_EQ(who_gets(options), who) << mask;
  }
  BroadcastOptions filtered;
  filtered.channel = "Room*";
  filtered.protocol = "a";
  const std::string not_zero = id(0);
  filtered.exclude = not_zero;
  EXPECT_EQ(who_gets(filtered), "000010000000");
  EXPECT_TRUE(sockets[4]->close_and_wait());
  ASSERT_TRUE(told("disconnect 1000"));
  sockets.erase(sockets.begin() + 4);
  filtered.protocol = {};
  EXPECT_EQ(who_gets(filtered), "01011010000");
}

TEST_P(Broadcasts, MayBeFragmented) {
  Running running = start();
  connect_all();
  const std::string large = pattern(300'000);
  BroadcastOptions options;
  for (std::size_t size : {std::size_t{3}, std::size_t{70'000}, large.size()}) {
    options.fragment_size = size;
    EXPECT_EQ(server.broadcast(as_bytes(size == 3 ? "abcdefgh" : large), options), 3u);
    const std::string expected = size == 3 ? "abcdefgh" : large;
    for (auto& socket : sockets) {
      std::string message;
      bool fin = false;
      for (std::size_t i = 0; !fin; ++i) {
        std::optional<WsFrame> frame = socket->read_frame();
        ASSERT_TRUE(frame);
        EXPECT_EQ(frame->opcode, i == 0 ? WsClient::kBinary : WsClient::kContinuation);
        EXPECT_LE(frame->payload.size(), size);
        message += frame->payload;
        fin = frame->fin;
      }
      EXPECT_TRUE(message == expected);
    }
  }
  options.fragment_size = 10;
  EXPECT_EQ(server.broadcast("", options), 3u);
  for (auto& socket : sockets) EXPECT_EQ(socket->read(), "");
}

TEST_P(Broadcasts, TellWhenTheyAreDone) {
  Told<std::string> done;
  server.on_broadcast_done = [&](const BroadcastResult& result) {
    done.tell(std::to_string(result.tag) + ": " + std::to_string(result.delivered) + " and not " +
              std::to_string(result.dropped) + " on " + std::to_string(result.shards));
  };
  server.on_message = [&](Connection, std::string_view text) {
    BroadcastOptions options;
    options.tag = 7;
    server.broadcast(text, options);
  };
  Running running = start();
  connect_all();
  const std::string one = id(1);
  struct Row {
    const char* channel;
    const char* protocol;
    std::string_view exclude;
    const char* expected;
  };
  const Row table[] = {{"", "", "", "1: 12 and not 0 on 3"},
                       {"third", "", "", "2: 4 and not 0 on 3"},
                       {"th*", "", "", "3: 4 and not 0 on 3"},
                       {"", "b", one, "4: 5 and not 0 on 3"},
                       {"nobody", "", "", "5: 0 and not 0 on 3"}};
  std::vector<std::string> expected;
  for (std::uint64_t i = 0; i < 5; ++i) {
    BroadcastOptions options;
    options.channel = table[i].channel;
    options.protocol = table[i].protocol;
    options.exclude = table[i].exclude;
    options.tag = i + 1;
    EXPECT_EQ(server.broadcast("x", options), 3u);
    ASSERT_TRUE(done.wait_for(i + 1));
    EXPECT_EQ(done.all().back(), table[i].expected);
  }
  sockets[0]->text("from a handler");
  ASSERT_TRUE(done.wait_for(6));
  EXPECT_EQ(done.all().back(), "7: 12 and not 0 on 3");
}

TEST_P(Broadcasts, TellOfEachOnceFromManyThreads) {
  std::atomic<std::size_t> told_in_all{0}, delivered{0};
  server.on_broadcast_done = [&](const BroadcastResult& result) {
    delivered += result.delivered;
    ++told_in_all;
  };
  Running running = start();
  connect_all();
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 3; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < 100; ++i) server.broadcast("x");
      });
    }
  }
  EXPECT_TRUE(eventually([&] { return told_in_all == 300u; }));
  EXPECT_EQ(delivered, 300 * kClients);
  for (auto& socket : sockets) {
    for (int i = 0; i < 300; ++i) ASSERT_EQ(socket->read(), "x");
  }
}

TEST_P(Broadcasts, BeforeTheStartTellNobody) {
  EXPECT_EQ(server.broadcast("x"), 0u);
  server.ping();
  server.disconnect_all();
  EXPECT_TRUE(server.share_list().empty());
}

INSTANTIATE_TEST_SUITE_P(Api, Broadcasts, every_setup(), name_of);

}  // namespace
}  // namespace sluice::test
