// tests/api/api_keys_test.cpp - who comes with an API key, who may not, and what becomes of keys.
#include <unistd.h>

#include <atomic>
#include <future>
#include <memory>
#include <stdexcept>

#include "api/auth_harness.hpp"
#include "service/temp_dir.hpp"
#include "support/killed_process.hpp"

namespace sluice::test {
namespace {

using namespace std::chrono_literals;
using Manager = std::shared_ptr<ApiKeyManager>;

std::string field(std::string_view key) { return "X-API-Key: " + std::string(key) + "\r\n"; }

ApiKey::Time wall() {
  return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
}

// Answers each request with "ID OWNER SCOPES".
class ApiKeys : public AuthTest {
 protected:
  void SetUp() override {
    AuthTest::SetUp();
    if (testing::Test::IsSkipped()) return;
    settings.enabled = false;
    server.on_http_request = [this](Connection, const HttpRequest& request,
                                    HttpResponse& response) {
      targets.tell(std::string(request.raw_target()));
      targets.tell(std::string(request.query()));
      const ApiKeyIdentity& key = request.api_key();
      std::string text = key ? std::string(key.owner) : "nobody";
      for (const std::string& scope : key.scopes) text += " " + scope;
      response.content_text(text);
    };
    server.on_connect = [this](Connection connection) {
      targets.tell(std::string(connection.url()));
      events.tell("connect");
    };
    wanted.events.on_issued = [this](const ApiKey& key) { told_keys.tell("issued " + key.owner); };
    wanted.events.on_validated = [this](const ApiKeyIdentity& key) {
      told_keys.tell("validated " + std::string(key.owner));
    };
    wanted.events.on_revoked = [this](const ApiKey& key) {
      told_keys.tell("revoked " + key.owner);
    };
    wanted.events.on_rotated = [this](const ApiKey& old, const ApiKey& replacement) {
      told_keys.tell("rotated " + old.owner);
      EXPECT_EQ(old.replaced_by, replacement.id);
    };
    wanted.events.on_expired = [this](const ApiKey& key) {
      told_keys.tell("expired " + key.owner);
    };
    wanted.events.on_store_failed = [this](const Error&) { told_keys.tell("failed"); };
  }
  void TearDown() override {
    server.api_key_manager.reset();
    keys.reset();
  }

  static Manager given(Result<Manager> made) {
    EXPECT_TRUE(made) << made.error().message();
    return made ? *made : nullptr;
  }
  // The server's manager from here on.
  void use(Result<Manager> made) { server.api_key_manager = keys = given(std::move(made)); }
  IssuedApiKey issue(const ApiKeyRequest& request = {.owner = "joe"}) {
    auto issued = keys->issue(request, "test");
    EXPECT_TRUE(issued) << issued.error().message();
    return issued ? *issued : IssuedApiKey();
  }
  bool told_key(const std::string& event) {
    return told_keys.wait_until([&](const std::vector<std::string>& list) {
      return std::find(list.begin(), list.end(), event) != list.end();
    });
  }

