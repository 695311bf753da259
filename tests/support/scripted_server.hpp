// tests/support/scripted_server.hpp - a server that says exactly what it is told, right or wrong.
//
// Blocking, a thread for each connection. Knows nothing of the library's code. Layer: tests.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstring>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace sluice::test {

// A request as it came over the wire.
struct SeenRequest {
  std::string line;  // "GET / HTTP/1.1"
  std::vector<std::pair<std::string, std::string>> fields;
  std::string head;      // with the empty line
  std::string body;      // decoded
  std::string trailers;  // lines
  bool chunked = false;

  std::string field(std::string_view name) const {
    for (const auto& [key, value] : fields) {
      if (same(key, name)) return value;
    }
    return {};
  }
  std::size_t count(std::string_view name) const {
    std::size_t found = 0;
    for (const auto& [key, value] : fields) found += same(key, name);
    return found;
  }
  std::string target() const {
    const std::size_t from = line.find(' ') + 1;
    return line.substr(from, line.rfind(' ') - from);
  }

 private:
  static bool same(std::string_view a, std::string_view b) {
    return a.size() == b.size() && ::strncasecmp(a.data(), b.data(), a.size()) == 0;
  }
};

class ScriptedServer {
 public:
  class Peer {
   public:
    Peer(int fd, std::atomic<bool>& stopping) : fd_(fd), stopping_(stopping) {}
    ~Peer() { close(); }
    Peer(const Peer&) = delete;
    Peer& operator=(const Peer&) = delete;

    // The head alone. False at the end of the connection.
    bool read_head(SeenRequest& request) {
      request = {};
      std::size_t end = 0;
      while ((end = in_.find("\r\n\r\n")) == std::string::npos) {
        if (!fill()) return false;
      }
      request.head = take(end + 4);
      std::size_t at = request.head.find("\r\n");
      request.line = request.head.substr(0, at);
      for (at += 2; request.head.compare(at, 2, "\r\n") != 0;) {
        const std::size_t line_end = request.head.find("\r\n", at);
        const std::string line = request.head.substr(at, line_end - at);
        const std::size_t colon = line.find(": ");
        request.fields.emplace_back(line.substr(0, colon),
                                    colon == std::string::npos ? "" : line.substr(colon + 2));
        at = line_end + 2;
      }
      return true;
    }
    // And its body.
    bool read(SeenRequest& request) { return read_head(request) && read_body(request); }
    bool read_body(SeenRequest& request) {
      request.chunked = request.field("Transfer-Encoding") == "chunked";
      if (request.chunked) return read_chunks(request);
      const std::string length = request.field("Content-Length");
      const std::size_t size = length.empty() ? 0 : std::stoul(length);
      while (in_.size() < size) {
        if (!fill()) return false;
      }
      request.body = take(size);
      return true;
    }
    bool send(std::string_view bytes) {
      while (!bytes.empty()) {
        const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent <= 0) return false;
        bytes.remove_prefix(std::size_t(sent));
      }
      return true;
    }
    bool answer(std::string_view body, std::string_view fields = {}, int status = 200) {
      return send("HTTP/1.1 " + std::to_string(status) + " Status\r\n" + std::string(fields) +
                  "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
                  std::string(body));
    }
    // Whatever has come and comes, until the other side ends.
    std::string read_to_end() {
      while (fill()) {
      }
      return std::move(in_);
    }
    bool read_bytes(std::size_t size, std::string& out) {
      while (in_.size() < size) {
        if (!fill()) return false;
      }
      out = take(size);
      return true;
    }
    void end_sending() { ::shutdown(fd_, SHUT_WR); }
    void close() {
      if (fd_ >= 0) ::close(std::exchange(fd_, -1));
    }
    void reset() {
      const linger now{1, 0};
      ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
      close();
    }

   private:
    bool fill() {
      char bytes[65536];
      for (int waited = 0; waited < 30'000 && !stopping_; waited += 20) {
        pollfd ready{fd_, POLLIN, 0};
        if (::poll(&ready, 1, 20) <= 0) continue;
        const ssize_t got = ::recv(fd_, bytes, sizeof bytes, 0);
        if (got <= 0) return false;
        in_.append(bytes, std::size_t(got));
        return true;
      }
      return false;
    }
    std::string take(std::size_t size) {
      std::string out = in_.substr(0, size);
      in_.erase(0, size);
      return out;
    }
    bool read_chunks(SeenRequest& request) {
      for (;;) {
        std::size_t end = 0;
        while ((end = in_.find("\r\n")) == std::string::npos) {
          if (!fill()) return false;
        }
        const std::size_t size = std::stoul(take(end + 2), nullptr, 16);
        if (size == 0) break;
        std::string piece;
        if (!read_bytes(size + 2, piece)) return false;
        request.body.append(piece, 0, size);
      }
      for (;;) {
        std::size_t end = 0;
        while ((end = in_.find("\r\n")) == std::string::npos) {
          if (!fill()) return false;
        }
        const std::string line = take(end + 2);
        if (line == "\r\n") return true;
        request.trailers.append(line);
      }
    }

    int fd_;
    std::atomic<bool>& stopping_;
    std::string in_;
  };

  using Serve = std::function<void(Peer&)>;

  // On a free port of 127.0.0.1, or at a path in the file system.
  explicit ScriptedServer(Serve serve, const std::string& path = {}) : serve_(std::move(serve)) {
    sockaddr_storage address{};
    socklen_t size = sizeof(sockaddr_in);
    if (path.empty()) {
      auto& in = reinterpret_cast<sockaddr_in&>(address);
      in.sin_family = AF_INET;
      in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    } else {
      auto& local = reinterpret_cast<sockaddr_un&>(address);
      local.sun_family = AF_UNIX;
      std::memcpy(local.sun_path, path.c_str(), path.size() + 1);
      size = sizeof local;
    }
    listener_ = ::socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0) std::abort();
    if (::listen(listener_, 64) != 0) std::abort();
    if (path.empty()) {
      ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
      port_ = ntohs(reinterpret_cast<sockaddr_in&>(address).sin_port);
    }
    acceptor_ = std::thread([this] { accept(); });
  }
  ~ScriptedServer() {
    stopping_ = true;
    acceptor_.join();
    ::close(listener_);
    for (std::thread& each : threads_) each.join();
  }
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;

  // Answers each request with what `answer` sends.
  static Serve requests(std::function<void(Peer&, const SeenRequest&)> answer) {
    return [answer = std::move(answer)](Peer& peer) {
      SeenRequest request;
      while (peer.read(request)) answer(peer, request);
    };
  }

  std::uint16_t port() const { return port_; }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  int connections() const { return connections_; }

 private:
  void accept() {
    while (!stopping_) {
      pollfd ready{listener_, POLLIN, 0};
      if (::poll(&ready, 1, 20) <= 0) continue;
      const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) continue;
      ++connections_;
      threads_.emplace_back([this, fd] {
        Peer peer(fd, stopping_);
        serve_(peer);
      });
    }
  }

  const Serve serve_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<bool> stopping_{false};
  std::atomic<int> connections_{0};
  std::list<std::thread> threads_;  // the acceptor's
  std::thread acceptor_;
};

}  // namespace sluice::test
