// service/forward/fields.cpp - see fields.hpp.
#include "service/forward/fields.hpp"

#include <algorithm>
#include <array>

#include "crypto/base64.hpp"
#include "crypto/digest.hpp"
#include "proto/http/field_rules.hpp"

namespace sluice::service {
namespace {

using namespace std::string_view_literals;

using http::Field;
using http::FieldId;

constexpr std::string_view kForwarded = "Forwarded", kFor = "X-Forwarded-For",
                           kHost = "X-Forwarded-Host", kProto = "X-Forwarded-Proto";

// Of this connection only, whatever Connection says (RFC 9110 section 7.6.1).
constexpr std::array kHopByHop{"keep-alive",
                               "proxy-connection",
                               "proxy-authenticate",
                               "proxy-authorization",
                               "http2-settings",
                               "connection",
                               "transfer-encoding",
                               "content-length",
                               "upgrade",
                               "te",
                               "trailer"};
// About where a request comes from: nobody is believed who is not trusted.
constexpr std::array kOrigin{"forwarded",         "x-forwarded-for",  "x-forwarded-host",
                             "x-forwarded-proto", "x-forwarded-port", "x-real-ip"};

// Said by us alone.
constexpr std::array kOurs{"host", "expect", "te", "upgrade", "connection"};

template <class Names>
bool is_one_of(std::string_view name, const Names& names) {
  return std::any_of(names.begin(), names.end(),
                     [&](std::string_view each) { return http::same_name(name, each); });
}

// Some servers take `_` for `-`: such a name must not say what the other may not.
bool is_one_of_in_disguise(std::string_view name) {
  if (name.size() > 32 || name.find('_') == std::string_view::npos) return false;
  char plain[32];
  std::replace_copy(name.begin(), name.end(), plain, '_', '-');
  const std::string_view shown(plain, name.size());
  return is_one_of(shown, kHopByHop) || is_one_of(shown, kOrigin) || http::same_name(shown, "host");
}

// The first letter rules most names out.
bool may_be_special(std::string_view name) {
  switch (name.front() | 0x20) {
    case 'c':
    case 'f':
    case 'h':
    case 'k':
    case 'p':
    case 't':
    case 'u':
    case 'x':
      return true;
    default:
      return name.find('_') != std::string_view::npos;
  }
}

void add(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(": "sv).append(value).append("\r\n"sv);
}

// "192.0.2.43", "\"[2001:db8::1]\"" (RFC 7239 section 6).
std::string node_of(const std::string& ip) {
  if (ip.empty()) return "unknown";
  return ip.find(':') == std::string::npos ? ip : "\"[" + ip + "]\"";
}

bool is_trusted(const ForwardedBy& by) {
  return std::any_of(by.trusted.begin(), by.trusted.end(),
                     [&](const api_keys::Network& network) { return network.contains(by.client); });
}

// All values of one field, as one list.
std::string joined(const http::RequestHead& head, std::string_view name) {
  std::string out;
  for (const Field& field : head.fields) {
    if (!http::same_name(field.name, name)) continue;
    if (!out.empty()) out.append(", "sv);
    out.append(field.value);
  }
  return out;
}

bool has(const Headers& fields, std::string_view name) {
  const auto& list = fields.list();
  return std::any_of(list.begin(), list.end(),
                     [&](const auto& each) { return http::same_name(each.first, name); });
}

// By Connection.
bool is_named(const std::vector<Field>& fields, std::string_view name) {
  return std::any_of(fields.begin(), fields.end(), [&](const Field& field) {
    return field.id == FieldId::connection && http::has_token(field.value, name);
  });
}

bool is_quotable(std::string_view host) {
  return host.find_first_of("\"\\") == std::string_view::npos;
}

// What is said about where the request comes from.
void append_origin(const http::RequestHead& head, const ForwardedBy& by, bool trusted,
                   std::string& out) {
  const std::string ip = by.client.ip();
  const auto is_said = [&](std::string_view name) { return by.own && has(*by.own, name); };
  const bool has_proto = trusted && head.find(kProto).data() != nullptr;
  const bool has_host = trusted && head.find(kHost).data() != nullptr;
  if (!is_said(kFor)) {
    out.append(kFor).append(": "sv);
    if (trusted) {
      if (const std::string before = joined(head, kFor); !before.empty()) {
        out.append(before).append(", "sv);
      }
    }
    out.append(ip.empty() ? std::string_view("unknown") : std::string_view(ip)).append("\r\n"sv);
  }
  if (!has_proto && !is_said(kProto)) add(out, kProto, by.secure ? "https" : "http");
  if (!has_host && !head.host.empty() && !is_said(kHost)) add(out, kHost, head.host);
  if (is_said(kForwarded)) return;
  out.append(kForwarded).append(": "sv);
  if (trusted) {
    if (const std::string before = joined(head, kForwarded); !before.empty()) {
      out.append(before).append(", "sv);
    }
  }
  out.append("for="sv).append(node_of(ip)).append(by.secure ? ";proto=https"sv : ";proto=http"sv);
  if (!head.host.empty() && is_quotable(head.host)) {
    out.append(";host=\""sv).append(head.host).append("\""sv);
  }
  out.append("\r\n"sv);
}

}  // namespace

void append_request_fields(const http::RequestHead& head, const ForwardedBy& by, std::string& out) {
  const bool trusted = !by.trusted.empty() && is_trusted(by);
  const bool has_options = head.find(FieldId::connection).data() != nullptr;
  bool wants_trailers = false;
  for (const Field& field : head.fields) {
    if (field.id == FieldId::te) {
      wants_trailers = wants_trailers || http::has_token(field.value, "trailers");
      continue;
    }
    if (http::is_about_message(field.id)) {
      // Which trailers follow is worth knowing behind us, too.
      if (field.id == FieldId::trailer && head.body == http::BodyKind::chunked) {
        add(out, field.name, field.value);
      }
      continue;
    }
    if (may_be_special(field.name)) {
      if (is_one_of(field.name, kHopByHop) || is_one_of_in_disguise(field.name)) continue;
      if (is_one_of(field.name, kOrigin)) {
        const bool ours =
            http::same_name(field.name, kFor) || http::same_name(field.name, kForwarded);
        if (!trusted || ours) continue;
      }
    }
    if (has_options) {
      if (is_named(head.fields, field.name)) continue;
    }
    if (by.own && has(*by.own, field.name)) continue;
    add(out, field.name, field.value);
  }
  append_origin(head, by, trusted, out);
  add(out, "Via", head.major == 2 ? "2.0 sluice" : head.minor == 0 ? "1.0 sluice" : "1.1 sluice");
  if (by.own) {
    for (const auto& [name, value] : by.own->list()) {
      if (!is_one_of(name, kOurs)) add(out, name, value);
    }
  }
  if (by.upgrade) {
    add(out, "Upgrade", "websocket");
    // Over HTTP/2 there is none (RFC 8441 section 5).
    if (!head.protocol.empty() && !head.find(FieldId::sec_websocket_key).data()) {
      std::array<std::byte, 16> key;
      crypto::random_bytes(key);
      add(out, "Sec-WebSocket-Key", crypto::base64(key));
    }
  } else if (wants_trailers) {
    out.append("Connection: TE\r\nTE: trailers\r\n"sv);
  }
  if (by.expect) add(out, "Expect", "100-continue");
}

ResponseFields::ResponseFields(const http::ResponseHead& head)
    : head_(head), has_options_(head.find(FieldId::connection).data() != nullptr) {}

bool ResponseFields::passes(const Field& field) const {
  if (http::is_about_message(field.id)) {
    return field.id != FieldId::content_length && field.id != FieldId::transfer_encoding &&
           field.id != FieldId::connection && field.id != FieldId::upgrade &&
           field.id != FieldId::te && field.id != FieldId::trailer;
  }
  if (may_be_special(field.name) && is_one_of(field.name, kHopByHop)) return false;
  return !has_options_ || !is_named(head_.fields, field.name);
}

}  // namespace sluice::service
