// config/whole.cpp - see whole.hpp.
//
// Layer: config.
#include "config/whole.hpp"

#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "api/listen.hpp"
#include "api/settings.hpp"
#include "api/ssl_wish.hpp"
#include "config/nearest.hpp"
#include "config/schema.hpp"

namespace sluice::config {
namespace {

// What an error says, taken apart.
struct Told {
  std::string key;   // empty: none that a file has
  std::string what;  // what is left to say behind it
};

std::string index(std::string_view list, std::size_t at) {
  return std::string(list) + "[" + std::to_string(at) + "]";
}

// The member and the rest of "member must be so".
Told member_of(std::string_view words, const std::string& owner) {
  const std::size_t end = std::min(words.find_first_of(" :"), words.size());
  const std::size_t rest = std::min(words.find_first_not_of(" :", end), words.size());
  return {owner + "." + std::string(words.substr(0, end)), std::string(words.substr(rest))};
}

// rate limit "NAME": burst must be ...
Told of_rate_limit(std::string_view detail, const ServerSettings& server) {
  for (std::size_t i = 0; i < server.rate_limits.size(); ++i) {
    const std::string front = "rate_limits: rate limit \"" + server.rate_limits[i].name + "\": ";
    if (detail.starts_with(front)) {
      return member_of(detail.substr(front.size()), index("rate_limits", i));
    }
  }
  return {};
}

// cache_rules: "PATH": ttl must ...
Told of_cache_rule(std::string_view detail, const ServerSettings& server) {
  for (std::size_t i = 0; i < server.cache_rules.size(); ++i) {
    const std::string front = "cache_rules: \"" + server.cache_rules[i].path + "\": ";
    if (detail.starts_with(front)) {
      return member_of(detail.substr(front.size()), index("cache", i));
    }
  }
  return {};
}

// url_groups["NAME"].head_bytes must be ...
Told of_group(std::string_view detail, const ServerSettings& server) {
  for (std::size_t i = 0; i < server.url_groups.size(); ++i) {
    const std::string front = "url_groups[\"" + server.url_groups[i].name + "\"].";
    if (detail.starts_with(front)) {
      return member_of(detail.substr(front.size()), index("url_groups", i));
    }
  }
  return {};
}

Told of_setting(std::string_view detail, const ServerSettings& server) {
  if (detail.starts_with("rate_limits: ")) return of_rate_limit(detail, server);
  if (detail.starts_with("cache_rules: ")) return of_cache_rule(detail, server);
  if (detail.starts_with("url_groups[")) return of_group(detail, server);
  const std::size_t end = std::min(detail.find_first_of(" :"), detail.size());
  const std::size_t rest = std::min(detail.find_first_not_of(" :", end), detail.size());
  Told told{std::string(detail.substr(0, end)), std::string(detail.substr(rest))};
  // The file has these one level higher.
  constexpr std::string_view kOfPrefix = ".ssl_options";
  if (const auto at = told.key.find(kOfPrefix);
      at != std::string::npos && told.key.starts_with("bindings[")) {
    told.key.erase(at, kOfPrefix.size());
  }
  if (told.key == "watchdog.monitor.timeout") told.key = "watchdog.monitor_timeout";
  if (told.key == "watchdog.monitor.enabled") told.key = "watchdog.monitor";
  return told;
}

// "http://...": what is wrong with it.
Told of_prefix(std::string_view detail, const ServerSettings& server) {
  const std::vector<Binding>& list = server.bindings.list();
  if (list.empty()) return {"host", std::string(detail)};
  for (std::size_t i = list.size(); i-- > 0;) {
    if (detail.find("\"" + list[i].prefix + "\"") != std::string_view::npos) {
      return {index("bindings", i), std::string(detail)};
    }
  }
  return {"bindings", std::string(detail)};
}

// 127.0.0.1:80 is taken ...
Told of_address(std::string_view detail, const ServerSettings& server, bool is_port) {
  const std::string_view address = detail.substr(0, detail.find(' '));
  const std::string_view digits = address.substr(std::min(address.rfind(':') + 1, address.size()));
  std::uint16_t port = 0;
  const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (failed != std::errc() || end != digits.data() + digits.size()) return {};
  const std::vector<Binding>& list = server.bindings.list();
  if (list.empty()) return {is_port ? "port" : "host", std::string(detail)};
  std::size_t found = list.size();
  for (std::size_t i = list.size(); i-- > 0;) {
    const auto prefix = api::parse_prefix(list[i]);
    if (!prefix || prefix->url.port != port) continue;
    const std::string host = "//" + std::string(address);
    if (found == list.size() || list[i].prefix.find(host) != std::string::npos) found = i;
  }
  return {found < list.size() ? index("bindings", found) : "bindings", std::string(detail)};
}

// FILE: Permission denied
Told of_file(std::string_view detail, const Configuration& from) {
  Configuration configuration = from;  // rows lead to what may be changed
  for (const Row<Configuration>& row : rows()) {
    const auto* const kind = std::get_if<Text<Configuration>>(&row.kind);
    if (kind == nullptr || kind->is_secret) continue;
    const std::string& value = kind->at(configuration);
    if (!value.empty() && detail.starts_with(value + ": ")) return {row.key(), std::string(detail)};
  }
  return {};
}

// upload "/prefix/": the directory ...
Told of_upload(std::string_view detail, const Configuration& configuration) {
  for (std::size_t i = 0; i < configuration.uploads.size(); ++i) {
    const std::string named = "upload \"" + configuration.uploads[i].prefix + "\": ";
    if (!detail.starts_with(named)) continue;
    return {index("upload", i) + ".directory", std::string(detail.substr(named.size()))};
  }
  return {};
}

Told told_of(const Error& error, const Configuration& configuration) {
  const ServerSettings& server = configuration.server;
  switch (error.code) {
    case Errc::bad_setting:
      if (Told told = of_upload(error.detail, configuration); !told.key.empty()) return told;
      return of_setting(error.detail, server);
    case Errc::bad_prefix:
      return of_prefix(error.detail, server);
    case Errc::address_in_use:
      return of_address(error.detail, server, true);
    case Errc::permission_denied:
    case Errc::io_failed:
    case Errc::not_found:
    case Errc::not_regular_file: {
      Told told = of_file(error.detail, configuration);
      return told.key.empty() ? of_address(error.detail, server, true) : told;
    }
    case Errc::address_not_available:
      return of_address(error.detail, server, false);
    default:
      return {};
  }
}

// Where the key stands, or what it is in.
const Place* find_place(const Places& places, std::string_view key) {
  while (!key.empty()) {
    if (const auto found = places.find(key); found != places.end()) return &found->second;
    const std::size_t end = key.find_last_of(".[");
    key = key.substr(0, end == std::string_view::npos ? 0 : end);
  }
  return nullptr;
}

// --- What is wrong together ----------------------------------------------------------------------

class Whole {
 public:
  Whole(const Reading& reading, Mistakes& mistakes)
      : configuration_(reading.configuration), places_(reading.places), mistakes_(mistakes) {}

