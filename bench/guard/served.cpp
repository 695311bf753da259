// bench/guard/served.cpp - what the measured server answers.
#include "served.hpp"

#include <stdlib.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <utility>

#include "service/auth/authenticator.hpp"
#include "world.hpp"

namespace sluice::guard {
namespace {

std::string make_folder() {
  std::string name = "/tmp/sluice-guard-XXXXXX";
  if (!::mkdtemp(name.data())) give_up("no temporary folder " + name);
  std::ofstream(name + "/1k.txt") << std::string(1024, 'f');
  // Older than the clock's grain, so that it may be remembered at once.
  std::error_code failed;
  std::filesystem::last_write_time(
      name + "/1k.txt", std::filesystem::file_time_type::clock::now() - std::chrono::hours(1),
      failed);
  return name;
}

std::shared_ptr<const core::IdCipher> plain_cipher() {
  auto cipher = std::make_shared<core::IdCipher>();
  cipher->encrypt = [](const core::IdCipher::Block& block) { return block; };
  cipher->decrypt = cipher->encrypt;
  return cipher;
}

// A list of 32 records, as a handler would build it: 2 KiB, all but a few bytes.
void answer_json(Connection, const HttpRequest&, HttpResponse& response) {
  std::string text;
  text.reserve(2048);
  text += '[';
  for (int i = 0; i < 32; ++i) {
    char digits[8];
    const char* end = std::to_chars(digits, digits + sizeof digits, 1000 + i).ptr;
    const std::string_view number(digits, std::size_t(end - digits));
    text += i == 0 ? "{\"id\":" : ",{\"id\":";
    text.append(number).append(",\"name\":\"a record of some sort\",\"open\":true}");
  }
  text += ']';
  response.content_type("application/json").content_text(std::move(text));
}

// Counts the pieces and lets them go.
void take_upload(Connection, const HttpRequest& request, HttpResponse& response) {
  RequestBody body = request.body();
  body.on_data([](Bytes, bool) {});
  response.content_text("taken");
}

void check(const Result<void>& result) {
  if (!result) give_up(result.error().message());
}

}  // namespace

Served::Served(std::uint32_t shards, service::FileService::Submit submit) : folder_(make_folder()) {
  files_ = std::make_unique<service::FileService>(shards, std::move(submit), nullptr,
                                                  http::MediaTypes());
  add_routes();
  add_websockets();
  core::SessionEvents events;
  events.on_http_request = [](Connection, const HttpRequest&, HttpResponse& response) {
    response.content_text("Hello, World!");
  };
  events.on_log = [](LogLevel, Errc, std::string_view message) {
    std::fprintf(stderr, "guard: the server says: %.*s\n", int(message.size()), message.data());
  };
  session_ = std::make_shared<core::ServerSession>(core::SessionSettings(), std::move(events),
                                                   router_, plain_cipher());
  session_->body_source = files_.get();
  cache_ = std::make_unique<service::ResponseCache>(*session_, ResponseCacheOptions(),
                                                    std::vector<CacheRule>(), shards);
  session_->response_cache = cache_.get();
  session_->dispatcher.start();
}

void Served::authenticate() {
  Authentication settings;
  settings.enabled = settings.basic.enabled = true;
  auto rules = service::make_auth_rules(settings);
  if (!rules) give_up(rules.error().message());
  // By `openssl passwd -5`: one that is verified soon, as that is not measured.
  auto users = std::make_shared<service::Users>();
  check(users->add("joe", "$5$saltsalt$gOjOtoMpVhru2uyjeJSEc/JaLQWOXMNmlOnj6T4AtC."));
  admission_->add(std::make_unique<service::Authenticator>(
      std::move(*rules),
      service::AuthenticationUsers{std::move(users), std::make_shared<service::DigestUsers>()},
      std::make_shared<const service::AuthenticationEvents>()));
  session_->set_gate(admission_);
}

void Served::bind(std::uint16_t port) {
  const Limits limits;
  auto urls = api::Urls::make(api::url_properties(limits, Timeouts()), {}, FineTune().queue_length,
                              RequestQueueOptions());
  if (!urls) give_up(urls.error().message());
  urls_ = std::move(*urls);
  auto prefix = api::parse_prefix(api::binding_of("*", port));
  if (!prefix) give_up(prefix.error().message());
  check(urls_->add({std::move(*prefix)}));
  session_->urls = urls_->urls();
}

void Served::remove_folder() const {
  ::unlink((folder_ + "/1k.txt").c_str());
  ::rmdir(folder_.c_str());
}

void Served::add_routes() {
  check(router_.add("GET", "/json", answer_json, {}));
  check(router_.add("POST", "/upload", take_upload, {BodyMode::stream, {}}));
  check(router_.add("POST", "/whole",
                    [](Connection, const HttpRequest&, HttpResponse& response) {
                      response.content_text("taken");
                    },
                    {}));
  check(router_.add("GET", "/late",
                    [this](Connection, const HttpRequest&, HttpResponse& response) {
                      response.content_text("late");
                      std::lock_guard lock(mutex_);
                      replies_.push_back(response.defer());
                    },
                    {}));
  check(router_.add("GET", "/cached/1k.txt",
                    [](Connection, const HttpRequest&, HttpResponse& response) {
                      response.content_type("text/plain").content_text(std::string(1024, 'c'));
                      response.cache(Cache::until_invalidated);
                    },
                    {}));
  auto handler = files_->directory("/f/", folder_, {});
  if (!handler) give_up(handler.error().message());
  check(router_.add_native("GET", "/f/{path...}", std::move(*handler), {}));
}

void Served::add_websockets() {
  WebSocketHandlers echo;
  echo.on_binary = [](Connection connection, Bytes bytes) {
    static_cast<void>(connection.write_data(bytes));
  };
  check(router_.add_websocket("/ws", std::move(echo)));
  WebSocketHandlers all;
  all.on_connect = [](Connection connection) { static_cast<void>(connection.subscribe("all")); };
  all.on_binary = [this](Connection, Bytes bytes) {
    session_->broadcast(ws::Opcode::binary, bytes, {"all", {}, {}, {}});
  };
  check(router_.add_websocket("/all", std::move(all)));
}

wire::Loop& Served::add(std::unique_ptr<io::Engine> engine) {
  auto index = std::uint32_t(loops_.size());
  loops_.push_back(std::make_shared<wire::Loop>(session_, index, std::move(engine)));
  loops_.back()->tie();
  session_->shards.push_back(&loops_.back()->shard());
  return *loops_.back();
}

std::deque<Reply> Served::take_replies() {
  std::lock_guard lock(mutex_);
  return std::exchange(replies_, {});
}

}  // namespace sluice::guard
