// core/body_sink.hpp - where a body goes as it arrives, instead of being kept for its handler.
//
// Implemented above the core (service/upload). Layer: core. Thread: the exchange's shard.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "base/block.hpp"

namespace sluice::core {

class Exchange;

// Of one request. Whoever it makes wait holds a use of the exchange and pauses its body.
class BodySink {
 public:
  virtual ~BodySink() = default;
  virtual void on_piece(Exchange& exchange, base::Block& block, std::span<std::byte> piece) = 0;
  // It has no use for a little of a long body before more has come. Always the same.
  virtual bool takes_bulk() const { return false; }
  // All of it has come. ServerSession::body_stored follows, now or later, or an error's answer.
  virtual void on_end(Exchange& exchange) = 0;
  // The sink answers bit by bit, and there is room again. False: it does not.
  virtual bool on_writable(Exchange& exchange) {
    static_cast<void>(exchange);
    return false;
  }
  // Its handler will never run: what was stored goes without a trace. Perhaps more than once; the
  // exchange may be on its way back to the pool.
  virtual void given_up() noexcept = 0;
};

class BodySinks {
 public:
  virtual ~BodySinks() = default;
  // For a request whose head has come and whose body has not. Null: its body is like any other, or
  // the exchange was answered.
  virtual std::unique_ptr<BodySink> open(Exchange& exchange) = 0;
};

}  // namespace sluice::core
