// tests/tls/context_test.cpp - what a context is made of: certificates by name, certificates of
// clients, ALPN, OCSP; and what it refuses.
//
// Layer: tests.
#include "tls/context.hpp"

#include <gtest/gtest.h>
#include <openssl/ocsp.h>

#include "tls/peer.hpp"

namespace sluice::test {
namespace {

using tls::ClientCertificate;
using tls::Reason;

struct TlsContext : ::testing::Test {
  const Authority authority;
  const TestFolder folder;

  tls::ServerCertificate named(const std::string& subject, const std::string& names,
                               const std::string& key = "P-256") const {
    return {certificate_of(authority.issue({.names = names, .subject = subject, .key = key}),
                           subject + ".pem")};
  }
  std::string error_of(const tls::ServerSettings& settings) const {
    const auto made = tls::Context::server(settings);
    EXPECT_FALSE(made);
    EXPECT_EQ(made.error().code, Errc::bad_setting);
    return made.error().detail;
  }
};

TEST_F(TlsContext, CertificatesByName) {
  const auto context = server_context(
      {.certificates = {named("first", "DNS:first.test"), named("example", "DNS:example.com"),
                        named("wild", "DNS:*.example.com,DNS:wild.test"),
                        named("www", "DNS:WWW.example.com")}});
  const std::pair<const char*, const char*> cases[] = {
      {"first.test", "first"},      {"example.com", "example"},
      {"EXAMPLE.com", "example"},   {"a.example.com", "wild"},
      {"b.Example.com", "wild"},    {"www.example.com", "www"},
      {"a.b.example.com", "first"}, {"wild.test", "wild"},
      {"unknown.test", "first"},    {"", "first"},
      {"xexample.com", "first"},    {"com", "first"},
  };
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    for (const auto& [asked, subject] : cases) {
      Talk talk(context, {.most = version, .server_name = asked});
      talk.run();
      EXPECT_TRUE(talk.session->is_open()) << asked;
      EXPECT_EQ(talk.peer.server_subject(), subject) << asked;
      EXPECT_EQ(talk.session->server_name(), asked);
    }
  }
}

TEST_F(TlsContext, TwoKindsOfKeyForOneName) {
  const auto context = server_context(
      {.certificates = {named("ec-first", "DNS:first.test"), named("rsa", "DNS:a.test", "RSA-2048"),
                        named("ec", "DNS:a.test,DNS:b.test"),
                        named("rsa-first", "DNS:first.test", "RSA-2048")}});
  const auto shown = [&](const std::string& name, const PeerOptions& base) {
    PeerOptions options = base;
    options.server_name = name;
    Talk talk(context, options);
    talk.run();
    return talk.session->is_open() ? talk.peer.server_subject()
                                   : std::string(word(talk.session->failure().reason));
  };
  const PeerOptions rsa{.signatures = "rsa_pss_rsae_sha256"}, ec{.signatures = "ECDSA+SHA256"};
  const PeerOptions old_rsa{.most = TLS1_2_VERSION, .ciphers12 = "ECDHE-RSA-AES128-GCM-SHA256"};
  EXPECT_EQ(shown("a.test", rsa), "rsa");
  EXPECT_EQ(shown("a.test", old_rsa), "rsa");
  EXPECT_EQ(shown("a.test", ec), "ec");
  EXPECT_EQ(shown("a.test", {}), "ec");
  EXPECT_EQ(shown("b.test", ec), "ec");
  EXPECT_EQ(shown("b.test", rsa), "no_common_cipher");
  EXPECT_EQ(shown("", rsa), "rsa-first");
  EXPECT_EQ(shown("", ec), "ec-first");
}

TEST_F(TlsContext, WhoComesFirstForANameStays) {
  const auto context = server_context(
      {.certificates = {named("one", "DNS:a.test"), named("two", "DNS:a.test,DNS:b.test")}});
  ASSERT_EQ(context->warnings().size(), 1u);
  EXPECT_EQ(context->warnings()[0], "two.pem is not used for a.test: one.pem comes before it");
  Talk talk(context, {.server_name = "a.test"});
  talk.run();
  EXPECT_EQ(talk.peer.server_subject(), "one");
}

TEST_F(TlsContext, ChainsAreSentAsTheyAre) {
  const Authority between = authority.intermediate("Between");
  Talk talk(server_context({.certificates = {{certificate_of(between.issue())}}}),
            {.ca = authority.pem()});
  talk.run();
  EXPECT_TRUE(talk.peer.is_open()) << talk.peer.error;
  EXPECT_EQ(sk_X509_num(SSL_get_peer_cert_chain(talk.peer.ssl())), 2);
}

TEST_F(TlsContext, ExpiryIsKnown) {
  const auto context = server_context(
      {.certificates = {{certificate_of(authority.issue({.until = 5000}), "late.pem")},
                        {certificate_of(authority.issue({.until = 1000}), "soon.pem")},
                        {certificate_of(authority.issue({.key = "RSA-2048", .until = 9000}))}}});
  ASSERT_EQ(context->certificates().size(), 3u);
  EXPECT_EQ(context->expires(), context->certificates()[1].not_after);

  const auto expired = server_context(
      {.certificates = {{certificate_of(authority.issue({.from = -9, .until = -5}), "old.pem")}}});
  ASSERT_EQ(expired->warnings().size(), 1u);
  Talk talk(expired, {});
  talk.run();
  EXPECT_TRUE(talk.session->is_open()) << "an expired certificate is a warning";
}

TEST_F(TlsContext, NewOnesLeaveOldSessionsAlone) {
  auto before = server_context({.certificates = {named("before", "DNS:localhost")}});
  const auto after = server_context({.certificates = {named("after", "DNS:localhost")}});
  Talk halfway(before, {}), open(before, {});
  open.run();
  const std::string hello = halfway.peer.take();
  halfway.feeder.feed(hello.substr(0, 100));
  const std::weak_ptr<const tls::Context> old = before;
  before.reset();
  EXPECT_FALSE(old.expired()) << "its sessions keep it";
  open.peer.write("still here");
  open.run();
  EXPECT_EQ(open.feeder.received, "still here");
  EXPECT_EQ(open.peer.server_subject(), "before");
  halfway.feeder.feed(hello.substr(100));
  halfway.peer.give(halfway.feeder.out.take());
  halfway.run();
  EXPECT_TRUE(halfway.session->is_open());
  EXPECT_EQ(halfway.peer.server_subject(), "before");
  Talk next(after, {});
  next.run();
  EXPECT_EQ(next.peer.server_subject(), "after");
  open.session.reset();
  halfway.session.reset();
  EXPECT_TRUE(old.expired());
}

// --- ALPN ----------------------------------------------------------------------------------------

TEST_F(TlsContext, ProtocolsAreAgreedOn) {
  const tls::ServerSettings settings{
      .certificates = {named("a", "DNS:localhost"), named("b", "DNS:b.test")},
      .protocols = {"h2", "http/1.1"}};
  const auto context = server_context(settings);
  const std::pair<std::string, const char*> cases[] = {
      {"\x02h2\x08http/1.1", "h2"},
      {"\x08http/1.1\x02h2", "h2"},
      {"\x08http/1.1", "http/1.1"},
      {"\x03xyz\x08http/1.1", "http/1.1"},
      {"", ""},
  };
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    for (const char* name : {"localhost", "b.test"}) {
      for (const auto& [offered, chosen] : cases) {
        Talk talk(context, {.most = version, .server_name = name, .protocols = offered});
        talk.run();
        EXPECT_TRUE(talk.session->is_open());
        EXPECT_EQ(talk.session->protocol(), chosen);
      }
      Talk talk(context, {.most = version, .server_name = name, .protocols = "\x03xyz"});
      talk.run();
      EXPECT_EQ(talk.session->failure().reason, Reason::no_common_protocol);
      EXPECT_EQ(talk.peer.error, "tlsv1 alert no application protocol");
    }
  }
  Talk silent(server_context({.certificates = settings.certificates}), {.protocols = "\x02h2"});
  silent.run();
  EXPECT_TRUE(silent.session->is_open()) << "without protocols, ALPN is not spoken";
  EXPECT_EQ(silent.session->protocol(), "");
}

