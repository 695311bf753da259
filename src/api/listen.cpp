// api/listen.cpp - sockets, and errors that say what to do.
#include "api/listen.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>

namespace sluice::api {

using core::Endpoint;

std::string show(const Endpoint& endpoint) {
  std::string ip = endpoint.ip();
  if (endpoint.family == Endpoint::Family::ip6) ip = "[" + ip + "]";
  return ip + ":" + std::to_string(endpoint.port);
}

namespace {

struct Wanted {
  Endpoint address;
  bool any = false, optional = false;
};

Endpoint address_of(std::string_view octets) {
  Endpoint endpoint;
  endpoint.family = octets.size() == 4 ? Endpoint::Family::ip4 : Endpoint::Family::ip6;
  std::memcpy(endpoint.address.data(), octets.data(),
              std::min(octets.size(), endpoint.address.size()));
  return endpoint;
}

std::string octets_of(int family, const char* text) {
  in6_addr address;
  if (inet_pton(family, text, &address) != 1) return {};
  return {reinterpret_cast<const char*>(&address), family == AF_INET ? 4u : 16u};
}

const std::string& loopback(int family) {
  static const std::string kFour = octets_of(AF_INET, "127.0.0.1"),
                           kSix = octets_of(AF_INET6, "::1");
  return family == AF_INET ? kFour : kSix;
}

std::vector<Wanted> addresses_of(const Prefix& prefix) {
  if (prefix.loopback) {
    return {{address_of(loopback(AF_INET)), false, false},
            {address_of(loopback(AF_INET6)), false, true}};
  }
  if (prefix.url.kind == core::UrlHost::address)
    return {{address_of(prefix.url.host), false, false}};
  Wanted any;
  any.any = true;
  any.address.family = Endpoint::Family::ip6;  // dual stack
  return {any};
}

socklen_t to_sockaddr(const Endpoint& endpoint, sockaddr_storage& storage) {
  storage = {};
  if (endpoint.family == Endpoint::Family::ip4) {
    auto& in = reinterpret_cast<sockaddr_in&>(storage);
    in.sin_family = AF_INET;
    in.sin_port = htons(endpoint.port);
    std::memcpy(&in.sin_addr, endpoint.address.data(), 4);
    return sizeof in;
  }
  auto& in = reinterpret_cast<sockaddr_in6&>(storage);
  in.sin6_family = AF_INET6;
  in.sin6_port = htons(endpoint.port);
  std::memcpy(&in.sin6_addr, endpoint.address.data(), 16);
  return sizeof in;
}

Error bind_error(const Endpoint& endpoint, int error) {
  switch (error) {
    case EADDRINUSE:
      return {Errc::address_in_use,
              show(endpoint) + " is taken by another program; stop it or choose another port"};
    case EACCES:
      return {Errc::permission_denied,
              show(endpoint) +
                  " needs a privilege (ports below 1024 do); choose a port above 1023 or grant "
                  "CAP_NET_BIND_SERVICE"};
    case EADDRNOTAVAIL:
      return {Errc::address_not_available, show(endpoint) + " is no address of this machine"};
    default:
      return {Errc::io_failed, "cannot listen on " + show(endpoint) + ": " + std::strerror(error)};
  }
}

// A bound socket, or -errno.
int bound_socket(const Endpoint& endpoint, bool dual_stack, bool shared) {
  int family = endpoint.family == Endpoint::Family::ip4 ? AF_INET : AF_INET6;
  int fd = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -errno;
  int one = 1, v6_only = dual_stack ? 0 : 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (shared) ::setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
  if (family == AF_INET6) ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6_only, sizeof v6_only);
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);  // accepted sockets inherit it
  sockaddr_storage address;
  socklen_t size = to_sockaddr(endpoint, address);
  if (::bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0) {
    int error = errno;
    ::close(fd);
    return -error;
  }
  return fd;
}

