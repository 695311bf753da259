// proto/http1/first_bytes.cpp - a token and a space, or something else.
#include "proto/http1/first_bytes.hpp"

#include "proto/http/token.hpp"

namespace sluice::http1 {
namespace {

constexpr std::size_t kLongestMethod = 64;

}  // namespace

bool may_begin_request(std::span<const std::byte> bytes) {
  std::size_t at = 0;
  while (at < bytes.size() && (bytes[at] == std::byte('\r') || bytes[at] == std::byte('\n'))) ++at;
  for (std::size_t size = 0; at < bytes.size(); ++at, ++size) {
    const char c = static_cast<char>(bytes[at]);
    if (c == ' ') return size > 0;
    if (size == kLongestMethod || !http::is_token_char(c)) return false;
  }
  return true;
}

bool is_of_request_line(Errc code) {
  return code == Errc::http_bad_request_line || code == Errc::http_bad_method ||
         code == Errc::http_bad_version;
}

}  // namespace sluice::http1
