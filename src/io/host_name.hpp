// io/host_name.hpp - what a host or a DNS server may be written as: names and addresses.
//
// RFC 1123 section 2.1 (host names), 4291 section 2.2 (IPv6 addresses), 6761 section 6.3
// (localhost). Layer: io. Does no I/O, keeps no state.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "io/resolver.hpp"

namespace sluice::io {

// "10.0.0.1", "::1".
std::optional<IpAddress> parse_address(const std::string& text);
// The same, or "[::1]" as in a URL.
std::optional<IpAddress> parse_host_address(const std::string& text);

// A name in small letters, with or without a dot at its end. The underscore is no letter of a host
// name, but containers are named with it. A name that ends in a number would be an address to
// others ("127.1", "1.2.3.256"), so it is none.
bool is_host_name(std::string_view name);
// And what ends in ".localhost".
bool is_localhost(std::string_view name);

std::string small_letters(std::string text);
// In quotes, for the words of an error: whoever wrote it may have written anything, at any length.
std::string quoted(const std::string& name);

struct DnsServer {
  IpAddress address;
  int port = 53;
};

// "127.0.0.1:5353", "[::1]:53", "127.0.0.1", "::1", "[::1]".
std::optional<DnsServer> parse_dns_server(const std::string& text);

}  // namespace sluice::io
