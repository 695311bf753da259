// tests/proto/auth/credentials_test.cpp - Authorization, Basic and Bearer: the forms, and what is
// none.
//
// RFC 9110 section 11, RFC 7617 section 2, RFC 6750 section 2.1. Layer: tests.
#include "proto/auth/credentials.hpp"

#include <gtest/gtest.h>

#include <utility>

#include "crypto/base64.hpp"
#include "crypto/password.hpp"
#include "proto/auth/basic.hpp"

namespace sluice::auth {
namespace {

using Params = std::vector<std::pair<std::string, std::string>>;

Params params_of(const Credentials& credentials) {
  Params params;
  for (const AuthParam& param : credentials.params) params.emplace_back(param.name, param.value);
  return params;
}

TEST(Credentials, Token68) {
  for (const auto& [field, scheme, token] :
       {std::tuple{"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "Basic", "QWxhZGRpbjpvcGVuIHNlc2FtZQ=="},
        std::tuple{" Bearer   mF_9.B5f-4.1JqM~+/= ", "Bearer", "mF_9.B5f-4.1JqM~+/="},
        std::tuple{"x a", "x", "a"}, std::tuple{"x a=", "x", "a="}, std::tuple{"x", "x", ""},
        std::tuple{"x ", "x", ""}}) {
    const auto read = read_credentials(field);
    ASSERT_TRUE(read) << field;
    EXPECT_EQ(read->scheme, scheme);
    EXPECT_EQ(read->token68, token);
    EXPECT_TRUE(read->params.empty());
  }
}

TEST(Credentials, Parameters) {
  struct Row {
    std::string_view field;
    Params params;
  };
  for (const Row& row :
       {Row{"Digest a=b", {{"a", "b"}}}, Row{"Digest a=b, c=\"d\"", {{"a", "b"}, {"c", "d"}}},
        Row{"Digest ,, a = b ,\t,c\t=\t\"d, e=f\" ,", {{"a", "b"}, {"c", "d, e=f"}}},
        Row{"Digest a=\"\"", {{"a", ""}}}, Row{"Digest a=\"\\\"\\\\\\x\"", {{"a", "\"\\x"}}},
        Row{"Digest a=\"\xc3\xa4 \t\"", {{"a", "\xc3\xa4 \t"}}}, Row{"Digest ,", {}},
        Row{"Digest a==b", {}}}) {
    const auto read = read_credentials(row.field);
    if (row.field == "Digest a==b") {
      EXPECT_FALSE(read);
      continue;
    }
    ASSERT_TRUE(read) << row.field;
    EXPECT_EQ(params_of(*read), row.params) << row.field;
    EXPECT_TRUE(read->token68.empty());
  }
  const auto read = read_credentials("digest Realm=x");
  ASSERT_TRUE(read);
  EXPECT_TRUE(read->is("Digest"));
  ASSERT_NE(read->find("rEALM"), nullptr);
  EXPECT_EQ(*read->find("realm"), "x");
  EXPECT_EQ(read->find("real"), nullptr);
}

TEST(Credentials, WhatIsNone) {
  using namespace std::string_view_literals;
  for (const std::string_view field : {""sv,
                                       " "sv,
                                       "\""sv,
                                       "=a"sv,
                                       "a\tb=c"sv,
                                       "a,b"sv,
                                       "Digest a: b"sv,
                                       "Digest a b"sv,
                                       "Digest a=b c=d"sv,
                                       "Digest a=\"b"sv,
                                       "Digest a=\"b\\"sv,
                                       "Digest a=\"b\\\""sv,
                                       "Digest a=\"b\"c"sv,
                                       "Digest =b"sv,
                                       "Digest a=b, a=c"sv,
                                       "Digest a=b, A=c"sv,
                                       "Digest a=, b=c"sv,
                                       "Digest a=\"\x01\""sv,
                                       "Digest a=\"\\\x7f\""sv,
                                       "Digest a=\"\0\""sv,
                                       "Digest a=\"\r\n\""sv,
                                       "Digest a=b;c=d"sv,
                                       "Basic ==="sv,
                                       "Basic a=b="sv,
                                       "Basic QWxh ZGRp"sv,
                                       "Basic QWxh\xff"sv}) {
    const auto read = read_credentials(field);
    EXPECT_FALSE(read) << field;
    EXPECT_EQ(read.error().code, Errc::auth_malformed) << field;
  }
}

TEST(Credentials, Limits) {
  const auto with = [](std::size_t count) {
    std::string field = "Digest p0=0";
    for (std::size_t i = 1; i < count; ++i)
      field += ",p" + std::to_string(i) + "=" + std::to_string(i);
    return field;
  };
  EXPECT_EQ(read_credentials(with(kMostAuthParams)).value().params.size(), kMostAuthParams);
  EXPECT_FALSE(read_credentials(with(kMostAuthParams + 1)));
  const std::string longest = "Bearer " + std::string(kMostCredentialsBytes - 7, 'a');
  EXPECT_TRUE(read_credentials(longest));
  EXPECT_FALSE(read_credentials(longest + "a"));
}

TEST(Credentials, NoCutOfAGoodOneReadsBeyondItsEnd) {
  const std::string field = "Digest username=\"M\\\"u\", realm=x, uri=\"/a,b\"";
  for (std::size_t size = 0; size <= field.size(); ++size) {
    const std::string cut = field.substr(0, size);  // of its own size: one byte too far is seen
    const auto read = read_credentials(cut);
    if (read) {
      EXPECT_LE(read->params.size(), 3u);
    }
  }
}

TEST(Bearer, IsAToken68) {
  const auto of = [](std::string_view field) {
    return read_bearer(read_credentials(field).value());
  };
  EXPECT_EQ(of("bearer mF_9.B5f-4.1JqM").value(), "mF_9.B5f-4.1JqM");
  for (const char* field : {"Bearer", "Bearer a=b", "Basic mF_9"}) {
    EXPECT_EQ(of(field).error().code, Errc::auth_malformed) << field;
  }
}

Result<BasicCredentials> basic(std::string_view pair) {
  static std::string field;
  field = "Basic " + crypto::base64(as_bytes(pair));
  return read_basic(read_credentials(field).value());
}

TEST(Basic, ExamplesOfTheRfc) {
  const auto first = read_basic(read_credentials("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==").value());
  ASSERT_TRUE(first);
  EXPECT_EQ(first->user, "Aladdin");
  EXPECT_EQ(first->password.view(), "open sesame");
  const auto second = read_basic(read_credentials("Basic dGVzdDoxMjPCow==").value());
  ASSERT_TRUE(second);
  EXPECT_EQ(second->user, "test");
  EXPECT_EQ(second->password.view(), "123\xc2\xa3");
}

TEST(Basic, TheFirstColonSplits) {
  const auto read = basic("a:b:c:");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->user, "a");
  EXPECT_EQ(read->password.view(), "b:c:");
  EXPECT_EQ(basic("a:").value().password.view(), "");
}

TEST(Basic, WhatIsNone) {
  using namespace std::string_view_literals;
  for (const std::string_view pair :
       {""sv, "a"sv, ":"sv, ":b"sv, "a\0:b"sv, "a:b\0"sv, "a:b\n"sv, "\x7f:b"sv, "a:\x1f"sv,
        "\xff:b"sv, "a:\xc3"sv, "a:\xc0\xaf"sv}) {
    EXPECT_EQ(basic(pair).error().code, Errc::auth_malformed) << pair;
  }
  for (const char* field : {"Basic", "Basic a=b",
                            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=", "Basic QTpi\x2d", "Bearer QTpi"}) {
    EXPECT_FALSE(read_basic(read_credentials(field).value())) << field;
  }
}

TEST(Basic, Limits) {
  const std::string user(kMostUserBytes, 'u'), password(crypto::kMostPasswordBytes, 'p');
  EXPECT_TRUE(basic(user + ":" + password));
  EXPECT_FALSE(basic(user + "u:" + password));
  EXPECT_FALSE(basic(user + ":" + password + "p"));
}

TEST(UserName, HasNoControls) {
  EXPECT_TRUE(is_user_name("J\xc3\xa4s\xc3\xb8n Doe"));
  EXPECT_TRUE(is_user_name(std::string(kMostUserBytes, 'u')));
  for (const std::string& name : {std::string(), std::string("a\n"), std::string("a\0", 2),
                                  std::string("\xff"), std::string(kMostUserBytes + 1, 'u')}) {
    EXPECT_FALSE(is_user_name(name));
  }
}

}  // namespace
}  // namespace sluice::auth
