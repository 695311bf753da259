// io/activity.hpp - what an engine keeps for a socket, but only while something is under way.
//
// An idle socket has none: it is one pointer there. Layer: io. Thread: the shard's.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sluice::base {
class Block;
}

namespace sluice::io {

class Socket;
struct Outgoing;
class Unread;

// A place in a SocketList. Null pointers: in none.
struct Links {
  Links* next = nullptr;
  Links* previous = nullptr;
};

// Made by an ActivityPool for an outstanding send, for bytes that are held, or for a place in a
// list, and given back when none of them is left.
struct Activity : Links {
  Socket* socket = nullptr;  // when it is spare: null
  std::uint64_t send_left = 0;
  // Where the outstanding send goes on: `send_at` for one part of memory, `outgoing` for several,
  // `offset` of `file` for a region of a file.
  union {
    const std::byte* send_at = nullptr;
    std::uint64_t offset;
  };
  Outgoing* outgoing = nullptr;
  Unread* unread = nullptr;
  base::Block* bulk = nullptr;  // that is received into: one use of it
  int file = -1;
  bool ended = false;  // in an EndedList, by `next_ended`
  union {
    Socket* next_ended = nullptr;
    Activity* next_spare;
  };
};

}  // namespace sluice::io
