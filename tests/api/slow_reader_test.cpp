// tests/api/slow_reader_test.cpp - what a client that has stopped costs while a broadcast goes on.
//
// The client is a process that is stopped: its machine's kernel still takes what fits, and then no
// more. Layer: tests.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <optional>
#include <string>

#include "api/ws_harness.hpp"
#include "support/client_process.hpp"

namespace sluice::test {
namespace {

class SlowReaders : public WsTest {
 protected:
  static constexpr std::size_t kBudget = 300'000, kMessage = 40'000;

  void SetUp() override {
    WsTest::SetUp();
    server.limits.send_queue_bytes = kBudget;
    server.timeouts.min_send_rate = 0;
  }
  // Broadcasts until `enough`, to a client that has stopped and one that reads everything. What
  // waits in the server stays below the budget all the time.
  void broadcast_until(const std::function<bool(const Counters&)>& enough) {
    const std::string message = pattern(kMessage);
    std::uint64_t most = 0;
    std::size_t sent = 0;
    for (;; ++sent) {
      ASSERT_LT(sent, 2000u);
      EXPECT_EQ(server.broadcast(message), 2u);
      ASSERT_TRUE(reader->read() == message);  // nobody else is held up
      const Counters now = server.counters();
      most = std::max(most, now.bytes_queued);
      if (enough(now)) break;
    }
    // One message more may be on its way to the client that reads.
    EXPECT_LE(most, kBudget + kMessage + 100);
    EXPECT_GT(sent, kBudget / kMessage);
  }
  void begin() {
    reader.emplace(port, "/", "", kPatience);
    stopped.emplace(port, ClientProcess::Does::reads);
    ASSERT_TRUE(told("connect", 2));
    ASSERT_TRUE(stopped->stop());
  }

  // The client that has stopped loses messages, and goes on with the others.
  void lose(SlowReader policy) {
    server.options.slow_reader = policy;
    Running running = start();
    begin();
    broadcast_until([](const Counters& now) { return now.messages_dropped >= 50; });
    EXPECT_EQ(server.counters().slow_readers, 1u);
    stopped->go_on();
    EXPECT_TRUE(eventually([&] { return server.counters().bytes_queued == 0; }));
    EXPECT_EQ(server.counters().websockets, 2u);
    EXPECT_EQ(errors.size(), 0u);
  }

  std::optional<WsClient> reader;
  std::optional<ClientProcess> stopped;
};

TEST_P(SlowReaders, AreClosed) {
  Running running = start();
  begin();
  broadcast_until([](const Counters& now) { return now.messages_dropped > 0; });
  EXPECT_TRUE(told_error(Errc::slow_reader));
  EXPECT_TRUE(told("disconnect 1013"));
  EXPECT_TRUE(eventually([&] { return server.counters().bytes_queued == 0; }));
  EXPECT_EQ(server.counters().websockets, 1u);
  EXPECT_EQ(server.counters().slow_readers, 1u);
}

TEST_P(SlowReaders, LoseWhatIsNew) { lose(SlowReader::drop_newest); }

TEST_P(SlowReaders, LoseWhatIsOld) { lose(SlowReader::drop_oldest); }

// What on_broadcast_done says of it.
TEST_P(SlowReaders, AreCounted) {
  server.options.slow_reader = SlowReader::drop_newest;
  std::atomic<std::size_t> delivered{0}, dropped{0}, broadcasts{0};
  server.on_broadcast_done = [&](const BroadcastResult& result) {
    delivered += result.delivered;
    dropped += result.dropped;
    ++broadcasts;
  };
  Running running = start();
  begin();
  broadcast_until([](const Counters& now) { return now.messages_dropped >= 10; });
  EXPECT_TRUE(eventually([&] { return delivered + dropped == 2 * broadcasts; }));
  EXPECT_TRUE(eventually([&] { return dropped == server.counters().messages_dropped; }));
}

INSTANTIATE_TEST_SUITE_P(Api, SlowReaders, engines(), name_of);

}  // namespace
}  // namespace sluice::test