  void look() {
    look_at_groups();
    look_at_authentication();
    look_at_api_keys();
  }

 private:
  bool has(std::string_view key) const { return places_.contains(key); }
  void add(const std::string& key, std::string what) {
    const Place* const place = find_place(places_, key);
    mistakes_.add(place ? *place : Place{}, key, std::move(what));
  }

  void look_at_groups() {
    const std::vector<Binding>& bindings = configuration_.server.bindings.list();
    std::vector<std::string_view> names;
    for (const NamedUrlGroup& group : configuration_.server.url_groups) names.push_back(group.name);
    for (std::size_t i = 0; i < bindings.size(); ++i) {
      const std::string& wanted = bindings[i].options.url_group;
      if (wanted.empty() || std::find(names.begin(), names.end(), wanted) != names.end()) continue;
      const std::string_view meant = nearest(wanted, names);
      add(index("bindings", i) + ".url_group",
          quoted(wanted) + " is no group; " +
              (meant.empty() ? "write [[url_groups]] and below it name = " + quoted(wanted)
                             : "did you mean " + quoted(meant) + "?"));
    }
  }

  // What lets nobody in, and what lets everybody in though it does not look like that.
  void look_at_authentication() {
    const Authentication& wanted = configuration_.server.authentication;
    const AuthenticationFiles& files = configuration_.authentication_files;
    const std::pair<std::string_view, bool> schemes[] = {{"basic", wanted.basic.enabled},
                                                         {"digest", wanted.digest.enabled},
                                                         {"bearer", wanted.bearer.enabled},
                                                         {"session", wanted.session.enabled},
                                                         {"url", wanted.url.enabled}};
    for (const auto& [name, enabled] : schemes) {
      if (!enabled || wanted.enabled || has("authentication.enabled")) continue;
      add("authentication." + std::string(name) + ".enabled",
          "authentication is off; write enabled = true below [authentication] (or false, to keep "
          "it off)");
    }
    const bool asks_passwords =
        wanted.basic.enabled || wanted.session.enabled || wanted.url.enabled;
    if (wanted.enabled && asks_passwords && files.users.empty()) {
      add("authentication.users",
          "basic, session and url need users; write users = \"FILE\", which sluice passwd makes");
    }
    if (wanted.enabled && wanted.digest.enabled && files.digest_users.empty()) {
      add("authentication.digest.users",
          "digest needs users; write users = \"FILE\", which sluice passwd --digest makes");
    }
    if (!wanted.bearer.secret.empty() && !files.secret.empty()) {
      add("authentication.bearer.secret_file", "there is a secret already; remove one of the two");
    }
  }

  void look_at_api_keys() {
    const ApiKeysFile& keys = configuration_.api_keys;
    if (keys.store.empty() && has("api_keys") && !has("api_keys.store")) {
      add("api_keys.store",
          "nobody would be asked for a key; write store = \"FILE\", which sluice keys issue makes "
          "(or store = \"\")");
    }
    const auto checked = api::check_api_keys(keys.settings);
    if (checked) return;
    const Told told = member_of(checked.error().detail, "api_keys");
    add(told.key, told.what);
  }

  const Configuration& configuration_;
  const Places& places_;
  Mistakes& mistakes_;
};

}  // namespace

std::optional<Mistake> mistake_of(const Error& error, const Reading& reading) {
  Told told = told_of(error, reading.configuration);
  if (told.key.empty()) return std::nullopt;
  const Place* const place = find_place(reading.places, told.key);
  if (place == nullptr && error.code != Errc::bad_setting) return std::nullopt;
  Mistake mistake{0, 0, std::move(told.key), std::move(told.what)};
  if (place != nullptr) {
    mistake.line = place->line;
    mistake.column = place->column;
  }
  return mistake;
}

void look_at_the_whole(const Reading& reading, Mistakes& mistakes) {
  Whole(reading, mistakes).look();
  Settings settings;
  set(reading.configuration.server, settings);
  auto checked = api::check_settings(settings);
  if (checked) checked = api::check_bindings(settings);
  if (checked) return;
  const auto mistake = mistake_of(checked.error(), reading);
  if (!mistake) return mistakes.add({}, {}, checked.error().message());
  mistakes.add({mistake->line, mistake->column}, mistake->key, mistake->what);
}

}  // namespace sluice::config
