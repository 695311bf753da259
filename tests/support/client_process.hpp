// tests/support/client_process.hpp - a WebSocket client in a process of its own, to be stopped as a
// machine that freezes would be.
//
// It answers pings (empty ones: all that it is sent must be those) or only reads. The child makes
// system calls and nothing else, for it is forked from a program with threads. Layer: tests.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <string>

#include "support/ws_client.hpp"

namespace sluice::test {

class ClientProcess {
 public:
  enum class Does { answers_pings, reads };

  ClientProcess(std::uint16_t port, Does what) : handshake_(WsClient::handshake("/")) {
    child_ = ::fork();
    if (child_ == 0) live(port, what);
  }
  // Ends it, and so its connection.
  ~ClientProcess() {
    if (child_ <= 0) return;
    ::kill(child_, SIGKILL);
    ::waitpid(child_, nullptr, 0);
  }
  ClientProcess(const ClientProcess&) = delete;
  ClientProcess& operator=(const ClientProcess&) = delete;

  // Returns when it stands still.
  bool stop() {
    int status = 0;
    return ::kill(child_, SIGSTOP) == 0 && ::waitpid(child_, &status, WUNTRACED) == child_ &&
           WIFSTOPPED(status);
  }
  void go_on() { ::kill(child_, SIGCONT); }

 private:
  [[noreturn]] void live(std::uint16_t port, Does what) const {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::close_range(3, ~0u, 0);  // what the server has open is not ours to keep open
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) ::_exit(1);
    if (::send(fd, handshake_.data(), handshake_.size(), MSG_NOSIGNAL) < 0) ::_exit(2);
    static constexpr char kPong[] = {'\x8a', '\x80', 0, 0, 0, 0};
    int head_end = 0;  // how much of the empty line behind the head has come
    std::size_t frame_bytes = 0;
    for (;;) {
      char buffer[4096];
      const ssize_t got = ::recv(fd, buffer, sizeof buffer, 0);
      if (got <= 0) ::_exit(0);
      if (what == Does::reads) continue;
      for (ssize_t i = 0; i < got; ++i) {
        if (head_end < 4) {
          head_end = buffer[i] == "\r\n\r\n"[head_end] ? head_end + 1 : buffer[i] == '\r' ? 1 : 0;
        } else if (++frame_bytes % 2 == 0) {
          if (::send(fd, kPong, sizeof kPong, MSG_NOSIGNAL) < 0) ::_exit(0);
        }
      }
    }
  }

  const std::string handshake_;
  pid_t child_ = -1;
};

}  // namespace sluice::test
