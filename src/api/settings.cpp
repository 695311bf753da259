// api/settings.cpp - bounds, by name.
#include "api/settings.hpp"

#include <algorithm>
#include <chrono>
#include <set>
#include <string>
#include <string_view>

#include "api/ssl_wish.hpp"
#include "api/urls.hpp"
#include "core/coding_policy.hpp"
#include "io/resolver.hpp"
#include "proto/http/token.hpp"
#include "service/api_keys/key_step.hpp"
#include "service/auth/auth_rules.hpp"
#include "service/auth/secret_file.hpp"
#include "service/cache/response_cache.hpp"
#include "service/forward/upstream_url.hpp"
#include "service/rate_limit/rate_limit.hpp"

namespace sluice::api {
namespace {

Error bad(std::string_view setting, std::string_view why) {
  return {Errc::bad_setting, std::string(setting) + " " + std::string(why)};
}

bool same_names(const UrlGroupMap& a, const UrlGroupMap& b) {
  if (a.size() != b.size()) return false;
  for (const auto& [name, unused] : a) {
    if (!b.contains(name)) return false;
  }
  return true;
}

// But for what is taken anew while the server runs.
bool same_bindings(const Bindings& a, const Bindings& b) {
  const auto is_same = [](const Binding& one, const Binding& other) {
    PrefixOptions options = other.options;
    options.ssl_options = one.options.ssl_options;
    return one.prefix == other.prefix && one.options == options;
  };
  return std::equal(a.list().begin(), a.list().end(), b.list().begin(), b.list().end(), is_same);
}

Result<void> check_deflate(const PerMessageDeflate& settings) {
  const auto is_window = [](std::uint32_t bits) { return bits >= 8 && bits <= 15; };
  const auto is_level = [](std::uint32_t level) { return level >= 1 && level <= 9; };
  if (!is_window(settings.server_max_window_bits))
    return bad("extensions.permessage_deflate.server_max_window_bits", "must be from 8 to 15");
  if (!is_window(settings.client_max_window_bits))
    return bad("extensions.permessage_deflate.client_max_window_bits", "must be from 8 to 15");
  if (!is_level(settings.level))
    return bad("extensions.permessage_deflate.level", "must be from 1 to 9");
  if (!is_level(settings.memory_level))
    return bad("extensions.permessage_deflate.memory_level", "must be from 1 to 9");
  return {};
}

Result<void> check_codings(const ContentCodingOptions& settings) {
  if (settings.codings.empty()) return bad("content_coding.codings", "must name at least one");
  std::set<std::string_view> names;
  for (const std::string& name : settings.codings) {
    if (!is_content_coding(name)) {
      return bad("content_coding.codings", "has \"" + name + "\": it takes zstd, br and gzip");
    }
    if (!names.insert(name).second) {
      return bad("content_coding.codings", "has \"" + name + "\" twice");
    }
  }
  for (const std::string& type : settings.types) {
    if (!is_type_pattern(type)) {
      return bad("content_coding.types", "has \"" + type + "\", which is no media type");
    }
  }
  if (settings.encoder_bytes < kLeastEncoderBytes) {
    return bad("content_coding.encoder_bytes", "must be at least 4 MiB");
  }
  return {};
}

std::shared_ptr<const core::CodingPolicy> policy_of(const ContentCodingOptions& settings) {
  if (!settings.enabled) return nullptr;
  auto policy = std::make_shared<core::CodingPolicy>();
  for (const std::string& name : settings.codings) {
    policy->offered.push_back(*http::find_coding(name));
  }
  policy->types = settings.types;
  policy->patterns.assign(policy->types.begin(), policy->types.end());
  policy->rules.offered = policy->offered;
  if (!policy->patterns.empty()) policy->rules.types = policy->patterns;
  policy->rules.least_bytes = settings.least_bytes;
  policy->rules.secrets = settings.secrets_over_tls;
  policy->encoder_bytes = settings.encoder_bytes;
  policy->variant_bytes = settings.variant_bytes;
  return policy;
}

}  // namespace

bool is_content_coding(std::string_view name) {
  return name == "zstd" || name == "br" || name == "gzip";
}

bool is_type_pattern(std::string_view text) { return http::is_type_pattern(text); }

Result<void> check_settings(const Settings& settings) {
  const FineTune& tune = settings.fine_tune;
  if (tune.queue_length < 1 || tune.queue_length > 65535) {
    return bad("fine_tune.queue_length", "must be from 1 to 65535");
  }
  if (tune.high_perf_accepts_per_worker < 1 || tune.high_perf_accepts_per_worker > 64) {
    return bad("fine_tune.high_perf_accepts_per_worker", "must be from 1 to 64");
  }
  if (settings.read_buffer_size < 1024 || settings.read_buffer_size > (1 << 20)) {
    return bad("read_buffer_size", "must be from 1,024 to 1,048,576");
  }
  if (settings.limits.head_bytes < 64 || settings.limits.head_bytes > (16 << 20)) {
    return bad("limits.head_bytes", "must be from 64 to 16,777,216");
  }
  if (settings.limits.send_queue_bytes < 1024)
    return bad("limits.send_queue_bytes", "must be at least 1,024");
  if (settings.limits.bandwidth.value_or(kLeastBandwidth) < kLeastBandwidth) {
    return bad("limits.bandwidth", "must be at least 1,024 bytes per second");
  }
  if (settings.limits.message_bytes > kMostMessageBytes) {
    return bad("limits.message_bytes", "must be below 4 GiB");
  }
  const TcpKeepAlive& keep = settings.tcp_keep_alive;
  const auto is_time = [](std::chrono::seconds time) {
    return time.count() >= 1 && time.count() <= 32767;
  };
  if (!is_time(keep.time)) return bad("tcp_keep_alive.time", "must be from 1 to 32,767 seconds");
  if (!is_time(keep.interval))
    return bad("tcp_keep_alive.interval", "must be from 1 to 32,767 seconds");
  if (keep.probes < 1 || keep.probes > 127)
    return bad("tcp_keep_alive.probes", "must be from 1 to 127");
  const WatchDog& dog = settings.watchdog;
  constexpr std::chrono::milliseconds kLeast{10};
  constexpr std::chrono::milliseconds kLongest = std::chrono::hours(30 * 24);
  if (dog.interval < kLeast || dog.interval > kLongest)
    return bad("watchdog.interval", "must be from 10 ms to 30 days");
  if (dog.monitor.timeout < kLeast || dog.monitor.timeout > kLongest)
    return bad("watchdog.monitor.timeout", "must be from 10 ms to 30 days");
  if (settings.heartbeat.interval < std::chrono::milliseconds(10) ||
      settings.heartbeat.interval > kLongest) {
    return bad("heartbeat.interval", "must be from 10 ms to 30 days");
  }
  if (settings.heartbeat.timeout.count() < 0 || settings.heartbeat.timeout > kLongest) {
    return bad("heartbeat.timeout", "must be from 0 to 30 days");
  }
  const HttpUploadFiles& uploads = settings.http_upload_files;
  if (uploads.stream_type == UploadStream::file && uploads.save_directory.empty()) {
    return bad("http_upload_files.save_directory", "must be a folder for stream_type `file`");
  }
  if (auto good = check_deflate(settings.extensions.permessage_deflate); !good) return good;
  if (auto good = check_codings(settings.content_coding); !good) return good;
  std::set<std::string_view> names;
  for (const auto& protocol : settings.protocols.list()) {
    if (!http::is_token(protocol.name)) {
      return bad("protocols", "has \"" + protocol.name + "\", which is no token");
    }
    if (!names.insert(protocol.name).second) {
      return bad("protocols", "has \"" + protocol.name + "\" twice");
    }
  }
  if (settings.options.write_timeout.count() < 0 || settings.options.write_timeout > kLongest) {
    return bad("options.write_timeout", "must be from 0 to 30 days");
  }
  if (settings.limits.streams < 1 || settings.limits.streams > kMostStreams) {
    return bad("limits.streams", "must be from 1 to 10,000");
  }
  if (settings.shards > 1024) return bad("shards", "must be at most 1,024");
  if (settings.dispatch == Dispatch::thread_pool &&
      (settings.thread_pool_size < 1 || settings.thread_pool_size > 4096)) {
    return bad("thread_pool_size", "must be from 1 to 4,096");
  }
  if (auto good = service::RateLimit::check(settings.rate_limits); !good) {
    return bad("rate_limits:", good.error().detail);
  }
  if (auto good = service::ResponseCache::check(settings.response_cache, settings.cache_rules);
      !good) {
    return good;
  }
  if (settings.authentication.enabled) {
    if (auto good = service::check(settings.authentication); !good) return good;
  }
  if (auto good = check_ssl(settings); !good) return good;
  return check_groups(settings.url_groups, settings.limits);
}

Result<void> check_api_keys(const ApiKeySettings& settings) { return api_keys::check(settings); }

Result<void> check_upstream(std::string_view url) {
  if (auto parsed = service::UpstreamUrl::parse(url); !parsed) return parsed.error();
  return {};
}

Result<void> check_network(std::string_view text) {
  if (auto parsed = api_keys::Network::parse(text); !parsed) return parsed.error();
  return {};
}

Result<void> check_name_server(const std::string& server) {
  if (auto made = io::Resolver::create({server}); !made) return made.error();
  return {};
}

Result<void> check_authentication(const Authentication& settings) {
  if (auto rules = service::make_auth_rules(settings); !rules) return rules.error();
  return {};
}

Result<void> check_change(const Settings& before, const Settings& next) {
  const FineTune &was = before.fine_tune, &is = next.fine_tune;
  const std::pair<std::string_view, bool> fixed[] = {
      {"host", before.host == next.host},
      {"port", before.port == next.port},
      {"bindings", same_bindings(before.bindings, next.bindings)},
      {"url_groups", same_names(before.url_groups, next.url_groups)},
      {"fine_tune.operating_mode", was.operating_mode == is.operating_mode},
      {"fine_tune.high_perf_accepts_per_worker",
       was.high_perf_accepts_per_worker == is.high_perf_accepts_per_worker},
      {"fine_tune.inline_completions", was.inline_completions == is.inline_completions},
      {"log_file.file_name", before.log_file.file_name.empty() == next.log_file.file_name.empty()},
      {"tcp_keep_alive", before.tcp_keep_alive == next.tcp_keep_alive},
      {"http_upload_files", before.http_upload_files == next.http_upload_files},
      {"name_servers", before.name_servers == next.name_servers},
      {"watchdog", before.watchdog == next.watchdog},
      {"dispatch", before.dispatch == next.dispatch},
      {"thread_pool_size", before.thread_pool_size == next.thread_pool_size},
      {"shards", before.shards == next.shards},
      {"engine", before.engine == next.engine},
      {"read_buffer_size", before.read_buffer_size == next.read_buffer_size},
      {"protocols", before.protocols.has_names_of(next.protocols)},
      {"asynchronous", before.asynchronous == next.asynchronous},
  };
  for (const auto& [name, same] : fixed) {
    if (!same) return bad(name, "cannot change while the server runs; restart it");
  }
  return {};
}

Result<std::string> read_secret(const std::string& file) {
  auto text = service::read_secret_text(file, service::FileMode::owner_only);
  if (!text) return text.error();
  std::string_view secret = text->view();
  while (secret.ends_with('\n') || secret.ends_with('\r')) secret.remove_suffix(1);
  return std::string(secret);
}

core::SessionSettings session_settings(const Settings& settings) {
  core::SessionSettings in_force;
  in_force.fine_tune = settings.fine_tune;
  in_force.limits = settings.limits;
  in_force.timeouts = settings.timeouts;
  in_force.options = settings.options;
  in_force.heartbeat = settings.heartbeat;
  in_force.queue = settings.queue_options;
  in_force.extensions = settings.extensions;
  in_force.codings = policy_of(settings.content_coding);
  in_force.decodes_bodies = settings.content_coding.decode_requests;
  in_force.asynchronous = settings.asynchronous;
  in_force.security = settings.security_options;
  in_force.dispatch = settings.dispatch;
  in_force.thread_pool_size = settings.thread_pool_size;
  for (const auto& protocol : settings.protocols.list()) {
    in_force.protocols.push_back(protocol.name);
  }
  in_force.handler_limit = settings.handler_limit;
  in_force.watchdog = settings.watchdog.enabled;
  in_force.names_handlers = settings.watchdog.enabled && settings.watchdog.monitor.enabled;
  return in_force;
}

}  // namespace sluice::api
