// tests/io/engine_bulk_test.cpp - what arrives in bulk: large pieces, told when much is there.
//
// Layer: tests.
#include <unistd.h>

#include <algorithm>

#include "harness.hpp"

namespace sluice::io {
namespace {

class EngineBulk : public EngineTest {
 protected:
  // Not on AF_UNIX: its kernel side tells of every byte.
  bool waits() { return harness().is_tcp() || harness().is_simulated(); }

  void send_all(Peer& peer, std::string_view text) {
    ASSERT_TRUE(harness().until([&] {
      text.remove_prefix(peer.send(text.substr(0, 50'000)));
      return text.empty();
    }));
  }
};

INSTANTIATE_TEST_SUITE_P(Engines, EngineBulk, testing::ValuesIn(all_setups()),
                         [](const auto& setup) { return name_of(setup.param); });

TEST_P(EngineBulk, IsToldInLargePieces) {
  auto [fd, peer] = harness().connect();
  Recorder recorder(engine());
  std::vector<std::size_t> pieces;
  recorder.when_received = [&](const Received& got) {
    EXPECT_LE(got.bytes.size(), Engine::kBulkBlock);
    pieces.push_back(got.bytes.size());
  };
  recorder.adopt(engine(), fd);
  harness().some_turns(2);
  engine().expect_bulk(recorder.socket, true);
  const std::string text = numbered(8 * Engine::kBulkWait + 1000);
  send_all(*peer, std::string_view(text).substr(0, Engine::kBulkWait - 1));
  harness().some_turns();
  if (waits()) {
    EXPECT_EQ(pieces.size(), 0u) << "told of " << recorder.received.size();
  }
  send_all(*peer, std::string_view(text).substr(Engine::kBulkWait - 1));
  ASSERT_TRUE(
      harness().until([&] { return recorder.received.size() + Engine::kBulkWait > text.size(); }));
  engine().expect_bulk(recorder.socket, false);
  ASSERT_TRUE(harness().until([&] { return recorder.received.size() == text.size(); }));
  EXPECT_TRUE(recorder.received == text);
  if (waits()) {
    EXPECT_GE(*std::max_element(pieces.begin(), pieces.end()), Engine::kBulkWait);
  }
  recorder.close();
  ASSERT_TRUE(harness().until([&] { return recorder.is_over(); }));
}

TEST_P(EngineBulk, SwitchedOffItTellsOfALittle) {
  auto [fd, peer] = harness().connect();
  Recorder recorder(engine());
  recorder.adopt(engine(), fd);
  harness().some_turns(2);
  for (int i = 1; i <= 3; ++i) {
    engine().expect_bulk(recorder.socket, true);
    harness().some_turns(2);
    peer->send("some bytes");
    harness().some_turns();
    engine().expect_bulk(recorder.socket, false);
    ASSERT_TRUE(harness().until([&] { return recorder.received.size() == std::size_t(i) * 10; }));
  }
  recorder.close();
  ASSERT_TRUE(harness().until([&] { return recorder.is_over(); }));
}

TEST_P(EngineBulk, TheEndIsToldBehindWhatever) {
  for (std::size_t size : {std::size_t{0}, std::size_t{1000}, 3 * Engine::kBulkWait}) {
    auto [fd, peer] = harness().connect();
    Recorder recorder(engine());
    recorder.adopt(engine(), fd);
    engine().expect_bulk(recorder.socket, true);
    const std::string text = numbered(size);
    send_all(*peer, text);
    peer->end();
    ASSERT_TRUE(harness().until([&] { return recorder.count('e') == 1; })) << size;
    EXPECT_TRUE(recorder.received == text);
    recorder.close();
    ASSERT_TRUE(harness().until([&] { return recorder.is_over(); }));
  }
}

// More than there may be: what follows comes in the usual ones.
TEST_P(EngineBulk, BlocksMayBeKept) {
  auto [fd, peer] = harness().connect();
  Recorder recorder(engine());
  std::vector<base::BlockRef> kept;
  std::size_t large = 0;
  recorder.when_received = [&](const Received& got) {
    if (got.bytes.size() > 65'536) {
      kept.push_back(base::BlockRef::share(*got.block));
      large = std::max(large, kept.size());
    }
  };
  recorder.adopt(engine(), fd);
  engine().expect_bulk(recorder.socket, true);
  const std::string text = numbered(20 * Engine::kBulkBlock);
  send_all(*peer, text);
  peer->end();
  ASSERT_TRUE(harness().until([&] { return recorder.count('e') == 1; }));
  EXPECT_TRUE(recorder.received == text);
  if (waits() && !harness().is_simulated()) {
    EXPECT_LE(large, Engine::kBulkBlocks);
  }
  kept.clear();
  recorder.close();
  ASSERT_TRUE(harness().until([&] { return recorder.is_over(); }));
}

TEST_P(EngineBulk, PausingHoldsBetweenPieces) {
  auto [fd, peer] = harness().connect();
  Recorder recorder(engine());
  bool paused = false;
  recorder.when_received = [&](const Received&) {
    EXPECT_FALSE(paused) << "delivered while paused";
    paused = true;
    engine().pause(recorder.socket);
  };
  recorder.adopt(engine(), fd);
  engine().expect_bulk(recorder.socket, true);
  const std::string text = numbered(3'000'000);
  std::string_view left = text;
  int turns = 0;
  ASSERT_TRUE(harness().until([&, &far = peer] {
    left.remove_prefix(far->send(left.substr(0, 200'000)));
    if (left.empty()) engine().expect_bulk(recorder.socket, false);
    if (++turns % 3 == 0) {
      paused = false;
      engine().resume(recorder.socket);
    }
    return recorder.received.size() == text.size();
  }));
  EXPECT_TRUE(recorder.received == text);
  recorder.close();
  ASSERT_TRUE(harness().until([&] { return recorder.is_over(); }));
}

// Whatever is on its way to the kernel at that moment.
TEST_P(EngineBulk, EndsAfterEverySwitch) {
  for (const char* what : {"close", "abort", "detach"}) {
    for (const char* before : {"+", "+-", "+.", "+.-", "+-.", "+.-.", "+.-+", "+.-.+", "+-+-"}) {
      auto [fd, peer] = harness().connect();
      Recorder recorder(engine());
      recorder.adopt(engine(), fd);
      harness().some_turns(2);
      for (const char* step = before; *step; ++step) {
        if (*step == '.') {
          harness().turn();
        } else {
          engine().expect_bulk(recorder.socket, *step == '+');
        }
      }
      peer->send("unseen");
      if (*what == 'd') {
        engine().detach(recorder.socket);
      } else {
        recorder.close(*what == 'a' ? CloseMode::abort : CloseMode::graceful);
      }
      ASSERT_TRUE(harness().until([&] { return recorder.is_over(); })) << what << before;
      if (*what != 'd') continue;
      // It is as it was.
      Recorder second(harness().other());
      second.adopt(harness().other(), recorder.given, as_bytes(recorder.unread));
      const std::string got = recorder.received;
      ASSERT_TRUE(harness().until([&] { return got + second.received == "unseen"; })) << before;
      second.close();
      ASSERT_TRUE(harness().until([&] { return second.is_over(); }));
    }
  }
}

}  // namespace
}  // namespace sluice::io
