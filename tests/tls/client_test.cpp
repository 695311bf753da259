// tests/tls/client_test.cpp - sessions towards other servers: who is believed.
//
// Both ends are ours; session_test.cpp has shown that ours and OpenSSL's understand each other.
// Layer: tests.
#include <gtest/gtest.h>

#include "tls/peer.hpp"

namespace sluice::test {
namespace {

using tls::Reason;

struct TlsClient : ::testing::Test {
  const Authority authority;
  const TestFolder folder;
  const std::string ca = folder.write("ca.pem", authority.pem());

  std::shared_ptr<const tls::Context> client(const tls::ClientSettings& settings) const {
    const auto made = tls::Context::client(settings);
    EXPECT_TRUE(made) << made.error().message();
    return *made;
  }

  struct Pair {
    Pair(const std::shared_ptr<const tls::Context>& server_side,
         const std::shared_ptr<const tls::Context>& client_side, const std::string& host)
        : server(std::move(tls::Session::accept(server_side)).value()),
          client(std::move(tls::Session::connect(client_side, host)).value()),
          to_server(*server),
          to_client(*client) {
      client->begin(to_client.out);
    }
    // `cut` bytes at a time.
    void run(std::size_t cut = ~std::size_t{0}) {
      for (;;) {
        const std::string up = to_client.out.take(), down = to_server.out.take();
        if (up.empty() && down.empty()) return;
        for (std::size_t at = 0; at < up.size(); at += std::min(cut, up.size() - at)) {
          to_server.feed(std::string_view(up).substr(at, cut));
        }
        for (std::size_t at = 0; at < down.size(); at += std::min(cut, down.size() - at)) {
          to_client.feed(std::string_view(down).substr(at, cut));
        }
      }
    }
    std::unique_ptr<tls::Session> server, client;
    Feeder to_server, to_client;
  };
};

TEST_F(TlsClient, WhoIsBelieved) {
  const std::string stranger = folder.write("stranger.pem", Authority("Stranger").pem());
  const Issued leaf = authority.issue(
      {.names = "DNS:a.test,DNS:*.w.test,IP:127.0.0.1", .subject = "named.only.in.subject"});
  const Issued no_names = authority.issue({.names = "", .subject = "a.test"});
  const Issued address_only = authority.issue({.names = "IP:127.0.0.1", .subject = "a.test"});
  const Issued expired = authority.issue({.names = "DNS:a.test", .from = -9, .until = -5});
  const std::string pinned = folder.write("leaf.pem", leaf.certificate);
  struct Case {
    const char* name;
    const Issued* shown;
    std::string ca_file;
    bool verify;
    const char* host;
    const char* outcome;
  };
  const Case cases[] = {
      {"the right one", &leaf, ca, true, "a.test", "open"},
      {"upper case", &leaf, ca, true, "A.Test", "open"},
      {"a wildcard", &leaf, ca, true, "x.w.test", "open"},
      {"two labels", &leaf, ca, true, "x.y.w.test", "hostname mismatch"},
      {"an address", &leaf, ca, true, "127.0.0.1", "open"},
      {"another address", &leaf, ca, true, "127.0.0.2", "IP address mismatch"},
      {"another name", &leaf, ca, true, "b.test", "hostname mismatch"},
      {"a name of the subject", &leaf, ca, true, "named.only.in.subject", "hostname mismatch"},
      {"a name of the subject, no subjectAltName", &no_names, ca, true, "a.test",
       "hostname mismatch"},
      {"a name of the subject, only an address besides", &address_only, ca, true, "a.test",
       "hostname mismatch"},
      {"a stranger's word", &leaf, stranger, true, "a.test",
       "unable to get local issuer certificate"},
      {"whom the system trusts", &leaf, "", true, "a.test",
       "unable to get local issuer certificate"},
      {"expired", &expired, ca, true, "a.test", "certificate has expired"},
      {"the certificate itself is trusted", &leaf, pinned, true, "a.test", "open"},
      {"nobody looks", &leaf, "", false, "whatever.test", "open"},
  };
  for (const Case& test : cases) {
    for (const tls::Version minimum : {tls::Version::tls12, tls::Version::tls13}) {
      Pair pair(server_context({.certificates = {{certificate_of(*test.shown)}}}),
                client({.verify_peer = test.verify, .ca_file = test.ca_file, .minimum = minimum}),
                test.host);
      pair.run();
      if (pair.client->is_open()) {
        EXPECT_STREQ("open", test.outcome) << test.name;
        EXPECT_TRUE(pair.server->is_open()) << test.name;
      } else {
        EXPECT_EQ(pair.client->failure().reason, Reason::certificate_refused) << test.name;
        EXPECT_EQ(pair.client->failure().detail, test.outcome) << test.name;
        EXPECT_EQ(pair.server->failure().reason, Reason::peer_refused) << test.name;
      }
    }
  }
}

TEST_F(TlsClient, TellsTheNameAndSpeaksByteByByte) {
  Pair pair(server_context(
                {.certificates = {{certificate_of(authority.issue())}}, .protocols = {"http/1.1"}}),
            client({.ca_file = ca, .protocols = {"h2", "http/1.1"}}), "LocalHost.");
  pair.run(1);
  ASSERT_TRUE(pair.client->is_open()) << pair.client->failure().detail;
  EXPECT_EQ(pair.server->server_name(), "localhost");
  EXPECT_EQ(pair.client->protocol(), "http/1.1");
  EXPECT_EQ(pair.client->version(), "TLSv1.3");
  const Result<tls::PeerCertificate> shown = pair.client->peer_certificate();
  ASSERT_TRUE(shown);
  EXPECT_EQ(shown->subject, "CN=leaf,O=Sluice");
  EXPECT_TRUE(send_text(*pair.client, "to the server", pair.to_client.out));
  EXPECT_TRUE(send_text(*pair.server, std::string(50'000, 'x'), pair.to_server.out));
  pair.run(7);
  EXPECT_EQ(pair.to_server.received, "to the server");
  EXPECT_EQ(pair.to_client.received.size(), 50'000u);
  pair.client->close(pair.to_client.out);
  pair.server->close(pair.to_server.out);
  pair.run();
  EXPECT_TRUE(pair.client->peer_has_closed());
  EXPECT_TRUE(pair.server->peer_has_closed());
}

TEST_F(TlsClient, AddressesAreNotTold) {
  Pair pair(
      server_context({.certificates = {{certificate_of(authority.issue({.names = "IP:::1"}))}}}),
      client({.ca_file = ca}), "::1");
  pair.run();
  EXPECT_TRUE(pair.client->is_open());
  EXPECT_EQ(pair.server->server_name(), "");
}

TEST_F(TlsClient, ShowsItsOwnCertificate) {
  Pair pair(server_context({.certificates = {{certificate_of(authority.issue())}},
                            .client_certificate = tls::ClientCertificate::required,
                            .client_ca_file = ca}),
            client({.ca_file = ca,
                    .certificate = certificate_of(
                        authority.issue({.subject = "a forwarder", .for_clients = true}))}),
            "localhost");
  pair.run();
  ASSERT_TRUE(pair.server->is_open()) << pair.server->failure().detail;
  EXPECT_EQ(pair.server->peer_certificate()->subject, "CN=a forwarder,O=Sluice");
}

TEST_F(TlsClient, SettingsAndHostsThatDoNotFit) {
  EXPECT_EQ(tls::Context::client({.ca_file = "/no/ca.pem"}).error().detail,
            "cannot read /no/ca.pem: No such file or directory");
  EXPECT_EQ(client({.verify_peer = false})->warnings().size(), 1u);
  const auto context = client({.ca_file = ca});
  for (const std::string& host :
       {std::string(), std::string("a b"), std::string("*.test"), std::string("a\0.test", 7),
        std::string(300, 'a'), std::string("127.0.0.1\0x", 11)}) {
    const auto made = tls::Session::connect(context, host);
    EXPECT_EQ(made.error().code, Errc::invalid_argument) << host;
  }
}

TEST_F(TlsClient, AServerThatSpeaksInClear) {
  const auto session =
      std::move(tls::Session::connect(client({.ca_file = ca}), "localhost")).value();
  Feeder feeder(*session);
  session->begin(feeder.out);
  feeder.feed("HTTP/1.1 400 Bad Request\r\n\r\n");
  EXPECT_EQ(session->failure().reason, Reason::not_tls);
}

}  // namespace
}  // namespace sluice::test
