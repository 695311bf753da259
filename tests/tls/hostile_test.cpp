// tests/tls/hostile_test.cpp - peers that do, within the letter of the protocol or outside of it,
// what nobody needs: messages in parts, floods, ends in the middle.
//
// RFC 8446 sections 4.6, 5.1, 6.1; RFC 5246 section 7.2. Layer: tests.
#include <gtest/gtest.h>

#include "tls/peer.hpp"
#include "tls/sealer.hpp"

namespace sluice::test {
namespace {

using tls::Reason;

constexpr char kHandshake = 22, kData = 23;
const std::string kCloseNotify("\x15\x03\x03\x00\x02\x01\x00", 7);

class Hostile : public ::testing::TestWithParam<int> {
 protected:
  const Authority authority_;
  const std::shared_ptr<const tls::Context> context_ =
      server_context({.certificates = {{certificate_of(authority_.issue())}}});
  bool is13() const { return GetParam() == TLS1_3_VERSION; }
  // A message of which the session makes nothing: it asks for new keys, or for a new handshake.
  std::string useless() const {
    return is13() ? std::string("\x18\x00\x00\x01\x01", 5)
                  : std::string("\x01\x00\x00\x10", 4) + std::string(16, 'r');
  }

  struct Talk : test::Talk {
    using test::Talk::Talk;
    Sealer sealer{peer.ssl()};
  };
  std::unique_ptr<Talk> open() const {
    auto talk = std::make_unique<Talk>(context_, PeerOptions{.most = GetParam()});
    talk->run();
    EXPECT_TRUE(talk->session->is_open()) << talk->session->failure().detail;
    return talk;
  }
};

INSTANTIATE_TEST_SUITE_P(Versions, Hostile, ::testing::Values(TLS1_2_VERSION, TLS1_3_VERSION),
                         [](const auto& version) {
                           return version.param == TLS1_3_VERSION ? "tls13" : "tls12";
                         });

TEST_P(Hostile, TheSealerSealsAsOpenSslDoes) {
  const auto talk = open();
  talk->feeder.feed(talk->sealer.records({{kData, "one"}, {kData, "two"}}));
  EXPECT_EQ(talk->feeder.received, "onetwo") << talk->session->failure().detail;
}

TEST_P(Hostile, CloseNotifyInsideTheHandshake) {
  Talk talk(context_, {.most = GetParam()});
  talk.feeder.feed(talk.peer.take());
  ASSERT_FALSE(talk.session->has_failed());
  talk.feeder.feed(kCloseNotify);
  EXPECT_TRUE(talk.session->has_failed()) << "neither open nor failed";
  EXPECT_EQ(talk.session->failure().reason, Reason::truncated);
  EXPECT_EQ(talk.session->failure().detail, "closed inside the handshake");
}

TEST_P(Hostile, EmptyRecordsComeToAnEnd) {
  const auto talk = open();
  std::string flood;
  for (int i = 0; i < 100; ++i) flood += talk->sealer.record(kData, "");
  talk->feeder.feed(flood);
  EXPECT_TRUE(talk->session->has_failed());
  EXPECT_EQ(talk->feeder.received, "");
}

TEST_P(Hostile, MessagesWithoutDataBetweenComeToAnEnd) {
  const auto talk = open();
  if (is13()) {  // each changes the keys: OpenSSL has to seal them
    for (int i = 0; i < 33; ++i) {
      must(SSL_key_update(talk->peer.ssl(), SSL_KEY_UPDATE_REQUESTED) == 1);
      SSL_do_handshake(talk->peer.ssl());
    }
    talk->feeder.feed(talk->peer.take());
  } else {
    for (int i = 0; i < 33; ++i) talk->feeder.feed(talk->sealer.record(kHandshake, useless()));
  }
  EXPECT_EQ(talk->session->failure().reason, Reason::bad_record);
  EXPECT_EQ(talk->session->failure().detail,
            "more than 32 handshake messages with no data between");
  EXPECT_LE(talk->feeder.out.sizes.size(), 40u);
}

TEST_P(Hostile, SomeMessagesWithDataBetweenAreFine) {
  const auto talk = open();
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 32; ++i) {
      if (is13()) {
        must(SSL_key_update(talk->peer.ssl(), SSL_KEY_UPDATE_REQUESTED) == 1);
        SSL_do_handshake(talk->peer.ssl());
        talk->feeder.feed(talk->peer.take());
      } else {
        talk->feeder.feed(talk->sealer.record(kHandshake, useless()));
      }
    }
    if (is13()) talk->peer.write("data");
    talk->feeder.feed(is13() ? talk->peer.take() : talk->sealer.record(kData, "data"));
    EXPECT_TRUE(send_text(*talk->session, "answer", talk->feeder.out));
  }
  EXPECT_EQ(talk->feeder.received, "datadatadata") << talk->session->failure().detail;
}

TEST_P(Hostile, WhatOthersLeftInTheQueueOfErrorsSaysNothing) {
  Talk talk(context_, {.most = GetParam()});
  talk.feeder.feed(talk.peer.take());
  talk.peer.give(talk.feeder.out.take());
  talk.feeder.out.strays = true;  // from the last flight on
  talk.feeder.feed(talk.peer.take());
  EXPECT_TRUE(talk.session->is_open()) << talk.session->failure().detail;
  ERR_clear_error();
}

