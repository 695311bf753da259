// apps/sluice/serve.cpp - see serve.hpp.
#include "sluice/serve.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include <sluice/server.hpp>
#include <sluice/version.hpp>

#include "sluice/demo.hpp"
#include "sluice/endpoints.hpp"
#include "sluice/stop_signals.hpp"

namespace sluice::app {
namespace {

void complain(std::string_view what) { fmt::print(stderr, "sluice: {}\n", what); }

// What went wrong, and what to do about it in terms of this program's options.
std::string sentence(const Error& error) {
  switch (error.code) {
    case Errc::address_in_use:
      return error.detail + " (--port N)";
    case Errc::address_not_available:
      return error.detail + "; http://*:PORT/ stands for all it has";
    case Errc::bad_prefix:
      return "--listen " + error.detail;
    case Errc::invalid_argument:
      return error.detail + "; --echo and --broadcast need a path that nothing else has";
    case Errc::unavailable:
      return error.message() + "; --engine auto takes what there is";
    case Errc::permission_denied:
    case Errc::not_found:
    case Errc::io_failed:
      return error.detail.empty() ? error.message() : error.detail;
    default:
      return error.message();
  }
}

int exit_code(Errc code) {
  const bool usage =
      code == Errc::bad_prefix || code == Errc::bad_setting || code == Errc::invalid_argument;
  return usage ? exit_usage : exit_runtime;
}

int fail(const Error& error) {
  complain(sentence(error));
  return exit_code(error.code);
}

// Why `folder` cannot be served; empty when it can.
std::string folder_problem(const std::string& folder) {
  std::error_code failed;
  const auto status = std::filesystem::status(folder, failed);
  if (!std::filesystem::exists(status)) {
    return fmt::format("there is no folder {}: give --root one that exists", folder);
  }
  if (!std::filesystem::is_directory(status)) {
    return fmt::format("{} is no folder: give --root a folder", folder);
  }
  if (access(folder.c_str(), R_OK | X_OK) != 0) {
    return fmt::format("{} may not be read by this user: change its permissions or choose another",
                       folder);
  }
  return {};
}

void apply(const ServeOptions& options, Server& server) {
  server.port = options.port;
  for (std::string prefix : options.listen) {
    const auto authority = prefix.find("://");
    if (authority != std::string::npos && prefix.find('/', authority + 3) == std::string::npos) {
      prefix += '/';
    }
    server.bindings.add(std::move(prefix));
  }
  server.engine = options.engine;
  server.shards = options.shards;
  server.fine_tune.operating_mode = options.mode;
  server.on_log = [quiet = options.quiet](LogLevel level, Errc, std::string_view message) {
    if (quiet || level < LogLevel::warning) return;
    std::string line(message);  // may quote what a peer sent: it must stay one line
    for (char& c : line) {
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
    }
    complain(fmt::format("{}{}", level == LogLevel::warning ? "warning: " : "", line));
  };
}

// A prefix as something to click on: `localhost`, `+` and `*` become an address of this machine.
std::string browser_url(std::string_view prefix) {
  static constexpr std::string_view scheme = "http://";
  const auto colon = prefix.rfind(':');
  if (!prefix.starts_with(scheme) || colon == std::string_view::npos || colon < scheme.size()) {
    return std::string(prefix);
  }
  const std::string_view host = prefix.substr(scheme.size(), colon - scheme.size());
  const bool all = host == "+" || host == "*" || host == "0.0.0.0" || host == "[::]";
  if (!all && host != "localhost") return std::string(prefix);
  return fmt::format("{}127.0.0.1{}{}", scheme, prefix.substr(colon),
                     all ? "   (and every other address of this machine)" : "");
}

void print_start(const ServeOptions& options, const Server& server) {
  fmt::print("sluice {} serves {}\n", SLUICE_VERSION,
             options.root.empty() ? "the demo site" : options.root);
  for (const std::string& prefix : server.bound_prefixes()) {
    fmt::print("  open    {}\n", browser_url(prefix));
  }
  fmt::print("  engine  {}: {}\n", server.engine_name(), server.engine_reason());
  fmt::print("  shards  {}, {}\n", server.shard_count(),
             options.mode == OperatingMode::classic ? "classic" : "high-perf");
  fmt::print("  stop    Ctrl-C\n");
  std::fflush(stdout);
}

Result<void> add_routes(const ServeOptions& options, Server& server, std::optional<Demo>& demo) {
  if (!options.echo.empty()) {
    if (auto added = add_echo(server, options.echo); !added) return added;
  }
  if (!options.broadcast.empty()) {
    if (auto added = add_broadcast(server, options.broadcast); !added) return added;
  }
  if (!options.root.empty()) {
    FilesOptions files;
    files.listing = options.list;
    files.follow_symlinks_out = options.follow_symlinks;
    return server.files("/", options.root, files);
  }
  demo.emplace(server);
  return demo->add_routes();
}

}  // namespace

int serve(const ServeOptions& options) {
  if (!options.root.empty()) {
    if (const std::string problem = folder_problem(options.root); !problem.empty()) {
      complain(problem);
      return exit_runtime;
    }
  }
  const StopSignals signals;
  Server server;
  std::optional<Demo> demo;
  apply(options, server);
  if (auto added = add_routes(options, server, demo); !added) return fail(added.error());
  if (auto started = server.start(); !started) return fail(started.error());
  if (demo) demo->start();
  if (!options.quiet) print_start(options, server);

  signals.wait();
  if (!options.quiet) {
    fmt::print("draining for up to 10 s (Ctrl-C again stops at once)\n");
    std::fflush(stdout);
  }
  Result<void> stopped;
  signals.wait_during([&] { stopped = server.stop(); },
                      [&] {
                        if (demo) demo->remove_files();
                        std::_Exit(exit_runtime);
                      });
  return stopped ? exit_drained : fail(stopped.error());
}

}  // namespace sluice::app
