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
  std::uint32_t channel;  // Channels::at; less than 2^31
  std::uint32_t place;    // index in members
};

// Those of one WebSocket: a word when there is none or one, 8 bytes for each when there are more.
class Subscriptions {
 public:
  Subscriptions() = default;
  Subscriptions(const Subscriptions&) = delete;
  Subscriptions& operator=(const Subscriptions&) = delete;
  ~Subscriptions();

  std::uint32_t size() const { return (word_ & kOne) ? 1 : many() ? many()->size : 0; }
  Subscription operator[](std::uint32_t index) const;
  void set_place(std::uint32_t index, std::uint32_t place);
  void push_back(Subscription subscription);  // std::bad_alloc
  void erase(std::uint32_t index) noexcept;   // keeps the order of the others

 private:
  struct Many {
    std::uint32_t size, capacity;
    Subscription* items() { return reinterpret_cast<Subscription*>(this + 1); }
  };
  static constexpr std::uint64_t kOne = 1;  // set: the word is the only subscription
  static std::uint64_t word_of(Subscription one) {
    return std::uint64_t{one.place} << 32 | std::uint64_t{one.channel} << 1 | kOne;
  }
  Many* many() const { return reinterpret_cast<Many*>(word_); }
  std::uint64_t word_ = 0;  // 0: none; kOne set: one; else a Many*
};

class Channels {
 public:
  Channel* find(std::string_view name);
  const Channel& at(std::uint32_t index) const { return *table_[index]; }
  // Calls `each(const Channel&)`; nobody may subscribe or leave meanwhile.
  template <class F>
  void for_each(F&& each) const {
    for (const auto& channel : table_) {
      if (channel) each(*channel);
    }
  }
  // False when it was subscribed already.
  bool subscribe(WebSocket& socket, std::string_view name);
  bool unsubscribe(WebSocket& socket, std::string_view name);
  void unsubscribe_all(WebSocket& socket);
  bool subscribed(const WebSocket& socket, std::string_view name) const;

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view name) const {
      return std::hash<std::string_view>()(name);
    }
  };
  std::uint32_t find_or_make(std::string_view name);
  void remove_if_empty(std::uint32_t index);
  void leave(WebSocket& socket, std::uint32_t index);
  std::unordered_map<std::string_view, std::uint32_t, Hash, std::equal_to<>> by_name_;
  std::vector<std::unique_ptr<Channel>> table_;
  std::vector<std::uint32_t> free_;  // of table_
};

}  // namespace sluice::core
