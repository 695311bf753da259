// examples/custom_headers.cpp - the specification's quick start: fields of one's own in a response.
//
//   custom_headers [PORT]                                 8080; 0 asks for a free one
//   curl -i http://localhost:8080/
//
// A block of lines is taken as it is in the original; each line is checked, and one that could
// forge a second field or the length of the message makes the answer a 500. header() adds one
// field.
#include <cstdlib>
#include <iostream>

#include <sluice/sluice.hpp>

int main(int argc, char** argv) {
  sluice::Server server;
  server.port = static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 8080);

  server.on_http_request = [](sluice::Connection, const sluice::HttpRequest&,
                              sluice::HttpResponse& response) {
    response.response_no(200);
    response.custom_headers(
        "Access-Control-Allow-Origin: *\r\n"
        "Access-Control-Allow-Methods: GET, POST, OPTIONS, PUT, PATCH, DELETE");
    response.header("X-Greeting", "hello");
  };

  server.on_startup = [&] {
    std::cout << "listening on http://localhost:" << server.bound_port() << "/" << std::endl;
  };
  return server.run();
}
