// examples/fine_tuning.cpp - the specification's fourth scenario: a backend for 10,000 devices.
//
//   fine_tuning [PORT]                                    8080; 0 asks for a free one
//   curl http://localhost:8080/
//
// The original listens on 0.0.0.0, that is on every address of the machine. An example should not
// open a machine to its network: this one listens on localhost. The line to change is marked.
#include <cstdlib>
#include <iostream>
#include <string>

#include <sluice/sluice.hpp>

int main(int argc, char** argv) {
  sluice::Server server;
  server.host = "localhost";  // the original: "0.0.0.0"
  server.port = static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 8080);
  // Absorbs bursts of 10,000 devices that reconnect. The kernel clips it to net.core.somaxconn, and
  // on_log says so.
  server.fine_tune.queue_length = 10000;
  // Each shard has its own listening socket, its accepts and receives posted in advance.
  server.fine_tune.operating_mode = sluice::OperatingMode::high_perf;
  // Widens that window: up to 128 accepts in one wake-up and 2,048 receive buffers for each shard.
  server.fine_tune.high_perf_accepts_per_worker = 8;
  // What can complete at once completes at once (the original's SkipIOCPOnSuccess).
  server.fine_tune.inline_completions = true;

  server.on_http_request = [&](sluice::Connection, const sluice::HttpRequest&,
                               sluice::HttpResponse& response) {
    const std::string devices = std::to_string(server.counters().websockets);
    response.content_type("text/plain").content_text(devices + " devices are connected\n");
  };
  server.on_message = [](sluice::Connection device, std::string_view text) {
    device.write_data(text);
  };
  server.on_log = [](sluice::LogLevel level, sluice::Errc, std::string_view message) {
    if (level >= sluice::LogLevel::warning) std::cerr << message << std::endl;
  };
  server.on_startup = [&] {
    std::cout << "listening on http://localhost:" << server.bound_port() << "/" << std::endl;
  };
  return server.run();
}
