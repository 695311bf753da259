// core/response_cache.hpp - answers that are given again without their handler.
//
// Implemented above the core (service/cache). A session that never kept an answer and has no rule
// asks nobody: ServerSession::cache_in_use is null. Layer: core. Thread: the exchange's shard.
#pragma once

#include <chrono>
#include <cstdint>

#include <sluice/bytes.hpp>

namespace sluice::core {

class Exchange;

inline constexpr std::chrono::milliseconds kUntilFlushed = std::chrono::milliseconds::max();

// What the cache wants to know of an answer; AnswerExtras has it, so that it goes with the answer,
// also where an error replaces that. Whoever streams an answer, a handler's or one that is
// forwarded, calls these if Answer::tap() is one. Thread: shard.
class AnswerTap {
 public:
  virtual ~AnswerTap() = default;
  // The head is complete: exchange.answer has status, type and fields. Before it is sent.
  virtual void begin(Exchange& exchange) = 0;
  // The next bytes of the body, without any framing; they live for the call.
  virtual void piece(Bytes bytes) = 0;
  // That was all. What goes without it is not kept.
  virtual void end() = 0;
  // Nothing of it is kept, nor would be of the next one: nobody need wait for it.
  virtual void refuse() = 0;
  // Its client takes its time, or has gone: nobody waits for it any more. It may be kept all the
  // same.
  virtual void let_others_go() = 0;
};

class ResponseCache {
 public:
  virtual ~ResponseCache() = default;

  enum class Found : std::uint8_t {
    nothing,   // the handler's turn
    answered,  // ServerSession::respond was called
    later,     // ServerSession::go_on follows, unless given_up() does
  };
  virtual Found look_up(Exchange& exchange) = 0;
  // The answer is complete, and says that it may be kept or has a tap. It may be cut to what the
  // request asks for: a range, 304.
  virtual void keep(Exchange& exchange) = 0;
  // Nobody waits for what look_up() had left open: the client has gone, or has had its answer.
  // A use of the exchange is given back: the caller keeps one.
  virtual void given_up(Exchange& exchange) = 0;
  // Where Answer::changes(): the final answer is about to be sent. If it says that the request was
  // done, what is kept of its document goes.
  virtual void changed(Exchange& exchange) = 0;
};

}  // namespace sluice::core