  ApiKeySettings wanted;
  std::atomic<int> mood{0};  // of an OwnStore: it outlives the keys
  Manager keys;
  Told<std::string> told_keys;
};

TEST_P(ApiKeys, OpenTheDoorInAFieldAndInTheQuery) {
  use(ApiKeyManager::memory(wanted));
  const IssuedApiKey joe = issue({.owner = "joe", .scopes = {"read", "write"}});
  Running running = start();
  EXPECT_EQ(answer("/a", field(joe.text)), "joe read write");
  EXPECT_EQ(answer("/a?api_key=" + joe.text), "joe read write");
  EXPECT_EQ(answer("/a?x=1&api%5Fkey=" + joe.text + "&y=2"), "joe read write");
  EXPECT_EQ(upgrade("/chat", field(joe.text)), 101);
  EXPECT_EQ(upgrade("/chat?api_key=" + joe.text), 101);
  EXPECT_TRUE(told("connect", 2));
  for (const std::string& wrong :
       {std::string(), field(""), field("x"), field(joe.text + "x"), field(joe.text.substr(1)),
        field("slk_" + std::string(38, '0')), field(joe.text) + field(joe.text)}) {
    EXPECT_EQ(answer("/a", wrong), "401") << wrong;
    EXPECT_EQ(upgrade("/chat", wrong), 401) << wrong;
  }
  EXPECT_EQ(answer("/a?api_key=" + joe.text, field(joe.text)), "401");
  EXPECT_EQ(answer("/a?api_key=" + joe.text + "&api_key=" + joe.text), "401");
  EXPECT_EQ(answer("/a?api_key=%zz"), "401");
  EXPECT_EQ(answer("/a?api_key"), "401");
  HttpClient http = client();
  const HttpReply reply = http.get("/");
  EXPECT_EQ(reply.status, 401);
  EXPECT_EQ(reply.field("WWW-Authenticate"), "ApiKey");
  EXPECT_EQ(http.get("/", field(joe.text)).status, 200);
  EXPECT_TRUE(told_error(Errc::auth_required));
  EXPECT_TRUE(told_key("issued joe"));
  EXPECT_TRUE(told_key("validated joe"));
}

TEST_P(ApiKeys, InAQueryAreHidden) {
  use(ApiKeyManager::memory(wanted));
  server.options.keep_headers = true;
  const IssuedApiKey joe = issue({.owner = "joe", .scopes = {}, .rate = {2, 3600s}});
  Running running = start();
  const std::string secret = joe.text.substr(4, 32);
  EXPECT_EQ(answer("/a?x=1&api_key=" + joe.text + "&y"), "joe");
  EXPECT_EQ(targets.count("/a?x=1&api_key=***&y"), 1u);
  EXPECT_EQ(targets.count("x=1&api_key=***&y"), 1u);
  EXPECT_EQ(upgrade("/chat?api%5fkey=" + joe.text), 101);
  EXPECT_TRUE(told("connect"));
  EXPECT_EQ(targets.count("/chat?api%5fkey=***"), 1u);
  EXPECT_EQ(answer("/a?api_key=" + joe.text), "429");
  EXPECT_EQ(answer("/a?api_key=" + joe.text + "x"), "401");
  EXPECT_EQ(answer("/a?api_key=" + joe.text + ";x&api_key=" + joe.text), "401");
  EXPECT_EQ(answer("/a?b;api_key=" + joe.text), "401");
  EXPECT_EQ(answer("/%zz?api_key=" + joe.text), "400");  // before the gate
  EXPECT_EQ(answer("http://" + std::string("a/b?api_key=") + joe.text), "429");
  EXPECT_TRUE(logged(Errc::key_throttled));
  EXPECT_TRUE(logged(Errc::auth_malformed));
  expect_hidden(secret);
  expect_hidden(secret.substr(8, 8));
}

TEST_P(ApiKeys, AreReadWhereTheSettingsSay) {
  wanted.header = "Key";
  wanted.query_parameter = "";
  use(ApiKeyManager::memory(wanted));
  const IssuedApiKey joe = issue();
  Running running = start();
  EXPECT_EQ(answer("/", "kEY:  " + joe.text + " \r\n"), "joe");
  EXPECT_EQ(answer("/", field(joe.text)), "401");
  EXPECT_EQ(answer("/?api_key=" + joe.text), "401");
}

TEST_P(ApiKeys, AreAskedForBelowPathsEachWithItsScope) {
  wanted.paths = {{"/api/", "read"}, {"/api/admin", "admin:all"}, {"/any", ""}};
  use(ApiKeyManager::memory(wanted));
  const IssuedApiKey reader = issue({.owner = "reader", .scopes = {"read"}});
  const IssuedApiKey admin = issue({.owner = "admin", .scopes = {"admin:*"}});
  const IssuedApiKey all = issue({.owner = "all", .scopes = {"*"}});
  Running running = start();
  EXPECT_EQ(answer("/api/x", field(reader.text)), "reader read");
  EXPECT_EQ(answer("/api/admin/x", field(reader.text)), "403");
  EXPECT_EQ(upgrade("/api/admin/x", field(reader.text)), 403);
  EXPECT_EQ(answer("/x/../api/%61dmin", field(reader.text)), "403");
  EXPECT_EQ(answer("/api/administrator", field(reader.text)), "reader read");
  EXPECT_EQ(answer("/api/admin", field(admin.text)), "admin admin:*");
  EXPECT_EQ(answer("/api", field(admin.text)), "403");
  EXPECT_EQ(answer("/api", field(all.text)), "all *");
  EXPECT_EQ(answer("/api/admin", field(all.text)), "all *");
  EXPECT_EQ(answer("/any", field(reader.text)), "reader read");
  for (const char* path : {"/api", "/api/admin", "/any/x"}) {
    EXPECT_EQ(answer(path), "401") << path;
    EXPECT_EQ(upgrade(path), 401) << path;
  }
  EXPECT_EQ(answer("/apis"), "nobody");
  EXPECT_EQ(answer("/", field("wrong")), "nobody");
  EXPECT_TRUE(told_error(Errc::key_scope));
}

TEST_P(ApiKeys, MayBeLeftOutButNotBeWrong) {
  wanted.required = false;
  use(ApiKeyManager::memory(wanted));
  const IssuedApiKey joe = issue();
  Running running = start();
  EXPECT_EQ(answer("/"), "nobody");
  EXPECT_EQ(upgrade("/chat"), 101);
  EXPECT_EQ(answer("/", field(joe.text)), "joe");
  EXPECT_EQ(answer("/", field("x")), "401");
  EXPECT_EQ(upgrade("/chat", field("x")), 401);
}

TEST_P(ApiKeys, ThatAreRevokedOpenNothingFromTheNextRequestOn) {
  use(ApiKeyManager::memory(wanted));
  const IssuedApiKey joe = issue(), ann = issue({.owner = "ann"});
  Running running = start();
  std::vector<std::unique_ptr<HttpClient>> clients;
  for (int i = 0; i < 4; ++i) {
    clients.push_back(std::make_unique<HttpClient>(port, "127.0.0.1", kPatience));
    EXPECT_EQ(clients.back()->get("/", field(joe.text)).status, 200);
  }
  const auto revoked = keys->revoke(joe.key.id, "admin");
  ASSERT_TRUE(revoked);
  EXPECT_NE(revoked->revoked, ApiKey::kNever);
  for (const auto& http : clients) {
    EXPECT_EQ(http->get("/", field(joe.text)).status, 401);
    EXPECT_EQ(http->get("/", field(ann.text)).status, 200);
  }
  EXPECT_EQ(upgrade("/chat", field(joe.text)), 401);
  EXPECT_TRUE(told_key("revoked joe"));
  EXPECT_TRUE(told_error(Errc::key_revoked));
  EXPECT_EQ(keys->revoke("none").error().code, Errc::no_such_key);
  const auto entries = keys->audit(1);
  ASSERT_TRUE(entries && entries->size() == 1);
  EXPECT_EQ(entries->front().actor, "admin");
  EXPECT_EQ(entries->front().action, "revoke");
  EXPECT_EQ(entries->front().key, joe.key.id);
  EXPECT_EQ(keys->audit()->size(), 3u);
}

TEST_P(ApiKeys, ThatAreRotatedGoOnForTheirGrace) {
  use(ApiKeyManager::memory(wanted));
  const IssuedApiKey joe = issue(), ann = issue({.owner = "ann"});
  Running running = start();
  const auto rotated = keys->rotate(joe.key.id, "admin");
  ASSERT_TRUE(rotated);
  EXPECT_EQ(rotated->old.replaced_by, rotated->issued.key.id);
  EXPECT_GT(rotated->old.grace_until, wall() + 23h);
  EXPECT_EQ(answer("/", field(joe.text)), "joe");
  EXPECT_EQ(answer("/", field(rotated->issued.text)), "joe");
  EXPECT_TRUE(told_key("rotated joe"));
  const auto at_once = keys->rotate(ann.key.id, "admin", 0s);
  ASSERT_TRUE(at_once);
  EXPECT_EQ(answer("/", field(ann.text)), "401");
  EXPECT_EQ(answer("/", field(at_once->issued.text)), "ann");
  EXPECT_EQ(keys->rotate(joe.key.id).error().code, Errc::invalid_argument);
  EXPECT_EQ(keys->list()->size(), 4u);
  EXPECT_EQ(keys->list("ann")->size(), 2u);
}

TEST_P(ApiKeys, EndAndAreRenewed) {
  wanted.check_interval = 10ms;
  use(ApiKeyManager::memory(wanted));
  const IssuedApiKey joe = issue({.owner = "joe", .expires = wall() + 1s});
  Running running = start();
  EXPECT_TRUE(told_key("expired joe"));
  EXPECT_EQ(answer("/", field(joe.text)), "401");
  EXPECT_TRUE(told_error(Errc::key_expired));
  const auto renewed = keys->renew(joe.key.id, wall() + 24h, "admin");
  ASSERT_TRUE(renewed) << renewed.error().message();
  EXPECT_EQ(answer("/", field(joe.text)), "joe");
}

TEST_P(ApiKeys, AreForNetworksAndHaveARate) {
  use(ApiKeyManager::memory(wanted));
  const IssuedApiKey here = issue({.owner = "here", .networks = {"127.0.0.0/8"}});
  const IssuedApiKey away = issue({.owner = "away", .networks = {"10.0.0.0/8", "::1"}});
  const IssuedApiKey slow = issue({.owner = "slow", .rate = {2, 3600s}});
  Running running = start();
  EXPECT_EQ(answer("/", field(here.text)), "here");
  EXPECT_EQ(answer("/", field(away.text)), "403");
  EXPECT_EQ(upgrade("/chat", field(away.text)), 403);
  EXPECT_TRUE(told_error(Errc::key_address));
  HttpClient http = client();
  EXPECT_EQ(http.get("/", field(slow.text)).status, 200);
  EXPECT_EQ(upgrade("/chat", field(slow.text)), 101);
  const HttpReply reply = http.get("/", field(slow.text));
  EXPECT_EQ(reply.status, 429);
  EXPECT_NE(reply.field("Retry-After"), "");
  EXPECT_NE(reply.field("Retry-After"), "0");
}

TEST_P(ApiKeys, AreAskedForBehindAuthenticationAndBeforeTheirRateLimits) {
  settings.enabled = settings.basic.enabled = true;
  ASSERT_TRUE(settings.users.add("joe", kHash));
  use(ApiKeyManager::memory(wanted));
  const IssuedApiKey one = issue({.owner = "one"}), two = issue({.owner = "two"});
  RateRule rule;
  rule.name = "key";
  rule.key = RateKey::api_key;
  rule.requests = 1;
  rule.window = 3600s;
  rule.entries = 64;
  server.rate_limits = {rule};
  Running running = start();
  const std::string joe = basic("joe", "password");
  EXPECT_EQ(answer("/", joe), "401");
  EXPECT_EQ(answer("/", field(one.text)), "401");
  EXPECT_EQ(answer("/", joe + field("x")), "401");
  EXPECT_EQ(answer("/", joe + field(one.text)), "one");
  EXPECT_EQ(answer("/", joe + field(one.text)), "429");
  EXPECT_EQ(upgrade("/chat", joe + field(one.text)), 429);
  EXPECT_EQ(answer("/", joe + field(two.text)), "two");
  EXPECT_TRUE(told_error(Errc::rate_limited));
}

TEST_P(ApiKeys, WaitOnNoThreadOfAServer) {
  use(ApiKeyManager::memory(wanted));
  const IssuedApiKey joe = issue();
  std::weak_ptr<ApiKeyManager> weak = keys;
  server.on_http_request = [weak](Connection, const HttpRequest& request, HttpResponse& response) {
    const Manager manager = weak.lock();
    if (request.document() == "/wait") {
      const Errc code = manager->issue({.owner = "ann"}).error().code;
      return void(response.content_text(code == Errc::would_deadlock ? "deadlock" : "waited"));
    }
    auto reply = std::make_shared<Reply>(response.defer());
    manager->issue({.owner = "ann"}, "joe", [reply](Result<IssuedApiKey> issued) {
      reply->content_text(issued ? issued->key.owner : "failed").send();
    });
  };
  Running running = start();
  EXPECT_EQ(answer("/wait", field(joe.text)), "deadlock");
  EXPECT_EQ(answer("/later", field(joe.text)), "ann");
  // Nor on its own; what a callback throws is dropped.
  std::promise<Errc> told;
  keys->list("", [&](const Result<std::vector<ApiKey>>&) {
    told.set_value(keys->list().error().code);
    throw 1;
  });
  EXPECT_EQ(told.get_future().get(), Errc::would_deadlock);
  std::promise<Errc> refused;
  keys->issue({.owner = "x", .networks = {"10.0.0.1/8"}}, "",
              [&](const Result<IssuedApiKey>& issued) { refused.set_value(issued.error().code); });
  EXPECT_EQ(refused.get_future().get(), Errc::invalid_argument);
}

TEST_P(ApiKeys, OutliveTheServerAndServeTwo) {
  use(ApiKeyManager::memory(wanted));
  const IssuedApiKey joe = issue();
  {
    Running running = start();
    EXPECT_EQ(answer("/", field(joe.text)), "joe");
  }
  const IssuedApiKey ann = issue({.owner = "ann"});
  Server second;
  prepare(second);
  second.api_key_manager = keys;
  second.on_http_request = [](Connection, const HttpRequest& request, HttpResponse& response) {
    response.content_text(request.api_key().owner);
  };
  Running running = start();
  const std::uint16_t first_port = port;
  ASSERT_TRUE(second.start());
  Running also(second);
  port = second.bound_port();
  EXPECT_EQ(answer("/", field(ann.text)), "ann");
  ASSERT_TRUE(keys->revoke(joe.key.id));
  EXPECT_EQ(answer("/", field(joe.text)), "401");
  port = first_port;
  EXPECT_EQ(answer("/", field(joe.text)), "401");
  // Whoever lets it go while servers run: they keep it.
  second.api_key_manager.reset();
  port = second.bound_port();
  EXPECT_EQ(answer("/", field(ann.text)), "ann");
}

TEST_P(ApiKeys, InAFileSurviveARestart) {
  const TempDir folder;
  use(ApiKeyManager::sqlite(folder / "keys", wanted));
  ASSERT_TRUE(keys);
  const IssuedApiKey joe = issue({.owner = "joe", .networks = {"127.0.0.1"}});
  {
    Running running = start();
    EXPECT_EQ(answer("/", field(joe.text)), "joe");
    ASSERT_TRUE(server.restart(0ms));
    port = server.bound_port();
    EXPECT_EQ(answer("/", field(joe.text)), "joe");
  }
  server.api_key_manager.reset();
  keys.reset();
  use(ApiKeyManager::sqlite(folder / "keys", wanted));
  ASSERT_TRUE(keys);
  EXPECT_EQ(keys->size(), 1u);
  EXPECT_EQ(keys->list()->front(), joe.key);
  Running running = start();
  EXPECT_EQ(answer("/", field(joe.text)), "joe");
}

TEST_P(ApiKeys, ThatAnotherProcessChangesAreSeen) {
  const TempDir folder;
  wanted.check_interval = 10ms;
  use(ApiKeyManager::sqlite(folder / "keys", wanted));
  ASSERT_TRUE(keys);
  const IssuedApiKey joe = issue();
  Running running = start();
  const Manager other = given(ApiKeyManager::sqlite(folder / "keys"));
  const auto ann = other->issue({.owner = "ann"});
  ASSERT_TRUE(ann);
  EXPECT_TRUE(eventually([&] { return answer("/", field(ann->text)) == "ann"; }));
  ASSERT_TRUE(other->revoke(joe.key.id));
  EXPECT_TRUE(eventually([&] { return answer("/", field(joe.text)) == "401"; }));
}

[[noreturn]] void issue_for_ever(const std::string& file, int to) {
  auto keys = ApiKeyManager::sqlite(file);
  if (!keys) ::_exit(1);
  while (true) {
    const auto issued = (*keys)->issue({.owner = "child"});
    if (!issued) ::_exit(2);
    say_line(to, issued->text);
  }
}

TEST_P(ApiKeys, OfAProcessThatIsKilledAreNotLost) {
  const TempDir folder;
  std::vector<std::string> issued;
  for (int round = 0; round < 3; ++round) {
    for (std::string& key :
         lines_until_killed(4, [&](int to) { issue_for_ever(folder / "keys", to); })) {
      issued.push_back(std::move(key));
    }
  }
  EXPECT_GE(issued.size(), 12u);
  use(ApiKeyManager::sqlite(folder / "keys", wanted));
  ASSERT_TRUE(keys);
  Running running = start();
  for (const std::string& key : issued) EXPECT_EQ(answer("/", field(key)), "child") << key;
}

// --- A store of one's own ------------------------------------------------------------------------

class OwnStore final : public ApiKeyStore {
 public:
  explicit OwnStore(std::atomic<int>& mood) : mood_(mood) {}
  Result<std::string> secret() override { return std::string(32, 's'); }
  Result<void> add(const Record& record, const ApiKeyAuditEntry& entry) override {
    if (auto fine = judge(); !fine) return fine;
    records_.push_back(record);
    audit_.insert(audit_.begin(), entry);
    return {};
  }
  Result<Edited> edit(std::string_view id, const Edit& edit,
                      const ApiKeyAuditEntry& entry) override {
    if (auto fine = judge(); !fine) return fine.error();
    const auto place = std::find_if(records_.begin(), records_.end(),
                                    [id](const Record& one) { return one.key.id == id; });
    if (place == records_.end()) return Errc::no_such_key;
    Edited edited{*place};
    if (auto fine = edit(edited.record, edited.replacement); !fine) return fine.error();
    *place = edited.record;
    if (edited.replacement) records_.push_back(*edited.replacement);
    audit_.insert(audit_.begin(), entry);
    return edited;
  }
  Result<std::vector<Record>> all() override {
    if (auto fine = judge(); !fine) return fine.error();
    return records_;
  }
  Result<std::vector<ApiKeyAuditEntry>> audit(std::size_t) override { return audit_; }
  Result<std::uint64_t> version() override {
    if (auto fine = judge(); !fine) return fine.error();
    return std::uint64_t{1};
  }

