// bench/sluice_bench_server.cpp - our server with the answers that all peers of bench/compare give.
//
//   sluice_bench_server --port P [--engine uring|epoll] [--shards N]
//
// "Hello, World!" at /, WebSocket echo at /ws, every message to all at /bc.
#include <sluice/sluice.hpp>

#include <cstdio>
#include <cstdlib>
#include <string_view>

int main(int argc, char** argv) {
  sluice::Server server;
  server.host = "127.0.0.1";
  server.shards = 1;
  server.fine_tune.queue_length = 4096;
  for (int i = 1; i + 1 < argc; i += 2) {
    std::string_view option = argv[i], value = argv[i + 1];
    if (option == "--port") {
      server.port = std::uint16_t(std::atoi(argv[i + 1]));
    } else if (option == "--shards") {
      server.shards = std::uint32_t(std::atoi(argv[i + 1]));
    } else if (option == "--engine") {
      server.engine = value == "epoll" ? sluice::EngineKind::epoll : sluice::EngineKind::uring;
    } else {
      std::fprintf(stderr, "sluice_bench_server: unknown option %s\n", argv[i]);
      return 2;
    }
  }
  server.on_http_request = [](sluice::Connection, const sluice::HttpRequest&,
                              sluice::HttpResponse& response) {
    response.content_text("Hello, World!");
  };
  sluice::WebSocketHandlers echo;
  echo.on_message = [](sluice::Connection c, std::string_view text) { c.write_data(text); };
  echo.on_binary = [](sluice::Connection c, sluice::Bytes bytes) { c.write_data(bytes); };
  sluice::WebSocketHandlers all;
  all.on_connect = [](sluice::Connection c) { c.subscribe("all"); };
  all.on_message = [&](sluice::Connection, std::string_view text) {
    server.broadcast(text, {.channel = "all"});
  };
  all.on_binary = [&](sluice::Connection, sluice::Bytes bytes) {
    server.broadcast(bytes, {.channel = "all"});
  };
  if (!server.websocket("/ws", echo) || !server.websocket("/bc", all)) return 1;
  server.on_startup = [&] {
    std::printf("listening on port %u with %s\n", unsigned(server.bound_port()),
                server.engine_name().c_str());
    std::fflush(stdout);
  };
  return server.run();
}
