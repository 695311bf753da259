// tests/tls/certificate_test.cpp - certificates and keys, right and wrong, and what is said of
// them.
//
// Layer: tests.
#include "tls/certificate.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tls/files.hpp"
#include "tls/peer.hpp"
#include "tls/self_signed.hpp"

namespace sluice::test {
namespace {

using tls::Certificate;
using tls::CertificateFacts;
using Clock = std::chrono::system_clock;

// The words of the error, which is Errc::bad_setting.
std::string error_of(const Result<Certificate>& made) {
  EXPECT_FALSE(made);
  EXPECT_EQ(made.error().code, Errc::bad_setting);
  return made.error().detail;
}

bool says(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

struct TlsCertificate : ::testing::Test {
  const Authority authority;
  const TestFolder folder;
};

TEST_F(TlsCertificate, WhatItSaysOfItself) {
  const Authority between = authority.intermediate("Between");
  const Issued issued = between.issue(
      {.names = "DNS:Example.COM,DNS:*.example.com,DNS:f*.bad,IP:127.0.0.1,IP:::1,email:a@b.c",
       .subject = "b\xc3\xbc"
                  "cher, \"x\""});
  const std::string file = folder.write("a.pem", issued.chain),
                    key = folder.write("a.key", issued.key);
  const Result<Certificate> made = Certificate::from_files(file, key);
  ASSERT_TRUE(made) << made.error().message();
  const CertificateFacts& facts = made->facts();
  EXPECT_EQ(facts.source, file);
  EXPECT_EQ(facts.subject,
            "CN=b\xc3\xbc"
            "cher\\, \\\"x\\\",O=Sluice");
  EXPECT_EQ(facts.issuer, "CN=Between,O=Sluice");
  EXPECT_EQ(facts.names, (std::vector<std::string>{"example.com", "*.example.com"}));
  EXPECT_EQ(facts.addresses, (std::vector<std::string>{"127.0.0.1", "::1"}));
  EXPECT_EQ(facts.sha1.size(), 40u);
  EXPECT_EQ(facts.sha256.size(), 64u);
  EXPECT_EQ(facts.chain_length, 2u);
  EXPECT_EQ(facts.key_type, tls::KeyType::ecdsa);
  const auto left = facts.not_after - Clock::now();
  EXPECT_GT(left, std::chrono::hours(23));
  EXPECT_LE(left, std::chrono::hours(24));
  EXPECT_LT(facts.not_before, Clock::now());
  EXPECT_TRUE(made->warnings().empty()) << made->warnings().front();
  EXPECT_EQ(made->pem(), issued.chain);
}

TEST_F(TlsCertificate, ControlCharactersOfASubjectAreEscaped) {
  const Certificate made = certificate_of(authority.issue({.subject = "a\nb"}));
  EXPECT_EQ(made.facts().subject, "CN=a\\0Ab,O=Sluice");
}

TEST_F(TlsCertificate, KeysOfEveryKind) {
  for (const auto& [kind, type] :
       {std::pair("P-256", tls::KeyType::ecdsa), std::pair("P-384", tls::KeyType::ecdsa),
        std::pair("P-521", tls::KeyType::ecdsa), std::pair("RSA-2048", tls::KeyType::rsa),
        std::pair("ED25519", tls::KeyType::ed25519)}) {
    const Issued issued = authority.issue({.key = kind});
    EXPECT_EQ(certificate_of(issued).facts().key_type, type) << kind;
  }
  EXPECT_TRUE(
      says(error_of(Certificate::from_pem(authority.issue({.key = "RSA-1024"}).certificate,
                                          authority.issue({.key = "RSA-1024"}).key, "a", "a.key")),
           "a.key is an RSA key of 1024 bits; at least 2048 are needed"));
  const Issued koblitz = authority.issue({.key = "secp256k1"});
  EXPECT_TRUE(says(error_of(Certificate::from_pem(koblitz.certificate, koblitz.key, "a", "a.key")),
                   "a.key is a key on the curve secp256k1; TLS uses P-256, P-384 and P-521"));
}

TEST_F(TlsCertificate, TheKeyMayBeInTheSameFile) {
  const Issued issued = authority.issue();
  for (const std::string& text : {issued.key + issued.chain, issued.chain + issued.key}) {
    const Result<Certificate> made = Certificate::from_files(folder.write("both.pem", text), "");
    EXPECT_TRUE(made) << made.error().message();
  }
}

TEST_F(TlsCertificate, AnEcKeyAsOpensslWritesIt) {
  const KeyPtr key = Authority::make_key("P-256");
  const std::string params =
      "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
  const Issued issued = authority.issue();
  const std::string traditional =
      params + pem_text([&](BIO* bio) {
        const std::unique_ptr<BIO, Free> from(
            BIO_new_mem_buf(issued.key.data(), int(issued.key.size())));
        const KeyPtr own(PEM_read_bio_PrivateKey(from.get(), nullptr, nullptr, nullptr));
        return PEM_write_bio_PrivateKey_traditional(bio, own.get(), nullptr, nullptr, 0, nullptr,
                                                    nullptr);
      });
  ASSERT_TRUE(says(traditional, "BEGIN EC PRIVATE KEY"));
  const Result<Certificate> made =
      Certificate::from_pem(issued.certificate, traditional, "a", "a.key");
  EXPECT_TRUE(made) << made.error().message();
}

TEST_F(TlsCertificate, ErrorsNameTheFileAndSayWhatToDo) {
  const Issued issued = authority.issue(), other = authority.issue();
  const std::string good = folder.write("good.pem", issued.certificate),
                    key = folder.write("good.key", issued.key);
  const auto files = [&](const std::string& certificate, const std::string& key_text) {
    return error_of(Certificate::from_files(folder.write("x.pem", certificate),
                                            folder.write("x.key", key_text)));
  };
  const std::string x = folder.path() + "/x.pem", x_key = folder.path() + "/x.key";

  EXPECT_EQ(error_of(Certificate::from_files("/no/such.pem", key)),
            "cannot read /no/such.pem: No such file or directory");
  EXPECT_EQ(error_of(Certificate::from_files(good, "/no/such.key")),
            "cannot read /no/such.key: No such file or directory");
  EXPECT_EQ(error_of(Certificate::from_files(folder.path(), key)),
            "cannot read " + folder.path() + ": it is not a regular file");
  EXPECT_EQ(error_of(Certificate::from_files(std::string("a\0b", 3), key)),
            "cannot read a file: its name holds a NUL");
  EXPECT_EQ(files("", issued.key), "cannot read " + x + ": it is empty");
  EXPECT_EQ(files(std::string(tls::kMostFileBytes + 1, 'x'), issued.key),
            "cannot read " + x + ": it is larger than 1 MiB");
  EXPECT_EQ(files(issued.key, issued.key),
            x + " holds no certificate: there is no BEGIN CERTIFICATE in it");
  EXPECT_TRUE(says(files("\x30\x82\x01", issued.key), x + " is no PEM file; if it is DER"));
  EXPECT_EQ(files(issued.certificate + "-----BEGIN CERTIFICATE-----\nMIIB\n", issued.key),
            x + ": certificate 2 of the file is damaged");
  EXPECT_EQ(files(issued.certificate, issued.certificate),
            x_key + " holds no private key: there is no BEGIN PRIVATE KEY in it");
  EXPECT_EQ(
      files(issued.certificate, "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n"),
      x_key + " holds a private key that cannot be read");
  EXPECT_EQ(files(issued.certificate, other.key), x_key + " is not the key of the certificate in " +
                                                      x +
                                                      ": is one of them of an earlier renewal?");
  EXPECT_TRUE(says(files(authority.pem() + issued.certificate, issued.key),
                   x + " is out of order: the private key belongs to certificate 2 of it"));
  EXPECT_TRUE(says(
      files(issued.certificate, Authority::encrypted_key_pem(Authority::make_key("P-256").get())),
      x_key + " is protected by a password"));
}

TEST_F(TlsCertificate, AFileAsLargeAsAllowed) {
  const Issued issued = authority.issue();
  const std::string text = issued.certificate + issued.key;
  const Result<Certificate> made = Certificate::from_files(
      folder.write("large.pem", text + std::string(tls::kMostFileBytes - text.size(), '\n')), "");
  EXPECT_TRUE(made) << made.error().message();
}

TEST_F(TlsCertificate, Warnings) {
  const Certificate expired =
      certificate_of(authority.issue({.from = -7200, .until = -3600}), "old.pem");
  ASSERT_EQ(expired.warnings().size(), 1u);
  EXPECT_TRUE(says(expired.warnings()[0], "old.pem has expired: 20"));

  const Certificate early = certificate_of(authority.issue({.from = 3600}), "new.pem");
  ASSERT_EQ(early.warnings().size(), 1u);
  EXPECT_TRUE(says(early.warnings()[0], "new.pem is not valid before 20"));

  Issued issued = authority.issue();
  issued.chain += Authority("Somebody else").pem();
  const Certificate jumbled = certificate_of(issued, "jumbled.pem");
  ASSERT_EQ(jumbled.warnings().size(), 1u);
  EXPECT_TRUE(says(jumbled.warnings()[0], "jumbled.pem: certificate 2 did not issue 1"));

  const std::string both = folder.write("both.pem", authority.issue().certificate + issued.key);
  const Issued own = authority.issue();
  const std::string open = folder.write("open.pem", own.certificate + own.key);
  ::chmod(open.c_str(), 0644);
  const Result<Certificate> readable = Certificate::from_files(open, "");
  ASSERT_TRUE(readable);
  ASSERT_EQ(readable->warnings().size(), 1u);
  EXPECT_TRUE(says(readable->warnings()[0], "anyone on this machine may read the private key"));
  for (const mode_t mode : {mode_t{0620}, mode_t{0602}}) {
    ::chmod(open.c_str(), mode);
    const Result<Certificate> writable = Certificate::from_files(open, "");
    ASSERT_TRUE(writable);
    ASSERT_EQ(writable->warnings().size(), 1u);
    EXPECT_TRUE(says(writable->warnings()[0], "others than its owner may change the private key"));
  }
}

TEST(SelfSigned, IsAcceptedByWhoTrustsIt) {
  const Result<Certificate> made = tls::self_signed();
  ASSERT_TRUE(made) << made.error().message();
  EXPECT_EQ(made->facts().names, (std::vector<std::string>{"localhost"}));
  EXPECT_EQ(made->facts().addresses, (std::vector<std::string>{"127.0.0.1", "::1"}));
  EXPECT_EQ(made->facts().key_type, tls::KeyType::ecdsa);
  EXPECT_TRUE(made->warnings().empty());
  const TestFolder folder;
  const auto server = server_context({.certificates = {{*made}}});
  const auto client = tls::Context::client({.ca_file = folder.write("ca.pem", made->pem())});
  ASSERT_TRUE(client) << client.error().message();
  for (const char* host : {"localhost", "127.0.0.1", "::1"}) {
    const auto accepted = std::move(tls::Session::accept(server)).value();
    const auto connected = std::move(tls::Session::connect(*client, host)).value();
    Feeder to_server(*accepted), to_client(*connected);
    connected->begin(to_client.out);
    for (int i = 0; i < 4; ++i) {
      to_server.feed(to_client.out.take());
      to_client.feed(to_server.out.take());
    }
    EXPECT_TRUE(accepted->is_open()) << host << ": " << accepted->failure().detail;
    EXPECT_TRUE(connected->is_open()) << host << ": " << connected->failure().detail;
  }
  const Result<Certificate> second = tls::self_signed();
  ASSERT_TRUE(second);
  EXPECT_NE(second->facts().sha256, made->facts().sha256);
  EXPECT_EQ(second->pem().find("PRIVATE"), std::string::npos);
}

TEST(SelfSigned, ForOtherNames) {
  const std::string_view names[] = {"*.test", "10.0.0.1"};
  const Result<Certificate> made = tls::self_signed(names, std::chrono::hours(1));
  ASSERT_TRUE(made);
  EXPECT_EQ(made->facts().names, (std::vector<std::string>{"*.test"}));
  EXPECT_LE(made->facts().not_after, Clock::now() + std::chrono::hours(1));
  const std::string_view wrong[] = {"localhost,DNS:evil"};
  EXPECT_TRUE(says(error_of(tls::self_signed(wrong)), "'localhost,DNS:evil' is neither"));
  const std::string_view behind_a_nul[] = {std::string_view("127.0.0.1\0x", 11)};
  EXPECT_FALSE(tls::self_signed(behind_a_nul));
  EXPECT_EQ(error_of(tls::self_signed({})), "a certificate needs a name or an address");
  EXPECT_TRUE(says(error_of(tls::self_signed(names, std::chrono::hours(24) * 366 * 8000)),
                   "100 years at most"));
  const std::string_view dotted[] = {"Some.Test."};
  const Result<Certificate> plain = tls::self_signed(dotted, tls::kLongestLife);
  ASSERT_TRUE(plain);
  EXPECT_NE(plain->pem(), "");
  EXPECT_EQ(plain->facts().names, (std::vector<std::string>{"some.test"}));
  EXPECT_TRUE(plain->warnings().empty());
}

}  // namespace
}  // namespace sluice::test