// Sockets that are accepted inherit it.
void keep_alive(int fd, const TcpKeepAlive& wanted) {
  auto set = [fd](int level, int name, int value) {
    ::setsockopt(fd, level, name, &value, sizeof value);
  };
  set(SOL_SOCKET, SO_KEEPALIVE, wanted.enabled ? 1 : 0);
  if (!wanted.enabled) return;
  set(IPPROTO_TCP, TCP_KEEPIDLE, int(wanted.time.count()));
  set(IPPROTO_TCP, TCP_KEEPINTVL, int(wanted.interval.count()));
  set(IPPROTO_TCP, TCP_KEEPCNT, int(wanted.probes));
}

std::uint16_t port_of(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  return address.ss_family == AF_INET ? ntohs(reinterpret_cast<sockaddr_in&>(address).sin_port)
                                      : ntohs(reinterpret_cast<sockaddr_in6&>(address).sin6_port);
}

class Opening {
 public:
  Opening(const SocketOptions& options, std::vector<OpenSocket>& kept)
      : options_(options), kept_(kept) {}
  ~Opening() {
    for (const OpenSocket& socket : opened_) {
      if (!failed_) break;
      if (std::find(reused_.begin(), reused_.end(), socket.fd) == reused_.end()) {
        ::close(socket.fd);
      } else {
        kept_.push_back(socket);
      }
    }
  }

  Error open(Prefix& prefix) {
    std::vector<Wanted> wanted = addresses_of(prefix);
    bool choose = prefix.url.port == 0;
    for (int attempt = 0;; ++attempt) {
      std::size_t before = opened_.size();
      Error error = open_all(prefix, wanted);
      if (!error) return {};
      // A free port for one loopback may be taken on the other: try another one.
      if (!choose || error.code != Errc::address_in_use || attempt == 16) {
        failed_ = true;
        return error;
      }
      while (opened_.size() > before) {
        ::close(opened_.back().fd);
        opened_.pop_back();
      }
      prefix.url.port = 0;
    }
  }

  std::vector<OpenSocket> take() { return std::move(opened_); }

 private:
  Error open_all(Prefix& prefix, std::vector<Wanted>& wanted) {
    for (Wanted& one : wanted) {
      one.address.port = prefix.url.port;
      Error error = open_one(prefix, one);
      if (error && one.any && one.address.family == Endpoint::Family::ip6 &&
          error.code != Errc::address_in_use) {
        one.address = {};  // no IPv6 here
        one.address.family = Endpoint::Family::ip4;
        one.address.port = prefix.url.port;
        error = open_one(prefix, one);
      }
      if (error && !(one.optional && error.code != Errc::address_in_use)) return error;
    }
    return {};
  }

  bool reuse(const Wanted& one) {
    bool found = false;
    for (auto socket = kept_.begin(); socket != kept_.end();) {
      if (socket->address == one.address && socket->copy < options_.copies) {
        ::listen(socket->fd, options_.backlog);
        keep_alive(socket->fd, options_.keep_alive);
        reused_.push_back(socket->fd);
        opened_.push_back(*socket);
        socket = kept_.erase(socket);
        found = true;
      } else {
        ++socket;
      }
    }
    return found;
  }

  Error open_one(Prefix& prefix, const Wanted& one) {
    Endpoint address = one.address;
    for (const OpenSocket& socket : opened_) {
      const bool shared =
          socket.address == address || (socket.any_address && socket.address.port == address.port);
      if (shared && address.port != 0) return {};  // several prefixes come in there
    }
    std::uint32_t have = 0;
    if (reuse(one)) {
      for (const OpenSocket& socket : opened_) have += socket.address == address ? 1 : 0;
    } else {
      int probe = bound_socket(address, one.any, false);
      if (probe < 0) return bind_error(address, -probe);
      address.port = port_of(probe);
      ::close(probe);
    }
    prefix.url.port = address.port;
    for (std::uint32_t copy = have; copy < options_.copies; ++copy) {
      int fd = bound_socket(address, one.any, true);
      if (fd < 0) return bind_error(address, -fd);
      if (Error error = start(fd, address, one, copy)) return error;
    }
    return {};
  }

