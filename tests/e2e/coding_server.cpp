// tests/e2e/coding_server.cpp - content codings for clients that others wrote.
//
//   e2e_coding_server ENGINE
//
// GET /text/SIZE answers so many bytes of lines, /stream/SIZE the same bit by bit; POST /size how
// many bytes came, of at most 256 KiB.
#include <algorithm>
#include <iostream>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <sluice/sluice.hpp>

namespace {

std::string lines(std::size_t size) {
  std::string text;
  for (std::size_t i = 0; text.size() < size; ++i) text += "line " + std::to_string(i) + "\n";
  text.resize(size);
  return text;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace sluice;
  if (argc != 2) return 2;
  Server server;
  server.port = 0;
  server.engine = argv[1] == std::string_view("uring") ? EngineKind::uring : EngineKind::epoll;
  server.shards = 1;  // each has memory of its own
  server.limits.body_bytes = 256 << 10;
  server.content_coding.enabled = server.content_coding.decode_requests = true;
  const auto size_of = [](const HttpRequest& request) {
    return std::stoul(std::string(request.param("size")));
  };
  const auto get = [&](std::string_view pattern, RequestHandler handler) {
    static_cast<void>(server.route("GET", pattern, std::move(handler)));
  };
  get("/text/{size}", [&](Connection, const HttpRequest& request, HttpResponse& response) {
    response.content_type("text/plain").content_text(lines(size_of(request))).etag("\"text\"");
  });
  get("/stream/{size}", [&](Connection, const HttpRequest& request, HttpResponse& response) {
    auto text = std::make_shared<const std::string>(lines(size_of(request)));
    response.content_type("text/plain")
        .content_producer([text, at = std::size_t{0}](
                              std::span<std::byte> room) mutable -> Result<std::size_t> {
          const Bytes all = as_bytes(std::string_view(*text));
          const std::size_t count = std::min({room.size(), all.size() - at, std::size_t{10'000}});
          std::copy_n(all.begin() + static_cast<std::ptrdiff_t>(at), count, room.begin());
          at += count;
          return count;
        });
  });
  static_cast<void>(server.route(
      "POST", "/size", [](Connection, const HttpRequest& request, HttpResponse& response) {
        response.content_text(std::to_string(request.body().size()));
      }));
  server.on_startup = [&] {
    std::cout << "listening on http://localhost:" << server.bound_port() << "/" << std::endl;
  };
  return server.run();
}
