// proto/auth/credentials.cpp - scheme, then token68 or a list of parameters.
//
// RFC 9110 sections 5.6.1 (lists), 5.6.4 (quoted-string), 11.2, 11.4. Layer: proto. No I/O. Thread:
// any.
#include "proto/auth/credentials.hpp"

#include <algorithm>

#include "proto/http/token.hpp"
#include "proto/ws/utf8.hpp"

namespace sluice::auth {
namespace {

constexpr bool is_token68_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || http::is_digit(c) || c == '-' ||
         c == '.' || c == '_' || c == '~' || c == '+' || c == '/';
}

// 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="
bool is_token68(std::string_view text) {
  while (text.ends_with('=')) text.remove_suffix(1);
  return !text.empty() && std::all_of(text.begin(), text.end(), is_token68_char);
}

void skip_ows(std::string_view& text) {
  while (!text.empty() && http::is_ows(text.front())) text.remove_prefix(1);
}

bool take_token(std::string_view& text, std::string_view& token) {
  std::size_t end = 0;
  while (end < text.size() && http::is_token_char(text[end])) ++end;
  token = text.substr(0, end);
  text.remove_prefix(end);
  return end > 0;
}

// What may stand in a quoted-string, behind a backslash or not: HTAB, SP, VCHAR, obs-text.
constexpr bool is_text(char c) {
  const auto octet = static_cast<unsigned char>(c);
  return c == '\t' || (octet >= 0x20 && octet != 0x7f);
}

// The front of `text` is a quotation mark.
bool take_quoted(std::string_view& text, std::string& value) {
  std::size_t at = 1;
  for (; at < text.size() && text[at] != '"'; ++at) {
    if (text[at] == '\\' && ++at == text.size()) return false;
    if (!is_text(text[at])) return false;
    value += text[at];
  }
  if (at == text.size()) return false;
  text.remove_prefix(at + 1);
  return true;
}

// token BWS "=" BWS ( token / quoted-string )
bool take_param(std::string_view& text, AuthParam& param) {
  if (!take_token(text, param.name)) return false;
  skip_ows(text);
  if (!text.starts_with('=')) return false;
  text.remove_prefix(1);
  skip_ows(text);
  if (text.starts_with('"')) return take_quoted(text, param.value);
  std::string_view token;
  if (!take_token(text, token)) return false;
  param.value = token;
  return true;
}

bool take_params(std::string_view text, Credentials& credentials) {
  while (true) {
    while (!text.empty() && (http::is_ows(text.front()) || text.front() == ',')) {
      text.remove_prefix(1);  // empty elements count for nothing (section 5.6.1.2)
    }
    if (text.empty()) return true;
    AuthParam param;
    if (credentials.params.size() == kMostAuthParams || !take_param(text, param) ||
        credentials.find(param.name) != nullptr) {
      return false;
    }
    credentials.params.push_back(std::move(param));
    skip_ows(text);
    if (!text.empty() && text.front() != ',') return false;
  }
}

}  // namespace

bool Credentials::is(std::string_view name) const { return http::equal_nocase(scheme, name); }

const std::string* Credentials::find(std::string_view name) const {
  for (const AuthParam& param : params) {
    if (http::equal_nocase(param.name, name)) return &param.value;
  }
  return nullptr;
}

Result<Credentials> read_credentials(std::string_view field) {
  if (field.size() > kMostCredentialsBytes) return Errc::auth_malformed;
  field = http::trim_ows(field);
  Credentials credentials;
  if (!take_token(field, credentials.scheme)) return Errc::auth_malformed;
  if (field.empty()) return credentials;
  if (field.front() != ' ') return Errc::auth_malformed;
  while (field.starts_with(' ')) field.remove_prefix(1);
  if (is_token68(field)) {
    credentials.token68 = field;
    return credentials;
  }
  if (!take_params(field, credentials)) return Errc::auth_malformed;
  return credentials;
}

Result<std::string_view> read_bearer(const Credentials& credentials) {
  if (!credentials.is("Bearer") || credentials.token68.empty()) return Errc::auth_malformed;
  return credentials.token68;
}

bool has_no_controls(std::string_view text) {
  return std::none_of(text.begin(), text.end(),
                      [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

bool is_user_name(std::string_view name) {
  return !name.empty() && name.size() <= kMostUserBytes && has_no_controls(name) &&
         ws::is_utf8(as_bytes(name));
}

}  // namespace sluice::auth