TEST_F(TlsContext, ProtocolsHaveLimits) {
  tls::ServerSettings settings{.certificates = {named("a", "DNS:localhost")}};
  settings.protocols = {std::string(255, 'p')};
  EXPECT_TRUE(tls::Context::server(settings));
  settings.protocols = {std::string(256, 'p')};
  EXPECT_EQ(error_of(settings), "an ALPN protocol has 1 to 255 bytes, not 256");
  settings.protocols = {""};
  EXPECT_EQ(error_of(settings), "an ALPN protocol has 1 to 255 bytes, not 0");
  settings.protocols = std::vector<std::string>(16, "p");
  EXPECT_TRUE(tls::Context::server(settings));
  settings.protocols.emplace_back("q");
  EXPECT_EQ(error_of(settings), "there are more than 16 ALPN protocols");
}

// --- certificates of clients ---------------------------------------------------------------------

TEST_F(TlsContext, CertificatesOfClients) {
  const Authority stranger("Stranger"), between = authority.intermediate("Between");
  const Issued good = authority.issue({.subject = "somebody", .for_clients = true});
  const Issued wrong = stranger.issue({.subject = "somebody", .for_clients = true});
  const Issued old = authority.issue({.from = -9, .until = -5, .for_clients = true});
  const Issued server_only = authority.issue({.subject = "a server"});
  const std::string ca = folder.write("ca.pem", authority.pem());
  const auto outcome = [&](ClientCertificate asks, int version, const Issued* shown) {
    Talk talk(server_context({.certificates = {named("a", "DNS:localhost")},
                              .client_certificate = asks,
                              .client_ca_file = ca}),
              {.most = version, .certificate = shown});
    talk.run();
    if (talk.session->has_failed()) {
      EXPECT_NE(talk.peer.error, "");
      EXPECT_FALSE(talk.session->is_open());
      return std::string(word(talk.session->failure().reason)) + ": " +
             talk.session->failure().detail;
    }
    EXPECT_TRUE(talk.session->is_open());
    const Result<tls::PeerCertificate> peer = talk.session->peer_certificate();
    EXPECT_EQ(peer.has_value(), talk.session->has_peer_certificate());
    if (!peer) return std::string("nobody");
    EXPECT_EQ(peer->fingerprint, certificate_of(*shown).facts().sha256);
    return peer->subject + " by " + peer->issuer;
  };
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    for (const ClientCertificate asks :
         {ClientCertificate::optional, ClientCertificate::required}) {
      EXPECT_EQ(outcome(asks, version, &good), "CN=somebody,O=Sluice by CN=Test CA,O=Sluice");
      EXPECT_EQ(outcome(asks, version, &wrong),
                "certificate_refused: unable to get local issuer certificate");
      EXPECT_EQ(outcome(asks, version, &old), "certificate_refused: certificate has expired");
      EXPECT_EQ(outcome(asks, version, &server_only),
                "certificate_refused: unsuitable certificate purpose");
    }
    EXPECT_EQ(outcome(ClientCertificate::none, version, &good), "nobody");
    EXPECT_EQ(outcome(ClientCertificate::optional, version, nullptr), "nobody");
    EXPECT_EQ(outcome(ClientCertificate::required, version, nullptr),
              "certificate_missing: peer did not return a certificate");
  }
}

