// config/list_rows.cpp - the keys of what there may be several of: prefixes, certificates, URL
// groups, rate limits, rules of the response cache, paths, folders.
//
// Layer: config.
#include <limits>
#include <vector>

#include "api/listen.hpp"
#include "api/urls.hpp"
#include "config/row_maker.hpp"
#include "config/schema.hpp"
#include "config/text_checks.hpp"

namespace sluice::config {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kMiB = 1024 * 1024;
// TOML's whole numbers end here.
constexpr std::uint64_t kMost = std::numeric_limits<std::int64_t>::max();

constexpr std::string_view kRateKeys[] = {"address", "api_key", "user"};
constexpr std::string_view kBalances[] = {"round_robin", "least_connections"};
constexpr std::string_view kCachePolicies[] = {"none", "until_invalidated", "time_to_live"};
constexpr std::string_view kRateAlgorithms[] = {"token_bucket", "sliding_window"};

std::vector<Row<Binding>> make_binding_rows() {
  const Table<Binding> binding{"bindings"};
  const Table<Binding, &Binding::options> options{"bindings"};
  const Table<Binding, &Binding::options, &PrefixOptions::ssl_options> ssl{"bindings"};
  return {
      binding.text<&Binding::prefix>("prefix", is_prefix),
      options.text<&PrefixOptions::url_group>("url_group", any_text),
      options.number<&PrefixOptions::context>("context", 0, kMost),
      ssl.text<&SslOptions::certificate_file>("certificate_file", is_file),
      ssl.text<&SslOptions::private_key_file>("private_key_file", is_file),
      ssl.text<&SslOptions::ocsp_file>("ocsp_file", is_file),
      ssl.text<&SslOptions::hash>("hash", is_thumbprint),
      ssl.text<&SslOptions::store>("store", is_file),
      ssl.flag<&SslOptions::self_signed>("self_signed"),
      ssl.choice<&SslOptions::minimum_version>("minimum_version", kTlsVersions),
      ssl.choice<&SslOptions::client_certificates>("client_certificates", kClientCertificates),
      ssl.text<&SslOptions::client_ca_file>("client_ca_file", is_file),
  };
}

std::vector<Row<SslCertificate>> make_certificate_rows() {
  const Table<SslCertificate> one{"ssl_options.certificates"};
  return {
      one.text<&SslCertificate::certificate_file>("certificate_file", is_file),
      one.text<&SslCertificate::private_key_file>("private_key_file", is_file),
      one.text<&SslCertificate::ocsp_file>("ocsp_file", is_file),
      one.text<&SslCertificate::hash>("hash", is_thumbprint),
  };
}

bool is_same_certificate(const SslCertificate& a, const SslCertificate& b) {
  return a.certificate_file == b.certificate_file && a.hash == b.hash;
}

std::vector<Row<NamedUrlGroup>> make_url_group_rows() {
  using O = UrlGroupOptions;
  const Table<NamedUrlGroup> group{"url_groups"};
  // What a group does not say the server says.
  const Table<NamedUrlGroup, &NamedUrlGroup::options> own{"url_groups", "server"};
  const Table<NamedUrlGroup, &NamedUrlGroup::options> limit{"url_groups", "none"};
  return {
      group.text<&NamedUrlGroup::name>("name", is_name),
      own.flag<&O::active>("active"),
      limit.number<&O::connections>("connections", 1, kMost),
      own.size<&O::body_bytes>("body_bytes", 0, kMost),
      own.size<&O::head_bytes>("head_bytes", 64, 16 * kMiB),
      own.size<&O::message_bytes>("message_bytes", 1, api::kMostMessageBytes),
      limit.size<&O::bandwidth>("bandwidth", api::kLeastBandwidth, kMost),
      own.time<&O::entity_body>("entity_body"),
      own.time<&O::request_queue>("request_queue"),
      own.time<&O::idle_connection>("idle_connection"),
  };
}

std::vector<Row<CacheRule>> make_cache_rows() {
  const Table<CacheRule> rule{"cache"};
  return {
      rule.text<&CacheRule::path>("path", is_document),
      rule.choice<&CacheRule::policy>("policy", kCachePolicies),
      rule.time<&CacheRule::ttl>("ttl", 1ms),
  };
}

std::vector<Row<RateRule>> make_rate_limit_rows() {
  const Table<RateRule> rate{"rate_limits"};
  return {
      rate.text<&RateRule::name>("name", is_policy),
      rate.choice<&RateRule::key>("key", kRateKeys),
      rate.text<&RateRule::prefix>("prefix", is_document),
      rate.choice<&RateRule::algorithm>("algorithm", kRateAlgorithms),
      rate.number<&RateRule::requests>("requests", 1, RateRule::kMostRequests),
      rate.time<&RateRule::window>("window", 1s, RateRule::kLongestWindow),
      rate.number<&RateRule::burst>("burst", 0, RateRule::kMostRequests),
      rate.number<&RateRule::entries>("entries", RateRule::kFewestEntries, RateRule::kMostEntries),
  };
}

std::vector<Row<ApiKeyPath>> make_api_key_path_rows() {
  const Table<ApiKeyPath> path{"api_keys.paths"};
  return {
      path.text<&ApiKeyPath::prefix>("prefix", is_document),
      path.text<&ApiKeyPath::scope>("scope", is_scope),
  };
}

std::vector<Row<FilesRoot>> make_files_rows() {
  using F = FilesRoot;
  const Table<F> root{"files"};
  const Table<F, &F::options> options{"files"};
  return {
      root.text<&F::prefix>("prefix", is_files_prefix),
      root.text<&F::directory>("directory", is_directory),
      options.text<&FilesOptions::index>("index", any_text),
      options.flag<&FilesOptions::listing>("listing"),
      options.flag<&FilesOptions::precompressed>("precompressed"),
      options.flag<&FilesOptions::follow_symlinks_out>("follow_symlinks_out"),
      options.flag<&FilesOptions::hidden_files>("hidden_files"),
      options.text<&FilesOptions::cache_control>("cache_control", is_field_value),
  };
}

std::vector<Row<ForwardRoot>> make_forward_rows() {
  using F = ForwardRoot;
  using O = ForwardOptions;
  const Table<F> root{"forward"};
  const Table<F, &F::options> options{"forward", "server"};
  const Table<F, &F::options, &O::timeouts> timeouts{"forward"};
  const Table<F, &F::options, &O::tls> tls{"forward"};
  return {
      root.text<&F::prefix>("prefix", is_files_prefix),
      options.list<&O::upstreams>("upstreams", is_upstream),
      options.choice<&O::balance>("balance", kBalances),
      timeouts.time<&ForwardTimeouts::connect>("connect_timeout"),
      timeouts.time<&ForwardTimeouts::response>("response_timeout"),
      timeouts.time<&ForwardTimeouts::idle>("idle_timeout"),
      options.flag<&O::keep_host>("keep_host"),
      options.list<&O::trusted>("trusted", is_network),
      options.number<&O::max_failures>("max_failures", 0, 1'000'000),
      options.time<&O::fail_time>("fail_time"),
      options.size<&O::body_bytes>("body_bytes", 0, kMost),
      tls.flag<&ForwardTls::verify>("tls_verify"),
      tls.text<&ForwardTls::ca_file>("tls_ca_file", any_text),
      tls.text<&ForwardTls::server_name>("tls_server_name", any_text),
  };
}

std::vector<Row<UploadRoot>> make_upload_rows() {
  using U = UploadRoot;
  const Table<U> root{"upload"};
  const Table<U, &U::options> options{"upload"};
  const Table<U, &U::options> server{"upload", "server"};  // what it does not say the server says
  const Table<U, &U::options> none{"upload", "none"};
  return {
      root.text<&U::prefix>("prefix", is_upload_prefix),
      root.text<&U::directory>("directory", is_directory),
      options.choice<&UploadOptions::existing>("existing", kExistingFiles),
      server.size<&UploadOptions::file_bytes>("file_bytes", 0, kMost),
      none.size<&UploadOptions::body_bytes>("body_bytes", 0, kMost),
  };
}

// However they are written; port 0 is another one each time.
bool is_same_prefix(const Binding& a, const Binding& b) {
  if (a.prefix == b.prefix) return true;
  const auto x = api::parse_prefix(a), y = api::parse_prefix(b);
  return x && y && !x->any_port && x->url == y->url;
}

template <class Entry, auto Member>
bool is_same(const Entry& a, const Entry& b) {
  return a.*Member == b.*Member;
}

}  // namespace

