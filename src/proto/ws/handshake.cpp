// proto/ws/handshake.cpp - what a request must say to become a WebSocket.
//
// RFC 6455 sections 4.2.1 (what the server checks), 1.3 (the accept value), 7.4 (close codes);
// RFC 6454 section 7 (Origin). Layer: proto. No I/O.
#include "proto/ws/handshake.hpp"

#include <algorithm>

#include "crypto/digest.hpp"
#include "proto/http/token.hpp"

namespace sluice::ws {

namespace {

constexpr std::string_view kGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
constexpr std::string_view kBase64 =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::size_t kKeySize = 24;

// A field that may be sent several times is one list (RFC 9110 section 5.3).
bool any_has_token(const http::RequestHead& head, http::FieldId id, std::string_view token) {
  return std::any_of(head.fields.begin(), head.fields.end(), [&](const http::Field& field) {
    return field.id == id && http::has_token(field.value, token);
  });
}

// A field that may be sent once: how often it was, and the first value.
struct Single {
  std::size_t count = 0;
  std::string_view value;
};

Single single(const http::RequestHead& head, http::FieldId id) {
  Single found;
  for (const http::Field& field : head.fields) {
    if (field.id == id && found.count++ == 0) found.value = field.value;
  }
  return found;
}

// 16 bytes in base64: 22 characters and two of padding.
bool is_key(std::string_view key) {
  return key.size() == kKeySize && key.ends_with("==") &&
         key.substr(0, kKeySize - 2).find_first_not_of(kBase64) == std::string_view::npos;
}

struct Origin {
  std::string_view scheme, host,
      port;  // port without the colon; the scheme's own when it was left out
};

std::string_view default_port(std::string_view scheme) {
  if (http::equal_nocase(scheme, "http") || http::equal_nocase(scheme, "ws")) return "80";
  if (http::equal_nocase(scheme, "https") || http::equal_nocase(scheme, "wss")) return "443";
  return {};
}

// Something without `://`, such as `null`, is all host.
Origin split_origin(std::string_view text) {
  Origin origin;
  const std::size_t colon = text.find("://");
  if (colon == std::string_view::npos) {
    origin.host = text;
    return origin;
  }
  origin.scheme = text.substr(0, colon);
  text.remove_prefix(colon + 3);
  const std::size_t port = text.rfind(':');
  const std::size_t bracket = text.rfind(']');  // colons of an IPv6 address stand before it
  if (port == std::string_view::npos || (bracket != std::string_view::npos && port < bracket)) {
    origin.host = text;
    origin.port = default_port(origin.scheme);
  } else {
    origin.host = text.substr(0, port);
    origin.port = text.substr(port + 1);
  }
  return origin;
}

// Also true for no port at all, of a scheme that has none.
bool is_number(std::string_view port) {
  return std::all_of(port.begin(), port.end(), http::is_digit);
}

bool allows(std::string_view rule, const Origin& origin) {
  if (rule == "*") return true;
  const Origin allowed = split_origin(rule);
  return http::equal_nocase(allowed.scheme, origin.scheme) &&
         http::equal_nocase(allowed.host, origin.host) &&
         (allowed.port == origin.port || (allowed.port == "*" && is_number(origin.port)));
}

bool is_origin_allowed(const http::RequestHead& head, std::span<const std::string> origins) {
  if (origins.empty()) return true;
  const Single field = single(head, http::FieldId::origin);
  if (field.count != 1) return false;
  const Origin origin = split_origin(field.value);
  return std::any_of(origins.begin(), origins.end(),
                     [&](const std::string& rule) { return allows(rule, origin); });
}

}  // namespace

bool is_upgrade(const http::RequestHead& head) {
  if (!head.protocol.empty()) return head.protocol == "websocket";
  return head.method == http::Method::get && head.minor >= 1 &&
         any_has_token(head, http::FieldId::connection, "upgrade") &&
         any_has_token(head, http::FieldId::upgrade, "websocket");
}

Errc judge(const http::RequestHead& head, const HandshakeRules& rules) {
  if (!is_upgrade(head) || head.host.empty()) return Errc::ws_bad_handshake;
  // Bytes of a body would be read as frames.
  const bool has_body = head.body == http::BodyKind::chunked ||
                        (head.body == http::BodyKind::length && head.content_length > 0);
  if (has_body) return Errc::ws_bad_handshake;
  const Single version = single(head, http::FieldId::sec_websocket_version);
  if (rules.enforce_version && (version.count != 1 || version.value != "13")) {
    return Errc::ws_bad_version;
  }
  if (!head.protocol.empty()) {  // there is no key (RFC 8441 section 5)
    return is_origin_allowed(head, rules.origins) ? Errc::none : Errc::ws_origin_refused;
  }
  const Single key = single(head, http::FieldId::sec_websocket_key);
  if (key.count != 1 || key.value.empty()) return Errc::ws_bad_key;
  if (rules.validate_key && !is_key(key.value)) return Errc::ws_bad_key;
  if (!is_origin_allowed(head, rules.origins)) return Errc::ws_origin_refused;
  return Errc::none;
}

std::array<char, 28> accept_value(std::string_view key) {
  std::array<std::byte, 20> digest;
  if (key.size() <= kKeySize) {
    std::array<char, kKeySize + kGuid.size()> text;
    const auto end =
        std::copy(kGuid.begin(), kGuid.end(), std::copy(key.begin(), key.end(), text.begin()));
    digest = crypto::sha1(as_bytes({text.data(), static_cast<std::size_t>(end - text.begin())}));
  } else {
    // Only possible where keys are not validated.
    digest = crypto::sha1(as_bytes(std::string(key).append(kGuid)));
  }
  std::array<char, 28> out;
  auto to = out.begin();
  for (std::size_t at = 0; at < digest.size(); at += 3) {
    const auto byte = [&](std::size_t i) {
      return i < digest.size() ? std::to_integer<std::uint32_t>(digest[i]) : 0u;
    };
    const std::uint32_t bits = byte(at) << 16 | byte(at + 1) << 8 | byte(at + 2);
    for (int shift = 18; shift >= 0; shift -= 6) *to++ = kBase64[bits >> shift & 63];
  }
  out.back() = '=';
  return out;
}

std::string_view choose_protocol(std::string_view offered, std::span<const std::string> supported) {
  while (!offered.empty()) {
    const std::size_t comma = std::min(offered.find(','), offered.size());
    const std::string_view name = http::trim_ows(offered.substr(0, comma));
    const auto found = std::find(supported.begin(), supported.end(), name);
    if (!name.empty() && found != supported.end()) return *found;
    offered.remove_prefix(std::min(comma + 1, offered.size()));
  }
  return {};
}

bool may_be_sent(std::uint16_t close_code) {
  return (close_code >= 1000 && close_code <= 1003) || (close_code >= 1007 && close_code <= 1014) ||
         (close_code >= 3000 && close_code <= 4999);
}

}  // namespace sluice::ws
