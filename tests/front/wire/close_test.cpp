// tests/front/wire/close_test.cpp - the ends of connections: who closes first, resets in every
// state, and what handlers are told of it.
//
// Layer: tests.
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "front/wire/harness.hpp"

namespace sluice::test {
namespace {

// --- WebSocket -----------------------------------------------------------------------------------

struct Closing : testing::Test {
  Closing() {
    rig.events.websocket.on_connect = [this](sluice::Connection connection) {
      connections.push_back(connection);
    };
    rig.events.websocket.on_message = [this](sluice::Connection connection, std::string_view text) {
      messages.emplace_back(text);
      if (text == "close") static_cast<void>(connection.close(4001, "bye"));
      if (text == "disconnect") static_cast<void>(connection.disconnect());
      if (text == "throw") throw std::runtime_error("thrown by a test");
      if (text == "echo") static_cast<void>(connection.write_data(text));
    };
    rig.events.websocket.on_disconnect = [this](sluice::Connection connection, std::uint16_t code) {
      EXPECT_FALSE(connection.is_websocket());
      codes.push_back(code);
    };
    rig.start();
  }
  void TearDown() override {
    connections.clear();
    rig.stop();
  }
  bool gone() const { return rig.network.open_count() == 0; }
  static std::string text(std::string_view message) {
    return WsClient::frame(WsClient::kText, message);
  }
  using Codes = std::vector<std::uint16_t>;

  Rig rig;
  std::vector<sluice::Connection> connections;
  std::vector<std::string> messages;
  Codes codes;
};

TEST_F(Closing, TheServerFirst) {
  io::SimPeer peer = rig.websocket();
  peer.send(text("close"));
  rig.settle();
  std::vector<WsFrame> frames = take_frames(peer);
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0].close_code(), 4001);
  EXPECT_EQ(frames[0].payload.substr(2), "bye");
  EXPECT_FALSE(peer.saw_end()) << "the peer's Close frame comes first";
  EXPECT_TRUE(codes.empty());
  EXPECT_EQ(connections[0].write_data("late"), SendStatus::queued) << "posted, and dropped";
  peer.send(WsClient::close_frame(4001));
  rig.settle();
  EXPECT_TRUE(peer.saw_end()) << "both have closed: the server ends TCP first";
  EXPECT_TRUE(gone());
  EXPECT_FALSE(peer.saw_reset());
  EXPECT_EQ(peer.received(), "") << "nothing follows a Close frame";
  EXPECT_EQ(codes, Codes{4001});
  EXPECT_EQ(connections[0].write_data("gone"), SendStatus::gone);
}

TEST_F(Closing, TheClientFirst) {
  io::SimPeer peer = rig.websocket();
  peer.send(text("echo") + WsClient::close_frame(3000, "done"));
  rig.settle();
  std::vector<WsFrame> frames = take_frames(peer);
  ASSERT_EQ(frames.size(), 2u);
  EXPECT_EQ(frames[1].close_code(), 3000);
  EXPECT_TRUE(peer.saw_end());
  peer.end();
  rig.settle();
  EXPECT_TRUE(gone());
  EXPECT_EQ(codes, Codes{3000});
}

TEST_F(Closing, AnEmptyCloseFrame) {
  io::SimPeer peer = rig.websocket();
  peer.send(WsClient::frame(WsClient::kClose, ""));
  peer.end();
  rig.settle();
  EXPECT_TRUE(gone());
  EXPECT_EQ(codes, Codes{1005});
  EXPECT_EQ(take_frames(peer)[0].opcode, WsClient::kClose);
}

TEST_F(Closing, BothAtOnce) {
  io::SimPeer peer = rig.websocket();
  peer.send(text("close") + WsClient::close_frame(3000));
  peer.end();
  rig.settle();
  EXPECT_EQ(take_frames(peer).size(), 1u) << "one Close frame, not two";
  EXPECT_TRUE(peer.saw_end());
  EXPECT_TRUE(gone());
  EXPECT_EQ(codes.size(), 1u);
}

TEST_F(Closing, AFinWithoutACloseFrame) {
  io::SimPeer peer = rig.websocket();
  peer.send(text("echo"));
  peer.end();
  rig.settle();
  EXPECT_EQ(take_frames(peer).size(), 1u) << "what was said before is answered";
  EXPECT_TRUE(gone());
  EXPECT_FALSE(peer.saw_reset());
  EXPECT_EQ(codes, Codes{1006});
}

