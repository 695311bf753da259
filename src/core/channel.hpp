// core/channel.hpp - who on this shard wants to hear what.
//
// Layer: core. Thread: shard.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace sluice::core {

class WebSocket;

// A channel exists while it has subscribers.
struct Channel {
  std::string name;
  std::vector<WebSocket*> members;
};

// A WebSocket's place in one channel.
struct Subscription {
  Channel* channel;
  std::uint32_t place;  // index in members
};

class Channels {
 public:
  Channel* find(std::string_view name);
  // False when it was subscribed already.
  bool subscribe(WebSocket& socket, std::string_view name);
  bool unsubscribe(WebSocket& socket, std::string_view name);
  void unsubscribe_all(WebSocket& socket);

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view name) const {
      return std::hash<std::string_view>()(name);
    }
  };
  void leave(WebSocket& socket, std::size_t index);
  std::unordered_map<std::string, std::unique_ptr<Channel>, Hash, std::equal_to<>> channels_;
};

}  // namespace sluice::core
