// bench/guard/real_world.cpp - system calls of the shard's thread.
#include "real_world.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <thread>

#include "io/file_pool.hpp"
#include "served.hpp"

namespace sluice::guard {
namespace {

constexpr unsigned kWarmRounds = 5, kRounds = 15;
constexpr std::uint64_t kNever = UINT64_MAX;  // a number of calls
constexpr auto kPatience = std::chrono::seconds(20);

void must(bool done, const char* what) {
  if (!done) give_up(std::string(what) + ": " + std::strerror(errno));
}

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

// As api/listen.cpp makes it.
int listening_socket(std::uint16_t& port) {
  int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  auto* plain = reinterpret_cast<sockaddr*>(&address);
  must(::bind(fd, plain, size) == 0 && ::listen(fd, 1024) == 0, "listen");
  must(::getsockname(fd, plain, &size) == 0, "getsockname");
  port = ntohs(address.sin_port);
  return fd;
}

// Answers what was deferred, each time a byte comes; the end of the pipe ends the process.
void obey(int commands, Served& served) {
  char command;
  while (::read(commands, &command, 1) == 1) {
    for (Reply& reply : served.take_replies()) static_cast<void>(reply.send());
  }
  served.remove_folder();
  ::_exit(0);
}

// The child: the shard's thread is the process's first.
[[noreturn]] void serve(io::EngineKind kind, const Path& path, int port_pipe, int commands) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  auto& pool = *new io::FilePool(1);
  auto& served = *new Served(1, [&pool](base::Task task) { return pool.submit(std::move(task)); });
  if (path.authenticates) served.authenticate();
  auto engine = io::make_engine(kind, {});
  if (!engine) give_up(engine.error().message());
  wire::Loop& loop = served.add(std::move(engine->engine));
  std::uint16_t port = 0;
  sockaddr_in address = loopback(0);
  core::Endpoint local;
  local.family = core::Endpoint::Family::ip4;
  std::memcpy(local.address.data(), &address.sin_addr, 4);
  int fd = listening_socket(port);
  local.port = port;
  served.bind(port);
  loop.add_listener({fd, local, false});
  must(::write(port_pipe, &port, sizeof port) == sizeof port, "write");
  std::thread(obey, commands, std::ref(served)).detach();
  loop.run();
  ::_exit(1);
}

}  // namespace

// --- the server ----------------------------------------------------------------------------------

TracedServer::TracedServer(io::EngineKind engine, const Path& path) {
  int port[2], command[2];
  must(::pipe(port) == 0 && ::pipe(command) == 0, "pipe");
  child_ = ::fork();
  must(child_ >= 0, "fork");
  if (child_ == 0) {
    ::close(command[1]);  // else the end of the pipe never comes
    must(::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0, "ptrace");
    ::raise(SIGSTOP);
    serve(engine, path, port[1], command[0]);
  }
  ::close(command[0]);
  port_pipe_ = port[0];
  command_pipe_ = command[1];
}

void TracedServer::trace() {
  int status = 0;
  bool inside = false;
  must(::waitpid(child_, &status, 0) == child_, "waitpid");
  auto option = reinterpret_cast<void*>(std::uintptr_t{PTRACE_O_TRACESYSGOOD});
  must(::ptrace(PTRACE_SETOPTIONS, child_, nullptr, option) == 0, "ptrace");
  while (!WIFEXITED(status) && !WIFSIGNALED(status)) {
    int signal = WIFSTOPPED(status) ? WSTOPSIG(status) : 0;
    if (signal == (SIGTRAP | 0x80)) {
      inside = !inside;
      calls_ += inside ? 1 : 0;
      signal = 0;
    } else if (signal == SIGSTOP) {
      signal = 0;
    }
    ::ptrace(PTRACE_SYSCALL, child_, nullptr, reinterpret_cast<void*>(std::intptr_t{signal}));
    must(::waitpid(child_, &status, 0) == child_, "waitpid");
  }
  ended_ = true;
}

std::uint16_t TracedServer::port() {
  std::uint16_t port = 0;
  must(::read(port_pipe_, &port, sizeof port) == sizeof port, "the server has not started");
  return port;
}

void TracedServer::answer() { must(::write(command_pipe_, "a", 1) == 1, "write"); }

void TracedServer::end() { ::close(command_pipe_); }

// The state behind the name in brackets; 'S' is a sleep in the kernel, 't' a stop of ours.
bool TracedServer::sleeps() const {
  std::string line;
  std::getline(std::ifstream("/proc/" + std::to_string(child_) + "/stat"), line);
  std::size_t at = line.rfind(") ");
  return at != std::string::npos && line.compare(at + 2, 1, "S") == 0;
}

void TracedServer::wait_until_asleep(std::uint64_t since) {
  const auto until = std::chrono::steady_clock::now() + kPatience;
  int seen = 0;
  for (std::uint64_t before = since; seen < 2;) {
    std::uint64_t now = calls();
    seen = now != since && now == before && sleeps() && now == calls() ? seen + 1 : 0;
    before = now;
    if (ended_) give_up("the server has ended");
    if (std::chrono::steady_clock::now() > until) give_up("the server does not come to rest");
    if (seen == 0) std::this_thread::sleep_for(std::chrono::microseconds(20));
  }
}

// --- the clients ---------------------------------------------------------------------------------

RealWorld::RealWorld(TracedServer& server) : server_(server), port_(server.port()) { settle(); }

int RealWorld::connect(std::uint32_t) {
  int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  sockaddr_in address = loopback(port_);
  must(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0, "connect");
  clients_.push_back(fd);
  return int(clients_.size()) - 1;
}

void RealWorld::send(int client, std::string_view bytes) {
  ssize_t sent = ::send(clients_[std::size_t(client)], bytes.data(), bytes.size(), MSG_NOSIGNAL);
  must(sent == ssize_t(bytes.size()), "send");
}

std::string RealWorld::take(int client) {
  const int fd = clients_[std::size_t(client)];
  pollfd waiting{fd, POLLIN, 0};
  if (::poll(&waiting, 1, 0) == 0) {
    // It slept because it waited for its file pool.
    ::poll(&waiting, 1, int(std::chrono::milliseconds(kPatience).count()));
    server_.wait_until_asleep(kNever);
    slept_at_ = server_.calls();
  }
  std::string all;
  char buffer[65536];
  for (;;) {
    ssize_t got = ::recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
    if (got <= 0) return all;
    all.append(buffer, std::size_t(got));
  }
}

void RealWorld::close(int client) { ::close(std::exchange(clients_[std::size_t(client)], -1)); }

void RealWorld::settle() {
  server_.wait_until_asleep(slept_at_);
  slept_at_ = server_.calls();
}

std::uint64_t RealWorld::run_round(Script& script, const Path& path) {
  const std::uint64_t before = slept_at_;
  for (unsigned step = 0; step < path.steps; ++step) {
    if (script.act(*this, step)) settle();
  }
  return slept_at_ - before;
}

double RealWorld::measure(const Path& path) {
  std::unique_ptr<Script> script = path.make();
  script->prepare(*this);
  for (unsigned i = 0; i < kWarmRounds; ++i) run_round(*script, path);
  std::vector<std::uint64_t> rounds;
  for (unsigned i = 0; i < kRounds; ++i) rounds.push_back(run_round(*script, path));
  std::sort(rounds.begin(), rounds.end());
  return double(rounds[kRounds / 2]) / double(operations_in_round(path, *this));
}

std::optional<std::string> missing(io::EngineKind engine) {
  auto made = io::make_engine(engine, {});
  if (!made) return made.error().message();
  return std::nullopt;
}

}  // namespace sluice::guard
