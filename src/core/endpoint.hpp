// core/endpoint.hpp - an address and a port, as a value.
//
// Layer: core.
#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace sluice::core {

struct Endpoint {
  enum class Family : std::uint8_t { none, ip4, ip6 };  // none: a local stream
  std::array<std::uint8_t, 16> address{};               // ip4 uses the first four
  std::uint16_t port = 0;
  Family family = Family::none;

  std::string ip() const;  // "127.0.0.1", "::1", ""; IPv4 in IPv6 is shown as IPv4
  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

}  // namespace sluice::core
