// config/schema.cpp - see schema.hpp.
//
// Bounds are those of Server::start() where it has some; a test compares them. Layer: config.
#include "config/schema.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "api/settings.hpp"
#include "api/ssl_wish.hpp"
#include "api/urls.hpp"
#include "config/access_rows.hpp"
#include "config/row_maker.hpp"
#include "config/text_checks.hpp"
#include "config/units.hpp"

namespace sluice::config {
namespace {

constexpr std::uint64_t kKiB = 1024, kMiB = kKiB * 1024;
// TOML's whole numbers end here.
constexpr std::uint64_t kMost = std::numeric_limits<std::int64_t>::max();
constexpr std::uint64_t kMost32 = std::numeric_limits<std::uint32_t>::max();

constexpr std::chrono::seconds kLeastKeepAlive{1}, kMostKeepAlive{32767};  // the kernel's

constexpr std::chrono::milliseconds kLeastLook{10};  // of heartbeats and of the watchdog

constexpr std::chrono::milliseconds kNoWait{0}, kLongestWait = std::chrono::hours(1);

constexpr std::string_view kModes[] = {"classic", "high_perf"};
constexpr std::string_view kDispatches[] = {"inline", "thread_pool"};
constexpr std::string_view kEngines[] = {"auto", "uring", "epoll"};
constexpr std::string_view kFragments[] = {"only_buffer", "only_fragmented", "all"};
constexpr std::string_view kVerbosities[] = {"basic", "limited", "full"};
constexpr std::string_view kHeartbeats[] = {"always", "only_if_idle"};
constexpr std::string_view kLogLevels[] = {"debug", "info", "warning", "error"};
constexpr std::string_view kUploadStreams[] = {"memory", "file"};
constexpr std::string_view kQueueLevels[] = {"all", "last", "none"};
constexpr std::string_view kSlowReaders[] = {"close", "drop_newest", "drop_oldest"};

std::vector<Row<Configuration>> server_rows() {
  using C = Configuration;
  using S = ServerSettings;
  constexpr auto server = &C::server;
  const Table<C, server> top{""};
  const Table<C, server, &S::binding_options> binding{"binding_options"};
  const Table<C, server, &S::ssl_options> ssl{"ssl_options"};
  const Table<C, server, &S::fine_tune> tune{"fine_tune"};
  const Table<C, server, &S::limits> limits{"limits"};
  const Table<C, server, &S::timeouts> timeouts{"timeouts"};
  const Table<C, server, &S::options> options{"options"};
  const Table<C, server, &S::queue_options> levels{"queue_options"};
  const Table<C, server, &S::extensions, &Extensions::permessage_deflate> deflate{
      "extensions.permessage_deflate"};
  const Table<C, server, &S::content_coding> coding{"content_coding"};
  const Table<C, server, &S::security_options> security{"security_options"};
  const Table<C, server, &S::request_queue> queue{"request_queue"};
  const Table<C, server, &S::tcp_keep_alive> keep_alive{"tcp_keep_alive"};
  const Table<C, server, &S::http_upload_files> uploads{"http_upload_files"};
  const Table<C, server, &S::response_cache> cache{"response_cache"};
  const Table<C, server, &S::log_file> log_file{"log_file"};
  const Table<C, server, &S::heartbeat> heartbeat{"heartbeat"};
  const Table<C, server, &S::watchdog> watchdog{"watchdog"};
  const Table<C, server, &S::watchdog, &WatchDog::monitor> monitor{"watchdog"};
  const Table<C, &C::serve> serve{"serve"};
  return {
      top.text<&S::host>("host", is_host),
      top.number<&S::port>("port", 0, 65535),
      top.choice<&S::dispatch>("dispatch", kDispatches),
      top.number<&S::thread_pool_size>("thread_pool_size", 1, 4096),
      top.number<&S::shards>("shards", 0, 1024),
      top.choice<&S::engine>("engine", kEngines),
      top.size<&S::read_buffer_size>("read_buffer_size", 1024, kMiB),
      top.list<&S::protocols>("protocols", is_token),
      top.list<&S::name_servers>("name_servers", is_name_server),
      top.flag<&S::asynchronous>("asynchronous"),
      top.time<&S::handler_limit>("handler_limit"),

      binding.flag<&BindingOptions::configure_ssl_certificate>("configure_ssl_certificate"),
      binding.time<&BindingOptions::watch_interval>("watch_interval", kNoWait, api::kLongestWatch),

      ssl.text<&SslOptions::certificate_file>("certificate_file", is_file),
      ssl.text<&SslOptions::private_key_file>("private_key_file", is_file),
      ssl.text<&SslOptions::ocsp_file>("ocsp_file", is_file),
      ssl.text<&SslOptions::hash>("hash", is_thumbprint),
      ssl.text<&SslOptions::store>("store", is_file),
      ssl.flag<&SslOptions::self_signed>("self_signed"),
      ssl.choice<&SslOptions::minimum_version>("minimum_version", kTlsVersions),
      ssl.choice<&SslOptions::client_certificates>("client_certificates", kClientCertificates),
      ssl.text<&SslOptions::client_ca_file>("client_ca_file", is_file),

      tune.number<&FineTune::queue_length>("queue_length", 1, 65535),
      tune.choice<&FineTune::operating_mode>("operating_mode", kModes),
      tune.number<&FineTune::high_perf_accepts_per_worker>("high_perf_accepts_per_worker", 1, 64),
      tune.flag<&FineTune::inline_completions>("inline_completions"),

      limits.number<&Limits::connections>("connections", 1, kMost),
      limits.size<&Limits::bandwidth>("bandwidth", api::kLeastBandwidth, kMost),
      limits.size<&Limits::message_bytes>("message_bytes", 1, api::kMostMessageBytes),
      limits.number<&Limits::message_fragments>("message_fragments", 1, kMost32),
      limits.size<&Limits::head_bytes>("head_bytes", 64, 16 * kMiB),
      limits.size<&Limits::field_bytes>("field_bytes", 1, kMost),
      limits.number<&Limits::fields>("fields", 1, kMost),
      limits.number<&Limits::target_segments>("target_segments", 1, kMost),
      limits.number<&Limits::streams>("streams", 1, api::kMostStreams),
      limits.size<&Limits::body_bytes>("body_bytes", 0, kMost),
      limits.size<&Limits::body_memory_bytes>("body_memory_bytes", 0, kMost),
      limits.size<&Limits::send_queue_bytes>("send_queue_bytes", 1024, kMost),
      limits.size<&Limits::send_queue_total>("send_queue_total", 1, kMost),
      limits.number<&Limits::upload_parts>("upload_parts", 1, kMost32),
      limits.size<&Limits::upload_field_bytes>("upload_field_bytes", 0, kMost),
      limits.size<&Limits::upload_fields_bytes>("upload_fields_bytes", 0, kMost),
      limits.size<&Limits::upload_file_bytes>("upload_file_bytes", 0, kMost),
      limits.number<&Limits::deferred>("deferred", 0, kMost32),

      timeouts.time<&Timeouts::header_wait>("header_wait"),
      timeouts.time<&Timeouts::entity_body>("entity_body"),
      timeouts.time<&Timeouts::drain_entity_body>("drain_entity_body"),
      timeouts.time<&Timeouts::request_queue>("request_queue"),
      timeouts.time<&Timeouts::idle_connection>("idle_connection"),
      timeouts.size<&Timeouts::min_send_rate>("min_send_rate", 0, kMost32),

      options.choice<&Options::fragmented_messages>("fragmented_messages", kFragments),
      options.flag<&Options::validate_utf8>("validate_utf8"),
      options.flag<&Options::clean_disconnect>("clean_disconnect"),
      options.choice<&Options::slow_reader>("slow_reader", kSlowReaders),
      options.time<&Options::write_timeout>("write_timeout"),
      options.flag<&Options::http2>("http2"),
      options.flag<&Options::keep_headers>("keep_headers"),

      levels.choice<&QueueOptions::text>("text", kQueueLevels),
      levels.choice<&QueueOptions::binary>("binary", kQueueLevels),
      levels.choice<&QueueOptions::ping>("ping", kQueueLevels),

      security.list<&SecurityOptions::origins_allowed>("origins_allowed", is_origin),
      security.flag<&SecurityOptions::enforce_websocket_version>("enforce_websocket_version"),
      security.flag<&SecurityOptions::validate_websocket_key>("validate_websocket_key"),

      queue.choice<&RequestQueueOptions::verbosity_503>("verbosity_503", kVerbosities),
      queue.flag<&RequestQueueOptions::active>("active"),

      keep_alive.flag<&TcpKeepAlive::enabled>("enabled"),
      keep_alive.time<&TcpKeepAlive::time>("time", kLeastKeepAlive, kMostKeepAlive),
      keep_alive.time<&TcpKeepAlive::interval>("interval", kLeastKeepAlive, kMostKeepAlive),
      keep_alive.number<&TcpKeepAlive::probes>("probes", 1, 127),

      uploads.choice<&HttpUploadFiles::stream_type>("stream_type", kUploadStreams),
      uploads.size<&HttpUploadFiles::min_size>("min_size", 0, kMost),
      uploads.text<&HttpUploadFiles::save_directory>("save_directory", is_file),
      uploads.flag<&HttpUploadFiles::remove_boundaries>("remove_boundaries"),
      uploads.choice<&HttpUploadFiles::existing>("existing", kExistingFiles),

      cache.size<&ResponseCacheOptions::bytes>("bytes", 0, kMost),
      cache.size<&ResponseCacheOptions::entry_bytes>("entry_bytes", kKiB, kMost),
      cache.time<&ResponseCacheOptions::wait>("wait", kNoWait, kLongestWait),

      log_file.text<&LogFile::file_name>("file_name", is_file),
      log_file.choice<&LogFile::level>("level", kLogLevels),

      heartbeat.flag<&HeartBeat::enabled>("enabled"),
      heartbeat.time<&HeartBeat::interval>("interval", kLeastLook),
      heartbeat.time<&HeartBeat::timeout>("timeout"),
      heartbeat.choice<&HeartBeat::type>("type", kHeartbeats),

      watchdog.flag<&WatchDog::enabled>("enabled"),
      watchdog.time<&WatchDog::interval>("interval", kLeastLook),
      watchdog.number<&WatchDog::attempts>("attempts", 0, kMost32),
      monitor.flag<&WatchDog::Monitor::enabled>("monitor"),
      monitor.time<&WatchDog::Monitor::timeout>("monitor_timeout", kLeastLook),

      deflate.flag<&PerMessageDeflate::enabled>("enabled"),
      deflate.number<&PerMessageDeflate::server_max_window_bits>("server_max_window_bits", 8, 15),
      deflate.number<&PerMessageDeflate::client_max_window_bits>("client_max_window_bits", 8, 15),
      deflate.flag<&PerMessageDeflate::server_no_context_takeover>("server_no_context_takeover"),
      deflate.flag<&PerMessageDeflate::client_no_context_takeover>("client_no_context_takeover"),
      deflate.number<&PerMessageDeflate::level>("level", 1, 9),
      deflate.number<&PerMessageDeflate::memory_level>("memory_level", 1, 9),
      deflate.size<&PerMessageDeflate::threshold>("threshold", 0, kMost),

      coding.flag<&ContentCodingOptions::enabled>("enabled"),
      coding.list<&ContentCodingOptions::codings>("codings", is_content_coding),
      coding.list<&ContentCodingOptions::types>("types", is_type_pattern),
      coding.size<&ContentCodingOptions::least_bytes>("least_bytes", 0, kMost),
      coding.flag<&ContentCodingOptions::secrets_over_tls>("secrets_over_tls"),
      coding.size<&ContentCodingOptions::encoder_bytes>("encoder_bytes", api::kLeastEncoderBytes,
                                                        kMost),
      coding.size<&ContentCodingOptions::variant_bytes>("variant_bytes", 0, kMost),
      coding.flag<&ContentCodingOptions::decode_requests>("decode_requests"),

      serve.text<&ServeSettings::echo>("echo", is_path),
      serve.text<&ServeSettings::broadcast>("broadcast", is_path),
      serve.flag<&ServeSettings::quiet>("quiet"),
  };
}

std::string quoted(std::string_view text) { return "\"" + std::string(text) + "\""; }

// One overload for each kind.
template <class Object>
struct Shown {
  Object& object;

