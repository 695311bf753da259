// apps/sluice/endpoints.hpp - what --echo and --broadcast add to a server.
//
// Layer: apps. Called before start(); the handlers run on the shards. Errors: those of
// Server::websocket and Server::route.
#pragma once

#include <string>

#include <sluice/server.hpp>

namespace sluice::app {

// WebSocket messages on `path` come back as they are (text as text, binary as binary), up to
// limits.message_bytes; a POST to `path` answers its own body and content type.
Result<void> add_echo(Server& server, const std::string& path);

// Each WebSocket message on `path` goes to every WebSocket on `path`, the sender included.
Result<void> add_broadcast(Server& server, const std::string& path);

}  // namespace sluice::app
