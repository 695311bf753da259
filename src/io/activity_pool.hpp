// io/activity_pool.hpp - the activities of an engine's sockets: outstanding sends and held bytes.
//
// Layer: io. Thread: the shard's.
#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "base/block.hpp"
#include "io/engine.hpp"
#include "io/unread.hpp"

namespace sluice::io {

inline constexpr std::size_t kMaxParts = 64;

// The parts that are left of an outstanding send of several.
struct Outgoing {
  msghdr message{};  // its iov points into `parts`, at what is still to be sent
  Outgoing* next = nullptr;
  iovec parts[kMaxParts];
};

// Hands out Activities and Outgoings, and keeps spare ones, so that a steady load allocates
// nothing.
class ActivityPool {
 public:
  ActivityPool() = default;
  ActivityPool(const ActivityPool&) = delete;
  ActivityPool& operator=(const ActivityPool&) = delete;
  ~ActivityPool();

  // The socket's, made when it has none. Null when memory is out, or when the socket has ended.
  Activity* of(Socket& socket) {
    Activity* activity = socket.activity();
    return activity ? activity : take(socket);
  }

  // Makes `parts` without their first `skip` bytes the outstanding send. False when memory is out;
  // then nothing is outstanding.
  [[nodiscard]] bool hold(Socket& socket, std::span<const iovec> parts, std::size_t skip);
  [[nodiscard]] bool hold_file(Socket& socket, int file, std::uint64_t offset, std::size_t length);

  // Notes that `sent` bytes of the outstanding send have gone.
  void advance(Socket& socket, std::size_t sent);

  // Adds to the bytes held for `socket`. False when memory is out.
  [[nodiscard]] bool hold_unread(Socket& socket, base::BlockPool& blocks, Bytes bytes);
  // The oldest of them. Precondition: there are some.
  std::pair<base::BlockRef, std::size_t> take_unread(Socket& socket);

  // Gives the activity back if nothing needs it any more. After a socket left a list.
  void rest(Socket& socket) {
    Activity* activity = socket.activity();
    if (!activity || activity->send_left != 0 || activity->unread || activity->next ||
        activity->ended || activity->bulk) {
      return;
    }
    give_back(socket, *activity);
  }

  // Forgets everything. Returns what was held, or null.
  std::unique_ptr<Unread> drop(Socket& socket);

 private:
  static constexpr std::size_t kKeepOutgoings = 256;
  static constexpr std::size_t kPeriod = 4096;  // activities given back between two trims
  Activity* take(Socket& socket);
  void give_back(Socket& socket, Activity& activity);
  void trim();
  Outgoing* take_outgoing();
  void give_back_outgoing(Outgoing* outgoing);

  // A peak, such as a broadcast to all, leaves many spare ones. Those that a whole period did not
  // touch go back to the system by halves.
  Activity* spare_ = nullptr;
  std::size_t spare_count_ = 0;
  std::size_t least_spare_ = 0;  // in this period
  std::size_t until_trim_ = kPeriod;
  Outgoing* idle_ = nullptr;
  std::size_t idle_count_ = 0;
};

inline bool has_unread(const Socket& socket) {
  Activity* activity = socket.activity();
  return activity && activity->unread;
}

std::size_t total_size(std::span<const iovec> parts);

// sendfile(2), at most `most` bytes. Like a system call: -1 and errno; 0 at the end of the file.
// SIGPIPE is blocked on the calling thread from the first call on, for sendfile has no flag
// against it.
ssize_t push_file(int fd, int file, std::uint64_t offset, std::size_t most);
// What a stream socket takes of `parts` at once. Like a system call, but never EINTR.
ssize_t push_now(int fd, std::span<const iovec> parts, bool more);
// SO_RCVLOWAT: a socket is readable when so many bytes are there, or its end. Where the kernel
// refuses, it is readable at once.
void wait_for_bytes(int fd, std::size_t bytes);

}  // namespace sluice::io
