// core/incoming.hpp - what a WebSocket needs while part of a message or a frame is there.
//
// Between messages there is nothing to remember, so that an idle WebSocket has none of these: it
// takes one from the shard for what arrives and gives it back when that ended with a message.
// Layer: core. Thread: shard.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

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
};

class IncomingPool {
 public:
  explicit IncomingPool(const ws::DecoderOptions& options) : options_(options) {
    idle_.reserve(kIdle);
  }

  std::unique_ptr<Incoming> take() {
    if (idle_.empty()) return std::make_unique<Incoming>(options_);
    std::unique_ptr<Incoming> taken = std::move(idle_.back());
    idle_.pop_back();
    return taken;
  }
  // One that is at rest.
  void give_back(std::unique_ptr<Incoming> incoming) {
    if (idle_.size() == kIdle) return;
    idle_.push_back(std::move(incoming));  // there is room
  }

 private:
  static constexpr std::size_t kIdle = 64;
  const ws::DecoderOptions options_;
  std::vector<std::unique_ptr<Incoming>> idle_;
};

}  // namespace sluice::core
