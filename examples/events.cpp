// examples/events.cpp - server-sent events: a page that listens, and whoever posts a line tells all
// of them.
//
//   events [PORT]                                         8080; 0 asks for a free one
//   curl -N http://localhost:8080/events                  in one terminal, or / in a browser
//   curl -d "good morning" http://localhost:8080/say      in another
//
// A client that was away comes back with Last-Event-ID and is told what it missed: the browser does
// that by itself.
#include <atomic>
#include <cstdlib>
#include <iostream>
#include <string>

#include <sluice/sluice.hpp>

namespace {

constexpr const char* kPage = R"(<!doctype html><title>Events</title>
<p><input id="line" placeholder="say something"></p><pre id="lines"></pre>
<script>
new EventSource("/events").addEventListener("line", (event) =>
  document.getElementById("lines").append(event.lastEventId + ": " + event.data + "\n"));
document.getElementById("line").addEventListener("change", (event) =>
  fetch("/say", { method: "POST", body: event.target.value }));
</script>
)";

}  // namespace

int main(int argc, char** argv) {
  sluice::Server server;
  server.port = static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 8080);
  sluice::EventChannel channel({.history = 100});
  std::atomic<unsigned> lines{0};

  server.on_http_request = [&](sluice::Connection, const sluice::HttpRequest& request,
                               sluice::HttpResponse& response) {
    if (request.document() == "/events") {
      channel.subscribe(response.event_stream(), sluice::last_event_id(request));
    } else if (request.document() == "/say") {
      const std::string id = std::to_string(++lines);
      channel.send({.event = "line", .id = id, .data = request.body().text()});
      response.response_no(204);
    } else if (request.document() == "/") {
      response.content_type("text/html; charset=UTF-8").content_text(kPage);
    } else {
      response.response_no(404);
    }
  };

  server.on_startup = [&] {
    std::cout << "listening on http://localhost:" << server.bound_port() << "/" << std::endl;
  };
  return server.run();
}
