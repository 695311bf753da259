// examples/text_response.cpp - the specification's first scenario: send a text response.
//
//   text_response [PORT]                                  8080; 0 asks for a free one
//   curl -i http://localhost:8080/test.html               200, OK
//   curl -i http://localhost:8080/other.html              404
//   curl -i -X POST http://localhost:8080/test.html       500, as in the original
#include <cstdlib>
#include <iostream>

#include <sluice/sluice.hpp>

int main(int argc, char** argv) {
  sluice::Server server;
  server.port = static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 8080);

  server.on_http_request = [](sluice::Connection, const sluice::HttpRequest& request,
                              sluice::HttpResponse& response) {
    if (request.method() == "GET") {
      if (request.document() == "/test.html") {
        response.response_no(200);
        response.content_text("OK");
        response.content_type("text/html; charset=UTF-8");
      } else {
        response.response_no(404);
      }
    } else {
      response.response_no(500);
    }
  };

  server.on_startup = [&] {
    std::cout << "listening on http://localhost:" << server.bound_port() << "/" << std::endl;
  };
  return server.run();
}
