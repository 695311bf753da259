// tests/api/ws_send_test.cpp - sending to a WebSocket: from where, in which order, and to whom
// reads slowly.
//
// Layer: tests.
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "api/ws_harness.hpp"

namespace sluice::test {
namespace {

class WsSend : public WsTest {
 protected:
  using Send = std::function<void(const Connection&, const std::string&)>;
  // One message to the connection; returns when it has been queued or dropped.
  static void send_and_wait(const Send& send, const Connection& to, const std::string& message) {
    send(to, message);
    pass(to);
    pass(to);  // the turn that hands a broadcast out has ended
  }
  // Waits until the connection's shard has done what was asked for before; false if it has gone.
  static bool pass(Connection connection) {
    auto done = std::make_shared<Gate>();
    if (connection.post([done] { done->open(); }) != SendStatus::queued) return false;
    return done->wait();
  }
  // Fills what the kernel takes for a client that does not read, with messages of `size` bytes.
  // Returns how many.
  static std::size_t fill(const Send& send, const Connection& to, std::size_t size) {
    std::size_t count = 0;
    for (std::uint64_t before = ~std::uint64_t{0}; to.bytes_sent() != before && count < 1000;) {
      before = to.bytes_sent();
      ++count;
      send_and_wait(send, to, std::string(size, 'f'));
    }
    return count;
  }
  // Numbered and of `size` bytes.
  static std::string numbered(std::size_t number, std::size_t size) {
    std::string text = std::to_string(number);
    text.append(size - text.size(), '.');
    return text;
  }
  // Both ways in which others send.
  std::vector<Send> ways() {
    return {[](const Connection& to, const std::string& message) {
              Connection(to).write_data(message);
            },
            [this](const Connection&, const std::string& message) { server.broadcast(message); }};
  }
};

TEST_P(WsSend, FromAnotherThreadKeepsTheOrder) {
  Running running = start();
  WsClient socket = ws();
  Connection connection = next_connection();
  const ConnectionId id = connection.id();
  std::jthread sender([&] {
    for (std::size_t i = 0; i < 3000; i += 3) {
      EXPECT_EQ(connection.write_data(std::to_string(i)), SendStatus::queued);
      EXPECT_EQ(server.write_data(id, as_bytes(std::to_string(i + 1))), SendStatus::queued);
      EXPECT_GE(server.broadcast(std::to_string(i + 2)), 1u);
    }
  });
  for (std::size_t i = 0; i < 3000; ++i) ASSERT_EQ(socket.read(), std::to_string(i));
  sender.join();
}

TEST_P(WsSend, FromManyThreadsKeepsTheOrderOfEach) {
  Running running = start();
  WsClient socket = ws();
  Connection connection = next_connection();
  constexpr int kThreads = 4, kMessages = 500;
  std::vector<std::jthread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kMessages; ++i) {
        EXPECT_EQ(Connection(connection).write_data(std::to_string(t * 10000 + i)),
                  SendStatus::queued);
      }
    });
  }
  std::vector<int> next(kThreads, 0);
  for (int i = 0; i < kThreads * kMessages; ++i) {
    const int number = std::stoi(socket.read());
    ASSERT_EQ(number % 10000, next[static_cast<std::size_t>(number / 10000)]++);
  }
  for (std::jthread& thread : threads) thread.join();
}

TEST_P(WsSend, InTheHandlerKeepsTheOrder) {
  server.on_message = [&](Connection connection, std::string_view) {
    for (int i = 0; i < 100; ++i) {
      EXPECT_EQ(connection.write_data("a" + std::to_string(i)), SendStatus::queued);
      EXPECT_EQ(connection.write_data(as_bytes("b" + std::to_string(i))), SendStatus::queued);
      EXPECT_GE(server.broadcast("c" + std::to_string(i)), 1u);
    }
  };
  server.shards = 1;
  Running running = start();
  WsClient socket = ws();
  socket.text("go");
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(socket.read(), "a" + std::to_string(i));
    ASSERT_EQ(socket.read(), "b" + std::to_string(i));
    ASSERT_EQ(socket.read(), "c" + std::to_string(i));
  }
}

