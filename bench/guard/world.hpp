// bench/guard/world.hpp - what a measured path sees: clients, and a server that is asleep.
//
// The same paths run on the sim engine (instructions, allocations) and on the kernel's engines
// (system calls). A path acts each time the server has nothing left to do, as a client on the other
// side of a network would. Layer: bench. Thread: one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::guard {

// Prints what is wrong and ends the program: a figure of a server that answers wrongly is worth
// nothing.
[[noreturn]] void give_up(const std::string& why);

class World {
 public:
  virtual ~World() = default;

  // A client that connects; the number is its name from here on.
  virtual int connect(std::uint32_t shard = 0) = 0;
  virtual void send(int client, std::string_view bytes) = 0;
  // What the client was sent since the last call.
  virtual std::string take(int client) = 0;
  virtual void close(int client) = 0;
  // Sends the replies that handlers have deferred, as another thread does.
  virtual void answer() = 0;
  // Until the server's next timer is due. Only where time is ours.
  virtual void sleep() = 0;
  // How many a crowd is here: a thousand, fewer where each needs descriptors.
  virtual std::size_t crowd() const = 0;
  // Until the server is asleep. Only in Script::prepare().
  virtual void settle() = 0;
};

// One path: what its clients do.
class Script {
 public:
  virtual ~Script() = default;
  virtual void prepare(World&) {}
  // The server is asleep: step 0, 1, ... of a round, then 0 again. False when there was nothing to
  // do, so that it sleeps on.
  virtual bool act(World& world, unsigned step) = 0;
};

struct Path {
  const char* name;
  std::unique_ptr<Script> (*make)();
  unsigned steps = 1;       // wake-ups of the server in one round
  unsigned operations = 1;  // in one round
  bool per_member = false;  // ... for each of the crowd
  unsigned rounds = 1000;   // measured on the sim engine
  bool real = true;         // system calls are counted too
  std::uint32_t shards = 1;
  bool authenticates = false;  // nobody comes in without credentials
};

const std::vector<Path>& paths();

inline std::size_t operations_in_round(const Path& path, const World& world) {
  return path.operations * (path.per_member ? world.crowd() : 1);
}

}  // namespace sluice::guard
