// apps/sluice/chat.hpp - the demo's chat: a room is a channel.
//
// Layer: apps. Messages are text, fields parted by TAB, the last one being the rest of the message:
//
//   client   join ROOM NAME      enters a room, leaving the one before
//            say TEXT            to everybody in the room
//   server   room ROOM COUNT     you are in, with COUNT members, yourself included
//            join NAME COUNT     to the room
//            leave NAME COUNT    to the room
//            say NAME TEXT       to the room, the sender included
//            error WORDS         to the sender of what was not understood
//
// ROOM: 1 to 32 of a-z, 0-9 and `-`. NAME: 1 to 40 bytes without control characters. TEXT: 1 to
// 2000 bytes.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include <sluice/server.hpp>

namespace sluice::app {

// Must outlive the running of `server`. Thread: handlers run on every shard.
class Chat {
 public:
  explicit Chat(Server& server) : server_(server) {}
  Result<void> add(std::string_view pattern);

 private:
  void receive(Connection& from, std::string_view message);
  void join(Connection& who, std::string_view room, std::string_view name);
  void say(Connection& who, std::string_view text);
  void leave(Connection& who);
  // Members of `room` after one came (+1) or went (-1).
  std::size_t count(const std::string& room, int change);

  Server& server_;
  std::mutex mutex_;
  std::map<std::string, std::size_t, std::less<>> members_;  // by room; guarded by mutex_
};

}  // namespace sluice::app
