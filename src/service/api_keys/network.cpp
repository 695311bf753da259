// service/api_keys/network.cpp - see network.hpp.
//
// Layer: service. Thread: any.
#include "service/api_keys/network.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "service/auth/address.hpp"

namespace sluice::api_keys {
namespace {

Error refused(std::string_view text, const char* why) {
  std::string words = "\"";
  for (const char c : text.substr(0, 64)) words += static_cast<unsigned char>(c) < 0x20 ? '?' : c;
  words.append("\" ").append(why);
  return {Errc::invalid_argument, std::move(words)};
}

std::uint8_t mask_of(std::size_t byte, std::size_t length) {
  if (length >= byte * 8 + 8) return 0xff;
  if (length <= byte * 8) return 0;
  return static_cast<std::uint8_t>(0xff00 >> (length - byte * 8));
}

core::Endpoint endpoint_of(const std::array<std::uint8_t, 16>& address, bool ip6) {
  core::Endpoint out;
  out.address = address;
  out.family = ip6 ? core::Endpoint::Family::ip6 : core::Endpoint::Family::ip4;
  return out;
}

}  // namespace

Result<Network> Network::parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  const std::string address(text.substr(0, std::min<std::size_t>(slash, 64)));
  Network out;
  const bool ip6 = address.find(':') != std::string::npos;
  if (address.find('\0') != std::string::npos ||  // where C ends a text
      inet_pton(ip6 ? AF_INET6 : AF_INET, address.c_str(), out.address_.data()) != 1) {
    return refused(text, "is no address or network; write 192.0.2.0/24 or 2001:db8::/32");
  }
  out.family_ = ip6 ? 6 : 4;
  const std::uint8_t most = ip6 ? 128 : 32;
  out.length_ = most;
  if (slash != std::string_view::npos) {
    const std::string_view length = text.substr(slash + 1);
    const auto [end, wrong] =
        std::from_chars(length.data(), length.data() + length.size(), out.length_);
    const bool padded = length.size() > 1 && length.front() == '0';
    if (wrong != std::errc() || end != length.data() + length.size() || padded ||
        out.length_ > most) {
      return refused(text, ip6 ? "has no length of 0 to 128 behind its slash"
                               : "has no length of 0 to 32 behind its slash");
    }
  }
  if (ip6 && service::address_key(endpoint_of(out.address_, true)).bytes[0] == 4) {
    return refused(text, "is IPv4 written as IPv6; write it as IPv4");
  }
  for (std::size_t i = 0; i < most / 8U; ++i) {
    if ((out.address_[i] & ~mask_of(i, out.length_)) != 0) {
      return refused(text, "has bits behind its length that are not zero");
    }
  }
  return out;
}

bool Network::contains(const core::Endpoint& peer) const {
  const service::AddressKey key = service::address_key(peer);
  if (key.bytes[0] != family_) return false;
  for (std::size_t i = 0; i * 8 < length_; ++i) {
    if ((key.bytes[i + 1] & mask_of(i, length_)) != address_[i]) return false;
  }
  return true;
}

std::string Network::text() const {
  std::string out = endpoint_of(address_, family_ == 6).ip();
  if (length_ != (family_ == 6 ? 128 : 32)) out.append("/").append(std::to_string(length_));
  return out;
}

}  // namespace sluice::api_keys
