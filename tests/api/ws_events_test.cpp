// tests/api/ws_events_test.cpp - events of a WebSocket: which, how often, in which order.
//
// RFC 6455 sections 5.4, 5.5, 7.1. Layer: tests.
#include <gtest/gtest.h>

#include <any>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "api/ws_harness.hpp"

namespace sluice::test {
namespace {

using Lines = std::vector<std::string>;

class WsEvents : public WsTest {};

TEST_P(WsEvents, ComeInOrderAndEndWithOneDisconnect) {
  Running running = start();
  WsClient socket = ws();
  ASSERT_TRUE(socket.is_open());
  socket.text("one");
  socket.binary("two");
  socket.text("");
  EXPECT_EQ(socket.read(), "one");
  EXPECT_EQ(socket.read(), "two");
  EXPECT_EQ(socket.read(), "");
  EXPECT_TRUE(socket.close_and_wait(4321));
  ASSERT_TRUE(told("disconnect 4321"));
  EXPECT_TRUE(eventually([&] { return server.counters().connections == 0; }));
  EXPECT_EQ(events.all(), (Lines{"connect", "text one", "binary two", "text ", "disconnect 4321"}));
  Counters counters = server.counters();
  EXPECT_EQ(counters.messages_received, 3u);
  EXPECT_EQ(counters.messages_sent, 3u);
  EXPECT_EQ(counters.websockets, 0u);
}

TEST_P(WsEvents, TellAnAbruptEndAs1006) {
  Running running = start();
  for (bool reset : {false, true}) {
    WsClient socket = ws();
    ASSERT_TRUE(socket.is_open());
    ASSERT_TRUE(told("connect", reset ? 2 : 1));
    if (reset) {
      socket.http().reset();
    } else {
      socket.http().disconnect();
    }
    EXPECT_TRUE(told("disconnect 1006", reset ? 2 : 1));
  }
  EXPECT_TRUE(eventually([&] { return server.counters().connections == 0; }));
  EXPECT_EQ(events.size(), 4u);
}

TEST_P(WsEvents, TellACloseWithoutACodeAs1005) {
  Running running = start();
  WsClient socket = ws();
  socket.send(WsClient::frame(WsClient::kClose, ""));
  EXPECT_EQ(socket.read_close(), 1000);
  EXPECT_TRUE(socket.at_end());
  EXPECT_TRUE(told("disconnect 1005"));
}

TEST_P(WsEvents, DeliverWhatCameBeforeTheEnd) {
  Running running = start();
  WsClient socket = ws();
  std::string all;
  for (int i = 0; i < 100; ++i) {
    all += WsClient::frame(WsClient::kText, std::to_string(i));
  }
  ASSERT_TRUE(socket.send(all));
  socket.http().end_sending();
  // Half-closed, and still answered.
  for (int i = 0; i < 100; ++i) ASSERT_EQ(socket.read(), std::to_string(i));
  EXPECT_TRUE(socket.at_end());
  ASSERT_TRUE(told("disconnect 1006"));
  EXPECT_EQ(events.size(), 102u);
  EXPECT_EQ(events.all().back(), "disconnect 1006");
}

TEST_P(WsEvents, OfAServersCloseHaveItsCode) {
  server.on_message = [&](Connection connection, std::string_view text) {
    events.tell("text " + std::string(text));
    connection.write_data("before");
    EXPECT_EQ(connection.close(4000, "because"), SendStatus::queued);
  };
  Running running = start();
  WsClient socket = ws();
  socket.text("x");
  EXPECT_EQ(socket.read(), "before");
  std::optional<WsFrame> frame = socket.read_frame();
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->opcode, WsClient::kClose);
  EXPECT_EQ(frame->close_code(), 4000);
  EXPECT_EQ(frame->payload.substr(2), "because");
  socket.close(4000);
  EXPECT_TRUE(socket.at_end());
  EXPECT_TRUE(told("disconnect 4000"));
  EXPECT_TRUE(eventually([&] { return server.counters().connections == 0; }));
  EXPECT_EQ(events.size(), 3u);
}

TEST_P(WsEvents, OfACloseWithAWrongCodeOrALongReason) {
  Running running = start();
  WsClient one = ws();
  EXPECT_EQ(next_connection().close(1005), SendStatus::queued);
  EXPECT_EQ(one.read_close(), 1000);
  WsClient two = ws();
  std::string reason(122, 'r');
  reason += "\xc3\xa4\xc3\xa4";  // the cut does not split a character
  EXPECT_EQ(next_connection().close(1001, reason), SendStatus::queued);
  std::optional<WsFrame> frame = two.read_frame();
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->payload.substr(2), std::string(122, 'r'));
}