TEST_F(Closing, AFinInTheMiddleOfAMessage) {
  io::SimPeer peer = rig.websocket();
  peer.send(text("a message that is not complete").substr(0, 20));
  peer.end();
  rig.settle();
  EXPECT_TRUE(gone());
  EXPECT_TRUE(messages.empty());
  EXPECT_EQ(codes, Codes{1006});
}

TEST_F(Closing, NothingIsToldBehindADisconnect) {
  io::SimPeer peer = rig.websocket();
  peer.send(text("one") + text("disconnect") + text("two") + WsClient::close_frame(1000));
  rig.settle();
  EXPECT_TRUE(gone());
  EXPECT_EQ(messages, (std::vector<std::string>{"one", "disconnect"}));
  EXPECT_EQ(peer.received(), "") << "no Close frame either";
  EXPECT_EQ(codes, Codes{1006});
}

TEST_F(Closing, NothingIsToldBehindAProtocolError) {
  io::SimPeer peer = rig.websocket();
  peer.send(text("one") + WsClient::frame(3, "reserved") + text("two"));
  rig.settle();
  EXPECT_EQ(messages, std::vector<std::string>{"one"});
  EXPECT_EQ(take_frames(peer)[0].close_code(), 1002);
  EXPECT_TRUE(peer.saw_end());
  peer.close();
  rig.settle();
  EXPECT_EQ(codes, Codes{1002});
  EXPECT_EQ(rig.count_errors(Errc::ws_bad_opcode), 1u);
}

TEST_F(Closing, AHandlerThatThrows) {
  io::SimPeer peer = rig.websocket();
  peer.send(text("throw"));
  rig.settle();
  EXPECT_EQ(take_frames(peer)[0].close_code(), 1011);
  peer.send(WsClient::close_frame(1011));
  peer.end();
  rig.settle();
  EXPECT_EQ(codes, Codes{1011});
}

TEST_F(Closing, FromAnotherThread) {
  io::SimPeer peer = rig.websocket();
  EXPECT_EQ(connections[0].write_data("first"), SendStatus::queued);
  EXPECT_EQ(connections[0].close(1001), SendStatus::queued);
  EXPECT_EQ(connections[0].write_data("never"), SendStatus::queued);
  rig.settle();
  std::vector<WsFrame> frames = take_frames(peer);
  ASSERT_EQ(frames.size(), 2u);
  EXPECT_EQ(frames[0].payload, "first");
  EXPECT_EQ(frames[1].close_code(), 1001);
  EXPECT_EQ(connections[0].disconnect(), SendStatus::queued);
  rig.settle();
  EXPECT_TRUE(gone());
  EXPECT_EQ(codes, Codes{1001});
}

TEST_F(Closing, ACloseInOnConnect) {
  rig.stop();
  rig.events.websocket.on_connect = [](sluice::Connection connection) {
    static_cast<void>(connection.close(1008));
  };
  rig.start();
  io::SimPeer peer = rig.connect();
  peer.send(WsClient::handshake("/") + text("never told"));
  rig.settle();
  std::string got = peer.take_received();
  EXPECT_EQ(got.substr(0, 12), "HTTP/1.1 101");
  EXPECT_EQ(static_cast<unsigned char>(got[got.size() - 4]), 0x88);
  peer.send(WsClient::close_frame(1008));
  peer.end();
  rig.settle();
  EXPECT_TRUE(gone());
  EXPECT_EQ(codes, Codes{1008});
}

TEST_F(Closing, ADisconnectInOnConnect) {
  rig.stop();
  rig.events.websocket.on_connect = [](sluice::Connection connection) {
    static_cast<void>(connection.disconnect());
  };
  rig.start();
  io::SimPeer peer = rig.connect();
  peer.send(WsClient::handshake("/") + text("never told"));
  rig.settle();
  EXPECT_TRUE(gone());
  EXPECT_TRUE(messages.empty());
  EXPECT_EQ(codes, Codes{1006});
}

TEST_F(Closing, ResetWhileOpen) {
  io::SimPeer peer = rig.websocket();
  peer.reset();
  rig.settle();
  EXPECT_TRUE(gone());
  EXPECT_EQ(codes, Codes{1006});
  EXPECT_EQ(rig.count_errors(Errc::connection_reset), 1u);
}

