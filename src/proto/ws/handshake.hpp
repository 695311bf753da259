// proto/ws/handshake.hpp - the opening handshake, judged and answered; close codes.
//
// RFC 6455 sections 4.2 and 7.4. Layer: proto. No I/O.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include <sluice/error.hpp>

#include "proto/http/head.hpp"

namespace sluice::ws {

struct HandshakeRules {
  bool enforce_version = true;  // 426 and Sec-WebSocket-Version: 13
  // 400 unless the key is 16 bytes in base64. A request without any key is refused either way:
  // there would be nothing to answer.
  bool validate_key = true;
  // Empty: all, and requests without Origin. Otherwise one of these must be the request's only
  // Origin. `http://host:*` allows every port; without a port the scheme's own is meant; `*` allows
  // every origin. Scheme and host are compared without regard to case.
  std::span<const std::string> origins;
};

// True when the request asks for `Upgrade: websocket` with GET over HTTP/1.1 at all (RFC 6455
// section 4.2.1), or for the protocol `websocket` over HTTP/2 (RFC 8441); anything else is plain
// HTTP.
bool is_upgrade(const http::RequestHead& head);

// Errc::none, or why the upgrade is refused; info(code).wire is the status.
Errc judge(const http::RequestHead& head, const HandshakeRules& rules);

// Sec-WebSocket-Accept for a key: base64 of SHA-1, 28 characters.
std::array<char, 28> accept_value(std::string_view key);

// The first of `offered` (a Sec-WebSocket-Protocol value) that `supported` has, as a view into
// `supported`; empty when none. Names are compared byte by byte.
std::string_view choose_protocol(std::string_view offered, std::span<const std::string> supported);

// True for codes that may appear in a Close frame (RFC 6455 section 7.4): 1000-1003, 1007-1014,
// 3000-4999.
bool may_be_sent(std::uint16_t close_code);

}  // namespace sluice::ws
