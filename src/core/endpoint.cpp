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
  if (family == Family::ip6 && !mapped) {
    inet_ntop(AF_INET6, at, text, sizeof text);
    return text;
  }
  // inet_ntop(3) prints, which costs more than all the rest of a forwarded request's head.
  char* end = text;
  for (int i = 0; i < 4; ++i) {
    if (i > 0) *end++ = '.';
    const unsigned byte = at[i];
    if (byte >= 100) *end++ = char('0' + byte / 100);
    if (byte >= 10) *end++ = char('0' + byte / 10 % 10);
    *end++ = char('0' + byte % 10);
  }
  return {text, end};
}

}  // namespace sluice::core