TEST_F(Closing, ResetInsideAMessage) {
  io::SimPeer peer = rig.websocket();
  peer.send(WsClient::frame(WsClient::kText, std::string(50'000, 'x'), false));
  rig.settle();
  peer.reset();
  rig.settle();
  EXPECT_TRUE(gone());
  EXPECT_EQ(codes, Codes{1006});
}

TEST_F(Closing, ResetBehindTheServersClose) {
  io::SimPeer peer = rig.websocket();
  peer.send(text("close"));
  rig.settle();
  peer.reset();
  rig.settle();
  EXPECT_TRUE(gone());
  EXPECT_EQ(codes, Codes{4001});
}

TEST_F(Closing, ResetWhileTheServerLingers) {
  io::SimPeer peer = rig.websocket();
  peer.send(WsClient::close_frame(1000));
  rig.settle();
  ASSERT_TRUE(peer.saw_end());
  peer.reset();
  rig.settle();
  EXPECT_TRUE(gone());
  EXPECT_EQ(codes, Codes{1000});
}

TEST_F(Closing, ResetWithAFullQueue) {
  io::SimPeer peer = rig.websocket();
  peer.set_window(0);
  EXPECT_EQ(connections[0].write_data(std::string(500'000, 'x')), SendStatus::queued);
  rig.settle();
  EXPECT_GE(rig.shard().queued_bytes, 500'000u);
  peer.reset();
  rig.settle();
  EXPECT_TRUE(gone());
  EXPECT_EQ(rig.shard().queued_bytes, 0u);
  EXPECT_EQ(codes, Codes{1006});
}

TEST_F(Closing, WithoutCleanDisconnectThereIsNoCloseFrame) {
  rig.stop();
  codes.clear();
  rig.settings.options.clean_disconnect = false;
  rig.start();
  io::SimPeer peer = rig.websocket();
  peer.send(text("close"));
  rig.settle();
  EXPECT_TRUE(gone());
  EXPECT_EQ(peer.received(), "");
  EXPECT_EQ(codes.size(), 1u);
}

// --- HTTP ----------------------------------------------------------------------------------------

struct HttpClosing : testing::Test {
  HttpClosing() {
    rig.events.on_http_request = [this](sluice::Connection connection, const HttpRequest& request,
                                        HttpResponse& response) {
      ++requests;
      if (request.document() == "/late") {
        reply = response.defer();
        reply->on_abort([this] { ++aborted; });
      } else if (request.document() == "/stream") {
        writer = response.stream();
        writer->on_abort([this] { ++aborted; });
        writer->write("begun");
      } else if (request.document() == "/disconnect") {
        static_cast<void>(connection.disconnect());
      } else if (request.document() == "/large") {
        response.content_text(std::string(500'000, 'x'));
      }
    };
    rig.start();
  }
  void TearDown() override {
    reply.reset();
    writer.reset();
    rig.stop();
  }
  bool gone() const { return rig.network.open_count() == 0; }

  Rig rig;
  std::optional<Reply> reply;
  std::optional<BodyWriter> writer;
  int requests = 0, aborted = 0;
};

TEST_F(HttpClosing, TheClientAsksForIt) {
  io::SimPeer peer = rig.connect();
  peer.send(get("/", "Connection: close\r\n"));
  rig.settle();
  EXPECT_EQ(take_reply(peer).field("Connection"), "close");
  EXPECT_TRUE(peer.saw_end());
  EXPECT_TRUE(gone());
}

// Bytes behind the last request: the answer must not be lost to a reset.
TEST_F(HttpClosing, RequestsBehindTheLastOneAreNotAnswered) {
  io::SimPeer peer = rig.connect();
  peer.send(get("/", "Connection: close\r\n") + get("/never"));
  rig.settle();
  EXPECT_EQ(take_replies(peer).size(), 1u);
  EXPECT_EQ(requests, 1);
  EXPECT_TRUE(peer.saw_end());
  EXPECT_FALSE(peer.saw_reset());
  rig.pass(31s);
  EXPECT_TRUE(gone()) << "a peer that keeps its side open does not keep the connection";
}

TEST_F(HttpClosing, TheClientWithoutAWord) {
  io::SimPeer peer = rig.connect();
  rig.settle();
  peer.close();
  rig.settle();
  EXPECT_TRUE(gone());
  EXPECT_TRUE(rig.errors.empty()) << "who says nothing did nothing wrong";
}

TEST_F(HttpClosing, TheClientInsideAHead) {
  io::SimPeer peer = rig.connect();
  peer.send("GET / HT");
  peer.close();
  rig.settle();
  EXPECT_TRUE(gone());
}

TEST_F(HttpClosing, TheClientInsideABody) {
  io::SimPeer peer = rig.connect();
  peer.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf");
  peer.end();
  rig.settle();
  EXPECT_TRUE(gone());
  EXPECT_EQ(requests, 0);
  EXPECT_EQ(rig.count_errors(Errc::http_body_truncated), 1u);
}

TEST_F(HttpClosing, DisconnectInAHandler) {
  io::SimPeer peer = rig.connect();
  peer.send(get("/disconnect") + get("/"));
  rig.settle();
  EXPECT_TRUE(gone());
  EXPECT_EQ(requests, 1);
  EXPECT_EQ(peer.received(), "");
}

TEST_F(HttpClosing, ResetInEveryState) {
  struct State {
    const char* name;
    std::string sent;
    std::size_t window;
    int aborts;
  };
  const State states[] = {
      {"before the first byte", "", SIZE_MAX, 0},
      {"in a head", "GET / HTTP/1.1\r\nHo", SIZE_MAX, 0},
      {"in a body", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf", SIZE_MAX, 0},
      {"in a chunked body",
       "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nha", SIZE_MAX, 0},
      {"before a late answer", get("/late") + get("/"), SIZE_MAX, 1},
      {"in a streamed answer", get("/stream") + get("/"), SIZE_MAX, 1},
      {"in a streamed answer that nobody takes", get("/stream"), 0, 1},
      {"in a large answer", get("/large") + get("/"), 1000, 0},
      {"between requests", get("/"), SIZE_MAX, 0},
      {"behind the last answer", get("/", "Connection: close\r\n") + "x", SIZE_MAX, 0},
  };
  for (const State& state : states) {
    SCOPED_TRACE(state.name);
    aborted = 0;
    io::SimPeer peer = rig.connect();
    peer.set_window(state.window);
    peer.send(state.sent);
    rig.settle();
    EXPECT_EQ(rig.network.open_count(), 1u);
    peer.reset();
    rig.settle();
    EXPECT_TRUE(gone());
    EXPECT_EQ(aborted, state.aborts);
    EXPECT_EQ(rig.shard().queued_bytes, 0u);
    if (reply) {
      EXPECT_EQ(reply->send(), Errc::gone);
    }
    if (writer) {
      EXPECT_FALSE(writer->write("more"));
      static_cast<void>(writer->end());
    }
    reply.reset();
    writer.reset();
    rig.settle();
  }
  // And the others are served on.
  io::SimPeer peer = rig.connect();
  peer.send(get("/"));
  rig.settle();
  EXPECT_EQ(take_reply(peer).status, 200);
}

// A client that ends its side waits for its answers all the same.
TEST_F(HttpClosing, AHalfClosedClientGetsItsLateAndStreamedAnswers) {
  io::SimPeer peer = rig.connect();
  peer.send(get("/late"));
  peer.end();
  rig.settle();
  EXPECT_EQ(rig.network.open_count(), 1u);
  EXPECT_EQ(aborted, 0);
  EXPECT_EQ(reply->content_text("here").send(), Errc::none);
  rig.settle();
  EXPECT_EQ(take_reply(peer).body, "here");
  EXPECT_TRUE(gone());

  peer = rig.connect();
  peer.send(get("/stream"));
  peer.end();
  rig.settle();
  writer->write(", and ended");
  EXPECT_EQ(writer->end(), Errc::none);
  rig.settle();
  EXPECT_EQ(take_reply(peer).body, "begun, and ended");
  EXPECT_TRUE(gone());
}

// The application forgets its answer.
TEST_F(HttpClosing, AbandonedAnswers) {
  io::SimPeer late = rig.connect(), stream = rig.connect();
  late.send(get("/late"));
  stream.send(get("/stream"));
  rig.settle();
  reply.reset();
  writer.reset();
  rig.settle();
  EXPECT_EQ(take_reply(late).status, 500);
  EXPECT_TRUE(stream.saw_reset()) << "what was begun must not look complete";
  EXPECT_EQ(rig.count_errors(Errc::reply_abandoned), 2u);
}

// The writer lives in the handler of the body's pieces.
TEST_F(HttpClosing, AWriterThatOnDataHolds) {
  rig.stop();
  ASSERT_TRUE(rig.router.add_body_mode("/", {BodyMode::stream, {}}));
  bool end = false;
  rig.events.on_http_request = [&](sluice::Connection, const HttpRequest& request,
                                   HttpResponse& response) {
    auto own = std::make_shared<BodyWriter>(response.stream());
    request.body().on_data([own, &end](Bytes piece, bool last) {
      own->write(as_text(piece));
      if (last && end) static_cast<void>(own->end());
    });
  };
  rig.start();
  for (bool forgets : {false, true}) {
    end = !forgets;
    io::SimPeer peer = rig.connect();
    peer.send(post("/", "a body"));
    rig.settle();
    if (forgets) {
      EXPECT_TRUE(peer.saw_reset());
    } else {
      EXPECT_EQ(take_reply(peer).body, "a body");
    }
  }
}

}  // namespace
}  // namespace sluice::test
