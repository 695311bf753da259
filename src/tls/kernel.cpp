// tls/kernel.cpp - see kernel.hpp.
//
// Layer: tls. Thread: any.
#include "tls/kernel.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#ifndef TCP_ULP
#define TCP_ULP 31
#endif

namespace sluice::tls {
namespace {

class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}
  ~Socket() {
    if (fd_ >= 0) ::close(fd_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

Error unavailable(const std::string& what) {
  return {Errc::unavailable, what + ": " + std::strerror(errno)};
}

}  // namespace

Result<void> kernel_can_seal() {
  constexpr int kType = SOCK_STREAM | SOCK_CLOEXEC;
  const Socket listener(::socket(AF_INET, kType, 0)), client(::socket(AF_INET, kType, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* at = reinterpret_cast<sockaddr*>(&address);
  // A protocol can be put on top of a connected socket only; the backlog connects it at once.
  if (listener.get() < 0 || client.get() < 0 || ::bind(listener.get(), at, size) != 0 ||
      ::listen(listener.get(), 1) != 0 || ::getsockname(listener.get(), at, &size) != 0 ||
      ::connect(client.get(), at, size) != 0) {
    return unavailable("no connection over loopback to try kTLS on");
  }
  if (::setsockopt(client.get(), IPPROTO_TCP, TCP_ULP, "tls", 3) != 0) {
    return unavailable("the kernel has no TLS (is its module `tls` there?)");
  }
  return {};
}

}  // namespace sluice::tls
