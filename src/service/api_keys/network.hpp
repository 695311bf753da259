// service/api_keys/network.hpp - a range of addresses, as an allow-list has it.
//
// RFC 4632 section 3.1, RFC 4291 section 2.3. Layer: service. Thread: any.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include <sluice/result.hpp>

#include "core/endpoint.hpp"

namespace sluice::api_keys {

class Network {
 public:
  // `10.0.0.0/8`, `2001:db8::/32`, or one address. Errors: invalid_argument, in words: not an
  // address, a length that is too large, bits behind the length that are set (a mistake more often
  // than not), IPv4 written as IPv6.
  static Result<Network> parse(std::string_view text);

  // IPv4 written as IPv6 is IPv4. A local stream has no address and is in no network.
  bool contains(const core::Endpoint& peer) const;
  std::string text() const;  // an address alone without its length

  friend bool operator==(const Network&, const Network&) = default;

 private:
  std::array<std::uint8_t, 16> address_{};
  std::uint8_t family_ = 4;  // 4, 6
  std::uint8_t length_ = 0;
};

}  // namespace sluice::api_keys