TEST_P(WsSend, InFragments) {
  Running running = start();
  WsClient socket = ws();
  Connection connection = next_connection();
  EXPECT_EQ(connection.write_data(as_bytes("abcdefgh"), 3), SendStatus::queued);
  const char* pieces[] = {"abc", "def", "gh"};
  for (int i = 0; i < 3; ++i) {
    std::optional<WsFrame> frame = socket.read_frame();
    ASSERT_TRUE(frame);
    EXPECT_EQ(frame->opcode, i == 0 ? WsClient::kBinary : WsClient::kContinuation);
    EXPECT_EQ(frame->fin, i == 2);
    EXPECT_FALSE(frame->masked);
    EXPECT_EQ(frame->reserved, 0);
    EXPECT_EQ(frame->payload, pieces[i]);
  }
  EXPECT_EQ(connection.write_data(as_bytes("abc"), 3), SendStatus::queued);
  std::optional<WsFrame> whole = socket.read_frame();
  ASSERT_TRUE(whole);
  EXPECT_TRUE(whole->fin);
  EXPECT_EQ(whole->payload, "abc");
}

TEST_P(WsSend, OfMoreThanTheBudgetIsAcceptedWhenNothingWaits) {
  server.limits.send_queue_bytes = 100'000;
  Running running = start();
  WsClient socket = ws();
  const std::string large = pattern(4'000'000);
  EXPECT_EQ(next_connection().write_data(large), SendStatus::queued);
  EXPECT_TRUE(socket.read() == large);
}

TEST_P(WsSend, OfPingsReachesEveryone) {
  Running running = start();
  WsClient one = ws();
  Connection connection = next_connection();
  WsClient two = ws();
  EXPECT_EQ(connection.ping("mine"), SendStatus::queued);
  std::optional<WsFrame> frame = one.read_frame();
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->opcode, WsClient::kPing);
  EXPECT_EQ(frame->payload, "mine");
  one.send(WsClient::frame(WsClient::kPong, "mine"));
  server.ping(std::string(200, 'p'));
  for (WsClient* socket : {&one, &two}) {
    frame = socket->read_frame();
    ASSERT_TRUE(frame);
    EXPECT_EQ(frame->opcode, WsClient::kPing);
    EXPECT_EQ(frame->payload, std::string(125, 'p'));
  }
}

// --- Who reads slowly ----------------------------------------------------------------------------

