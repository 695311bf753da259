// bench/guard/real_world.hpp - the server on a real engine in a child process, its system calls
// counted by ptrace(2), and clients on loopback.
//
// Only the shard's thread is traced. A path acts when that thread sleeps in the kernel, so what it
// does in between does not depend on time. Layer: bench. Thread: the tracer is the one that calls
// trace(); the clients are another.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/engine.hpp"
#include "world.hpp"

namespace sluice::guard {

// A child that serves.
class TracedServer {
 public:
  // Starts it, stopped.
  TracedServer(io::EngineKind engine, const Path& path);
  TracedServer(const TracedServer&) = delete;
  TracedServer& operator=(const TracedServer&) = delete;

  // Lets the child run, and returns when it has ended. On the thread that made this.
  void trace();
  // Any thread:
  std::uint16_t port();
  void answer();
  void end();
  std::uint64_t calls() const { return calls_.load(); }
  // Until it has made a call and sleeps again. `since`: calls() when it slept last.
  void wait_until_asleep(std::uint64_t since);

 private:
  bool sleeps() const;
  pid_t child_ = -1;
  int port_pipe_ = -1, command_pipe_ = -1;
  std::atomic<std::uint64_t> calls_{0};
  std::atomic<bool> ended_{false};
};

class RealWorld final : public World {
 public:
  explicit RealWorld(TracedServer& server);

  int connect(std::uint32_t shard) override;
  void send(int client, std::string_view bytes) override;
  std::string take(int client) override;
  void close(int client) override;
  void answer() override { server_.answer(); }
  void sleep() override {}
  std::size_t crowd() const override { return 100; }
  void settle() override;

  // System calls of one operation: the median of some rounds, so that a timer of the server's that
  // comes in between counts for nothing.
  double measure(const Path& path);

 private:
  std::uint64_t run_round(Script& script, const Path& path);
  TracedServer& server_;
  const std::uint16_t port_;
  std::uint64_t slept_at_ = 0;  // calls() then
  std::vector<int> clients_;
};

// Why this machine cannot count the calls of that engine, or nothing.
std::optional<std::string> missing(io::EngineKind engine);

}  // namespace sluice::guard
