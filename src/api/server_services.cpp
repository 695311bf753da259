// api/server_services.cpp - what a start makes of the services that are switched on.
#include <algorithm>

#include "api/api_key_manager.hpp"
#include "api/server_impl.hpp"
#include "api/upstream_tls.hpp"
#include "api/user_lists.hpp"
#include "service/api_keys/key_step.hpp"
#include "service/auth/authenticator.hpp"
#include "service/rate_limit/rate_step.hpp"
#include "service/upload/upload.hpp"

namespace sluice {
namespace {

constexpr std::size_t kFileThreads = 4;

}  // namespace

Result<void> Server::Impl::make_files() {
  auto count = most_loops();
  {
    std::lock_guard lock(pool_mutex);
    pool = std::make_unique<io::FilePool>(kFileThreads);
  }
  files = std::make_unique<service::FileService>(
      count,
      [this](base::Task task) {
        std::lock_guard lock(pool_mutex);
        return pool && pool->submit(std::move(task));
      },
      [this](LogLevel level, Errc code, std::string_view message) { log(level, code, message); },
      service::system_media_types());
  for (auto& directory : directories) {
    auto handler = files->directory(directory->prefix, directory->path, directory->options);
    if (!handler) return handler.error();
    directory->handler = std::move(*handler);
  }
  return {};
}

Result<void> Server::Impl::make_forwards() {
  if (forwards_wanted.empty() && !owner.on_before_forward_http) return {};
  auto made = io::Resolver::create(started.name_servers);
  if (!made) return made.error();
  resolver = std::move(*made);
  auto lookup = [this](const std::string& name, std::function<void(service::Names::Answer)> done) {
    resolver->resolve(name, [done = std::move(done)](const io::Resolved& found) {
      service::Names::Answer answer{{}, found.ttl, found.error};
      for (const io::IpAddress& address : found.addresses) {
        const bool is_ip4 = address.family == io::IpAddress::Family::ip4;
        core::Endpoint endpoint;
        endpoint.address = address.bytes;
        endpoint.family = is_ip4 ? core::Endpoint::Family::ip4 : core::Endpoint::Family::ip6;
        answer.addresses.push_back(endpoint);
      }
      done(std::move(answer));
    });
  };
  auto securing = std::make_shared<api::UpstreamTlsMaker>();
  // For URLs that on_before_forward_http names; where it fails they say so.
  if (owner.on_before_forward_http) static_cast<void>(securing->make({}, "localhost", true));
  auto secure = [securing](const ForwardTls& tls, const std::string& host, bool reads) {
    return securing->make(tls, host, reads);
  };
  auto all = service::Forwards::create(forwards_wanted,
                                       {owner.on_before_forward_http, owner.on_after_forward_http},
                                       std::move(lookup), std::move(secure));
  if (!all) return all.error();
  forwards = std::move(*all);
  return {};
}

Result<void> Server::Impl::make_uploads() {
  uploads = std::make_unique<service::Uploads>(
      owner.http_upload_files,
      service::UploadEvents{owner.on_http_upload_before_save_file,
                            owner.on_http_upload_after_save_file, owner.on_http_upload_read_input},
      *files);
  if (auto opened = uploads->open_folder(); !opened) return opened;
  for (auto& folder : upload_folders) {
    auto sink = uploads->add(folder->prefix, folder->path, folder->options);
    if (!sink) return sink.error();
    folder->sink = std::move(*sink);
  }
  return {};
}

// The steps that a request passes, in this order.
Result<Server::Impl::Gatekeeping> Server::Impl::make_gatekeeping(const Settings& wanted) const {
  Gatekeeping out;
  auto limit = service::RateLimit::create(wanted.rate_limits, gatekeeping.rate_limit.get());
  if (!limit) return limit.error();
  const std::shared_ptr<service::RateLimit> rate_limit = out.rate_limit = std::move(*limit);
  const auto by_address = [](const RateRule& rule) { return rule.key == RateKey::address; };
  const auto& rules = rate_limit->rules();
  const bool counts_addresses = std::any_of(rules.begin(), rules.end(), by_address);
  const bool counts_names = !std::all_of(rules.begin(), rules.end(), by_address);
  const bool authenticates = wanted.authentication.enabled;
  const std::shared_ptr<ApiKeyManager>& keys = wanted.api_key_manager;
  if (!counts_addresses && !counts_names && !authenticates && !keys) return out;

  using service::RateStep;
  auto made = std::make_shared<service::Admission>();
  if (counts_addresses) {
    made->add(std::make_unique<RateStep>(rate_limit, RateStep::Asks::address));
  }
  if (authenticates) {
    auto authenticator = make_authenticator(wanted.authentication);
    if (!authenticator) return authenticator.error();
    out.authenticator = authenticator->get();
    made->add(std::move(*authenticator));
  }
  if (keys) {
    // The step holds the whole of the manager.
    std::shared_ptr<api_keys::KeyManager> inner(keys, keys->impl_->keys.get());
    made->add(
        std::make_unique<api_keys::KeyStep>(std::move(inner), keys->impl_->settings, most_loops()));
  }
  if (counts_names) made->add(std::make_unique<RateStep>(rate_limit, RateStep::Asks::names));
  out.admission = std::move(made);
  return out;
}

Result<std::unique_ptr<service::Authenticator>> Server::Impl::make_authenticator(
    const Authentication& wanted) const {
  if (authentication_events->on_password && authentication_events->on_password_async) {
    return Error(Errc::bad_setting,
                 "on_authentication and on_authentication_async exclude each other");
  }
  auto rules = service::make_auth_rules(wanted);
  if (!rules) return rules.error();
  return std::make_unique<service::Authenticator>(
      std::move(*rules),
      service::AuthenticationUsers{wanted.users.shared_->get(), wanted.digest.users.shared_->users},
      authentication_events, gatekeeping.authenticator);
}

}  // namespace sluice