TEST_F(TlsContext, KeysOnTheLargestCurve) {
  const Issued client = authority.issue({.subject = "large", .key = "P-521", .for_clients = true});
  const auto context = server_context({.certificates = {named("a", "DNS:localhost", "P-521")},
                                       .client_certificate = ClientCertificate::required,
                                       .client_ca_file = folder.write("ca.pem", authority.pem())});
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    Talk talk(context, {.most = version, .certificate = &client});
    talk.run();
    EXPECT_TRUE(talk.session->is_open()) << talk.session->failure().detail;
  }
}

TEST_F(TlsContext, AnIntermediateMayBeWhoIsTrusted) {
  const Authority between = authority.intermediate("Between");
  const Issued good = between.issue({.for_clients = true});
  const Issued above = authority.issue({.for_clients = true});
  const auto context = server_context({.certificates = {named("a", "DNS:localhost")},
                                       .client_certificate = ClientCertificate::required,
                                       .client_ca_file = folder.write("ca.pem", between.pem())});
  Talk one(context, {.certificate = &good}), two(context, {.certificate = &above});
  one.run();
  two.run();
  EXPECT_TRUE(one.session->is_open());
  EXPECT_EQ(two.session->failure().reason, Reason::certificate_refused);
  EXPECT_EQ(sk_X509_NAME_num(SSL_get_client_CA_list(one.peer.ssl())), 1);
}

