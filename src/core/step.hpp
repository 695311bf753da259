// core/step.hpp - one step of the work on a shard, for one request or connection.
//
// Without memory for it that connection ends and the shard goes on. What is entered from the socket
// is guarded by the front; these are for what comes back from another thread or from the pool.
//
// Layer: core. Thread: shard.
#pragma once

#include <new>
#include <utility>

#include "core/connection.hpp"
#include "core/exchange.hpp"

namespace sluice::core {

// One use of something counted, for as long as a block of code works with it: given back also when
// what was done threw.
template <class Counted>
class Hold {
 public:
  explicit Hold(Counted& held) : held_(&held) { held.retain(); }
  ~Hold() {
    if (held_) held_->release();
  }
  Hold(const Hold&) = delete;
  Hold& operator=(const Hold&) = delete;

  // Somebody else gives it back from here on.
  void leave() { held_ = nullptr; }

 private:
  Counted* held_;
};

template <class Work>
void step(Connection& connection, Work&& work) {
  Hold<Connection> hold(connection);
  try {
    work();
  } catch (const std::bad_alloc&) {
    connection.disconnect(Errc::out_of_memory);
  }
}

template <class Work>
void step(Exchange& exchange, Work&& work) {
  Hold<Exchange> hold(exchange);
  try {
    work();
  } catch (const std::bad_alloc&) {
    if (exchange.connection) exchange.connection->disconnect(Errc::out_of_memory);
  }
}

}  // namespace sluice::core
