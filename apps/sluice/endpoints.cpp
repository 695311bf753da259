// apps/sluice/endpoints.cpp - see endpoints.hpp.
#include "sluice/endpoints.hpp"

namespace sluice::app {

Result<void> add_echo(Server& server, const std::string& path) {
  WebSocketHandlers handlers;
  handlers.on_message = [](Connection c, std::string_view text) { c.write_data(text); };
  handlers.on_binary = [](Connection c, Bytes bytes) { c.write_data(bytes); };
  if (auto added = server.websocket(path, std::move(handlers)); !added) return added;
  return server.route("POST", path,
                      [](Connection, const HttpRequest& request, HttpResponse& response) {
                        const std::string_view type = request.content_type();
                        response.content_type(type.empty() ? "application/octet-stream" : type)
                            .content_text(request.body().text());
                      });
}

Result<void> add_broadcast(Server& server, const std::string& path) {
  const std::string channel = "broadcast " + path;
  WebSocketHandlers handlers;
  handlers.on_connect = [channel](Connection c) { c.subscribe(channel); };
  handlers.on_message = [&server, channel](Connection, std::string_view text) {
    server.broadcast(text, {.channel = channel});
  };
  handlers.on_binary = [&server, channel](Connection, Bytes bytes) {
    server.broadcast(bytes, {.channel = channel});
  };
  return server.websocket(path, std::move(handlers));
}

}  // namespace sluice::app
