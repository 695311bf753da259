// proto/auth/basic.cpp - see basic.hpp.
//
// RFC 7617 sections 2 and 2.1. Layer: proto. No I/O. Thread: any.
#include "proto/auth/basic.hpp"

#include "crypto/base64.hpp"
#include "crypto/password.hpp"
#include "proto/ws/utf8.hpp"

namespace sluice::auth {

Result<BasicCredentials> read_basic(const Credentials& credentials) {
  if (!credentials.is("Basic") || credentials.token68.empty()) return Errc::auth_malformed;
  crypto::Secret pair(crypto::base64_room(credentials.token68.size()));
  const auto size = crypto::decode_base64(credentials.token68, pair.bytes());
  if (!size) return Errc::auth_malformed;
  pair.shrink(*size);
  const std::size_t colon = pair.view().find(':');
  if (colon == std::string_view::npos) return Errc::auth_malformed;
  const std::string_view user = pair.view().substr(0, colon);
  const std::string_view password = pair.view().substr(colon + 1);
  if (!is_user_name(user) || password.size() > crypto::kMostPasswordBytes ||
      !has_no_controls(password) || !ws::is_utf8(as_bytes(password))) {
    return Errc::auth_malformed;
  }
  return BasicCredentials{std::string(user), crypto::Secret(password)};
}

}  // namespace sluice::auth
