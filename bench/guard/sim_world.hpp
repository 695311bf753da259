// bench/guard/sim_world.hpp - the server on the sim engine, with the boundary of what is counted.
//
// Counted is what runs between an event that the engine tells of and the engine's next method: the
// server's own work, without the simulated kernel and without the clients. The driver gives the
// functions at this boundary to callgrind's --toggle-collect (see `run`), so their names matter.
// Each of them also says what operator new is to count.
//
// Layer: bench. Thread: one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "io/sim/sim_engine.hpp"
#include "served.hpp"
#include "world.hpp"

namespace sluice::guard {

class SimWorld;

// The sim engine, where counting begins.
class Watched final : public io::SimEngine {
 public:
  using io::SimEngine::SimEngine;

 private:
  void tell_received(io::Socket& socket, const io::Received& received) override;
  void tell_end(io::Socket& socket) override;
  void tell_sent(io::Socket& socket, std::uint64_t bytes) override;
  void tell_closed(io::Socket& socket, const Error& why) override;
};

// The sim engine. Its methods, all called by the server, are where counting stops.
class Kernel final : public io::Engine {
 public:
  Kernel(SimWorld& world, io::SimNetwork& network) : world_(world), inner_(network) {}

  const char* name() const override { return inner_.name(); }
  void adopt(io::Socket& socket, int fd, Bytes already) override;
  std::size_t send(io::Socket& socket, std::span<const iovec> parts, bool more) override;
  std::size_t send_file(io::Socket& socket, int file, std::uint64_t offset,
                        std::size_t length) override;
  void pause(io::Socket& socket) override;
  void resume(io::Socket& socket) override;
  void expect_bulk(io::Socket& socket, bool bulk) override;
  void shutdown_send(io::Socket& socket) override;
  void close(io::Socket& socket, io::CloseMode mode) override;
  void detach(io::Socket& socket) override;
  void listen(io::Listener& listener, int fd, io::ListenerEvents& events) override;
  void close_listener(io::Listener& listener) override;
  void leave_listener(io::Listener& listener) override;
  void wait(base::Instant until) override;
  void wake() override;
  bool tells_more() const override { return inner_.tells_more(); }
  bool failed() const override { return inner_.failed(); }
  void abandon() override { inner_.abandon(); }
  void abandon(io::Socket& socket) override { inner_.abandon(socket); }
  void forget_listener(io::Listener& listener) override { inner_.forget_listener(listener); }
  base::Instant now() const override { return inner_.now(); }
  base::BlockPool& blocks() override { return inner_.blocks(); }
  const Counters& counters() const override { return inner_.counters(); }

 private:
  SimWorld& world_;
  Watched inner_;
};

class SimWorld final : public World {
 public:
  explicit SimWorld(const Path& path);

  int connect(std::uint32_t shard) override;
  void send(int client, std::string_view bytes) override;
  std::string take(int client) override;
  void close(int client) override;
  void answer() override;
  void sleep() override { sleeping_ = true; }
  std::size_t crowd() const override { return 1000; }
  void settle() override;

  // Acts once in each turn, when the server has nothing left to do.
  void run_round(Script& script, const Path& path);
  void remove_folder() const { served_->remove_folder(); }

 private:
  friend class Kernel;
  // The server waits until `until` at most: files are looked up, time passes, clients act.
  void asleep(base::Instant until);
  void turn(std::uint32_t shard);

  io::SimNetwork network_;
  std::deque<base::Task> file_work_;
  Served* const served_;
  std::vector<wire::Loop*> loops_;
  std::vector<int> listeners_;
  std::vector<io::SimPeer> clients_;
  Script* acting_ = nullptr;
  unsigned step_ = 0;
  bool sleeping_ = false;
};

// Calls of operator new by the server so far.
std::size_t server_news();

// Runs `rounds`, and this is what is counted.
void measure(SimWorld& world, Script& script, const Path& path);

}  // namespace sluice::guard
