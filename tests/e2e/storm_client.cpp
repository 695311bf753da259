// tests/e2e/storm_client.cpp - thousands of WebSockets that connect as fast as they can.
//
// RFC 6455: the handshake of section 4.1, whose answer is checked, one masked message, its echo,
// and then the wait for the server's Close frame, which is answered. Layer: a client program of the
// tests; knows nothing of the library. One thread.
//
//   e2e_storm_client PORT PATH COUNT SECONDS
//
// Prints "echoed N in T s" when each one has its echo, and "closed N with 1001" when each one has
// been closed and its connection has ended; exit code 0. Anything else that happens to any of them,
// or SECONDS that have passed: one line on standard error and exit code 1.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "e2e_storm_client: %s\n", what.c_str());
  std::exit(1);
}

std::string base64(const unsigned char* bytes, int size) {
  std::array<unsigned char, 64> out{};
  int length = EVP_EncodeBlock(out.data(), bytes, size);
  return {reinterpret_cast<const char*>(out.data()), static_cast<std::size_t>(length)};
}

enum class Stage { connecting, handshaking, echoing, open, closed };

struct Client {
  int fd = -1;
  Stage stage = Stage::connecting;
  std::string received, accept, message;
};

class Storm {
 public:
  Storm(std::uint16_t port, std::string path, std::size_t count, std::chrono::seconds limit)
      : port_(port), path_(std::move(path)), clients_(count), until_(Clock::now() + limit) {
    poll_ = ::epoll_create1(0);
    if (poll_ < 0) fail("epoll_create1");
  }

  void run() {
    const auto begin = Clock::now();
    for (std::size_t i = 0; i < clients_.size(); ++i) connect(i);
    while (echoed_ < clients_.size()) turn();
    const std::chrono::duration<double> time = Clock::now() - begin;
    std::printf("echoed %zu in %.2f s\n", echoed_, time.count());
    std::fflush(stdout);
    while (ended_ < clients_.size()) turn();
    std::printf("closed %zu with 1001\n", closed_);
  }

 private:
  [[noreturn]] void broken(std::size_t index, const std::string& what) {
    const char* const stages[] = {"connecting", "shaking hands", "waiting for its echo", "open",
                                  "closed"};
    fail("client " + std::to_string(index) + ", " +
         stages[static_cast<std::size_t>(clients_[index].stage)] + ": " + what + "; " +
         std::to_string(echoed_) + " had their echo, " + std::to_string(closed_) +
         " were closed, " + std::to_string(ended_) + " had ended");
  }

