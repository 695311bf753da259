// tests/proto/http2/session_test.cpp - bodies both ways, windows, resets, the end; and that nothing
// depends on how the bytes were cut.
//
// RFC 9113 sections 5 to 8. Layer: tests.
#include <random>

#include "proto/http2/client.hpp"
#include "proto/http2/harness.hpp"

namespace sluice::test::h2 {
namespace {

TEST(Http2Session, AnswersWithAHeadThatIsOfHttp2) {
  Connection peer;
  Client client;
  peer.feed(client.take());
  client.feed(peer.take());
  const int id = client.request(get());
  peer.feed(client.take());
  peer.answer(1, "hello", 404,
              "X-Name: v\r\nConnection: close\r\nKeep-Alive: 5\r\nTransfer-Encoding: chunked\r\n"
              "Upgrade: h2c\r\nSet-Cookie: a=b\r\nX-Empty:\r\n");
  client.feed(peer.take());
  EXPECT_EQ(client.answers[id].fields,
            ":status=404 x-name=v set-cookie=a=b x-empty= content-length=5 ");
  EXPECT_EQ(client.answers[id].body, "hello");
  EXPECT_TRUE(client.answers[id].closed);
  EXPECT_EQ(peer.log, "request 1 GET /\nclosed 1 NO_ERROR\n");
  EXPECT_EQ(peer.session->streams(), 0U);
}

TEST(Http2Session, FieldsOfTheServerAndNoBody) {
  Connection peer;
  Client client;
  const int id = client.request(get());
  peer.feed(client.take());
  peer.session->answer(peer.stream(1),
                       {.status = 204, .date = "now", .server = "s", .type = "t", .ends = true});
  client.feed(peer.take());
  EXPECT_EQ(client.answers[id].fields, ":status=204 date=now server=s content-type=t ");
  EXPECT_TRUE(client.answers[id].closed);
}

TEST(Http2Session, InterimHeadsBodyInPiecesAndTrailers) {
  Connection peer;
  Client client;
  const int id = client.request(get());
  peer.feed(client.take());
  Stream& stream = peer.stream(1);
  EXPECT_TRUE(peer.session->interim(stream, 103, "Link: </a>\r\n"));
  EXPECT_TRUE(peer.session->answer(stream, {}));
  peer.sources[1] = {"hello world", 0, 0, false, "X-Sum: 7\r\n"};
  client.feed(peer.take());
  EXPECT_EQ(client.answers[id].fields, ":status=103 link=</a> :status=200 ");
  EXPECT_EQ(client.answers[id].body, "");
  peer.sources[1].ready = 5;
  EXPECT_EQ(peer.take(), "");  // nobody said so
  peer.session->resume(stream);
  peer.session->resume(stream);
  client.feed(peer.take());
  EXPECT_EQ(client.answers[id].body, "hello");
  peer.sources[1].ready = 100;
  peer.session->resume(stream);
  client.feed(peer.take());
  EXPECT_EQ(client.answers[id].body, "hello world");
  EXPECT_EQ(client.answers[id].fields, ":status=103 link=</a> :status=200 x-sum=7 ");
  EXPECT_TRUE(client.answers[id].closed);
  EXPECT_EQ(peer.log, "request 1 GET /\nclosed 1 NO_ERROR\n");
}

TEST(Http2Session, LargeBodyNeverMoreThanAskedFor) {
  std::string body;
  for (int i = 0; i < 300000; ++i) body += static_cast<char>('a' + i % 23);
  for (const std::size_t most :
       {std::size_t{32}, std::size_t{100}, std::size_t{4096}, std::size_t{1} << 20}) {
    Connection peer;
    Client client;
    const int id = client.request(get());
    peer.feed(client.take());
    peer.answer(1, most == 32 ? body.substr(0, 5000) : body);
    const std::size_t size = peer.sources[1].text.size();
    for (int round = 0; round < 100 && !client.answers[id].closed; ++round) {
      client.feed(peer.take(most));  // take() looks at the bound
      peer.feed(client.take());
    }
    EXPECT_EQ(client.answers[id].body, body.substr(0, size));
    EXPECT_TRUE(client.answers[id].closed);
    EXPECT_EQ(peer.streams.size(), 0U);
  }
}

TEST(Http2Session, TakesABodyAtTheCallersPace) {
  Settings settings{.stream_window = 65535, .connection_window = 100000};
  Connection peer(settings);
  peer.consumes = false;
  peer.talk(opening() + headers(1, post(), false));
  std::string upload;
  for (int i = 0; i < 4; ++i) upload += data(1, std::string(16000, 'x'));
  peer.feed(upload);
  EXPECT_EQ(peer.take(), "");  // nothing consumed, no window given
  peer.session->consume(peer.stream(1), 10000);
  EXPECT_EQ(peer.take(), "");  // too little to speak of
  peer.session->consume(peer.stream(1), 54000);
  std::uint32_t stream = 0, connection = 0;
  for (const Frame& each : peer.frames()) {
    ASSERT_EQ(each.type, kWindow);
    (each.id == 1 ? stream : connection) += each.code();
  }
  EXPECT_EQ(stream, 64000U);
  EXPECT_EQ(connection, 64000U);
  // More than was given is not counted.
  peer.session->consume(peer.stream(1), 54000);
  EXPECT_EQ(peer.take(), "");
}

TEST(Http2Session, WhatAStreamDidNotConsumeIsTheConnectionsAgain) {
  Connection peer(Settings{.connection_window = 65535});
  peer.consumes = false;
  peer.talk(opening());
  for (std::uint32_t id = 1; id < 20; id += 2) {
    peer.feed(headers(id, post(), false));
    for (int i = 0; i < 3; ++i) peer.feed(data(id, std::string(16000, 'x')));
    if (id % 4 == 1) {
      peer.feed(reset(id));
    } else {
      peer.session->reset(peer.stream(id), Code::cancel);
      peer.streams.erase(id);
    }
    std::uint32_t given = 0;
    for (const Frame& each : peer.frames()) {
      if (each.type == kWindow && each.id == 0) given += each.code();
    }
    EXPECT_EQ(given, 48000U) << id;
  }
  EXPECT_FALSE(peer.session->has_failed());
}

TEST(Http2Session, DataOnItsWayToAStreamThatWasReset) {
  Connection peer(Settings{.connection_window = 65535});
  peer.talk(opening() + headers(1, post(), false));
  peer.session->reset(peer.stream(1), Code::cancel);
  peer.streams.clear();
  std::uint32_t given = 0;
  for (int i = 0; i < 30; ++i) {
    peer.feed(data(1, std::string(16000, 'x')));
    for (const Frame& each : peer.frames()) {
      if (each.type == kWindow && each.id == 0) given += each.code();
    }
  }
  EXPECT_FALSE(peer.session->has_failed());
  EXPECT_GE(given, 29U * 16000U);
  EXPECT_EQ(peer.log, "request 1 POST /\n");
}

TEST(Http2Session, PaddingIsTheConnectionsAgain) {
  for (const bool is_reset : {false, true}) {
    Connection peer(Settings{.stream_window = 65535, .connection_window = 65535});
    peer.talk(opening() + headers(1, post(), false));
    std::uint32_t given = 0;
    for (std::uint32_t i = 0; i < 200; ++i) {
      std::string bytes = frame(kData, kPadded, 1, "\xff" + std::string(1000 + 255, '\0'));
      const std::size_t cut = i % bytes.size();
      peer.feed(bytes.substr(0, cut));
      if (is_reset && i == 100) {  // in the middle of a frame
        peer.session->reset(peer.stream(1), Code::cancel);
        peer.streams.clear();
      }
      peer.feed(bytes.substr(cut));
      for (const Frame& each : peer.frames()) {
        if (each.type == kWindow && each.id == 0) given += each.code();
      }
    }
    EXPECT_FALSE(peer.session->has_failed());
    EXPECT_GE(given, 200U * 1256U - 32768U);
  }
}

// What is compressed later must still be understood.
TEST(Http2Session, ALargeHeadInPiecesWhoseStreamIsReset) {
  for (std::size_t pieces = 0; pieces < 500; pieces += 7) {
    Connection peer;
    Client client;
    client.request(get());
    const int next = client.request(get());
    peer.feed(client.take());
    const std::string fields = "X-Long: " + std::string(40000, '~') + "\r\nX-Last: 1\r\n";
    peer.session->answer(peer.stream(1), {.fields = fields, .ends = true});
    for (std::size_t i = 0; i < pieces; ++i) {
      peer.session->send(peer, 100);
      client.feed(peer.out);
      peer.out.clear();
    }
    if (peer.streams.count(1) != 0) peer.feed(reset(1));
    peer.session->answer(peer.stream(3), {.fields = "X-Last: 1\r\nX-More: 2\r\n", .ends = true});
    client.feed(peer.take(100));
    EXPECT_EQ(client.answers[next].fields, ":status=200 x-last=1 x-more=2 ") << pieces;
    EXPECT_EQ(peer.streams.size(), 0U);
  }
}

TEST(Http2Session, ResetInsideAnEvent) {
  Connection peer;
  peer.on_head = [&](Stream& stream, Request&) {
    peer.streams.erase(stream.id());
    peer.session->reset(stream, Code::refused_stream);
  };
  EXPECT_EQ(
      peer.talk(opening() + headers(1, post(), false) + data(1, "abc", true) + headers(3, get())),
      "RST_STREAM 1 REFUSED_STREAM\nRST_STREAM 3 REFUSED_STREAM\n");
  EXPECT_EQ(peer.log, "request 1 POST /\nrequest 3 GET /\n");
  EXPECT_EQ(peer.session->streams(), 0U);
}

// Whoever winds up an exchange may not know why.
TEST(Http2Session, ClosedIsOverWhateverIsAskedForInIt) {
  const std::pair<const char*, std::function<void(Connection&)>> ends[] = {
      {"by the peer", [](Connection& peer) { peer.feed(reset(1)); }},
      {"by its body",
       [](Connection& peer) {
         peer.feed(headers(1, {{":path", "/"}}));
       }},
      {"answered",
       [](Connection& peer) {
         peer.answer(1);
         peer.take();
       }},
      {"with the session", [](Connection& peer) { peer.session->abort(Code::no_error, ""); }},
  };
  for (const auto& each : ends) {
    SCOPED_TRACE(each.first);
    Connection peer;
    peer.consumes = false;
    peer.on_over = [&](Stream& stream) {
      peer.session->consume(stream, 2);
      peer.session->interim(stream, 103, "");
      peer.session->answer(stream, {});
      peer.session->resume(stream);
      peer.session->waits_for_window(stream);
      peer.session->reset(stream, Code::cancel);
    };
    peer.talk(opening() + headers(1, post(), false) + data(1, "abc"));
    each.second(peer);
    const std::string said = peer.talk("");
    EXPECT_EQ(said.find("CANCEL"), std::string::npos) << said;
    EXPECT_EQ(std::count(peer.log.begin(), peer.log.end(), '\n'), 3) << peer.log;
    EXPECT_EQ(peer.session->streams(), 0U);
  }
}

TEST(Http2Session, AResetWithNoErrorIsNoAnswer) {
  Connection peer;
  peer.talk(opening() + headers(1, get()) + reset(1, 0));
  EXPECT_EQ(peer.log, "request 1 GET /\nclosed 1 CANCEL\n");
}

TEST(Http2Session, ContentLengthAgainstData) {
  const std::tuple<const char*, std::string, const char*> cases[] = {
      {"3", data(1, "ab") + data(1, "c", true), "data 1 abc\nend 1\n"},
      {"3", data(1, "abc") + data(1, "", true), "data 1 abc\nend 1\n"},
      {"3", data(1, "ab", true), "data 1 ab\nclosed 1 PROTOCOL_ERROR\n"},
      {"3", data(1, "abcd"), "closed 1 PROTOCOL_ERROR\n"},
      {"0", data(1, "", true), "end 1\n"},
      {"0", data(1, "a", true), "closed 1 PROTOCOL_ERROR\n"},
  };
  for (const auto& [length, bytes, end] : cases) {
    Connection peer;
    const bool good = std::string_view(end).find("closed") == std::string_view::npos;
    EXPECT_EQ(peer.talk(opening() + headers(1, with(post(), {{"content-length", length}}), false) +
                        bytes),
              good ? "" : "RST_STREAM 1 PROTOCOL_ERROR\n");
    EXPECT_EQ(peer.log, std::string("request 1 POST /\n") + end);
    EXPECT_EQ(peer.session->counters().provoked, good ? 0U : 1U);
  }
}

TEST(Http2Session, AnAnswerThatHasLeftEndsTheStream) {
  Connection peer;
  peer.talk(opening() + headers(1, post(), false) + data(1, "abc"));
  peer.answer(1);
  EXPECT_EQ(peer.talk(""), "HEADERS 1\nRST_STREAM 1 NO_ERROR\n");
  EXPECT_EQ(peer.log, "request 1 POST /\ndata 1 abc\nclosed 1 NO_ERROR\n");
  EXPECT_EQ(peer.talk(data(1, "more")), "");
  EXPECT_FALSE(peer.session->has_failed());
}

TEST(Http2Session, ExtendedConnectHasTwoDirections) {
  Connection peer(Settings{.extended_connect = true});
  peer.talk(opening() + headers(1,
                                {{":method", "CONNECT"},
                                 {":protocol", "websocket"},
                                 {":scheme", "https"},
                                 {":authority", "a"},
                                 {":path", "/"}},
                                false));
  EXPECT_TRUE(peer.session->answer(peer.stream(1), {}));
  peer.sources[1] = {"down", 0, std::string::npos, false, {}};
  EXPECT_EQ(peer.talk(data(1, "up")), "HEADERS 1\n");
  EXPECT_EQ(peer.log, "request 1 CONNECT /\ndata 1 up\n");
  EXPECT_EQ(peer.talk(data(1, "more", true)), "");
  EXPECT_EQ(peer.log, "request 1 CONNECT /\ndata 1 upmore\nend 1\nclosed 1 NO_ERROR\n");
}

TEST(Http2Session, ARefusedExtendedConnectHasOne) {
  Connection peer(Settings{.extended_connect = true});
  peer.talk(opening() + headers(1,
                                {{":method", "CONNECT"},
                                 {":protocol", "websocket"},
                                 {":scheme", "https"},
                                 {":authority", "a"},
                                 {":path", "/"}},
                                false));
  peer.answer(1, "no", 403);
  EXPECT_EQ(peer.talk(""), "HEADERS 1\nRST_STREAM 1 NO_ERROR\n");
  EXPECT_EQ(peer.log, "request 1 CONNECT /\nclosed 1 NO_ERROR\n");
}

TEST(Http2Session, ABodyThatFails) {
  Connection peer;
  peer.talk(opening() + headers(1, get()));
  EXPECT_TRUE(peer.session->answer(peer.stream(1), {}));
  peer.sources[1].fails = true;
  EXPECT_EQ(peer.talk(""), "HEADERS 1\nRST_STREAM 1 INTERNAL_ERROR\n");
  EXPECT_EQ(peer.log, "request 1 GET /\n");
  EXPECT_EQ(peer.session->streams(), 0U);
}

TEST(Http2Session, AHeadTooLargeToSend) {
  Connection peer;
  peer.talk(opening() + headers(1, get()));
  const std::string fields = "X: " + std::string(100000, 'v') + "\r\n";
  EXPECT_TRUE(peer.session->answer(peer.stream(1), {.fields = fields, .ends = true}));
  EXPECT_EQ(peer.talk(""), "RST_STREAM 1 INTERNAL_ERROR\n");
  EXPECT_EQ(peer.log, "request 1 GET /\nclosed 1 INTERNAL_ERROR\n");
}

TEST(Http2Session, WaitsForTheWindow) {
  Connection peer;
  peer.talk(std::string(http2::kPreface) + settings({{4, 10}}) + headers(1, get()));
  Stream& stream = peer.stream(1);
  EXPECT_FALSE(peer.session->waits_for_window(stream));
  peer.answer(1, "0123456789abcdef");
  peer.take();
  EXPECT_TRUE(peer.session->waits_for_window(stream));
  EXPECT_FALSE(peer.session->has_output());
  const std::string more = "0123456789";
  peer.feed(window(1, 3));
  EXPECT_TRUE(peer.session->has_output());
  const auto frames = peer.frames();
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_EQ(frames[0].payload, "abc");
  EXPECT_TRUE(peer.session->waits_for_window(stream));
  // A smaller initial window makes it negative.
  peer.feed(settings({{4, 0}}) + window(1, 9));
  EXPECT_TRUE(peer.session->waits_for_window(stream));
  peer.feed(window(1, 10));
  peer.take();
  EXPECT_EQ(peer.streams.size(), 0U);
}

TEST(Http2Session, EndsInTwoSteps) {
  Connection peer;
  Client client;
  client.request(get("/1"));
  peer.feed(client.take());
  peer.session->announce_end();
  peer.session->announce_end();
  std::vector<Frame> frames = peer.frames();
  ASSERT_EQ(frames.back().type, kGoaway);
  EXPECT_EQ(frames.back().payload.substr(0, 4), number(0x7fffffff, 4));
  EXPECT_EQ(
      std::count_if(frames.begin(), frames.end(), [](const Frame& f) { return f.type == kGoaway; }),
      1);
  client.request(get("/2"));  // it was on its way
  peer.feed(client.take());
  EXPECT_EQ(peer.session->streams(), 2U);
  peer.session->end();
  frames = peer.frames();
  ASSERT_EQ(frames.back().type, kGoaway);
  EXPECT_EQ(frames.back().payload.substr(0, 4), number(3, 4));
  EXPECT_FALSE(peer.session->is_over());
  client.request(get("/3"));
  peer.feed(client.take());
  EXPECT_EQ(peer.session->streams(), 2U);
  peer.answer(1);
  peer.answer(3);
  EXPECT_EQ(peer.talk(""), "HEADERS 1\nHEADERS 3\n");
  EXPECT_TRUE(peer.session->is_over());
  EXPECT_FALSE(peer.session->has_failed());
}

// Its GOAWAY, which says that it was not served, waits in a queue.
TEST(Http2Session, WhatComesBehindTheEndIsNotTold) {
  Connection peer;
  peer.talk(opening() + headers(1, get()));
  peer.session->end();
  peer.feed(headers(3, post(), false) + data(3, "abc") + headers(3, {{"x", "y"}}));
  peer.feed(headers(5, post(), false) + data(5, "abc"));
  EXPECT_EQ(peer.log, "request 1 GET /\n");
  EXPECT_EQ(peer.session->streams(), 1U);
  EXPECT_EQ(peer.talk(""), "GOAWAY NO_ERROR\n");
  EXPECT_EQ(peer.talk(data(5, "abc") + headers(5, {{"x", "y"}}) + headers(7, get())), "");
  EXPECT_EQ(peer.log, "request 1 GET /\n");
  peer.answer(1);
  EXPECT_EQ(peer.talk(""), "HEADERS 1\n");
  EXPECT_FALSE(peer.session->has_failed());
  EXPECT_TRUE(peer.session->is_over());
}

TEST(Http2Session, IsAbortedWhileItsEndWaits) {
  Connection peer;
  peer.talk(opening() + headers(1, get()));
  peer.session->announce_end();
  peer.session->abort(Code::settings_timeout, "too late");
  EXPECT_EQ(peer.talk(""), "GOAWAY NO_ERROR\nGOAWAY SETTINGS_TIMEOUT\n");
  EXPECT_TRUE(peer.session->is_over());
}

TEST(Http2Session, IsAborted) {
  Connection peer;
  peer.talk(opening() + headers(1, get()) + headers(3, get()));
  peer.session->abort(Code::settings_timeout, "too late");
  EXPECT_EQ(peer.session->failure().reason, Reason::aborted);
  EXPECT_EQ(peer.session->failure().detail, "too late");
  EXPECT_EQ(peer.streams.size(), 0U);
  EXPECT_EQ(peer.log.substr(32), "closed 3 SETTINGS_TIMEOUT\nclosed 1 SETTINGS_TIMEOUT\n");
  EXPECT_FALSE(peer.feed(headers(5, get())));
  EXPECT_FALSE(peer.session->is_over());
  EXPECT_EQ(peer.talk(""), "GOAWAY SETTINGS_TIMEOUT\n");
  EXPECT_TRUE(peer.session->is_over());
}

TEST(Http2Session, Goaway) {
  Connection peer;
  EXPECT_EQ(
      peer.talk(opening() + headers(1, get()) + frame(kGoaway, 0, 0, number(0, 4) + number(0, 4))),
      "");
  EXPECT_EQ(peer.log, "request 1 GET /\ngoaway NO_ERROR\n");
  peer.answer(1);
  peer.take();
  EXPECT_TRUE(peer.session->is_over());
}

// --- rules that end the connection ---------------------------------------------------------------

// --- cuts ----------------------------------------------------------------------------------------

std::string conversation() {
  std::string bytes = opening();
  const std::string head =
      block(with(post("/1?q"), {{"cookie", "a"}, {"cookie", "b"}, {"content-length", "6"}}));
  bytes += frame(kHeaders, 0, 1, head.substr(0, 20));
  bytes += frame(kContinuation, 0, 1, head.substr(20, 1));
  bytes += frame(kContinuation, kEndHeaders, 1, head.substr(21));
  bytes += data(1, "abc") + ping() + window(0, 1000) + frame(0x77, 0, 1, "?");
  bytes += frame(
      kHeaders, kEndHeaders | kEndStream | kHasPriority | kPadded, 3,
      std::string("\x03", 1) + number(0, 4) + "\x10" + block(get("/3")) + std::string(3, '\0'));
  bytes += frame(kData, kPadded | kEndStream, 1,
                 std::string("\x02"
                             "def\0\0",
                             6));
  bytes += headers(5, with(get(), {{"X", "y"}})) + headers(7, post("/7"), false) + reset(7);
  bytes += headers(9, post("/9"), false) + data(9, "ghi") + headers(9, {{"x-sum", "1"}}) +
           settings({{4, 5}});
  return bytes;
}

TEST(Http2Session, NoCutChangesWhatIsSaid) {
  const std::string bytes = conversation();
  Connection whole;
  const std::string said = whole.talk(bytes);
  EXPECT_EQ(whole.log,
            "request 1 POST /1?q\ndata 1 abc\nrequest 3 GET /3\ndata 1 def\nend 1\nrefused "
            "5\nrequest 7 POST /7\n"
            "closed 7 CANCEL\nrequest 9 POST /9\ndata 9 ghi\ntrailers 9 x-sum=1\nend 9\n");
  EXPECT_EQ(said, "PING\nRST_STREAM 5 PROTOCOL_ERROR\n");
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
    Connection peer;
    std::string words = peer.talk(bytes.substr(0, cut));
    words += peer.talk(bytes.substr(cut));
    EXPECT_EQ(peer.log, whole.log) << cut;
    EXPECT_EQ(words, said) << cut;
  }
  Connection slow;
  for (const char c : bytes) slow.feed(std::string(1, c));
  EXPECT_FALSE(slow.session->has_failed()) << slow.session->failure().detail;
  EXPECT_EQ(slow.log, whole.log);
}

// Frames of any kind in any order: nothing breaks, every stream that was told of is closed once,
// and bytes in one piece mean what they mean in many.
TEST(Http2Session, RandomFrames) {
  for (unsigned seed = 0; seed < 400; ++seed) {
    std::mt19937 random(seed);
    const auto pick = [&](std::uint32_t below) {
      return static_cast<std::uint32_t>(random() % below);
    };
    std::string bytes = opening();
    const FieldList heads[] = {get(),
                               post(),
                               {{":method", "CONNECT"}, {":authority", "a:1"}},
                               with(get(), {{"A", "b"}}),
                               {{"x", "y"}}};
    for (int i = 0; i < 60; ++i) {
      const std::uint32_t id = pick(12) * 2 + 1;
      switch (pick(12)) {
        case 0:
        case 1:
        case 2:
          bytes += headers(id, heads[pick(5)], pick(2) == 0);
          break;
        case 3:
        case 4:
          bytes += data(id, std::string(pick(200), 'd'), pick(3) == 0);
          break;
        case 5:
          bytes += reset(id, pick(20));
          break;
        case 6:
          bytes += window(pick(2) == 0 ? 0 : id, pick(8) == 0 ? 0x7fffffff : pick(5000));
          break;
        case 7:
          bytes += settings({{static_cast<std::uint16_t>(pick(10)), pick(100000)}});
          break;
        case 8:
          bytes += frame(kPriority, 0, id, number(pick(12), 4) + "\x01");
          break;
        case 9:
          bytes += frame(kPriorityUpdate, 0, 0, number(id, 4) + "u=2, i");
          break;
        case 10:
          bytes += frame(static_cast<std::uint8_t>(pick(20)), static_cast<std::uint8_t>(pick(256)),
                         pick(20), std::string(pick(20), static_cast<char>(pick(256))));
          break;
        default:
          bytes += ping(pick(2) == 0);
          break;
      }
    }
    std::string first;
    for (const bool whole : {true, false}) {
      Connection peer;
      peer.on_head = [&](Stream& stream, Request&) {
        if (stream.id() % 6 == 1) peer.answer(stream.id(), std::string(500, 'b'));
      };
      std::mt19937 cuts(seed);
      for (std::size_t at = 0; at < bytes.size();) {
        const std::size_t size = whole ? bytes.size() : 1 + cuts() % 40;
        peer.feed(bytes.substr(at, size));
        at += size;
      }
      peer.take();
      if (peer.session->has_failed()) {
        EXPECT_EQ(peer.streams.size(), 0U) << seed;
      }
      EXPECT_EQ(peer.streams.size(), peer.session->streams()) << seed;
      if (whole) first = peer.log;
      EXPECT_EQ(peer.log, first) << seed;
    }
  }
}

}  // namespace
}  // namespace sluice::test::h2
