// tests/config/access_test.cpp - who may come in, how often, and where: authentication, API keys,
// rate limits, URL groups and their prefixes.
//
// Layer: tests.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "config/open.hpp"
#include "config/read.hpp"
#include "config/reading.hpp"

namespace sluice::config {
namespace {

using namespace std::chrono_literals;

// What is said of an error of the server that was given what the text says.
std::string blamed(std::string_view toml, const Error& error) {
  const Reading reading = read(toml);
  EXPECT_TRUE(reading.is_good()) << text(reading.mistakes.front(), "f");
  const auto mistake = mistake_of(error, reading);
  return mistake ? text(*mistake, "f") : "";
}

TEST(Access, Authentication) {
  const Configuration all = good(R"(
[authentication]
enabled = true
realm = "Office"
allow_non_auth = true
paths = ["/admin", "/b/"]
users = "users"
parallel = 3
waiting = 4
basic = { enabled = true, cache_ttl = "0s" }
url.enabled = true
[authentication.digest]
enabled = true
allow_md5 = true
nonce_ttl = "10s"
users = "digests"
[authentication.bearer]
enabled = true
algorithms = ["hs256", "eddsa"]
issuer = "https://example.org"
audience = ["a", "b"]
clock_skew = "2s"
require_expiry = false
key_files = ["one.pem"]
jwks_file = "keys.json"
secret_file = "secret"
[authentication.session]
enabled = true
ttl = "5s"
[authentication.failures]
free = 1
refuse_after = 0
first_delay = "10ms"
most_delay = "20ms"
refuse_for = "1s"
forget_after = "2s"
)");
  const Authentication& is = all.server.authentication;
  EXPECT_TRUE(is.enabled && is.allow_non_auth && is.basic.enabled && is.digest.enabled &&
              is.bearer.enabled && is.session.enabled && is.url.enabled && is.digest.allow_md5);
  EXPECT_EQ(is.realm, "Office");
  EXPECT_EQ(is.paths, (std::vector<std::string>{"/admin", "/b/"}));
  EXPECT_EQ(is.parallel, 3u);
  EXPECT_EQ(is.waiting, 4u);
  EXPECT_EQ(is.basic.cache_ttl, 0s);
  EXPECT_EQ(is.digest.nonce_ttl, 10s);
  EXPECT_EQ(is.session.ttl, 5s);
  EXPECT_EQ(is.bearer.algorithms,
            (std::vector<TokenAlgorithm>{TokenAlgorithm::hs256, TokenAlgorithm::eddsa}));
  EXPECT_EQ(is.bearer.issuer, "https://example.org");
  EXPECT_EQ(is.bearer.audience.size(), 2u);
  EXPECT_EQ(is.bearer.clock_skew, 2s);
  EXPECT_FALSE(is.bearer.require_expiry);
  EXPECT_EQ(is.bearer.key_files, std::vector<std::string>{"one.pem"});
  EXPECT_EQ(is.bearer.jwks_file, "keys.json");
  EXPECT_TRUE(is.failures == (AuthenticationFailures{1, 0, 10ms, 20ms, 1s, 2s}));
  EXPECT_EQ(all.authentication_files, (AuthenticationFiles{"users", "digests", "secret"}));
}

TEST(Access, ApiKeys) {
  const Configuration all = good(R"(
[api_keys]
store = "keys.db"
secret_file = "other.secret"
header = ""
query_parameter = "key"
required = false
grace = "1h"
fail_closed = false
check_interval = "20ms"
stale_after = "40ms"
paths = ["/a", { prefix = "/b", scope = "read" }]
)");
  const ApiKeysFile& is = all.api_keys;
  EXPECT_EQ(is.store, "keys.db");
  EXPECT_EQ(is.secret_file, "other.secret");
  EXPECT_EQ(is.settings.header, "");
  EXPECT_EQ(is.settings.query_parameter, "key");
  EXPECT_FALSE(is.settings.required || is.settings.fail_closed);
  EXPECT_EQ(is.settings.grace, 1h);
  EXPECT_EQ(is.settings.check_interval, 20ms);
  EXPECT_EQ(is.settings.stale_after, 40ms);
  EXPECT_EQ(is.settings.paths, (std::vector<ApiKeyPath>{{"/a", ""}, {"/b", "read"}}));
  EXPECT_EQ(good("[api_keys]\nstore = 'k'\n[[api_keys.paths]]\nprefix = '/c'\n")
                .api_keys.settings.paths[0]
                .prefix,
            "/c");
}

TEST(Access, GroupsPrefixesAndRates) {
  const Configuration all = good(R"(
bindings = ["http://*:80/", { prefix = "http://*:80/api/", url_group = "api", context = 7 }]
[[url_groups]]
name = "api"
active = false
connections = 5
body_bytes = "1KiB"
head_bytes = 1024
entity_body = "1s"
request_queue = "2s"
idle_connection = "0s"
[[url_groups]]
name = "other"
body_bytes = "server"
idle_connection = "server"
[[cache]]
path = '/pages'
policy = 'until_invalidated'
[[cache]]
path = '/news'
ttl = '90s'
[[rate_limits]]
name = "a"
key = "user"
prefix = "/login"
algorithm = "sliding_window"
requests = 7
window = "2s"
entries = 8
[[rate_limits]]
name = "b"
burst = 4
)");
  const auto& bindings = all.server.bindings.list();
  ASSERT_EQ(bindings.size(), 2u);
  EXPECT_EQ(bindings[0], (Binding{"http://*:80/", {}}));
  EXPECT_EQ(bindings[1], (Binding{"http://*:80/api/", {"api", 7}}));
  ASSERT_EQ(all.server.url_groups.size(), 2u);
  UrlGroupOptions api;
  api.active = false;
  api.connections = 5;
  api.body_bytes = api.head_bytes = 1024;
  api.entity_body = 1s;
  api.request_queue = 2s;
  api.idle_connection = 0s;
  EXPECT_EQ(all.server.url_groups[0], (NamedUrlGroup{"api", api}));
  EXPECT_EQ(all.server.url_groups[1], (NamedUrlGroup{"other", {}}));
  ASSERT_EQ(all.server.rate_limits.size(), 2u);
  const RateRule a{"a", RateKey::user, "/login", RateAlgorithm::sliding_window, 7, 2s, 0, 8};
  EXPECT_EQ(all.server.rate_limits[0], a);
  const std::vector<CacheRule> rules{{"/pages", Cache::until_invalidated},
                                     {"/news", Cache::time_to_live, 90s}};
  EXPECT_EQ(all.server.cache_rules, rules);
  EXPECT_EQ(all.server.rate_limits[1].burst, 4u);
  // The same as tables of their own.
  EXPECT_EQ(good("[[bindings]]\nprefix = 'http://*:80/'\ncontext = 7\n").server.bindings.list()[0],
            (Binding{"http://*:80/", {"", 7}}));
}

TEST(Access, TheFormOfALine) {
  EXPECT_EQ(mistakes("authentication = 1"),
            "f:1:18: authentication: is a whole number; it is a table: write its keys below a line "
            "[authentication]\n");
  EXPECT_EQ(mistakes("authentication.basic = true"),
            "f:1:24: authentication.basic: is true or false; it is a table: write its keys below a "
            "line [authentication.basic]\n");
  EXPECT_EQ(mistakes("[authentication.basics]\nenabled = true\n"),
            "f:1:17: authentication.basics: unknown key; did you mean basic?\n");
  EXPECT_EQ(mistakes("[authentication.bearer]\nkey_file = []\n"),
            "f:2:1: authentication.bearer.key_file: unknown key; did you mean key_files?\n");
  EXPECT_EQ(mistakes("[authentication]\nttl = '1s'\n"),
            "f:2:1: authentication.ttl: unknown key; it belongs to [authentication.session] or "
            "[[cache]]\n");
  EXPECT_EQ(mistakes("enabled = true"),
            "f:1:1: enabled: unknown key; it belongs below the line of a table, such as "
            "[tcp_keep_alive]\n");
  EXPECT_EQ(mistakes("[serve]\nenabled = true"),
            "f:2:1: serve.enabled: unknown key; remove it (man sluice.toml lists all keys)\n");
  EXPECT_EQ(mistakes("authentication.bearer.algorithms = ['none']"),
            "f:1:37: authentication.bearer.algorithms[0]: \"none\" is not valid; write \"hs256\", "
            "\"rs256\", \"es256\" or \"eddsa\"\n");
  EXPECT_EQ(mistakes("bindings = 'http://*:80/'"),
            "f:1:12: bindings: is a string; write a list in brackets, such as "
            "[\"http://localhost:8080/\"], or begin each prefix with a line [[bindings]]\n");
  EXPECT_EQ(mistakes("bindings = [80]"),
            "f:1:13: bindings[0]: is a whole number; write a list in brackets, such as "
            "[\"http://localhost:8080/\"], or begin each prefix with a line [[bindings]]\n");
  EXPECT_EQ(mistakes("bindings = [{ context = 1 }]"),
            "f:1:13: bindings[0]: has no prefix; write prefix = \"http://localhost:8080/\"\n");
  EXPECT_EQ(mistakes("[rate_limits]\nname = 'a'"),
            "f:1:1: rate_limits: is a table; begin each limit with a line [[rate_limits]]\n");
  EXPECT_EQ(mistakes("[[rate_limits]]\nname = 'a'\nrequest = 1\n"),
            "f:3:1: rate_limits[0].request: unknown key; did you mean requests?\n");
  EXPECT_EQ(mistakes("[[url_groups]]\nname='a'\n[[url_groups]]\nname='a'\n"),
            "f:3:1: url_groups[1]: has the name of url_groups[0]; write another one, or remove one "
            "of the two\n");
  EXPECT_EQ(
      mistakes("[[url_groups]]\nname='a'\nidle_connection = '1'\n"),
      "f:3:19: url_groups[0].idle_connection: \"1\" is no duration; write a number and ms, s, "
      "m or h, such as \"30s\", or \"server\"\n");
}

TEST(Access, PrefixesAreTheSameHoweverTheyAreWritten) {
  EXPECT_NE(mistakes("bindings = ['http://a.example:80/', 'http://A.example:80/']")
                .find("has the prefix of"),
            std::string::npos);
  EXPECT_EQ(mistakes("bindings = ['http://*:0/', 'http://+:0/']"), "");
}

TEST(Access, WhatIsWrongTogether) {
  EXPECT_EQ(mistakes("bindings = [{ prefix = 'http://*:80/', url_group = 'ap' }]\n"
                     "[[url_groups]]\nname = 'api'\n"),
            "f:1:52: bindings[0].url_group: \"ap\" is no group; did you mean \"api\"?\n");
  EXPECT_EQ(mistakes("bindings = [{ prefix = 'http://*:80/', url_group = 'api' }]\n"),
            "f:1:52: bindings[0].url_group: \"api\" is no group; write [[url_groups]] and below it "
            "name = \"api\"\n");
  EXPECT_EQ(mistakes("[[url_groups]]\nname = 'a'\nhead_bytes = '32KiB'\n"),
            "f:3:14: url_groups[0].head_bytes: must be at most limits.head_bytes, 16384\n");
  EXPECT_EQ(mistakes("[[rate_limits]]\nname = 'a'\n[[rate_limits]]\nname = 'b'\nrequests = 2\n"
                     "burst = 3\n"),
            "f:6:9: rate_limits[1].burst: must be at most requests\n");
  EXPECT_EQ(mistakes("[[rate_limits]]\nname = 'a'\nentries = 9\n"),
            "f:3:11: rate_limits[0].entries: must be a multiple of 8 from 8 to 16,777,216\n");
  EXPECT_EQ(mistakes("[api_keys]\nstore = 'k'\ncheck_interval = '10s'\n"),
            "f:1:1: api_keys.stale_after: must be from twice check_interval to 30 days\n");
  EXPECT_EQ(mistakes("[authentication.failures]\nfirst_delay = '5s'\n"), "");  // it is off
  EXPECT_EQ(mistakes("[authentication]\nenabled = true\nusers = 'u'\nbasic.enabled = true\n"
                     "failures.first_delay = '5s'\n"),
            "f:5:24: authentication.failures.first_delay: must be from 0 to failures.most_delay, "
            "and that at most 60 seconds\n");
  EXPECT_EQ(mistakes("[authentication]\nenabled = true\n"),
            "f:2:11: authentication.enabled: needs a scheme: basic, digest, bearer, session or "
            "url\n");
  EXPECT_NE(mistakes("[authentication]\nenabled = true\nusers='u'\nbasic.enabled = true\n"
                     "paths = ['/a/../b']\n")
                .find("f:5:9: authentication.paths: has \"/a/../b\""),
            std::string::npos);
}

// What would let everybody in, or nobody, though the file does not look like it.
TEST(Access, WhatWouldSurprise) {
  EXPECT_EQ(mistakes("[authentication.basic]\nenabled = true\n"),
            "f:2:11: authentication.basic.enabled: authentication is off; write enabled = true "
            "below [authentication] (or false, to keep it off)\n");
  EXPECT_EQ(mistakes("[authentication]\nenabled = false\nbasic.enabled = true\n"), "");
  EXPECT_EQ(mistakes("[authentication]\nenabled = true\nbasic.enabled = true\n"),
            "f:1:1: authentication.users: basic, session and url need users; write users = "
            "\"FILE\", which sluice passwd makes\n");
  EXPECT_EQ(mistakes("[authentication]\nenabled = true\ndigest.enabled = true\n"),
            "f:3:1: authentication.digest.users: digest needs users; write users = \"FILE\", which "
            "sluice passwd --digest makes\n");
  EXPECT_EQ(mistakes("[api_keys]\nrequired = true\n"),
            "f:1:1: api_keys.store: nobody would be asked for a key; write store = \"FILE\", which "
            "sluice keys issue makes (or store = \"\")\n");
  EXPECT_EQ(mistakes("[api_keys]\nstore = ''\nrequired = true\n"), "");
  const std::string secret(32, 's');
  EXPECT_EQ(mistakes("[authentication.bearer]\nsecret = '" + secret + "'\nsecret_file = 'f'\n"),
            "f:3:15: authentication.bearer.secret_file: there is a secret already; remove one of "
            "the two\n");
}

// A secret is not shown, also not where it is wrong.
TEST(Access, SecretsAreNotShown) {
  EXPECT_EQ(
      mistakes("authentication.bearer.secret = 'a short one'"),
      "f:1:32: authentication.bearer.secret: is not valid; write at least 32 bytes, or name a "
      "file in secret_file\n");
}

TEST(Access, ErrorsOfTheServerAreTheFilesWhereItSaysSo) {
  const std::string_view two = "bindings = ['http://*:80/', 'http://127.0.0.1:81/']";
  const Error taken(Errc::address_in_use, "127.0.0.1:81 is taken by another program; stop it");
  EXPECT_EQ(blamed(two, taken),
            "f:1:29: bindings[1]: 127.0.0.1:81 is taken by another program; stop it");
  EXPECT_EQ(blamed("\nport = 81", taken),
            "f:2:8: port: 127.0.0.1:81 is taken by another program; stop it");
  EXPECT_EQ(blamed("", taken), "");
  EXPECT_EQ(blamed("host = '192.0.2.1'",
                   {Errc::address_not_available, "192.0.2.1:8080 is no address of this machine"}),
            "f:1:8: host: 192.0.2.1:8080 is no address of this machine");
  EXPECT_EQ(blamed(two, {Errc::bad_prefix, "\"http://*:80/\" is given twice"}),
            "f:1:13: bindings[0]: \"http://*:80/\" is given twice");
  EXPECT_EQ(blamed("shards = 2", {Errc::bad_setting, "shards cannot change; restart it"}),
            "f:1:10: shards: cannot change; restart it");
  EXPECT_EQ(blamed("[watchdog]\nmonitor_timeout = '1s'",
                   {Errc::bad_setting, "watchdog.monitor.timeout must not"}),
            "f:2:19: watchdog.monitor_timeout: must not");
  // What the file does not have is told without a line.
  EXPECT_EQ(blamed("port = 1", {Errc::bad_setting, "shards cannot change; restart it"}),
            "f: shards: cannot change; restart it");
  EXPECT_EQ(blamed("[authentication.digest]\nusers = '/srv/u'",
                   {Errc::io_failed, "/srv/u: Input/output error"}),
            "f:2:9: authentication.digest.users: /srv/u: Input/output error");
  EXPECT_EQ(blamed("port = 80", {Errc::permission_denied, "127.0.0.1:80 needs a privilege"}),
            "f:1:8: port: 127.0.0.1:80 needs a privilege");
  EXPECT_EQ(blamed("port = 1", {Errc::permission_denied, "/srv: others could read it"}), "");
}

// --- Files that the file names -------------------------------------------------------------------

class Files : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "sluice-config-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string path(const std::string& name) const { return folder_ + "/" + name; }
  std::string write(const std::string& name, std::string_view content, mode_t mode = 0600) const {
    std::ofstream(path(name)) << content;
    ::chmod(path(name).c_str(), mode);
    return path(name);
  }
  // What open() says of a text that is right.
  static std::string problem(const std::string& toml) {
    const Configuration wanted = good(toml);
    const auto opened = open(wanted);
    const auto checked = check_files(wanted);
    EXPECT_EQ(opened.error().detail, checked.error().detail);
    return opened.error().detail;
  }

