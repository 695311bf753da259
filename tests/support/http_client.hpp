// tests/support/http_client.hpp - a small blocking HTTP/1.1 client that says exactly what it is
// told.
//
// Knows nothing of the server's code, so that both cannot be wrong in the same way. Every wait ends
// after `timeout`, as a reply that is not complete. Layer: tests. Thread: one at a time.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice::test {

struct HttpReply {
  bool complete = false;     // the message was received to its end
  bool until_close = false;  // its end was the end of the connection
  int status = 0;            // 0: not even a head
  std::string version, reason;
  std::vector<std::pair<std::string, std::string>> fields, trailers;
  std::string head;          // as received, with the empty line
  std::string body;          // decoded
  std::vector<int> interim;  // statuses of 1xx answers that came before

  // The first value; empty when absent.
  std::string_view field(std::string_view name) const {
    for (const auto& [key, value] : fields) {
      if (same(key, name)) return value;
    }
    return {};
  }
  std::size_t count(std::string_view name) const {
    std::size_t found = 0;
    for (const auto& entry : fields) found += same(entry.first, name);
    return found;
  }
  bool has(std::string_view name) const { return count(name) != 0; }

 private:
  static bool same(std::string_view a, std::string_view b) {
    return a.size() == b.size() && ::strncasecmp(a.data(), b.data(), a.size()) == 0;
  }
};

class HttpClient {
 public:
  // `from`: an address of our own, IPv4, that it comes from; null: any.
  explicit HttpClient(std::uint16_t port, const char* address = "127.0.0.1",
                      std::chrono::milliseconds timeout = std::chrono::seconds(10),
                      const char* from = nullptr)
      : timeout_(timeout) {
    const bool six = std::string_view(address).find(':') != std::string_view::npos;
    fd_ = ::socket(six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_storage storage{};
    socklen_t size = 0;
    if (six) {
      auto* to = reinterpret_cast<sockaddr_in6*>(&storage);
      to->sin6_family = AF_INET6;
      to->sin6_port = htons(port);
      ::inet_pton(AF_INET6, address, &to->sin6_addr);
      size = sizeof *to;
    } else {
      auto* to = reinterpret_cast<sockaddr_in*>(&storage);
      to->sin_family = AF_INET;
      to->sin_port = htons(port);
      ::inet_pton(AF_INET, address, &to->sin_addr);
      size = sizeof *to;
    }
    if (from) bind_to(from);
    timeval limit{timeout_.count() / 1000, (timeout_.count() % 1000) * 1000};
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);  // connect() too
    int on = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (::connect(fd_, reinterpret_cast<sockaddr*>(&storage), size) != 0) {
      connect_error_ = errno;
      // Interrupted, it goes on by itself.
      if (connect_error_ == EINTR) connect_error_ = wait_until_connected();
      if (connect_error_ != 0) disconnect();
    }
  }
  ~HttpClient() { disconnect(); }
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  bool connected() const { return fd_ >= 0; }
  int connect_error() const { return connect_error_; }  // errno, 0 when it connected
  int fd() const { return fd_; }

