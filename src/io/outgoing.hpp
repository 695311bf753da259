// io/outgoing.hpp - what is left of a send that did not go at once: parts of memory, or a region of
// a file.
//
// Layer: io. Thread: the shard's.
#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "io/engine.hpp"

namespace sluice::io {

inline constexpr std::size_t kMaxParts = 64;

// Hangs at Socket::send_more while a send of several parts, or of a file, is outstanding. A send of
// one part needs none: send_at and send_left say it all.
struct Outgoing {
  msghdr message{};  // its iov points into `parts`, at what is still to be sent
  int file = -1;
  std::uint64_t offset = 0;
  Outgoing* next = nullptr;
  iovec parts[kMaxParts];
};

// Hands out Outgoings and keeps some idle ones, so that a steady load allocates nothing.
class OutgoingPool {
 public:
  OutgoingPool() = default;
  OutgoingPool(const OutgoingPool&) = delete;
  OutgoingPool& operator=(const OutgoingPool&) = delete;
  ~OutgoingPool();

  // Makes `parts` without their first `skip` bytes the outstanding send. False when memory is out.
  [[nodiscard]] bool hold(Socket& socket, std::span<const iovec> parts, std::size_t skip);
  [[nodiscard]] bool hold_file(Socket& socket, int file, std::uint64_t offset, std::size_t length);

  // Notes that `sent` bytes of the outstanding send have gone.
  void advance(Socket& socket, std::size_t sent);

  // Forgets the outstanding send.
  void drop(Socket& socket);

 private:
  static constexpr std::size_t kKeep = 256;
  Outgoing* take();
  void give_back(Outgoing* outgoing);

  Outgoing* idle_ = nullptr;
  std::size_t idle_count_ = 0;
};

inline Outgoing* outgoing_of(const Socket& socket) {
  return static_cast<Outgoing*>(socket.send_more);
}

std::size_t total_size(std::span<const iovec> parts);

// sendfile(2) for the outstanding send, at most `most` bytes of it. Like a system call: -1 and
// errno; 0 at the end of the file. SIGPIPE is blocked on the calling thread from the first call on,
// for sendfile has no flag against it.
ssize_t push_file(const Socket& socket, std::size_t most);

}  // namespace sluice::io