std::span<const Row<Binding>> binding_rows() {
  static const std::vector<Row<Binding>> made = make_binding_rows();
  return made;
}

std::span<const Row<SslCertificate>> certificate_rows() {
  static const std::vector<Row<SslCertificate>> made = make_certificate_rows();
  return made;
}

std::span<const Row<NamedUrlGroup>> url_group_rows() {
  static const std::vector<Row<NamedUrlGroup>> made = make_url_group_rows();
  return made;
}

std::span<const Row<CacheRule>> cache_rows() {
  static const std::vector<Row<CacheRule>> made = make_cache_rows();
  return made;
}

std::span<const Row<RateRule>> rate_limit_rows() {
  static const std::vector<Row<RateRule>> made = make_rate_limit_rows();
  return made;
}

std::span<const Row<ApiKeyPath>> api_key_path_rows() {
  static const std::vector<Row<ApiKeyPath>> made = make_api_key_path_rows();
  return made;
}

std::span<const Row<FilesRoot>> files_rows() {
  static const std::vector<Row<FilesRoot>> made = make_files_rows();
  return made;
}

std::span<const Row<ForwardRoot>> forward_rows() {
  static const std::vector<Row<ForwardRoot>> made = make_forward_rows();
  return made;
}

std::span<const Row<UploadRoot>> upload_rows() {
  static const std::vector<Row<UploadRoot>> made = make_upload_rows();
  return made;
}

