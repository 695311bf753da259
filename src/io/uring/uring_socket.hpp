// io/uring/uring_socket.hpp - what this engine keeps in Socket::flags.
//
// Layer: io. Thread: shard.
#pragma once

#include <cstdint>

#include "io/engine.hpp"

namespace sluice::io::uring {

// Socket::flags.
enum : std::uint16_t {
  kListed = 1 << 0,          // in next_turn_ or finished_
  kStarved = 1 << 1,         // in starved_
  kReceiving = 1 << 2,       // the multishot receive is armed
  kSending = 1 << 3,         // a send, or a poll for room, is with the kernel
  kCancelsReceive = 1 << 4,  // a cancellation is with the kernel
  kCancelsSend = 1 << 5,
  kSendable = 1 << 6,  // the outstanding file send is worth another try
  kPaused = 1 << 7,
  kEndSeen = 1 << 8,  // the kernel has told of the end
  kEndTold = 1 << 9,  // on_end has been called
  kShutdownLater = 1 << 10,
  kDetaching = 1 << 11,
  kClosing = 1 << 12,  // close() was called, or it failed
  kAborting = 1 << 13,
  kExpectsBulk = 1 << 14,
};
inline constexpr std::uint16_t kLeaving = kDetaching | kClosing;

inline void set(Socket& socket, std::uint16_t bits) {
  socket.flags = std::uint16_t(socket.flags | bits);
}
inline void clear(Socket& socket, std::uint16_t bits) {
  socket.flags = std::uint16_t(socket.flags & ~bits);
}

inline std::uint64_t data_of(Socket& socket, std::uint64_t operation) {
  return reinterpret_cast<std::uintptr_t>(&socket) | operation;
}

}  // namespace sluice::io::uring
