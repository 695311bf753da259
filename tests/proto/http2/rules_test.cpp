// tests/proto/http2/rules_test.cpp - rules that are broken, what is ignored, and priorities.
//
// RFC 9113 sections 5 to 8, RFC 9218. Layer: tests.
#include "proto/http2/client.hpp"
#include "proto/http2/harness.hpp"

namespace sluice::test::h2 {
namespace {

TEST(Http2Session, BrokenRules) {
  const std::tuple<const char*, std::string, Reason, Code> cases[] = {
      {"no preface", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", Reason::bad_preface,
       Code::protocol_error},
      {"no settings", std::string(http2::kPreface) + headers(1, get()), Reason::protocol,
       Code::protocol_error},
      {"even stream", opening() + headers(2, get()), Reason::protocol, Code::protocol_error},
      {"a stream that was left out", opening() + headers(3, get()) + headers(1, get()),
       Reason::protocol, Code::protocol_error},
      {"headers on a half-closed stream", opening() + headers(1, get()) + headers(1, get()),
       Reason::protocol, Code::stream_closed},
      {"headers on a stream that is over",
       opening() + headers(1, get()) + reset(1) + headers(1, get()), Reason::protocol,
       Code::stream_closed},
      {"data on a stream that is over",
       opening() + headers(1, post(), false) + reset(1) + data(1, "x"), Reason::protocol,
       Code::stream_closed},
      {"push", opening() + frame(kPush, kEndHeaders, 1, number(2, 4)), Reason::protocol,
       Code::protocol_error},
      {"bad compression",
       opening() + frame(kHeaders, kEndHeaders, 1, "\xff\xff\xff\xff\xff\xff\xff"),
       Reason::protocol, Code::compression_error},
      {"index out of the table", opening() + frame(kHeaders, kEndHeaders, 1, "\xbe"),
       Reason::protocol, Code::compression_error},
      {"connection window of 0", opening() + window(0, 0), Reason::protocol, Code::protocol_error},
      {"connection window overflow", opening() + window(0, 0x7fffffff), Reason::protocol,
       Code::flow_control_error},
      {"frame too large", opening() + frame(kPing, 0, 0, std::string(16385, 'x')), Reason::protocol,
       Code::frame_size_error},
      {"ping of 7 bytes", opening() + frame(kPing, 0, 0, "1234567"), Reason::protocol,
       Code::frame_size_error},
      {"reset of an idle stream", opening() + reset(1), Reason::protocol, Code::protocol_error},
      {"data on an idle stream", opening() + data(1, "x"), Reason::protocol, Code::protocol_error},
      {"data on a half-closed stream", opening() + headers(1, get()) + data(1, "x"),
       Reason::protocol, Code::stream_closed},
      {"continuation alone", opening() + frame(kContinuation, kEndHeaders, 1), Reason::protocol,
       Code::protocol_error},
      {"another frame inside a head", opening() + frame(kHeaders, 0, 1, block(get())) + ping(),
       Reason::protocol, Code::protocol_error},
      {"headers on stream 0", opening() + headers(0, get()), Reason::protocol,
       Code::protocol_error},
      {"data on stream 0", opening() + data(0, "x"), Reason::protocol, Code::protocol_error},
      {"reset of stream 0", opening() + reset(0), Reason::protocol, Code::protocol_error},
      {"settings on a stream", opening() + frame(kSettings, 0, 1), Reason::protocol,
       Code::protocol_error},
      {"ping on a stream", opening() + frame(kPing, 0, 1, "12345678"), Reason::protocol,
       Code::protocol_error},
      {"goaway on a stream", opening() + frame(kGoaway, 0, 1, "12345678"), Reason::protocol,
       Code::protocol_error},
      {"old priority of stream 0", opening() + frame(kPriority, 0, 0, number(1, 4) + "\x10"),
       Reason::protocol, Code::protocol_error},
      {"old priority of four bytes", opening() + frame(kPriority, 0, 1, "1234"), Reason::protocol,
       Code::frame_size_error},
      {"settings of five bytes", opening() + frame(kSettings, 0, 0, "12345"), Reason::protocol,
       Code::frame_size_error},
      {"acknowledgement with settings", opening() + frame(kSettings, kAck, 0, "123456"),
       Reason::protocol, Code::frame_size_error},
      {"window of an idle stream", opening() + window(1, 1), Reason::protocol,
       Code::protocol_error},
      {"window of an even stream", opening() + window(2, 1), Reason::protocol,
       Code::protocol_error},
      {"data on an even stream", opening() + data(2, "x"), Reason::protocol, Code::protocol_error},
      {"a priority on a stream", opening() + frame(kPriorityUpdate, 0, 1, number(1, 4)),
       Reason::protocol, Code::protocol_error},
      {"a priority of three bytes", opening() + frame(kPriorityUpdate, 0, 0, "abc"),
       Reason::protocol, Code::frame_size_error},
      {"a priority of no stream", opening() + frame(kPriorityUpdate, 0, 0, number(0, 4)),
       Reason::protocol, Code::protocol_error},
      {"a priority of a push", opening() + frame(kPriorityUpdate, 0, 0, number(2, 4)),
       Reason::protocol, Code::protocol_error},
      {"bad initial window", opening() + settings({{4, 0x80000000}}), Reason::protocol,
       Code::flow_control_error},
      {"bad frame size setting", opening() + settings({{5, 100}}), Reason::protocol,
       Code::protocol_error},
      {"padding longer than the frame",
       opening() + headers(1, post(), false) +
           frame(kData, kPadded, 1,
                 "\x05"
                 "ab"),
       Reason::protocol, Code::protocol_error},
  };
  for (const auto& [name, bytes, reason, code] : cases) {
    SCOPED_TRACE(name);
    for (const bool whole : {true, false}) {
      Connection peer;
      std::string words;
      if (whole) {
        words = peer.talk(bytes);
      } else {
        for (const char c : bytes) words += peer.talk(std::string(1, c));
      }
      EXPECT_EQ(words, "GOAWAY " + std::string(http2::word(code)) + "\n");
      EXPECT_EQ(peer.session->failure().reason, reason);
      EXPECT_EQ(peer.session->failure().code, code);
      EXPECT_TRUE(peer.session->is_over());
      EXPECT_EQ(peer.streams.size(), 0U);
    }
  }
}

TEST(Http2Session, UnknownFramesAndStreamErrorsLeaveOthersAlone) {
  Connection peer;
  std::string bytes = opening() + frame(0xfa, 0xff, 0, "whatever") + frame(0xfb, 0, 7, "x");
  bytes += headers(1, post(), false) + headers(3, get()) + headers(5, get());
  bytes += window(1, 0x7fffffff);  // overflow: of the stream alone
  EXPECT_EQ(peer.talk(bytes), "RST_STREAM 1 FLOW_CONTROL_ERROR\n");
  EXPECT_EQ(peer.session->streams(), 2U);
  peer.answer(3);
  peer.answer(5);
  EXPECT_EQ(peer.talk(""), "HEADERS 3\nHEADERS 5\n");
}

TEST(Http2Session, PrioritiesOrderAnswers) {
  Connection peer;
  peer.talk(opening() + headers(1, with(get(), {{"priority", "u=6"}})) +
            headers(3, with(get(), {{"priority", "u=1"}})) + headers(5, get()) +
            frame(kPriorityUpdate, 0, 0, number(5, 4) + "u=0"));
  for (const std::uint32_t id : {1U, 3U, 5U}) peer.answer(id, std::string(20000, 'x'));
  std::string order;
  for (const Frame& each : peer.frames()) {
    if (each.type == kData) order += std::to_string(each.id);
  }
  EXPECT_EQ(order, "553311");
}

std::string priority_update(std::uint32_t id, std::string_view value) {
  return frame(kPriorityUpdate, 0, 0, number(id, 4).append(value));
}

// The order of the first streams' DATA frames, of 20,000 bytes each.
std::string order_of(Connection& peer) {
  for (const std::uint32_t id : {1U, 3U, 5U}) peer.answer(id, std::string(20000, 'x'));
  std::string order;
  for (const Frame& each : peer.frames()) {
    if (each.type == kData) order += std::to_string(each.id);
  }
  return order;
}

TEST(Http2Session, PriorityUpdates) {
  const auto asks = with(get(), {{"priority", "u=3"}});
  const std::pair<std::string, const char*> cases[] = {
      {"", "113355"},
      {priority_update(5, "u=0"), "551133"},
      {priority_update(5, "u=0") + priority_update(5, "u=7"), "113355"},
      {priority_update(5, " u=0,i"), "551133"},
      {priority_update(3, "u=2") + priority_update(5, "i;x=1, u=2;a, z=9"), "335511"},
      {priority_update(1, ""), "113355"},
      {priority_update(1, "i") + priority_update(3, "i=?1") + priority_update(5, "i"), "135135"},
      {priority_update(1, "i") + priority_update(1, "i=?0"), "113355"},
      // What cannot be read says nothing.
      {priority_update(5, "u=8"), "113355"},
      {priority_update(5, "u=-1"), "113355"},
      {priority_update(5, "u=0,"), "113355"},
      {priority_update(5, "u"), "113355"},
      {priority_update(5, "u=0, i=1"), "113355"},
      {priority_update(5, "u=0, x=\"\""), "113355"},
      {priority_update(5, "u=0" + std::string(1000, ' ')), "113355"},
      // Nor do streams that are not open.
      {priority_update(99, "u=0") + priority_update(9, "i"), "113355"},
  };
  for (const auto& [bytes, order] : cases) {
    for (const bool whole : {true, false}) {
      Connection peer;
      peer.talk(opening() + headers(1, asks) + headers(3, asks) + headers(5, asks));
      if (whole) {
        peer.feed(bytes);
      } else {
        for (const char c : bytes) peer.feed(std::string(1, c));
      }
      EXPECT_EQ(order_of(peer), order) << bytes;
      EXPECT_FALSE(peer.session->has_failed());
    }
  }
}

// nghttp2 1.52 keeps a stream that was given a priority before it was open in a list which it
// stays in when it is gone.
TEST(Http2Session, PriorityUpdatesAheadOfTheirStreams) {
  for (const std::string& acknowledges : {std::string(), settings_ack()}) {
    Connection peer;
    peer.talk(std::string(http2::kPreface) + settings() + acknowledges);
    for (std::uint32_t id = 1; id < 400; id += 2) {
      ASSERT_EQ(peer.talk(priority_update(id, "u=1") + headers(id, get())), "") << id;
      peer.answer(id);
      peer.take();
    }
    EXPECT_FALSE(peer.session->has_failed()) << peer.session->failure().detail;
    EXPECT_EQ(peer.session->streams(), 0U);
  }
}

TEST(Http2Session, WhoAsksForNoPriorityTakesTurns) {
  Connection peer;
  peer.talk(opening() + headers(1, get()) + headers(3, get()) + headers(5, get()));
  EXPECT_EQ(order_of(peer), "135135");
  Connection asks;
  asks.talk(opening() + headers(1, with(get(), {{"priority", "u=3"}})) + headers(3, get()) +
            headers(5, with(get(), {{"priority", ""}})));
  EXPECT_EQ(order_of(asks).size(), 6U);
}

}  // namespace
}  // namespace sluice::test::h2
