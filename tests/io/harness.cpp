// tests/io/harness.cpp - far ends over TCP, over AF_UNIX and in the sim.
#include "harness.hpp"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace sluice::io {
namespace {

class KernelPeer final : public Peer {
 public:
  explicit KernelPeer(int fd) : fd_(fd) { ::fcntl(fd, F_SETFL, O_NONBLOCK); }
  ~KernelPeer() override {
    if (fd_ >= 0) ::close(fd_);
  }

  std::size_t send(std::string_view bytes) override {
    std::size_t sent = 0;
    while (sent < bytes.size()) {
      ssize_t n = ::send(fd_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
      if (n < 0) break;
      sent += std::size_t(n);
    }
    return sent;
  }
  void end() override { ::shutdown(fd_, SHUT_WR); }
  void reset() override {
    linger hard{1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    ::close(fd_);
    fd_ = -1;
  }
  std::string take(std::size_t most) override {
    std::string taken;
    char buffer[65536];
    while (taken.size() < most) {
      ssize_t n = ::recv(fd_, buffer, std::min(sizeof buffer, most - taken.size()), 0);
      if (n > 0) {
        taken.append(buffer, std::size_t(n));
        continue;
      }
      if (n == 0) ended_ = true;
      if (n < 0 && errno == ECONNRESET) reset_ = true;
      break;
    }
    return taken;
  }
  bool saw_end() override { return ended_; }
  bool saw_reset() override { return reset_; }
  void narrow() override {
    int small = 262144;  // less than a few segments of the loopback would stall it
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  }

 private:
  int fd_;
  bool ended_ = false, reset_ = false;
};

class SimulatedPeer final : public Peer {
 public:
  explicit SimulatedPeer(SimPeer peer) : peer_(std::move(peer)) {}

  std::size_t send(std::string_view bytes) override {
    peer_.send(bytes);
    return bytes.size();
  }
  void end() override { peer_.end(); }
  void reset() override { peer_.reset(); }
  std::string take(std::size_t most) override {
    std::string all = kept_ + peer_.take_received();
    kept_ = all.size() > most ? all.substr(most) : std::string();
    all.resize(std::min(all.size(), most));
    if (narrow_) peer_.set_window(kWindow - std::min(kWindow, kept_.size()));
    return all;
  }
  bool saw_end() override { return kept_.empty() && peer_.saw_end(); }
  bool saw_reset() override { return peer_.saw_reset(); }
  void narrow() override {
    narrow_ = true;
    peer_.set_window(kWindow);
  }

 private:
  static constexpr std::size_t kWindow = 100'000;
  SimPeer peer_;
  std::string kept_;
  bool narrow_ = false;
};

std::unique_ptr<Engine> make(const Setup& setup, const EngineOptions& options,
                             SimNetwork& network) {
  if (setup.transport == Transport::simulated) return std::make_unique<SimEngine>(network, options);
  bool uring = std::string_view(setup.engine) == "uring";
  auto made = uring ? make_uring_engine(options) : make_epoll_engine(options);
  EXPECT_TRUE(made) << made.error().message();
  return std::move(*made);
}

std::pair<int, int> tcp_pair() {
  int listening = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  EXPECT_EQ(::bind(listening, reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(::listen(listening, 1), 0);
  ::getsockname(listening, reinterpret_cast<sockaddr*>(&address), &size);
  int near = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  EXPECT_EQ(::connect(near, reinterpret_cast<sockaddr*>(&address), size), 0);
  ::fcntl(near, F_SETFL, O_NONBLOCK);
  int far = ::accept4(listening, nullptr, nullptr, SOCK_CLOEXEC);
  ::close(listening);
  return {near, far};
}

}  // namespace

std::string name_of(const Setup& setup) {
  std::string name = setup.engine;
  if (setup.transport == Transport::tcp) name += "_tcp";
  if (setup.transport == Transport::local) name += "_unix";
  if (!setup.inline_completions) name += "_later";
  if (!setup.piecewise_receive) name += "_whole_blocks";
  return name;
}

std::vector<Setup> all_setups() {
  return {{"uring", Transport::tcp},
          {"uring", Transport::local},
          {"uring", Transport::tcp, true, false},
          {"epoll", Transport::tcp},
          {"epoll", Transport::local},
          {"epoll", Transport::tcp, false},
          {"sim", Transport::simulated},
          {"sim", Transport::simulated, false}};
}

Harness::Harness(const Setup& setup, EngineOptions options) : setup_(setup) {
  options.inline_completions = setup.inline_completions;
  options.piecewise_receive = setup.piecewise_receive;
  engine_ = make(setup, options, network_);
  other_ = make(setup, options, network_);
}

std::pair<int, std::unique_ptr<Peer>> Harness::connect(bool narrow) {
  std::pair<int, std::unique_ptr<Peer>> result;
  if (is_simulated()) {
    auto [fd, peer] = network_.open_connection();
    result = {fd, std::make_unique<SimulatedPeer>(peer)};
  } else if (is_tcp()) {
    auto [near, far] = tcp_pair();
    result = {near, std::make_unique<KernelPeer>(far)};
  } else {
    int ends[2] = {-1, -1};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    result = {ends[0], std::make_unique<KernelPeer>(ends[1])};
  }
  if (narrow) {
    result.second->narrow();
    int small = 65536;
    if (!is_simulated()) ::setsockopt(result.first, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
  }
  return result;
}

int Harness::listening() {
  if (is_simulated()) return network_.open_listener();
  int fd = ::socket(is_tcp() ? AF_INET : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (is_tcp()) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  } else {
    sockaddr_un any{};
    any.sun_family = AF_UNIX;  // bound to a name that the kernel makes up
    EXPECT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&any), sizeof(sa_family_t)), 0);
  }
  EXPECT_EQ(::listen(fd, 512), 0);
  return fd;
}

std::unique_ptr<Peer> Harness::connect_to(int listening) {
  if (is_simulated()) return std::make_unique<SimulatedPeer>(network_.connect(listening));
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  EXPECT_EQ(::getsockname(listening, reinterpret_cast<sockaddr*>(&address), &size), 0);
  int fd = ::socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&address), size), 0);
  return std::make_unique<KernelPeer>(fd);
}

