// apps/sluice/demo.cpp - see demo.hpp.
#include "sluice/demo.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <string_view>
#include <system_error>

#include <sluice/version.hpp>

namespace sluice::app {
namespace {

constexpr std::uint64_t large_file_bytes = 64 << 20;
constexpr std::string_view live_channel = "live";

// Installed: ../share/sluice/site from the program's folder. In a build tree: where the source is.
Result<std::string> find_site() {
  std::error_code failed;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", failed);
  const std::string candidates[] = {
      failed ? "" : (program.parent_path().parent_path() / "share/sluice/site").string(),
      SLUICE_SOURCE_SITE,
  };
  for (const std::string& folder : candidates) {
    if (!folder.empty() && std::filesystem::exists(folder + "/index.html", failed)) return folder;
  }
  return Error(Errc::not_found,
               fmt::format("the demo site is neither in {} nor in {}; install Sluice again, or "
                           "serve a folder of yours with --root",
                           candidates[0], candidates[1]));
}

std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
  }
  return out + '"';
}

}  // namespace

Result<void> Demo::add_routes() {
  auto site = find_site();
  if (!site) return site.error();
  auto large_file = LargeFile::create(large_file_bytes);
  if (!large_file) return large_file.error();
  large_file_ = std::move(large_file).value();

  if (auto added = chat_.add("/chat"); !added) return added;
  if (auto added = add_live(); !added) return added;
  if (auto added = add_counters(); !added) return added;
  auto added = server_.route("GET", "/download/large.bin",
                             [this](Connection, const HttpRequest&, HttpResponse& response) {
                               response.file_name(large_file_->path());
                             });
  if (!added) return added;
  FilesOptions files;
  files.cache_control = "no-cache";  // asked again each time, answered with 304
  return server_.files("/", *site, files);
}

Result<void> Demo::add_counters() {
  return server_.route("GET", "/api/counters",
                       [this](Connection, const HttpRequest&, HttpResponse& response) {
                         response.content_type("application/json")
                             .cache_control("no-store")
                             .content_text(counters_json());
                       });
}

Result<void> Demo::add_live() {
  WebSocketHandlers handlers;
  handlers.on_connect = [this](Connection c) {
    ++listeners_;
    c.subscribe(live_channel);
    c.write_data(counters_json());
  };
  handlers.on_message = [](Connection c, std::string_view) { c.close(1008, "send nothing here"); };
  handlers.on_binary = [](Connection c, Bytes) { c.close(1008, "send nothing here"); };
  handlers.on_disconnect = [this](Connection, std::uint16_t) { --listeners_; };
  return server_.websocket("/live", std::move(handlers));
}

void Demo::start() {
  ticker_ = std::jthread([this](std::stop_token stop) {
    std::unique_lock lock(mutex_);
    while (!stop.stop_requested()) {
      wake_.wait_for(lock, stop, std::chrono::seconds(1), [] { return false; });
      if (listeners_ > 0) server_.broadcast(counters_json(), {.channel = live_channel});
    }
  });
}

void Demo::remove_files() const noexcept {
  if (large_file_) large_file_->remove();
}

std::string Demo::counters_json() const {
  const Counters now = server_.counters();
  const std::chrono::duration<double> uptime = std::chrono::steady_clock::now() - started_;
  const bool classic = server_.fine_tune.operating_mode == OperatingMode::classic;
  return fmt::format(
      "{{\"version\":{},\"engine\":{},\"engine_reason\":{},\"shards\":{},\"mode\":\"{}\","
      "\"uptime\":{:.1f},\"connections\":{},\"websockets\":{},\"accepted\":{},\"requests\":{},"
      "\"rejected\":{},\"messages_received\":{},\"messages_sent\":{},\"bytes_received\":{},"
      "\"bytes_sent\":{}}}",
      json_string(SLUICE_VERSION), json_string(server_.engine_name()),
      json_string(server_.engine_reason()), server_.shard_count(),
      classic ? "classic" : "high-perf", uptime.count(), now.connections, now.websockets,
      now.accepted, now.requests, now.rejected, now.messages_received, now.messages_sent,
      now.bytes_received, now.bytes_sent);
}

}  // namespace sluice::app