  Error start(int fd, const Endpoint& address, const Wanted& one, std::uint32_t copy) {
    keep_alive(fd, options_.keep_alive);
    if (::listen(fd, options_.backlog) != 0) {
      int error = errno;
      ::close(fd);
      return bind_error(address, error);
    }
    opened_.push_back({fd, address, copy, one.any, 0, one.optional});
    return {};
  }

  const SocketOptions options_;
  std::vector<OpenSocket>& kept_;
  std::vector<OpenSocket> opened_;
  std::vector<int> reused_;
  bool failed_ = false;
};

}  // namespace

std::vector<core::UrlPrefix> Prefix::registrations() const {
  if (!loopback) return {url};
  std::vector<core::UrlPrefix> both;
  for (int family : {AF_INET, AF_INET6}) {
    core::UrlPrefix one = url;
    one.kind = core::UrlHost::address;
    one.host = api::loopback(family);
    both.push_back(std::move(one));
  }
  return both;
}

Result<Prefix> parse_prefix(const Binding& binding) {
  auto url = core::parse_listen_prefix(binding.prefix);
  if (!url) return url.error();
  Prefix prefix;
  prefix.url = std::move(*url);
  prefix.any_port = prefix.url.port == 0;
  prefix.loopback = prefix.url.kind == core::UrlHost::name && prefix.url.host == "localhost";
  prefix.group = binding.options.url_group;
  prefix.context = binding.options.context;
  prefix.ssl = binding.options.ssl_options;
  return prefix;
}

Binding binding_of(std::string_view host, std::uint16_t port) {
  std::string shown = host.empty() ? "*" : std::string(host);
  if (shown.find(':') != std::string::npos && shown.front() != '[') shown = "[" + shown + "]";
  return {"http://" + shown + ":" + std::to_string(port) + "/", {}};
}

Result<std::vector<OpenSocket>> open_sockets(std::vector<Prefix>& prefixes,
                                             const SocketOptions& options,
                                             std::vector<OpenSocket>& kept) {
  Opening opening(options, kept);
  // What all addresses take needs no socket for one of them.
  for (bool any : {true, false}) {
    for (Prefix& prefix : prefixes) {
      const bool is_any = !prefix.loopback && prefix.url.kind != core::UrlHost::address;
      if (is_any != any) continue;
      if (Error error = opening.open(prefix)) return error;
    }
  }
  return opening.take();
}

bool still_listens(const OpenSocket& socket) {
  int listens = 0;
  socklen_t size = sizeof listens;
  if (::getsockopt(socket.fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 || listens == 0) {
    return false;
  }
  return port_of(socket.fd) == socket.address.port;
}

bool is_ours(const OpenSocket& socket) {
  sockaddr_storage peer;
  socklen_t size = sizeof peer;
  // A connection that has got its number has a peer.
  return ::getpeername(socket.fd, reinterpret_cast<sockaddr*>(&peer), &size) != 0 &&
         errno == ENOTCONN && port_of(socket.fd) == socket.address.port;
}

Result<int> reopen(const OpenSocket& gone, const SocketOptions& options) {
  const bool dual = gone.any_address && gone.address.family == Endpoint::Family::ip6;
  const int fd = bound_socket(gone.address, dual, true);
  if (fd < 0) return bind_error(gone.address, -fd);
  keep_alive(fd, options.keep_alive);
  if (::listen(fd, options.backlog) == 0) return fd;
  const int error = errno;
  ::close(fd);
  return bind_error(gone.address, error);
}

void stop_listening(int fd) { ::shutdown(fd, SHUT_RD); }

int largest_backlog() {
  std::ifstream file("/proc/sys/net/core/somaxconn");
  int value = 0;
  return file >> value ? value : 4096;
}

}  // namespace sluice::api
