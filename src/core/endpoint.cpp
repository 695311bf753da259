// core/endpoint.cpp - addresses as text.
#include "core/endpoint.hpp"

#include <arpa/inet.h>

#include <cstring>

namespace sluice::core {

std::string Endpoint::ip() const {
  if (family == Family::none) return {};
  char text[INET6_ADDRSTRLEN] = {};
  static constexpr std::uint8_t kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  const std::uint8_t* at = address.data();
  bool mapped = family == Family::ip6 && std::memcmp(at, kMapped, sizeof kMapped) == 0;
  if (mapped) at += sizeof kMapped;
  inet_ntop(family == Family::ip4 || mapped ? AF_INET : AF_INET6, at, text, sizeof text);
  return text;
}

}  // namespace sluice::core
