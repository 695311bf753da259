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

  Rig rig;
  PerMessageDeflate& deflate = rig.settings.extensions.permessage_deflate;
  const std::string large = std::string(5000, 'l');
};

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

}  // namespace
}  // namespace sluice::test
