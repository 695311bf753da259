// core/url_prefix.hpp - a URL prefix: scheme://host:port/relativeURI.
//
// The grammar of the HTTP Server API (docs/reference/http-server-api.md, section 1.3). Values.
// Layer: core.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <sluice/result.hpp>

#include "core/endpoint.hpp"

namespace sluice::core {

enum class UrlScheme : std::uint8_t { http, https };

// What stands for the host. In this order a request is offered to them.
enum class UrlHost : std::uint8_t {
  strong,      // + : every host
  name,        // compared with the Host field
  subdomains,  // *.domain : every name below domain, not domain itself
  address,     // an IP address: every host, on connections to this address
  weak,        // * : every host that nothing else took
};

inline constexpr std::size_t kMaxUrlPrefixBytes = 2048;   // as it is written
inline constexpr std::size_t kMaxUrlPrefixSegments = 64;  // of its path

struct UrlPrefix {
  UrlScheme scheme = UrlScheme::http;
  UrlHost kind = UrlHost::weak;
  // name: lower case; subdomains: the domain, without `*.`; address: its 4 or 16 octets, in network
  // order; else empty.
  std::string host;
  std::uint16_t port = 0;
  // A routing path (proto/http/target.hpp) that begins and ends in a slash, without empty segments.
  // Its case counts.
  std::string path = "/";

  // The canonical text. Two prefixes are equal when their texts are; parsed, it gives the same.
  std::string text() const;
  friend bool operator==(const UrlPrefix&, const UrlPrefix&) = default;
  // NOLINTNEXTLINE: clang-tidy 14 sees a null pointer in it
  friend auto operator<=>(const UrlPrefix&, const UrlPrefix&) = default;
};

// Errors: bad_prefix, with words that name the prefix, what is wrong with it and what to write.
Result<UrlPrefix> parse_url_prefix(std::string_view text);
// The same for what is to be listened on: the port may be 0, and 0.0.0.0 and [::] mean `*`.
Result<UrlPrefix> parse_listen_prefix(std::string_view text);

// The octets of an address as UrlPrefix::host has them; those of IPv4 also for IPv4 in IPv6. Empty
// for a local stream. A view into `endpoint`.
std::string_view address_octets(const Endpoint& endpoint);

}  // namespace sluice::core
