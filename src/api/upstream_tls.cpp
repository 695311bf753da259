// api/upstream_tls.cpp - see upstream_tls.hpp.
#include "api/upstream_tls.hpp"

#include <utility>

#include "front/wire/secure_upstream.hpp"

namespace sluice::api {

Result<std::shared_ptr<const core::UpstreamSecurity>> UpstreamTlsMaker::make(
    const ForwardTls& tls, const std::string& host, bool reads) {
  auto with = context(tls, reads);
  if (!with) return with.error();
  // Whether that can be a host is known now, and not at the first request.
  if (auto tried = tls::Session::connect(*with, host); !tried) {
    return Error{Errc::bad_setting, "tls: " + tried.error().message()};
  }
  return std::shared_ptr<const core::UpstreamSecurity>(
      std::make_shared<wire::UpstreamTls>(std::move(*with), host));
}

Result<std::shared_ptr<const tls::Context>> UpstreamTlsMaker::context(const ForwardTls& tls,
                                                                      bool reads) {
  const std::lock_guard lock(mutex_);
  // Who is not verified needs nobody to trust.
  const Trust trust{tls.verify, tls.verify ? tls.ca_file : std::string()};
  if (auto known = contexts_.find(trust); known != contexts_.end()) return known->second;
  if (!reads && tls.verify) {
    return Error{Errc::bad_setting,
                 tls.ca_file.empty()
                     ? "tls: the system's list of authorities could not be read"
                     : "tls.ca_file \"" + tls.ca_file +
                           "\" is not that of a rule; name it in one of server.forward"};
  }
  tls::ClientSettings settings;
  settings.verify_peer = tls.verify;
  settings.ca_file = std::get<1>(trust);
  settings.protocols = {"http/1.1"};
  auto made = tls::Context::client(settings);
  if (!made) return made.error();
  contexts_.emplace(trust, *made);
  return *made;
}

}  // namespace sluice::api
