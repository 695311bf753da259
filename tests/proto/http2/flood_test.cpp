// tests/proto/http2/flood_test.cpp - what a peer may do so often, at its number and at one more.
//
// RFC 9113 section 10.5; CVE-2023-44487, CVE-2024-28182, CVE-2025-8671. Layer: tests.
#include "proto/http2/harness.hpp"

namespace sluice::test::h2 {
namespace {

void expect_flood(Connection& peer, Flood flood) {
  EXPECT_EQ(peer.talk(""), "GOAWAY ENHANCE_YOUR_CALM\n");
  EXPECT_EQ(peer.session->failure().reason, Reason::flood);
  EXPECT_EQ(peer.session->failure().flood, flood) << http2::word(peer.session->failure().flood);
  EXPECT_EQ(peer.session->failure().code, Code::enhance_your_calm);
  EXPECT_EQ(peer.streams.size(), 0U);
  EXPECT_TRUE(peer.session->is_over());
}

// `often(i)` makes the i-th frame: `most` of them are let pass, in a window and in the next one,
// and one more is not.
template <class Make>
void expect_most(const Settings& settings, std::uint32_t most, Flood flood, Make often,
                 const std::string& start = {}) {
  SCOPED_TRACE(http2::word(flood));
  Connection peer(settings);
  peer.now = at_second(-100);  // what it begins with is in no window
  peer.talk(opening() + start);
  std::uint32_t i = 0;
  for (const double second : {0.0, 10.0}) {
    peer.now = at_second(second);
    for (std::uint32_t n = 0; n < most; ++n) {
      ASSERT_TRUE(peer.feed(often(i++))) << n << peer.session->failure().detail;
      peer.take();
    }
    peer.now = at_second(second + 9.999);
  }
  EXPECT_FALSE(peer.feed(often(i)));
  expect_flood(peer, flood);
}

std::uint32_t odd(std::uint32_t i) { return 2 * i + 1; }

TEST(Http2Flood, RapidReset) {
  Settings settings;
  settings.floods.half_of = 100000;
  expect_most(settings, 200, Flood::resets,
              [](std::uint32_t i) { return headers(odd(i), get()) + reset(odd(i)); });
}

TEST(Http2Flood, ResetsOfStreamsThatAreOverCountToo) {
  expect_most(
      {}, 200, Flood::resets, [](std::uint32_t) { return reset(1); },
      headers(1, get()) + reset(1, 0));
}

TEST(Http2Flood, MoreThanHalfOfTheStreams) {
  for (const std::uint32_t good : {50U, 51U}) {
    Connection peer;
    peer.talk(opening());
    std::uint32_t i = 0;
    for (; i < good; ++i) {
      peer.feed(headers(odd(i), get()));
      peer.answer(odd(i));
      peer.take();
    }
    for (; i < 100; ++i) {
      peer.now = at_second(i);
      EXPECT_TRUE(peer.feed(headers(odd(i), get()) + reset(odd(i))));
      peer.take();
    }
    // The 101st: 51 of 101, or 50.
    EXPECT_EQ(peer.feed(headers(odd(i), get()) + reset(odd(i))), good == 51);
    if (good == 50) expect_flood(peer, Flood::half_of);
  }
}

// Whoever leaves a page takes back what it was loading; videos, streams of events and WebSockets
// end so as a rule.
TEST(Http2Flood, HonestClientsReset) {
  Connection page;
  page.talk(opening());
  std::uint32_t i = 0;
  for (const std::uint32_t images : {60U, 40U}) {
    for (std::uint32_t n = 0; n < images; ++n) page.feed(headers(odd(i + n), get()));
    for (std::uint32_t n = 0; n < images; ++n) EXPECT_TRUE(page.feed(reset(odd(i + n))));
    i += images;
  }
  EXPECT_EQ(page.talk(headers(odd(i), get("/next"))), "");
  EXPECT_EQ(page.session->streams(), 1U);

  Connection videos;
  videos.talk(opening());
  for (i = 0; i < 2000; ++i) {
    videos.now += std::chrono::seconds(1);
    EXPECT_TRUE(videos.feed((i > 0 ? reset(odd(i - 1)) : "") + headers(odd(i), get())));
    videos.take();
  }
  EXPECT_EQ(videos.session->counters().early_resets, 1999U);
}

TEST(Http2Flood, MadeYouReset) {
  const std::pair<const char*, std::function<std::string(std::uint32_t)>> ways[] = {
      {"window overflow",
       [](std::uint32_t id) { return headers(id, get()) + window(id, 0x7fffffff); }},
      {"body too long",
       [](std::uint32_t id) {
         return headers(id, with(post(), {{"content-length", "1"}}), false) + data(id, "ab");
       }},
      {"body too short",
       [](std::uint32_t id) {
         return headers(id, with(post(), {{"content-length", "3"}}), false) + data(id, "ab", true);
       }},
      {"malformed head",
       [](std::uint32_t id) {
         return headers(id, with(get(), {{"A", "b"}}));
       }},
      {"no method", [](std::uint32_t id) { return headers(id, {}); }},
      {"trailers without an end",
       [](std::uint32_t id) {
         return headers(id, post(), false) + headers(id, {{"a", "b"}}, false);
       }},
  };
  for (const auto& each : ways) {
    SCOPED_TRACE(each.first);
    const auto& way = each.second;
    expect_most({}, 100, Flood::provoked, [&](std::uint32_t i) { return way(odd(i)); });
    // Nothing is sent: the work ends all the same, at once.
    Connection peer;
    peer.feed(opening());
    for (std::uint32_t i = 0; i < 100; ++i) {
      EXPECT_TRUE(peer.feed(way(odd(i))));
      EXPECT_EQ(peer.streams.size(), 0U);
      EXPECT_EQ(peer.session->counters().provoked, i + 1);
    }
    EXPECT_FALSE(peer.feed(way(odd(100))));
    EXPECT_EQ(peer.session->failure().flood, Flood::provoked);
  }
}

// These end the connection at once, whoever counts.
TEST(Http2Flood, MadeYouResetOtherwise) {
  const std::string ways[] = {
      headers(1, get()) + window(1, 0),
      headers(1, get()) + data(1, "x"),
      headers(1, get()) + frame(kReset, 0, 1, "abc"),
      headers(1, get()) + frame(kWindow, 0, 1, "abc"),
  };
  for (const std::string& way : ways) {
    Connection peer;
    EXPECT_EQ(peer.talk(opening() + way).substr(0, 6), "GOAWAY");
    EXPECT_TRUE(peer.session->has_failed());
    EXPECT_EQ(peer.streams.size(), 0U);
  }
  // Priorities of RFC 7540 are not used, so that one on itself means nothing.
  Connection peer;
  EXPECT_EQ(
      peer.talk(opening() + headers(1, get()) + frame(kPriority, 0, 1, number(1, 4) + "\x10")), "");
  EXPECT_EQ(peer.session->streams(), 1U);
}

TEST(Http2Flood, Continuations) {
  for (const std::uint32_t pieces : {8U, 9U}) {
    Connection peer;
    const std::string head = block(get());
    std::string bytes = opening() + frame(kHeaders, kEndStream, 1, head);
    for (std::uint32_t i = 1; i < pieces; ++i) bytes += frame(kContinuation, 0, 1);
    bytes += frame(kContinuation, kEndHeaders, 1);
    for (const char c : bytes) peer.feed(std::string(1, c));
    EXPECT_EQ(peer.log, pieces == 8 ? "request 1 GET /\n" : "");
    if (pieces == 9) expect_flood(peer, Flood::continuations);
  }
}

TEST(Http2Flood, BytesOfAHeadBlock) {
  const std::string head = block(get());
  for (const std::size_t over : {0U, 1U}) {
    Settings settings;
    settings.floods.head_block_bytes = 40000;
    Connection peer(settings);
    std::string text = head + block({{"x", std::string(39900 - head.size() + over, 'v')}});
    text += block({{"y", std::string(40000 + over - text.size() - 4, 'v')}});
    ASSERT_EQ(text.size(), 40000 + over);
    peer.feed(opening() + frame(kHeaders, kEndStream, 1, text.substr(0, 16000)) +
              frame(kContinuation, 0, 1, text.substr(16000, 16000)) +
              frame(kContinuation, kEndHeaders, 1, text.substr(32000)));
    EXPECT_EQ(peer.log, over == 0 ? "request 1 GET / 431\n" : "");
    if (over != 0) expect_flood(peer, Flood::head_block_bytes);
  }
}

TEST(Http2Flood, SettingsPingsAndFramesThatDoNothing) {
  // The opening has one of each.
  const Settings settings;
  const auto once = [](std::string bytes) { return [bytes](std::uint32_t) { return bytes; }; };
  {
    Connection peer;
    peer.feed(opening());
    for (int i = 0; i < 99; ++i) EXPECT_TRUE(peer.feed(test::h2::settings()));
    EXPECT_FALSE(peer.feed(test::h2::settings({{4, 1}})));
    expect_flood(peer, Flood::settings);
  }
  expect_most(settings, 100, Flood::pings, once(ping()));
  expect_most(settings, 100, Flood::pings, once(ping(true)));
  const std::string start = headers(1, post(), false);
  expect_most(settings, 100, Flood::empty_frames, once(data(1, "")), start);
  expect_most(settings, 100, Flood::empty_frames,
              once(frame(kData, kPadded, 1, std::string("\x02\0\0", 3))), start);
  Settings few;
  few.floods.idle_frames = 10;
  const std::string idle[] = {frame(kPriority, 0, 1, number(0, 4) + "\x10"), frame(0xee, 0, 0, "x"),
                              frame(kPriorityUpdate, 0, 0, number(1, 4) + "u=1"),
                              frame(0xee, 0, 99)};
  for (const std::string& each : idle) {
    Connection peer(few);
    peer.feed(opening());  // one acknowledgement
    for (int i = 0; i < 9; ++i) EXPECT_TRUE(peer.feed(each));
    EXPECT_FALSE(peer.feed(each));
    expect_flood(peer, Flood::idle_frames);
  }
}

// A client of gRPC measures the path while a body comes: one PING for each round trip.
TEST(Http2Flood, PingsThatGoWithABody) {
  Connection peer;
  peer.talk(opening() + headers(1, get()) + window(0, 1 << 30) + window(1, 1 << 30));
  peer.answer(1, std::string(2000000, 'x'));
  for (int i = 0; i < 1000; ++i) {
    peer.session->send(peer, 1000);
    ASSERT_TRUE(peer.feed(ping())) << i;
  }
  // And no others.
  int more = 0;
  while (more < 500 && peer.feed(ping())) ++more;
  EXPECT_GE(more, 100);
  EXPECT_LT(more, 200);
  EXPECT_EQ(peer.session->failure().flood, Flood::pings);
}

TEST(Http2Flood, WindowsOfStreamsThatAreOver) {
  expect_most(
      {}, 1000, Flood::small_windows, [](std::uint32_t) { return window(1, 100000); },
      headers(1, get()) + reset(1));
  // Who is done with a body says so, when its stream is over.
  Connection peer;
  peer.talk(opening());
  for (std::uint32_t i = 0; i < 3000; ++i) {
    peer.talk(headers(odd(i), get()));
    peer.answer(odd(i), std::string(5000, 'x'));
    peer.take();
    ASSERT_TRUE(peer.feed(window(odd(i), 5000) + window(0, 5000)));
  }
}

TEST(Http2Flood, TinyWindows) {
  Settings settings;
  settings.floods.small_windows = 50;
  expect_most(
      settings, 50, Flood::small_windows, [](std::uint32_t) { return window(1, 1); },
      headers(1, get()));
  expect_most(settings, 50, Flood::small_windows, [](std::uint32_t) { return window(0, 1023); });
  Connection peer(settings);
  peer.talk(opening());
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(peer.feed(window(0, 1024)));
  // Who is sent small pieces gives small windows back.
  peer.talk(headers(1, get()));
  EXPECT_TRUE(peer.session->answer(peer.stream(1), {}));
  for (std::size_t i = 1; i < 500; ++i) {
    peer.sources[1] = {std::string(10 * i, 'e'), 10 * (i - 1), 10 * i, false, {}};
    peer.sources[1].text += "more";
    peer.session->resume(peer.stream(1));
    peer.take();
    EXPECT_TRUE(peer.feed(window(0, 10) + window(1, 10)));
  }
}

// Limits of a head that are larger than the numbers here move these.
TEST(Http2Flood, LargeHeadsThatAreAllowed) {
  Settings settings;
  settings.head = {.head_bytes = 1 << 20, .field_bytes = 1 << 16, .fields = 1000};
  for (const std::size_t fields : {20U, 27U}) {
    Connection peer(settings);
    FieldList list = get();
    for (std::size_t i = 0; i < fields; ++i) list.push_back({"x", std::string(40000, 'v')});
    std::string text = block(list);
    std::string bytes = opening() + frame(kHeaders, kEndStream, 1, text.substr(0, 16384));
    for (std::size_t at = 16384; at < text.size(); at += 16384) {
      bytes += frame(kContinuation, at + 16384 < text.size() ? 0 : kEndHeaders, 1,
                     text.substr(at, 16384));
    }
    EXPECT_EQ(peer.talk(bytes), "");
    EXPECT_EQ(peer.log, fields == 20 ? "request 1 GET /\n" : "request 1 GET / 431\n");
  }
}

TEST(Http2Flood, OneStreamIsCountedOnce) {
  Connection peer;
  FieldList fields = get();
  fields[1].second = "ftp";  // we say so
  EXPECT_EQ(peer.talk(opening() + frame(kHeaders, kEndStream, 1, block(fields)) +
                      frame(kContinuation, kEndHeaders, 1, field("A", "b"))),
            "RST_STREAM 1 PROTOCOL_ERROR\n");
  EXPECT_EQ(peer.session->counters().provoked, 1U);
  EXPECT_EQ(peer.log, "refused 1\n");
}

TEST(Http2Flood, HpackBomb) {
  Settings settings;
  settings.floods.decoded_bytes = 100000;
  for (const bool over : {false, true}) {
    Connection peer(settings);
    std::string text = block(get());
    std::size_t decoded = 0;
    for (const auto& [name, value] : get()) decoded += name.size() + value.size() + 32;
    text += indexed_field("x", std::string(3967, 'v'));  // 4,000 with what is counted
    decoded += 4000;
    for (; decoded + 4000 <= 100000; decoded += 4000) text += '\xbe';
    text += block({{"z", std::string(100000 - decoded - 33 + (over ? 1 : 0), 'v')}});
    peer.feed(opening() + frame(kHeaders, kEndStream | kEndHeaders, 1, text));
    EXPECT_EQ(peer.log, over ? "" : "request 1 GET / 431\n");
    if (over) expect_flood(peer, Flood::decoded_bytes);
  }
}

TEST(Http2Flood, StreamsAtATime) {
  Settings settings{.streams = 3};
  Connection peer(settings);
  peer.talk(std::string(http2::kPreface) + test::h2::settings());
  for (std::uint32_t i = 0; i < 3; ++i) EXPECT_EQ(peer.talk(headers(odd(i), get())), "");
  // It does not know the number yet.
  EXPECT_EQ(peer.talk(headers(7, get())), "RST_STREAM 7 REFUSED_STREAM\n");
  EXPECT_EQ(peer.session->counters().refused, 1U);
  EXPECT_EQ(peer.session->streams(), 3U);
  peer.answer(1);
  peer.take();
  EXPECT_EQ(peer.talk(headers(9, get())), "");
  EXPECT_EQ(peer.session->streams(), 3U);
  // Now it does.
  EXPECT_EQ(peer.talk(settings_ack() + headers(11, get())), "GOAWAY PROTOCOL_ERROR\n");
  EXPECT_EQ(peer.streams.size(), 0U);
}

TEST(Http2Flood, StreamsOfAPeerThatNeverAcknowledges) {
  Settings settings{.streams = 1};
  settings.floods.refused = 20;
  Connection peer(settings);
  peer.talk(std::string(http2::kPreface) + test::h2::settings() + headers(1, get()));
  for (std::uint32_t i = 1; i <= 20; ++i) EXPECT_TRUE(peer.feed(headers(odd(i), get())));
  EXPECT_FALSE(peer.feed(headers(odd(21), get())));
  EXPECT_FALSE(peer.session->settings_acknowledged());
  EXPECT_EQ(peer.session->failure().flood, Flood::refused);
}

TEST(Http2Flood, AnswersThatNobodyReads) {
  Settings settings;
  settings.floods.pings = 100000;
  settings.floods.queue = 50;
  Connection peer(settings);
  peer.talk(opening());
  int sent = 0;
  while (peer.feed(ping()) && sent < 1000) ++sent;
  EXPECT_GE(sent, 50);
  EXPECT_LE(sent, 51);
  EXPECT_EQ(peer.session->failure().flood, Flood::queue);
}

TEST(Http2Flood, EachNumberHasItsName) {
  for (int i = 0; i <= static_cast<int>(Flood::queue); ++i) {
    EXPECT_FALSE(http2::word(static_cast<Flood>(i)).empty());
  }
  EXPECT_EQ(http2::word(Flood::queue), "queue");
  EXPECT_EQ(http2::word(Code::http_1_1_required), "HTTP_1_1_REQUIRED");
  EXPECT_EQ(http2::word(static_cast<Code>(99)), "UNKNOWN");
  EXPECT_EQ(http2::word(Reason::aborted), "aborted");
}

}  // namespace
}  // namespace sluice::test::h2
