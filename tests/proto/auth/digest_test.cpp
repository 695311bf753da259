// tests/proto/auth/digest_test.cpp - Digest: the examples of the RFC, every parameter missing or
// bent.
//
// RFC 7616 sections 3.3, 3.4, 3.9; RFC 6750 section 3; RFC 7617 section 2. Layer: tests.
#include "proto/auth/digest.hpp"

#include <gtest/gtest.h>

#include <map>

#include "proto/auth/challenge.hpp"

namespace sluice::auth {
namespace {

using enum DigestAlgorithm;

// RFC 7616 section 3.9.1.
constexpr std::string_view kRealm = "http-auth@example.org";
constexpr std::string_view kSha256 =
    R"(Digest username="Mufasa", realm="http-auth@example.org", uri="/dir/index.html", )"
    R"(algorithm=SHA-256, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", nc=00000001, )"
    R"(cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", qop=auth, )"
    R"(response="753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1", )"
    R"(opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS")";
constexpr std::string_view kMd5 =
    R"(Digest username="Mufasa", realm="http-auth@example.org", uri="/dir/index.html", )"
    R"(algorithm=MD5, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", nc=00000001, )"
    R"(cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", qop=auth, )"
    R"(response="8ca523f5e9506fed4657c9700eebdbec", )"
    R"(opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS")";

Result<DigestCredentials> read(std::string_view field, bool allow_md5 = false) {
  return read_digest(read_credentials(field).value(), allow_md5);
}

TEST(Digest, ExamplesOfTheRfc) {
  for (const auto& [field, algorithm] : {std::pair{kSha256, sha256}, std::pair{kMd5, md5}}) {
    const auto digest = read(field, true);
    ASSERT_TRUE(digest) << digest.error().message();
    EXPECT_EQ(digest->user, "Mufasa");
    EXPECT_EQ(digest->realm, kRealm);
    EXPECT_EQ(digest->uri, "/dir/index.html");
    EXPECT_EQ(digest->opaque, "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS");
    EXPECT_EQ(digest->algorithm, algorithm);
    EXPECT_EQ(digest->count, 1u);
    const auto ha1 = digest_ha1(algorithm, "Mufasa", kRealm, "Circle of Life");
    ASSERT_TRUE(ha1);
    EXPECT_TRUE(is_digest_hex(algorithm, *ha1));
    EXPECT_EQ(digest_response(*digest, *ha1, "GET"), digest->response);
    EXPECT_TRUE(is_right(*digest, *ha1, "GET"));
    EXPECT_FALSE(is_right(*digest, *ha1, "POST"));
    EXPECT_FALSE(
        is_right(*digest, digest_ha1(algorithm, "Mufasa", kRealm, "circle").value(), "GET"));
  }
}

TEST(Digest, EveryValueIsPartOfTheResponse) {
  const std::string ha1 = digest_ha1(sha256, "Mufasa", kRealm, "Circle of Life").value();
  const DigestCredentials good = read(kSha256).value();
  for (std::string DigestCredentials::*member :
       {&DigestCredentials::nonce, &DigestCredentials::uri, &DigestCredentials::cnonce,
        &DigestCredentials::nc, &DigestCredentials::response}) {
    DigestCredentials bent = good;
    (bent.*member)[0] ^= 1;
    EXPECT_FALSE(is_right(bent, ha1, "GET"));
  }
  EXPECT_TRUE(is_right(good, ha1, "GET"));
}

TEST(Digest, TheUriIsTheTarget) {
  struct Row {
    std::string_view uri, target;
    bool same;
  };
  for (const auto& [uri, target, same] :
       {Row{"/a?b", "/a?b", true}, Row{"/a", "/b", false}, Row{"/a", "/a?b", false},
        Row{"/A", "/a", false}, Row{"/%61", "/a", false}, Row{"", "/", false}, Row{"*", "*", true},
        Row{"http://h/a?b", "/a?b", true}, Row{"/a", "HTTPS://h:1/a", true},
        Row{"http://h", "/", true}, Row{"http://h?b", "?b", true}, Row{"http://h/a", "/h/a", false},
        Row{"//h/a", "/a", false}, Row{"ftp://h/a", "/a", false}}) {
    DigestCredentials digest;
    digest.uri = uri;
    EXPECT_EQ(is_for_target(digest, target), same) << uri << " " << target;
  }
}

