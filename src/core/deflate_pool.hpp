// core/deflate_pool.hpp - what compresses and inflates the messages of a shard's WebSockets.
//
// RFC 7692. A message that refers to none before it needs a context only while it is written or
// read: those are the shard's, so that an idle WebSocket has none. Layer: core. Thread: shard.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "proto/coding/raw_deflate.hpp"
#include "proto/ws/permessage_deflate.hpp"

namespace sluice::core {

// One WebSocket's own, where messages refer to those before. Each is made when it is needed first.
struct DeflateContexts {
  // For the next message: what it remembers is what the peer has, too. One with other options than
  // before is made anew. Null when memory is out.
  coding::Deflater* deflater_for(const coding::DeflateOptions& wanted);

  std::unique_ptr<coding::Deflater> deflater;
  coding::DeflateOptions options;                 // of the deflater
  bool stale = false;                             // the peer's window has gone on without it
  std::unique_ptr<ws::MessageInflater> inflater;  // null while a message has it
};

class DeflatePool {
 public:
  // One that remembers nothing, until the next call. Null when memory is out.
  coding::Deflater* deflater(const coding::DeflateOptions& options);

  // One that remembers nothing, whatever window the peer has. Null when memory is out.
  std::unique_ptr<ws::MessageInflater> take_inflater();
  void give_back(std::unique_ptr<ws::MessageInflater> inflater) noexcept;

  // Open WebSockets, by the window of what they are sent; 0: they get nothing compressed.
  void opened(unsigned window_bits) { ++open_[window_bits]; }
  void closed(unsigned window_bits) { --open_[window_bits]; }
  // Whether some of `all` that are open get compressed messages, and whether all get the same.
  bool serves_some(std::size_t all) const { return open_[0] != all; }
  bool are_all(unsigned window_bits, std::size_t all) const { return open_[window_bits] == all; }

 private:
  static constexpr std::size_t kIdle = 16, kWindows = 16;
  struct Kept {
    coding::DeflateOptions options;
    std::unique_ptr<coding::Deflater> deflater;
  };
  std::array<Kept, kWindows> deflaters_;  // by window: a message is compressed in one go
  std::array<std::unique_ptr<ws::MessageInflater>, kIdle> inflaters_;
  std::size_t idle_ = 0;  // of those
  std::array<std::uint32_t, kWindows> open_{};
};

}  // namespace sluice::core
