// tests/service/url_credentials_test.cpp - what of a path is whose, and what is left of it.
//
// Layer: tests.
#include "service/auth/url_credentials.hpp"

#include <gtest/gtest.h>

#include <string>

#include "core/harness.hpp"
#include "proto/http/target.hpp"

namespace sluice::service {
namespace {

using Kind = UrlCredentials::Kind;

constexpr UrlForms kAll{true, true};

class UrlCredentialsTest : public testing::Test {
 protected:
  struct Taken {
    UrlCredentials found;
    std::string document, target, path;
  };
  // `target` with a query, perhaps; `before` stands in front of it in an absolute one.
  Taken take(const std::string& target, UrlForms forms = kAll, const std::string& before = {}) {
    test::Bench bench;
    core::Exchange& exchange = *bench.shard->take_exchange();
    const std::string whole = before + target;
    exchange.head.target = whole;
    exchange.head.path = exchange.head.target.substr(before.size()).substr(0, target.find('?'));
    const auto routed = http::routing_path(exchange.head.path, 255, exchange.arena);
    EXPECT_TRUE(routed.is_done()) << target;
    exchange.document = routed.value();
    Taken taken;
    taken.found = take_url_credentials(exchange, forms, 255);
    taken.document = exchange.document;
    taken.target = exchange.head.target;
    taken.path = exchange.head.path;
    exchange.release();
    return taken;
  }
};

TEST_F(UrlCredentialsTest, AreTakenOut) {
  struct Case {
    const char* target;
    Kind kind;
    const char *user, *secret, *document, *shown;
  };
  const Case cases[] = {
      {"/sgc/auth/url/joe/pw", Kind::url, "joe", "pw", "/", "/sgc/auth/url/***/***"},
      {"/sgc/auth/url/joe/pw/", Kind::url, "joe", "pw", "/", "/sgc/auth/url/***/***/"},
      {"/sgc/auth/url/joe/pw/a?b=/", Kind::url, "joe", "pw", "/a", "/sgc/auth/url/***/***/a?b=/"},
      {"/sgc/auth/url/j%2Foe/p%25%20+w/a%20b", Kind::url, "j/oe", "p% +w", "/a b",
       "/sgc/auth/url/***/***/a%20b"},
      {"/sgc/auth/url/joe/%2541", Kind::url, "joe", "%41", "/", "/sgc/auth/url/***/***"},
      {"/sgc/auth/url/joe/pw/a/./b/../c", Kind::url, "joe", "pw", "/a/c",
       "/sgc/auth/url/***/***/a/./b/../c"},
      {"/sgc/auth/url/joe/***", Kind::url, "joe", "***", "/", "/sgc/auth/url/***/***"},
      {"/sgc/auth/session/token", Kind::session, "", "token", "/", "/sgc/auth/session/***"},
      {"/sgc/auth/session/token/a/b?c", Kind::session, "", "token", "/a/b",
       "/sgc/auth/session/***/a/b?c"},
      {"/sgc/req/auth/session/joe/pw?q", Kind::ask, "joe", "pw", "/sgc/req/auth/session",
       "/sgc/req/auth/session/***/***?q"},
      {"/sgc/req/auth/session/joe/pw/x", Kind::malformed, "", "", "/", "/sgc/req/auth/session/***"},
      {"/sgc/auth/url/joe", Kind::malformed, "", "", "/", "/sgc/auth/url/***"},
      {"/sgc/auth/url/joe/", Kind::malformed, "", "", "/", "/sgc/auth/url/***"},
      {"/sgc/auth/url//pw", Kind::malformed, "", "", "/", "/sgc/auth/url/***"},
      {"/sgc/auth/url/./joe/pw", Kind::malformed, "", "", "/", "/sgc/auth/url/***"},
      {"/sgc/auth/url/joe/%2e%2E/pw/x", Kind::malformed, "", "", "/", "/sgc/auth/url/***"},
      {"/x/../sgc/auth/url/joe/pw?q", Kind::malformed, "", "", "/", "/***?q"},
      {"/sgc/auth/ur%6C/joe/pw", Kind::malformed, "", "", "/", "/***"},
      {"/sgc/auth/url/joe/pw/../../../../../a", Kind::none, "", "", "/a", "/sgc/auth/url/***"},
      {"/sgc/auth/url", Kind::none, "", "", "/sgc/auth/url", "/sgc/auth/url"},
      {"/SGC/auth/url/joe/pw", Kind::none, "", "", "/SGC/auth/url/joe/pw", "/SGC/auth/url/joe/pw"},
      {"/a/b?c", Kind::none, "", "", "/a/b", "/a/b?c"},
  };
  for (const Case& one : cases) {
    for (const char* before : {"", "http://host:80"}) {
      const Taken taken = take(one.target, kAll, before);
      EXPECT_EQ(taken.found.kind, one.kind) << one.target;
      EXPECT_EQ(taken.document, one.document) << one.target;
      EXPECT_EQ(taken.target, before + std::string(one.shown)) << one.target;
      EXPECT_EQ(taken.path, std::string(one.shown).substr(0, std::string(one.shown).find('?')));
      if (one.kind == Kind::malformed || one.kind == Kind::none) continue;
      EXPECT_EQ(taken.found.user, one.user) << one.target;
      EXPECT_EQ(taken.found.secret.view(), one.secret) << one.target;
    }
  }
}

TEST_F(UrlCredentialsTest, HaveNamesAndPasswordsWithinLimits) {
  const std::string form = "/sgc/auth/url/";
  EXPECT_EQ(take(form + std::string(255, 'j') + "/" + std::string(511, 'p')).found.kind, Kind::url);
  EXPECT_EQ(take(form + std::string(256, 'j') + "/p").found.kind, Kind::malformed);
  EXPECT_EQ(take(form + "j/" + std::string(512, 'p')).found.kind, Kind::malformed);
}

TEST_F(UrlCredentialsTest, AreNoneWhereTheyAreOff) {
  EXPECT_EQ(take("/sgc/auth/url/joe/pw", {true, false}).document, "/sgc/auth/url/joe/pw");
  EXPECT_EQ(take("/sgc/auth/session/t", {false, true}).document, "/sgc/auth/session/t");
  EXPECT_EQ(take("/sgc/req/auth/session/j/p", {false, true}).target, "/sgc/req/auth/session/j/p");
}

TEST(HideUrlCredentials, WhereverTheyStand) {
  struct Case {
    const char *target, *hidden;
  };
  const Case cases[] = {
      {"/a?b", "/a?b"},
      {"/sgc/auth/url/joe/pw/x?q", "/sgc/auth/url/***?q"},
      {"http://h/sgc/auth/session/t", "http://h/sgc/auth/session/***"},
      {"/x/../sgc/req/auth/session/j/p", "/x/../sgc/req/auth/session/***"},
      {"/a?next=/sgc/auth/url/joe/pw", "/a?next=/sgc/auth/url/***"},
      {"/sgc/auth/url/***/***/x?q", "/sgc/auth/url/***/***/x?q"},
      {"/sgc/auth/url/", "/sgc/auth/url/***"},
  };
  for (const Case& one : cases) {
    EXPECT_EQ(hide_url_credentials(one.target, kAll), one.hidden);
    EXPECT_EQ(hide_url_credentials(one.hidden, kAll), one.hidden);
    EXPECT_EQ(hide_url_credentials(one.target, {}), one.target);
  }
}

}  // namespace
}  // namespace sluice::service
