// core/incoming.hpp - what a WebSocket needs while part of a message or a frame is there.
//
// Between messages there is nothing to remember, so that an idle WebSocket has none of these: it
// takes one from the shard for what arrives and gives it back when that ended with a message.
// Layer: core. Thread: shard.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/block.hpp"
#include "proto/ws/decoder.hpp"
#include "proto/ws/permessage_deflate.hpp"

namespace sluice::core {

struct Incoming {
  explicit Incoming(const ws::DecoderOptions& options) : decoder(options) {}

  bool at_rest() const { return !message && !kept && !inflater && decoder.at_rest(); }

  ws::Decoder decoder;
  base::BlockRef message;                         // the pieces of a message so far
  base::BlockRef kept;                            // received bytes that wait until reading goes on
  std::unique_ptr<ws::MessageInflater> inflater;  // of a compressed message, until its end
  std::uint32_t message_size = 0, kept_size = 0, kept_at = 0;
  std::uint32_t fragment_at = 0;  // where the current frame began in message
  std::uint32_t generation = 0;   // the pool's, and so is this
  Incoming* next = nullptr;
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

  // For those that are made from now on; a message that has begun is read as it was begun.
  void set_options(const ws::DecoderOptions& options) {
    if (options.validate_utf8 == options_.validate_utf8 &&
        options.message_bytes == options_.message_bytes &&
        options.fragments == options_.fragments) {
      return;
    }
    options_ = options;
    while (Incoming* incoming = idle_) {
      idle_ = incoming->next;
      delete incoming;
    }
    count_ = 0;
    ++generation_;
  }

  // `message_bytes`: instead of that of the options; 0: that. std::bad_alloc.
  Incoming* take(std::uint64_t message_bytes) {
    if (message_bytes > 0) [[unlikely]]
      return take_other(message_bytes);
    Incoming* taken = idle_;
    if (!taken) {
      auto* made = new Incoming(options_);
      made->generation = generation_;
      return made;
    }
    idle_ = taken->next;
    --count_;
    return taken;
  }
  // One that is at rest.
  void give_back(Incoming* incoming) noexcept {
    if (count_ == kIdle || incoming->generation != generation_) {
      delete incoming;
      return;
    }
    incoming->next = idle_;
    idle_ = incoming;
    ++count_;
  }

 private:
  static constexpr std::size_t kIdle = 64;
  static constexpr std::uint32_t kNoGeneration = ~std::uint32_t{0};
  Incoming* take_other(std::uint64_t message_bytes) const {
    ws::DecoderOptions options = options_;
    options.message_bytes = message_bytes;
    auto* made = new Incoming(options);
    made->generation = kNoGeneration;  // nobody else's
    return made;
  }
  ws::DecoderOptions options_;
  std::uint32_t generation_ = 0;  // of the options
  Incoming* idle_ = nullptr;
  std::size_t count_ = 0;
};

}  // namespace sluice::core
