// tests/e2e/events_server.cpp - streams of events for a browser.
//
//   e2e_events_server [ENGINE]
//
// GET / is an empty page. GET /events listens. POST /say?id=ID tells the body to all who do. POST
// /cut ends every stream. GET /seen says which Last-Event-IDs listeners came with, one a line.
#include <iostream>
#include <mutex>
#include <string>

#include <sluice/sluice.hpp>

int main(int argc, char** argv) {
  const std::string engine = argc > 1 ? argv[1] : "";
  sluice::Server server;
  server.port = 0;
  if (engine == "uring") server.engine = sluice::EngineKind::uring;
  if (engine == "epoll") server.engine = sluice::EngineKind::epoll;
  sluice::EventChannel channel({.history = 10});
  std::mutex mutex;
  std::string seen;
  server.on_http_request = [&](sluice::Connection, const sluice::HttpRequest& request,
                               sluice::HttpResponse& response) {
    const std::string_view document = request.document();
    if (document == "/events") {
      {
        std::lock_guard lock(mutex);
        seen.append(sluice::last_event_id(request)).push_back('\n');
      }
      channel.subscribe(response.event_stream({.heartbeat = std::chrono::milliseconds(50),
                                               .retry = std::chrono::milliseconds(50)}),
                        sluice::last_event_id(request));
    } else if (document == "/say") {
      const auto sent = channel.send(
          {.event = "line", .id = request.parameter("id"), .data = request.body().text()});
      response.response_no(sent == sluice::Errc::none ? 204 : 400);
    } else if (document == "/cut") {
      channel.close();
      response.response_no(204);
    } else if (document == "/seen") {
      std::lock_guard lock(mutex);
      response.content_text(std::string_view(seen));
    } else {
      response.content_type("text/html").content_text("<!doctype html><title>events</title>");
    }
  };
  server.on_startup = [&] {
    std::cout << "listening on http://localhost:" << server.bound_port() << "/" << std::endl;
  };
  return server.run();
}