void Harness::close(int fd) {
  if (!is_simulated()) ::close(fd);
}

void Harness::turn() {
  engine_->wait(base::read_clock() + std::chrono::milliseconds(1));
  other_->wait(base::Instant::min());
}

bool Harness::until(const std::function<bool()>& done) {
  auto deadline = base::read_clock() + std::chrono::seconds(30);
  while (!done()) {
    if (base::read_clock() > deadline) {
      ADD_FAILURE() << "it did not come about";
      return false;
    }
    turn();
  }
  return true;
}

void Harness::some_turns(int count) {
  for (int i = 0; i < count; ++i) turn();
}

int Recorder::count(char event) const { return int(std::count(order.begin(), order.end(), event)); }

void Recorder::adopt(Engine& engine, int descriptor, Bytes already) {
  engine_ = &engine;
  engine.adopt(socket, descriptor, already);
}

std::size_t Recorder::send(std::string_view bytes, bool more) {
  iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  return send({&part, 1}, more);
}

std::size_t Recorder::send(std::span<const iovec> parts, bool more) {
  std::size_t gone = engine_->send(socket, parts, more);
  total += gone;
  return gone;
}

std::size_t Recorder::send_file(int file, std::uint64_t offset, std::size_t length) {
  std::size_t gone = engine_->send_file(socket, file, offset, length);
  total += gone;
  return gone;
}

void Recorder::note(char event) {
  EXPECT_FALSE(order.ends_with('c')) << "an event after on_closed";
  order += event;
}

void Recorder::on_received(const Received& bytes) {
  note('r');
  std::size_t adopted = order.rfind('d');
  EXPECT_EQ(order.find('e', adopted == std::string::npos ? 0 : adopted), std::string::npos)
      << "bytes after the end";
  EXPECT_FALSE(bytes.bytes.empty());
  received.append(as_text(bytes.bytes));
  if (when_received) when_received(bytes);
}

void Recorder::on_end() {
  note('e');
  if (when_ended) when_ended();
}

void Recorder::on_sent(std::uint64_t bytes) {
  note('s');
  EXPECT_GT(bytes, 0u) << "no progress";
  total += bytes;
  sent.push_back(total);
  if (when_sent) when_sent();
}

void Recorder::on_closed(const Error& error) {
  note('c');
  why = error;
  if (when_closed) when_closed();
}

void Recorder::on_detached(int descriptor, Bytes bytes) {
  note('d');
  given = descriptor;
  unread = as_text(bytes);
  sent.clear();
  total = 0;  // counts from the adoption
  if (when_detached) when_detached();
}

void check_peer(int descriptor, const sockaddr_storage* told) {
  if (!told) return;
  sockaddr_storage asked{};
  socklen_t size = sizeof asked;
  EXPECT_EQ(::getpeername(descriptor, reinterpret_cast<sockaddr*>(&asked), &size), 0);
  EXPECT_EQ(std::memcmp(&asked, told, size), 0);
}

std::string numbered(std::size_t size) {
  std::string text;
  text.reserve(size + 8);
  for (std::size_t i = 0; text.size() < size; ++i) {
    text += std::to_string(i);
    text += ' ';
  }
  text.resize(size);
  return text;
}

}  // namespace sluice::io