TEST_P(WsSend, ToASlowReaderClosesWith1013) {
  server.limits.send_queue_bytes = 200'000;
  std::size_t closed = 0;
  Running running = start();
  for (const Send& way : ways()) {
    WsClient socket = ws();
    Connection connection = next_connection();
    const std::string message(50'000, 'm');
    for (std::size_t i = 0; server.counters().messages_dropped == closed; ++i) {
      ASSERT_LT(i, 2000u) << "a client that does not read must be felt";
      send_and_wait(way, connection, message);
    }
    ++closed;
    EXPECT_TRUE(told_error(Errc::slow_reader));
    // The client reads on and finds out.
    EXPECT_EQ(socket.read_close(), 1013);
    socket.close(1013);
    socket.end_sending();
    EXPECT_TRUE(told("disconnect 1013", closed));
    EXPECT_EQ(connection.write_data("x"), SendStatus::gone);
  }
  EXPECT_EQ(server.counters().slow_readers, closed);
}

TEST_P(WsSend, ToASlowReaderDropsTheNewest) {
  server.options.slow_reader = SlowReader::drop_newest;
  server.limits.send_queue_bytes = 200'000;
  Running running = start();
  for (const Send& way : ways()) {
    for (std::size_t size : {std::size_t{50'000}, std::size_t{4'000}}) {
      WsClient socket = ws();
      Connection connection = next_connection();
      const std::uint64_t before = server.counters().messages_dropped;
      const std::size_t fillers = fill(way, connection, 150'000);
      const std::uint64_t full = server.counters().messages_dropped;
      // The kernel may take more between two drops, so each message tells for itself.
      std::vector<std::size_t> kept;
      std::size_t count = 0;
      for (std::uint64_t dropped = full; dropped < full + 3; ++count) {
        ASSERT_LT(count, 50'000u);
        send_and_wait(way, connection, numbered(count, size));
        if (server.counters().messages_dropped == dropped) kept.push_back(count);
        dropped = server.counters().messages_dropped;
      }
      for (std::size_t i = 0; i < fillers - (full - before); ++i)
        ASSERT_EQ(socket.read().front(), 'f');
      for (const std::size_t number : kept) ASSERT_EQ(std::stoul(socket.read()), number);
      send_and_wait(way, connection, "end");
      EXPECT_EQ(socket.read(), "end");
      EXPECT_TRUE(socket.close_and_wait());
      EXPECT_TRUE(eventually([&] { return server.counters().websockets == 0; }));
    }
  }
}

TEST_P(WsSend, ToASlowReaderDropsTheOldest) {
  server.options.slow_reader = SlowReader::drop_oldest;
  server.limits.send_queue_bytes = 200'000;
  Running running = start();
  for (const Send& way : ways()) {
    for (std::size_t size : {std::size_t{50'000}, std::size_t{4'000}}) {
      WsClient socket = ws();
      Connection connection = next_connection();
      const std::uint64_t before = server.counters().messages_dropped;
      const std::size_t fillers = fill(way, connection, 150'000);
      std::size_t count = 0;
      while (server.counters().messages_dropped < before + 20) {
        ASSERT_LT(count, 50'000u);
        send_and_wait(way, connection, numbered(count++, size));
      }
      const std::uint64_t dropped = server.counters().messages_dropped - before;
      // Whole messages, in order, the newest at the end; a gap for each time that the kernel took
      // more between two drops.
      std::size_t received = 0, expected = 0, gaps = 0;
      for (std::size_t number = 0; number != count - 1; ++received) {
        const std::string message = socket.read();
        if (message.front() == 'f') continue;
        ASSERT_EQ(message.size(), size);
        number = std::stoul(message);
        ASSERT_GE(number, expected);
        gaps += number != expected ? 1 : 0;
        expected = number + 1;
      }
      EXPECT_EQ(received + dropped, fillers + count);
      EXPECT_GE(gaps, 1u);
      EXPECT_TRUE(socket.close_and_wait());
      EXPECT_TRUE(eventually([&] { return server.counters().websockets == 0; }));
    }
  }
}

// What a connection's own handlers send is not dropped: reading pauses instead.
TEST_P(WsSend, OfEchoesThatNobodyReadsIsBounded) {
  server.limits.send_queue_bytes = 100'000;
  Running running = start();
  WsClient socket = ws();
  Connection connection = next_connection();
  const std::string frame = WsClient::frame(WsClient::kBinary, std::string(20'000, 'e'));
  constexpr std::size_t kMessages = 3000;
  std::atomic<std::size_t> sent{0};
  std::jthread sender([&] {
    for (std::size_t i = 0; i < kMessages; ++i) {
      if (!socket.send(frame)) return;
      ++sent;
    }
  });
  // The sender comes to a stop: nothing moves any more, though not everything was sent.
  std::uint64_t last = 0;
  for (int quiet = 0; quiet < 5 && connection.bytes_received() < kMessages * 20'000;) {
    ::poll(nullptr, 0, 50);
    quiet = connection.bytes_received() == last ? quiet + 1 : 0;
    last = connection.bytes_received();
  }
  EXPECT_LT(connection.bytes_received(), kMessages * 20'000);
  for (std::size_t i = 0; i < kMessages; ++i) ASSERT_EQ(socket.read().size(), 20'000u) << i;
  sender.join();
  EXPECT_EQ(server.counters().messages_dropped, 0u);
  EXPECT_EQ(server.counters().slow_readers, 0u);
}

TEST_P(WsSend, OfPongsThatNobodyReadsIsBounded) {
  server.limits.send_queue_bytes = 50'000;
  Running running = start();
  WsClient socket = ws();
  Connection connection = next_connection();
  std::string many;
  for (int i = 0; i < 100; ++i) many += WsClient::frame(WsClient::kPing, std::string(125, 'p'));
  constexpr std::size_t kRounds = 1000;
  std::jthread sender([&] {
    for (std::size_t i = 0; i < kRounds; ++i) {
      if (!socket.send(many)) return;
    }
    socket.text("still here");
  });
  // Reading stops when the pongs are not taken.
  std::uint64_t last = 0;
  for (int quiet = 0; quiet < 5 && last < kRounds * many.size();) {
    ::poll(nullptr, 0, 50);
    const std::uint64_t now = connection.bytes_received();
    quiet = now == last ? quiet + 1 : 0;
    last = now;
  }
  EXPECT_LT(last, kRounds * many.size());
  for (std::size_t i = 0; i < 100 * kRounds; ++i) {
    std::optional<WsFrame> frame = socket.read_frame();
    ASSERT_TRUE(frame) << i;
    ASSERT_EQ(frame->opcode, WsClient::kPong);
  }
  EXPECT_EQ(socket.read(), "still here");
}

INSTANTIATE_TEST_SUITE_P(Api, WsSend, engines_and_dispatches(), name_of);

}  // namespace
}  // namespace sluice::test
