// bench/sluice_bench_server.cpp - our server with the answers that all servers of bench/compare
// give.
//
//   sluice_bench_server --port P [--engine uring|epoll] [--shards N] [--files DIR]
//                       [--dispatch inline|pool] [--pool N] [--queue N] [--mode classic|high_perf]
//                       [--accepts N] [--inline-completions on|off]
//                       [--basic yescrypt|argon2id] [--protect PREFIX] [--forward URL]
//                       [--deflate on|off] [--decode on|off] [--limit BYTES]
//                       [--cert FILE --key FILE]
//
// It sets documented properties only and switches nothing off: limits, timeouts and budgets are the
// defaults, except that an upload may be 1 GiB. With --basic the user `bench` comes in by basic
// authentication, with the password `bench`; --protect says below which prefix one has to. With
// --cert the port speaks TLS; ALPN and HTTP/2 are on, as ever. --limit is that of messages and of
// bodies, --decode undoes the content coding of requests.
//
//   /         "Hello, World!"                   /files/   what DIR holds
//   /json     2 KiB, built for each request     /ws       WebSocket echo
//   /later    the same as /, by another thread  /sub      echo, with one subscription
//   /slow     the same as /, after 100 ms       /bc       every message to all
//   /upload   POST; the body is streamed and dropped      /to/   with --forward: what URL answers
#include <sluice/sluice.hpp>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "answers.hpp"
#include "crypto/password.hpp"

namespace {

// Answers from a thread of its own: what a handler does that has to ask somebody else first.
class Answerer {
 public:
  void add(sluice::Reply reply) {
    {
      std::lock_guard lock(mutex_);
      waiting_.push_back(std::move(reply));
    }
    added_.notify_one();
  }

 private:
  void run(const std::stop_token& stop) {
    std::vector<sluice::Reply> taken;
    while (!stop.stop_requested()) {
      {
        std::unique_lock lock(mutex_);
        added_.wait(lock, stop, [this] { return !waiting_.empty(); });
        taken.swap(waiting_);
      }
      for (sluice::Reply& reply : taken) {
        reply.content_text(answers::kHello);
        (void)reply.send();  // a client that has left meanwhile needs no answer
      }
      taken.clear();
    }
  }

