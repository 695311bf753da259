// tests/front/wire/pipeline_test.cpp - requests that come together, cut in any way, or too long;
// what they cause leaves in one send and in order.
//
// Layer: tests.
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "front/wire/harness.hpp"

namespace sluice::test {
namespace {

TEST(Pipeline, AnswersOfOneWakeUpLeaveInOneSend) {
  Rig rig;
  rig.events.on_http_request = echo;
  rig.start();
  io::SimPeer peer = rig.connect();
  std::string text;
  for (int i = 0; i < 20; ++i) text += get("/" + std::to_string(i));
  peer.send(text);
  rig.settle();
  EXPECT_EQ(rig.engine().sends, 1u);
  EXPECT_EQ(rig.network.count(io::SimOperation::send), 1u) << "and in one run of bytes";
  std::vector<HttpReply> replies = take_replies(peer);
  ASSERT_EQ(replies.size(), 20u);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(replies[std::size_t(i)].body, "/" + std::to_string(i));
}

TEST(Pipeline, HeadAndLargeBodyLeaveInOneSend) {
  Rig rig;
  rig.events.on_http_request = [](sluice::Connection, const HttpRequest&, HttpResponse& response) {
    response.content_text(std::string(100'000, 'x'));
  };
  rig.start();
  io::SimPeer peer = rig.connect();
  peer.send(get("/"));
  rig.settle();
  EXPECT_EQ(rig.engine().sends, 1u);
  EXPECT_EQ(take_reply(peer).body.size(), 100'000u);
}

TEST(Pipeline, EchoesOfOneWakeUpLeaveInOneSend) {
  Rig rig;
  rig.events.websocket.on_message = [](sluice::Connection connection, std::string_view text) {
    static_cast<void>(connection.write_data(text));
  };
  rig.start();
  io::SimPeer peer = rig.websocket();
  std::size_t before = rig.engine().sends;
  std::string text;
  for (int i = 0; i < 100; ++i) text += WsClient::frame(WsClient::kText, "m" + std::to_string(i));
  peer.send(text);
  rig.settle();
  EXPECT_EQ(rig.engine().sends, before + 1);
  std::vector<WsFrame> frames = take_frames(peer);
  ASSERT_EQ(frames.size(), 100u);
  EXPECT_EQ(frames[99].payload, "m99");
}

// Broadcasts of one wake-up are handed out together: one send for each who listens, and nobody sees
// another order, another beginning or another end than if each had gone out at once.
TEST(Pipeline, BroadcastsOfOneWakeUpKeepTheirPlace) {
  Rig rig;
  std::vector<sluice::Connection> all;
  rig.events.websocket.on_connect = [&](sluice::Connection connection) {
    all.push_back(connection);
    if (all.size() > 3) return;
    EXPECT_EQ(connection.subscribe("news"), SendStatus::queued);
  };
  rig.events.websocket.on_message = [&](sluice::Connection, std::string_view text) {
    auto say = [&](std::string_view what, std::string_view channel) {
      rig.session->broadcast(ws::Opcode::text, as_bytes(what), {channel, {}, {}, {}});
    };
    if (text == "plain") {
      for (int i = 0; i < 100; ++i) say("n" + std::to_string(i), "news");
      return;
    }
    say("one", "news");
    say("two", "news");
    EXPECT_EQ(all[0].write_data("between"), SendStatus::queued);
    say("three", "news");
    say("to all", "");
    EXPECT_EQ(all[1].unsubscribe("news"), SendStatus::queued);
    EXPECT_EQ(all[3].subscribe("news"), SendStatus::queued);
    say("four", "news");
    EXPECT_EQ(all[2].close(4000, "enough"), SendStatus::queued);
    say("five", "news");
  };
  rig.start();
  std::vector<io::SimPeer> peers;
  for (int i = 0; i < 5; ++i) peers.push_back(rig.websocket());
  const std::size_t before = rig.engine().sends;
  peers[4].send(WsClient::frame(WsClient::kText, "plain"));
  rig.settle();
  EXPECT_EQ(rig.engine().sends, before + 3);
  for (int i = 0; i < 3; ++i) {
    std::vector<WsFrame> frames = take_frames(peers[std::size_t(i)]);
    ASSERT_EQ(frames.size(), 100u);
    EXPECT_EQ(frames[99].payload, "n99");
  }
  peers[4].send(WsClient::frame(WsClient::kText, "mixed"));
  rig.settle();
  using Texts = std::vector<std::string>;
  const Texts expected[] = {{"one", "two", "between", "three", "to all", "four", "five"},
                            {"one", "two", "three", "to all"},
                            {"one", "two", "three", "to all", "four", "(close)"},
                            {"to all", "four", "five"},
                            {"to all"}};
  for (std::size_t i = 0; i < peers.size(); ++i) {
    Texts got;
    for (const WsFrame& frame : take_frames(peers[i])) {
      got.push_back(frame.opcode == WsClient::kClose ? "(close)" : frame.payload);
    }
    EXPECT_EQ(got, expected[i]) << i;
  }
}

// Several connections in one wake-up: one send each.
TEST(Pipeline, OneSendForEachConnection) {
  Rig rig;
  rig.events.on_http_request = echo;
  rig.start();
  std::vector<io::SimPeer> peers;
  for (int i = 0; i < 10; ++i) peers.push_back(rig.connect());
  for (io::SimPeer& peer : peers) peer.send(get("/a") + get("/b"));
  rig.settle();
  EXPECT_EQ(rig.engine().sends, 10u);
  for (io::SimPeer& peer : peers) EXPECT_EQ(take_replies(peer).size(), 2u);
}

// A broadcast and an answer of the same turn do not need two.
TEST(Pipeline, BroadcastsOfOneWakeUpLeaveInOneSend) {
  Rig rig;
  rig.events.websocket.on_message = [&](sluice::Connection, std::string_view text) {
    rig.session->broadcast(ws::Opcode::text, as_bytes(text), {});
  };
  rig.start();
  std::vector<io::SimPeer> peers;
  for (int i = 0; i < 5; ++i) peers.push_back(rig.websocket());
  std::size_t before = rig.engine().sends;
  peers[0].send(WsClient::frame(WsClient::kText, "one") + WsClient::frame(WsClient::kText, "two"));
  rig.settle();
  EXPECT_EQ(rig.engine().sends, before + 5);
  for (io::SimPeer& peer : peers) EXPECT_EQ(take_frames(peer).size(), 2u);
}

TEST(Pipeline, DeferredAnswersKeepTheirPlace) {
  Rig rig;
  std::vector<Reply> replies;
  rig.events.on_http_request = [&](sluice::Connection, const HttpRequest& request,
                                   HttpResponse& response) {
    response.content_text(std::string(request.document()));
    if (request.document().starts_with("/late")) replies.push_back(response.defer());
  };
  rig.start();
  io::SimPeer peer = rig.connect();
  peer.send(get("/now1") + get("/late1") + get("/now2") + get("/late2") + get("/now3"));
  rig.settle();
  EXPECT_EQ(take_replies(peer).size(), 1u) << "nothing overtakes";
  ASSERT_EQ(replies.size(), 1u);
  rig.on(0, [&] { EXPECT_EQ(replies[0].send(), Errc::none); });
  rig.settle();
  std::vector<HttpReply> next = take_replies(peer);
  ASSERT_EQ(next.size(), 2u);
  EXPECT_EQ(next[0].body, "/late1");
  EXPECT_EQ(next[1].body, "/now2");
  ASSERT_EQ(replies.size(), 2u);
  static_cast<void>(replies[1].send());  // as from another thread
  rig.settle();
  next = take_replies(peer);
  ASSERT_EQ(next.size(), 2u);
  EXPECT_EQ(next[0].body, "/late2");
  EXPECT_EQ(next[1].body, "/now3");
}

// Requests that came together with the FIN are all answered, also when the first is answered late.
TEST(Pipeline, HalfCloseBehindPipelinedRequests) {
  for (bool late : {false, true}) {
    Rig rig;
    std::optional<Reply> reply;
    rig.events.on_http_request = [&](sluice::Connection, const HttpRequest& request,
                                     HttpResponse& response) {
      response.content_text(std::string(request.document()));
      if (late && request.document() == "/1") reply = response.defer();
    };
    rig.start();
    io::SimPeer peer = rig.connect();
    peer.send(get("/1") + get("/2") + get("/3"));
    peer.end();
    rig.settle();
    if (late) {
      EXPECT_EQ(peer.received(), "");
      rig.on(0, [&] { EXPECT_EQ(reply->send(), Errc::none); });
      rig.settle();
    }
    std::vector<HttpReply> replies = take_replies(peer);
    ASSERT_EQ(replies.size(), 3u) << "late: " << late;
    EXPECT_EQ(replies[2].body, "/3");
    EXPECT_TRUE(peer.saw_end());
    EXPECT_FALSE(peer.saw_reset());
    EXPECT_EQ(rig.network.open_count(), 0u);
  }
}

// The late answer comes in the very wake-up that tells of the FIN, before it.
TEST(Pipeline, HalfCloseInTheWakeUpOfTheAnswer) {
  Rig rig;
  std::optional<Reply> reply;
  rig.events.on_http_request = [&](sluice::Connection, const HttpRequest& request,
                                   HttpResponse& response) {
    response.content_text(std::string(request.document()));
    if (request.document() == "/1") reply = response.defer();
    if (request.document() == "/send") static_cast<void>(reply->send());
  };
  rig.start();
  io::SimPeer other = rig.connect(), peer = rig.connect();
  peer.send(get("/1") + get("/2"));
  rig.settle();
  other.send(get("/send"));
  peer.end();
  rig.settle();
  EXPECT_EQ(take_replies(peer).size(), 2u);
  EXPECT_TRUE(peer.saw_end());
}

// --- Cuts ---------------------------------------------------------------------------------------

struct Scene {
  std::string_view name, text;
};
constexpr Scene kScenes[] = {
    {"get", "GET /a?b=c HTTP/1.1\r\nHost: a\r\nAccept: x\r\n\r\n"},
    {"pair", "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n"},
    {"length",
     "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET /2 HTTP/1.1\r\nHost: "
     "a\r\n\r\n"},
    {"chunked",
     "POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
     "5;x=y\r\nhello\r\n1\r\n!\r\n0\r\nT: v\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n"},
    {"bad", "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nBad Name: x\r\n\r\n"},
    {"badchunk", "POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"},
    {"upgrade",
     "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
     "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
     "\x81\x83\x01\x02\x03\x04\x60\x60\x60\x88\x80\x01\x02\x03\x04"},
};

std::string without_dates(std::string text) {
  for (std::size_t at = 0; (at = text.find("Date: ", at)) != std::string::npos;) {
    text.erase(at, text.find("\r\n", at) + 2 - at);
  }
  return text;
}

struct Cutting {
  Cutting() {
    rig.events.on_http_request = echo;
    auto answer = [](sluice::Connection connection, std::string_view message) {
      static_cast<void>(connection.write_data(message));
    };
    EXPECT_TRUE(rig.router.add_websocket("/ws", {{}, answer, {}, {}, {}}));
    rig.start();
  }
  // What the peer gets when the text comes in two pieces, each in portions of `most` bytes.
  std::string serve(std::string_view text, std::size_t cut, std::size_t most) {
    rig.network.deliver_at_most(most);
    io::SimPeer peer = rig.connect();
    peer.send(text.substr(0, cut));
    rig.settle();
    peer.send(text.substr(cut));
    rig.settle();
    std::string got = without_dates(peer.take_received()) + (peer.saw_end() ? "(end)" : "");
    peer.close();
    rig.settle();
    return got;
  }
  Rig rig;
};

TEST(Pipeline, TheAnswerDoesNotDependOnTheCut) {
  Cutting cutting;
  for (const Scene& scene : kScenes) {
    std::string whole = cutting.serve(scene.text, scene.text.size(), SIZE_MAX);
    EXPECT_FALSE(whole.empty()) << scene.name;
    for (std::size_t cut = 1; cut < scene.text.size(); ++cut) {
      ASSERT_EQ(cutting.serve(scene.text, cut, SIZE_MAX), whole) << scene.name << " cut at " << cut;
    }
    EXPECT_EQ(cutting.serve(scene.text, 0, 1), whole) << scene.name << " byte by byte";
    EXPECT_EQ(cutting.serve(scene.text, 0, 7), whole) << scene.name << " seven by seven";
  }
}

// --- Limits -------------------------------------------------------------------------------------

// A request whose head is exactly `bytes` long.
std::string head_of(std::size_t bytes) {
  std::string text = "GET / HTTP/1.1\r\nHost: a\r\n";
  for (int i = 0; text.size() + 4 < bytes; ++i) {
    std::size_t room = std::min<std::size_t>(bytes - text.size() - 2, 1000);
    std::size_t after = bytes - text.size() - 2 - room;
    if (after > 0 && after < 5) room -= 5;  // leave enough for one more field
    text += "a:" + std::string(room - 4, 'x') + "\r\n";
  }
  return text + "\r\n";
}

TEST(Pipeline, HeadLimitAtNAndOneMore) {
  for (std::size_t most : {std::size_t{1}, std::size_t{777}, std::size_t{SIZE_MAX}}) {
    Rig rig;
    rig.settings.limits.head_bytes = 4096;
    rig.events.on_http_request = echo;
    rig.start();
    rig.network.deliver_at_most(most);
    io::SimPeer fits = rig.connect(), over = rig.connect();
    ASSERT_EQ(head_of(4096).size(), 4096u);
    fits.send(head_of(4096));
    over.send(head_of(4097));
    rig.settle();
    EXPECT_EQ(take_reply(fits).status, 200);
    EXPECT_EQ(take_reply(over).status, 431);
    EXPECT_TRUE(over.saw_end());
    EXPECT_FALSE(fits.saw_end());
  }
}

// A head that never ends is refused at the limit, not stored.
TEST(Pipeline, AnEndlessHeadTakesBoundedMemory) {
  Rig rig;
  rig.events.on_http_request = echo;
  rig.start();
  io::SimPeer peer = rig.connect();
  peer.send("GET / HTTP/1.1\r\nHost: a\r\nX: ");
  std::size_t most = 0;
  for (int i = 0; i < 100; ++i) {
    peer.send(std::string(1000, 'x'));
    rig.settle();
    most = std::max(most, rig.engine().blocks().bytes_in_use());
  }
  EXPECT_LE(most, 128u << 10);
  EXPECT_EQ(take_reply(peer).status, 431);
}

// Requests that wait behind a late answer stop the reading before long.
TEST(Pipeline, RequestsBehindALateAnswerAreBounded) {
  Rig rig;
  std::optional<Reply> reply;
  rig.events.on_http_request = [&](sluice::Connection, const HttpRequest& request,
                                   HttpResponse& response) {
    if (request.document() == "/late") reply = response.defer();
  };
  rig.start();
  io::SimPeer peer = rig.connect();
  peer.send(get("/late"));
  std::string many;
  for (int i = 0; i < 20'000; ++i) many += get("/");
  peer.send(many);
  rig.settle();
  EXPECT_LE(rig.engine().blocks().bytes_in_use(), 256u << 10);
  EXPECT_LT(rig.engine().counters().received_bytes, 256u << 10);
  rig.on(0, [&] { EXPECT_EQ(reply->send(), Errc::none); });
  rig.settle();
  EXPECT_EQ(take_replies(peer).size(), 20'001u);
}

TEST(Pipeline, ConnectionLimit) {
  Rig rig;
  rig.settings.limits.connections = 2;
  rig.events.on_http_request = echo;
  rig.start();
  io::SimPeer first = rig.connect(), second = rig.connect(), third = rig.connect();
  rig.settle();
  EXPECT_EQ(take_reply(third).status, 503);
  EXPECT_TRUE(third.saw_end());
  EXPECT_EQ(rig.count_errors(Errc::too_many_connections), 1u);
  third.end();
  first.send(get("/a"));
  rig.settle();
  EXPECT_EQ(take_reply(first).status, 200);
  first.close();
  rig.settle();
  io::SimPeer fourth = rig.connect();
  fourth.send(get("/b"));
  rig.settle();
  EXPECT_EQ(take_reply(fourth).body, "/b") << "a place is free again";
}

}  // namespace
}  // namespace sluice::test
