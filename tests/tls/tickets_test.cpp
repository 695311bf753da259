// tests/tls/tickets_test.cpp - sessions that are resumed, and those that must not be.
//
// RFC 5077, RFC 8446 section 4.6.1. Layer: tests.
#include "tls/ticket_keys.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "tls/peer.hpp"

namespace sluice::test {
namespace {

using tls::ClientCertificate;
using tls::TicketKey;
using tls::TicketKeys;
using namespace std::chrono_literals;

TEST(TicketKeys, ChangeWithTime) {
  TicketKeys keys(later(0), 10s);
  const TicketKey first = keys.current();
  TicketKey found;
  EXPECT_EQ(keys.find(first.name, found), TicketKeys::Match::current);
  keys.turn(later(9));
  EXPECT_EQ(keys.current().name, first.name);
  keys.turn(later(10));
  const TicketKey second = keys.current();
  EXPECT_NE(second.name, first.name);
  EXPECT_EQ(keys.find(first.name, found), TicketKeys::Match::other);
  EXPECT_EQ(found.cipher, first.cipher);
  EXPECT_EQ(found.mac, first.mac);
  EXPECT_EQ(keys.find(second.name, found), TicketKeys::Match::current);
  keys.turn(later(10));
  EXPECT_EQ(keys.current().name, second.name);
  keys.turn(later(20));
  EXPECT_EQ(keys.find(first.name, found), TicketKeys::Match::none);
  EXPECT_EQ(keys.find(second.name, found), TicketKeys::Match::other);
  // Long asleep: nothing of before is left.
  const TicketKey third = keys.current();
  keys.turn(later(1000));
  EXPECT_EQ(keys.find(second.name, found), TicketKeys::Match::none);
  EXPECT_EQ(keys.find(third.name, found), TicketKeys::Match::none);
  const TicketKey fresh = keys.current();
  keys.turn(later(1009));
  EXPECT_EQ(keys.current().name, fresh.name);
  keys.turn(later(1010));
  EXPECT_NE(keys.current().name, fresh.name);
}

// The system's clock, and how far the test has moved it on. libssl has its own.
std::chrono::seconds ahead{0};
std::chrono::system_clock::time_point moved_clock() {
  return std::chrono::system_clock::now() + ahead;
}

class Tickets : public ::testing::TestWithParam<int> {
 protected:
  Tickets() { ahead = {}; }
  const Authority authority_;
  const TestFolder folder_;
  const tls::Certificate certificate_ = certificate_of(authority_.issue());
  const Issued shown_ = authority_.issue({.subject = "somebody", .for_clients = true});
  const std::shared_ptr<TicketKeys> keys_ = std::make_shared<TicketKeys>(later(0), 3600s);

