// examples/chat.cpp - chat rooms: a WebSocket's path is its room, and a room is a channel.
//
//   chat [PORT]                                           8080; 0 asks for a free one
//   npx wscat -c ws://localhost:8080/chat/kitchen         in two terminals
//
// Who talks is told by the port. Handlers run on every shard: what they share needs a lock or, as
// here, is left to the server.
#include <cstdlib>
#include <iostream>
#include <string>

#include <sluice/sluice.hpp>

namespace {

std::string guest(const sluice::Connection& c) { return "guest " + std::to_string(c.port()); }

}  // namespace

int main(int argc, char** argv) {
  sluice::Server server;
  server.port = static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 8080);

  sluice::WebSocketHandlers room;
  room.on_connect = [&](sluice::Connection c) {
    c.subscribe(c.url());
    server.broadcast(guest(c) + " came in", {.channel = c.url()});
  };
  room.on_message = [&](sluice::Connection c, std::string_view text) {
    server.broadcast(guest(c) + ": " + std::string(text), {.channel = c.url()});
  };
  room.on_disconnect = [&](sluice::Connection c, std::uint16_t) {
    server.broadcast(guest(c) + " left", {.channel = c.url()});
  };
  if (auto added = server.websocket("/chat/{room}", room); !added) {
    std::cerr << added.error().message() << std::endl;
    return 1;
  }

  server.on_startup = [&] {
    std::cout << "listening on http://localhost:" << server.bound_port() << "/" << std::endl;
  };
  return server.run();
}
