// tests/tls/store_test.cpp - certificates by their thumbprint.
//
// Layer: tests.
#include "tls/store.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "tls/authority.hpp"

namespace sluice::test {
namespace {

using tls::find_in_store;
using tls::thumbprint_of;

TEST(Thumbprint, AsPeopleWriteIt) {
  const std::string sha1 = "0123456789abcdef0123456789abcdef01234567";
  const std::string sha256 = sha1 + "89abcdef0123456789abcdef";
  EXPECT_EQ(*thumbprint_of(sha1), sha1);
  EXPECT_EQ(*thumbprint_of(sha256), sha256);
  EXPECT_EQ(*thumbprint_of("0123456789ABCDEF0123456789ABCDEF01234567"), sha1);
  EXPECT_EQ(*thumbprint_of("01:23:45:67:89:AB:CD:EF:01:23:45:67:89:AB:CD:EF:01:23:45:67"), sha1);
  EXPECT_EQ(*thumbprint_of("\xe2\x80\x8e"
                           "01 23 45 67 89 ab cd ef 01 23 45 67 89 ab cd ef 01 23 45 67 "),
            sha1);
  EXPECT_EQ(thumbprint_of(sha1 + "8").error().detail,
            "a thumbprint has 40 digits (SHA-1) or 64 (SHA-256), not 41");
  EXPECT_EQ(thumbprint_of("").error().code, Errc::bad_setting);
  EXPECT_EQ(thumbprint_of(sha1.substr(1) + "g").error().detail,
            "a thumbprint has hexadecimal digits only");
  EXPECT_EQ(thumbprint_of(sha256 + "00").error().code, Errc::bad_setting);
}

struct CertificateStore : ::testing::Test {
  const Authority authority;
  const TestFolder folder;
  std::string error_of(const std::string& hash) const {
    const auto found = find_in_store(folder.path(), hash);
    EXPECT_FALSE(found);
    EXPECT_EQ(found.error().code, Errc::bad_setting);
    return found.error().detail;
  }
};

TEST_F(CertificateStore, KeysBesideAndWithin) {
  const Issued beside = authority.issue({.subject = "beside"}),
               within = authority.issue({.subject = "within"});
  folder.write("a.crt", beside.chain);
  folder.write("a.key", beside.key);
  folder.write("b.pem", within.chain + within.key);
  folder.write("notes.txt", "nothing");
  folder.write("broken.cer", "nothing");
  for (const Issued* issued : {&beside, &within}) {
    const tls::CertificateFacts facts = certificate_of(*issued).facts();
    std::string upper = facts.sha1;
    std::transform(upper.begin(), upper.end(), upper.begin(), ::toupper);
    for (const std::string& hash : {facts.sha1, upper, facts.sha256}) {
      const auto found = find_in_store(folder.path(), hash);
      ASSERT_TRUE(found) << found.error().message();
      EXPECT_EQ(found->facts().subject, facts.subject);
    }
  }
}

TEST_F(CertificateStore, AKeyWithinComesBeforeOneBeside) {
  const Issued issued = authority.issue();
  folder.write("a.pem", issued.chain + issued.key);
  folder.write("a.key", authority.issue().key);  // of an earlier renewal
  const auto found = find_in_store(folder.path(), certificate_of(issued).facts().sha1);
  EXPECT_TRUE(found) << found.error().message();
}

TEST_F(CertificateStore, TheNameOfAFileSaysNothingByItself) {
  const Issued right = authority.issue({.subject = "right"}), wrong = authority.issue();
  const std::string hash = certificate_of(right).facts().sha1;
  folder.write(hash + ".crt", wrong.chain + wrong.key);
  folder.write("other.crt", right.chain + right.key);
  const auto found = find_in_store(folder.path(), hash);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->facts().subject, "CN=right,O=Sluice");
  EXPECT_EQ(found->facts().source, folder.path() + "/other.crt");
}

TEST_F(CertificateStore, AFileWithTheThumbprintAsItsNameComesFirst) {
  const Issued issued = authority.issue();
  const std::string hash = certificate_of(issued).facts().sha1;
  folder.write("0.crt", issued.chain + issued.key);
  folder.write(hash + ".crt", issued.chain);
  folder.write(hash + ".key", issued.key);
  const auto found = find_in_store(folder.path(), hash);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->facts().source, folder.path() + "/" + hash + ".crt");
}

TEST_F(CertificateStore, WhatIsMissing) {
  const Issued issued = authority.issue();
  const std::string hash = certificate_of(issued).facts().sha1;
  EXPECT_EQ(error_of(hash), "no certificate in " + folder.path() + " has the thumbprint " + hash +
                                " (0 files, 0 certificates; openssl x509 -noout -fingerprint -in "
                                "FILE shows one)");
  folder.write("a.crt", issued.chain);
  EXPECT_EQ(error_of(hash), "there is no private key to " + folder.path() +
                                "/a.crt: neither in it nor in " + folder.path() + "/a.key");
  folder.write("a.key", authority.issue().key);
  EXPECT_NE(error_of(hash).find("a.key is not the key of the certificate"), std::string::npos);
  folder.write("empty.pem", "");
  const std::string other = certificate_of(authority.issue()).facts().sha256;
  EXPECT_NE(error_of(other).find("(2 files, 1 certificates;"), std::string::npos);
  EXPECT_NE(error_of(other).find("empty.pem: it is empty"), std::string::npos);
  EXPECT_EQ(find_in_store("/no/such/folder", hash).error().detail,
            "cannot read the certificate store /no/such/folder: No such file or directory");
}

}  // namespace
}  // namespace sluice::test