  std::shared_ptr<const tls::Context> context(ClientCertificate asks = ClientCertificate::none,
                                              const std::string& ca = {}) const {
    tls::ServerSettings settings{.certificates = {{certificate_}},
                                 .client_certificate = asks,
                                 .ticket_keys = keys_,
                                 .clock = moved_clock};
    if (asks != ClientCertificate::none) {
      settings.client_ca_file = folder_.write("ca.pem", ca.empty() ? authority_.pem() : ca);
    }
    return server_context(settings);
  }
  // A first visit; what it keeps for the next one is in its peer.
  std::unique_ptr<Talk> visit(const std::shared_ptr<const tls::Context>& server,
                              SSL_SESSION* session = nullptr, const Issued* shown = nullptr,
                              const std::string& name = "localhost") const {
    // OpenSSL's client uses a session of 1.3 once; here a ticket may come twice.
    const std::unique_ptr<SSL_SESSION, decltype(&SSL_SESSION_free)> copy(
        session != nullptr ? SSL_SESSION_dup(session) : nullptr, SSL_SESSION_free);
    auto talk = std::make_unique<Talk>(
        server,
        PeerOptions{
            .most = GetParam(), .server_name = name, .certificate = shown, .session = copy.get()});
    talk->run();
    EXPECT_TRUE(talk->session->is_open()) << talk->session->failure().detail;
    EXPECT_EQ(talk->session->is_resumed(), SSL_session_reused(talk->peer.ssl()) == 1);
    talk->peer.write("hello");
    talk->run();
    EXPECT_EQ(talk->feeder.received, "hello");
    return talk;
  }
  static std::string ticket_of(const Talk& talk) {
    const unsigned char* ticket = nullptr;
    std::size_t size = 0;
    SSL_SESSION_get0_ticket(talk.peer.session(), &ticket, &size);
    return {reinterpret_cast<const char*>(ticket), size};
  }
};

INSTANTIATE_TEST_SUITE_P(Versions, Tickets, ::testing::Values(TLS1_2_VERSION, TLS1_3_VERSION),
                         [](const auto& version) {
                           return version.param == TLS1_3_VERSION ? "tls13" : "tls12";
                         });

TEST_P(Tickets, ASessionIsResumed) {
  const auto server = context();
  const auto first = visit(server);
  EXPECT_FALSE(first->session->is_resumed());
  ASSERT_NE(first->peer.session(), nullptr);
  const auto second = visit(server, first->peer.session());
  EXPECT_TRUE(second->session->is_resumed());
  EXPECT_EQ(second->session->server_name(), "localhost");
}

TEST_P(Tickets, InAnotherContextWithTheSameKeysToo) {
  const auto first = visit(context());
  EXPECT_TRUE(visit(context(), first->peer.session())->session->is_resumed());
}

TEST_P(Tickets, AcrossOneChangeOfKeysButNotTwo) {
  const auto server = context();
  const auto first = visit(server);
  EXPECT_EQ(ticket_of(*visit(server, first->peer.session())).substr(0, 16),
            ticket_of(*first).substr(0, 16));
  keys_->turn(later(3600));
  const auto second = visit(server, first->peer.session());
  EXPECT_TRUE(second->session->is_resumed());
  EXPECT_NE(ticket_of(*second).substr(0, 16), ticket_of(*first).substr(0, 16))
      << "it is of the old key";
  keys_->turn(later(7200));
  EXPECT_FALSE(visit(server, first->peer.session())->session->is_resumed());
  EXPECT_TRUE(visit(server, second->peer.session())->session->is_resumed());
}

TEST_P(Tickets, OfAnotherServerAreOfNoUse) {
  const auto first = visit(context());
  const auto other = server_context({.certificates = {{certificate_}},
                                     .ticket_keys = std::make_shared<TicketKeys>(later(0), 3600s)});
  EXPECT_FALSE(visit(other, first->peer.session())->session->is_resumed());
}

TEST_P(Tickets, WithoutKeysThereAreNone) {
  const auto server = server_context({.certificates = {{certificate_}}});
  const auto first = visit(server);
  EXPECT_EQ(first->peer.tickets(), 0);
  const auto elsewhere = visit(context());
  EXPECT_FALSE(visit(server, elsewhere->peer.session())->session->is_resumed());
}

TEST_P(Tickets, WhoTheClientIsComesWithThem) {
  const auto server = context(ClientCertificate::required);
  const auto first = visit(server, nullptr, &shown_);
  const auto second = visit(server, first->peer.session(), &shown_);
  EXPECT_TRUE(second->session->is_resumed());
  EXPECT_EQ(second->session->peer_certificate()->subject, "CN=somebody,O=Sluice");
}

// Without this a client would come in for ever, one ticket after the other.
TEST_P(Tickets, NotAfterTheCertificateThatWasShownHasExpired) {
  const Issued soon = authority_.issue({.until = 1000, .for_clients = true});
  for (const ClientCertificate asks : {ClientCertificate::optional, ClientCertificate::required}) {
    ahead = 0s;
    const auto server = context(asks);
    const auto first = visit(server, nullptr, &soon);
    ahead = 900s;
    const auto second = visit(server, first->peer.session(), &soon);
    EXPECT_TRUE(second->session->is_resumed());
    ahead = 1001s;
    EXPECT_FALSE(visit(server, first->peer.session(), &soon)->session->is_resumed());
    EXPECT_FALSE(visit(server, second->peer.session(), &soon)->session->is_resumed());
  }
}

TEST_P(Tickets, NotForLongerThanAPeriodAfterTheFullHandshake) {
  for (const bool shows : {false, true}) {
    ahead = 0s;
    const auto server = context(shows ? ClientCertificate::required : ClientCertificate::none);
    const Issued* shown = shows ? &shown_ : nullptr;
    auto last = visit(server, nullptr, shown);
    for (int i = 1; i <= 3; ++i) {  // each may bring a new ticket, which begins nothing anew
      ahead = i * 1190s;
      last = visit(server, last->peer.session(), shown);
      EXPECT_TRUE(last->session->is_resumed()) << i;
    }
    ahead = 3700s;
    last = visit(server, last->peer.session(), shown);
    EXPECT_FALSE(last->session->is_resumed());
    ahead = 3600s + 3600s;
    EXPECT_TRUE(visit(server, last->peer.session(), shown)->session->is_resumed());
    ahead = -10s;  // the clock was set back
    EXPECT_FALSE(visit(server, last->peer.session(), shown)->session->is_resumed());
  }
}

TEST_P(Tickets, AreGoodForTheNameThatWasAskedForOnly) {
  const tls::Certificate b =
      certificate_of(authority_.issue({.names = "DNS:b.test", .subject = "b"}), "b.pem");
  const auto server = server_context({.certificates = {{certificate_}, {b}}, .ticket_keys = keys_});
  for (const std::string name : {"localhost", "b.test", "unknown.test", ""}) {
    const auto first = visit(server, nullptr, nullptr, name);
    EXPECT_EQ(first->session->server_name(), name);
    const auto again = visit(server, first->peer.session(), nullptr, name);
    EXPECT_TRUE(again->session->is_resumed()) << name;
    EXPECT_EQ(again->session->server_name(), name);
    const std::string other = name == "b.test" ? "localhost" : "b.test";
    const auto elsewhere = visit(server, first->peer.session(), nullptr, other);
    EXPECT_FALSE(elsewhere->session->is_resumed()) << name;
    EXPECT_EQ(elsewhere->session->server_name(), other);
    EXPECT_EQ(elsewhere->peer.server_subject(), name == "b.test" ? "leaf" : "b");
  }
}

TEST_P(Tickets, OfAPortForOtherNamesAreOfNoUse) {
  const auto another = server_context(
      {.certificates = {{certificate_of(authority_.issue({.names = "DNS:localhost,DNS:b.test"}))}},
       .ticket_keys = keys_});
  const auto renewed = server_context(
      {.certificates = {{certificate_of(authority_.issue())}}, .ticket_keys = keys_});
  const auto first = visit(context());
  EXPECT_FALSE(visit(another, first->peer.session())->session->is_resumed());
  EXPECT_TRUE(visit(renewed, first->peer.session())->session->is_resumed());
}

// A ticket of ours forbids it; a client that sends some all the same is heard from the handshake
// on.
TEST(Tickets13, EarlyDataIsNotTaken) {
  const Authority authority;
  const auto server =
      server_context({.certificates = {{certificate_of(authority.issue())}},
                      .ticket_keys = std::make_shared<TicketKeys>(later(0), 3600s)});
  Talk first(server, {});
  first.run();
  ASSERT_NE(first.peer.session(), nullptr);
  EXPECT_EQ(SSL_SESSION_get_max_early_data(first.peer.session()), 0u);
  const std::unique_ptr<SSL_SESSION, decltype(&SSL_SESSION_free)> copy(
      SSL_SESSION_dup(first.peer.session()), SSL_SESSION_free);
  must(SSL_SESSION_set_max_early_data(copy.get(), 1000) == 1);
  Talk second(server, {.session = copy.get(), .early_data = "early"});
  second.run();
  EXPECT_EQ(second.feeder.received, "");
  if (second.session->is_open()) {
    EXPECT_EQ(SSL_get_early_data_status(second.peer.ssl()), SSL_EARLY_DATA_REJECTED);
    second.peer.write("late");
    second.run();
    EXPECT_EQ(second.feeder.received, "late");
  } else {
    EXPECT_TRUE(second.session->has_failed());
  }
}

TEST_P(Tickets, WhatOneContextVerifiedIsNotGoodInAnother) {
  const auto nobody = visit(context());
  const auto optional = visit(context(ClientCertificate::optional));
  // They would be without a certificate where one is required.
  const auto required = context(ClientCertificate::required);
  EXPECT_FALSE(visit(required, nobody->peer.session(), &shown_)->session->is_resumed());
  EXPECT_FALSE(visit(required, optional->peer.session(), &shown_)->session->is_resumed());
  // Verified by another authority's word.
  const Authority another("Another CA");
  const Issued from_another = another.issue({.for_clients = true});
  const auto trusted_there =
      visit(context(ClientCertificate::required, another.pem()), nullptr, &from_another);
  EXPECT_FALSE(visit(required, trusted_there->peer.session(), &shown_)->session->is_resumed());
}

TEST_P(Tickets, ADamagedOneMeansAFullHandshake) {
  const auto server = context();
  const auto first = visit(server);
  Peer again({.most = GetParam(), .session = first->peer.session()});
  const std::string text = ticket_of(*first);
  ASSERT_GT(text.size(), 64u);
  std::string hello = again.take();
  const std::size_t at = hello.find(text);
  ASSERT_NE(at, std::string::npos);
  // In 1.3 the binder covers the ticket: what a stranger changes ends the handshake or is not
  // taken.
  hello[at + text.size() / 2] = char(hello[at + text.size() / 2] ^ 1);
  const auto session = std::move(tls::Session::accept(server)).value();
  Feeder feeder(*session);
  feeder.feed(hello);
  EXPECT_FALSE(session->has_failed()) << session->failure().detail;
  EXPECT_FALSE(session->is_resumed());
}

TEST(TicketThreads, KeysTurnWhileShardsShakeHands) {
  const Authority authority;
  const auto keys = std::make_shared<TicketKeys>(later(0), 10s);
  const auto context =
      server_context({.certificates = {{certificate_of(authority.issue())}}, .ticket_keys = keys});
  std::atomic<int> open = 0, resumed = 0, at_work = 3;
  std::vector<std::thread> shards;
  for (int i = 0; i < 3; ++i) {
    shards.emplace_back([&] {
      for (int n = 0; n < 20; ++n) {
        Talk first(context, {});
        first.run();
        Talk second(context, {.session = first.peer.session()});
        second.run();
        open += second.session->is_open();
        resumed += second.session->is_resumed();
      }
      --at_work;
    });
  }
  // Twice between two handshakes, a ticket would be of no use: each change waits for one of them.
  for (int second = 10, seen = 0; at_work > 0; std::this_thread::yield()) {
    if (open == seen) continue;
    seen = open;
    keys->turn(later(second));
    second += 10;
  }
  for (std::thread& shard : shards) shard.join();
  EXPECT_EQ(open, 60);
  EXPECT_GT(resumed, 0);
}

}  // namespace
}  // namespace sluice::test