  std::string operator()(const Flag<Object>& kind) const {
    return kind.at(object) ? "true" : "false";
  }
  std::string operator()(const Number<Object>& kind) const {
    const auto number = kind.get(object);
    if (!number) return quoted(kind.absent);
    const std::string text = kind.is_size ? size_text(*number) : std::to_string(*number);
    return text.ends_with('B') ? quoted(text) : text;
  }
  std::string operator()(const Time<Object>& kind) const {
    const auto time = kind.get(object);
    return quoted(time ? duration_text(*time) : std::string(kind.absent));
  }
  std::string operator()(const Text<Object>& kind) const { return quoted(kind.at(object)); }
  std::string operator()(const List<Object>& kind) const {
    std::string text;
    for (const std::string& entry : kind.get(object)) {
      text += (text.empty() ? "" : ", ") + quoted(entry);
    }
    return "[" + text + "]";
  }
  std::string operator()(const Choice<Object>& kind) const {
    return quoted(kind.words[kind.get(object)]);
  }
};

}  // namespace

template <class Object>
std::string Row<Object>::key() const {
  return table.empty() ? std::string(name) : std::string(table) + "." + std::string(name);
}
template struct Row<Configuration>;
template struct Row<Binding>;
template struct Row<SslCertificate>;
template struct Row<NamedUrlGroup>;
template struct Row<RateRule>;
template struct Row<CacheRule>;
template struct Row<ApiKeyPath>;
template struct Row<FilesRoot>;
template struct Row<ForwardRoot>;
template struct Row<UploadRoot>;

std::span<const Row<Configuration>> rows() {
  static const std::vector<Row<Configuration>> made = [] {
    std::vector<Row<Configuration>> all = server_rows();
    for (const Row<Configuration>& row : access_rows()) all.push_back(row);
    return all;
  }();
  return made;
}

std::span<const std::string_view> tables() {
  static const std::vector<std::string_view> made = [] {
    std::vector<std::string_view> names;
    const auto add = [&names](std::string_view table) {
      const bool is_known = std::find(names.begin(), names.end(), table) != names.end();
      if (!table.empty() && !is_known) names.push_back(table);
    };
    for (const Row<Configuration>& row : rows()) {
      // The one around it may have no key of its own.
      if (const auto dot = row.table.find('.'); dot != std::string_view::npos) {
        add(row.table.substr(0, dot));
      }
      add(row.table);
    }
    return names;
  }();
  return made;
}

template <class Object>
std::string value_text(const Row<Object>& row, Object object) {
  return std::visit(Shown<Object>{object}, row.kind);
}
template std::string value_text(const Row<Configuration>&, Configuration);
template std::string value_text(const Row<Binding>&, Binding);
template std::string value_text(const Row<SslCertificate>&, SslCertificate);
template std::string value_text(const Row<NamedUrlGroup>&, NamedUrlGroup);
template std::string value_text(const Row<RateRule>&, RateRule);
template std::string value_text(const Row<CacheRule>&, CacheRule);
template std::string value_text(const Row<ApiKeyPath>&, ApiKeyPath);
template std::string value_text(const Row<FilesRoot>&, FilesRoot);
template std::string value_text(const Row<ForwardRoot>&, ForwardRoot);
template std::string value_text(const Row<UploadRoot>&, UploadRoot);

}  // namespace sluice::config
