// core/home.hpp - what all connections of one shard have in common, one pointer away.
//
// Counted: handles outlive their shard. Layer: core. Thread: as each member says.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

#include "base/cells.hpp"
#include "core/mailbox.hpp"
#include "core/sends.hpp"

namespace sluice::core {

class Shard;

// Makes connection ids unguessable: one block cipher under a key of this process.
struct IdCipher {
  using Block = std::array<std::byte, 16>;
  std::function<Block(const Block&)> encrypt, decrypt;
};

struct Home {
  Home(Shard* owner, std::uint32_t number, std::shared_ptr<Mailbox> door,
       std::shared_ptr<const IdCipher> ids)
      : shard(owner), mailbox(std::move(door)), cipher(std::move(ids)), index(number) {}
  Home(const Home&) = delete;
  Home& operator=(const Home&) = delete;

  // Thread: any. Made with one use.
  void retain() { refs_.fetch_add(1, std::memory_order_relaxed); }
  void release() {
    if (refs_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

  // Thread: the shard.
  Shard* const shard;
  void* front = nullptr;               // what the front keeps for this shard
  std::unique_ptr<base::Cells> cells;  // in which its connections lie; they give back on any thread

  // Thread: any.
  const std::shared_ptr<Mailbox> mailbox;
  const std::shared_ptr<const IdCipher> cipher;
  const std::uint32_t index;
  // Null without `asynchronous`; set before there is a connection.
  std::unique_ptr<PendingSends> pending_sends;

 private:
  ~Home() = default;
  std::atomic<std::uint32_t> refs_{1};
};

}  // namespace sluice::core
