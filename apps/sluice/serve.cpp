// apps/sluice/serve.cpp - see serve.hpp.
#include "sluice/serve.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <sluice/server.hpp>
#include <sluice/version.hpp>

#include "api/listen.hpp"
#include "config/configuration.hpp"
#include "config/open.hpp"
#include "config/read.hpp"
#include "sluice/demo.hpp"
#include "sluice/endpoints.hpp"
#include "sluice/stop_signals.hpp"

namespace sluice::app {
namespace {

using config::Configuration;

void complain(std::string_view what) { fmt::print(stderr, "sluice: {}\n", what); }

// What went wrong, and what to do about it in terms of this program's options.
std::string sentence(const Error& error) {
  switch (error.code) {
    case Errc::address_in_use:
      return error.detail + " (--port N)";
    case Errc::address_not_available:
      return error.detail + "; http://*:PORT/ stands for all it has";
    case Errc::bad_prefix:
      return "--listen " + error.detail +
             (error.detail.ends_with('/') ? "" : ", as in http://localhost:8080/");
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

// What is to be said of a key, with its place if it stands in the file; else as it is.
std::string about(std::string_view key, std::string_view what, const ServeOptions& options,
                  const config::Reading& reading) {
  const auto place = reading.places.find(key);
  if (place == reading.places.end()) return std::string(what);
  return config::text(
      {place->second.line, place->second.column, std::string(key), std::string(what)},
      options.config);
}

// The same in terms of the options, where a certificate that they name is meant; else empty.
std::string of_certificates(const Error& error, const ServeOptions& options) {
  static constexpr std::pair<std::string_view, std::string_view> names[] = {
      {"certificate_file: ", "--cert"},
      {"private_key_file: ", "--key"},
      {"client_ca_file: ", "--client-ca"}};
  if (error.code != Errc::bad_setting) return {};
  static constexpr std::string_view kNone = " has no certificate; ";
  if (const auto at = error.detail.find(kNone);
      at != std::string::npos && options.config.empty() && !options.listen.empty()) {
    const auto url = error.detail.find('"');
    return fmt::format("--listen: {} has no certificate; give --cert and --key, or --tls-dev",
                       error.detail.substr(std::min(url, at), at - std::min(url, at)));
  }
  if (!error.detail.starts_with("ssl_options.")) return {};
  for (const auto& [member, option] : names) {
    const auto at = error.detail.find(member);
    const bool given = option == "--client-ca" ? !options.client_ca.empty()
                       : option == "--key"     ? !options.keys.empty()
                                               : !options.certs.empty();
    if (!given || at == std::string::npos || at >= error.detail.find(' ')) continue;
    return fmt::format("{}: {}", option, error.detail.substr(at + member.size()));
  }
  return {};
}

// The same in terms of the file, where it is the file's.
std::string sentence(const Error& error, const ServeOptions& options,
                     const config::Reading& reading) {
  if (std::string told = of_certificates(error, options); !told.empty()) return told;
  const bool of_addresses =
      error.code != Errc::bad_setting && (options.port || !options.listen.empty());
  if (options.config.empty() || of_addresses) return sentence(error);
  if (error.code == Errc::invalid_argument && !options.echo && !options.broadcast) {
    const bool is_echo = !reading.configuration.serve.echo.empty();
    return about(is_echo ? "serve.echo" : "serve.broadcast",
                 error.detail + "; write a path that nothing else has", options, reading);
  }
  const auto mistake = config::mistake_of(error, reading);
  return mistake ? config::text(*mistake, options.config) : sentence(error);
}

int fail(const Error& error, const ServeOptions& options, const config::Reading& reading) {
  complain(sentence(error, options, reading));
  return exit_code(error.code);
}

// Why `folder` cannot be served; empty when it can. `setting` is what names it.
std::string folder_problem(const std::string& folder, std::string_view setting) {
  std::error_code failed;
  const auto status = std::filesystem::status(folder, failed);
  if (!std::filesystem::exists(status)) {
    return fmt::format("there is no folder {}: give {} one that exists", folder, setting);
  }
  if (!std::filesystem::is_directory(status)) {
    return fmt::format("{} is no folder: give {} a folder", folder, setting);
  }
  if (access(folder.c_str(), R_OK | X_OK) != 0) {
    return fmt::format("{} may not be read by this user: change its permissions or choose another",
                       folder);
  }
  return {};
}

int tell(const config::Reading& reading, const std::string& file) {
  for (const config::Mistake& mistake : reading.mistakes) complain(config::text(mistake, file));
  if (reading.has_more) complain(fmt::format("{} has more mistakes: correct these first", file));
  return exit_usage;
}

std::string with_slash(const std::string& prefix) {
  const auto authority = prefix.find("://");
  const bool bare =
      authority != std::string::npos && prefix.find('/', authority + 3) == std::string::npos;
  return bare ? prefix + '/' : prefix;
}

// Below which paths --root is served: those of the prefixes, each once.
std::set<std::string> paths_of(const Bindings& bindings) {
  std::set<std::string> paths;
  for (const Binding& binding : bindings.list()) {
    const auto authority = binding.prefix.find("://");
    const auto path =
        authority == std::string::npos ? authority : binding.prefix.find('/', authority + 3);
    if (path == std::string::npos) continue;
    const std::string below = binding.prefix.substr(path);
    paths.insert(below.ends_with('/') ? below : below + '/');
  }
  if (paths.empty()) paths.insert("/");
  return paths;
}

bool is_https(const Binding& binding) { return binding.prefix.starts_with("https:"); }

// What --cert, --key, --tls-dev and --client-ca say.
void override_tls(const ServeOptions& options, config::ServerSettings& server) {
  if (!options.has_tls()) return;
  SslOptions& ssl = server.ssl_options;
  if (!options.certs.empty()) {
    ssl.certificate_file.clear();
    ssl.private_key_file.clear();
    ssl.ocsp_file.clear();
    ssl.hash.clear();
    ssl.certificates.clear();
    for (std::size_t i = 0; i < options.certs.size(); ++i) {
      ssl.certificates.push_back(
          {options.certs[i], options.keys.empty() ? std::string() : options.keys[i]});
    }
  }
  if (options.tls_dev) ssl.self_signed = true;
  if (!options.client_ca.empty()) {
    ssl.client_certificates = ClientCertificates::required;
    ssl.client_ca_file = options.client_ca;
  }
  if (!server.bindings.empty()) return;  // who has written them has chosen
  std::string prefix = api::binding_of(server.host, server.port).prefix;
  server.bindings.add("https" + prefix.substr(prefix.find(':')));
}

// What the command line says goes before what the file says.
void override_with(const ServeOptions& options, Configuration& configuration) {
  config::ServerSettings& server = configuration.server;
  if (options.port) {
    server.port = *options.port;
    server.bindings.clear();
  }
  if (!options.listen.empty()) {
    server.bindings.clear();
    for (const std::string& prefix : options.listen) server.bindings.add(with_slash(prefix));
  }
  override_tls(options, server);
  if (options.engine) server.engine = *options.engine;
  if (options.shards) server.shards = *options.shards;
  if (options.mode) server.fine_tune.operating_mode = *options.mode;
  if (options.root) {
    config::FilesRoot root;
    root.directory = *options.root;
    root.options.listing = options.list;
    root.options.follow_symlinks_out = options.follow_symlinks;
    configuration.files.clear();
    for (const std::string& path : paths_of(server.bindings)) {
      root.prefix = path;
      configuration.files.push_back(root);
    }
  }
  if (options.echo) configuration.serve.echo = *options.echo;
  if (options.broadcast) configuration.serve.broadcast = *options.broadcast;
  if (options.deflate) server.extensions.permessage_deflate.enabled = true;
  if (options.no_http2) server.options.http2 = false;
  if (options.quiet) configuration.serve.quiet = true;
}

// Why it cannot be served, though each value by itself is right; empty when it can.
std::string problem_of(const ServeOptions& options, const config::Reading& read) {
  const Configuration& configuration = read.configuration;
  const std::vector<Binding>& bindings = configuration.server.bindings.list();
  if (options.has_tls() && std::none_of(bindings.begin(), bindings.end(), is_https)) {
    return fmt::format("{} has no prefix that is https: write one, or give --listen https://...",
                       options.config);
  }
  for (std::size_t i = 0; i < configuration.files.size(); ++i) {
    const std::string setting = options.root ? "--root" : fmt::format("files[{}].directory", i);
    std::string problem = folder_problem(configuration.files[i].directory, setting);
    if (!problem.empty()) return options.root ? problem : about(setting, problem, options, read);
  }
  return {};
}

void apply(const Configuration& configuration, Server& server) {
  config::set(configuration.server, server);
  server.on_log = [quiet = configuration.serve.quiet](LogLevel level, Errc,
                                                      std::string_view message) {
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
  const std::string_view scheme = prefix.starts_with("https:") ? "https://" : "http://";
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

void print_start(const Configuration& configuration, const Server& server) {
  std::string served;
  std::set<std::string_view> told;
  for (const config::FilesRoot& root : configuration.files) {
    if (!told.insert(root.directory).second) continue;
    served += fmt::format("{}{}", served.empty() ? "" : ", ", root.directory);
  }
  for (const config::ForwardRoot& rule : configuration.forward) {
    const std::size_t others = rule.options.upstreams.size() - 1;
    served += fmt::format("{}{} from {}{}", served.empty() ? "" : ", ", rule.prefix,
                          rule.options.upstreams.front(),
                          others > 0 ? fmt::format(" and {} more", others) : "");
  }
  if (served.empty()) served = configuration.uploads.empty() ? "the demo site" : "no files";
  fmt::print("sluice {} serves {}\n", SLUICE_VERSION, served);
  for (const std::string& prefix : server.bound_prefixes()) {
    fmt::print("  open    {}\n", browser_url(prefix));
  }
  for (const config::UploadRoot& root : configuration.uploads) {
    fmt::print("  upload  {} to {}\n", root.prefix, root.directory);
  }
  fmt::print("  engine  {}: {}\n", server.engine_name(), server.engine_reason());
  fmt::print("  shards  {}, {}\n", server.shard_count(),
             server.fine_tune.operating_mode == OperatingMode::classic ? "classic" : "high-perf");
  fmt::print("  stop    Ctrl-C\n");
  std::fflush(stdout);
}

Result<void> add_routes(const Configuration& configuration, Server& server,
                        std::optional<Demo>& demo) {
  const config::ServeSettings& paths = configuration.serve;
  if (!paths.echo.empty()) {
    if (auto added = add_echo(server, paths.echo); !added) return added;
  }
  if (!paths.broadcast.empty()) {
    if (auto added = add_broadcast(server, paths.broadcast); !added) return added;
  }
  for (const config::FilesRoot& root : configuration.files) {
    auto added = server.files(root.prefix, root.directory, root.options);
    if (!added) return added;
  }
  for (const config::ForwardRoot& rule : configuration.forward) {
    auto added = server.forward(rule.prefix, rule.options);
    if (!added) return added;
  }
  for (const config::UploadRoot& root : configuration.uploads) {
    auto added = server.uploads(root.prefix, root.directory, root.options);
    if (!added) return added;
  }
  if (!configuration.files.empty() || !configuration.forward.empty() ||
      !configuration.uploads.empty()) {
    return {};
  }
  demo.emplace(server);
  return demo->add_routes();
}

// What the file and the options say together. Nothing: the file's mistakes have been told.
std::optional<config::Reading> read_all(const ServeOptions& options, int& exit) {
  config::Reading read;
  exit = exit_drained;
  if (!options.config.empty()) {
    auto reading = config::read_file(options.config);
    if (!reading) {
      exit = fail(reading.error());
      return {};
    }
    if (!reading->is_good()) {
      exit = tell(*reading, options.config);
      return {};
    }
    read = std::move(*reading);
  }
  override_with(options, read.configuration);
  return read;
}

// SIGHUP: what the file says now, all of it or nothing.
Result<void> change(const Configuration& next, const Configuration& running, Server& server) {
  std::shared_ptr<ApiKeyManager> keys;
  if (next.api_keys == running.api_keys) keys = server.api_key_manager;
  auto opened = config::open(next, std::move(keys));
  if (!opened) return opened.error();
  Settings settings = server;
  config::set(next.server, settings);
  config::set(*opened, settings);
  // Where nobody has been asked for a name the list may change first: nobody is refused meanwhile.
  const bool users_first = !server.authentication.enabled;
  if (users_first) config::set_users(*opened, settings);
  if (auto applied = server.apply(settings); !applied) return applied;
  if (!users_first) config::set_users(*opened, server);
  return {};
}

// SIGHUP where only the command line names them.
void read_certificates_again(const ServeOptions& options, const Configuration& running,
                             Server& server) {
  const Settings settings = server;
  if (auto applied = server.apply(settings); !applied) {
    const std::string told = of_certificates(applied.error(), options);
    complain(told.empty() ? sentence(applied.error()) : told);
    return complain("the certificates stay as they were");
  }
  if (running.serve.quiet) return;
  fmt::print("certificates: read again\n");
  std::fflush(stdout);
}

void read_again(const ServeOptions& options, Configuration& running, Server& server) {
  if (options.config.empty() && !options.has_tls()) {
    complain("SIGHUP: there is no --config to read again");
    return;
  }
  if (options.config.empty()) return read_certificates_again(options, running, server);
  int unused = 0;
  std::optional<config::Reading> read = read_all(options, unused);
  const std::string kept = options.config + ": the settings stay as they were";
  if (!read) return complain(kept);
  Configuration& next = read->configuration;
  if (next.files != running.files || next.forward != running.forward ||
      next.uploads != running.uploads || next.serve != running.serve) {
    complain(
        "[[files]], [[forward]], [[upload]] and [serve] cannot change while the server runs; "
        "restart it");
    return complain(kept);
  }
  if (auto changed = change(next, running, server); !changed) {
    complain(sentence(changed.error(), options, *read));
    return complain(kept);
  }
  running = std::move(next);
  if (!running.serve.quiet) {
    fmt::print("{}: read again\n", options.config);
    std::fflush(stdout);
  }
}

int serve(const ServeOptions& options, config::Reading& read) {
  Configuration& configuration = read.configuration;
  const bool quiet = configuration.serve.quiet;
  auto opened = config::open(configuration);
  if (!opened) return fail(opened.error(), options, read);
  const StopSignals signals;
  Server server;
  std::optional<Demo> demo;
  apply(configuration, server);
  config::set(*opened, server);
  config::set_users(*opened, server);
  if (auto added = add_routes(configuration, server, demo); !added) {
    return fail(added.error(), options, read);
  }
  if (auto started = server.start(); !started) return fail(started.error(), options, read);
  if (demo) demo->start();
  if (!quiet) print_start(configuration, server);

  signals.wait([&] { read_again(options, configuration, server); });
  if (!quiet) {
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

}  // namespace

int serve(const ServeOptions& options) {
  int exit = exit_drained;
  std::optional<config::Reading> read = read_all(options, exit);
  if (!read) return exit;
  const Configuration& configuration = read->configuration;
  const config::ServeSettings& paths = configuration.serve;
  if (!paths.echo.empty() && paths.echo == paths.broadcast) {
    const bool of_file = !options.echo && !options.broadcast;
    complain(of_file ? about("serve.broadcast",
                             "echo and broadcast need two different paths; write another one",
                             options, *read)
                     : "--echo and --broadcast need two different paths");
    return exit_usage;
  }
  if (const std::string problem = problem_of(options, *read); !problem.empty()) {
    complain(problem);
    return exit_runtime;
  }
  if (options.check_config) {
    if (auto right = config::check_files(configuration); !right) {
      return fail(right.error(), options, *read);
    }
    fmt::print("{}: no mistakes\n", options.config);
    return exit_drained;
  }
  return serve(options, *read);
}

}  // namespace sluice::app