TEST(Digest, Md5OnlyWhereItIsAllowed) {
  EXPECT_EQ(read(kMd5, false).error().code, Errc::auth_refused);
  EXPECT_TRUE(read(kMd5, true));
}

// The example of section 3.9.2 asks for SHA-512-256 and a user hash, which are not offered.
TEST(Digest, WhatWasNotOffered) {
  EXPECT_EQ(
      read(R"(Digest username="488869477bf257147b804c45308cd62ac4e25eb717b12b298c79e62dcea254ec",
     realm="api@example.org", uri="/doe.json", algorithm=SHA-512-256,
     nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", nc=00000001,
     cnonce="NTg6RKcb9boFIAS3KrFK9BGeh+niz/sm", qop=auth,
     response="ae66e67d6b427bd3f120414a82e4acff38e8ecd9101d6c861229025f607a79dd",
     opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS", userhash=true)")
          .has_value(),
      false);
}

// The parameters of a good one, with some replaced; an empty value takes one away.
std::string field_with(const std::map<std::string, std::string>& changes) {
  std::map<std::string, std::string> params = {{"username", "\"Mufasa\""},
                                               {"realm", "\"r\""},
                                               {"nonce", "\"n\""},
                                               {"uri", "\"/\""},
                                               {"algorithm", "SHA-256"},
                                               {"nc", "0000000a"},
                                               {"cnonce", "\"c\""},
                                               {"qop", "auth"},
                                               {"response", '"' + std::string(64, 'a') + '"'}};
  for (const auto& [name, value] : changes) params[name] = value;
  std::string field = "Digest ";
  for (const auto& [name, value] : params) {
    if (!value.empty()) field += name + "=" + value + ", ";
  }
  return field;
}

TEST(Digest, EveryParameter) {
  using Changes = std::map<std::string, std::string>;
  struct Row {
    Changes changes;
    Errc error;
  };
  const Errc malformed = Errc::auth_malformed, refused = Errc::auth_refused;
  for (const auto& [changes, error] : std::vector<Row>{
           {{}, Errc::none},
           {{{"qop", "\"auth\""}}, Errc::none},
           {{{"algorithm", "\"sha-256\""}}, Errc::none},
           {{{"userhash", "false"}}, Errc::none},
           {{{"unknown", "x"}}, Errc::none},
           {{{"nc", "ffffffff"}}, Errc::none},
           {{{"username", ""}, {"username*", "UTF-8''J%C3%A4s%c3%b8n%20Doe"}}, Errc::none},
           {{{"username", ""}}, malformed},
           {{{"username", "\"\""}}, malformed},
           {{{"username", "\"\xff\""}}, malformed},
           {{{"username*", "UTF-8''x"}}, malformed},  // both
           {{{"username", ""}, {"username*", "ISO-8859-1''x"}}, malformed},
           {{{"username", ""}, {"username*", "UTF-8'x"}}, malformed},
           {{{"username", ""}, {"username*", "UTF-8''%"}}, malformed},
           {{{"username", ""}, {"username*", "UTF-8''%4"}}, malformed},
           {{{"username", ""}, {"username*", "UTF-8''%4g"}}, malformed},
           {{{"username", ""}, {"username*", "UTF-8''%00"}}, malformed},
           {{{"username", ""}, {"username*", "UTF-8''%ff"}}, malformed},
           {{{"realm", ""}}, malformed},
           {{{"nonce", ""}}, malformed},
           {{{"uri", ""}}, malformed},
           {{{"response", ""}}, malformed},
           {{{"response", std::string(63, 'a')}}, malformed},
           {{{"response", std::string(65, 'a')}}, malformed},
           {{{"response", std::string(32, 'a')}}, malformed},
           {{{"response", std::string(64, 'A')}}, malformed},
           {{{"response", std::string(64, 'g')}}, malformed},
           {{{"nc", ""}}, malformed},
           {{{"nc", "00000000"}}, malformed},
           {{{"nc", "1"}}, malformed},
           {{{"nc", "000000001"}}, malformed},
           {{{"nc", "0000000g"}}, malformed},
           {{{"nc", "\"-0000001\""}}, malformed},
           {{{"nc", "\"0x000001\""}}, malformed},
           {{{"cnonce", ""}}, malformed},
           {{{"cnonce", "\"\""}}, malformed},
           {{{"qop", ""}}, refused},
           {{{"qop", "auth-int"}}, refused},
           {{{"algorithm", ""}}, refused},  // which means MD5
           {{{"algorithm", "MD5"}}, refused},
           {{{"algorithm", "SHA-256-sess"}}, refused},
           {{{"algorithm", "SHA-512-256"}}, refused},
           {{{"userhash", "true"}}, refused}}) {
    const std::string field = field_with(changes);
    EXPECT_EQ(read(field).error().code, error) << field;
  }
  EXPECT_EQ(read(field_with({{"username", ""}, {"username*", "utf-8'en'J%C3%A4s%C3%B8n%20Doe"}}))
                .value()
                .user,
            "J\xc3\xa4s\xc3\xb8n Doe");
  EXPECT_EQ(read(field_with({})).value().count, 10u);
  EXPECT_EQ(read("Basic QTpi").error().code, malformed);
}

