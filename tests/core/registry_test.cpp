// tests/core/registry_test.cpp - slots are used again, generations are not; ids cannot be guessed.
//
// Layer: tests.
#include "core/registry.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "core/harness.hpp"
#include "crypto/digest.hpp"

namespace sluice::test {
namespace {

TEST(Registry, FindsByGeneration) {
  Bench bench;
  core::Registry& registry = bench.shard->registry;
  auto* first = new PlainConnection(*bench.shard);
  registry.add(*first);
  std::uint32_t slot = first->slot, generation = first->generation;
  EXPECT_TRUE(registry.find(slot, generation));
  EXPECT_FALSE(registry.find(slot, generation + 1));
  EXPECT_FALSE(registry.find(slot + 1, generation));
  EXPECT_FALSE(registry.find(0xffff'ffff, generation));
  registry.remove(*first);
  EXPECT_FALSE(registry.find(slot, generation));
  auto* second = new PlainConnection(*bench.shard);
  registry.add(*second);
  EXPECT_EQ(second->slot, slot) << "the slot is used again";
  EXPECT_NE(second->generation, generation);
  EXPECT_FALSE(registry.find(slot, generation)) << "the old id finds nobody";
  EXPECT_EQ(core::Connection::of(registry.find(slot, second->generation)), second);
  registry.remove(*second);
  first->release();
  second->release();
  EXPECT_EQ(registry.size(), 0u);
}

TEST(Registry, SlotsStayDense) {
  Bench bench;
  core::Registry& registry = bench.shard->registry;
  std::vector<PlainConnection*> open;
  std::set<std::pair<std::uint32_t, std::uint32_t>> seen;
  unsigned random = 1;
  for (int i = 0; i < 5000; ++i) {
    random = random * 1103515245 + 12345;
    if (open.size() < 50 && (random >> 16) % 3 != 0) {
      open.push_back(new PlainConnection(*bench.shard));
      registry.add(*open.back());
      EXPECT_LT(open.back()->slot, 50u);
      EXPECT_TRUE(seen.insert({open.back()->slot, open.back()->generation}).second);
    } else if (!open.empty()) {
      std::size_t which = (random >> 8) % open.size();
      registry.remove(*open[which]);
      open[which]->release();
      open.erase(open.begin() + std::ptrdiff_t(which));
    }
    EXPECT_EQ(registry.size(), open.size());
  }
  std::size_t visited = 0;
  registry.for_each([&](core::Connection&) { ++visited; });
  EXPECT_EQ(visited, open.size());
  for (PlainConnection* connection : open) {
    registry.remove(*connection);
    connection->release();
  }
}

TEST(Registry, ASnapshotHasWebSocketsOnlyAndKeepsThem) {
  Bench bench;
  PlainConnection& plain = bench.connection();
  std::vector<sluice::Connection> list;
  bench.shard->registry.snapshot(list);
  EXPECT_TRUE(list.empty());
  EXPECT_FALSE(plain.is_websocket());
}

// Look-ups of other threads while connections come and go.
TEST(Registry, LookUpsFromOtherThreads) {
  Bench bench;
  core::Registry& registry = bench.shard->registry;
  std::atomic<bool> stop{false};
  std::thread reader([&] {
    std::vector<sluice::Connection> list;
    while (!stop) {
      for (std::uint32_t slot = 0; slot < 20; ++slot) {
        sluice::Connection found = registry.find(slot, 1);
        EXPECT_EQ(found.is_open(), bool(found));
      }
      registry.snapshot(list);
    }
  });
  for (int round = 0; round < 200; ++round) {
    std::vector<PlainConnection*> open;
    for (int i = 0; i < 20; ++i) {
      open.push_back(new PlainConnection(*bench.shard));
      registry.add(*open.back());
    }
    for (PlainConnection* connection : open) {
      registry.remove(*connection);
      connection->release();
    }
  }
  stop = true;
  reader.join();
}

// --- Ids -----------------------------------------------------------------------------------------

std::shared_ptr<const core::IdCipher> real_cipher() {
  core::IdCipher::Block key;
  crypto::random_bytes(key);
  auto cipher = std::make_shared<crypto::BlockCipher>(key);
  auto made = std::make_shared<core::IdCipher>();
  made->encrypt = [cipher](const core::IdCipher::Block& block) { return cipher->encrypt(block); };
  made->decrypt = [cipher](const core::IdCipher::Block& block) { return cipher->decrypt(block); };
  return made;
}

// Where the connections of an imagined shard are at home.
struct HomeRef {
  HomeRef(core::Shard& shard, std::uint32_t index, std::shared_ptr<const core::IdCipher> cipher)
      : home(new core::Home(&shard, index, shard.mailbox, std::move(cipher))) {}
  ~HomeRef() { home->release(); }
  core::Home* home;
  core::Destinations destinations{home};
};

TEST(Ids, LeadBackToTheirConnection) {
  core::Router router;
  core::ServerSession session({}, {}, router, real_cipher());
  base::BlockPool blocks;
  core::Shard zero(session, 0, blocks, base::Instant(std::chrono::hours(1)));
  core::Shard one(session, 1, blocks, base::Instant(std::chrono::hours(1)));
  session.shards.push_back(&zero);
  session.shards.push_back(&one);
  auto* connection = new PlainConnection(one);
  connection->slot = 77;
  connection->generation = 99;
  std::uint32_t shard = 0, slot = 0, generation = 0;
  ASSERT_TRUE(session.address_of(connection->id(), shard, slot, generation));
  EXPECT_EQ(shard, 1u);
  EXPECT_EQ(slot, 77u);
  EXPECT_EQ(generation, 99u);
  connection->release();
  HomeRef nowhere(zero, 2, session.cipher);
  auto* stray = new PlainConnection(nowhere.destinations.of({}));
  EXPECT_FALSE(session.address_of(stray->id(), shard, slot, generation)) << "no such shard";
  stray->release();
  session.shards.clear();
}

TEST(Ids, OfAnotherProcessLeadNowhere) {
  core::Router router;
  core::ServerSession session({}, {}, router, real_cipher());
  base::BlockPool blocks;
  core::Shard shard(session, 0, blocks, base::Instant(std::chrono::hours(1)));
  session.shards.push_back(&shard);
  HomeRef elsewhere(shard, 0, real_cipher());
  auto* foreign = new PlainConnection(elsewhere.destinations.of({}));
  std::uint32_t index = 0, slot = 0, generation = 0;
  for (foreign->slot = 0; foreign->slot < 1000; ++foreign->slot) {
    EXPECT_FALSE(session.address_of(foreign->id(), index, slot, generation));
  }
  EXPECT_FALSE(session.address_of(ConnectionId(), index, slot, generation));
  session.shards.clear();
  foreign->release();
}

// Neighbours share nothing, and two processes give one address two names.
TEST(Ids, CannotBeGuessed) {
  Bench bench;
  HomeRef first(*bench.shard, 0, real_cipher()), second(*bench.shard, 0, real_cipher());
  auto* connection = new PlainConnection(first.destinations.of({}));
  std::set<ConnectionId> ids;
  ConnectionId before = connection->id();
  for (connection->slot = 1; connection->slot <= 500; ++connection->slot) {
    ConnectionId id = connection->id();
    EXPECT_TRUE(ids.insert(id).second);
    int same = 0;
    for (std::size_t i = 0; i < 16; ++i) same += id.bytes()[i] == before.bytes()[i];
    EXPECT_LE(same, 6);
    before = id;
  }
  auto* there = new PlainConnection(second.destinations.of({}));
  there->slot = connection->slot = 1;
  EXPECT_NE(connection->id(), there->id());
  connection->release();
  there->release();
}

TEST(Ids, AsText) {
  std::array<std::byte, 16> bytes;
  for (std::size_t i = 0; i < 16; ++i) bytes[i] = std::byte(i * 17);
  ConnectionId id(bytes);
  EXPECT_EQ(id.to_string(), "00112233-4455-6677-8899-AABBCCDDEEFF");
  for (const char* text :
       {"00112233-4455-6677-8899-AABBCCDDEEFF", "{00112233-4455-6677-8899-aabbccddeeff}"}) {
    EXPECT_EQ(ConnectionId::parse(text), id) << text;
  }
  for (const char* text :
       {"", "{}", "00112233-4455-6677-8899-AABBCCDDEEF", "00112233-4455-6677-8899-AABBCCDDEEFF0",
        "00112233445566778899AABBCCDDEEFF", "0011223-34455-6677-8899-AABBCCDDEEFF",
        "{00112233-4455-6677-8899-AABBCCDDEEFF", "00112233-4455-6677-8899-AABBCCDDEEFG"}) {
    EXPECT_FALSE(ConnectionId::parse(text)) << text;
  }
}

}  // namespace
}  // namespace sluice::test