TEST_P(WsEvents, StopAfterDisconnect) {
  server.on_message = [&](Connection connection, std::string_view text) {
    events.tell("text " + std::string(text));
    EXPECT_EQ(connection.disconnect(), SendStatus::queued);
  };
  Running running = start();
  WsClient socket = ws();
  socket.text("x");
  EXPECT_EQ(socket.read_close(), 0);
  EXPECT_TRUE(told("disconnect 1006"));
  EXPECT_TRUE(eventually([&] { return server.counters().connections == 0; }));
  EXPECT_EQ(events.all(), (Lines{"connect", "text x", "disconnect 1006"}));
}

TEST_P(WsEvents, KeepTheApplicationsData) {
  server.on_connect = [](Connection connection) { connection.data() = std::string("mine"); };
  server.on_message = [](Connection connection, std::string_view text) {
    std::string& held = std::any_cast<std::string&>(connection.data());
    held.append(text);
    connection.write_data(held);
  };
  server.on_disconnect = [&](Connection connection, std::uint16_t) {
    events.tell(std::any_cast<std::string>(connection.data()));
    EXPECT_FALSE(connection.is_open());
    EXPECT_EQ(connection.write_data("x"), SendStatus::gone);
    EXPECT_EQ(connection.close(), SendStatus::gone);
    EXPECT_EQ(connection.subscribe("x"), SendStatus::gone);
  };
  Running running = start();
  WsClient socket = ws();
  socket.text("+a");
  EXPECT_EQ(socket.read(), "mine+a");
  socket.text("+b");
  EXPECT_EQ(socket.read(), "mine+a+b");
  socket.http().reset();
  EXPECT_TRUE(told("mine+a+b"));
}

TEST_P(WsEvents, AnswerPings) {
  Running running = start();
  WsClient socket = ws();
  socket.ping("payload");
  std::optional<WsFrame> frame = socket.read_frame();
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->opcode, WsClient::kPong);
  EXPECT_EQ(frame->payload, "payload");
  EXPECT_FALSE(frame->masked);
  // Between two fragments, and a pong that nobody asked for.
  socket.send(WsClient::frame(WsClient::kText, "a", false) +
              WsClient::frame(WsClient::kPong, "unasked") +
              WsClient::frame(WsClient::kPing, std::string(125, 'p')) +
              WsClient::frame(WsClient::kContinuation, "b"));
  frame = socket.read_frame();
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->opcode, WsClient::kPong);
  EXPECT_EQ(frame->payload, std::string(125, 'p'));
  EXPECT_EQ(socket.read(), "ab");
}

TEST_P(WsEvents, SurviveAFrameThatIsCutAtAnyByte) {
  Running running = start();
  WsClient socket = ws();
  Connection connection = next_connection();
  const std::string frames =
      WsClient::frame(WsClient::kText, "first") + WsClient::frame(WsClient::kText, "sec", false) +
      WsClient::frame(WsClient::kPing, "p") + WsClient::frame(WsClient::kContinuation, "ond") +
      WsClient::frame(WsClient::kBinary, std::string(130, 'b'));
  std::uint64_t before = connection.bytes_received();
  for (std::size_t cut = 1; cut < frames.size(); ++cut) {
    ASSERT_TRUE(socket.send(std::string_view(frames).substr(0, cut)));
    // The rest leaves when the server has taken the front, so that there are two reads.
    ASSERT_TRUE(eventually([&] { return connection.bytes_received() >= before + cut; })) << cut;
    ASSERT_TRUE(socket.send(std::string_view(frames).substr(cut)));
    before += frames.size();
    ASSERT_EQ(socket.read(), "first") << cut;
    ASSERT_EQ(socket.read(), "second") << cut;
    ASSERT_EQ(socket.read(), std::string(130, 'b')) << cut;
  }
}