TEST(Challenge, OfDigest) {
  EXPECT_EQ(digest_challenge("http-auth@example.org", sha256, {.nonce = "n", .opaque = "o"}),
            R"(Digest realm="http-auth@example.org", qop="auth", algorithm=SHA-256, nonce="n", )"
            R"(opaque="o", charset=UTF-8, userhash=false)");
  EXPECT_EQ(digest_challenge("r", md5, {.nonce = "n", .opaque = {}, .stale = true}),
            R"(Digest realm="r", qop="auth", algorithm=MD5, nonce="n", stale=true, )"
            R"(charset=UTF-8, userhash=false)");
}

TEST(Challenge, OfBasic) {
  EXPECT_EQ(basic_challenge("foo"), R"(Basic realm="foo", charset="UTF-8")");
  EXPECT_EQ(basic_challenge(R"(a "b" \c)"), R"(Basic realm="a \"b\" \\c", charset="UTF-8")");
}

TEST(Challenge, OfBearerSaysWhatWasWrongOnlyWhenThereWasAToken) {
  EXPECT_EQ(bearer_challenge("example", Errc::none), R"(Bearer realm="example")");
  EXPECT_EQ(bearer_challenge("example", Errc::auth_required), R"(Bearer realm="example")");
  EXPECT_EQ(bearer_challenge("example", Errc::auth_expired),
            R"(Bearer realm="example", error="invalid_token", )"
            R"(error_description="the token has expired")");
  EXPECT_EQ(bearer_challenge("example", Errc::auth_malformed),
            R"(Bearer realm="example", error="invalid_request", )"
            R"(error_description="malformed credentials")");
}

TEST(Challenge, OneForEachScheme) {
  const auto schemes = [](const ChallengeRules& rules) {
    std::string text;
    for (const std::string& value : challenges(rules))
      text += value.substr(0, value.find(' ')) + " ";
    return text;
  };
  EXPECT_EQ(schemes({.realm = "r"}), "");
  EXPECT_EQ(schemes({.realm = "r", .basic = true}), "Basic ");
  EXPECT_EQ(schemes({.realm = "r", .bearer = true, .basic = true, .digest = true}),
            "Bearer Digest Basic ");
  const auto both =
      challenges({.realm = "r", .digest = true, .allow_md5 = true, .offer = {.nonce = "n"}});
  ASSERT_EQ(both.size(), 2u);
  EXPECT_NE(both[0].find("SHA-256"), std::string::npos);
  EXPECT_NE(both[1].find("MD5"), std::string::npos);
}

TEST(Challenge, WhatIsRead) {  // our own challenge has the form of credentials
  const auto own = digest_challenge("a \"b\"", sha256, {.nonce = "n,=", .opaque = "o"});
  const auto read = read_credentials(own);
  ASSERT_TRUE(read);
  EXPECT_EQ(*read->find("realm"), "a \"b\"");
  EXPECT_EQ(*read->find("nonce"), "n,=");
}

TEST(Realm, Limits) {
  EXPECT_TRUE(is_realm(std::string(kMostRealmBytes, 'r')));
  EXPECT_TRUE(is_realm("caf\xc3\xa9 \"1\""));
  for (const std::string& realm : {std::string(), std::string(kMostRealmBytes + 1, 'r'),
                                   std::string("a\r\nb"), std::string("\xff")}) {
    EXPECT_FALSE(is_realm(realm));
  }
}

}  // namespace
}  // namespace sluice::auth
