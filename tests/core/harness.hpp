// tests/core/harness.hpp - a session and a shard without a front; the test is the clock.
//
// Layer: tests.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <utility>
#include <vector>

#include "core/connection.hpp"
#include "core/exchange.hpp"
#include "core/session.hpp"
#include "core/shard.hpp"
#include "core/websocket.hpp"
#include "support/quiet_connection.hpp"

namespace sluice::test {

// Stands in for the encryption of ids.
inline std::shared_ptr<const core::IdCipher> xor_cipher(unsigned key = 0x5a) {
  auto cipher = std::make_shared<core::IdCipher>();
  cipher->encrypt = [key](const core::IdCipher::Block& block) {
    core::IdCipher::Block out = block;
    for (std::byte& b : out) b ^= std::byte(key);
    return out;
  };
  cipher->decrypt = cipher->encrypt;
  return cipher;
}

// Counts what is asked of it.
class PlainConnection final : public QuietConnection {
 public:
  using QuietConnection::QuietConnection;
  std::atomic<int> paused{0}, resumed{0}, disconnected{0};
  void disconnect(const Error&) override { ++disconnected; }
  void pool_pause() override { ++paused; }
  void pool_resume() override { ++resumed; }
  void abort(const Error&) override { ++disconnected; }
};

// Counts how often the shard was woken.
class CountingWaker final : public core::Waker {
 public:
  void wake() override { wakes.fetch_add(1); }
  std::atomic<int> wakes{0};
};

class Bench {
 public:
  explicit Bench(core::SessionSettings settings = {}, core::SessionEvents events = {})
      : session(quiet(std::move(settings)), std::move(events), router, xor_cipher()),
        shard(std::make_unique<core::Shard>(session, 0, blocks,
                                            base::Instant(std::chrono::hours(1)))) {
    session.shards.push_back(shard.get());
    shard->mailbox->open(waker);
  }
  ~Bench() {
    session.dispatcher.stop();
    shard->mailbox->close();
    for (PlainConnection* connection : connections) {
      shard->registry.remove(*connection);
      connection->release();
    }
    shard->scratch.release();
    shard.reset();
    EXPECT_EQ(blocks.blocks_in_use(), 0u);
  }
  PlainConnection& connection() {
    auto* made = new PlainConnection(*shard);
    shard->registry.add(*made);
    connections.push_back(made);
    return *made;
  }

  core::Router router;
  core::ServerSession session;
  base::BlockPool blocks;
  CountingWaker waker;
  std::unique_ptr<core::Shard> shard;
  std::vector<PlainConnection*> connections;

 private:
  static core::SessionSettings quiet(core::SessionSettings settings) {
    settings.handler_limit = std::chrono::milliseconds(0);
    return settings;
  }
};

}  // namespace sluice::test
