// tests/tls/first_bytes_test.cpp - what is not a handshake, and handshakes that come to nothing.
//
// Layer: tests.
#include <gtest/gtest.h>

#include "tls/peer.hpp"

namespace sluice::test {
namespace {

using tls::Reason;

struct FirstBytes : ::testing::Test {
  const Authority authority;
  const Issued issued = authority.issue();
  const std::shared_ptr<const tls::Context> context =
      server_context({.certificates = {{certificate_of(issued)}}});
  std::unique_ptr<tls::Session> accept() const {
    return std::move(tls::Session::accept(context)).value();
  }
};

TEST_F(FirstBytes, HttpInClearIsKnown) {
  for (const char* text : {"GET / HTTP/1.1\r\n", "POST /a HTTP/1.1\r\n", "DELETE /", "OPTIONS *",
                           "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "CONNECT a:443", "G", "ZZZ"}) {
    const auto session = accept();
    Feeder feeder(*session);
    EXPECT_EQ(feeder.feed(text), "");
    EXPECT_EQ(session->failure().reason, Reason::http_request) << text;
    EXPECT_EQ(feeder.left, std::string_view(text).size()) << "it must be left to be answered";
    EXPECT_EQ(feeder.out.bytes, "") << "an alert would stand in front of the answer";
  }
}

TEST_F(FirstBytes, OtherThingsAreRefused) {
  const std::string cases[] = {
      std::string(64, '\0'),
      std::string("\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10", 11) + std::string(64, 'x'),
      "SSH-2.0-OpenSSH_9.2\r\n",
      "get / HTTP/1.1\r\n\r\n and some more bytes behind it",
      std::string("\x17\x03\x03\x00\x05hello", 10),
      std::string("\x15\x03\x03\x00\x02\x02\x28", 7),
      std::string("\x14\x03\x03\x00\x01\x01", 6),
      std::string(64, '\xff'),
      std::string("\x16\x05\x01\x00\x10", 5) + std::string(16, 'x'),
      std::string("\x16\x03\x01\x00\x10\x02\x00\x00\x0c", 9) + std::string(12, 'x'),
      [] {
        std::string empty;  // records without content; some of them are taken
        for (int n = 0; n < 40; ++n) empty += std::string("\x16\x03\x01\x00\x00", 5);
        return empty;
      }(),
      std::string("\x16\x03\x01\xff\xff", 5) + std::string(64, 'x'),
  };
  for (std::size_t i = 0; i < std::size(cases); ++i) {
    for (const std::size_t cut : {std::size_t{0}, std::size_t{1}, std::size_t{3}, std::size_t{5}}) {
      const auto session = accept();
      Feeder feeder(*session);
      feeder.feed(std::string_view(cases[i]).substr(0, cut));
      feeder.feed(std::string_view(cases[i]).substr(cut));
      EXPECT_TRUE(session->has_failed()) << i << ", cut at " << cut;
      EXPECT_EQ(feeder.received, "");
      EXPECT_FALSE(session->failure().detail.empty()) << i;
    }
  }
}

TEST_F(FirstBytes, AHelloThatSaysItIsLongIsRefusedAtOnce) {
  const auto session = accept();
  Feeder feeder(*session);
  feeder.feed(std::string("\x16\x03\x01\x10\x00\x01\x00\x40", 8));
  EXPECT_FALSE(session->has_failed());
  feeder.feed(std::string("\x01", 1));  // 16385 bytes
  EXPECT_EQ(session->failure().reason, Reason::hello_too_large);

  const auto largest = accept();
  Feeder other(*largest);
  other.feed(std::string("\x16\x03\x01\x10\x00\x01\x00\x40\x00", 9));
  EXPECT_FALSE(largest->has_failed());
}

TEST_F(FirstBytes, ChangedHellosNeverOpenASession) {
  const Peer peer({});
  const std::string hello = const_cast<Peer&>(peer).take();
  for (std::size_t at = 0; at < hello.size(); ++at) {
    for (const int change : {0x01, 0x80, 0xff}) {
      std::string changed = hello;
      changed[at] = char(changed[at] ^ change);
      const auto session = accept();
      Feeder feeder(*session);
      feeder.feed(changed);
      EXPECT_FALSE(session->is_open());
      EXPECT_EQ(feeder.received, "");
    }
  }
}

struct Refusal {
  const char* name;
  tls::Version minimum;
  PeerOptions options;
  Reason reason;
  const char* alert;
};

TEST_F(FirstBytes, HandshakesThatComeToNothing) {
  const Refusal cases[] = {
      {"a version below the minimum",
       tls::Version::tls13,
       {.most = TLS1_2_VERSION},
       Reason::no_common_version,
       "tlsv1 alert protocol version"},
      {"ciphers that are not ours",
       tls::Version::tls12,
       {.most = TLS1_2_VERSION, .ciphers12 = "AES256-SHA:DHE-RSA-AES128-GCM-SHA256"},
       Reason::no_common_cipher,
       "sslv3 alert handshake failure"},
      {"a certificate of another kind",
       tls::Version::tls12,
       {.most = TLS1_2_VERSION, .ciphers12 = "ECDHE-RSA-AES128-GCM-SHA256"},
       Reason::no_common_cipher,
       "sslv3 alert handshake failure"},
      {"signatures that are not ours",
       tls::Version::tls12,
       {.signatures = "rsa_pss_rsae_sha256"},
       Reason::no_common_cipher,
       "sslv3 alert handshake failure"},
  };
  for (const Refusal& test : cases) {
    Talk talk(server_context({.certificates = {{certificate_of(issued)}}, .minimum = test.minimum}),
              test.options);
    talk.run();
    EXPECT_EQ(talk.session->failure().reason, test.reason)
        << test.name << ": " << talk.session->failure().detail;
    EXPECT_EQ(talk.peer.error, test.alert) << test.name;
  }
}

TEST_F(FirstBytes, ThePeerRefusesUs) {
  const Authority another("Another CA");
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    Talk talk(context, {.most = version, .ca = another.pem()});
    talk.run();
    EXPECT_EQ(talk.session->failure().reason, Reason::peer_refused);
    EXPECT_EQ(talk.session->failure().detail, "unknown CA");
  }
}

}  // namespace
}  // namespace sluice::test