TEST_P(WsEvents, ComeForFramesThatArriveByteByByte) {
  Running running = start();
  WsClient socket = ws();
  const std::string frames = WsClient::frame(WsClient::kText, std::string(300, 't')) +
                             WsClient::frame(WsClient::kBinary, "x");
  for (const char& c : frames) ASSERT_TRUE(socket.send({&c, 1}));
  EXPECT_EQ(socket.read(), std::string(300, 't'));
  EXPECT_EQ(socket.read(), "x");
}

// --- Fragments -----------------------------------------------------------------------------------

struct FragmentCase {
  FragmentedMessages mode;
  Lines expected;
};

TEST_P(WsEvents, TellFragmentsAsAskedFor) {
  const FragmentCase cases[] = {
      {FragmentedMessages::only_buffer,
       {"connect", "text abcdef", "binary xy", "text whole", "disconnect 1000"}},
      {FragmentedMessages::only_fragmented,
       {"connect", "fragment 1 abc more", "fragment 1  more", "fragment 1 def", "fragment 2 x more",
        "fragment 2 y", "fragment 1 whole", "disconnect 1000"}},
      {FragmentedMessages::all,
       {"connect", "fragment 1 abc more", "fragment 1  more", "fragment 1 def", "text abcdef",
        "fragment 2 x more", "fragment 2 y", "binary xy", "fragment 1 whole", "text whole",
        "disconnect 1000"}},
  };
  for (const FragmentCase& expected : cases) {
    Told<std::string> told_here;
    Server other;
    prepare(other);
    other.options.fragmented_messages = expected.mode;
    other.on_connect = [&](Connection) { told_here.tell("connect"); };
    other.on_message = [&](Connection, std::string_view t) { told_here.tell("text " + shown(t)); };
    other.on_binary = [&](Connection, Bytes b) { told_here.tell("binary " + shown(as_text(b))); };
    other.on_fragmented = [&](Connection, Bytes bytes, Opcode opcode, bool more) {
      told_here.tell("fragment " + std::to_string(int(opcode)) + " " + shown(as_text(bytes)) +
                     (more ? " more" : ""));
    };
    other.on_disconnect = [&](Connection, std::uint16_t code) {
      told_here.tell("disconnect " + std::to_string(code));
    };
    ASSERT_TRUE(other.start());
    WsClient socket(other.bound_port());
    ASSERT_TRUE(socket.is_open());
    const std::string frames = WsClient::frame(WsClient::kText, "abc", false) +
                               WsClient::frame(WsClient::kContinuation, "", false) +
                               WsClient::frame(WsClient::kContinuation, "def") +
                               WsClient::frame(WsClient::kBinary, "x", false) +
                               WsClient::frame(WsClient::kContinuation, "y") +
                               WsClient::frame(WsClient::kText, "whole");
    for (const char& c : frames) ASSERT_TRUE(socket.send({&c, 1}));
    EXPECT_TRUE(socket.close_and_wait());
    ASSERT_TRUE(told_here.wait_for(expected.expected.size()));
    EXPECT_EQ(told_here.all(), expected.expected);
    EXPECT_TRUE(other.stop());
  }
}

