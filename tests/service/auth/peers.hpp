// tests/service/auth/peers.hpp - addresses and times for a test.
//
// Layer: tests.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <initializer_list>

#include "base/clock.hpp"
#include "core/endpoint.hpp"

namespace sluice::service {

using namespace std::chrono_literals;

inline constexpr base::Instant kStart{1000s};

inline core::Endpoint ip4(std::uint32_t address, std::uint16_t port = 1) {
  core::Endpoint peer;
  peer.family = core::Endpoint::Family::ip4;
  peer.port = port;
  for (std::size_t i = 0; i < 4; ++i) {
    peer.address[i] = static_cast<std::uint8_t>(address >> (24 - 8 * i));
  }
  return peer;
}

inline core::Endpoint ip6(std::initializer_list<std::uint8_t> address) {
  core::Endpoint peer;
  peer.family = core::Endpoint::Family::ip6;
  std::copy(address.begin(), address.end(), peer.address.begin());
  return peer;
}

}  // namespace sluice::service