  std::mutex mutex_;
  std::condition_variable_any added_;
  std::vector<sluice::Reply> waiting_;
  std::jthread thread_{[this](const std::stop_token& stop) { run(stop); }};  // ends first
};

struct Setup {
  sluice::Server& server;
  std::string files = {};
};

bool add_user(sluice::Authentication& authentication, const std::string& algorithm) {
  using sluice::crypto::PasswordAlgorithm;
  const auto hash = sluice::crypto::hash_password(
      "bench", algorithm == "argon2id" ? PasswordAlgorithm::argon2id : PasswordAlgorithm::yescrypt);
  authentication.enabled = authentication.basic.enabled = true;
  return hash && authentication.users.add("bench", *hash);
}

// One option and its value. False: there is no such option.
bool apply(Setup& setup, std::string_view option, const std::string& value) {
  sluice::Server& server = setup.server;
  const auto number = std::uint32_t(std::strtoul(value.c_str(), nullptr, 10));
  if (option == "--port") {
    server.port = std::uint16_t(number);
  } else if (option == "--engine") {
    server.engine = value == "epoll" ? sluice::EngineKind::epoll : sluice::EngineKind::uring;
  } else if (option == "--shards") {
    server.shards = number;
  } else if (option == "--files") {
    setup.files = value;
  } else if (option == "--dispatch") {
    server.dispatch = value == "pool" ? sluice::Dispatch::thread_pool : sluice::Dispatch::inline_;
  } else if (option == "--pool") {
    server.thread_pool_size = number;
  } else if (option == "--queue") {
    server.fine_tune.queue_length = number;
  } else if (option == "--mode") {
    server.fine_tune.operating_mode =
        value == "classic" ? sluice::OperatingMode::classic : sluice::OperatingMode::high_perf;
  } else if (option == "--accepts") {
    server.fine_tune.high_perf_accepts_per_worker = number;
  } else if (option == "--inline-completions") {
    server.fine_tune.inline_completions = value == "on";
  } else if (option == "--basic") {
    return add_user(server.authentication, value);
  } else if (option == "--forward") {
    return bool(server.forward("/to/", {.upstreams = {value}}));
  } else if (option == "--deflate") {
    server.extensions.permessage_deflate.enabled = value == "on";
  } else if (option == "--decode") {
    server.content_coding.decode_requests = value == "on";
  } else if (option == "--limit") {
    server.limits.message_bytes = server.limits.body_bytes = number;
  } else if (option == "--cert") {
    server.ssl_options.certificate_file = value;
  } else if (option == "--key") {
    server.ssl_options.private_key_file = value;
  } else if (option == "--protect") {
    server.authentication.paths.push_back(value);
  } else {
    return false;
  }
  return true;
}

void hello(sluice::Connection, const sluice::HttpRequest&, sluice::HttpResponse& response) {
  response.content_text(answers::kHello);
}

bool add_requests(sluice::Server& server, Answerer& answerer) {
  server.on_http_request = hello;
  auto json = server.route(
      "GET", "/json",
      [](sluice::Connection, const sluice::HttpRequest&, sluice::HttpResponse& response) {
        response.content_type("application/json").content_text(answers::json());
      });
  auto later =
      server.route("GET", "/later",
                   [&answerer](sluice::Connection, const sluice::HttpRequest&,
                               sluice::HttpResponse& response) { answerer.add(response.defer()); });
  auto slow = server.route(
      "GET", "/slow",
      [](sluice::Connection, const sluice::HttpRequest&, sluice::HttpResponse& response) {
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
        response.content_text(answers::kHello);
      });
  auto upload = server.route(
      "POST", "/upload",
      [](sluice::Connection, const sluice::HttpRequest& request, sluice::HttpResponse& response) {
        auto reply = std::make_shared<sluice::Reply>(response.defer());
        request.body().on_data([reply](sluice::Bytes, bool last) {
          if (last) (void)reply->content_text(answers::kHello).send();
        });
      },
      {.body_mode = sluice::BodyMode::stream, .body_bytes = std::uint64_t(1) << 30});
  return json && later && slow && upload;
}

bool add_websockets(sluice::Server& server) {
  sluice::WebSocketHandlers echo;
  echo.on_message = [](sluice::Connection c, std::string_view text) { c.write_data(text); };
  echo.on_binary = [](sluice::Connection c, sluice::Bytes bytes) { c.write_data(bytes); };
  sluice::WebSocketHandlers subscribed = echo;
  subscribed.on_connect = [](sluice::Connection c) { c.subscribe("one"); };
  sluice::WebSocketHandlers all;
  all.on_connect = [](sluice::Connection c) { c.subscribe("all"); };
  all.on_message = [&server](sluice::Connection, std::string_view text) {
    server.broadcast(text, {.channel = "all"});
  };
  all.on_binary = [&server](sluice::Connection, sluice::Bytes bytes) {
    server.broadcast(bytes, {.channel = "all"});
  };
  return server.websocket("/ws", std::move(echo)) &&
         server.websocket("/sub", std::move(subscribed)) && server.websocket("/bc", std::move(all));
}

}  // namespace

int main(int argc, char** argv) {
  Answerer answerer;  // outlives the server, whose handlers hand replies to it
  sluice::Server server;
  server.host = "127.0.0.1";
  server.shards = 1;
  server.fine_tune.queue_length = 4096;
  Setup setup{server};
  for (int i = 1; i < argc; i += 2) {
    if (i + 1 == argc || !apply(setup, argv[i], argv[i + 1])) {
      std::fprintf(stderr, "sluice_bench_server: unknown option %s, or no value\n", argv[i]);
      return 2;
    }
  }
  if (!server.ssl_options.certificate_file.empty()) {
    server.bindings.add("https://127.0.0.1:" + std::to_string(server.port) + "/");
  }
  if (!add_requests(server, answerer) || !add_websockets(server)) return 1;
  if (!setup.files.empty() && !server.files("/files/", setup.files)) return 1;
  server.on_startup = [&] {
    std::printf("listening on port %u with %s\n", unsigned(server.bound_port()),
                server.engine_name().c_str());
    std::fflush(stdout);
  };
  return server.run();
}
