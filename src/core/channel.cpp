// core/channel.cpp - subscribe, leave, and keep each member's place right.
#include "core/channel.hpp"

#include "core/shard.hpp"
#include "core/websocket.hpp"

namespace sluice::core {

Channel* Channels::find(std::string_view name) {
  auto found = channels_.find(name);
  return found == channels_.end() ? nullptr : found->second.get();
}

bool Channels::subscribe(WebSocket& socket, std::string_view name) {
  for (const Subscription& held : socket.subscriptions) {
    if (held.channel->name == name) return false;
  }
  auto found = channels_.find(name);
  if (found == channels_.end()) {
    auto made = std::make_unique<Channel>();
    made->name = name;
    found = channels_.emplace(std::string(name), std::move(made)).first;
  }
  Channel& channel = *found->second;
  socket.shard().broadcasts.hand_out();  // what was said before it came
  try {
    channel.members.push_back(&socket);
    socket.subscriptions.push_back({&channel, std::uint32_t(channel.members.size() - 1)});
  } catch (...) {
    if (!channel.members.empty() && channel.members.back() == &socket) channel.members.pop_back();
    if (channel.members.empty()) channels_.erase(found);
    throw;
  }
  return true;
}

bool Channels::unsubscribe(WebSocket& socket, std::string_view name) {
  for (std::size_t i = 0; i < socket.subscriptions.size(); ++i) {
    if (socket.subscriptions[i].channel->name == name) {
      leave(socket, i);
      return true;
    }
  }
  return false;
}

void Channels::unsubscribe_all(WebSocket& socket) {
  while (!socket.subscriptions.empty()) leave(socket, socket.subscriptions.size() - 1);
}

void Channels::leave(WebSocket& socket, std::size_t index) {
  socket.shard().broadcasts.hand_out();  // what was said while it listened
  Subscription held = socket.subscriptions[index];
  socket.subscriptions.erase(socket.subscriptions.begin() + std::ptrdiff_t(index));
  std::vector<WebSocket*>& members = held.channel->members;
  WebSocket* last = members.back();
  members.pop_back();
  if (last != &socket) {
    members[held.place] = last;
    for (Subscription& other : last->subscriptions) {
      if (other.channel == held.channel) other.place = held.place;
    }
  }
  if (members.empty()) channels_.erase(channels_.find(held.channel->name));
}

}  // namespace sluice::core
