// core/incoming.hpp - what a WebSocket needs while part of a message or a frame is there.
//
// Between messages there is nothing to remember, so that an idle WebSocket has none of these: it
// takes one from the shard for what arrives and gives it back when that ended with a message.
// Layer: core. Thread: shard.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/block.hpp"
#include "proto/ws/decoder.hpp"

namespace sluice::core {

struct Incoming {
  explicit Incoming(const ws::DecoderOptions& options) : decoder(options) {}

  bool at_rest() const { return !message && !kept && decoder.at_rest(); }

  ws::Decoder decoder;
  base::BlockRef message;  // the pieces of a message so far
  base::BlockRef kept;     // received bytes that wait until reading goes on
  std::uint32_t message_size = 0, kept_size = 0, kept_at = 0;
  std::uint32_t fragment_at = 0;  // where the current frame began in message
  Incoming* next = nullptr;       // the pool's
};

class IncomingPool {
 public:
  explicit IncomingPool(const ws::DecoderOptions& options) : options_(options) {}
  IncomingPool(const IncomingPool&) = delete;
  IncomingPool& operator=(const IncomingPool&) = delete;
  ~IncomingPool() {
    while (Incoming* incoming = idle_) {
      idle_ = incoming->next;
      delete incoming;
    }
  }

  Incoming* take() {  // std::bad_alloc
    Incoming* taken = idle_;
    if (!taken) return new Incoming(options_);
    idle_ = taken->next;
    --count_;
    return taken;
  }
  // One that is at rest.
  void give_back(Incoming* incoming) noexcept {
    if (count_ == kIdle) {
      delete incoming;
      return;
    }
    incoming->next = idle_;
    idle_ = incoming;
    ++count_;
  }

 private:
  static constexpr std::size_t kIdle = 64;
  const ws::DecoderOptions options_;
  Incoming* idle_ = nullptr;
  std::size_t count_ = 0;
};

}  // namespace sluice::core