TEST_F(TlsContext, SettingsThatDoNotFit) {
  EXPECT_EQ(error_of({}), "a TLS port needs a certificate");
  tls::ServerSettings settings{.certificates = {named("a", "DNS:localhost")},
                               .client_certificate = ClientCertificate::optional};
  EXPECT_EQ(error_of(settings),
            "certificates of clients are asked for, but no file says who may issue them");
  settings.client_ca_file = "/no/ca.pem";
  EXPECT_EQ(error_of(settings), "cannot read /no/ca.pem: No such file or directory");
  settings.client_ca_file = folder.write("empty-ca.pem", "nothing\n");
  EXPECT_EQ(error_of(settings).find(settings.client_ca_file + " is no PEM file"), 0u);

  const auto without_names = server_context({.certificates = {named("n", "")}});
  ASSERT_EQ(without_names->warnings().size(), 1u);
  EXPECT_EQ(without_names->warnings()[0],
            "n.pem has no subjectAltName: clients will not accept it for any name");

  settings = {.certificates = std::vector<tls::ServerCertificate>(1025, named("a", "DNS:a.test"))};
  EXPECT_EQ(error_of(settings), "there are more than 1024 certificates");
}

// --- OCSP ----------------------------------------------------------------------------------------

std::string ocsp_answer(const Authority& authority, const Issued& issued, int status, long until) {
  const std::unique_ptr<BIO, Free> bio(
      BIO_new_mem_buf(issued.certificate.data(), int(issued.certificate.size())));
  const X509Ptr leaf(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  OCSP_BASICRESP* basic = OCSP_BASICRESP_new();
  OCSP_CERTID* id = OCSP_cert_to_id(EVP_sha1(), leaf.get(), authority.x509());
  ASN1_TIME* from = X509_gmtime_adj(nullptr, -7200);
  ASN1_TIME* to = X509_gmtime_adj(nullptr, until);
  ASN1_TIME* revoked =
      status == V_OCSP_CERTSTATUS_REVOKED ? X509_gmtime_adj(nullptr, -3600) : nullptr;
  OCSP_basic_add1_status(basic, id, status, 0, revoked, from, to);
  must(OCSP_basic_sign(basic, authority.x509(), authority.key(), EVP_sha256(), nullptr, 0) == 1);
  OCSP_RESPONSE* response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
  unsigned char* der = nullptr;
  const int size = i2d_OCSP_RESPONSE(response, &der);
  std::string text(reinterpret_cast<const char*>(der), std::size_t(size));
  OPENSSL_free(der);
  OCSP_RESPONSE_free(response);
  OCSP_BASICRESP_free(basic);
  OCSP_CERTID_free(id);
  ASN1_TIME_free(from);
  ASN1_TIME_free(to);
  ASN1_TIME_free(revoked);
  return text;
}

TEST_F(TlsContext, AnswersAboutRevocationAreSentAlong) {
  const Issued issued = authority.issue(), other = authority.issue({.names = "DNS:b.test"});
  const std::string good = ocsp_answer(authority, issued, V_OCSP_CERTSTATUS_GOOD, 3600);
  const auto context =
      server_context({.certificates = {{certificate_of(issued), folder.write("good.der", good)},
                                       {certificate_of(other)}}});
  EXPECT_TRUE(context->warnings().empty());
  const auto stapled = [&](const std::shared_ptr<const tls::Context>& with, int version,
                           const char* name, bool asks) {
    Talk talk(with, {.most = version, .server_name = name, .asks_for_staple = asks});
    talk.run();
    EXPECT_TRUE(talk.session->is_open());
    const unsigned char* text = nullptr;
    const long size = SSL_get_tlsext_status_ocsp_resp(talk.peer.ssl(), &text);
    return size > 0 ? std::string(reinterpret_cast<const char*>(text), std::size_t(size)) : "";
  };
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    EXPECT_TRUE(stapled(context, version, "localhost", true) == good);
    EXPECT_EQ(stapled(context, version, "localhost", false), "");
    EXPECT_EQ(stapled(context, version, "b.test", true), "");
  }
  // What stands behind the answer is not sent.
  const auto longer = server_context(
      {.certificates = {{certificate_of(issued), folder.write("longer.der", good + "secret")}}});
  EXPECT_TRUE(stapled(longer, TLS1_3_VERSION, "localhost", true) == good);
  const std::string old =
      folder.write("old.der", ocsp_answer(authority, issued, V_OCSP_CERTSTATUS_GOOD, -60));
  const auto late = server_context({.certificates = {{certificate_of(issued), old}}});
  ASSERT_EQ(late->warnings().size(), 1u);
  EXPECT_EQ(late->warnings()[0], old + " has expired and is not sent; fetch a new OCSP answer");
  EXPECT_EQ(stapled(late, TLS1_3_VERSION, "localhost", true), "");
}

