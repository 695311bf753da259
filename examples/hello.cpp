// examples/hello.cpp - a page, and WebSockets that hear what each of them says.
//
//   hello [PORT]                                          8080; 0 asks for a free one
//   curl http://localhost:8080/test.html
//   npx wscat -c ws://localhost:8080/                     in two terminals
#include <cstdlib>
#include <iostream>

#include <sluice/sluice.hpp>

int main(int argc, char** argv) {
  sluice::Server server;
  server.port = static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 8080);
  server.on_http_request = [](sluice::Connection, const sluice::HttpRequest& request,
                              sluice::HttpResponse& response) {
    if (request.document() == "/test.html")
      response.content_type("text/html; charset=UTF-8").content_text("OK");
    else
      response.response_no(404);
  };
  server.on_connect = [](sluice::Connection c) { c.subscribe("news"); };
  server.on_message = [&](sluice::Connection, std::string_view text) {
    server.broadcast(text, {.channel = "news"});
  };
  server.on_startup = [&] {
    std::cout << "listening on http://localhost:" << server.bound_port() << "/" << std::endl;
  };
  return server.run();
}