  // All of it, or false.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent < 0 && errno == EINTR) continue;
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }
  // FIN: nothing more comes from here.
  void end_sending() { ::shutdown(fd_, SHUT_WR); }
  void disconnect() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  // RST.
  void reset() {
    linger now{1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    disconnect();
  }
  void receive_buffer(int bytes) { ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes); }

  // One request with a Host field; `fields` are complete lines, each with CRLF.
  HttpReply request(std::string_view method, std::string_view target, std::string_view fields = {},
                    std::string_view body = {}) {
    std::string text;
    text.append(method).append(" ").append(target).append(" HTTP/1.1\r\nHost: localhost\r\n");
    text.append(fields);
    if (!body.empty())
      text.append("Content-Length: ").append(std::to_string(body.size())).append("\r\n");
    text.append("\r\n").append(body);
    if (!send(text)) return {};
    return read(method == "HEAD");
  }
  HttpReply get(std::string_view target, std::string_view fields = {}) {
    return request("GET", target, fields);
  }

  // The next answer. `head_only`: it answers HEAD.
  HttpReply read(bool head_only = false) {
    HttpReply reply;
    for (;;) {
      if (!read_head(reply)) return reply;
      if (reply.status >= 200 || reply.status == 101) break;
      reply.interim.push_back(reply.status);
      reply.fields.clear();
      reply.head.clear();
    }
    if (head_only || reply.status == 101 || reply.status == 204 || reply.status == 304) {
      reply.complete = true;
    } else if (reply.field("Transfer-Encoding") == "chunked") {
      reply.complete = read_chunked(reply);
    } else if (reply.has("Content-Length")) {
      std::string_view text = reply.field("Content-Length");
      std::uint64_t size = 0;
      auto parsed = std::from_chars(text.data(), text.data() + text.size(), size);
      if (parsed.ec == std::errc() && parsed.ptr == text.data() + text.size()) {
        reply.complete = take(size, reply.body);
      }
    } else {
      reply.until_close = true;
      while (fill()) {
      }
      reply.body = std::exchange(in_, {});
      reply.complete = ended_;
    }
    return reply;
  }

  // Everything up to the end of the connection.
  std::string read_to_end() {
    while (fill()) {
    }
    return std::exchange(in_, {});
  }
  // At least `bytes`, or fewer when the connection ends or time is over. They stay for read().
  std::string_view wait_for(std::size_t bytes) {
    while (in_.size() < bytes && fill()) {
    }
    return in_;
  }
  // What has come so far is not kept.
  void drop() { in_.clear(); }
  // Exactly so many, appended to `out`; false when the connection ends or time is over before.
  bool read_bytes(std::size_t bytes, std::string& out) { return take(bytes, out); }
  // True when the server has ended the connection (FIN or reset) and nothing is left to read.
  bool at_end() {
    while (in_.empty() && fill()) {
    }
    return in_.empty() && ended_;
  }
  bool was_reset() const { return reset_; }

 private:
  // connect() fails where that is not an address of ours.
  void bind_to(const char* address) {
    sockaddr_in from{};
    from.sin_family = AF_INET;
    if (::inet_pton(AF_INET, address, &from.sin_addr) == 1 &&
        ::bind(fd_, reinterpret_cast<sockaddr*>(&from), sizeof from) == 0) {
      return;
    }
    ::close(std::exchange(fd_, -1));
  }
  int wait_until_connected() {
    pollfd waiting{fd_, POLLOUT, 0};
    int ready = 0;
    do {
      ready = ::poll(&waiting, 1, static_cast<int>(timeout_.count()));
    } while (ready < 0 && errno == EINTR);
    if (ready <= 0) return ETIMEDOUT;
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
    return error;
  }

  // More bytes from the peer. False at the end, on an error and when time is over.
  bool fill() {
    if (fd_ < 0 || ended_) return false;
    const auto until = std::chrono::steady_clock::now() + timeout_;
    for (;;) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
          until - std::chrono::steady_clock::now());
      pollfd waiting{fd_, POLLIN, 0};
      int ready = ::poll(&waiting, 1, left.count() > 0 ? static_cast<int>(left.count()) : 0);
      if (ready < 0 && errno == EINTR) continue;
      if (ready <= 0) return false;
      char buffer[65536];
      ssize_t got = ::recv(fd_, buffer, sizeof buffer, 0);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) {
        ended_ = true;
        reset_ = got < 0;
        return false;
      }
      in_.append(buffer, static_cast<std::size_t>(got));
      return true;
    }
  }

  bool take(std::uint64_t size, std::string& out) {
    while (in_.size() < size && fill()) {
    }
    const bool whole = in_.size() >= size;
    const std::size_t count = whole ? static_cast<std::size_t>(size) : in_.size();
    out.append(in_, 0, count);
    in_.erase(0, count);
    return whole;
  }

  // One line without its CRLF.
  bool line(std::string& out) {
    std::size_t from = 0;
    for (;;) {
      std::size_t end = in_.find("\r\n", from);
      if (end != std::string::npos) {
        out.assign(in_, 0, end);
        in_.erase(0, end + 2);
        return true;
      }
      from = in_.empty() ? 0 : in_.size() - 1;
      if (!fill()) return false;
    }
  }

  bool read_fields(std::vector<std::pair<std::string, std::string>>& fields, std::string* raw) {
    std::string text;
    for (;;) {
      if (!line(text)) return false;
      if (raw) raw->append(text).append("\r\n");
      if (text.empty()) return true;
      std::size_t colon = text.find(':');
      if (colon == std::string::npos) return false;
      std::size_t value = text.find_first_not_of(" \t", colon + 1);
      fields.emplace_back(text.substr(0, colon),
                          value == std::string::npos ? std::string() : text.substr(value));
    }
  }

  bool read_head(HttpReply& reply) {
    std::string start;
    if (!line(start)) return false;
    reply.head = start + "\r\n";
    if (start.size() < 12 || start.compare(0, 5, "HTTP/") != 0) return false;
    reply.version = start.substr(0, 8);
    int status = 0;
    std::from_chars(start.data() + 9, start.data() + 12, status);
    reply.reason = start.size() > 13 ? start.substr(13) : std::string();
    if (!read_fields(reply.fields, &reply.head)) return false;
    reply.status = status;
    return true;
  }

  bool read_chunked(HttpReply& reply) {
    std::string text;
    for (;;) {
      if (!line(text)) return false;
      std::uint64_t size = 0;
      auto parsed = std::from_chars(text.data(), text.data() + text.size(), size, 16);
      if (parsed.ec != std::errc()) return false;
      if (size == 0) return read_fields(reply.trailers, nullptr);
      if (!take(size, reply.body) || !line(text) || !text.empty()) return false;
    }
  }

  int fd_ = -1, connect_error_ = 0;
  std::chrono::milliseconds timeout_;
  std::string in_;
  bool ended_ = false, reset_ = false;
};

}  // namespace sluice::test
