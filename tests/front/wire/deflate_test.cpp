// tests/front/wire/deflate_test.cpp - permessage-deflate: what is kept, for how long, and what is
// not even compressed.
//
// RFC 7692. Layer: tests.
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "core/deflate_pool.hpp"
#include "core/websocket.hpp"
#include "front/wire/harness.hpp"

namespace sluice::test {
namespace {

struct WireDeflate : testing::Test {
  WireDeflate() {
    deflate.enabled = true;
    rig.events.websocket.on_message = [](sluice::Connection c, std::string_view text) {
      c.write_data(text);
    };
  }
  io::SimPeer open(std::string_view offer = "permessage-deflate") {
    io::SimPeer peer = rig.connect();
    peer.send(WsClient::handshake("/", "Sec-WebSocket-Extensions: " + std::string(offer) + "\r\n"));
    rig.settle();
    EXPECT_NE(peer.take_received().find("Sec-WebSocket-Extensions: permessage-deflate"),
              std::string::npos);
    return peer;
  }
  static std::string packed(std::string_view message) {
    std::string out(message.size() + 64, '\0');
    out.resize(ws::deflate_message(*coding::Deflater::make({12, 6, 8}), as_bytes(message),
                                   std::as_writable_bytes(std::span(out)))
                   .size());
    return out;
  }
  static std::string frame(std::string_view message, bool fin = true) {
    return WsClient::frame(WsClient::kText, packed(message), fin, true, 4);
  }
  std::size_t memory() { return rig.engine().blocks().bytes_in_use(); }
  std::uint64_t compressed() { return rig.shard().counters.messages_compressed.get(); }
  std::uint64_t dropped() { return rig.shard().counters.messages_dropped.get(); }
  // The queue is full of what its own handler wrote, which is below the threshold.
  io::SimPeer full() {
    deflate.threshold = 1000;
    rig.settings.limits.send_queue_bytes = 20'000;
    rig.events.websocket.on_message = [](sluice::Connection c, std::string_view) {
      const std::string small(900, 's');
      while (c.write_data(small) == SendStatus::queued) continue;
    };
    rig.start();
    io::SimPeer peer = open();
    peer.set_window(1);
    peer.send(WsClient::frame(WsClient::kText, "fill"));
    rig.settle();
    EXPECT_GE(rig.shard().queued_bytes, 20'000u);
    return peer;
  }
  // Not in one of its own events.
  SendStatus send(std::string_view text) {
    SendStatus status = SendStatus::gone;
    rig.on(0, [&] { status = rig.newest().write_data(text); });
    return status;
  }

  Rig rig;
  PerMessageDeflate& deflate = rig.settings.extensions.permessage_deflate;
  const std::string large = std::string(5000, 'l');
};

// A few bytes have become many: they are let go with the mistake, not with the connection.
TEST_F(WireDeflate, AfterAMistakeNothingOfAMessageIsKept) {
  rig.start();
  io::SimPeer peer = open();
  const std::size_t before = memory();
  peer.send(frame(std::string(500'000, 'x'), false));
  rig.settle();
  EXPECT_GE(memory(), before + 500'000);
  peer.send("\xff\xff");
  rig.settle();
  ASSERT_EQ(take_frames(peer).back().opcode, WsClient::kClose);
  EXPECT_EQ(rig.loop().connections(), 1u);  // until the peer has ended its side
  EXPECT_LE(memory(), before);
  // What comes all the same is dropped.
  peer.send(frame(std::string(500'000, 'x'), false));
  rig.settle();
  EXPECT_LE(memory(), before);
}

TEST_F(WireDeflate, OverTheLimitNothingOfAMessageIsKept) {
  rig.settings.limits.message_bytes = 500'000;
  rig.start();
  io::SimPeer peer = open();
  const std::size_t before = memory();
  peer.send(frame(std::string(500'001, 'x')));
  rig.settle();
  EXPECT_EQ(take_frames(peer).back().close_code(), 1009);
  EXPECT_EQ(rig.loop().connections(), 1u);
  EXPECT_LE(memory(), before);
}

// An application may keep the handle for as long as it likes.
TEST_F(WireDeflate, ContextsEndWithTheWebSocket) {
  deflate.server_no_context_takeover = deflate.client_no_context_takeover = false;
  rig.start();
  io::SimPeer peer = open();
  sluice::Connection kept = rig.newest();
  peer.send(frame(large));
  rig.settle();
  core::DeflateContexts& contexts = core::Connection::of(kept)->deflate_contexts();
  EXPECT_TRUE(contexts.deflater && contexts.inflater);
  peer.send(WsClient::close_frame(1000));
  peer.close();
  rig.settle();
  EXPECT_FALSE(kept.is_open());
  core::DeflateContexts& after = core::Connection::of(kept)->deflate_contexts();
  EXPECT_FALSE(after.deflater || after.inflater);
}

// --- What finds no room is not compressed --------------------------------------------------------

TEST_F(WireDeflate, TheNewestIsDroppedAsItCame) {
  rig.settings.options.slow_reader = SlowReader::drop_newest;
  io::SimPeer peer = full();
  EXPECT_EQ(send(large), SendStatus::would_block);
  EXPECT_EQ(send("short"), SendStatus::would_block);
  EXPECT_EQ(dropped(), 2u);
  EXPECT_EQ(compressed(), 0u);
  EXPECT_EQ(rig.shard().counters.slow_readers.get(), 1u);
}

TEST_F(WireDeflate, WhoIsTooSlowIsClosedWithoutCompressing) {
  io::SimPeer peer = full();
  EXPECT_EQ(send(large), SendStatus::would_block);
  EXPECT_EQ(send(large), SendStatus::gone);
  rig.settle();
  EXPECT_EQ(compressed(), 0u);
  EXPECT_EQ(rig.count_errors(Errc::slow_reader), 1u);
}

TEST_F(WireDeflate, TheOldestMakesRoomForWhatIsCompressed) {
  rig.settings.options.slow_reader = SlowReader::drop_oldest;
  io::SimPeer peer = full();
  // What its own handler has written is not taken back.
  EXPECT_EQ(send(large), SendStatus::would_block);
  EXPECT_EQ(compressed(), 1u);
}

TEST_F(WireDeflate, WhereNoneWaitItIsDroppedAsItCame) {
  rig.settings.queue.text = QueueLevel::none;
  rig.settings.options.slow_reader = SlowReader::drop_newest;
  io::SimPeer peer = full();
  EXPECT_EQ(send(large), SendStatus::would_block);
  EXPECT_EQ(dropped(), 1u);
  EXPECT_EQ(compressed(), 0u);
  EXPECT_EQ(rig.shard().counters.slow_readers.get(), 0u);
}

// The one before makes room for it.
TEST_F(WireDeflate, TheLastThatWaitsIsCompressed) {
  rig.settings.queue.text = QueueLevel::last;
  rig.start();
  io::SimPeer peer = open();
  peer.set_window(1);
  EXPECT_EQ(send("under way"), SendStatus::queued);
  rig.settle();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(send(large), SendStatus::queued);
  EXPECT_EQ(dropped(), 2u);
  EXPECT_EQ(compressed(), 3u);
  peer.open_window(1 << 20);
  rig.settle();
  EXPECT_EQ(take_frames(peer).size(), 2u);
}

}  // namespace
}  // namespace sluice::test
