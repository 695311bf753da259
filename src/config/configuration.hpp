// config/configuration.hpp - everything that a configuration file can say, as one value.
//
// A file is read into a Configuration (read.hpp), which is then laid upon a Server: never half of
// it, and a second one, read while the server runs, can be compared with the first. Layer: config.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <sluice/api_keys.hpp>
#include <sluice/authentication.hpp>
#include <sluice/rate_limit.hpp>
#include <sluice/response_cache.hpp>
#include <sluice/server.hpp>
#include <sluice/settings.hpp>

namespace sluice::config {

// One [[url_groups]].
struct NamedUrlGroup {
  std::string name;
  UrlGroupOptions options;

  friend bool operator==(const NamedUrlGroup&, const NamedUrlGroup&) = default;
};

// The settings of a Server: the members of the same names, with the same defaults (a test compares
// them). What a file can only name, users and API keys, is opened by open.hpp.
struct ServerSettings {
  std::string host = "localhost";
  std::uint16_t port = 8080;
  Bindings bindings;
  BindingOptions binding_options;
  SslOptions ssl_options;
  FineTune fine_tune;
  Limits limits;
  Timeouts timeouts;
  Options options;
  QueueOptions queue_options;
  Extensions extensions;
  ContentCodingOptions content_coding;
  SecurityOptions security_options;
  std::vector<NamedUrlGroup> url_groups;
  RequestQueueOptions request_queue;
  TcpKeepAlive tcp_keep_alive;
  HttpUploadFiles http_upload_files;
  LogFile log_file;
  std::vector<std::string> name_servers;
  HeartBeat heartbeat;
  WatchDog watchdog;
  Authentication authentication;
  std::vector<RateRule> rate_limits;
  ResponseCacheOptions response_cache;
  std::vector<CacheRule> cache_rules;
  bool asynchronous = false;
  Dispatch dispatch = Dispatch::inline_;
  std::uint32_t thread_pool_size = 32;
  std::uint32_t shards = 0;
  EngineKind engine = EngineKind::automatic;
  std::size_t read_buffer_size = 16384;
  std::vector<std::string> protocols;
  std::chrono::milliseconds handler_limit{1000};
};

ServerSettings settings_of(const Settings& server);
// Before start(), or in what apply() is given. The lists of users, the API keys and a secret that
// stands in a file of its own stay as they are: they are open.hpp's.
void set(const ServerSettings& settings, Settings& server);

// One [[files]]: a folder that is served.
struct FilesRoot {
  std::string prefix = "/";
  std::string directory;
  FilesOptions options;

  friend bool operator==(const FilesRoot& a, const FilesRoot& b) {
    const FilesOptions &x = a.options, &y = b.options;
    return a.prefix == b.prefix && a.directory == b.directory && x.index == y.index &&
           x.listing == y.listing && x.precompressed == y.precompressed &&
           x.follow_symlinks_out == y.follow_symlinks_out && x.hidden_files == y.hidden_files &&
           x.cache_control == y.cache_control;
  }
};

// One [[forward]]: what others answer.
struct ForwardRoot {
  std::string prefix = "/";
  ForwardOptions options;

  friend bool operator==(const ForwardRoot&, const ForwardRoot&) = default;
};

// One [[upload]]: a folder that takes files of clients.
struct UploadRoot {
  std::string prefix = "/upload/";
  std::string directory;
  UploadOptions options;

  friend bool operator==(const UploadRoot&, const UploadRoot&) = default;
};

// [serve]: what `sluice serve` adds to the server.
struct ServeSettings {
  std::string echo;       // path, or empty
  std::string broadcast;  // path, or empty
  bool quiet = false;

  friend bool operator==(const ServeSettings&, const ServeSettings&) = default;
};

// Of [authentication]: the files of users and of the secret, or empty.
struct AuthenticationFiles {
  std::string users;
  std::string digest_users;
  std::string secret;

  friend bool operator==(const AuthenticationFiles&, const AuthenticationFiles&) = default;
};

// [api_keys]
struct ApiKeysFile {
  std::string store;        // empty: nobody is asked for a key
  std::string secret_file;  // empty: STORE.secret
  ApiKeySettings settings;  // without events

  friend bool operator==(const ApiKeysFile& a, const ApiKeysFile& b) {
    const ApiKeySettings &x = a.settings, &y = b.settings;
    return a.store == b.store && a.secret_file == b.secret_file && x.header == y.header &&
           x.query_parameter == y.query_parameter && x.required == y.required &&
           x.paths == y.paths && x.grace == y.grace && x.fail_closed == y.fail_closed &&
           x.check_interval == y.check_interval && x.stale_after == y.stale_after;
  }
};

struct Configuration {
  ServerSettings server;
  AuthenticationFiles authentication_files;
  ApiKeysFile api_keys;
  std::vector<FilesRoot> files;
  std::vector<ForwardRoot> forward;
  std::vector<UploadRoot> uploads;
  ServeSettings serve;
};

}  // namespace sluice::config
