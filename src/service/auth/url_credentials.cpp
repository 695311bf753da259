// service/auth/url_credentials.cpp - see url_credentials.hpp.
//
// Layer: service. Thread: the exchange's shard, or any.
#include "service/auth/url_credentials.hpp"

#include <array>

#include "core/exchange.hpp"
#include "crypto/password.hpp"
#include "proto/auth/credentials.hpp"
#include "proto/http/target.hpp"

namespace sluice::service {
namespace {

using Kind = UrlCredentials::Kind;

struct Form {
  std::string_view prefix;
  Kind kind;
  std::size_t segments;  // of credentials
};
constexpr std::array kForms = {
    Form{"/sgc/req/auth/session/", Kind::ask, 2},
    Form{"/sgc/auth/session/", Kind::session, 1},
    Form{"/sgc/auth/url/", Kind::url, 2},
};
constexpr std::string_view kHidden = "***";

bool is_on(const Form& form, UrlForms forms) {
  return form.kind == Kind::url ? forms.url : forms.session;
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Precondition: the escapes are well-formed, as those of an accepted path are.
crypto::Secret decoded(std::string_view segment) {
  crypto::Secret text(segment.size());
  std::size_t size = 0;
  for (std::size_t at = 0; at < segment.size(); ++at, ++size) {
    auto octet = static_cast<unsigned char>(segment[at]);
    if (octet == '%' && at + 2 < segment.size()) {
      octet =
          static_cast<unsigned char>(hex_value(segment[at + 1]) << 4 | hex_value(segment[at + 2]));
      at += 2;
    }
    text.bytes()[size] = std::byte(octet);
  }
  text.shrink(size);
  return text;
}

// A segment that normalising takes away cannot be meant as it stands.
bool is_plain(std::string_view segment) {
  return !segment.empty() && segment != "." && segment != "..";
}

// The front of `rest` up to a slash, decoded; `rest` begins with the slash then, or is empty.
crypto::Secret take_segment(std::string_view& rest) {
  const std::size_t end = std::min(rest.find('/'), rest.size());
  crypto::Secret segment = decoded(rest.substr(0, end));
  rest.remove_prefix(end);
  return segment;
}

// `path` behind the prefix; `rest` gets what follows the credentials.
UrlCredentials read(const Form& form, std::string_view path, std::string_view& rest) {
  UrlCredentials found;
  found.kind = Kind::malformed;
  rest = path;
  crypto::Secret first = take_segment(rest);
  if (!is_plain(first.view())) return found;
  if (form.segments == 1) {
    found.secret = std::move(first);
  } else {
    if (!rest.starts_with('/') || !auth::is_user_name(first.view())) return found;
    rest.remove_prefix(1);
    found.secret = take_segment(rest);
    if (!is_plain(found.secret.view()) || found.secret.size() > crypto::kMostPasswordBytes) {
      return found;
    }
    found.user = first.view();
  }
  if (form.kind == Kind::ask && !rest.empty()) return found;
  found.kind = form.kind;
  return found;
}

// Puts `path` into the place of the head's own.
void replace_path(core::Exchange& exchange, std::string_view path) {
  http::RequestHead& head = exchange.head;
  const std::size_t before =
      head.target.empty() ? 0 : std::size_t(head.path.data() - head.target.data());
  std::string target(head.target.substr(0, before));
  target.append(path).append(head.target.substr(before + head.path.size()));
  const std::string_view kept = exchange.arena.copy(target);
  head.target = kept;
  head.path = kept.substr(before, path.size());
}

bool begins_a_form(std::string_view document, UrlForms forms) {
  for (const Form& form : kForms) {
    if (is_on(form, forms) && document.starts_with(form.prefix)) return true;
  }
  return false;
}

}  // namespace

UrlCredentials take_url_credentials(core::Exchange& exchange, UrlForms forms,
                                    std::size_t max_segments) {
  const std::string_view path = exchange.head.path;
  UrlCredentials found;
  if (!begins_a_form(exchange.document, forms)) {
    // What is not meant may still have been typed: a path that leads out of here again.
    std::string hidden = hide_url_credentials(path, forms);
    if (hidden != path) replace_path(exchange, hidden);
    return found;
  }
  found.kind = Kind::malformed;
  std::string shown = "/***";
  std::string_view document = "/";
  for (const Form& form : kForms) {
    if (!is_on(form, forms) || !path.starts_with(form.prefix)) continue;
    std::string_view rest;
    found = read(form, path.substr(form.prefix.size()), rest);
    shown = form.prefix;
    shown += kHidden;
    if (found.kind == Kind::malformed) break;
    if (form.segments == 2) shown.append("/").append(kHidden);
    shown += rest;
    if (form.kind == Kind::ask) {
      document = form.prefix.substr(0, form.prefix.size() - 1);
    } else if (!rest.empty()) {
      const auto routed = http::routing_path(rest, max_segments, exchange.arena);
      if (routed.is_done()) document = exchange.arena.copy(routed.value());
      if (!routed.is_done()) found.kind = Kind::malformed;
    }
    break;
  }
  exchange.document = document;
  replace_path(exchange, shown);
  return found;
}

std::string hide_url_credentials(std::string_view target, UrlForms forms) {
  std::string text(target);
  for (const Form& form : kForms) {
    if (!is_on(form, forms)) continue;
    for (std::size_t at = 0; (at = text.find(form.prefix, at)) != std::string::npos;) {
      at += form.prefix.size();
      if (std::string_view(text).substr(at).starts_with(kHidden)) continue;
      const std::size_t end = std::min(text.find('?', at), text.size());
      text.replace(at, end - at, kHidden);
    }
  }
  return text;
}

}  // namespace sluice::service
