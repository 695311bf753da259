// tls/kernel.cpp - see kernel.hpp.
//
// Layer: tls. Thread: any.
#include "tls/kernel.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>

#ifndef TCP_ULP
#define TCP_ULP 31
#endif

#ifndef SOL_TLS
#define SOL_TLS 282
#endif

namespace sluice::tls {
namespace {

// tls12_crypto_info_aes_gcm_128 of linux/tls.h, which is not everywhere; RFC 8446's name for a
// version, and the kernel's for a cipher.
struct SealKey {
  std::uint16_t version = 0x0304, cipher = 51;
  std::uint8_t iv[8] = {}, key[16] = {}, salt[4] = {}, sequence[8] = {};
};
constexpr int kSeals = 1;        // TLS_TX
constexpr int kPatience = 1000;  // ms

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

// Somebody may drop packets to loopback. False: errno says why.
bool connect_in_time(int fd, const sockaddr* to, socklen_t size) {
  if (::connect(fd, to, size) == 0) return true;
  if (errno != EINPROGRESS) return false;
  pollfd ready{fd, POLLOUT, 0};
  const int answered = ::poll(&ready, 1, kPatience);
  if (answered == 0) errno = ETIMEDOUT;
  if (answered <= 0) return false;
  int failed = 0;
  socklen_t length = sizeof failed;
  if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &length) != 0) return false;
  errno = failed;
  return failed == 0;
}

}  // namespace

Result<void> kernel_can_seal() {
  constexpr int kType = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
  const Socket listener(::socket(AF_INET, kType, 0)), client(::socket(AF_INET, kType, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* at = reinterpret_cast<sockaddr*>(&address);
  // A protocol can be put on top of a connected socket only; the backlog connects it at once.
  if (listener.get() < 0 || client.get() < 0 || ::bind(listener.get(), at, size) != 0 ||
      ::listen(listener.get(), 1) != 0 || ::getsockname(listener.get(), at, &size) != 0 ||
      !connect_in_time(client.get(), at, size)) {
    return unavailable("no connection over loopback to try kTLS on");
  }
  if (::setsockopt(client.get(), IPPROTO_TCP, TCP_ULP, "tls", 3) != 0) {
    return unavailable("the kernel has no TLS (is its module `tls` there?)");
  }
  const SealKey key;
  if (::setsockopt(client.get(), SOL_TLS, kSeals, &key, sizeof key) != 0) {
    return unavailable("the kernel does not seal with AES-128-GCM for TLS 1.3");
  }
  return {};
}

}  // namespace sluice::tls
