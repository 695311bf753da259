// tests/api/ws_results_test.cpp - what became of a send: on_asynchronous, write_and_wait.
//
// Layer: tests.
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "api/ws_harness.hpp"
#include "support/client_process.hpp"

namespace sluice::test {
namespace {

using namespace std::chrono_literals;

class Asynchronous : public WsTest {
 protected:
  void SetUp() override {
    WsTest::SetUp();
    server.asynchronous = true;
    server.limits.send_queue_bytes = 64 << 20;
    server.on_asynchronous = [this](Connection, const SendResult& result) {
      events.tell("sent");
      results.tell(result);
    };
  }
  // The results as "tag bytes error", in the order in which they were told.
  std::vector<std::string> wait_for_results(std::size_t count) {
    EXPECT_TRUE(results.wait_for(count));
    std::vector<std::string> lines;
    for (const SendResult& result : results.all()) {
      lines.push_back(std::to_string(result.tag) + " " + std::to_string(result.bytes) + " " +
                      std::to_string(static_cast<int>(result.error.code)));
    }
    return lines;
  }

  Told<SendResult> results;
};

TEST_P(Asynchronous, TellsOfEachSendInOrder) {
  server.on_connect = [this](Connection connection) {
    EXPECT_EQ(connection.write_data("abc", SendTag{1}), SendStatus::queued);
    EXPECT_EQ(connection.write_data(as_bytes("defgh"), SendTag{2}, 2), SendStatus::queued);
    EXPECT_EQ(connection.write_data("no tag"), SendStatus::queued);
    connections.put(connection);
  };
  Running running = start();
  WsClient socket = ws();
  Connection connection = next_connection();
  EXPECT_EQ(connection.write_data("from afar", SendTag{~0ull}), SendStatus::queued);
  EXPECT_EQ(server.write_data(connection.id(), "by id", SendTag{5}), SendStatus::queued);
  EXPECT_EQ(server.write_data(connection.id(), as_bytes("bytes"), SendTag{6}), SendStatus::queued);
  EXPECT_EQ(wait_for_results(6),
            (std::vector<std::string>{"1 3 0", "2 5 0", "0 6 0", "18446744073709551615 9 0",
                                      "5 5 0", "6 5 0"}));
  EXPECT_EQ(socket.read(), "abc");
  for (const char* piece : {"de", "fg", "h", "no tag", "from afar", "by id", "bytes"}) {
    EXPECT_EQ(socket.read(), piece);
  }
  socket.text("echo");
  EXPECT_EQ(socket.read(), "echo");
  EXPECT_TRUE(results.wait_for(7));
}

TEST_P(Asynchronous, LargeMessagesArriveWhole) {
  Running running = start();
  WsClient socket = ws();
  Connection connection = next_connection();
  const std::size_t sizes[] = {500'001, 10'000'000, 1, 700'000};
  for (std::size_t size : sizes) {
    const std::string message = pattern(size);
    EXPECT_EQ(connection.write_data(message, SendTag{size}), SendStatus::queued);
    EXPECT_EQ(connection.write_data(as_bytes(message), SendTag{size}, 60'000), SendStatus::queued);
    EXPECT_TRUE(socket.read() == message) << size;
    std::string pieces;
    while (pieces.size() < size) pieces += socket.read();
    EXPECT_TRUE(pieces == message) << size;
  }
  EXPECT_TRUE(results.wait_for(8));
  for (const SendResult& result : results.all()) {
    EXPECT_FALSE(result.error) << result.error.message();
    EXPECT_EQ(result.bytes, result.tag);
  }
}

TEST_P(Asynchronous, WhatADisconnectLeavesIsToldBeforeIt) {
  Running running = start();
  auto socket = std::make_unique<WsClient>(port, "/", "", kPatience);
  Connection connection = next_connection();
  constexpr std::size_t kSends = 20;
  for (std::size_t i = 0; i < kSends; ++i) {
    EXPECT_EQ(connection.write_data(std::string(2'000'000, 'x'), SendTag{i}), SendStatus::queued);
  }
  socket->http().reset();
  ASSERT_TRUE(told("disconnect 1006"));
  const std::vector<std::string> list = events.all();
  EXPECT_EQ(list.back(), "disconnect 1006");
  EXPECT_EQ(events.count("sent"), kSends);
  std::size_t failed = 0, next = 0;
  for (const SendResult& result : results.all()) {
    EXPECT_EQ(result.tag, next++);
    failed += result.error ? 1 : 0;
  }
  EXPECT_GT(failed, 0u);
  EXPECT_EQ(connection.write_data("x", SendTag{99}), SendStatus::gone);
}

// Threads that go on sending while their connections go: each `queued` has one result, and none
// comes behind on_disconnect.
TEST_P(Asynchronous, EachQueuedSendHasOneResult) {
  server.options.slow_reader = SlowReader::drop_newest;
  std::mutex mutex;
  std::map<ConnectionId, std::size_t> told_of;
  std::size_t behind = 0;
  std::map<ConnectionId, bool> gone;
  server.on_asynchronous = [&](Connection connection, const SendResult&) {
    std::lock_guard lock(mutex);
    ++told_of[connection.id()];
    behind += gone[connection.id()] ? 1 : 0;
  };
  server.on_disconnect = [&](Connection connection, std::uint16_t) {
    {
      std::lock_guard lock(mutex);
      gone[connection.id()] = true;
    }
    events.tell("disconnect");
  };
  Running running = start();
  constexpr int kRounds = 40;
  for (int round = 0; round < kRounds; ++round) {
    WsClient socket = ws();
    Connection connection = next_connection();
    const ConnectionId id = connection.id();
    std::atomic<std::size_t> queued{0};
    std::vector<std::jthread> threads;
    for (int t = 0; t < 2; ++t) {
      threads.emplace_back([&, mine = connection]() mutable {
        for (std::uint64_t i = 0;; ++i) {
          SendStatus status = mine.write_data(std::string(3'000, 'x'), SendTag{i});
          if (status == SendStatus::gone) return;
          queued += status == SendStatus::queued ? 1 : 0;
        }
      });
    }
    socket.read();
    socket.http().reset();
    for (std::jthread& thread : threads) thread.join();
    ASSERT_TRUE(told("disconnect", static_cast<std::size_t>(round) + 1));
    std::lock_guard lock(mutex);
    EXPECT_EQ(told_of[id], queued.load());
  }
  std::lock_guard lock(mutex);
  EXPECT_EQ(behind, 0u);
}

TEST_P(Asynchronous, WhatIsDroppedHasFailed) {
  server.options.slow_reader = SlowReader::drop_oldest;
  server.limits.send_queue_bytes = 200'000;
  Running running = start();
  WsClient socket = ws();
  Connection connection = next_connection();
  std::uint64_t count = 0;
  while (server.counters().messages_dropped < 5) {
    ASSERT_LT(count, 20'000u);
    EXPECT_EQ(connection.write_data(std::string(50'000, 'd'), SendTag{count++}),
              SendStatus::queued);
    Gate seen;
    connection.post([&] { seen.open(); });
    ASSERT_TRUE(seen.wait());
  }
  std::uint64_t received = 0;
  const std::uint64_t dropped = server.counters().messages_dropped;
  while (received < count - dropped) {
    ASSERT_EQ(socket.read().size(), 50'000u);
    ++received;
  }
  ASSERT_TRUE(results.wait_for(count));
  std::uint64_t failed = 0;
  for (const SendResult& result : results.all()) {
    if (!result.error) continue;
    ++failed;
    EXPECT_EQ(result.error.code, Errc::slow_reader);
  }
  EXPECT_EQ(failed, dropped);
}

TEST_P(Asynchronous, HandlersMaySendAgain) {
  server.on_asynchronous = [](Connection connection, const SendResult& result) {
    if (result.tag < 100)
      connection.write_data(std::to_string(result.tag + 1), SendTag{result.tag + 1});
  };
  Running running = start();
  WsClient socket = ws();
  next_connection().write_data("0", SendTag{0});
  for (int i = 0; i <= 100; ++i) ASSERT_EQ(socket.read(), std::to_string(i));
}

TEST_P(Asynchronous, OffTellsNothing) {
  server.asynchronous = false;
  Running running = start();
  WsClient socket = ws();
  Connection connection = next_connection();
  EXPECT_EQ(connection.write_data("x", SendTag{1}), SendStatus::queued);
  EXPECT_EQ(socket.read(), "x");
  EXPECT_TRUE(socket.close_and_wait());
  EXPECT_TRUE(told("disconnect 1000"));
  EXPECT_EQ(results.size(), 0u);
}

// --- write_and_wait ------------------------------------------------------------------------------

class WriteAndWait : public WsTest {};

TEST_P(WriteAndWait, ReturnsWhenTheKernelHasIt) {
  server.limits.send_queue_bytes = 100'000;
  Running running = start();
  WsClient socket = ws();
  Connection connection = next_connection();
  EXPECT_TRUE(connection.write_and_wait("hello", kPatience));
  EXPECT_EQ(socket.read(), "hello");
  const std::string large = pattern(10'000'000);
  std::jthread reader([&] {
    EXPECT_TRUE(socket.read() == large);
    EXPECT_EQ(socket.read(), "end");
  });
  EXPECT_TRUE(connection.write_and_wait(as_bytes(large), kPatience));
  EXPECT_GE(connection.bytes_sent(), large.size());
  EXPECT_TRUE(connection.write_and_wait("end", kPatience));
}

TEST_P(WriteAndWait, FromManyThreadsIsNeverDropped) {
  server.limits.send_queue_bytes = 20'000;
  server.options.slow_reader = SlowReader::drop_newest;
  Running running = start();
  WsClient socket = ws();
  Connection connection = next_connection();
  constexpr std::size_t kThreads = 4, kEach = 50, kSize = 30'000;
  std::vector<std::jthread> threads;
  for (std::size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([mine = connection]() mutable {
      for (std::size_t i = 0; i < kEach; ++i) {
        EXPECT_TRUE(mine.write_and_wait(std::string(kSize, 'w'), kPatience));
      }
    });
  }
  for (std::size_t i = 0; i < kThreads * kEach; ++i) ASSERT_EQ(socket.read().size(), kSize);
  threads.clear();
  EXPECT_EQ(server.counters().messages_dropped, 0u);
}

TEST_P(WriteAndWait, SaysThatTimeIsOverOrThePeerGone) {
  Running running = start();
  WsClient socket = ws();
  Connection connection = next_connection();
  Result<void> late = connection.write_and_wait(std::string(20'000'000, 'x'), 50ms);
  EXPECT_EQ(late.error().code, Errc::timed_out);
  std::jthread resets([&] {
    EXPECT_TRUE(eventually([&] { return server.counters().bytes_queued > 20'000'000; }));
    socket.http().reset();
  });
  Result<void> gone = connection.write_and_wait(std::string(20'000'000, 'x'), kPatience);
  EXPECT_FALSE(gone);
  EXPECT_NE(gone.error().code, Errc::timed_out);
  EXPECT_TRUE(told("disconnect 1006"));
  EXPECT_EQ(connection.write_and_wait("x", kPatience).error().code, Errc::gone);
  EXPECT_EQ(Connection().write_and_wait("x", kPatience).error().code, Errc::gone);
}

TEST_P(WriteAndWait, WouldDeadlockInHandlers) {
  Handover<Errc> answers;
  server.on_message = [&](Connection connection, std::string_view text) {
    answers.put(connection.write_and_wait(text, kPatience).error().code);
  };
  Running running = start();
  WsClient socket = ws();
  socket.text("x");
  EXPECT_EQ(answers.take(), Errc::would_deadlock);
}

INSTANTIATE_TEST_SUITE_P(Api, Asynchronous, engines_and_dispatches(), name_of);
INSTANTIATE_TEST_SUITE_P(Api, WriteAndWait, engines_and_dispatches(), name_of);

}  // namespace
}  // namespace sluice::test
