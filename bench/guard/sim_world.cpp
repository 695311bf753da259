// bench/guard/sim_world.cpp - turns without a kernel and without a clock.
#include "sim_world.hpp"

#include <dlfcn.h>
#include <time.h>

#include <chrono>
#include <cstdlib>
#include <new>
#include <utility>

namespace {

constexpr std::time_t kWallTime = 1'800'000'000;
thread_local bool server_runs = false;  // a password's thread wakes the kernel, too
std::size_t news = 0;

// Whose code runs from here to the end of the block.
class Runs {
 public:
  explicit Runs(bool server) : before_(std::exchange(server_runs, server)) {}
  ~Runs() { server_runs = before_; }
  Runs(const Runs&) = delete;
  Runs& operator=(const Runs&) = delete;

 private:
  const bool before_;
};

}  // namespace

// Not inlined: else g++ sees one of a pair without the other, and warns that they do not match.
[[gnu::noinline]] void* operator new(std::size_t bytes) {
  news += server_runs ? 1 : 0;
  if (void* memory = std::malloc(bytes)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  news += server_runs ? 1 : 0;
  return std::malloc(bytes);
}
[[gnu::noinline]] void* operator new(std::size_t bytes, std::align_val_t align) {
  news += server_runs ? 1 : 0;
  const auto to = std::size_t(align);
  if (void* memory = std::aligned_alloc(to, (bytes + to - 1) / to * to)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  std::free(memory);
}

// A wall clock that stands still, so that no date is written anew in the one run and not in the
// other. Every other clock goes.
extern "C" [[gnu::visibility("default")]] int clock_gettime(clockid_t clock,
                                                            timespec* now) noexcept {
  static const auto real =
      reinterpret_cast<int (*)(clockid_t, timespec*)>(::dlsym(RTLD_NEXT, "clock_gettime"));
  if (clock != CLOCK_REALTIME) return real(clock, now);
  *now = {kWallTime, 0};
  return 0;
}

namespace sluice::guard {
namespace {

// Long enough that each turn has a time of its own, short enough that no file is looked up again.
constexpr auto kBetweenTurns = std::chrono::microseconds(100);

}  // namespace

// What the engine tells a socket is passed on to the server. Counting begins here.
void Watched::tell_received(io::Socket& socket, const io::Received& received) {
  Runs server(true);
  socket.on_received(received);
}
void Watched::tell_end(io::Socket& socket) {
  Runs server(true);
  socket.on_end();
}
void Watched::tell_sent(io::Socket& socket, std::uint64_t bytes) {
  Runs server(true);
  socket.on_sent(bytes);
}
void Watched::tell_closed(io::Socket& socket, const Error& why) {
  Runs server(true);
  socket.on_closed(why);
}

// The same for a listener, which is never closed.
class ListenerEar final : public io::ListenerEvents {
 public:
  explicit ListenerEar(io::ListenerEvents& server) : server_(server) {}
  void on_accepted(int fd, const sockaddr_storage* peer) override {
    Runs server(true);
    server_.on_accepted(fd, peer);
  }
  void on_accept_failed(const Error& why) override { give_up(why.message()); }
  void on_listener_closed(int) override {}

 private:
  io::ListenerEvents& server_;
};

// One turn of the server. Counting begins here.
[[gnu::noinline]] void server_turn(wire::Loop& loop) {
  Runs server(true);
  loop.turn(base::never);
}

// What a thread of the application calls. Counting begins here.
[[gnu::noinline]] void server_reply(Reply& reply) {
  Runs server(true);
  if (reply.send() != Errc::none) give_up("a reply could not be sent");
}

// --- the kernel ----------------------------------------------------------------------------------

void Kernel::adopt(io::Socket& socket, int fd, Bytes already) {
  Runs kernel(false);
  inner_.adopt(socket, fd, already);
}
std::size_t Kernel::send(io::Socket& socket, std::span<const iovec> parts, bool more) {
  Runs kernel(false);
  return inner_.send(socket, parts, more);
}
std::size_t Kernel::send_file(io::Socket& socket, int file, std::uint64_t offset,
                              std::size_t length) {
  Runs kernel(false);
  return inner_.send_file(socket, file, offset, length);
}
void Kernel::pause(io::Socket& socket) {
  Runs kernel(false);
  inner_.pause(socket);
}
void Kernel::resume(io::Socket& socket) {
  Runs kernel(false);
  inner_.resume(socket);
}
void Kernel::expect_bulk(io::Socket& socket, bool bulk) {
  Runs kernel(false);
  inner_.expect_bulk(socket, bulk);
}
void Kernel::shutdown_send(io::Socket& socket) {
  Runs kernel(false);
  inner_.shutdown_send(socket);
}
void Kernel::close(io::Socket& socket, io::CloseMode mode) {
  Runs kernel(false);
  inner_.close(socket, mode);
}
void Kernel::detach(io::Socket& socket) {
  Runs kernel(false);
  inner_.detach(socket);
}
void Kernel::listen(io::Listener& listener, int fd, io::ListenerEvents& events) {
  Runs kernel(false);
  inner_.listen(listener, fd, *new ListenerEar(events));
}
void Kernel::close_listener(io::Listener& listener) {
  Runs kernel(false);
  inner_.close_listener(listener);
}
void Kernel::leave_listener(io::Listener& listener) {
  Runs kernel(false);
  inner_.leave_listener(listener);
}
void Kernel::wait(base::Instant until) {
  Runs kernel(false);
  world_.asleep(until);
  inner_.wait(until);
}
void Kernel::wake() {
  Runs kernel(false);
  inner_.wake();
}

// --- the world -----------------------------------------------------------------------------------

SimWorld::SimWorld(const Path& path)
    : served_(new Served(path.shards, [this](base::Task task) {
        file_work_.push_back(std::move(task));
        return true;
      })) {
  if (path.authenticates) served_->authenticate();
  core::Endpoint local;
  local.family = core::Endpoint::Family::ip4;
  local.address = {127, 0, 0, 1};
  local.port = 80;
  served_->bind(local.port);
  for (std::uint32_t i = 0; i < path.shards; ++i) {
    loops_.push_back(&served_->add(std::make_unique<Kernel>(*this, network_)));
    listeners_.push_back(network_.open_listener());
    loops_[i]->add_listener({listeners_[i], local, false});
    loops_[i]->listen();
  }
}

int SimWorld::connect(std::uint32_t shard) {
  clients_.push_back(network_.connect(listeners_[shard]));
  return int(clients_.size()) - 1;
}

void SimWorld::send(int client, std::string_view bytes) {
  clients_[std::size_t(client)].send(bytes);
}

std::string SimWorld::take(int client) { return clients_[std::size_t(client)].take_received(); }

void SimWorld::close(int client) { clients_[std::size_t(client)].close(); }

void SimWorld::answer() {
  for (Reply& reply : served_->take_replies()) server_reply(reply);
}

// Four turns are enough for whatever one event brings about.
void SimWorld::settle() {
  for (int i = 0; i < 4; ++i) {
    for (std::uint32_t shard = 0; shard < loops_.size(); ++shard) turn(shard);
  }
}

void SimWorld::run_round(Script& script, const Path& path) {
  acting_ = &script;
  for (step_ = 0; step_ < path.steps; ++step_) turn(step_ % path.shards);
  acting_ = nullptr;
}

void SimWorld::turn(std::uint32_t shard) {
  core::Shard::set_current(&loops_[shard]->shard());
  server_turn(*loops_[shard]);
  core::Shard::set_current(nullptr);
}

void SimWorld::asleep(base::Instant until) {
  core::Shard* const shard = core::Shard::current();
  core::Shard::set_current(nullptr);
  for (; !file_work_.empty(); file_work_.pop_front()) file_work_.front()();
  network_.advance(kBetweenTurns);
  if (acting_) acting_->act(*this, step_);
  if (std::exchange(sleeping_, false) && until != base::never && until > network_.now()) {
    network_.advance(until - network_.now());
  }
  core::Shard::set_current(shard);
}

std::size_t server_news() { return news; }

[[gnu::noinline]] void measure(SimWorld& world, Script& script, const Path& path) {
  for (unsigned i = 0; i < path.rounds; ++i) world.run_round(script, path);
}

}  // namespace sluice::guard
