// apps/sluice/main.cpp - the command line: reads it, and hands what it says to serve() or passwd().
//
// Layer: apps. A command line that cannot be meant ends with one line on standard error and exit
// code 2.
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <sluice/version.hpp>

#include "sluice/passwd.hpp"
#include "sluice/serve.hpp"

namespace {

using sluice::app::PasswdOptions;
using sluice::app::ServeOptions;

constexpr const char* help =
    R"(Sluice, an HTTP and WebSocket server

Usage: sluice serve [OPTION]...
       sluice passwd FILE USER [OPTION]...
       sluice --version | --help

Options:
  --root DIR          Serve the files of a folder; without it, the demo site
  --list              List folders that have no index.html (with --root)
  --follow-symlinks   Let symbolic links lead out of the folder (with --root)
  --listen URL        Listen on a prefix, http://HOST:PORT/; may be given several times
  --port N            Listen on a port of the loopback addresses [8080]; 0 for a free one
  --engine NAME       auto, uring or epoll [auto]
  --shards N          How many threads serve, 1 to 1024 [one per allowed CPU]
  --mode NAME         classic or high-perf [high-perf]
  --echo PATH         Answer WebSocket messages and POST bodies on PATH with themselves
  --broadcast PATH    Send each WebSocket message on PATH to every WebSocket on PATH
  --quiet             Print only errors that end the program
  -h, --help          Print this and exit

Of `sluice passwd`, which puts a user into a file:
  --algorithm NAME    yescrypt or argon2id [yescrypt]; with --digest SHA-256 or MD5 [SHA-256]
  --digest            Write USER:REALM:ALGORITHM:HA1 for Digest instead of USER:HASH
  --realm REALM       The realm (with --digest)
  --stdin             Read the password from the first line of standard input, not the terminal

With no option, `sluice serve` shows the demo site on http://127.0.0.1:8080/.
Exit codes: 0 stopped and drained, 1 runtime error, 2 usage error. Manual: man sluice
)";

// What CLI11 fills in, before it has been judged and translated.
struct Words {
  ServeOptions options;
  int port = 8080;
  unsigned shards = 0;
  std::string engine = "auto", mode = "high-perf";
  PasswdOptions passwd;
};

CLI::App* add_serve(CLI::App& app, Words& words) {
  ServeOptions& options = words.options;
  CLI::App* serve = app.add_subcommand("serve");
  CLI::Option* root = serve->add_option("--root", options.root);
  serve->add_flag("--list", options.list)->needs(root);
  serve->add_flag("--follow-symlinks", options.follow_symlinks)->needs(root);
  serve->add_option("--listen", options.listen)->allow_extra_args(false);
  serve->add_option("--port", words.port)->check(CLI::Range(0, 65535));
  serve->add_option("--engine", words.engine)->check(CLI::IsMember({"auto", "uring", "epoll"}));
  serve->add_option("--shards", words.shards)->check(CLI::Range(1, 1024));
  serve->add_option("--mode", words.mode)->check(CLI::IsMember({"classic", "high-perf"}));
  serve->add_option("--echo", options.echo);
  serve->add_option("--broadcast", options.broadcast);
  serve->add_flag("--quiet", options.quiet);
  return serve;
}

CLI::App* add_passwd(CLI::App& app, PasswdOptions& options) {
  CLI::App* passwd = app.add_subcommand("passwd");
  passwd->add_option("FILE", options.file)->required();
  passwd->add_option("USER", options.user)->required();
  passwd->add_option("--algorithm", options.algorithm)
      ->check(CLI::IsMember({"yescrypt", "argon2id", "SHA-256", "MD5"}));
  CLI::Option* digest = passwd->add_flag("--digest", options.digest);
  CLI::Option* realm = passwd->add_option("--realm", options.realm)->needs(digest);
  digest->needs(realm);
  passwd->add_flag("--stdin", options.from_stdin);
  return passwd;
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
  const auto bad_path = [&serve](const char* option, const std::string& path) {
    return serve.count(option) > 0 && !path.starts_with('/');
  };
  if (serve.count("--listen") > 0 && serve.count("--port") > 0) {
    return "--listen and --port exclude each other: write the port into the URL";
  }
  if (serve.count("--root") > 0 && options.root.empty()) {
    return "--root needs the name of a folder";
  }
  if (bad_path("--echo", options.echo)) {
    return "--echo needs a path that begins with /, for example --echo /echo";
  }
  if (bad_path("--broadcast", options.broadcast)) {
    return "--broadcast needs a path that begins with /, for example --broadcast /all";
  }
  if (!options.echo.empty() && options.echo == options.broadcast) {
    return "--echo and --broadcast need two different paths";
  }
  return {};
}

std::string usage_error(const PasswdOptions& options) {
  const bool of_digest = options.algorithm == "SHA-256" || options.algorithm == "MD5";
  if (options.algorithm.empty() || of_digest == options.digest) return {};
  return options.digest ? "--algorithm is SHA-256 or MD5 with --digest"
                        : "--algorithm is yescrypt or argon2id without --digest";
}

// CLI11's words, without its notation for types.
std::string sentence(const CLI::ParseError& error) {
  std::string words = error.what();
  if (error.get_name() == "ArgumentMismatch") {
    return words.substr(0, words.find(':')) + " takes one value";
  }
  if (words.starts_with("FILE") || words.starts_with("USER")) {
    return "say whom to put where: sluice passwd FILE USER";
  }
  if (error.get_name() == "RequiredError") return "say what to do: sluice serve or sluice passwd";
  return words;
}

int complain(std::string_view what) {
  fmt::print(stderr, "sluice: {} (see sluice serve --help)\n", what);
  return sluice::app::exit_usage;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("", "sluice");
  app.set_help_flag("-h,--help");
  app.set_version_flag("--version", "sluice " SLUICE_VERSION);
  app.require_subcommand(1);
  Words words;
  CLI::App* serve = add_serve(app, words);
  const CLI::App* passwd = add_passwd(app, words.passwd);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    fmt::print("{}", help);
    return 0;
  } catch (const CLI::CallForVersion& version) {
    fmt::print("{}\n", version.what());
    return 0;
  } catch (const CLI::ParseError& error) {
    return complain(sentence(error));
  }
  if (passwd->parsed()) {
    if (const std::string wrong = usage_error(words.passwd); !wrong.empty()) return complain(wrong);
    return sluice::app::passwd(words.passwd);
  }
  const ServeOptions options = translate(words);
  if (const std::string wrong = usage_error(*serve, options); !wrong.empty()) {
    return complain(wrong);
  }
  return sluice::app::serve(options);
}