TEST_F(TlsContext, AnswersAboutRevocationThatDoNotFit) {
  const Issued issued = authority.issue(), other = authority.issue();
  const auto refused = [&](const std::string& der) {
    const std::string file = folder.write("x.der", der);
    const std::string words = error_of({.certificates = {{certificate_of(issued), file}}});
    EXPECT_EQ(words.find(file), 0u);
    return words.substr(file.size());
  };
  EXPECT_EQ(refused("nonsense"),
            " is no OCSP answer in DER: openssl ocsp -respout FILE writes one");
  EXPECT_EQ(refused(std::string("\x30\x03\x0a\x01\x03", 5)),
            " is no answer, but a failure of who was asked: trylater");
  EXPECT_EQ(refused(ocsp_answer(authority, other, V_OCSP_CERTSTATUS_GOOD, 60)),
            " is about another certificate than leaf.pem");
  // The same serial number of another issuer, which a chain tells apart.
  const Authority between = authority.intermediate("Between");
  const Issued below = between.issue();
  const std::string file =
      folder.write("y.der", ocsp_answer(authority, below, V_OCSP_CERTSTATUS_GOOD, 60));
  EXPECT_EQ(error_of({.certificates = {{certificate_of(below), file}}}),
            file + " is about another certificate than leaf.pem");
  EXPECT_TRUE(tls::Context::server(
      {.certificates = {
           {certificate_of(below),
            folder.write("z.der", ocsp_answer(between, below, V_OCSP_CERTSTATUS_GOOD, 60))}}}));
  EXPECT_EQ(refused(ocsp_answer(authority, issued, V_OCSP_CERTSTATUS_REVOKED, 60)),
            " says that leaf.pem is revoked or unknown; the certificate has to be replaced");
}

}  // namespace
}  // namespace sluice::test
