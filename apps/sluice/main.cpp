// apps/sluice/main.cpp - the command line: reads it, and hands what it says to serve().
//
// Layer: apps. A command line that cannot be meant ends with one line on standard error and exit
// code 2.
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <sluice/version.hpp>

#include "sluice/serve.hpp"

namespace {

using sluice::app::ServeOptions;

constexpr const char* footer =
    "With no option, `sluice serve` shows the demo site on http://127.0.0.1:8080/.\n"
    "Exit codes: 0 stopped and drained, 1 runtime error, 2 usage error. Manual: man sluice";

// What CLI11 fills in, before it has been judged and translated.
struct Words {
  ServeOptions options;
  int port = 8080;
  unsigned shards = 0;
  std::string engine = "auto", mode = "high-perf";
};

CLI::App* add_serve(CLI::App& app, Words& words) {
  ServeOptions& options = words.options;
  CLI::App* serve = app.add_subcommand("serve", "Serve a folder, or the demo site");
  CLI::Option* root =
      serve->add_option("--root", options.root, "Serve the files of this folder")->type_name("DIR");
  serve->add_flag("--list", options.list, "List folders that have no index.html")->needs(root);
  serve
      ->add_flag("--follow-symlinks", options.follow_symlinks,
                 "Let symbolic links lead out of the folder")
      ->needs(root);
  CLI::Option* listen =
      serve
          ->add_option("--listen", options.listen,
                       "Listen on this prefix, http://HOST:PORT/; may be given several times")
          ->type_name("URL")
          ->allow_extra_args(false);
  serve
      ->add_option("--port", words.port,
                   "Listen on this port of the loopback addresses [8080]; 0 for a free one")
      ->type_name("N")
      ->check(CLI::Range(0, 65535))
      ->excludes(listen);
  serve->add_option("--engine", words.engine, "auto, uring or epoll [auto]")
      ->type_name("NAME")
      ->check(CLI::IsMember({"auto", "uring", "epoll"}));
  serve->add_option("--shards", words.shards, "Threads that serve [one per allowed CPU]")
      ->type_name("N")
      ->check(CLI::Range(1, 1024));
  serve->add_option("--mode", words.mode, "classic or high-perf [high-perf]")
      ->type_name("NAME")
      ->check(CLI::IsMember({"classic", "high-perf"}));
  serve
      ->add_option("--echo", options.echo,
                   "Answer WebSocket messages and POST bodies on PATH with themselves")
      ->type_name("PATH");
  serve
      ->add_option("--broadcast", options.broadcast,
                   "Send each WebSocket message on PATH to every WebSocket on PATH")
      ->type_name("PATH");
  serve->add_flag("--quiet", options.quiet, "Print only errors that end the program");
  return serve;
}

ServeOptions translate(const Words& words) {
  ServeOptions options = words.options;
  options.port = static_cast<std::uint16_t>(words.port);
  options.shards = words.shards;
  if (words.engine == "uring") options.engine = sluice::EngineKind::uring;
  if (words.engine == "epoll") options.engine = sluice::EngineKind::epoll;
  if (words.mode == "classic") options.mode = sluice::OperatingMode::classic;
  return options;
}

// What CLI11 cannot see; empty when all is well.
std::string usage_error(const CLI::App& serve, const ServeOptions& options) {
  if (serve.count("--root") > 0 && options.root.empty()) {
    return "--root needs the name of a folder";
  }
  if (serve.count("--echo") > 0 && !options.echo.starts_with('/')) {
    return "--echo needs a path that begins with /, for example --echo /echo";
  }
  if (serve.count("--broadcast") > 0 && !options.broadcast.starts_with('/')) {
    return "--broadcast needs a path that begins with /, for example --broadcast /all";
  }
  if (!options.echo.empty() && options.echo == options.broadcast) {
    return "--echo and --broadcast need two different paths";
  }
  return {};
}

int complain(std::string_view what) {
  fmt::print(stderr, "sluice: {} (see sluice serve --help)\n", what);
  return sluice::app::exit_usage;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Sluice, an HTTP and WebSocket server", "sluice");
  app.set_version_flag("--version", "sluice " SLUICE_VERSION);
  app.footer(footer);
  app.require_subcommand(1);
  Words words;
  CLI::App* serve = add_serve(app, words);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    if (serve->count("--listen") > 0 && serve->count("--port") > 0) {
      return complain("--listen and --port exclude each other: write the port into the URL");
    }
    return complain(error.what());
  }
  const ServeOptions options = translate(words);
  if (const std::string wrong = usage_error(*serve, options); !wrong.empty()) {
    return complain(wrong);
  }
  return sluice::app::serve(options);
}
