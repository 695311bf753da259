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
namespace {

using core::Endpoint;

struct Wanted {
  Endpoint address;
  bool any = false, optional = false;
};

bool parse_ip(const std::string& text, Endpoint& endpoint) {
  if (inet_pton(AF_INET, text.c_str(), endpoint.address.data()) == 1) {
    endpoint.family = Endpoint::Family::ip4;
    return true;
  }
  if (inet_pton(AF_INET6, text.c_str(), endpoint.address.data()) == 1) {
    endpoint.family = Endpoint::Family::ip6;
    return true;
  }
  endpoint.address = {};
  return false;
}

bool is_wildcard(std::string_view host) {
  return host.empty() || host == "+" || host == "*" || host == "0.0.0.0" || host == "::";
}

std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = char(c + 32);
  }
  return lower;
}

std::vector<Wanted> addresses_of(const Prefix& prefix) {
  if (lower_case(prefix.host) == "localhost") {
    Wanted four{{}, false, false}, six{{}, false, true};
    parse_ip("127.0.0.1", four.address);
    parse_ip("::1", six.address);
    return {four, six};
  }
  Wanted one;
  if (!is_wildcard(prefix.host) && parse_ip(prefix.host, one.address)) return {one};
  one.any = true;
  one.address.family = Endpoint::Family::ip6;  // dual stack
  return {one};
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

std::string show(const Endpoint& endpoint) {
  std::string ip = endpoint.ip();
  if (endpoint.family == Endpoint::Family::ip6) ip = "[" + ip + "]";
  return ip + ":" + std::to_string(endpoint.port);
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

std::uint16_t port_of(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  return address.ss_family == AF_INET ? ntohs(reinterpret_cast<sockaddr_in&>(address).sin_port)
                                      : ntohs(reinterpret_cast<sockaddr_in6&>(address).sin6_port);
}

class Opening {
 public:
  Opening(std::uint32_t copies, int backlog, std::vector<OpenSocket>& kept)
      : copies_(copies), backlog_(backlog), kept_(kept) {}
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
    bool choose = prefix.port == 0;
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
      prefix.port = 0;
    }
  }

  std::vector<OpenSocket> take() { return std::move(opened_); }

 private:
  Error open_all(Prefix& prefix, std::vector<Wanted>& wanted) {
    for (Wanted& one : wanted) {
      one.address.port = prefix.port;
      Error error = open_one(prefix, one);
      if (error && one.any && one.address.family == Endpoint::Family::ip6 &&
          error.code != Errc::address_in_use) {
        one.address = {};  // no IPv6 here
        one.address.family = Endpoint::Family::ip4;
        one.address.port = prefix.port;
        error = open_one(prefix, one);
      }
      if (error && !(one.optional && error.code != Errc::address_in_use)) return error;
    }
    return {};
  }

  bool reuse(const Wanted& one) {
    bool found = false;
    for (auto socket = kept_.begin(); socket != kept_.end();) {
      if (socket->address == one.address && socket->copy < copies_) {
        ::listen(socket->fd, backlog_);
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
      if (socket.address == address && address.port != 0) return {};  // two prefixes share it
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
    prefix.port = address.port;
    for (std::uint32_t copy = have; copy < copies_; ++copy) {
      int fd = bound_socket(address, one.any, true);
      if (fd < 0) return bind_error(address, -fd);
      if (Error error = start(fd, address, one, copy)) return error;
    }
    return {};
  }

  Error start(int fd, const Endpoint& address, const Wanted& one, std::uint32_t copy) {
    if (::listen(fd, backlog_) != 0) {
      int error = errno;
      ::close(fd);
      return bind_error(address, error);
    }
    opened_.push_back({fd, address, copy, one.any, one.optional});
    return {};
  }

  const std::uint32_t copies_;
  const int backlog_;
  std::vector<OpenSocket>& kept_;
  std::vector<OpenSocket> opened_;
  std::vector<int> reused_;
  bool failed_ = false;
};

}  // namespace

std::string Prefix::text() const {
  bool literal = host.find(':') != std::string::npos;
  std::string shown = host.empty() ? "*" : host;
  return "http://" + (literal ? "[" + shown + "]" : shown) + ":" + std::to_string(port) + "/";
}

bool is_same(const Prefix& a, const Prefix& b) {
  return a.port == b.port && lower_case(a.host) == lower_case(b.host);
}

Prefix prefix_of(std::string_view host, std::uint16_t port) {
  Prefix prefix;
  if (host.size() > 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  prefix.host = host;
  prefix.port = port;
  prefix.any_port = port == 0;
  Endpoint unused;
  prefix.named =
      !is_wildcard(host) && lower_case(host) != "localhost" && !parse_ip(prefix.host, unused);
  return prefix;
}

Result<Prefix> parse_prefix(std::string_view text) {
  auto wrong = [&](std::string_view why) {
    return Error(Errc::bad_prefix, "\"" + std::string(text) + "\": " + std::string(why) +
                                       "; it should look like http://localhost:8080/");
  };
  constexpr std::string_view kScheme = "http://";
  if (text.starts_with("https://")) return wrong("https is not offered by this build");
  if (!text.starts_with(kScheme)) return wrong("it must begin with http://");
  std::string_view rest = text.substr(kScheme.size());
  std::size_t slash = rest.find('/');
  std::string_view authority = rest.substr(0, slash);
  std::string_view path =
      slash == std::string_view::npos ? std::string_view("/") : rest.substr(slash);
  if (path != "/") return wrong("a path other than / cannot be listened on");
  std::size_t colon = authority.rfind(':');
  if (colon == std::string_view::npos || (authority.back() == ']'))
    return wrong("the port is missing");
  std::string_view host = authority.substr(0, colon), digits = authority.substr(colon + 1);
  unsigned port = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (digits.empty() || error != std::errc() || end != digits.data() + digits.size() ||
      port > 65535) {
    return wrong("the port must be a number from 0 to 65535");
  }
  if (host.empty()) return wrong("the host is missing");
  if (host.find_first_of("@?# ") != std::string_view::npos)
    return wrong("the host has a character that it cannot have");
  bool bracketed = host.front() == '[' && host.back() == ']';
  if (!bracketed && host.find(':') != std::string_view::npos)
    return wrong("an IPv6 address stands in brackets");
  Prefix prefix = prefix_of(host, std::uint16_t(port));
  if (bracketed && prefix.host != "::" && prefix.named)
    return wrong("what stands in the brackets is no IPv6 address");
  return prefix;
}

Result<std::vector<OpenSocket>> open_sockets(std::vector<Prefix>& prefixes, std::uint32_t copies,
                                             int backlog, std::vector<OpenSocket>& kept) {
  Opening opening(copies, backlog, kept);
  for (Prefix& prefix : prefixes) {
    if (Error error = opening.open(prefix)) return error;
  }
  return opening.take();
}

int largest_backlog() {
  std::ifstream file("/proc/sys/net/core/somaxconn");
  int value = 0;
  return file >> value ? value : 4096;
}

}  // namespace sluice::api
