// examples/resumable_download.cpp - the specification's third scenario: a download that resumes.
//
//   resumable_download [PORT [FILE]]                      8080, test.pdf; port 0 asks for a free
//   one curl -C - -O http://localhost:8080/test.pdf           interrupt it, and run it again
//
// The handler cuts one range by itself, as the original does. It need not: response.file_name(path)
// does all of it, and validators, If-Range, several ranges and sendfile besides; see /easy.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>

#include <sluice/sluice.hpp>

int main(int argc, char** argv) {
  sluice::Server server;
  server.port = static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 8080);
  server.dispatch = sluice::Dispatch::thread_pool;  // the handler opens a file, which may block
  const std::string path = argc > 2 ? argv[2] : "test.pdf";

  server.on_http_request = [path](sluice::Connection, const sluice::HttpRequest& request,
                                  sluice::HttpResponse& response) {
    if (request.document() == "/easy") {
      response.file_name(path);
      return;
    }
    std::error_code failed;
    const std::uint64_t size = std::filesystem::file_size(path, failed);
    auto stream = std::make_unique<std::ifstream>(path, std::ios::binary);
    if (failed || !*stream) {
      response.response_no(404);
      return;
    }
    response.content_type("application/pdf").accept_ranges("bytes");
    const auto ranges = request.ranges(size);
    if (ranges.size() == 1) {
      const auto [first, last] = ranges.front();
      stream->seekg(static_cast<std::streamoff>(first));
      response.response_no(206).content_range_start(first).content_range_end(last);
      response.content_range_instance_length(size);
      response.content_stream(std::move(stream), last - first + 1);
    } else {
      response.content_stream(std::move(stream));
    }
  };
  server.on_startup = [&] {
    std::cout << "listening on http://localhost:" << server.bound_port() << "/" << std::endl;
  };
  return server.run();
}
