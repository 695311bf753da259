// tests/api/auth_tokens_test.cpp - bearer tokens and Digest in front of a real server.
#include <sys/stat.h>

#include <ctime>

#include "api/auth_harness.hpp"
#include "crypto/digest.hpp"
#include "crypto/md5.hpp"
#include "proto/auth/tokens.hpp"
#include "service/temp_dir.hpp"

namespace sluice::test {
namespace {

using namespace std::chrono_literals;
using auth::token_of;
using auth::token_with;

// The public half of a key of 2048 bits that nobody keeps.
constexpr const char* kRsaPem =
    "-----BEGIN PUBLIC KEY-----\n"
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAyJuoK7rDz3iC5NYxn/ft\n"
    "jiDA6MaCdNCFYP3RRbJTPbwiNbrP3TJP/BQ9w3MJL+tCvO4ro7rIavu+K6YGnbD3\n"
    "kaQ0t2z5qH0q0BwDLJrhmKNco+B/FshjHbjA1ZXIWCLRp9L4/HTJHA+34LnD0jur\n"
    "XANjuP1pfE8CRBEU94h0eoiR2gxE99u7zc92bi/ueybZQE/FNi5C5VydfLlqQ1D+\n"
    "C4cnybgpw2T8WZ+xZpJlq7d/mngJOlWgSJVCwcmxh9KIUBxaLslfJAwueAlrOArg\n"
    "vjkEZxtCp3VhQ0y0nJNCdRaKBod3Gpf+EZV0uAuIQd3QBYATb39iH27H4qPge99g\n"
    "aQIDAQAB\n"
    "-----END PUBLIC KEY-----\n";

// --- Bearer --------------------------------------------------------------------------------------

class Tokens : public AuthTest {
 protected:
  void SetUp() override {
    AuthTest::SetUp();
    if (testing::Test::IsSkipped()) return;
    settings.bearer.enabled = true;
    settings.bearer.algorithms = {TokenAlgorithm::hs256, TokenAlgorithm::rs256};
    settings.bearer.secret = crypto::decode_base64url(auth::kHs256Key).value();
    settings.bearer.issuer = "us";
    settings.bearer.audience = {"here", "there"};
  }
  // Good claims, but for `more`, which come behind them; `seconds` from now it expires.
  static std::string claims(std::string_view more = {}, long seconds = 600) {
    return R"({"sub":"joe","exp":)" + std::to_string(std::time(nullptr) + seconds) +
           std::string(more) + "}";
  }
  static constexpr const char* kOurs = R"(,"iss":"us","aud":"here")";
};

TEST_P(Tokens, OpenTheDoorForTheirSubject) {
  Running running = start();
  EXPECT_EQ(answer("/a", bearer(token_with(claims(kOurs)))), "bearer joe /a");
  EXPECT_EQ(answer("/a", bearer(token_with(claims(R"(,"iss":"us","aud":["x","there"])")))),
            "bearer joe /a");
  EXPECT_EQ(upgrade("/chat", bearer(token_with(claims(kOurs)))), 101);
  EXPECT_TRUE(told("bearer joe /chat"));
}

TEST_P(Tokens, ThatAreNotForUsNowAreRefused) {
  Running running = start();
  const auto soon = std::to_string(std::time(nullptr) + 600);
  struct Case {
    std::string token;
    Errc why;
  };
  const Case cases[] = {
      {token_with(claims(kOurs, -61)), Errc::auth_expired},
      {token_with(claims(std::string(kOurs) + ",\"nbf\":" + soon)), Errc::auth_not_yet_valid},
      {token_with(claims(R"(,"iss":"us","aud":"elsewhere")")), Errc::auth_bad_claim},
      {token_with(claims(R"(,"iss":"us")")), Errc::auth_bad_claim},
      {token_with(claims(R"(,"iss":"them","aud":"here")")), Errc::auth_bad_claim},
      {token_with(R"({"sub":"joe","iss":"us","aud":"here"})"), Errc::auth_bad_token},
      {token_of(R"({"alg":"none"})", claims(kOurs)), Errc::auth_bad_token},
      {token_of(R"({"alg":"None"})", claims(kOurs)), Errc::auth_bad_token},
      {token_of(R"({"alg":"ES256"})", claims(kOurs)), Errc::auth_bad_token},
      {token_of(R"({"alg":"RS256"})", claims(kOurs)), Errc::auth_bad_signature},
      {token_of(R"({"alg":"HS256","kid":"x"})", claims(kOurs)), Errc::none},
      {std::string(auth::kHs256Token), Errc::auth_expired},
      {std::string(auth::kRs256Token), Errc::auth_bad_signature},
      {"a.b.c", Errc::auth_bad_token},
      {"x", Errc::auth_bad_token},
  };
  for (const Case& one : cases) {
    HttpClient http = client();
    const HttpReply reply = http.get("/", bearer(one.token));
    if (one.why == Errc::none) {  // a key without an id fits every id
      EXPECT_EQ(reply.status, 200) << one.token;
      continue;
    }
    EXPECT_EQ(reply.status, 401) << one.token;
    EXPECT_NE(reply.field("WWW-Authenticate").find("error=\"invalid_token\""), std::string::npos)
        << reply.head;
    EXPECT_EQ(shown(http.get("/", bearer(token_with(claims(kOurs))))), "bearer joe /");
    EXPECT_TRUE(told_error(one.why)) << one.token;
    EXPECT_EQ(upgrade("/chat", bearer(one.token)), 401);
  }
  // An unsigned one, as a library might make it.
  const std::string unsigned_one = crypto::base64url(as_bytes(R"({"alg":"none"})")) + "." +
                                   crypto::base64url(as_bytes(claims(kOurs))) + ".";
  EXPECT_EQ(answer("/", bearer(unsigned_one)), "401");
  HttpClient http = client();
  const HttpReply asked = http.get("/");
  EXPECT_EQ(asked.field("WWW-Authenticate"), "Bearer realm=\"Sluice\"");
}

TEST_P(Tokens, SignedWithAPublicKeyAreRefused) {
  const TempDir folder;
  settings.bearer.secret.clear();
  settings.bearer.key_files = {folder.write("key.pem", kRsaPem)};
  Running running = start();
  const std::string text = crypto::base64url(as_bytes(R"({"alg":"HS256"})")) + "." +
                           crypto::base64url(as_bytes(claims(kOurs)));
  const std::string pem = kRsaPem;
  const std::string token =
      text + "." + crypto::base64url(crypto::hmac_sha256(as_bytes(pem), as_bytes(text)));
  EXPECT_EQ(answer("/", bearer(token)), "401");
  EXPECT_TRUE(told_error(Errc::auth_bad_signature));
}

TEST_P(Tokens, ComeWithKeysFromFiles) {
  const TempDir folder;
  settings.bearer.secret.clear();
  const std::string set = folder.write("keys.json", auth::key_set(auth::oct_key(auth::kHs256Key)));
  settings.bearer.jwks_file = set;
  ASSERT_EQ(::chmod(set.c_str(), 0644), 0);
  refused_setting("authentication.bearer.jwks_file");  // others can read the secret
  ASSERT_EQ(::chmod(set.c_str(), 0600), 0);
  {
    Running running = start();
    EXPECT_EQ(answer("/", bearer(token_with(claims(kOurs)))), "bearer joe /");
  }
  settings.bearer.jwks_file = folder / "none.json";
  refused_setting("authentication.bearer.jwks_file");
  settings.bearer.jwks_file = folder.write("bad.json", "{}");
  refused_setting("authentication.bearer.jwks_file");
  settings.bearer.jwks_file.clear();
  settings.bearer.key_files = {folder.write("bad.pem", "x")};
  refused_setting("authentication.bearer.key_files");
  settings.bearer.key_files.clear();
  settings.bearer.secret = "short";
  refused_setting("authentication.bearer.secret");
  settings.bearer.secret = std::string(32, 'k');
  settings.bearer.algorithms = {TokenAlgorithm::rs256};
  refused_setting("authentication.bearer.algorithms");
  settings.bearer.algorithms = {TokenAlgorithm::hs256};
  settings.bearer.clock_skew = -1s;
  refused_setting("authentication.bearer.clock_skew");
}

INSTANTIATE_TEST_SUITE_P(Engines, Tokens, engines_and_dispatches(), name_of);

// --- Digest --------------------------------------------------------------------------------------

std::string hex(Bytes bytes) {
  std::string text;
  for (const std::byte b : bytes) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    text += kDigits[std::to_integer<std::size_t>(b >> 4)];
    text += kDigits[std::to_integer<std::size_t>(b & std::byte{15})];
  }
  return text;
}

class Digest : public AuthTest {
 protected:
  void SetUp() override {
    AuthTest::SetUp();
    if (testing::Test::IsSkipped()) return;
    settings.digest.enabled = true;
    settings.realm = "house";
    ASSERT_TRUE(
        settings.digest.users.add("joe", "house", "SHA-256", hashed("joe:house:password", false)));
  }
  static std::string hashed(std::string_view text, bool md5) {
    if (!md5) return hex(crypto::sha256(as_bytes(text)));
    const auto digest = crypto::md5(as_bytes(text));
    EXPECT_TRUE(digest);
    return hex(*digest);
  }
  // Of the first challenge for that algorithm.
  static std::string nonce_of(const HttpReply& reply, std::string_view algorithm = "SHA-256") {
    for (const auto& [name, value] : reply.fields) {
      if (value.find("algorithm=" + std::string(algorithm)) == std::string::npos) continue;
      const std::size_t at = value.find("nonce=\"") + 7;
      return value.substr(at, value.find('"', at) - at);
    }
    return {};
  }
  std::string new_nonce() {
    HttpClient http = client();
    return nonce_of(http.get("/"));
  }
  struct Credentials {
    std::string nonce;
    std::string target = "/a";
    std::string nc = "00000001";
    std::string user = "joe";
    std::string password = "password";
    std::string realm = "house";
    std::string method = "GET";
    std::string uri = {};  // empty: the target
    bool md5 = false;
  };
  static std::string field(const Credentials& with) {
    const std::string uri = with.uri.empty() ? with.target : with.uri;
    const std::string ha1 = hashed(with.user + ":" + with.realm + ":" + with.password, with.md5);
    const std::string ha2 = hashed(with.method + ":" + uri, with.md5);
    const std::string response =
        hashed(ha1 + ":" + with.nonce + ":" + with.nc + ":c:auth:" + ha2, with.md5);
    return "Authorization: Digest username=\"" + with.user + "\", realm=\"" + with.realm +
           "\", nonce=\"" + with.nonce + "\", uri=\"" + uri + "\", qop=auth, nc=" + with.nc +
           ", cnonce=\"c\", algorithm=" + (with.md5 ? "MD5" : "SHA-256") + ", response=\"" +
           response + "\"\r\n";
  }
};

TEST_P(Digest, OpensTheDoorForItsUser) {
  Running running = start();
  HttpClient http = client();
  const HttpReply first = http.get("/a?x=1");
  EXPECT_EQ(first.status, 401);
  EXPECT_EQ(first.count("WWW-Authenticate"), 1u);
  const std::string nonce = nonce_of(first);
  EXPECT_EQ(shown(http.get("/a?x=1", field({.nonce = nonce, .target = "/a?x=1"}))),
            "digest joe /a");
  EXPECT_EQ(shown(http.get("/a", field({.nonce = nonce, .nc = "00000002"}))), "digest joe /a");
  EXPECT_EQ(upgrade("/a", field({.nonce = nonce, .nc = "00000003"})), 101);
  EXPECT_TRUE(told("digest joe /a"));
}

TEST_P(Digest, IsForOneUserPasswordTargetAndMethod) {
  Running running = start();
  const std::string nonce = new_nonce();
  for (const std::string& wrong :
       {field({.nonce = nonce, .password = "Password"}), field({.nonce = nonce, .user = "jim"}),
        field({.nonce = nonce, .realm = "garden"}), field({.nonce = nonce, .uri = "/b"}),
        field({.nonce = nonce, .method = "POST"}), field({.nonce = nonce, .md5 = true}),
        field({.nonce = "abc", .password = "x"}), std::string("Authorization: Digest x\r\n")}) {
    HttpClient http = client();
    const HttpReply reply = http.get("/a", wrong);
    EXPECT_EQ(reply.status, 401) << wrong;
    EXPECT_EQ(reply.field("WWW-Authenticate").find("stale"), std::string::npos) << wrong;
    EXPECT_EQ(upgrade("/a", wrong), 401);
  }
  EXPECT_EQ(answer("/a", field({.nonce = nonce})), "digest joe /a");
}

TEST_P(Digest, IsGoodOnce) {
  Running running = start();
  const std::string good = field({.nonce = new_nonce()});
  EXPECT_EQ(answer("/a", good), "digest joe /a");
  HttpClient http = client();
  const HttpReply replayed = http.get("/a", good);
  EXPECT_EQ(replayed.status, 401);
  EXPECT_NE(replayed.field("WWW-Authenticate").find("stale=true"), std::string::npos);
  EXPECT_TRUE(told_error(Errc::auth_stale));
  // The new nonce serves at once.
  EXPECT_EQ(answer("/a", field({.nonce = nonce_of(replayed)})), "digest joe /a");
}

TEST_P(Digest, WithANonceOfAnotherRunIsStale) {
  std::string old;
  {
    Running running = start();
    old = new_nonce();
  }
  Running running = start();
  HttpClient http = client();
  const HttpReply stale = http.get("/a", field({.nonce = old}));
  EXPECT_EQ(stale.status, 401);
  EXPECT_NE(stale.field("WWW-Authenticate").find("stale=true"), std::string::npos);
  EXPECT_EQ(shown(http.get("/a", field({.nonce = nonce_of(stale)}))), "digest joe /a");
}

TEST_P(Digest, OffersMd5WhereItIsAllowed) {
  settings.digest.allow_md5 = true;
  settings.basic.enabled = settings.bearer.enabled = true;
  settings.bearer.algorithms = {TokenAlgorithm::hs256};
  settings.bearer.secret = std::string(32, 'k');
  ASSERT_TRUE(settings.digest.users.add("ann", "house", "MD5", hashed("ann:house:password", true)));
  Running running = start();
  HttpClient http = client();
  const HttpReply first = http.get("/a");
  EXPECT_EQ(first.count("WWW-Authenticate"), 4u) << first.head;
  const std::string nonce = nonce_of(first, "MD5");
  EXPECT_EQ(shown(http.get("/a", field({.nonce = nonce, .user = "ann", .md5 = true}))),
            "digest ann /a");
  EXPECT_EQ(http.get("/a", field({.nonce = nonce, .nc = "00000002", .user = "ann"})).status, 401);
  EXPECT_EQ(http.get("/a", field({.nonce = nonce, .nc = "00000003", .md5 = true})).status, 401);
}

TEST_P(Digest, HasSecretsOfTheApplication) {
  Told<std::string> asked;
  server.on_digest_secret = [&](std::string_view user, std::string_view realm, std::string& ha1) {
    asked.tell(std::string(user) + "@" + std::string(realm) + (ha1.empty() ? "" : " known"));
    if (user == "ann") ha1 = hashed("ann:house:bob", false);
    if (user == "odd") ha1 = "no digest at all";
    if (user == "bug") throw std::runtime_error("a bug");
  };
  Running running = start();
  const std::string nonce = new_nonce();
  EXPECT_EQ(answer("/a", field({.nonce = nonce})), "digest joe /a");
  EXPECT_EQ(
      answer("/a", field({.nonce = nonce, .nc = "00000002", .user = "ann", .password = "bob"})),
      "digest ann /a");
  EXPECT_EQ(
      upgrade("/a", field({.nonce = nonce, .nc = "00000003", .user = "ann", .password = "bob"})),
      101);
  for (const char* user : {"odd", "ann", "jim"}) {
    EXPECT_EQ(answer("/a", field({.nonce = nonce, .nc = "00000004", .user = user})), "401");
  }
  EXPECT_EQ(answer("/a", field({.nonce = nonce, .nc = "00000004", .user = "bug"})), "500");
  EXPECT_EQ(asked.count("joe@house known"), 1u);
  EXPECT_EQ(asked.count("ann@house"), 3u);
}

INSTANTIATE_TEST_SUITE_P(Engines, Digest, engines_and_dispatches(), name_of);

}  // namespace
}  // namespace sluice::test
