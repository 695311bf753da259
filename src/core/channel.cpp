// core/channel.cpp - subscribe, leave, and keep each member's place right.
#include "core/channel.hpp"

#include <algorithm>
#include <cstdlib>
#include <new>

#include "core/shard.hpp"
#include "core/websocket.hpp"

namespace sluice::core {

// --- Subscriptions -------------------------------------------------------------------------------

Subscriptions::~Subscriptions() {
  if (!(word_ & kOne)) std::free(many());
}

Subscription Subscriptions::operator[](std::uint32_t index) const {
  if (!(word_ & kOne)) return many()->items()[index];
  return {std::uint32_t(word_) >> 1, std::uint32_t(word_ >> 32)};
}

void Subscriptions::set_place(std::uint32_t index, std::uint32_t place) {
  if (word_ & kOne) {
    word_ = word_of({(*this)[0].channel, place});
  } else {
    many()->items()[index].place = place;
  }
}

void Subscriptions::push_back(Subscription subscription) {
  if (word_ == 0) {
    word_ = word_of(subscription);
    return;
  }
  std::uint32_t count = size();
  if ((word_ & kOne) || count == many()->capacity) {
    std::uint32_t capacity = count < 4 ? 4 : count + count / 2;
    Many* old = (word_ & kOne) ? nullptr : many();
    auto* larger =
        static_cast<Many*>(std::realloc(old, sizeof(Many) + capacity * sizeof(Subscription)));
    if (!larger) throw std::bad_alloc();
    if (!old) larger->items()[0] = (*this)[0];
    larger->size = count;
    larger->capacity = capacity;
    word_ = reinterpret_cast<std::uint64_t>(larger);
  }
  many()->items()[many()->size++] = subscription;
}

void Subscriptions::erase(std::uint32_t index) noexcept {
  if (word_ & kOne) {
    word_ = 0;
    return;
  }
  Many* all = many();
  std::copy(all->items() + index + 1, all->items() + all->size, all->items() + index);
  if (--all->size > 1) return;
  Subscription left = all->items()[0];
  std::free(all);
  word_ = word_of(left);
}

// --- Channels ------------------------------------------------------------------------------------

Channel* Channels::find(std::string_view name) {
  auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : table_[found->second].get();
}

std::uint32_t Channels::find_or_make(std::string_view name) {
  auto found = by_name_.find(name);
  if (found != by_name_.end()) return found->second;
  // What may fail comes first.
  auto made = std::make_unique<Channel>();
  made->name = name;
  if (free_.empty()) {
    free_.reserve(table_.size() == table_.capacity() ? 2 * table_.size() + 1 : table_.capacity());
    table_.emplace_back();
    free_.push_back(std::uint32_t(table_.size() - 1));
  }
  std::uint32_t index = free_.back();
  by_name_.emplace(made->name, index);
  free_.pop_back();
  table_[index] = std::move(made);
  return index;
}

void Channels::remove_if_empty(std::uint32_t index) {
  if (!table_[index]->members.empty()) return;
  by_name_.erase(table_[index]->name);
  table_[index].reset();
  free_.push_back(index);
}

bool Channels::subscribed(const WebSocket& socket, std::string_view name) const {
  for (std::uint32_t i = 0; i < socket.subscriptions.size(); ++i) {
    if (at(socket.subscriptions[i].channel).name == name) return true;
  }
  return false;
}

bool Channels::subscribe(WebSocket& socket, std::string_view name) {
  if (subscribed(socket, name)) return false;
  std::uint32_t index = find_or_make(name);
  Channel& channel = *table_[index];
  socket.shard().broadcasts.hand_out();  // what was said before it came
  try {
    channel.members.push_back(&socket);
    socket.subscriptions.push_back({index, std::uint32_t(channel.members.size() - 1)});
  } catch (...) {
    if (!channel.members.empty() && channel.members.back() == &socket) channel.members.pop_back();
    remove_if_empty(index);
    throw;
  }
  return true;
}

bool Channels::unsubscribe(WebSocket& socket, std::string_view name) {
  for (std::uint32_t i = 0; i < socket.subscriptions.size(); ++i) {
    if (at(socket.subscriptions[i].channel).name == name) {
      leave(socket, i);
      return true;
    }
  }
  return false;
}

void Channels::unsubscribe_all(WebSocket& socket) {
  while (socket.subscriptions.size() > 0) leave(socket, socket.subscriptions.size() - 1);
}

void Channels::leave(WebSocket& socket, std::uint32_t index) {
  socket.shard().broadcasts.hand_out();  // what was said while it listened
  Subscription held = socket.subscriptions[index];
  socket.subscriptions.erase(index);
  std::vector<WebSocket*>& members = table_[held.channel]->members;
  WebSocket* last = members.back();
  members.pop_back();
  if (last != &socket) {
    members[held.place] = last;
    for (std::uint32_t i = 0; i < last->subscriptions.size(); ++i) {
      if (last->subscriptions[i].channel == held.channel) {
        last->subscriptions.set_place(i, held.place);
      }
    }
  }
  remove_if_empty(held.channel);
}

}  // namespace sluice::core
