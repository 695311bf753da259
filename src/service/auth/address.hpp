// service/auth/address.hpp - a peer's address as a key.
//
// Layer: service. Thread: any.
#pragma once

#include <algorithm>
#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>

#include "core/endpoint.hpp"

namespace sluice::service {

// Without the port. IPv4 written as IPv6 (RFC 4291 section 2.5.5.2) is IPv4.
struct AddressKey {
  std::array<std::uint8_t, 17> bytes{};  // the family, the address

  friend auto operator<=>(const AddressKey&, const AddressKey&) = default;
};

inline AddressKey address_key(const core::Endpoint& peer) {
  using Family = core::Endpoint::Family;
  constexpr std::array<std::uint8_t, 12> kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  AddressKey key;
  const auto* const from = peer.address.data();
  const bool mapped =
      peer.family == Family::ip6 && std::equal(kMapped.begin(), kMapped.end(), from);
  if (peer.family == Family::ip4 || mapped) {
    key.bytes[0] = 4;
    std::copy_n(from + (mapped ? 12 : 0), 4, key.bytes.begin() + 1);
  } else if (peer.family == Family::ip6) {
    key.bytes[0] = 6;
    std::copy_n(from, 16, key.bytes.begin() + 1);
  }
  return key;
}

// For IPv6 the /64 network alone: whoever has one address of it has them all.
inline AddressKey network_key(const core::Endpoint& peer) {
  AddressKey key = address_key(peer);
  if (key.bytes[0] == 6) std::fill(key.bytes.begin() + 9, key.bytes.end(), std::uint8_t{0});
  return key;
}

}  // namespace sluice::service
