// service/files/post_back.hpp - from a thread that works for a shard, back to it.
//
// Layer: service. Thread: a pool's, never a shard's.
#pragma once

#include <chrono>
#include <new>
#include <thread>

#include "core/mailbox.hpp"

namespace sluice::service {

// Somebody waits for this call, and it can be made nowhere else: without memory for it, it is tried
// again until others have given some back. `call` is copied.
template <class Call>
void post_back(core::Mailbox& mailbox, const Call& call) noexcept {
  for (;;) {
    try {
      mailbox.post_always(base::Task(Call(call)));
      return;
    } catch (const std::bad_alloc&) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
}

}  // namespace sluice::service