  std::string folder_;
  static constexpr std::string_view kHash =
      "$6$saltsalt$8RWsOfwR6M6PpnoeQiEiWzNTPo1f0HjVYjDnLZhGx16aBFRkeqiHAzfXP/"
      "LgrOWMBMXqiU2pLrXsSOHNUyUm91";
};

TEST_F(Files, UsersAndSecrets) {
  const std::string users = write("users", "joe:" + std::string(kHash) + "\n", 0644);
  const std::string digests =
      write("digests", "joe:R:MD5:" + std::string(32, 'a') + "\njim:R:MD5:" + std::string(32, 'b'));
  const std::string secret = write("secret", std::string(40, 's') + "\r\n\n");
  const Configuration wanted =
      good("[authentication]\nenabled = true\nusers = '" + users +
           "'\nbasic.enabled = true\ndigest = { enabled = true, users = '" + digests +
           "' }\n[authentication.bearer]\nenabled = true\n" +
           "algorithms = ['hs256']\nsecret_file = '" + secret + "'\n");
  const auto opened = open(wanted);
  ASSERT_TRUE(opened) << opened.error().message();
  EXPECT_EQ(opened->users.size(), 1u);
  EXPECT_EQ(opened->digest_users.size(), 2u);
  EXPECT_EQ(opened->bearer_secret, std::string(40, 's'));
  EXPECT_EQ(opened->api_keys, nullptr);
  Server server;
  const UserList list = server.authentication.users;
  set(wanted.server, server);
  set(*opened, server);
  set_users(*opened, server);
  EXPECT_EQ(list.size(), 1u);  // the list that there was
  EXPECT_EQ(server.authentication.bearer.secret, std::string(40, 's'));
}

TEST_F(Files, WhatIsWrongWithThem) {
  const std::string missing = path("missing");
  const std::string basic = "[authentication]\nenabled = true\nbasic.enabled = true\nusers = '";
  EXPECT_EQ(problem(basic + missing + "'\n"),
            "authentication.users cannot be used: " + missing + ": No such file or directory");
  EXPECT_EQ(
      problem(basic + write("users", "joe:x\n") + "'\n")
          .find("authentication.users cannot be used: " + path("users") + ":1: the hash must be"),
      0u);
  const std::string digest =
      "[authentication]\nenabled = true\n[authentication.digest]\nenabled = true\nusers = '";
  EXPECT_NE(problem(digest + write("digests", "", 0644) + "'\n").find("chmod 600"),
            std::string::npos);
  const std::string bearer =
      "[authentication]\nenabled = true\n[authentication.bearer]\nenabled = true\n";
  EXPECT_EQ(problem(bearer),
            "authentication.bearer needs a key: set key_files, jwks_file or secret");
  EXPECT_EQ(problem(bearer + "key_files = ['" + missing + "']\n")
                .find("authentication.bearer.key_files cannot be read"),
            0u);
  const std::string secret = write("secret", std::string(40, 's'));
  EXPECT_EQ(
      problem(bearer + "secret_file = '" + secret + "'\n").find("authentication.bearer.algor"), 0u);
  ::chmod(secret.c_str(), 0640);
  EXPECT_NE(problem(bearer + "algorithms = ['hs256']\nsecret_file = '" + secret + "'\n")
                .find("authentication.bearer.secret_file cannot be used: "),
            std::string::npos);
  // And in which line.
  const std::string toml = bearer + "key_files = ['" + missing + "']\n";
  const std::string said = blamed(toml, Error(Errc::bad_setting, problem(toml)));
  EXPECT_EQ(said.find("f:5:13: authentication.bearer.key_files: cannot be read: "), 0u) << said;
}

TEST_F(Files, AStoreOfKeys) {
  const std::string store = path("keys.db"), secret = path("other.secret");
  const std::string toml = "[api_keys]\nstore = '" + store + "'\nsecret_file = '" + secret + "'\n";
  const Configuration wanted = good(toml);
  // A check makes nothing.
  EXPECT_TRUE(check_files(wanted));
  EXPECT_FALSE(std::filesystem::exists(store));
  auto opened = open(wanted);
  ASSERT_TRUE(opened) << opened.error().message();
  ASSERT_NE(opened->api_keys, nullptr);
  EXPECT_TRUE(std::filesystem::exists(store) && std::filesystem::exists(secret));
  EXPECT_FALSE(std::filesystem::exists(store + ".secret"));
  EXPECT_TRUE(opened->api_keys->issue({.owner = "joe"}));
  // A manager that goes on.
  const auto again = open(wanted, opened->api_keys);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->api_keys, opened->api_keys);
  EXPECT_TRUE(check_files(wanted));
  EXPECT_EQ(problem("[api_keys]\nstore = '" + write("text", "no store") + "'\n")
                .find("api_keys.store cannot be used: "),
            0u);
  const Configuration nowhere = good("[api_keys]\nstore = '" + path("no/keys.db") + "'\n");
  EXPECT_NE(check_files(nowhere).error().detail.find("make the folder first"), std::string::npos);
}

TEST_F(Files, ASecretInAFileThatOthersReadIsNone) {
  const std::string toml = "[authentication.bearer]\nsecret = '" + std::string(32, 's') + "'\n";
  const std::string file = write("sluice.toml", toml);
  EXPECT_TRUE(read_file(file)->is_good());
  ::chmod(file.c_str(), 0640);
  const auto reading = read_file(file);
  ASSERT_EQ(reading->mistakes.size(), 1u);
  EXPECT_EQ(text(reading->mistakes[0], "f"),
            "f:2:10: authentication.bearer.secret: others can read this file; chmod 600 " + file +
                ", or name a file in secret_file");
}

}  // namespace
}  // namespace sluice::config
