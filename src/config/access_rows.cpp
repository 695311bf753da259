// config/access_rows.cpp - see access_rows.hpp.
//
// Bounds are those of Server::start() and of ApiKeyManager; a test compares them. Layer: config.
#include "config/access_rows.hpp"

#include <algorithm>
#include <chrono>
#include <limits>
#include <string>
#include <utility>

#include "config/row_maker.hpp"
#include "config/text_checks.hpp"

namespace sluice::config {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kMost32 = std::numeric_limits<std::uint32_t>::max();
constexpr std::string_view kAlgorithms[] = {"hs256", "rs256", "es256", "eddsa"};

std::string is_algorithm(std::string_view text) {
  if (std::find(std::begin(kAlgorithms), std::end(kAlgorithms), text) != std::end(kAlgorithms)) {
    return {};
  }
  return "write \"hs256\", \"rs256\", \"es256\" or \"eddsa\"";
}

Row<Configuration> algorithms_row() {
  using Words = std::vector<std::string>;
  return {
      "authentication.bearer", "algorithms",
      List<Configuration>{
          [](Configuration& object) {
            Words words;
            for (const TokenAlgorithm algorithm : object.server.authentication.bearer.algorithms) {
              words.emplace_back(kAlgorithms[static_cast<std::size_t>(algorithm)]);
            }
            return words;
          },
          [](Configuration& object, Words&& words) {
            std::vector<TokenAlgorithm>& list = object.server.authentication.bearer.algorithms;
            list.clear();
            for (const std::string& word : words) {
              const auto* const at =
                  std::find(std::begin(kAlgorithms), std::end(kAlgorithms), word);
              if (at == std::end(kAlgorithms)) continue;
              list.push_back(static_cast<TokenAlgorithm>(at - std::begin(kAlgorithms)));
            }
          },
          is_algorithm, kAlgorithms}};
}

}  // namespace

std::vector<Row<Configuration>> access_rows() {
  using C = Configuration;
  using A = Authentication;
  using Failures = AuthenticationFailures;
  using Keys = ApiKeySettings;
  constexpr auto server = &C::server;
  constexpr auto authentication = &ServerSettings::authentication;
  const Table<C, server, authentication> auth{"authentication"};
  const Table<C, server, authentication, &A::basic> basic{"authentication.basic"};
  const Table<C, server, authentication, &A::digest> digest{"authentication.digest"};
  const Table<C, server, authentication, &A::bearer> bearer{"authentication.bearer"};
  const Table<C, server, authentication, &A::session> session{"authentication.session"};
  const Table<C, server, authentication, &A::url> url{"authentication.url"};
  const Table<C, server, authentication, &A::failures> failures{"authentication.failures"};
  const Table<C, &C::authentication_files> users{"authentication"};
  const Table<C, &C::authentication_files> digest_users{"authentication.digest"};
  const Table<C, &C::authentication_files> secret{"authentication.bearer"};
  const Table<C, &C::api_keys> store{"api_keys"};
  const Table<C, &C::api_keys, &ApiKeysFile::settings> keys{"api_keys"};
  return {
      auth.flag<&A::enabled>("enabled"),
      auth.text<&A::realm>("realm", is_realm),
      auth.flag<&A::allow_non_auth>("allow_non_auth"),
      auth.list<&A::paths>("paths", is_document),
      users.text<&AuthenticationFiles::users>("users", is_file),
      auth.number<&A::parallel>("parallel", 1, 64),
      auth.number<&A::waiting>("waiting", 0, 65536),

      basic.flag<&BasicAuthentication::enabled>("enabled"),
      basic.time<&BasicAuthentication::cache_ttl>("cache_ttl", 0s, 24h),

      digest.flag<&DigestAuthentication::enabled>("enabled"),
      digest.flag<&DigestAuthentication::allow_md5>("allow_md5"),
      digest.time<&DigestAuthentication::nonce_ttl>("nonce_ttl", 1s, 24h),
      digest_users.text<&AuthenticationFiles::digest_users>("users", is_file),

      bearer.flag<&BearerAuthentication::enabled>("enabled"),
      algorithms_row(),
      bearer.text<&BearerAuthentication::issuer>("issuer", any_text),
      bearer.list<&BearerAuthentication::audience>("audience", any_text),
      bearer.time<&BearerAuthentication::clock_skew>("clock_skew", 0s, 24h),
      bearer.flag<&BearerAuthentication::require_expiry>("require_expiry"),
      bearer.list<&BearerAuthentication::key_files>("key_files", is_file_name),
      bearer.text<&BearerAuthentication::jwks_file>("jwks_file", is_file),
      bearer.secret<&BearerAuthentication::secret>("secret", is_secret),
      secret.text<&AuthenticationFiles::secret>("secret_file", is_file),

      session.flag<&SessionAuthentication::enabled>("enabled"),
      session.time<&SessionAuthentication::ttl>("ttl", 1s, 1h),

      url.flag<&UrlAuthentication::enabled>("enabled"),

      failures.number<&Failures::free>("free", 0, kMost32),
      failures.number<&Failures::refuse_after>("refuse_after", 0, kMost32),
      failures.time<&Failures::first_delay>("first_delay", 0ms, 60s),
      failures.time<&Failures::most_delay>("most_delay", 0ms, 60s),
      failures.time<&Failures::refuse_for>("refuse_for", 0s, 24h),
      failures.time<&Failures::forget_after>("forget_after", 0s, 168h),

      store.text<&ApiKeysFile::store>("store", is_file),
      store.text<&ApiKeysFile::secret_file>("secret_file", is_file),
      keys.text<&Keys::header>("header", is_field_name),
      keys.text<&Keys::query_parameter>("query_parameter", is_parameter),
      keys.flag<&Keys::required>("required"),
      keys.time<&Keys::grace>("grace"),
      keys.flag<&Keys::fail_closed>("fail_closed"),
      keys.time<&Keys::check_interval>("check_interval", 10ms, 24h),
      keys.time<&Keys::stale_after>("stale_after", 20ms, 720h),
  };
}

}  // namespace sluice::config
