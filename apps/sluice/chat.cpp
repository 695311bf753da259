// apps/sluice/chat.cpp - see chat.hpp.
#include "sluice/chat.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <any>
#include <utility>

namespace sluice::app {
namespace {

// Kept in Connection::data() of who is in a room.
struct Member {
  std::string room, name;
};

std::string channel_of(std::string_view room) { return fmt::format("chat/{}", room); }

// The field in front of the first TAB, and what is behind it.
std::pair<std::string_view, std::string_view> cut(std::string_view message) {
  const auto tab = message.find('\t');
  if (tab == std::string_view::npos) return {message, {}};
  return {message.substr(0, tab), message.substr(tab + 1)};
}

bool is_room(std::string_view room) {
  return !room.empty() && room.size() <= 32 && std::all_of(room.begin(), room.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

bool is_name(std::string_view name) {
  return !name.empty() && name.size() <= 40 && std::none_of(name.begin(), name.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
  });
}

}  // namespace

Result<void> Chat::add(std::string_view pattern) {
  WebSocketHandlers handlers;
  handlers.on_message = [this](Connection c, std::string_view text) { receive(c, text); };
  handlers.on_binary = [](Connection c, Bytes) { c.close(1003, "text only"); };
  handlers.on_disconnect = [this](Connection c, std::uint16_t) { leave(c); };
  return server_.websocket(pattern, std::move(handlers));
}

void Chat::receive(Connection& from, std::string_view message) {
  const auto [verb, rest] = cut(message);
  if (verb == "say") return say(from, rest);
  const auto [room, name] = cut(rest);
  if (verb == "join") return join(from, room, name);
  from.write_data("error\tthis chat knows join and say");
}

void Chat::join(Connection& who, std::string_view room, std::string_view name) {
  if (!is_room(room) || !is_name(name)) {
    who.write_data("error\ta room is 1 to 32 of a-z, 0-9 and -; a name is 1 to 40 bytes");
    return;
  }
  leave(who);
  const Member member{std::string(room), std::string(name)};
  who.data() = member;
  const std::string channel = channel_of(room);
  who.subscribe(channel);
  const std::size_t members = count(member.room, +1);
  who.write_data(fmt::format("room\t{}\t{}", member.room, members));
  server_.broadcast(fmt::format("join\t{}\t{}", member.name, members), {.channel = channel});
}

void Chat::say(Connection& who, std::string_view text) {
  const auto* member = std::any_cast<Member>(&who.data());
  if (member == nullptr) {
    who.write_data("error\tjoin a room first");
  } else if (text.empty() || text.size() > 2000) {
    who.write_data("error\ta message is 1 to 2000 bytes long");
  } else {
    server_.broadcast(fmt::format("say\t{}\t{}", member->name, text),
                      {.channel = channel_of(member->room)});
  }
}

void Chat::leave(Connection& who) {
  const auto* found = std::any_cast<Member>(&who.data());
  if (found == nullptr) return;
  const Member member = *found;
  who.data().reset();
  const std::string channel = channel_of(member.room);
  who.unsubscribe(channel);
  const std::size_t members = count(member.room, -1);
  server_.broadcast(fmt::format("leave\t{}\t{}", member.name, members), {.channel = channel});
}

std::size_t Chat::count(const std::string& room, int change) {
  const std::lock_guard lock(mutex_);
  std::size_t& members = members_[room];
  if (change > 0) return ++members;
  if (--members > 0) return members;
  members_.erase(room);
  return 0;
}

}  // namespace sluice::app
