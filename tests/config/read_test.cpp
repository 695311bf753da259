// tests/config/read_test.cpp - what a configuration file sets, and what is said about each mistake.
//
// Layer: tests.
#include "config/read.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "config/reading.hpp"
#include "config/schema.hpp"

namespace sluice::config {
namespace {

using namespace std::chrono_literals;

TEST(Read, AnEmptyFileHasAllDefaults) {
  const Configuration empty = good(""), defaults;
  for (const auto& row : rows()) {
    EXPECT_EQ(value_text(row, empty), value_text(row, defaults)) << row.key();
  }
  EXPECT_TRUE(empty.files.empty());
  EXPECT_TRUE(read("# nothing\n\n").is_good());
}

TEST(Read, EveryKind) {
  const Configuration all = good(R"(
host = "*"
port = 0
dispatch = "thread_pool"
engine = "epoll"
read_buffer_size = "64KiB"
protocols = ["chat", "mqtt"]
handler_limit = "250ms"
[fine_tune]
operating_mode = "classic"
inline_completions = false
[limits]
connections = 5000
body_bytes = 1_000_000
message_bytes = "1GiB"
[timeouts]
idle_connection = "0s"
header_wait = "1h"
min_send_rate = "1KiB"
[options]
slow_reader = "drop_oldest"
[security_options]
origins_allowed = ["https://example.org", "http://host:*"]
[request_queue]
verbosity_503 = "full"
[tcp_keep_alive]
enabled = true
interval = "5s"
probes = 3
[serve]
echo = "/echo"
quiet = true
[[files]]
directory = "/srv/a"
[[files]]
prefix = "/b/"
directory = "/srv/b"
listing = true
cache_control = "max-age=60"
[[upload]]
directory = "/srv/in"
[[upload]]
prefix = "/b/"
directory = "/srv/b"
existing = "refuse"
file_bytes = "1GiB"
body_bytes = 1000
)");
  EXPECT_EQ(all.server.host, "*");
  EXPECT_EQ(all.server.port, 0);
  EXPECT_EQ(all.server.dispatch, Dispatch::thread_pool);
  EXPECT_EQ(all.server.engine, EngineKind::epoll);
  EXPECT_EQ(all.server.read_buffer_size, 65'536u);
  EXPECT_EQ(all.server.protocols, (std::vector<std::string>{"chat", "mqtt"}));
  EXPECT_EQ(all.server.handler_limit, 250ms);
  EXPECT_EQ(all.server.fine_tune.operating_mode, OperatingMode::classic);
  EXPECT_FALSE(all.server.fine_tune.inline_completions);
  EXPECT_EQ(all.server.limits.connections, 5000u);
  EXPECT_EQ(all.server.limits.body_bytes, 1'000'000u);
  EXPECT_EQ(all.server.limits.message_bytes, 1u << 30);
  EXPECT_EQ(all.server.timeouts.idle_connection, 0ms);
  EXPECT_EQ(all.server.timeouts.header_wait, 1h);
  EXPECT_EQ(all.server.timeouts.min_send_rate, 1024u);
  EXPECT_EQ(all.server.options.slow_reader, SlowReader::drop_oldest);
  EXPECT_EQ(all.server.security_options.origins_allowed.size(), 2u);
  EXPECT_EQ(all.server.request_queue.verbosity_503, Verbosity503::full);
  EXPECT_TRUE(all.server.tcp_keep_alive.enabled);
  EXPECT_EQ(all.server.tcp_keep_alive.interval, 5s);
  EXPECT_EQ(all.server.tcp_keep_alive.probes, 3u);
  EXPECT_EQ(all.serve.echo, "/echo");
  EXPECT_TRUE(all.serve.quiet);
  ASSERT_EQ(all.files.size(), 2u);
  EXPECT_EQ(all.files[0].prefix, "/");
  EXPECT_EQ(all.files[1].directory, "/srv/b");
  EXPECT_TRUE(all.files[1].options.listing);
  EXPECT_EQ(all.files[1].options.cache_control, "max-age=60");
  ASSERT_EQ(all.uploads.size(), 2u);
  EXPECT_EQ(all.uploads[0], (UploadRoot{"/upload/", "/srv/in", {}}));
  const UploadOptions limited{ExistingFile::refuse, 1u << 30, 1000};
  EXPECT_EQ(all.uploads[1], (UploadRoot{"/b/", "/srv/b", limited}));
}

TEST(Read, OneTableInAnyOfTomlsForms) {
  EXPECT_EQ(good("limits.fields = 7\n").server.limits.fields, 7u);
  EXPECT_EQ(good("limits = { fields = 7 }\n").server.limits.fields, 7u);
  EXPECT_EQ(good("\"limits\".'fields' = 7\r\n").server.limits.fields, 7u);
  EXPECT_EQ(good("files = [{directory = 'd'}]").files[0].directory, "d");
  EXPECT_EQ(good("limits.connections = \"none\"").server.limits.connections, std::nullopt);
  EXPECT_EQ(good("bindings = ['http://*:80/']").server.bindings.list()[0].prefix, "http://*:80/");
}

TEST(Read, UnknownKeys) {
  EXPECT_EQ(mistakes("prot = 1\n"), "f:1:1: prot: unknown key; did you mean port?\n");
  EXPECT_EQ(mistakes("\n[limits]\n  head_byts = 1\n"),
            "f:3:3: limits.head_byts: unknown key; did you mean head_bytes?\n");
  EXPECT_EQ(mistakes("[limit]\n"), "f:1:2: limit: unknown key; did you mean limits?\n");
  EXPECT_EQ(mistakes("head_bytes = 1\n"),
            "f:1:1: head_bytes: unknown key; it belongs to [limits] or [[url_groups]]\n");
  EXPECT_EQ(mistakes("[serve]\nport = 1\n"),
            "f:2:1: serve.port: unknown key; it belongs to the front of the file, before the first "
            "table\n");
  EXPECT_EQ(mistakes("[serve]\nlisting = true\n"),
            "f:2:1: serve.listing: unknown key; it belongs to [[files]]\n");
  EXPECT_EQ(mistakes("colour = 1\n"),
            "f:1:1: colour: unknown key; remove it (man sluice.toml lists all keys)\n");
  EXPECT_EQ(mistakes("[[files]]\ndirectory = 'd'\nindx = ''\n"),
            "f:3:1: files[0].indx: unknown key; did you mean index?\n");
  EXPECT_EQ(mistakes("\"\\u0007\" = 1\n"),
            "f:1:1: ?: unknown key; remove it (man sluice.toml lists all keys)\n");
}

TEST(Read, WrongTypes) {
  EXPECT_EQ(mistakes("port = true"), "f:1:8: port: is true or false; write a whole number\n");
  EXPECT_EQ(mistakes("port = 80.0"),
            "f:1:8: port: is a number with a fraction; write a whole number\n");
  EXPECT_EQ(mistakes("port = '80'"), "f:1:8: port: \"80\" is no number; write a whole number\n");
  EXPECT_EQ(mistakes("host = 1"), "f:1:8: host: is a whole number; write a string in quotes\n");
  EXPECT_EQ(mistakes("host = 2026-11-23"),
            "f:1:8: host: is a date or a time; write a string in quotes\n");
  EXPECT_EQ(mistakes("serve.quiet = 1"),
            "f:1:15: serve.quiet: is a whole number; write true or false\n");
  EXPECT_EQ(mistakes("engine = 1"),
            "f:1:10: engine: is a whole number; write \"auto\", \"uring\" or \"epoll\"\n");
  EXPECT_EQ(mistakes("engine = 'kqueue'"),
            "f:1:10: engine: \"kqueue\" is unknown; write \"auto\", \"uring\" or \"epoll\"\n");
  EXPECT_EQ(mistakes("protocols = 'chat'"),
            "f:1:13: protocols: is a string; write a list of strings in brackets\n");
  EXPECT_EQ(mistakes("protocols = ['a', 1]"),
            "f:1:19: protocols[1]: is a whole number; write a string\n");
  EXPECT_EQ(mistakes("limits = 1"),
            "f:1:10: limits: is a whole number; it is a table: write its keys below a line "
            "[limits]\n");
  EXPECT_EQ(mistakes("[files]\ndirectory = 'd'\n"),
            "f:1:1: files: is a table; begin each folder with a line [[files]]\n");
  EXPECT_EQ(mistakes("[port]\n"), "f:1:1: port: is a table; write a whole number\n");
}

TEST(Read, DurationsAndSizesThatAreNone) {
  const std::string duration = "write a number and ms, s, m or h, such as \"30s\"\n";
  EXPECT_EQ(mistakes("handler_limit = 30"),
            "f:1:17: handler_limit: is a whole number; " + duration);
  EXPECT_EQ(mistakes("handler_limit = '30'"),
            "f:1:17: handler_limit: \"30\" is no duration; " + duration);
  EXPECT_EQ(mistakes("handler_limit = '721h'"),
            "f:1:17: handler_limit: \"721h\" is out of range; write at most \"720h\"\n");
  EXPECT_TRUE(read("handler_limit = '720h'").is_good());
  for (const char* const text : {"0s", "999ms", "32768s"}) {
    EXPECT_EQ(mistakes("tcp_keep_alive.time = '" + std::string(text) + "'"),
              "f:1:23: tcp_keep_alive.time: \"" + std::string(text) +
                  "\" is out of range; write from \"1s\" to \"32767s\"\n");
  }
  EXPECT_EQ(mistakes("tcp_keep_alive.interval = '1500ms'"),
            "f:1:27: tcp_keep_alive.interval: \"1500ms\" is too fine; write a multiple of "
            "\"1s\"\n");
  EXPECT_EQ(good("tcp_keep_alive.time = '32767s'").server.tcp_keep_alive.time, 32767s);
  EXPECT_EQ(
      mistakes("limits.body_bytes = '64KB'"),
      "f:1:21: limits.body_bytes: \"64KB\" is no number; write a whole number, or a size such "
      "as \"64KiB\"\n");
  EXPECT_EQ(mistakes("limits.connections = 'many'"),
            "f:1:22: limits.connections: \"many\" is no number; write a whole number, or "
            "\"none\"\n");
}

// Each bound: at it, and one beyond.
TEST(Read, BoundsOfEveryNumber) {
  for (const auto& row : rows()) {
    const auto* const kind = std::get_if<Number<Configuration>>(&row.kind);
    if (kind == nullptr) continue;
    // An answer must fit into the cache.
    const std::string first = row.key() == "response_cache.entry_bytes"
                                  ? "response_cache.bytes = " + std::to_string(kind->most) + "\n"
                                  : "";
    const auto with = [&](std::uint64_t value) {
      return mistakes(first + row.key() + " = " + std::to_string(value));
    };
    EXPECT_EQ(with(kind->least), "");
    EXPECT_EQ(with(kind->most), "");
    Configuration most = read(first + row.key() + " = " + std::to_string(kind->most)).configuration;
    EXPECT_EQ(kind->get(most), kind->most) << row.key() << " is cut";
    if (kind->least > 0) {
      EXPECT_NE(with(kind->least - 1).find("is out of range"), std::string::npos) << row.key();
    }
    if (kind->most < INT64_MAX) {
      EXPECT_NE(with(kind->most + 1).find("is out of range"), std::string::npos) << row.key();
    }
    EXPECT_NE(mistakes(row.key() + " = -1").find("-1 is out of range"), std::string::npos);
  }
  EXPECT_EQ(mistakes("port = 65536"),
            "f:1:8: port: 65536 is out of range; write a number from 0 to 65535\n");
  EXPECT_EQ(mistakes("limits.connections = 0"),
            "f:1:22: limits.connections: 0 is out of range; write a number of at least 1, or "
            "\"none\"\n");
}

TEST(Read, TextsThatAreNotValid) {
  const auto complains = [](std::string_view toml, std::string_view where, std::string_view what) {
    const std::string all = mistakes(toml);
    EXPECT_EQ(all.find("f:" + std::string(where)), 0u) << all;
    EXPECT_NE(all.find(what), std::string::npos) << all;
  };
  complains("bindings = ['http://*:80/', 'ftp://x']",
            "1:29: bindings[1]: ", "must be http or https");
  complains("bindings = ['http://*:80/', 'http://*:80/']",
            "1:29: bindings[1]: ", "has the prefix of bindings[0]");
  complains("host = 'a b'", "1:8: host: ", "without scheme");
  complains("protocols = ['a,b']", "1:14: protocols[0]: ", "name of a sub-protocol");
  complains("protocols = ['']", "1:14: protocols[0]: ", "name of a sub-protocol");
  complains("serve.echo = 'echo'", "1:14: serve.echo: ", "begins with /");
  complains("security_options.origins_allowed = ['example.org']", "1:37: security_options.",
            "origin");
  complains("[[files]]\ndirectory = ''", "2:13: files[0].directory: ", "name of a folder");
  complains("[[files]]\nprefix = '/a'\ndirectory = 'd'", "2:10: files[0].prefix: ", "ends with /");
  complains("[[forward]]\nprefix = '/a/'", "1:1: forward[0]: ", "has no upstreams");
  complains("[[forward]]\nupstreams = ['ftp://a']", "2:14: forward[0].upstreams", "http://");
  complains("[[forward]]\nupstreams = ['http://a']\ntrusted = ['x']", "3:12: forward[0].trusted",
            "address");
  complains("[[forward]]\nupstreams = ['http://a']\nbalance = 'x'",
            "3:11: forward[0].balance: ", "round_robin");
  complains("name_servers = ['x']", "1:17: name_servers", "x");
  complains("[[files]]\nlisting = true", "1:1: files[0]: ", "has no directory");
  complains("[[files]]\ndirectory = 'a'\n[[files]]\ndirectory = 'b'",
            "3:1: files[1]: ", "has the prefix of files[0]");
  complains("[[upload]]\nprefix = '/a/'", "1:1: upload[0]: ", "has no directory");
  complains("[[upload]]\nprefix = '/a'\ndirectory = 'd'",
            "2:10: upload[0].prefix: ", "ends with /");
  complains("[[upload]]\nprefix = '/{a}/'\ndirectory = 'd'",
            "2:10: upload[0].prefix: ", "without { and }");
  complains("[[upload]]\ndirectory = 'a'\n[[upload]]\ndirectory = 'b'",
            "3:1: upload[1]: ", "has the prefix of upload[0]");
  complains("[[files]]\ndirectory='d'\ncache_control = \"a\\r\\nb\"", "3:17: ", "line ends");
}

TEST(Read, ListsAndFoldersAreBounded) {
  std::string list = "protocols = [", folders;
  for (std::size_t i = 0; i < 256; ++i) list += "'p" + std::to_string(i) + "',";
  EXPECT_EQ(mistakes(list + "]"), "");
  EXPECT_NE(mistakes(list + "'one more']").find("at most 256"), std::string::npos);
  for (std::size_t i = 0; i < 64; ++i) {
    folders += "[[files]]\ndirectory='d'\nprefix = '/" + std::to_string(i) + "/'\n";
  }
  EXPECT_EQ(mistakes(folders), "");
  EXPECT_NE(mistakes(folders + "[[files]]\ndirectory = 'd'\n").find("at most 64"),
            std::string::npos);
}

TEST(Read, WhatIsSetTwice) {
  EXPECT_EQ(mistakes("port = 1\n port = 2\nhots = 'a'\n[limits]\nfields = 1\nfields = 2 # two\n"),
            "f:2:2: port: is set twice; remove one of the two\n"
            "f:3:1: hots: unknown key; did you mean host?\n"
            "f:6:1: limits.fields: is set twice; remove one of the two\n");
  EXPECT_EQ(mistakes("[limits]\nfields = 1\n[serve]\nquiet = 1\n[limits] # again\nfields = 2\n"
                     "deferred = 3\n[timeouts]\nheader_wait = 1\n"),
            "f:4:9: serve.quiet: is a whole number; write true or false\n"
            "f:5:1: [limits]: is there already; put its keys together, or remove one of the two\n"
            "f:9:15: timeouts.header_wait: is a whole number; write a number and ms, s, m or h, "
            "such as \"30s\"\n");
  EXPECT_EQ(mistakes("limits = { fields = 1, fields = 2 }\n"),
            "f:1:1: limits.fields: is set twice; remove one of the two\n");
  // Where lines cannot be told apart nothing is guessed.
  const std::string all = mistakes("protocols = []\nprotocols = [\n'a'\n]\n");
  EXPECT_EQ(all.find("f:2:"), 0u) << all;
  EXPECT_EQ(std::count(all.begin(), all.end(), '\n'), 1) << all;
}

TEST(Read, WhatIsNoToml) {
  for (const char* toml : {"port", "port = ", "port 80", "[limits", "host = \"a", "port = 08",
                           "host = a", "a = \xff", "= 1", "port = 1 host = 'a'"}) {
    const std::string all = mistakes(toml);
    EXPECT_EQ(all.find("f:1:"), 0u) << toml << ": " << all;
    EXPECT_NE(all.find("this is no TOML ("), std::string::npos) << all;
    EXPECT_EQ(std::count(all.begin(), all.end(), '\n'), 1) << all;
  }
  EXPECT_EQ(mistakes("port = 1\nport = 2\n\nhost\n").find("f:2:1: port: is set twice"), 0u);
}

TEST(Read, AtMostTwentyAreToldInTheOrderOfTheFile) {
  std::string toml;
  for (int i = 0; i < 20; ++i) toml += "x" + std::to_string(99 - i) + " = 1\n";
  Reading reading = read(toml);
  ASSERT_EQ(reading.mistakes.size(), 20u);
  EXPECT_FALSE(reading.has_more);
  for (std::uint32_t i = 0; i < 20; ++i) EXPECT_EQ(reading.mistakes[i].line, i + 1);
  reading = read(toml + "x1 = 1\n");
  EXPECT_EQ(reading.mistakes.size(), 20u);
  EXPECT_TRUE(reading.has_more);
  std::string twice = "port = 0\n";
  for (int i = 0; i < 50; ++i) twice += "port = 1\n";
  reading = read(twice);
  EXPECT_EQ(reading.mistakes.size(), 20u);
  EXPECT_TRUE(reading.has_more);
}

TEST(ReadFile, TellsWhatItCannotRead) {
  EXPECT_EQ(read_file("/no/such/file").error().code, Errc::not_found);
  EXPECT_NE(read_file("/no/such/file").error().detail.find("/no/such/file"), std::string::npos);
  EXPECT_EQ(read_file("/").error().code, Errc::io_failed);
  EXPECT_EQ(read_file("/dev/zero").error().code, Errc::io_failed);  // larger than any
  EXPECT_TRUE(read_file("/dev/null")->is_good());
}

TEST(Certificates, AreReadWhereverTheyStand) {
  const Configuration all = good(R"(
bindings = ["https://localhost:8443/",
            { prefix = "https://b.test:9443/", certificate_file = "b.pem", minimum_version = "1.3" }]
[binding_options]
watch_interval = "30s"
[ssl_options]
certificate_file = "a.pem"
private_key_file = "a.key"
store = "/store"
client_certificates = "optional"
client_ca_file = "ca.pem"
[[ssl_options.certificates]]
certificate_file = "c.pem"
[[ssl_options.certificates]]
hash = "00112233445566778899aabbccddeeff00112233"
)");
  const ServerSettings& server = all.server;
  EXPECT_EQ(server.ssl_options.certificate_file, "a.pem");
  EXPECT_EQ(server.ssl_options.private_key_file, "a.key");
  EXPECT_EQ(server.ssl_options.client_certificates, ClientCertificates::optional);
  ASSERT_EQ(server.ssl_options.certificates.size(), 2u);
  EXPECT_EQ(server.ssl_options.certificates[0].certificate_file, "c.pem");
  EXPECT_EQ(server.ssl_options.certificates[1].hash.size(), 40u);
  EXPECT_EQ(server.binding_options.watch_interval, std::chrono::seconds(30));
  const SslOptions& own = server.bindings.list()[1].options.ssl_options;
  EXPECT_EQ(own.certificate_file, "b.pem");
  EXPECT_EQ(own.minimum_version, TlsVersion::tls13);
}

TEST(Certificates, MistakesAreTold) {
  const auto says = [](std::string_view toml, std::string_view words) {
    const std::string told = mistakes(toml);
    EXPECT_EQ(told.find(words), 0u) << told;
  };
  says("bindings = [\"https://localhost:8443/\"]",
       "f:1:13: bindings[0]: \"https://localhost:8443/\" has no certificate; ");
  says("[ssl_options]\nprivate_key_file = \"a.key\"",
       "f:1:1: ssl_options.certificate_file: must name the file of a certificate");
  says("[ssl_options]\nhash = \"12\"",
       "f:2:8: ssl_options.hash: \"12\" is not valid; a thumbprint");
  says("[ssl_options]\nminimum_version = \"1.1\"",
       "f:2:19: ssl_options.minimum_version: \"1.1\" is unknown; write \"1.2\" or \"1.3\"");
  says("[[ssl_options.certificates]]\nocsp_file = \"a\"",
       "f:1:1: ssl_options.certificates[0]: has no certificate_file; ");
  says("[ssl_options]\nclient_ca_file = \"ca.pem\"",
       "f:1:1: ssl_options.client_certificates: is none though client_ca_file is set");
  says("[[bindings]]\nprefix = \"https://localhost:8443/\"\nprivate_key_file = \"a.key\"",
       "f:1:1: bindings[0].certificate_file: must name the file of a certificate");
}

}  // namespace
}  // namespace sluice::config
