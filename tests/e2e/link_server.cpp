// tests/e2e/link_server.cpp - a server that says what becomes of its WebSockets.
//
//   e2e_link_server ENGINE WAY     WAY: heartbeat, keep-alive, patience or write-timeout
//
// WAY is how it finds out that a peer has gone. It listens on all addresses and sends each message
// back; what comes from /near goes to those at /far, too: 8 MB for "more than any socket holds",
// else as it is. A line for each event of a connection begins with its path.
#include <chrono>
#include <iostream>
#include <string>
#include <string_view>

#include <sluice/sluice.hpp>

namespace {

using namespace std::chrono_literals;

// False: there is no such way.
bool find_by(sluice::Server& server, std::string_view way) {
  server.timeouts.min_send_rate = 0;
  if (way == "heartbeat" || way == "patience") {
    server.heartbeat.enabled = true;
    server.heartbeat.interval = 100ms;
    // Who is there has to answer in time, on a busy machine, too.
    server.heartbeat.timeout = way == "patience" ? 60s : 3s;
  } else if (way == "keep-alive") {
    server.tcp_keep_alive = {.enabled = true, .time = 1s, .interval = 1s, .probes = 2};
  } else if (way == "write-timeout") {
    server.options.write_timeout = 1s;
  } else {
    return false;
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string engine = argc > 1 ? argv[1] : "", way = argc > 2 ? argv[2] : "";
  sluice::Server server;
  server.host = "*";
  server.port = 0;
  server.shards = 1;  // so that lines do not mix
  server.engine = engine == "epoll" ? sluice::EngineKind::epoll : sluice::EngineKind::uring;
  if (!find_by(server, way)) return 2;
  server.on_connect = [](sluice::Connection connection) {
    if (connection.url() == "/far") connection.subscribe("far");
    std::cout << connection.url() << " connect" << std::endl;
  };
  server.on_message = [&](sluice::Connection connection, std::string_view text) {
    connection.write_data(text);
    if (text == "more than any socket holds") {
      server.broadcast(std::string(8'000'000, 'x'), {.channel = "far"});
    } else if (connection.url() == "/near") {
      server.broadcast(text, {.channel = "far"});
    }
  };
  server.on_error = [](sluice::Connection connection, const sluice::Error& error) {
    std::cout << connection.url() << " error: " << error.message() << std::endl;
  };
  server.on_disconnect = [](sluice::Connection connection, std::uint16_t code) {
    std::cout << connection.url() << " disconnect " << code << std::endl;
  };
  server.on_startup = [&] {
    std::cout << "listening on http://localhost:" << server.bound_port() << "/" << std::endl;
  };
  return server.run();
}