 private:
  Result<void> judge() const {
    if (mood_ == 1) return Error(Errc::io_failed, "not today");
    if (mood_ == 2) throw std::runtime_error("nor so");
    return {};
  }
  std::atomic<int>& mood_;
  std::vector<Record> records_;
  std::vector<ApiKeyAuditEntry> audit_;
};

TEST_P(ApiKeys, OfAStoreThatFailsAreRefused) {
  wanted.check_interval = 10ms;
  use(ApiKeyManager::custom(std::make_unique<OwnStore>(mood), wanted));
  ASSERT_TRUE(keys);
  const IssuedApiKey joe =
      issue({.owner = "joe", .scopes = {"a"}, .networks = {"127.0.0.0/8"}, .rate = {9, 9s}});
  EXPECT_EQ(keys->list()->front(), joe.key);
  const auto rotated = keys->rotate(joe.key.id, "admin");
  ASSERT_TRUE(rotated) << rotated.error().message();
  ASSERT_TRUE(keys->revoke(rotated->issued.key.id));
  EXPECT_EQ(keys->audit()->size(), 3u);
  Running running = start();
  for (const int bad : {1, 2}) {
    EXPECT_EQ(answer("/", field(joe.text)), "joe a");
    mood = bad;
    EXPECT_TRUE(told_keys.wait_until([&](const std::vector<std::string>& list) {
      return std::count(list.begin(), list.end(), "failed") >= bad;
    }));
    HttpClient http = client();
    const HttpReply reply = http.get("/", field(joe.text));
    EXPECT_EQ(reply.status, 503);
    EXPECT_EQ(reply.field("Retry-After"), "1");
    EXPECT_EQ(upgrade("/chat", field(joe.text)), 503);
    EXPECT_EQ(answer("/"), "401");
    EXPECT_TRUE(keys->is_failing());
    EXPECT_FALSE(keys->issue({.owner = "ann"}));
    mood = 0;
    EXPECT_TRUE(eventually([&] { return !keys->is_failing(); }));
  }
  EXPECT_TRUE(told_error(Errc::keys_unavailable));
}

TEST_P(ApiKeys, MayGoOnWhenTheStoreFails) {
  wanted.check_interval = 10ms;
  wanted.fail_closed = false;
  use(ApiKeyManager::custom(std::make_unique<OwnStore>(mood), wanted));
  ASSERT_TRUE(keys);
  const IssuedApiKey joe = issue();
  Running running = start();
  mood = 1;
  EXPECT_TRUE(told_key("failed"));
  EXPECT_EQ(answer("/", field(joe.text)), "joe");
  EXPECT_EQ(answer("/", field("x")), "401");
}

TEST_P(ApiKeys, HaveSettingsThatAreChecked) {
  const auto refused = [](std::string_view member,
                          const std::function<void(ApiKeySettings&)>& set) {
    ApiKeySettings bad;
    set(bad);
    const auto made = ApiKeyManager::memory(bad);
    ASSERT_FALSE(made) << member;
    EXPECT_EQ(made.error().code, Errc::bad_setting);
    EXPECT_NE(made.error().message().find(member), std::string::npos) << made.error().message();
  };
  refused("header", [](ApiKeySettings& bad) { bad.header = "a b"; });
  refused("header", [](ApiKeySettings& bad) { bad.header = bad.query_parameter = ""; });
  refused("query_parameter", [](ApiKeySettings& bad) { bad.query_parameter = "a b"; });
  refused("paths", [](ApiKeySettings& bad) { bad.paths = {{"api", ""}}; });
  refused("paths", [](ApiKeySettings& bad) { bad.paths = {{"/api", "a b"}}; });
  refused("paths", [](ApiKeySettings& bad) { bad.paths = {{"/api", "read:*"}}; });
  refused("paths", [](ApiKeySettings& bad) { bad.paths = {{"/api", ""}, {"/api", "a"}}; });
  refused("paths", [](ApiKeySettings& bad) { bad.paths.assign(257, {"/api", ""}); });
  refused("grace", [](ApiKeySettings& bad) { bad.grace = -1s; });
  refused("check_interval", [](ApiKeySettings& bad) { bad.check_interval = 9ms; });
  refused("stale_after", [](ApiKeySettings& bad) { bad.stale_after = 1999ms; });
  EXPECT_EQ(ApiKeyManager::custom(nullptr).error().code, Errc::bad_setting);
  EXPECT_FALSE(ApiKeyManager::sqlite("/nowhere/keys"));
}

INSTANTIATE_TEST_SUITE_P(Engines, ApiKeys, engines(), name_of);

}  // namespace
}  // namespace sluice::test
