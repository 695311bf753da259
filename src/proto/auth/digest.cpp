// proto/auth/digest.cpp - see digest.hpp.
//
// RFC 7616 section 3.4. Layer: proto. No I/O. Thread: any.
#include "proto/auth/digest.hpp"

#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <span>

#include "crypto/digest.hpp"
#include "crypto/md5.hpp"
#include "crypto/secret.hpp"
#include "proto/http/token.hpp"

namespace sluice::auth {
namespace {

constexpr std::size_t kCountDigits = 8;

std::string to_hex(Bytes bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const std::byte b : bytes) {
    text += digits[std::to_integer<std::size_t>(b >> 4)];
    text += digits[std::to_integer<std::size_t>(b & std::byte{15})];
  }
  return text;
}

// H(part:part:...) in hexadecimal.
std::optional<std::string> hash(DigestAlgorithm algorithm,
                                std::initializer_list<std::string_view> parts) {
  std::size_t size = 0;
  for (const std::string_view part : parts) size += part.size() + 1;
  crypto::Secret joined(size - 1);
  auto to = reinterpret_cast<char*>(joined.bytes().data());
  const char* const end = to + joined.size();
  for (const std::string_view part : parts) {
    to = std::copy(part.begin(), part.end(), to);
    if (to != end) *to++ = ':';
  }
  const Bytes bytes = as_bytes(joined.view());
  if (algorithm == DigestAlgorithm::sha256) return to_hex(crypto::sha256(bytes));
  const auto made = crypto::md5(bytes);
  if (!made) return std::nullopt;
  return to_hex(*made);
}

int hex_value(char c) {
  if (http::is_digit(c)) return c - '0';
  const char small = http::lower(c);
  return small >= 'a' && small <= 'f' ? small - 'a' + 10 : -1;
}

// charset'language'percent-encoded (RFC 8187 section 3.2.1); UTF-8 only.
std::optional<std::string> read_extended(std::string_view text) {
  constexpr std::string_view charset = "utf-8'";
  if (!http::equal_nocase(text.substr(0, charset.size()), charset)) return std::nullopt;
  text.remove_prefix(charset.size());
  const std::size_t quote = text.find('\'');
  if (quote == std::string_view::npos) return std::nullopt;
  text.remove_prefix(quote + 1);
  std::string value;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      if (!http::is_token_char(text[i]) || text[i] == '*' || text[i] == '\'') return std::nullopt;
      value += text[i];
      continue;
    }
    if (text.size() - i < 3) return std::nullopt;
    const int high = hex_value(text[i + 1]), low = hex_value(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    value += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return value;
}

bool read_user(const Credentials& credentials, std::string& user) {
  const std::string* const plain = credentials.find("username");
  const std::string* const extended = credentials.find("username*");
  if ((plain != nullptr) == (extended != nullptr)) return false;
  if (plain != nullptr) {
    user = *plain;
  } else {
    auto value = read_extended(*extended);
    if (!value) return false;
    user = std::move(*value);
  }
  return is_user_name(user);
}

// What stands behind scheme and authority, where there are any.
std::string_view without_authority(std::string_view uri) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!http::equal_nocase(uri.substr(0, scheme.size()), scheme)) continue;
    uri.remove_prefix(std::min(uri.find_first_of("/?", scheme.size()), uri.size()));
    return uri.empty() ? "/" : uri;
  }
  return uri;
}

bool read_count(const std::string& text, std::uint32_t& count) {
  const char* const end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, count, 16);
  return text.size() == kCountDigits && read.ec == std::errc() && read.ptr == end && count > 0;
}

}  // namespace

std::string_view name_of(DigestAlgorithm algorithm) {
  return algorithm == DigestAlgorithm::sha256 ? "SHA-256" : "MD5";
}

std::optional<DigestAlgorithm> digest_algorithm(std::string_view name) {
  for (const auto algorithm : {DigestAlgorithm::sha256, DigestAlgorithm::md5}) {
    if (http::equal_nocase(name, name_of(algorithm))) return algorithm;
  }
  return std::nullopt;
}

bool is_digest_hex(DigestAlgorithm algorithm, std::string_view text) {
  return text.size() == hex_size(algorithm) && std::all_of(text.begin(), text.end(), [](char c) {
           return http::is_digit(c) || (c >= 'a' && c <= 'f');
         });
}

Result<DigestCredentials> read_digest(const Credentials& credentials, bool allow_md5) {
  if (!credentials.is("Digest")) return Errc::auth_malformed;
  DigestCredentials digest;
  if (!read_user(credentials, digest.user)) return Errc::auth_malformed;
  struct Required {
    std::string_view name;
    std::string& value;
  };
  for (const auto& [name, value] :
       {Required{"realm", digest.realm}, Required{"nonce", digest.nonce},
        Required{"uri", digest.uri}, Required{"response", digest.response}}) {
    const std::string* const sent = credentials.find(name);
    if (sent == nullptr) return Errc::auth_malformed;
    value = *sent;
  }
  if (const std::string* opaque = credentials.find("opaque")) digest.opaque = *opaque;

  const std::string* const algorithm = credentials.find("algorithm");
  const auto known = digest_algorithm(algorithm != nullptr ? *algorithm : "MD5");
  if (!known || (*known == DigestAlgorithm::md5 && !allow_md5)) return Errc::auth_refused;
  digest.algorithm = *known;
  const std::string* const qop = credentials.find("qop");
  if (qop == nullptr || !http::equal_nocase(*qop, "auth")) return Errc::auth_refused;
  const std::string* const user_hash = credentials.find("userhash");
  if (user_hash != nullptr && !http::equal_nocase(*user_hash, "false")) return Errc::auth_refused;

  const std::string* const nc = credentials.find("nc");
  const std::string* const cnonce = credentials.find("cnonce");
  if (nc == nullptr || cnonce == nullptr || cnonce->empty() || !read_count(*nc, digest.count) ||
      !is_digest_hex(digest.algorithm, digest.response)) {
    return Errc::auth_malformed;
  }
  digest.nc = *nc;
  digest.cnonce = *cnonce;
  return digest;
}

bool is_for_target(const DigestCredentials& credentials, std::string_view raw_target) {
  return without_authority(credentials.uri) == without_authority(raw_target);
}

std::optional<std::string> digest_ha1(DigestAlgorithm algorithm, std::string_view user,
                                      std::string_view realm, std::string_view password) {
  return hash(algorithm, {user, realm, password});
}

std::optional<std::string> digest_response(const DigestCredentials& credentials,
                                           std::string_view ha1, std::string_view method) {
  const auto ha2 = hash(credentials.algorithm, {method, credentials.uri});
  if (!ha2) return std::nullopt;
  return hash(credentials.algorithm,
              {ha1, credentials.nonce, credentials.nc, credentials.cnonce, "auth", *ha2});
}

bool is_right(const DigestCredentials& credentials, std::string_view ha1, std::string_view method) {
  const auto response = digest_response(credentials, ha1, method);
  return response && crypto::same_secret(*response, credentials.response);
}

}  // namespace sluice::auth
