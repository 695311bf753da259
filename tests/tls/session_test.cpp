// tests/tls/session_test.cpp - a session and OpenSSL's own client: handshakes, bytes both ways,
// ends.
//
// RFC 8446, RFC 5246. Layer: tests.
#include "tls/session.hpp"

#include <gtest/gtest.h>

#include "tls/peer.hpp"

namespace sluice::test {
namespace {

using tls::Reason;

class TlsSession : public ::testing::TestWithParam<int> {
 protected:
  static const Authority& authority() {
    static const Authority one;
    return one;
  }
  static tls::ServerSettings settings() {
    static const tls::Certificate certificate = certificate_of(authority().issue());
    return {.certificates = {{certificate}}};
  }
  PeerOptions options() const {
    return {.most = GetParam(), .least = GetParam(), .ca = authority().pem()};
  }
  bool is13() const { return GetParam() == TLS1_3_VERSION; }
  // One that has its handshake behind it.
  std::unique_ptr<Talk> open(const tls::ServerSettings& with) const {
    auto talk = std::make_unique<Talk>(server_context(with), options());
    talk->run();
    EXPECT_TRUE(talk->session->is_open()) << talk->session->failure().detail;
    EXPECT_TRUE(talk->peer.is_open()) << talk->peer.error;
    return talk;
  }
  std::unique_ptr<Talk> open() const { return open(settings()); }
};

INSTANTIATE_TEST_SUITE_P(Versions, TlsSession, ::testing::Values(TLS1_2_VERSION, TLS1_3_VERSION),
                         [](const auto& version) {
                           return version.param == TLS1_3_VERSION ? "tls13" : "tls12";
                         });

TEST_P(TlsSession, SaysWhatWasAgreedOn) {
  const auto talk = open();
  EXPECT_EQ(talk->session->version(), is13() ? "TLSv1.3" : "TLSv1.2");
  EXPECT_EQ(talk->session->cipher(),
            is13() ? "TLS_AES_128_GCM_SHA256" : "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256");
  EXPECT_EQ(talk->session->server_name(), "localhost");
  EXPECT_EQ(talk->session->protocol(), "");
  EXPECT_FALSE(talk->session->is_resumed());
  EXPECT_FALSE(talk->session->has_peer_certificate());
  EXPECT_EQ(talk->session->peer_certificate().error().code, Errc::not_found);
  EXPECT_FALSE(talk->session->peer_has_closed());
  EXPECT_EQ(talk->session->failure().reason, Reason::none);
}

TEST_P(TlsSession, BytesGoBothWays) {
  const auto talk = open();
  talk->peer.write("GET / HTTP/1.1\r\n\r\n");
  talk->run();
  EXPECT_EQ(talk->feeder.received, "GET / HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(send_text(*talk->session, "HTTP/1.1 200 OK\r\n\r\n", talk->feeder.out));
  talk->run();
  EXPECT_EQ(talk->peer.received, "HTTP/1.1 200 OK\r\n\r\n");
}

TEST_P(TlsSession, EveryCutOfTheHandshake) {
  const auto context = server_context(settings());
  std::size_t flight = 1;
  for (std::size_t cut = 0; cut < flight; ++cut) {
    Talk talk(context, options());
    const std::string hello = talk.peer.take();
    flight = hello.size();
    talk.feeder.feed(std::string_view(hello).substr(0, cut));
    talk.feeder.feed(std::string_view(hello).substr(cut));
    talk.peer.give(talk.feeder.out.take());
    // The rest, with a request behind it, in two pieces, too.
    if (is13()) talk.peer.write("request");
    const std::string rest = talk.peer.take();
    const std::size_t second = cut % (rest.size() + 1);
    talk.feeder.feed(std::string_view(rest).substr(0, second));
    talk.feeder.feed(std::string_view(rest).substr(second));
    talk.run();
    ASSERT_TRUE(talk.session->is_open())
        << "cut at " << cut << ": " << talk.session->failure().detail;
    if (!is13()) {
      talk.peer.write("request");
      talk.run();
    }
    ASSERT_EQ(talk.feeder.received, "request") << "cut at " << cut;
  }
  EXPECT_GT(flight, 100u);
}

TEST_P(TlsSession, ByteByByte) {
  Talk talk(server_context(settings()), options());
  talk.run(1);
  EXPECT_TRUE(talk.session->is_open());
  talk.peer.write("first");
  talk.peer.write("second");
  talk.run(1);
  EXPECT_EQ(talk.feeder.received, "firstsecond");
  EXPECT_GT(talk.feeder.rooms, 0);
}

TEST_P(TlsSession, WholeRecordsNeedNoRoom) {
  const auto talk = open();
  for (int i = 0; i < 50; ++i)
    talk->peer.write(std::string(std::size_t(i) * 7, char('a' + i % 26)) + ".");
  const std::string cipher = talk->peer.take();
  const std::string plain = talk->feeder.feed(cipher);
  EXPECT_EQ(talk->feeder.rooms, 0);
  EXPECT_EQ(plain.size(), 50u + 7 * 49 * 50 / 2);
}

TEST_P(TlsSession, RecordsInPiecesOfAnySize) {
  const auto talk = open();
  std::string sent;
  for (std::size_t i = 0; i < 40; ++i) sent += std::string(i * 997 % 16384 + 1, char('a' + i % 26));
  talk->peer.write(sent);
  const std::string cipher = talk->peer.take();
  for (std::size_t at = 0, size = 1; at < cipher.size(); at += size, size = size * 5 % 20011 + 1) {
    talk->feeder.feed(std::string_view(cipher).substr(at, size));
  }
  EXPECT_TRUE(talk->feeder.received == sent);
}

TEST_P(TlsSession, RoomMayBeSmall) {
  for (const std::size_t room : {std::size_t{1}, std::size_t{100}, std::size_t{16383}}) {
    const auto talk = open();
    talk->feeder.room_bytes = room;
    const std::string sent(16384, 'x');
    talk->peer.write(sent + "y");
    const std::string cipher = talk->peer.take();
    talk->feeder.feed(std::string_view(cipher).substr(0, 16000));
    EXPECT_EQ(talk->feeder.received, "");
    talk->feeder.feed(std::string_view(cipher).substr(16000));
    EXPECT_TRUE(talk->feeder.received == sent + "y") << room;
    EXPECT_FALSE(talk->session->needs_room());
  }
}

TEST_P(TlsSession, WithoutRoomForARecordInPartsItEnds) {
  const auto talk = open();
  talk->peer.write("in two parts");
  std::string cipher = talk->peer.take();
  talk->feeder.feed(cipher.substr(0, 20));
  ASSERT_TRUE(talk->session->needs_room());
  std::span<std::byte> rest(reinterpret_cast<std::byte*>(cipher.data()) + 20, cipher.size() - 20);
  EXPECT_TRUE(talk->session->receive(rest, {}, talk->feeder.out).empty());
  EXPECT_EQ(talk->session->failure().reason, Reason::out_of_memory);
}

TEST_P(TlsSession, ManyPartsAreOneRecord) {
  const auto talk = open();
  talk->feeder.out.sizes.clear();
  std::vector<std::string> texts;
  std::vector<Bytes> parts;
  for (int i = 0; i < 64; ++i) texts.push_back(std::string(std::size_t(i % 7), char('a' + i % 26)));
  std::string whole;
  for (const std::string& text : texts) {
    parts.push_back(as_bytes(text));
    whole += text;
  }
  EXPECT_TRUE(talk->session->send(parts, later(0), talk->feeder.out));
  EXPECT_EQ(talk->feeder.out.sizes.size(), 1u);
  talk->run();
  EXPECT_EQ(talk->peer.received, whole);
  EXPECT_TRUE(talk->session->send({}, later(0), talk->feeder.out));
  const Bytes nothing[] = {Bytes(), Bytes()};
  EXPECT_TRUE(talk->session->send(nothing, later(0), talk->feeder.out));
  EXPECT_EQ(talk->feeder.out.bytes, "");
}

TEST_P(TlsSession, RecordsAreSmallAtFirstAndAfterAPause) {
  const auto talk = open();
  const std::size_t overhead = is13() ? 5 + 1 + 16 : 5 + 8 + 16;
  const std::string body(200'000, 'b');
  std::size_t sent = 0;
  const auto sizes = [&](int second) {
    talk->feeder.out.sizes.clear();
    EXPECT_TRUE(send_text(*talk->session, body, talk->feeder.out, later(second)));
    sent += body.size();
    return talk->feeder.out.sizes;
  };
  std::vector<std::size_t> found = sizes(0);
  ASSERT_EQ(found.size(), 10 + (200'000 - 13'000 + 16383) / 16384);
  for (std::size_t i = 0; i < 10; ++i) EXPECT_EQ(found[i], 1300 + overhead) << i;
  for (std::size_t i = 10; i + 1 < found.size(); ++i) EXPECT_EQ(found[i], 16384 + overhead) << i;
  found = sizes(0);  // at once
  EXPECT_EQ(found.size(), (200'000 + 16383) / 16384u);
  EXPECT_EQ(found.front(), 16384 + overhead);
  EXPECT_EQ(sizes(1).front(), 1300 + overhead);
  talk->run();
  EXPECT_EQ(talk->peer.received.size(), sent);
}

TEST_P(TlsSession, HeadAndBodyOfManySizes) {
  const auto talk = open();
  std::string expected;
  for (std::size_t size = 1; size < 100'000; size = size * 3 + 1) {
    const std::string head(size % 500 + 1, 'h'), body(size, 'b'), tail(size % 3, 't');
    const Bytes parts[] = {as_bytes(head), as_bytes(body), Bytes(), as_bytes(tail)};
    ASSERT_TRUE(talk->session->send(parts, later(int(size)), talk->feeder.out));
    expected += head + body + tail;
  }
  talk->run();
  EXPECT_TRUE(talk->peer.received == expected);
}

TEST_P(TlsSession, ThePeerClosesAndWeGoOn) {
  const auto talk = open();
  talk->peer.write("last words");
  SSL_shutdown(talk->peer.ssl());
  const std::string cipher = talk->peer.take();
  EXPECT_EQ(talk->feeder.feed(cipher + "whatever else"), "last words");
  EXPECT_TRUE(talk->session->peer_has_closed());
  EXPECT_TRUE(talk->session->is_open());
  EXPECT_EQ(talk->feeder.left, 0u);
  EXPECT_EQ(talk->feeder.feed("and more"), "");
  EXPECT_EQ(talk->feeder.left, 0u);
  talk->session->end_of_input();
  EXPECT_EQ(talk->session->failure().reason, Reason::none);
  EXPECT_TRUE(send_text(*talk->session, "the answer", talk->feeder.out));
  talk->session->close(talk->feeder.out);
  talk->run();
  EXPECT_EQ(talk->peer.received, "the answer");
  EXPECT_TRUE(talk->peer.ended);
}

TEST_P(TlsSession, WeCloseAndThePeerGoesOn) {
  const auto talk = open();
  talk->session->close(talk->feeder.out);
  talk->session->close(talk->feeder.out);  // once is enough
  EXPECT_EQ(talk->feeder.out.sizes.back(), talk->feeder.out.bytes.size());
  talk->run();
  EXPECT_TRUE(talk->peer.ended);
  talk->peer.write("still here");
  SSL_shutdown(talk->peer.ssl());
  talk->run();
  EXPECT_EQ(talk->feeder.received, "still here");
  EXPECT_TRUE(talk->session->peer_has_closed());
  EXPECT_FALSE(talk->session->has_failed());
}

TEST_P(TlsSession, AnEndWithoutCloseNotifyIsATruncation) {
  const auto talk = open();
  talk->peer.write("half of");
  talk->run();
  EXPECT_FALSE(talk->session->is_truncated());
  talk->session->end_of_input();
  EXPECT_TRUE(talk->session->is_truncated());
  // Who asked may listen still: nothing keeps the answer back.
  EXPECT_FALSE(talk->session->has_failed()) << talk->session->failure().detail;
  EXPECT_TRUE(send_text(*talk->session, "the answer", talk->feeder.out));
  talk->session->close(talk->feeder.out);
  talk->run();
  EXPECT_EQ(talk->peer.received, "the answer");
  EXPECT_TRUE(talk->peer.ended);

  Talk early(server_context(settings()), options());
  early.feeder.feed(early.peer.take().substr(0, 50));
  early.session->end_of_input();
  EXPECT_EQ(early.session->failure().reason, Reason::truncated);
  EXPECT_EQ(word(early.session->failure().reason), "truncated");
}

TEST_P(TlsSession, ARecordChangedAnywhereIsRefused) {
  for (std::size_t at = 0; at < 50; at += 3) {
    const auto talk = open();
    talk->peer.write("good");
    const std::string good = talk->peer.take();
    talk->peer.write("a record to be damaged");
    std::string damaged = talk->peer.take();
    if (at >= damaged.size()) break;
    damaged[at] = char(damaged[at] ^ 0x40);
    talk->feeder.feed(good + damaged + std::string(at == 3 ? 20'000 : 0, 'x'));
    EXPECT_EQ(talk->feeder.received, "good") << at;
    if (at == 4) continue;  // a longer record: it waits for the rest
    EXPECT_TRUE(talk->session->has_failed()) << at;
    EXPECT_EQ(talk->session->failure().reason, Reason::bad_record)
        << at << ": " << talk->session->failure().detail;
    EXPECT_FALSE(talk->session->failure().detail.empty());
    talk->peer.give(talk->feeder.out.take());
    EXPECT_NE(talk->peer.error, "") << "no alert, " << at;
  }
}

TEST_P(TlsSession, ARecordLargerThanAllowedIsRefused) {
  // RFC 8446 section 5.2: 256 bytes over 16384; RFC 5246 section 6.2.3: 2048.
  const std::size_t most = 16384 + (is13() ? 256 : 2048);
  const auto talk = open();
  const std::string head{23, 3, 3, char((most + 1) >> 8), char((most + 1) & 0xff)};
  talk->feeder.feed(head);
  EXPECT_EQ(talk->session->failure().reason, Reason::bad_record) << talk->session->failure().detail;
  talk->peer.give(talk->feeder.out.take());
  EXPECT_EQ(talk->peer.error, "tlsv1 alert record overflow");
}

// Sealed ones without content: hostile_test.cpp.
TEST_P(TlsSession, RecordsWithoutABodyComeToAnEnd) {
  const auto talk = open();
  for (int i = 0; i < 100 && !talk->session->has_failed(); ++i) {
    talk->feeder.feed(std::string("\x17\x03\x03\x00\x00", 5));
  }
  EXPECT_TRUE(talk->session->has_failed());
}

TEST_P(TlsSession, WithoutMemoryToSendItEnds) {
  const auto talk = open();
  talk->feeder.out.refuses = true;
  EXPECT_FALSE(send_text(*talk->session, "no room", talk->feeder.out));
  EXPECT_EQ(talk->session->failure().reason, Reason::out_of_memory);
  EXPECT_FALSE(talk->session->is_open());

  Talk early(server_context(settings()), options());
  early.feeder.out.refuses = true;
  early.run();
  EXPECT_EQ(early.session->failure().reason, Reason::out_of_memory);
}

TEST_P(TlsSession, AKeyIsWornOut) {
  tls::ServerSettings with = settings();
  with.records_per_key = 3;
  const auto talk = open(with);
  std::vector<std::size_t>& sizes = talk->feeder.out.sizes;
  sizes.clear();
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(send_text(*talk->session, "one", talk->feeder.out));
  EXPECT_EQ(sizes.size(), 3u);
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(send_text(*talk->session, "two", talk->feeder.out));
  EXPECT_EQ(sizes.size(), is13() ? 9u : 7u);  // a KeyUpdate in front of the 4th and of the 7th
  talk->run();
  EXPECT_EQ(talk->peer.received, "oneoneonetwotwotwotwo");
}

TEST_P(TlsSession, TwoSessionsTakeTurns) {
  const auto context = server_context(settings());
  Talk one(context, options()), two(context, options());
  one.feeder.feed(one.peer.take());
  two.feeder.feed(two.peer.take());
  one.run();
  two.run();
  one.peer.write("1");
  two.peer.write("2");
  two.run();
  one.run();
  EXPECT_EQ(one.feeder.received, "1");
  EXPECT_EQ(two.feeder.received, "2");
}

TEST(TlsSession13, ThePeerChangesItsKeys) {
  const Authority authority;
  Talk talk(server_context({.certificates = {{certificate_of(authority.issue())}}}), {});
  talk.run();
  for (int i = 0; i < 5; ++i) {
    must(SSL_key_update(talk.peer.ssl(), SSL_KEY_UPDATE_REQUESTED) == 1);
    talk.peer.write("up");
    talk.run();
    EXPECT_TRUE(send_text(*talk.session, "down", talk.feeder.out));
    talk.run();
  }
  EXPECT_EQ(talk.feeder.received, "upupupupup");
  EXPECT_EQ(talk.peer.received, "downdowndowndowndown");
}

TEST(TlsSession12, RenegotiationIsRefused) {
  const Authority authority;
  Talk talk(server_context({.certificates = {{certificate_of(authority.issue())}}}),
            {.most = TLS1_2_VERSION});
  talk.run();
  SSL_renegotiate(talk.peer.ssl());
  SSL_do_handshake(talk.peer.ssl());
  talk.run();
  EXPECT_EQ(talk.peer.error, "no renegotiation");
  // It is the client that gives up. With one that does not, ours goes on: hostile_test.cpp.
  EXPECT_EQ(talk.session->failure().reason, Reason::peer_refused);
}

}  // namespace
}  // namespace sluice::test
