// tests/front/wire/bulk_test.cpp - long bodies that nobody looks at before more has come.
//
// Layer: tests.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "core/body_sink.hpp"
#include "core/exchange.hpp"
#include "core/session.hpp"
#include "core/shard.hpp"
#include "front/wire/harness.hpp"

namespace sluice::test {
namespace {

constexpr std::size_t kWait = io::Engine::kBulkWait;
constexpr std::size_t kLong = 4 << 20;

// What the only request of a test has brought.
struct Taken {
  std::string text;
  std::vector<std::size_t> pieces;
  bool ended = false, given_up = false;
  core::Exchange* paused = nullptr;  // after the piece that filled pause_at
  std::size_t pause_at = SIZE_MAX;
};

class Sink final : public core::BodySink {
 public:
  Sink(Taken& taken, bool bulk) : taken_(taken), bulk_(bulk) {}
  void on_piece(core::Exchange& exchange, base::Block&, std::span<std::byte> piece) override {
    EXPECT_FALSE(taken_.paused);
    taken_.text += as_text(piece);
    taken_.pieces.push_back(piece.size());
    if (taken_.text.size() < taken_.pause_at) return;
    taken_.pause_at = SIZE_MAX;
    taken_.paused = &exchange;
    exchange.retain();
    exchange.port->pause_body(exchange);
  }
  bool takes_bulk() const override { return bulk_; }
  void on_end(core::Exchange& exchange) override {
    taken_.ended = true;
    exchange.shard.session.body_stored(exchange);
  }
  void given_up() noexcept override { taken_.given_up = true; }

 private:
  Taken& taken_;
  const bool bulk_;
};

struct Bulk : testing::Test {
  void start(bool bulk = true) {
    ASSERT_TRUE(rig.router.add_native(
        "POST", "/in",
        [](core::Exchange& exchange) {
          exchange.answer.clear();
          exchange.answer.status = 204;
          exchange.shard.session.respond(exchange);
        },
        {}, [this, bulk](core::Exchange&) { return std::make_unique<Sink>(taken, bulk); }));
    rig.start();
    peer = rig.connect();
  }
  void post(std::size_t length) {
    peer.send("POST /in HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(length) +
              "\r\n\r\n");
    rig.settle();
  }
  void send(std::size_t bytes) {
    peer.send(std::string(bytes, 'x'));
    sent += bytes;
    rig.settle();
  }

  Rig rig;
  io::SimPeer peer;
  Taken taken;
  std::size_t sent = 0;
};

TEST_F(Bulk, OfALongBodyALittleIsNotLookedAt) {
  start();
  post(kLong);
  send(kWait - 1);
  EXPECT_EQ(taken.text.size(), 0u);
  send(1);
  EXPECT_EQ(taken.text.size(), kWait);
  while (sent < kLong - kWait) send(1000);
  EXPECT_GE(*std::min_element(taken.pieces.begin(), taken.pieces.end()), kWait);
  EXPECT_GT(taken.text.size() + 2 * kWait, kLong);
  // The rest is too little to wait for.
  while (sent < kLong) {
    send(std::min<std::size_t>(1000, kLong - sent));
    EXPECT_LT(sent - taken.text.size(), kWait);
  }
  EXPECT_EQ(taken.text.size(), kLong);
  EXPECT_TRUE(taken.ended);
  EXPECT_EQ(take_reply(peer).status, 204);
  // And the next request is one like any other.
  post(10);
  send(10);
  EXPECT_EQ(take_reply(peer).status, 204);
}

TEST_F(Bulk, AShortBodyAndOneForSomebodyElseComeAtOnce) {
  start();
  post(1 << 19);
  send(1);
  EXPECT_EQ(taken.text.size(), 1u);
  send((1 << 19) - 1);
  EXPECT_EQ(take_reply(peer).status, 204);
}

TEST_F(Bulk, AndOneForSomebodyElse) {
  start(false);
  post(kLong);
  send(1);
  EXPECT_EQ(taken.text.size(), 1u);
}

// What the engine keeps to itself is no reason to call a client dead.
TEST_F(Bulk, ASlowClientIsNoDeadOne) {
  start();
  post(kLong);
  for (int i = 0; i < 11; ++i) {
    send(1000);
    rig.pass(11s);
  }
  EXPECT_EQ(taken.text.size(), sent) << "after entity_body of 120 s";
  for (int i = 0; i < 100; ++i) {  // from then on it is taken as it comes
    send(1000);
    EXPECT_EQ(taken.text.size(), sent);
    rig.pass(100s);
  }
  send(kLong - sent);
  EXPECT_EQ(take_reply(peer).status, 204);
}

TEST_F(Bulk, ADeadOneIsFound) {
  start();
  post(kLong);
  send(1000);
  rig.pass(119s);
  EXPECT_EQ(peer.received(), "");
  rig.pass(1s);
  EXPECT_EQ(taken.text.size(), 1000u) << "nothing is lost";
  rig.pass(121s);
  EXPECT_EQ(take_reply(peer).status, 408);
  EXPECT_TRUE(taken.given_up);
}

TEST_F(Bulk, ADeadOneThatSaidNothingIsFound) {
  start();
  post(kLong);
  rig.pass(120s);
  rig.pass(2s);
  EXPECT_EQ(take_reply(peer).status, 408);
}

TEST_F(Bulk, AnEndInTheMiddleIsToldAtOnce) {
  start();
  post(kLong);
  send(1000);
  peer.end();
  rig.settle();
  EXPECT_EQ(rig.count_errors(Errc::http_body_truncated), 1u);
  EXPECT_TRUE(taken.given_up);
  EXPECT_EQ(rig.network.open_count(), 0u);
}

// Nothing is copied away while it is made to wait.
TEST_F(Bulk, APausedOneKeepsNothing) {
  start();
  taken.pause_at = 1;
  post(kLong);
  send(kWait);
  ASSERT_TRUE(taken.paused);
  const std::size_t blocks = rig.engine().blocks().bytes_in_use();
  send(4 * kWait);
  EXPECT_EQ(taken.text.size(), kWait);
  EXPECT_EQ(rig.engine().blocks().bytes_in_use(), blocks);
  rig.on(0, [&] {
    core::Exchange& exchange = *std::exchange(taken.paused, nullptr);
    exchange.port->resume_body(exchange);
    exchange.release();
  });
  rig.settle();
  send(kLong - sent);
  EXPECT_EQ(taken.text.size(), kLong);
  EXPECT_EQ(take_reply(peer).status, 204);
}

}  // namespace
}  // namespace sluice::test
