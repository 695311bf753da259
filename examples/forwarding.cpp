// examples/forwarding.cpp - a server in front of others: what is below /api/ they answer, the rest
// is its own.
//
//   forwarding PORT URL...                    0 asks for a free port
//   forwarding 8080 http://127.0.0.1:8081 http://127.0.0.1:8082
//   curl http://localhost:8080/api/anything
#include <cstdlib>
#include <iostream>
#include <string>

#include <sluice/sluice.hpp>

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: forwarding PORT URL...\n";
    return 2;
  }
  sluice::Server server;
  server.port = static_cast<std::uint16_t>(std::atoi(argv[1]));

  sluice::ForwardOptions options;
  options.upstreams.assign(argv + 2, argv + argc);
  options.balance = sluice::Balance::least_connections;
  options.timeouts.response = std::chrono::seconds(10);
  if (auto added = server.forward("/api/", options); !added) {
    std::cerr << added.error().message() << "\n";
    return 1;
  }
  // What is asked of the others may be changed, and so may what they answer.
  server.on_before_forward_http = [](sluice::Connection, const sluice::HttpRequest& request,
                                     sluice::Forward& forward) {
    if (forward.enabled) forward.headers.add("X-Asked-For", request.document());
  };
  server.on_after_forward_http = [](sluice::Connection, const sluice::HttpRequest&,
                                    sluice::HttpResponse& response, const sluice::Error* error) {
    if (error)
      response.content_text("Nobody is there just now: " + error->message() + "\n");
    else
      response.header("X-Served-By", "the others");
  };
  server.on_http_request = [](sluice::Connection, const sluice::HttpRequest&,
                              sluice::HttpResponse& response) {
    response.content_text("This page is our own.\n");
  };
  server.on_startup = [&] {
    std::cout << "listening on http://localhost:" << server.bound_port() << "/" << std::endl;
  };
  return server.run();
}
