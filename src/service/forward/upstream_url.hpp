// service/forward/upstream_url.hpp - where a request is forwarded to, as it is written in settings.
//
// Layer: service. Thread: any.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <sluice/result.hpp>

#include "core/endpoint.hpp"
#include "core/upstream.hpp"

namespace sluice::service {

struct UpstreamUrl {
  std::string authority;  // as it is sent in Host
  std::string host;       // a name, where it is neither an address nor a path
  std::uint16_t port = 80;
  std::optional<core::Endpoint> endpoint;  // an address
  std::string socket;                      // of a local stream
  std::string path;  // takes the place of the rule's prefix; empty: nothing does
  bool secure = false;
  std::shared_ptr<const core::UpstreamSecurity> security = {};  // not set by parse()

  // `http://HOST[:PORT][/PATH]`, `https://...`, `unix:FILE`, `unix:@NAME`. Errors: bad_setting, in
  // words.
  static Result<UpstreamUrl> parse(std::string_view text);
};

}  // namespace sluice::service
