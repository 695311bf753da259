// tests/config/example_test.cpp - the public headers, the table of keys, examples/sluice.toml and
// the manual page say the same.
//
// Layer: tests.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <set>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <variant>
#include <vector>

#include "config/read.hpp"
#include "config/schema.hpp"

namespace sluice::config {
namespace {

std::string file_text(const std::string& path) {
  std::ifstream in(SLUICE_TEST_SOURCE_DIR "/" + path);
  std::ostringstream text;
  text << in.rdbuf();
  EXPECT_GT(text.str().size(), 0u) << path;
  return text.str();
}

// Without what stands in angle brackets and braces, and without what follows an equals sign.
std::string declared(const std::string& statement) {
  std::string bare;
  int depth = 0;
  for (const char c : statement) {
    if (c == '=' && depth == 0) break;
    if (c == '<' || c == '{') ++depth;
    if (depth == 0) bare += c;
    if (c == '>' || c == '}') --depth;
  }
  return bare;
}

// The names of the members that are declared in a header between two texts.
std::vector<std::string> members(const std::string& header, const std::string& from,
                                 const std::string& to) {
  const std::string whole = file_text(header);
  const std::size_t begin = whole.find(from), end = whole.find(to, begin);
  EXPECT_NE(end, std::string::npos) << from;
  std::istringstream lines(whole.substr(begin + from.size(), end - begin - from.size()));
  std::string code;
  for (std::string line; std::getline(lines, line);) code += line.substr(0, line.find("//")) + ' ';
  std::vector<std::string> names;
  std::istringstream statements(code);
  for (std::string statement; std::getline(statements, statement, ';');) {
    if (statement.find("friend ") != std::string::npos) continue;
    if (statement.find("static ") != std::string::npos) continue;
    std::istringstream words(declared(statement));
    std::string name;
    for (std::string word; words >> word;) {
      if (word.back() == ',') names.push_back(word.substr(0, word.size() - 1));
      name = word;
    }
    if (!name.empty()) names.push_back(name);
  }
  return names;
}

template <class Visit>
void for_each_list(Visit visit) {
  std::apply([&visit](const auto&... list) { (visit(list), ...); }, lists());
}

std::set<std::string> keys() {
  std::set<std::string> all;
  for (const auto& row : rows()) EXPECT_TRUE(all.insert(row.key()).second) << row.key();
  for_each_list([&all](const auto& list) {
    for (const auto& row : list.rows()) {
      EXPECT_EQ(row.table, list.key);
      EXPECT_TRUE(all.insert(row.key()).second) << row.key();
    }
  });
  return all;
}

// Tables and lists of tables.
std::set<std::string> all_tables() {
  std::set<std::string> all(tables().begin(), tables().end());
  for_each_list([&all](const auto& list) { all.emplace(list.key); });
  return all;
}

TEST(Schema, HasEverySettingOfTheHeaders) {
  const std::set<std::string> all = keys(), its_tables = all_tables();
  const auto has = [&](const std::string& header, const std::string& table, const std::string& name,
                       std::size_t least, const std::set<std::string>& but = {}) {
    const auto found =
        members("include/sluice/" + header + ".hpp", "struct " + name + " {", "\n};");
    EXPECT_GE(found.size(), least) << name;
    for (const std::string& member : found) {
      const std::string key = table + "." + member;
      EXPECT_NE(all.contains(key) || its_tables.contains(key), but.contains(member)) << key;
    }
  };
  has("settings", "fine_tune", "FineTune", 4);
  has("settings", "limits", "Limits", 12);
  has("settings", "timeouts", "Timeouts", 6);
  has("settings", "options", "Options", 4);
  has("settings", "security_options", "SecurityOptions", 3);
  has("settings", "request_queue", "RequestQueueOptions", 2);
  has("settings", "tcp_keep_alive", "TcpKeepAlive", 4);
  has("settings", "queue_options", "QueueOptions", 3);
  has("settings", "extensions", "Extensions", 1);
  has("settings", "extensions.permessage_deflate", "PerMessageDeflate", 8);
  has("settings", "content_coding", "ContentCodingOptions", 8);
  has("settings", "log_file", "LogFile", 2);
  has("settings", "http_upload_files", "HttpUploadFiles", 5);
  has("settings", "heartbeat", "HeartBeat", 4);
  has("settings", "files", "FilesOptions", 6);
  has("settings", "forward", "ForwardOptions", 9, {"timeouts", "tls"});
  for (const std::string& member :
       members("include/sluice/settings.hpp", "struct ForwardTls {", "\n};")) {
    EXPECT_TRUE(all.contains("forward.tls_" + member)) << member;
  }
  has("settings", "upload", "UploadOptions", 3);
  has("settings", "bindings", "PrefixOptions", 3, {"ssl_options"});
  has("ssl_options", "bindings", "SslOptions", 10, {"certificates"});
  has("ssl_options", "ssl_options", "SslOptions", 10);
  has("ssl_options", "ssl_options.certificates", "SslCertificate", 4);
  has("ssl_options", "binding_options", "BindingOptions", 2);
  has("settings", "url_groups", "UrlGroupOptions", 7);
  has("rate_limit", "rate_limits", "RateRule", 8);
  has("response_cache", "response_cache", "ResponseCacheOptions", 3);
  has("response_cache", "cache", "CacheRule", 3);
  has("authentication", "authentication", "Authentication", 13);
  has("authentication", "authentication.basic", "BasicAuthentication", 2);
  has("authentication", "authentication.digest", "DigestAuthentication", 4);
  has("authentication", "authentication.bearer", "BearerAuthentication", 9);
  has("authentication", "authentication.session", "SessionAuthentication", 2);
  has("authentication", "authentication.url", "UrlAuthentication", 1);
  has("authentication", "authentication.failures", "AuthenticationFailures", 6);
  has("api_keys", "api_keys", "ApiKeySettings", 9, {"events"});  // functions are code
  has("api_keys", "api_keys.paths", "ApiKeyPath", 2);
  const auto of_server = members("include/sluice/server.hpp", "struct Settings {", "\n};");
  EXPECT_GE(of_server.size(), 20u);
  for (const std::string& member : of_server) {
    const std::string name = member == "api_key_manager" ? "api_keys"
                             : member == "cache_rules"   ? "cache"
                                                         : member;
    EXPECT_TRUE(all.contains(name) || its_tables.contains(name)) << member;
  }
}

TEST(Schema, HasTheDefaultsOfAServer) {
  const Server server;
  Configuration of_server;
  of_server.server = settings_of(server);
  for (const auto& row : rows()) {
    EXPECT_EQ(value_text(row, of_server), value_text(row, Configuration())) << row.key();
  }
}

// Gives each member that has a row another value.
template <class Object>
void change(std::span<const Row<Object>> all, Object& object) {
  for (const auto& row : all) {
    std::visit(
        [&object](const auto& kind) {
          using Kind = std::decay_t<decltype(kind)>;
          if constexpr (std::is_same_v<Kind, Flag<Object>>) {
            kind.at(object) = !kind.at(object);
          } else if constexpr (std::is_same_v<Kind, Number<Object>>) {
            kind.set(object, kind.get(object).value_or(0) + 1);
          } else if constexpr (std::is_same_v<Kind, Time<Object>>) {
            kind.set(object, kind.get(object).value_or(std::chrono::milliseconds(0)) + kind.step);
          } else if constexpr (std::is_same_v<Kind, Text<Object>>) {
            kind.at(object) += "x";
          } else if constexpr (std::is_same_v<Kind, List<Object>>) {
            kind.set(object, {kind.words.empty() ? "x" : std::string(kind.words.front())});
          } else {
            kind.set(object, kind.get(object) == 0 ? 1 : 0);
          }
        },
        row.kind);
  }
}

// A value for each key that is not its default goes into a server and comes back.
TEST(Schema, SetsEveryMemberOfAServer) {
  Configuration changed;
  change(rows(), changed);
  for_each_list(
      [&changed](const auto& list) { change(list.rows(), list.at(changed).emplace_back()); });
  Server server;
  set(changed.server, server);
  Configuration back;
  back.server = settings_of(server);
  // What a server does not have as it is.
  back.serve = changed.serve;
  back.files = changed.files;
  back.forward = changed.forward;
  back.uploads = changed.uploads;
  back.authentication_files = changed.authentication_files;
  back.api_keys = changed.api_keys;
  for (const auto& row : rows()) {
    EXPECT_NE(value_text(row, back), value_text(row, Configuration())) << row.key();
    EXPECT_EQ(value_text(row, back), value_text(row, changed)) << row.key();
  }
  for_each_list([&](const auto& list) {
    ASSERT_EQ(list.at(back).size(), 1u) << list.key;
    const auto& entry = list.at(back)[0];
    for (const auto& row : list.rows()) {
      EXPECT_NE(value_text(row, entry), value_text(row, std::decay_t<decltype(entry)>()))
          << row.key();
      EXPECT_EQ(value_text(row, entry), value_text(row, list.at(changed)[0])) << row.key();
    }
  });
}

// The lists of users are not the file's: they stay those of the server.
TEST(Schema, LeavesTheUsersToTheServer) {
  Server server;
  const UserList users = server.authentication.users;
  const DigestUserList digest_users = server.authentication.digest.users;
  Configuration changed;
  changed.server.authentication.enabled = true;
  set(changed.server, server);
  EXPECT_TRUE(server.authentication.enabled);
  EXPECT_TRUE(server.authentication.users == users);
  EXPECT_TRUE(server.authentication.digest.users == digest_users);
}

// Because of the setting of that name.
bool is_refused(const Configuration& configuration, std::string_view name) {
  Server server;
  set(configuration.server, server);
  const Error why = server.start().error();
  return why.code == Errc::bad_setting && why.detail.find(name) != std::string::npos;
}

// So that every bound is looked at.
Configuration strict() {
  Configuration configuration;
  configuration.server.dispatch = Dispatch::thread_pool;
  configuration.server.authentication.enabled = true;
  configuration.server.authentication.basic.enabled = true;
  configuration.server.authentication.bearer.enabled = true;
  return configuration;
}

// Server::start() refuses one beyond each bound that is narrower than its type.
TEST(Schema, HasTheBoundsOfTheServer) {
  const std::set<std::string> checked = {
      "thread_pool_size",       "shards",
      "read_buffer_size",       "fine_tune.queue_length",
      "limits.message_bytes",   "fine_tune.high_perf_accepts_per_worker",
      "limits.head_bytes",      "limits.send_queue_bytes",
      "tcp_keep_alive.probes",  "authentication.parallel",
      "authentication.waiting", "response_cache.entry_bytes"};
  std::size_t seen = 0;
  for (const auto& row : rows()) {
    const auto* const kind = std::get_if<Number<Configuration>>(&row.kind);
    if (kind == nullptr || !checked.contains(row.key())) continue;
    ++seen;
    const auto refused = [&](std::uint64_t value) {
      Configuration configuration = strict();
      kind->set(configuration, value);
      return is_refused(configuration, row.name);
    };
    if (kind->least > 1 || row.name == "thread_pool_size" || row.name == "probes" ||
        row.name == "parallel") {
      EXPECT_TRUE(refused(kind->least - 1)) << row.key();
    }
    if (kind->most < INT64_MAX) {
      EXPECT_TRUE(refused(kind->most + 1)) << row.key();
    }
  }
  EXPECT_EQ(seen, checked.size());
}

TEST(Schema, HasTheBoundsOfTheServersTimes) {
  std::size_t seen = 0;
  for (const auto& row : rows()) {
    const auto* const kind = std::get_if<Time<Configuration>>(&row.kind);
    const bool is_bound = kind != nullptr && (kind->least.count() > 0 || kind->most < kind->kMost);
    if (!is_bound) continue;
    ++seen;
    for (const auto value : {kind->least - kind->step, kind->most + kind->step}) {
      Configuration configuration = strict();
      kind->set(configuration, value);
      if (row.table == "api_keys") {
        const auto made = ApiKeyManager::memory(configuration.api_keys.settings);
        EXPECT_EQ(made.error().code, Errc::bad_setting) << row.key();
      } else {
        EXPECT_TRUE(is_refused(configuration, row.name == "monitor_timeout" ? "monitor" : row.name))
            << row.key();
      }
    }
  }
  // Of tcp_keep_alive, heartbeat and watchdog five, of authentication eight, of API keys two, of
  // the response cache one, of binding_options one.
  EXPECT_EQ(seen, 17u);
}

TEST(Schema, HasTheBoundsOfARateLimit) {
  const auto is_good = [](const RateRule& rule) {
    Configuration configuration;
    configuration.server.rate_limits = {rule};
    return !is_refused(configuration, "rate limit");
  };
  RateRule usual;
  usual.name = "a";
  for (const auto& row : rate_limit_rows()) {
    RateRule rule = usual;
    if (const auto* const number = std::get_if<Number<RateRule>>(&row.kind)) {
      if (number->least > 0) {
        number->set(rule, number->least - 1);
        EXPECT_FALSE(is_good(rule)) << row.key();
      }
      number->set(rule, number->most + 1);
      EXPECT_FALSE(is_good(rule)) << row.key();
    } else if (const auto* const time = std::get_if<Time<RateRule>>(&row.kind)) {
      for (const auto value : {time->least - time->step, time->most + time->step}) {
        time->set(rule, value);
        EXPECT_FALSE(is_good(rule)) << row.key();
      }
    }
  }
}

// The example, and with "#key = value" lines made keys.
std::string example(bool all) {
  std::istringstream lines(file_text("examples/sluice.toml"));
  std::string toml;
  for (std::string line; std::getline(lines, line);) {
    const bool key = line.size() > 1 && line[0] == '#' && line[1] != ' ';
    toml += (all && key ? line.substr(1) : line) + "\n";
  }
  return toml;
}

TEST(Example, HasTheDefaults) {
  const Reading reading = read(example(false));
  for (const Mistake& mistake : reading.mistakes) ADD_FAILURE() << text(mistake, "sluice.toml");
  for (const auto& row : rows()) {
    EXPECT_EQ(value_text(row, reading.configuration), value_text(row, Configuration()))
        << row.key();
  }
  for_each_list([&reading](const auto& list) {
    Configuration configuration = reading.configuration;
    EXPECT_TRUE(list.at(configuration).empty()) << list.key;
  });
  const Reading whole = read(example(true));
  for (const Mistake& mistake : whole.mistakes) ADD_FAILURE() << text(mistake, "sluice.toml");
  for_each_list([&whole](const auto& list) {
    Configuration configuration = whole.configuration;
    ASSERT_EQ(list.at(configuration).size(), 1u) << list.key;
    const auto& entry = list.at(configuration)[0];
    for (const auto& row : list.rows()) {
      if (row.name == list.needed && list.key != "api_keys.paths") continue;
      EXPECT_EQ(value_text(row, entry), value_text(row, std::decay_t<decltype(entry)>()))
          << row.key();
    }
  });
}

TEST(Example, HasEveryKeyAndNoOther) {
  std::set<std::string> found, found_tables;
  std::istringstream lines(example(true));
  std::string table;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with('[')) {
      table = line.substr(line.find_first_not_of('['));
      table = table.substr(0, table.find(']'));
      EXPECT_TRUE(found_tables.insert(table).second) << table;
      table += ".";
    } else if (!line.empty() && line[0] != '#') {
      const std::string key = table + line.substr(0, line.find(' '));
      EXPECT_TRUE(found.insert(key).second) << key;
    }
  }
  EXPECT_EQ(found, keys());
  found_tables.insert("extensions");  // has tables, and no key of its own
  EXPECT_EQ(found_tables, all_tables());
}

