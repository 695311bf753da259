// tests/api/deflate_queues_test.cpp - permessage-deflate where clients read slowly, messages are
// refused or dropped, and settings change.
//
// RFC 7692. Real sockets. Layer: tests.
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "api/deflate_harness.hpp"

namespace sluice::test {
namespace {

class DeflateQueues : public DeflateTest {};

// A client that does not read loses whole messages; those that reach it can be inflated all the
// same, though others were compressed between them that never came.
TEST_P(DeflateQueues, WhatIsDroppedIsReferredToByNothing) {
  allow_takeover();
  server.options.slow_reader = SlowReader::drop_oldest;
  server.limits.send_queue_bytes = 200'000;
  server.timeouts.min_send_rate = 0;
  Running running = start();
  DeflateClient client = open();
  Connection connection = next_connection();
  ASSERT_TRUE(client.send(item(0)));  // an answer that the next could refer to
  ASSERT_EQ(client.read(), item(0));
  std::vector<std::string> sent;
  for (unsigned i = 0; server.counters().messages_dropped < 50; ++i) {
    ASSERT_LT(i, 3000u);
    // Each begins as the one before it has ended.
    sent.push_back(pattern(300, i) + pattern(20'000, i % 50 + 5000) + pattern(300, i + 1));
    if (i % 3 != 0) {  // two in a row: the second could refer to the first
      ASSERT_EQ(connection.write_data(sent.back()), SendStatus::queued);
    } else {
      server.broadcast(sent.back());
    }
    // Not further ahead of the server than what it drops. The first answer was a message, too.
    ASSERT_TRUE(eventually([&] {
      const Counters now = server.counters();
      return now.messages_sent + now.messages_dropped >= i + 2;
    }));
  }
  std::size_t at = 0, came = 0;
  for (const int last : {1, 2}) {
    ASSERT_TRUE(client.send(item(last)));
    for (std::string text = client.read(); text != item(last); text = client.read(), ++came) {
      EXPECT_TRUE(client.was_compressed);
      while (at < sent.size() && sent[at] != text) ++at;
      ASSERT_LT(at, sent.size()) << "of " << text.size() << " bytes, " << text.substr(0, 40);
    }
  }
  EXPECT_LT(came, sent.size());
}

// What a queue refuses may have been compressed by then, and what comes after it is not to refer
// to it. All of a round is written in one event of somebody else's, so that nothing leaves
// meanwhile: what finds no room is known.
class Refusals : public DeflateTest {
 protected:
  // So much was taken, and refused, in each of the rounds.
  void run(std::size_t least_taken, std::size_t least_refused) {
    allow_takeover();
    server.shards = 1;
    server.limits.send_queue_bytes = 100'000;
    Handover<std::vector<std::string>> rounds;
    std::optional<Connection> other;  // the handler's
    unsigned next = 0;
    std::size_t refused = 0;
    server.on_message = [&](Connection, std::string_view) {
      if (!other) other = connections.take();  // the first of them
      std::vector<std::string> taken;
      // Each begins as the one before it has ended. Behind the large ones that find no room there
      // is some for a small one.
      for (unsigned i = 0; i < 16; ++i, ++next) {
        const std::string text = pattern(300, next) +
                                 pattern(i % 4 == 3 ? 100 : 20'000, next + 500) +
                                 pattern(300, next + 1);
        if (other->write_data(text) == SendStatus::queued) {
          taken.push_back(text);
        } else {
          ++refused;
        }
      }
      rounds.put(std::move(taken));
    };
    Running running = start();
    DeflateClient client = open();
    WsClient asks = ws();
    for (int round = 0; round < 5; ++round) {
      ASSERT_TRUE(asks.text("go"));
      const auto taken = rounds.take();
      ASSERT_TRUE(taken);
      EXPECT_GE(taken->size(), least_taken);
      // A newer one may have taken an older one's place.
      std::size_t at = 0;
      for (bool last = false; !last; ++at) {
        const std::string text = client.read();
        EXPECT_TRUE(client.was_compressed);
        while (at < taken->size() && (*taken)[at] != text) ++at;
        ASSERT_LT(at, taken->size()) << "of " << text.size() << " bytes, " << text.substr(0, 40);
        last = at + 1 == taken->size();
      }
    }
    stop(std::move(running));
    EXPECT_GE(refused, 5 * least_refused);
    EXPECT_EQ(errors.size(), 0u);
  }
};

TEST_P(Refusals, TheNewest) {
  server.options.slow_reader = SlowReader::drop_newest;
  run(7, 4);
}

TEST_P(Refusals, WhereNoneWait) {
  server.queue_options.text = QueueLevel::none;
  run(2, 8);
}

TEST_P(Refusals, WhereTheLastWaits) {
  server.queue_options.text = QueueLevel::last;
  run(16, 0);
}

INSTANTIATE_TEST_SUITE_P(Api, Refusals, engines(), name_of);

// The budget is of what waits, not of what was handed in.
TEST_P(DeflateQueues, CompressedBytesCount) {
  server.shards = 1;
  server.limits.send_queue_bytes = 100'000;
  const std::string large(101'000, 'x');
  server.on_message = [&](Connection, std::string_view) {
    auto other = connections.take();  // the first of them
    for (int i = 0; i < 50; ++i) EXPECT_EQ(other->write_data(large), SendStatus::queued);
  };
  Running running = start();
  DeflateClient client = open();
  WsClient asks = ws();
  ASSERT_TRUE(asks.text("go"));
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(client.read() == large) << i;
  EXPECT_EQ(server.counters().slow_readers, 0u);
}

TEST_P(DeflateQueues, SettingsAreJudgedByName) {
  Running running = start();
  using P = PerMessageDeflate;
  struct Bad {
    std::uint32_t P::*member;
    std::uint32_t value;
    const char* name;
  };
  for (const Bad& bad :
       {Bad{&P::server_max_window_bits, 7, "server_max_window_bits"},
        Bad{&P::server_max_window_bits, 16, "server_max_window_bits"},
        Bad{&P::client_max_window_bits, 7, "client_max_window_bits"},
        Bad{&P::client_max_window_bits, 16, "client_max_window_bits"}, Bad{&P::level, 0, "level"},
        Bad{&P::level, 10, "level"}, Bad{&P::memory_level, 0, "memory_level"},
        Bad{&P::memory_level, 10, "memory_level"}}) {
    Settings next = server;
    next.extensions.permessage_deflate.*bad.member = bad.value;
    const auto applied = server.apply(next);
    ASSERT_FALSE(applied);
    EXPECT_EQ(applied.error().code, Errc::bad_setting);
    EXPECT_TRUE(applied.error().detail.starts_with("extensions.permessage_deflate." +
                                                   std::string(bad.name) + " must"))
        << applied.error().detail;
  }
}

// Of a message that refers to none before it.
std::size_t size_alone(std::string_view message, const coding::DeflateOptions& options) {
  std::string out(message.size() + ws::kDeflateTail, '\0');
  return ws::deflate_message(*coding::Deflater::make(options), as_bytes(message),
                             std::as_writable_bytes(std::span(out)))
      .size();
}

TEST_P(DeflateQueues, MayChangeWhileTheServerRuns) {
  allow_takeover();
  deflate().level = 1;
  Running running = start();
  DeflateClient before = open();
  ASSERT_TRUE(before.send(item(1)));
  ASSERT_EQ(before.read(), item(1));
  EXPECT_EQ(before.size, size_alone(item(1), {12, 1, 5}));
  Settings next = server;
  PerMessageDeflate& settings = next.extensions.permessage_deflate;
  settings.level = 9;
  settings.memory_level = 9;
  settings.server_max_window_bits = 10;
  settings.threshold = 1000;
  ASSERT_TRUE(server.apply(next));
  // Its context is made anew, and refers to nothing.
  const std::string text = item(1, 1500);
  ASSERT_TRUE(before.send(text));
  ASSERT_EQ(before.read(), text);
  EXPECT_EQ(before.size, size_alone(text, {12, 9, 9}));
  EXPECT_NE(before.size, size_alone(text, {12, 1, 5}));
  DeflateClient after = open();
  EXPECT_NE(after.answer.find("server_max_window_bits=10"), std::string::npos);
  for (DeflateClient* client : {&before, &after}) {
    ASSERT_TRUE(client->send(item(2, 2000)));
    ASSERT_EQ(client->read(), item(2, 2000));
    EXPECT_TRUE(client->was_compressed);
    ASSERT_TRUE(client->send(item(3)));
    ASSERT_EQ(client->read(), item(3));
    EXPECT_FALSE(client->was_compressed);
  }
  settings.enabled = false;
  ASSERT_TRUE(server.apply(next));
  EXPECT_EQ(open().answer, "");
  ASSERT_TRUE(before.send(item(4, 2000)));  // what was agreed upon stays
  EXPECT_EQ(before.read(), item(4, 2000));
  EXPECT_TRUE(before.was_compressed);
}

INSTANTIATE_TEST_SUITE_P(Api, DeflateQueues, engines(), name_of);

}  // namespace
}  // namespace sluice::test
