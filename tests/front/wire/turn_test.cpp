// tests/front/wire/turn_test.cpp - what a turn itself brings about, it does not sleep over.
//
// Layer: tests.
#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "front/wire/harness.hpp"

namespace sluice::test {
namespace {

TEST(Turn, ATimerThatFlushingSetsEndsTheSleep) {
  Rig rig;
  rig.events.websocket.on_message = [](sluice::Connection, std::string_view) {};
  rig.start();
  io::SimPeer peer = rig.websocket();
  sluice::Connection connection = rig.newest();
  rig.turn_and_sleep();
  ASSERT_EQ(rig.engine().slept_until, base::never) << "nothing is due";
  peer.set_window(100);
  const std::string text(10'000, 'x');
  rig.on(0, [&] { EXPECT_EQ(connection.write_data(text), SendStatus::queued); });
  // Flushed here: the peer takes too little, and its pace is judged from now on.
  rig.turn_and_sleep();
  EXPECT_LT(rig.engine().slept_until, base::never);
  EXPECT_GT(rig.shard().queued_bytes, 0u);
}

TEST(Turn, ABroadcastMadeWhileFlushingIsNotSleptOver) {
  Rig rig;
  rig.settings.limits.send_queue_bytes = 64 << 10;
  std::optional<BodyWriter> writer;
  rig.events.websocket.on_message = [](sluice::Connection, std::string_view) {};
  rig.events.on_http_request = [&](sluice::Connection, const HttpRequest&, HttpResponse& response) {
    writer = response.stream();
  };
  rig.start();
  io::SimPeer listener = rig.websocket();
  io::SimPeer peer = rig.connect();
  peer.send(get("/stream"));
  rig.settle();
  ASSERT_TRUE(writer);
  const std::string piece(100'000, 'x');
  rig.on(0, [&] {
    writer->on_writable([&] { rig.session->broadcast(ws::Opcode::text, as_bytes("news"), {}); });
    EXPECT_FALSE(writer->write(as_bytes(piece))) << "more than the budget";
  });
  // The peer takes all of it at once: there is room again while the turn flushes.
  rig.turn_and_sleep();
  EXPECT_LE(rig.engine().slept_until, rig.engine().now());
  rig.turn_and_sleep();
  EXPECT_NE(listener.take_received().find("news"), std::string::npos);
  rig.on(0, [&] { writer->end(); });
  rig.settle();
}

}  // namespace
}  // namespace sluice::test
