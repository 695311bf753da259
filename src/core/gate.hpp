// core/gate.hpp - who may go on: asked for each request before routes, handlers and upgrades.
//
// Implemented above the core (service/admission). Layer: core. Thread: the exchange's shard.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace sluice::core {

class Exchange;

class Gate {
 public:
  virtual ~Gate() = default;

  enum class Verdict : std::uint8_t {
    pass,
    answered,  // the request was answered: ServerSession::respond_error or respond
    // One of the two follows, on this shard, unless the exchange is aborted (its port is null):
    // ServerSession::go_on, or an answer. Whoever waits keeps a use of the exchange.
    later,
  };

  // The document is known, its prefix is not. What of the path carries credentials is taken out of
  // it here, before anybody else sees it.
  virtual void on_path(Exchange& exchange) = 0;
  // Its URL prefix is known, too. Exchange::route may be set: what answers is the gate's own then.
  virtual Verdict admit(Exchange& exchange) = 0;
  // A target, as a log may have it: without the credentials that stand in it. For those that
  // on_path() has not seen, or not accepted, as well.
  virtual std::string shown(std::string_view target) const = 0;
};

// A gate as one shard has it, kept by whoever has a use of it; counted without locked operations.
// Thread: the shard.
class KeptGate {
 public:
  explicit KeptGate(std::shared_ptr<Gate> gate) : gate_(std::move(gate)) {}
  Gate& gate() const { return *gate_; }
  void retain() { ++uses_; }
  void release() {
    if (--uses_ == 0) delete this;
  }

 private:
  const std::shared_ptr<Gate> gate_;
  std::size_t uses_ = 1;
};

// Null where there is no gate.
inline std::unique_ptr<KeptGate> keep(std::shared_ptr<Gate> gate) {
  return gate ? std::make_unique<KeptGate>(std::move(gate)) : nullptr;
}

// What a gate remembers of an exchange; goes with it.
class GateState {
 public:
  virtual ~GateState() = default;
  // Nobody waits for the verdict any more: the client has gone, or time was over and it has had its
  // answer. Uses of the exchange are given back now. The caller keeps one.
  virtual void given_up(Exchange& exchange) = 0;
};

}  // namespace sluice::core
