// examples/authentication.cpp - a part of the site for users, and what one of them may do there.
//
//   authentication PORT USERS                             0 asks for a free port
//   sluice passwd USERS joe
//   curl --user joe http://localhost:8080/admin/          and /: open to all
#include <cstdlib>
#include <iostream>

#include <sluice/sluice.hpp>

int main(int argc, char** argv) {
  sluice::Server server;
  server.port = static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 8080);
  server.authentication.enabled = true;
  server.authentication.basic.enabled = true;
  server.authentication.paths = {"/admin/"};
  if (auto loaded = server.authentication.users.load(argc > 2 ? argv[2] : "users"); !loaded) {
    std::cerr << loaded.error().message() << "\n";
    return 1;
  }
  server.on_http_request = [](sluice::Connection, const sluice::HttpRequest& request,
                              sluice::HttpResponse& response) {
    const sluice::Identity& who = request.authentication();
    response.content_text(who ? "hello " + who.user + "\n" : "hello\n");
  };
  server.on_startup = [&] {
    std::cout << "listening on http://localhost:" << server.bound_port() << "/" << std::endl;
  };
  return server.run();
}