const Lists& lists() {
  using C = Configuration;
  static const Lists made{
      {.key = "bindings",
       .what = "prefix",
       .many = "prefixes",
       .most = 256,
       .needed = "prefix",
       .value = "http://localhost:8080/",
       .takes_text = true,
       .unique = "prefix",
       .is_same = is_same_prefix,
       .at = [](C& all) -> std::vector<Binding>& { return all.server.bindings.list(); },
       .rows = binding_rows},
      {.key = "ssl_options.certificates",
       .what = "certificate",
       .many = "certificates",
       .most = 1024,
       .needed = "certificate_file",
       .instead = "hash",
       .value = "FILE",
       .unique = "certificate",
       .is_same = is_same_certificate,
       .at = [](C& all) -> std::vector<SslCertificate>& {
         return all.server.ssl_options.certificates;
       },
       .rows = certificate_rows},
      {.key = "url_groups",
       .what = "group",
       .many = "groups",
       .most = 256,
       .needed = "name",
       .value = "NAME",
       .unique = "name",
       .is_same = is_same<NamedUrlGroup, &NamedUrlGroup::name>,
       .at = [](C& all) -> std::vector<NamedUrlGroup>& { return all.server.url_groups; },
       .rows = url_group_rows},
      {.key = "rate_limits",
       .what = "limit",
       .many = "limits",
       .most = 32,
       .needed = "name",
       .value = "NAME",
       .unique = "name",
       .is_same = is_same<RateRule, &RateRule::name>,
       .at = [](C& all) -> std::vector<RateRule>& { return all.server.rate_limits; },
       .rows = rate_limit_rows},
      {.key = "cache",
       .what = "rule",
       .many = "rules",
       .most = 64,
       .needed = "path",
       .value = "/",
       .unique = "path",
       .is_same = is_same<CacheRule, &CacheRule::path>,
       .at = [](C& all) -> std::vector<CacheRule>& { return all.server.cache_rules; },
       .rows = cache_rows},
      {.key = "api_keys.paths",
       .what = "path",
       .many = "paths",
       .most = 256,
       .needed = "prefix",
       .value = "/",
       .takes_text = true,
       .unique = "prefix",
       .is_same = is_same<ApiKeyPath, &ApiKeyPath::prefix>,
       .at = [](C& all) -> std::vector<ApiKeyPath>& { return all.api_keys.settings.paths; },
       .rows = api_key_path_rows},
      {.key = "files",
       .what = "folder",
       .many = "folders",
       .most = 64,
       .needed = "directory",
       .value = "FOLDER",
       .unique = "prefix",
       .is_same = is_same<FilesRoot, &FilesRoot::prefix>,
       .at = [](C& all) -> std::vector<FilesRoot>& { return all.files; },
       .rows = files_rows},
      {.key = "forward",
       .what = "rule",
       .many = "rules",
       .most = 256,
       .needed = "upstreams",
       .value = "http://127.0.0.1:8081",
       .unique = "prefix",
       .is_same = is_same<ForwardRoot, &ForwardRoot::prefix>,
       .at = [](C& all) -> std::vector<ForwardRoot>& { return all.forward; },
       .rows = forward_rows},
      {.key = "upload",
       .what = "folder",
       .many = "folders",
       .most = 64,
       .needed = "directory",
       .value = "FOLDER",
       .unique = "prefix",
       .is_same = is_same<UploadRoot, &UploadRoot::prefix>,
       .at = [](C& all) -> std::vector<UploadRoot>& { return all.uploads; },
       .rows = upload_rows}};
  return made;
}

}  // namespace sluice::config