TEST_P(WsEvents, TellLargeFragmentsByteForByte) {
  server.options.fragmented_messages = FragmentedMessages::all;
  Told<std::string> fragments;
  Told<std::string> whole;
  server.on_fragmented = [&](Connection, Bytes bytes, Opcode, bool) {
    fragments.tell(std::string(as_text(bytes)));
  };
  server.on_binary = [&](Connection, Bytes bytes) { whole.tell(std::string(as_text(bytes))); };
  Running running = start();
  WsClient socket = ws();
  const std::string message = pattern(700'000);
  std::string frames;
  for (std::size_t at = 0; at < message.size(); at += 70'000) {
    frames += WsClient::frame(at == 0 ? WsClient::kBinary : WsClient::kContinuation,
                              std::string_view(message).substr(at, 70'000),
                              at + 70'000 >= message.size());
  }
  ASSERT_TRUE(socket.send(frames));
  ASSERT_TRUE(whole.wait_for(1));
  EXPECT_TRUE(whole.all()[0] == message);
  std::string joined;
  for (const std::string& fragment : fragments.all()) joined += fragment;
  EXPECT_EQ(fragments.size(), 10u);
  EXPECT_TRUE(joined == message);
}

// --- Exceptions ----------------------------------------------------------------------------------

TEST_P(WsEvents, ThatThrowCloseWith1011AndTheServerGoesOn) {
  Told<std::string> thrown;
  server.on_exception = [&](Connection, std::exception_ptr what) {
    try {
      std::rethrow_exception(what);
    } catch (const std::exception& error) {
      thrown.tell(error.what());
    } catch (...) {
      thrown.tell("something");
    }
  };
  server.on_message = [](Connection connection, std::string_view text) {
    if (text == "throw") throw std::runtime_error("thrown");
    if (text == "throw 1") throw 1;
    connection.write_data(text);
  };
  server.on_binary = [](Connection, Bytes) { throw std::runtime_error("binary"); };
  Running running = start();
  WsClient one = ws();
  one.text("throw");
  EXPECT_EQ(one.read_close(), 1011);
  one.close(1011);
  EXPECT_TRUE(one.at_end());
  EXPECT_TRUE(told("disconnect 1011"));
  WsClient two = ws();
  two.text("throw 1");
  EXPECT_EQ(two.read_close(), 1011);
  WsClient three = ws();
  three.binary("x");
  EXPECT_EQ(three.read_close(), 1011);
  EXPECT_EQ(thrown.all(), (Lines{"thrown", "something", "binary"}));
  EXPECT_TRUE(logged(Errc::handler_threw));
  WsClient four = ws();
  four.text("fine");
  EXPECT_EQ(four.read(), "fine");
}

TEST_P(WsEvents, MayThrowAtTheBeginningAndAtTheEnd) {
  Told<bool> thrown;
  server.on_exception = [&](Connection, std::exception_ptr) { thrown.tell(true); };
  server.on_connect = [](Connection) { throw std::runtime_error("connect"); };
  server.on_disconnect = [&](Connection, std::uint16_t code) {
    events.tell("disconnect " + std::to_string(code));
    throw std::runtime_error("disconnect");
  };
  Running running = start();
  WsClient socket = ws();
  EXPECT_EQ(socket.read_close(), 1011);
  socket.close(1011);
  EXPECT_TRUE(socket.at_end());
  EXPECT_TRUE(thrown.wait_for(2));
  EXPECT_EQ(events.all(), Lines{"disconnect 1011"});
}

TEST_P(WsEvents, OfAnExceptionMayThrowToo) {
  server.on_exception = [](Connection, std::exception_ptr) { throw std::runtime_error("again"); };
  server.on_http_request = [](Connection, const HttpRequest&, HttpResponse&) {
    throw std::runtime_error("first");
  };
  Running running = start();
  HttpClient http = client();
  EXPECT_EQ(http.get("/").status, 500);
  EXPECT_EQ(http.get("/").status, 500);
}

INSTANTIATE_TEST_SUITE_P(Api, WsEvents, every_setup(), name_of);

}  // namespace
}  // namespace sluice::test