  void connect(std::size_t index) {
    Client& client = clients_[index];
    client.fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (client.fd < 0) broken(index, std::string("socket: ") + std::strerror(errno));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port_);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(client.fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0 &&
        errno != EINPROGRESS) {
      broken(index, std::string("connect: ") + std::strerror(errno));
    }
    epoll_event event{};
    event.events = EPOLLOUT;
    event.data.u64 = index;
    ::epoll_ctl(poll_, EPOLL_CTL_ADD, client.fd, &event);
  }

  void turn() {
    std::array<epoll_event, 512> events{};
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(until_ - Clock::now()).count();
    if (left <= 0) fail_late();
    const int ready = ::epoll_wait(poll_, events.data(), 512, static_cast<int>(left));
    for (int i = 0; i < ready; ++i) {
      const epoll_event& event = events[static_cast<std::size_t>(i)];
      const auto index = static_cast<std::size_t>(event.data.u64);
      if (clients_[index].stage == Stage::connecting) {
        connected(index);
      } else {
        readable(index);
      }
    }
  }

  [[noreturn]] void fail_late() {
    for (std::size_t i = 0; i < clients_.size(); ++i) {
      const Stage stage = clients_[i].stage;
      const bool done = clients_[i].fd < 0 || (stage == Stage::open && echoed_ < clients_.size());
      if (!done) broken(i, "the time is over");
    }
    fail("the time is over");
  }

  void send(std::size_t index, std::string_view bytes) {
    // Small, and the first that waits in an empty socket buffer: whole or broken.
    const ssize_t sent = ::send(clients_[index].fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent != static_cast<ssize_t>(bytes.size())) {
      broken(index, std::string("send: ") + std::strerror(errno));
    }
  }

  void connected(std::size_t index) {
    Client& client = clients_[index];
    int error = 0;
    socklen_t size = sizeof(error);
    ::getsockopt(client.fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) broken(index, std::strerror(error));
    std::array<unsigned char, 16> nonce{};
    std::memcpy(nonce.data(), &index, sizeof(index));
    const std::string key = base64(nonce.data(), 16);
    const std::string salted = key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    std::array<unsigned char, SHA_DIGEST_LENGTH> digest{};
    SHA1(reinterpret_cast<const unsigned char*>(salted.data()), salted.size(), digest.data());
    client.accept = base64(digest.data(), SHA_DIGEST_LENGTH);
    client.stage = Stage::handshaking;
    send(index,
         "GET " + path_ + " HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(port_) +
             "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
             "Sec-WebSocket-Key: " + key + "\r\n\r\n");
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = index;
    ::epoll_ctl(poll_, EPOLL_CTL_MOD, client.fd, &event);
  }

  void readable(std::size_t index) {
    Client& client = clients_[index];
    std::array<char, 4096> bytes{};
    const ssize_t got = ::recv(client.fd, bytes.data(), bytes.size(), 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got < 0) broken(index, std::string("recv: ") + std::strerror(errno));
    if (got == 0) return ended(index);
    client.received.append(bytes.data(), static_cast<std::size_t>(got));
    if (client.stage == Stage::handshaking) shake(index);
    while (client.stage == Stage::echoing || client.stage == Stage::open) {
      if (!frame(index)) return;
    }
    if (client.stage == Stage::closed && !client.received.empty()) {
      broken(index, "bytes behind the Close frame");
    }
  }

  void ended(std::size_t index) {
    Client& client = clients_[index];
    if (client.stage != Stage::closed) broken(index, "the connection ended without a Close frame");
    ::close(client.fd);
    client.fd = -1;
    ++ended_;
  }

  void shake(std::size_t index) {
    Client& client = clients_[index];
    const std::size_t end = client.received.find("\r\n\r\n");
    if (end == std::string::npos) return;
    const std::string head = client.received.substr(0, end + 2);
    if (head.find("HTTP/1.1 101 ") != 0 ||
        head.find("Sec-WebSocket-Accept: " + client.accept + "\r\n") == std::string::npos) {
      broken(index, "the answer to the handshake is: " + head);
    }
    client.received.erase(0, end + 4);
    client.stage = Stage::echoing;
    client.message = "I am client " + std::to_string(index);
    send(index, masked(0x81, client.message));
  }

  static std::string masked(int first, std::string_view payload) {
    const std::array<unsigned char, 4> mask{0x37, 0xFA, 0x21, 0x3D};
    std::string frame;
    frame += static_cast<char>(first);
    frame += static_cast<char>(0x80U | payload.size());
    for (const unsigned char m : mask) frame += static_cast<char>(m);
    for (std::size_t i = 0; i < payload.size(); ++i) {
      frame += static_cast<char>(static_cast<unsigned char>(payload[i]) ^ mask[i % 4]);
    }
    return frame;
  }

  // False when no whole frame is there.
  bool frame(std::size_t index) {
    Client& client = clients_[index];
    if (client.received.size() < 2) return false;
    const auto first = static_cast<unsigned char>(client.received[0]);
    const auto length = static_cast<unsigned char>(client.received[1]);
    if (length > 125) broken(index, "a frame that is masked or too long");
    if (client.received.size() < 2U + length) return false;
    const std::string payload = client.received.substr(2, length);
    client.received.erase(0, 2U + length);
    if (first == 0x81 && client.stage == Stage::echoing && payload == client.message) {
      client.stage = Stage::open;
      ++echoed_;
    } else if (first == 0x88 && client.stage == Stage::open && payload.size() >= 2) {
      const int code =
          static_cast<unsigned char>(payload[0]) << 8 | static_cast<unsigned char>(payload[1]);
      if (code != 1001) broken(index, "close code " + std::to_string(code));
      client.stage = Stage::closed;
      ++closed_;
      send(index, masked(0x88, payload.substr(0, 2)));
    } else {
      broken(index, "opcode " + std::to_string(first & 15) + " with \"" + payload + "\"");
    }
    return true;
  }

  const std::uint16_t port_;
  const std::string path_;
  std::vector<Client> clients_;
  const Clock::time_point until_;
  int poll_ = -1;
  std::size_t echoed_ = 0, closed_ = 0, ended_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) fail("usage: e2e_storm_client PORT PATH COUNT SECONDS");
  const auto count = static_cast<std::size_t>(std::atoi(argv[3]));
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_max < count + 50) {
    fail("this machine allows " + std::to_string(limit.rlim_max) + " descriptors for a process");
  }
  Storm storm(static_cast<std::uint16_t>(std::atoi(argv[1])), argv[2], count,
              std::chrono::seconds(std::atoi(argv[4])));
  storm.run();
  return 0;
}
