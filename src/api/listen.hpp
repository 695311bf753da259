// api/listen.hpp - from prefixes to listening sockets.
//
// Layer: api. Thread: whoever starts the server.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/result.hpp>
#include <sluice/settings.hpp>

#include "core/endpoint.hpp"

namespace sluice::api {

// `http://HOST:PORT/`, taken apart.
struct Prefix {
  bool any_port = false;  // it was asked for with port 0
  std::string host;       // as it was given; brackets of an IPv6 literal removed
  std::uint16_t port = 0;
  bool named = false;        // a name that Host fields must match
  std::string text() const;  // with the port in force
};

// Errors name the prefix, what is wrong with it and how it should look.
Result<Prefix> parse_prefix(std::string_view text);
Prefix prefix_of(std::string_view host, std::uint16_t port);
bool is_same(const Prefix& a, const Prefix& b);  // host, whatever its case, and port

struct OpenSocket {
  int fd = -1;
  core::Endpoint address;
  std::uint32_t copy = 0;  // 0 .. copies-1, of one address
  bool any_address = false;
  bool optional = false;  // ::1 of localhost, where the machine has no IPv6
};

// Opens what the prefixes ask for, `copies` sockets for each address; fills in ports that were 0.
// Sockets in `kept` are used again and taken out of it. An address in use is found before anything
// listens (one bind without SO_REUSEPORT). On an error everything opened here is closed.
Result<std::vector<OpenSocket>> open_sockets(std::vector<Prefix>& prefixes, std::uint32_t copies,
                                             int backlog, std::vector<OpenSocket>& kept);

// net.core.somaxconn
int largest_backlog();

}  // namespace sluice::api