// While a part of a KeyUpdate is there, libssl seals nothing: what is sent would be gone.
TEST(Hostile13, AKeyUpdateInTwoRecords) {
  const Authority authority;
  Talk talk(server_context({.certificates = {{certificate_of(authority.issue())}}}), {});
  Sealer sealer(talk.peer.ssl());
  talk.run();
  talk.feeder.feed(
      sealer.records({{kData, "before"}, {kHandshake, std::string("\x18\x00\x00\x01", 4)}}));
  EXPECT_EQ(talk.feeder.received, "before");
  const bool sent = send_text(*talk.session, "answer", talk.feeder.out);
  EXPECT_TRUE(sent || talk.session->has_failed()) << "neither sent nor failed";
  EXPECT_EQ(talk.session->failure().reason, Reason::bad_record);
  EXPECT_EQ(talk.session->failure().detail, "a handshake message in parts");
}

// The verdict must not depend on how the bytes were cut.
TEST(Hostile13, AKeyUpdateInTwoRecordsAtOnce) {
  const Authority authority;
  Talk talk(server_context({.certificates = {{certificate_of(authority.issue())}}}), {});
  Sealer sealer(talk.peer.ssl());
  talk.run();
  talk.feeder.feed(sealer.records(
      {{kHandshake, std::string("\x18\x00\x00\x01", 4)}, {kHandshake, std::string("\x00", 1)}}));
  EXPECT_EQ(talk.session->failure().detail, "a handshake message in parts");
}

// A server of OpenSSL's with small records; its ticket holds our certificate, and needs several.
class SmallRecords : public ::testing::Test {
 protected:
  SmallRecords() : context_(SSL_CTX_new(TLS_server_method()), SSL_CTX_free) {
    const Issued issued = authority_.issue();
    const std::string both = issued.certificate + issued.key;
    const std::string file = folder_.write("server.pem", both),
                      ca = folder_.write("ca.pem", authority_.pem());
    SSL_CTX* context = context_.get();
    must(SSL_CTX_use_certificate_file(context, file.c_str(), SSL_FILETYPE_PEM) == 1);
    must(SSL_CTX_use_PrivateKey_file(context, file.c_str(), SSL_FILETYPE_PEM) == 1);
    must(SSL_CTX_load_verify_locations(context, ca.c_str(), nullptr) == 1);
    must(SSL_CTX_set_max_send_fragment(context, 512) == 1);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
    must(SSL_CTX_set_session_id_context(context, reinterpret_cast<const unsigned char*>("x"), 1) ==
         1);
    server_.reset(SSL_new(context));
    SSL_set_bio(server_.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    BIO_set_mem_eof_return(SSL_get_rbio(server_.get()), -1);
    SSL_set_accept_state(server_.get());
    const auto client = tls::Context::client(
        {.ca_file = ca,
         .certificate = certificate_of(authority_.issue({.subject = "us", .for_clients = true}))});
    session = std::move(tls::Session::connect(*client, "localhost")).value();
    feeder = std::make_unique<Feeder>(*session);
    session->begin(feeder->out);
    to_server();
    feeder->feed(from_server());
    to_server();
  }

  void to_server() {
    const std::string bytes = feeder->out.take();
    BIO_write(SSL_get_rbio(server_.get()), bytes.data(), int(bytes.size()));
    char buffer[1000];
    ERR_clear_error();
    SSL_do_handshake(server_.get());
    for (int got; (got = SSL_read(server_.get(), buffer, sizeof buffer)) > 0;) {
      received.append(buffer, std::size_t(got));
    }
    ended = (SSL_get_shutdown(server_.get()) & SSL_RECEIVED_SHUTDOWN) != 0;
  }
  std::string from_server() {
    std::string bytes(std::size_t(BIO_pending(SSL_get_wbio(server_.get()))), '\0');
    BIO_read(SSL_get_wbio(server_.get()), bytes.data(), int(bytes.size()));
    return bytes;
  }
  // Up to where the first record of a ticket has come, and no more.
  std::string half_a_ticket() {
    std::string tickets = from_server();
    must(session->is_open() && tickets.size() > 534);
    feeder->feed(tickets.substr(0, 534));
    return tickets.substr(534);
  }

  const Authority authority_;
  const TestFolder folder_;
  const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context_;
  struct FreeSsl {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
  };
  std::unique_ptr<SSL, FreeSsl> server_;
  std::unique_ptr<tls::Session> session;
  std::unique_ptr<Feeder> feeder;
  std::string received;
  bool ended = false;
};

TEST_F(SmallRecords, SendingWaitsForTheRestOfATicket) {
  const std::string rest = half_a_ticket();
  EXPECT_TRUE(session->is_open());
  EXPECT_FALSE(session->can_send());
  feeder->feed(rest);
  EXPECT_TRUE(session->can_send());
  EXPECT_TRUE(send_text(*session, "a request", feeder->out));
  to_server();
  EXPECT_EQ(received, "a request");
}

TEST_F(SmallRecords, WhatIsSentAllTheSameIsAFailure) {
  half_a_ticket();
  EXPECT_FALSE(send_text(*session, "a request", feeder->out));
  EXPECT_EQ(session->failure().reason, Reason::bad_record) << "dropped in silence";
}

TEST_F(SmallRecords, CloseNotifyWaitsToo) {
  const std::string rest = half_a_ticket();
  session->close(feeder->out);
  EXPECT_FALSE(session->has_failed()) << session->failure().detail;
  EXPECT_EQ(feeder->out.bytes, "");
  feeder->feed(rest);
  EXPECT_FALSE(session->has_failed()) << session->failure().detail;
  to_server();
  EXPECT_TRUE(ended);
}

TEST_F(SmallRecords, AnEndInsideATicketIsAFailure) {
  half_a_ticket();
  session->end_of_input();
  EXPECT_EQ(session->failure().reason, Reason::truncated);
}

}  // namespace
}  // namespace sluice::test