// An item of the page is `.It Cm KEY Ar ...`, below a subsection `.Ss [TABLE]`.
TEST(Manual, HasEveryKeyAndNoOther) {
  std::multiset<std::string> expected, found;
  for (const std::string& key : keys()) expected.insert(key);
  std::istringstream lines(file_text("docs/man/sluice.toml.5"));
  std::string table;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string macro, kind, name;
    words >> macro >> kind >> name;
    if (macro == ".Ss") {
      const std::size_t begin = std::min(kind.find_first_not_of('['), kind.size());
      table = kind.starts_with('[') ? kind.substr(begin, kind.find(']') - begin) + "." : "";
    } else if (macro == ".It" && kind == "Cm") {
      found.insert(table + name);
    }
  }
  EXPECT_EQ(found, expected);
}

TEST(Manual, HasExamplesThatAreRight) {
  std::istringstream lines(file_text("docs/man/sluice.toml.5"));
  std::size_t seen = 0;
  std::string toml;
  bool inside = false;
  for (std::string line; std::getline(lines, line);) {
    if (line == ".Ed") {
      const Reading reading = read(toml);
      for (const Mistake& mistake : reading.mistakes) ADD_FAILURE() << text(mistake, "example");
      ++seen;
      inside = false;
    }
    if (inside) toml += line + "\n";
    if (!line.starts_with(".Bd")) continue;
    inside = true;
    toml.clear();
  }
  EXPECT_EQ(seen, 2u);
}

}  // namespace
}  // namespace sluice::config
