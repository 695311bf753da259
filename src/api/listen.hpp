// api/listen.hpp - from prefixes to listening sockets.
//
// Layer: api. Thread: whoever starts the server.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/result.hpp>
#include <sluice/settings.hpp>

#include "core/endpoint.hpp"
#include "core/url_prefix.hpp"

namespace sluice::wire {
class SecurePort;
}

namespace sluice::api {

// What is listened on, and which requests of those that come in there are taken.
struct Prefix {
  core::UrlPrefix url;     // with the port in force; of `localhost` the name
  bool any_port = false;   // it was asked for with port 0
  bool loopback = false;   // localhost: both loopback addresses, any Host field
  std::string group = {};  // the name of its URL group; empty: the server's own
  std::uint64_t context = 0;
  SslOptions ssl = {};  // its own

  std::string text() const { return url.text(); }
  // As it is registered: localhost is two addresses.
  std::vector<core::UrlPrefix> registrations() const;
};

// Errors: bad_prefix, with words that name the prefix, what is wrong with it and what to write.
Result<Prefix> parse_prefix(const Binding& binding);
// `host` and `port` of a server as a binding.
Binding binding_of(std::string_view host, std::uint16_t port);

struct OpenSocket {
  int fd = -1;
  core::Endpoint address;
  std::uint32_t copy = 0;  // 0 .. copies-1, of one address
  bool any_address = false;
  std::size_t loop = 0;   // whose it is
  bool optional = false;  // ::1 of localhost, where the machine has no IPv6
  std::shared_ptr<const wire::SecurePort> secure = {};  // null: http
};

struct SocketOptions {
  std::uint32_t copies = 1;  // sockets for each address
  int backlog = 1000;
  TcpKeepAlive keep_alive;
};

// Opens what the prefixes ask for, `copies` sockets for each address; fills in ports that were 0.
// Sockets in `kept` are used again and taken out of it. An address in use is found before anything
// listens (one bind without SO_REUSEPORT). On an error everything opened here is closed.
Result<std::vector<OpenSocket>> open_sockets(std::vector<Prefix>& prefixes,
                                             const SocketOptions& options,
                                             std::vector<OpenSocket>& kept);

// Whether its descriptor is still a listening socket at its address.
bool still_listens(const OpenSocket& socket);
// Whether it is still that socket, though nobody is accepted there any more.
bool is_ours(const OpenSocket& socket);
// Another socket in the place of one that has gone.
Result<int> reopen(const OpenSocket& gone, const SocketOptions& options);
// Nobody is accepted there any more, whoever holds the descriptor.
void stop_listening(int fd);
std::string show(const core::Endpoint& endpoint);

// net.core.somaxconn
int largest_backlog();

}  // namespace sluice::api
