// tests/io/engine_blocks_test.cpp - what every engine promises about the blocks it receives into: a
// few serve many.
//
// Layer: tests.
#include <algorithm>

#include "harness.hpp"

namespace sluice::io {
namespace {

class EngineBlocks : public EngineTest {};

INSTANTIATE_TEST_SUITE_P(Engines, EngineBlocks, testing::ValuesIn(all_setups()),
                         [](const auto& setup) { return name_of(setup.param); });

TEST_P(EngineBlocks, EightBlocksServeEightThousandReadySockets) {
  start({.receive_block_bytes = 1024, .receive_blocks = 8});
  std::size_t count = raise_descriptor_limit() >= 17'000 ? 8'000 : 400;
  if (harness().is_tcp()) count = std::min<std::size_t>(count, 2'000);
  struct Client {
    explicit Client(Engine& engine) : recorder(engine) {}
    std::unique_ptr<Peer> peer;
    Recorder recorder;
  };
  std::vector<std::unique_ptr<Client>> clients;
  std::size_t served = 0, over = 0;
  for (std::size_t i = 0; i < count; ++i) {
    auto client = std::make_unique<Client>(engine());
    auto [fd, peer] = harness().connect();
    client->peer = std::move(peer);
    const std::string request = "request " + std::to_string(i);
    client->peer->send(request);
    // Perhaps in two pieces: the end of one block and the beginning of the next.
    client->recorder.when_received = [&, &got = client->recorder.received,
                                      size = request.size()](const Received&) {
      if (got.size() == size) ++served;
    };
    client->recorder.when_closed = [&] { ++over; };
    client->recorder.adopt(engine(), fd);
    clients.push_back(std::move(client));
  }
  ASSERT_TRUE(harness().until([&] { return served >= count; }));
  for (std::size_t i = 0; i < count; ++i) {
    EXPECT_EQ(clients[i]->recorder.received, "request " + std::to_string(i));
    clients[i]->recorder.close();
  }
  ASSERT_TRUE(harness().until([&] { return over == count; }));
}

// More completions than the ring's queue has room for, all at once.
TEST_P(EngineBlocks, ABurstOnManySocketsLosesNothing) {
  if (GetParam().transport == Transport::tcp) return;  // the same with other sockets, and slower
  start({.receive_block_bytes = 1024, .receive_blocks = 32768});
  std::size_t count = raise_descriptor_limit() >= 17'000 ? 7'000 : 400;
  const std::string text = numbered(6 * 1024);
  std::vector<std::unique_ptr<Recorder>> recorders;
  std::vector<std::unique_ptr<Peer>> peers;
  std::size_t received = 0, over = 0;
  for (std::size_t i = 0; i < count; ++i) {
    auto [fd, peer] = harness().connect();
    peers.push_back(std::move(peer));
    recorders.push_back(std::make_unique<Recorder>(engine()));
    recorders.back()->when_received = [&](const Received& bytes) {
      received += bytes.bytes.size();
    };
    recorders.back()->when_closed = [&] { ++over; };
    recorders.back()->adopt(engine(), fd);
  }
  for (int round = 0; round < 4; ++round) {
    received = 0;
    for (std::size_t i = 0; i < count; ++i) {
      recorders[i]->received.clear();
      recorders[i]->order.clear();
      ASSERT_EQ(peers[i]->send(text), text.size());
    }
    ASSERT_TRUE(harness().until([&] { return received == count * text.size(); }));
    for (auto& recorder : recorders) ASSERT_EQ(recorder->received, text);
  }
  for (auto& recorder : recorders) recorder->close();
  ASSERT_TRUE(harness().until([&] { return over == count; }));
}

// Fewer others than there are blocks, and more.
class EngineFlood : public EngineTest {
 protected:
  void flood_among(std::size_t others);
};

INSTANTIATE_TEST_SUITE_P(Engines, EngineFlood, testing::ValuesIn(all_setups()),
                         [](const auto& setup) { return name_of(setup.param); });

void EngineFlood::flood_among(std::size_t others) {
  start({.receive_block_bytes = 4096, .receive_blocks = 8});
  auto [flood_fd, flood] = harness().connect();
  Recorder flooded(engine());
  flooded.adopt(engine(), flood_fd);
  const std::string block = numbered(1 << 20);
  std::vector<std::unique_ptr<Recorder>> recorders;
  std::vector<std::unique_ptr<Peer>> peers;
  for (std::size_t i = 0; i < others; ++i) {
    auto [fd, peer] = harness().connect();
    peers.push_back(std::move(peer));
    recorders.push_back(std::make_unique<Recorder>(engine()));
    recorders.back()->adopt(engine(), fd);
  }
  for (std::size_t round = 1; round <= 20; ++round) {
    for (auto& peer : peers) peer->send("x");
    int turns = 0;
    ASSERT_TRUE(harness().until([&, &far = flood] {
      far->send(block);
      ++turns;
      return std::all_of(recorders.begin(), recorders.end(),
                         [&](auto& recorder) { return recorder->received.size() == round; });
    }));
    EXPECT_LE(turns, 20);
  }
  EXPECT_GE(flooded.received.size(), 20u * 4096);
  std::size_t over = 0;
  flooded.when_closed = [&] { ++over; };
  flooded.close();
  for (auto& recorder : recorders) {
    recorder->when_closed = [&] { ++over; };
    recorder->close();
  }
  ASSERT_TRUE(harness().until([&] { return over == others + 1; }));
}

TEST_P(EngineFlood, HoldsUpNoneOfThree) { flood_among(3); }
TEST_P(EngineFlood, HoldsUpNoneOfThirty) { flood_among(30); }

TEST_P(EngineBlocks, SharedBlocksCountUntilTheyAreReleased) {
  start({.receive_block_bytes = 1024, .receive_blocks = 4});
  std::vector<base::BlockRef> shared;
  std::vector<std::string> contents;
  std::vector<std::unique_ptr<Recorder>> recorders;
  std::vector<std::unique_ptr<Peer>> peers;
  std::size_t over = 0;
  for (int i = 0; i < 12; ++i) {
    auto [fd, peer] = harness().connect();
    std::string text = "from " + std::to_string(i);
    text.resize(1024);  // fills a block
    peer->send(text);
    peers.push_back(std::move(peer));
    recorders.push_back(std::make_unique<Recorder>(engine()));
    recorders.back()->when_received = [&](const Received& received) {
      shared.push_back(base::BlockRef::share(*received.block));
      contents.emplace_back(as_text(received.bytes));
    };
    recorders.back()->when_closed = [&] { ++over; };
    recorders.back()->adopt(engine(), fd);
  }
  for (std::size_t round = 1; round <= 3; ++round) {
    ASSERT_TRUE(harness().until([&] { return contents.size() == round * 4; }));
    harness().some_turns();
    ASSERT_EQ(contents.size(), round * 4) << "more blocks are out than allowed";
    for (std::size_t i = 0; i < 4; ++i) {
      const std::string& content = contents[round * 4 - 4 + i];
      EXPECT_EQ(std::string_view(shared[i]->text(), content.size()), content);
    }
    shared.clear();
  }
  EXPECT_GT(engine().counters().out_of_blocks, 0u);
  for (auto& recorder : recorders) recorder->close();
  ASSERT_TRUE(harness().until([&] { return over == recorders.size(); }));
}

TEST_P(EngineBlocks, AQuietEngineHasNoMoreBlocksThanItPosts) {
  start({.receive_block_bytes = 1024, .receive_blocks = 16});
  auto [fd, peer] = harness().connect();
  Recorder recorder(engine());
  std::vector<base::BlockRef> shared;
  recorder.when_received = [&](const Received& received) {
    shared.push_back(base::BlockRef::share(*received.block));
    if (shared.size() > 8) shared.erase(shared.begin());
  };
  recorder.adopt(engine(), fd);
  const std::string text = numbered(200'000);
  std::size_t given = 0;
  ASSERT_TRUE(harness().until([&, &far = peer] {
    given += far->send(std::string_view(text).substr(given));
    EXPECT_LE(engine().blocks().blocks_in_use(), 16u);
    return recorder.received.size() == text.size();
  }));
  EXPECT_EQ(recorder.received, text);
  shared.clear();
  recorder.close();
  ASSERT_TRUE(harness().until([&] { return recorder.is_over(); }));
  harness().some_turns();
  EXPECT_LE(engine().blocks().blocks_in_use(), 16u);
}

}  // namespace
}  // namespace sluice::io
