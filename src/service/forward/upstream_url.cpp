// service/forward/upstream_url.cpp - see upstream_url.hpp.
#include "service/forward/upstream_url.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

#include "proto/http/target.hpp"

namespace sluice::service {
namespace {

constexpr std::string_view kHttp = "http://", kHttps = "https://", kUnix = "unix:";
constexpr std::size_t kLongestSocket = 107;  // sun_path, with its NUL

Error bad(std::string_view text, std::string_view why) {
  return {Errc::bad_setting, "upstream \"" + std::string(text) + "\": " + std::string(why)};
}

std::optional<core::Endpoint> address_of(const std::string& host, std::uint16_t port) {
  core::Endpoint out;
  out.port = port;
  if (::inet_pton(AF_INET, host.c_str(), out.address.data()) == 1) {
    out.family = core::Endpoint::Family::ip4;
    return out;
  }
  if (::inet_pton(AF_INET6, host.c_str(), out.address.data()) == 1) {
    out.family = core::Endpoint::Family::ip6;
    return out;
  }
  return std::nullopt;
}

bool is_path(std::string_view path) {
  return std::all_of(path.begin(), path.end(),
                     [](char c) { return c > ' ' && c < 0x7f && c != '?' && c != '#'; });
}

}  // namespace

Result<UpstreamUrl> UpstreamUrl::parse(std::string_view text) {
  UpstreamUrl out;
  if (text.starts_with(kUnix)) {
    out.socket = text.substr(kUnix.size());
    out.authority = "localhost";
    if (out.socket.size() < 2 || (out.socket.front() != '/' && out.socket.front() != '@')) {
      return bad(text, "a path that begins with /, or @ and a name, follows unix:");
    }
    if (out.socket.size() > kLongestSocket) return bad(text, "the path is longer than 107 bytes");
    return out;
  }
  out.secure = text.starts_with(kHttps);
  if (!out.secure && !text.starts_with(kHttp)) {
    return bad(text, "it must begin with http://, https:// or unix:");
  }
  if (out.secure) out.port = 443;
  std::string_view rest = text.substr(out.secure ? kHttps.size() : kHttp.size());
  const std::size_t slash = rest.find('/');
  if (slash != std::string_view::npos) {
    out.path = rest.substr(slash);
    rest = rest.substr(0, slash);
  }
  if (!http::is_authority(rest)) return bad(text, "that is no HOST or HOST:PORT");
  if (!is_path(out.path)) return bad(text, "the path may have no query, fragment or space");
  out.authority = rest;
  std::string_view host = rest;
  const std::size_t colon = rest.rfind(':');
  if (colon != std::string_view::npos && rest.back() != ']') {
    const std::string_view digits = rest.substr(colon + 1);
    host = rest.substr(0, colon);
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), out.port);
    if (error != std::errc() || end != digits.data() + digits.size() || out.port == 0) {
      return bad(text, "the port must be 1 to 65535");
    }
  }
  if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
  out.host = host;
  out.endpoint = address_of(out.host, out.port);
  if (!out.endpoint && rest.starts_with('[')) return bad(text, "that is no IPv6 address");
  if (out.path == "/") out.path.clear();
  return out;
}

}  // namespace sluice::service
