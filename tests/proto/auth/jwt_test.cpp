// tests/proto/auth/jwt_test.cpp - the tokens of the RFCs, and every way not to be one.
//
// RFC 7515 appendix A, RFC 7517, RFC 7519, RFC 8037 appendix A.4, RFC 8725. Layer: tests.
#include "proto/auth/jwt.hpp"

#include <gtest/gtest.h>

#include "proto/auth/tokens.hpp"

namespace sluice::auth {
namespace {

using enum crypto::SignatureAlgorithm;
using Algorithms = std::vector<crypto::SignatureAlgorithm>;

const Algorithms kAll = {hs256, rs256, es256, eddsa};
constexpr std::int64_t kExpiry = 1300819380;  // of the tokens of RFC 7515

JwkSet keys(std::string_view jwks) {
  auto set = read_jwks(key_set(jwks));
  EXPECT_TRUE(set) << set.error().message();
  return std::move(*set);
}
const JwkSet& oct() {
  static const JwkSet set = keys(oct_key(kHs256Key));
  return set;
}

Errc verdict(std::string_view token, const JwkSet& set, const Algorithms& allowed = kAll) {
  return verify_jws(token, set, allowed).error().code;
}

TEST(Jws, ExamplesOfTheRfcs) {
  struct Row {
    std::string_view token;
    std::string key;
    crypto::SignatureAlgorithm algorithm;
  };
  for (const auto& [token, key, algorithm] : {Row{kHs256Token, oct_key(kHs256Key), hs256},
                                              Row{kRs256Token, std::string(kRs256Key), rs256},
                                              Row{kEs256Token, std::string(kEs256Key), es256},
                                              Row{kEdDsaToken, std::string(kEdDsaKey), eddsa}}) {
    const JwkSet set = keys(key);
    const auto jws = verify_jws(token, set, kAll);
    ASSERT_TRUE(jws) << jws.error().message();
    EXPECT_EQ(jws->algorithm, algorithm);
    EXPECT_EQ(jws->payload, algorithm == eddsa ? "Example of Ed25519 signing"
                                               : "{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n "
                                                 "\"http://example.com/is_root\":true}");
    Algorithms others = kAll;
    std::erase(others, algorithm);
    EXPECT_EQ(verdict(token, set, others), Errc::auth_bad_token);
    EXPECT_EQ(verdict(token, set, {}), Errc::auth_bad_token);
    EXPECT_EQ(verdict(token, {}), Errc::auth_bad_signature);
  }
}

TEST(Jws, NoByteMayChangeAndNoneMayBeMissing) {
  for (const auto& [token, key] : {std::pair{kHs256Token, oct_key(kHs256Key)},
                                   std::pair{kEdDsaToken, std::string(kEdDsaKey)}}) {
    const JwkSet set = keys(key);
    for (std::size_t i = 0; i < token.size(); ++i) {
      EXPECT_NE(verdict(std::string(token.substr(0, i)), set), Errc::none) << i;
      std::string changed(token);
      changed[i] = changed[i] == 'A' ? 'B' : 'A';
      EXPECT_NE(verdict(changed, set), Errc::none) << i;
    }
  }
}

TEST(Jws, TheAlgorithmIsTheKeys) {
  // Signed with the text of a public key as if it were a secret, in the hope that HS256 takes it.
  const JwkSet rsa = keys(kRs256Key);
  EXPECT_EQ(verdict(kHs256Token, rsa), Errc::auth_bad_signature);
  EXPECT_EQ(verdict(kRs256Token, oct()), Errc::auth_bad_signature);
  EXPECT_EQ(verdict(kEs256Token, rsa), Errc::auth_bad_signature);
  // The right key among those of others.
  const JwkSet all = keys(std::string(kRs256Key) + "," + std::string(kEs256Key) + "," +
                          std::string(kEdDsaKey) + "," + oct_key(kHs256Key));
  for (const std::string_view token : {kHs256Token, kRs256Token, kEs256Token, kEdDsaToken}) {
    EXPECT_EQ(verdict(token, all), Errc::none);
  }
}

TEST(Jws, HeadersThatAreRefused) {
  EXPECT_EQ(verdict(token_of(R"({"alg":"HS256"})", "{}"), oct()), Errc::none);
  EXPECT_EQ(
      verdict(token_of(R"({"alg":"HS256","typ":"JWT","x5u":"http://a/","jwk":{}})", "{}"), oct()),
      Errc::none);
  for (const char* header : {R"({"alg":"none"})",
                             R"({"alg":"None"})",
                             R"({"alg":""})",
                             R"({"alg":"hs256"})",
                             R"({"alg":"HS512"})",
                             R"({"alg":"RS256 "})",
                             R"({"alg":["HS256"]})",
                             R"({"alg":null})",
                             "{}",
                             R"({"alg":"HS256","alg":"HS256"})",
                             R"({"alg":"HS256","crit":["exp"],"exp":1})",
                             R"({"alg":"HS256","crit":[]})",
                             R"({"alg":"HS256","b64":false,"crit":["b64"]})",
                             R"({"alg":"HS256","kid":1})",
                             R"({"alg":"HS256","typ":{}})",
                             R"(["HS256"])",
                             R"("HS256")",
                             "",
                             R"({"alg":"HS256"})"
                             "\n]",
                             R"({"alg":"HS256",})",
                             R"({'alg':'HS256'})",
                             R"(/**/{"alg":"HS256"})",
                             "\xef\xbb\xbf{\"alg\":\"HS256\"}",
                             "{\"alg\":\"HS256\",\"a\":\"\xff\"}"}) {
    EXPECT_EQ(verdict(token_of(header, "{}"), oct()), Errc::auth_bad_token) << header;
  }
  using namespace std::string_view_literals;
  EXPECT_EQ(verdict(token_of("{\"alg\":\"HS256\"}\0"sv, "{}"), oct()), Errc::auth_bad_token);
  EXPECT_EQ(verdict(token_of("{\"alg\":\"HS256\"}\0{}"sv, "{}"), oct()), Errc::auth_bad_token);
}

TEST(Jws, Form) {
  const std::string good(kHs256Token);
  const std::size_t first = good.find('.'), second = good.rfind('.');
  for (const std::string& token :
       {std::string(), std::string("."), std::string(".."), std::string("..."), good + ".",
        "." + good, good + ".x", good + "=", good + " ", good + "\n", good.substr(0, second),
        good.substr(0, second + 1), good.substr(first),
        good.substr(0, first) + "." + good.substr(second),  // no payload
        good.substr(0, first) + "=" + good.substr(first)}) {
    EXPECT_NE(verdict(token, oct()), Errc::none) << token;
  }
}

TEST(Jws, Limits) {
  const auto of_size = [](std::size_t size) {
    for (std::size_t filler = 0;; ++filler) {
      std::string token = token_with(std::string(size * 3 / 4 - 100 + filler, 'p'));
      if (token.size() >= size) return token;
    }
  };
  const std::string most = of_size(kMostTokenBytes), more = of_size(kMostTokenBytes + 1);
  ASSERT_EQ(most.size(), kMostTokenBytes);
  ASSERT_EQ(more.size(), kMostTokenBytes + 1);
  EXPECT_EQ(verdict(most, oct()), Errc::none);
  EXPECT_EQ(verdict(more, oct()), Errc::auth_bad_token);
  const auto nested = [](std::size_t depth) {
    return R"({"alg":"HS256","x":)" + std::string(depth - 1, '[') + std::string(depth - 1, ']') +
           "}";
  };
  EXPECT_EQ(verdict(token_of(nested(8), "{}"), oct()), Errc::none);
  EXPECT_EQ(verdict(token_of(nested(9), "{}"), oct()), Errc::auth_bad_token);
}

TEST(Jws, KidChoosesTheKey) {
  const std::string other(43, 'A');  // 32 bytes
  const auto named = [](std::string_view kid) { return R"(,"kid":")" + std::string(kid) + "\""; };
  const std::string token = token_of(R"({"alg":"HS256","kid":"new"})", "{}");
  const auto with = [&](std::string_view first, std::string_view second) {
    return keys(oct_key(other, first) + "," + oct_key(kHs256Key, second));
  };
  EXPECT_EQ(verdict(token, with(named("old"), named("new"))), Errc::none);
  EXPECT_EQ(verdict(token, with(named("new"), named("old"))), Errc::auth_bad_signature);
  EXPECT_EQ(verdict(token, with(named("old"), "")), Errc::none);  // a key without fits every kid
  EXPECT_EQ(verdict(token, with(named("a"), named("New"))), Errc::auth_bad_signature);
  EXPECT_EQ(verdict(kHs256Token, with(named("old"), named("new"))), Errc::none);  // no kid
}

TEST(Jws, ATokenWithoutKidIsTriedWithAFewKeysOnly) {
  const auto among = [](std::size_t wrong) {
    std::string text;
    for (std::size_t i = 0; i < wrong; ++i) {
      text += oct_key(std::string(42, 'A') + "EIMQUYcgkosw048"[i],
                      R"(,"kid":")" + std::to_string(i) + "\"") +
              ",";
    }
    return keys(text + oct_key(kHs256Key, R"(,"kid":"right")"));
  };
  EXPECT_EQ(verdict(kHs256Token, among(kMostKeysTried - 1)), Errc::none);
  EXPECT_EQ(verdict(kHs256Token, among(kMostKeysTried)), Errc::auth_bad_signature);
  EXPECT_EQ(verdict(token_of(R"({"alg":"HS256","kid":"right"})", "{}"), among(kMostKeysTried)),
            Errc::none);
}

TEST(Jwks, KeysThatArePassedOver) {
  const std::string good(kEs256Key);
  for (const std::string& key :
       {oct_key(kHs256Key, R"(,"use":"enc")"), oct_key(kHs256Key, R"(,"alg":"HS512")"),
        oct_key(kHs256Key, R"(,"alg":"A128KW")"), oct_key(kHs256Key, R"(,"key_ops":["sign"])"),
        oct_key(kHs256Key, R"(,"use":1)"), std::string(R"({"kty":"RSA","use":"enc"})"),
        std::string(R"({"kty":"XYZ","k":"?"})"), std::string(R"({"kty":"EC","crv":"P-521"})"),
        std::string(R"({"kty":"OKP","crv":"X25519"})"), std::string(R"({"kty":"EC"})")}) {
    EXPECT_EQ(keys(key + "," + good).keys.size(), 1u) << key;
    EXPECT_EQ(read_jwks(key_set(key)).error().code, Errc::auth_bad_key) << key;
  }
  EXPECT_EQ(keys(oct_key(kHs256Key, R"(,"use":"sig","alg":"HS256","key_ops":["sign","verify"])"))
                .keys.size(),
            1u);
}

TEST(Jwks, SetsThatAreRefused) {
  const auto refused = [](const std::string& text, std::string_view word) {
    const auto set = read_jwks(text);
    EXPECT_EQ(set.error().code, Errc::auth_bad_key) << text;
    EXPECT_NE(set.error().detail.find(word), std::string::npos) << set.error().detail;
  };
  for (const char* text :
       {"", "[]", "{}", "null", R"({"keys":{}})", R"({"keys":[]})", R"({"keys":[]}x)"}) {
    refused(text, "");
  }
  const std::string good(kEs256Key);
  refused(key_set(good + ",1"), "key 2: kty");
  refused(key_set(good + R"(,{"kty":1})"), "key 2: kty");
  refused(key_set(good + "," + oct_key("AAAA")), "key 2: a secret needs 32 bytes");
  refused(key_set(good + "," + oct_key("")), "key 2: k is missing");
  refused(key_set(good + "," + oct_key("AA==")), "key 2: k is missing or not in base64url");
  refused(key_set(R"({"kty":"RSA","e":"AQAB"})"), "key 1: n is");
  refused(key_set(R"({"kty":"RSA","n":"AQAB","e":"AQAB"})"), "2048");
  refused(key_set(R"({"kty":"EC","crv":"P-256","x":"AQAB"})"), "y is");
  refused(key_set(oct_key(kHs256Key, R"(,"kid":1)")), "kid");
  refused(key_set(oct_key(kHs256Key, R"(,"kid":"a")") + "," + oct_key(kHs256Key, R"(,"kid":"a")")),
          "key 2: its kid");
}

TEST(Jwks, Limits) {
  const auto with = [](std::size_t count) {
    std::string text(kEs256Key);
    for (std::size_t i = 1; i < count; ++i) text += R"(,{"kty":"X"})";
    return read_jwks(key_set(text));
  };
  EXPECT_TRUE(with(kMostKeys));
  EXPECT_FALSE(with(kMostKeys + 1));
  std::string text = key_set(kEs256Key);
  text.resize(kMostJwksBytes, ' ');
  EXPECT_TRUE(read_jwks(text));
  EXPECT_FALSE(read_jwks(text + " "));
}

Result<JwtClaims> claims(std::string_view payload, JwtRules rules = {}, std::int64_t now = 1000) {
  rules.algorithms = kAll;
  return verify_jwt(token_with(payload), oct(), rules, now);
}

TEST(Jwt, ExampleOfTheRfc) {
  JwtRules rules;
  EXPECT_EQ(verify_jwt(kHs256Token, oct(), rules, kExpiry).error().code, Errc::auth_bad_token)
      << "HS256 must be named";
  rules.algorithms = {hs256};
  rules.issuer = "joe";
  const auto read = verify_jwt(kHs256Token, oct(), rules, kExpiry + 59);
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_EQ(read->issuer, "joe");
  EXPECT_EQ(read->expires, kExpiry);
  EXPECT_FALSE(read->not_before);
  ASSERT_NE(read->all.find("http://example.com/is_root"), nullptr);
  EXPECT_TRUE(read->all.find("http://example.com/is_root")->boolean);
  EXPECT_EQ(verify_jwt(kHs256Token, oct(), rules, kExpiry + 60).error().code, Errc::auth_expired);
  rules.issuer = "Joe";
  EXPECT_EQ(verify_jwt(kHs256Token, oct(), rules, kExpiry).error().code, Errc::auth_bad_claim);
}

TEST(Jwt, Times) {
  struct Row {
    const char* payload;
    Errc error;
  };
  const Errc expired = Errc::auth_expired, early = Errc::auth_not_yet_valid;
  for (const auto& [payload, error] :
       std::vector<Row>{// it is 1000, and clocks differ by up to 60
                        {R"({"exp":941})", Errc::none},
                        {R"({"exp":940})", expired},
                        {R"({"exp":941.9})", Errc::none},
                        {R"({"exp":940.9})", expired},
                        {R"({"exp":1e3})", Errc::none},
                        {R"({"exp":1e300})", Errc::none},
                        {R"({"exp":9223372036854775807})", Errc::none},
                        {R"({"exp":18446744073709551615})", Errc::none},
                        {R"({"exp":-9223372036854775808})", expired},
                        {R"({"exp":-1e300})", expired},
                        {R"({"exp":1e999})", Errc::auth_bad_token},
                        {R"({"exp":"2000"})", Errc::auth_bad_token},
                        {R"({"exp":null})", Errc::auth_bad_token},
                        {R"({"exp":true})", Errc::auth_bad_token},
                        {R"({})", Errc::auth_bad_token},
                        {R"({"exp":2000,"nbf":1060})", Errc::none},
                        {R"({"exp":2000,"nbf":1061})", early},
                        {R"({"exp":2000,"nbf":9223372036854775807})", early},
                        {R"({"exp":2000,"nbf":-1})", Errc::none},
                        {R"({"exp":2000,"nbf":"1"})", Errc::auth_bad_token},
                        {R"({"exp":2000,"iat":1060})", Errc::none},
                        {R"({"exp":2000,"iat":1061})", early},
                        {R"({"exp":2000,"iat":[]})", Errc::auth_bad_token}}) {
    EXPECT_EQ(claims(payload).error().code, error) << payload;
  }
  EXPECT_TRUE(claims("{}", {.require_expiry = false}));
  EXPECT_EQ(claims(R"({"exp":1000})", {.skew = std::chrono::seconds(0)}).error().code, expired);
  EXPECT_TRUE(claims(R"({"exp":1001})", {.skew = std::chrono::seconds(0)}));
  EXPECT_FALSE(claims(R"({"exp":1000})", {.skew = std::chrono::seconds(-60)}));
  EXPECT_TRUE(claims(R"({"exp":1})", {.skew = std::chrono::seconds::max()}, INT64_MAX / 4));
  EXPECT_FALSE(claims(R"({"exp":2000})", {}, INT64_MAX));
  EXPECT_FALSE(claims(R"({"exp":2000,"nbf":0})", {}, INT64_MIN));
}

TEST(Jwt, Audience) {
  const JwtRules us = {.audiences = {"us", "we"}};
  const auto verdict_of = [](const char* aud, const JwtRules& rules) {
    return claims(std::string(R"({"exp":2000,"aud":)") + aud + "}", rules).error().code;
  };
  EXPECT_EQ(verdict_of(R"("us")", us), Errc::none);
  EXPECT_EQ(verdict_of(R"("we")", us), Errc::none);
  EXPECT_EQ(verdict_of(R"(["them","us"])", us), Errc::none);
  for (const char* aud : {R"("them")", R"(["them"])", "[]", R"("")", R"("US")"}) {
    EXPECT_EQ(verdict_of(aud, us), Errc::auth_bad_claim) << aud;
  }
  for (const char* aud : {"1", "null", "{}", R"(["us",1])", R"([["us"]])"}) {
    EXPECT_EQ(verdict_of(aud, us), Errc::auth_bad_token) << aud;
  }
  EXPECT_EQ(claims(R"({"exp":2000})", us).error().code, Errc::auth_bad_claim);
  EXPECT_EQ(verdict_of(R"("us")", {}), Errc::auth_bad_claim);  // for somebody, and we are nobody
  const auto many = [](std::size_t count) {
    std::string text = R"({"exp":2000,"aud":["us")";
    for (std::size_t i = 1; i < count; ++i) text += R"(,"x")";
    return text + "]}";
  };
  EXPECT_TRUE(claims(many(kMostAudiences), us));
  EXPECT_EQ(claims(many(kMostAudiences + 1), us).error().code, Errc::auth_bad_token);
}

TEST(Jwt, SubjectIssuerAndType) {
  const auto read = claims(R"({"exp":2000,"sub":"joe","iss":"me","jti":"7"})", {.issuer = "me"});
  ASSERT_TRUE(read);
  EXPECT_EQ(read->subject, "joe");
  EXPECT_EQ(read->id, "7");
  EXPECT_EQ(claims(R"({"exp":2000})", {.issuer = "me"}).error().code, Errc::auth_bad_claim);
  EXPECT_TRUE(claims(R"({"exp":2000,"sub":"joe"})", {.subject = "joe"}));
  EXPECT_EQ(claims(R"({"exp":2000,"sub":"jo"})", {.subject = "joe"}).error().code,
            Errc::auth_bad_claim);
  for (const char* payload :
       {R"({"exp":2000,"sub":1})", R"({"exp":2000,"iss":["me"]})", R"({"exp":2000,"jti":null})",
        R"({"exp":2000,"exp":2000})", "[]", "", R"({"exp":2000)", "text"}) {
    EXPECT_EQ(claims(payload).error().code, Errc::auth_bad_token) << payload;
  }
  const auto typed = [](std::string_view header, std::string type) {
    return verify_jwt(token_of(header, R"({"exp":2000})"), oct(),
                      {.algorithms = kAll, .type = std::move(type)}, 1000);
  };
  EXPECT_TRUE(typed(R"({"alg":"HS256","typ":"at+jwt"})", "at+jwt"));
  EXPECT_TRUE(typed(R"({"alg":"HS256","typ":"application/AT+JWT"})", "at+jwt"));
  EXPECT_FALSE(typed(R"({"alg":"HS256","typ":"JWT"})", "at+jwt"));
  EXPECT_FALSE(typed(R"({"alg":"HS256"})", "at+jwt"));
}

TEST(Json, Limits) {
  const auto read = [](const std::string& text, JsonLimits limits) {
    return read_json_object(text, limits).has_value();
  };
  EXPECT_TRUE(read(R"({"a":1})", {.bytes = 7}));
  EXPECT_FALSE(read(R"({"a":1})", {.bytes = 6}));
  EXPECT_TRUE(read(R"({"a":[1,{}]})", {.values = 4}));
  EXPECT_FALSE(read(R"({"a":[1,{}]})", {.values = 3}));
  EXPECT_TRUE(read(R"({"a":[{}]})", {.depth = 3}));
  EXPECT_FALSE(read(R"({"a":[{}]})", {.depth = 2}));
  // As deep as a token can be long: the parser does not recurse.
  EXPECT_FALSE(read(R"({"a":)" + std::string(8000, '['), {}));
  EXPECT_FALSE(read(R"({"a":)" + std::string(250'000, '['), {.bytes = 1 << 20, .depth = 1 << 20}));
}

TEST(Json, Tree) {
  const auto read = read_json_object(
      R"({"n":null,"t":true,"i":-7,"r":0.5,"s":"\u00e9\n","a":[1,"x",{"b":2}]})", {});
  ASSERT_TRUE(read);
  EXPECT_EQ(read->find("n")->kind, Json::Kind::null);
  EXPECT_TRUE(read->find("t")->boolean);
  EXPECT_EQ(read->find("i")->integer, -7);
  EXPECT_EQ(read->find("r")->real, 0.5);
  EXPECT_EQ(*read->find_text("s"), "\xc3\xa9\n");
  ASSERT_EQ(read->find("a")->items.size(), 3u);
  EXPECT_EQ(read->find("a")->items[2].find("b")->integer, 2);
  EXPECT_EQ(read->find("b"), nullptr);
  EXPECT_EQ(read->find_text("i"), nullptr);
}

}  // namespace
}  // namespace sluice::auth
