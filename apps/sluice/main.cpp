// apps/sluice/main.cpp - the command line: reads it, and hands what it says to serve(), passwd() or
// keys().
//
// Layer: apps. A command line that cannot be meant ends with one line on standard error and exit
// code 2.
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

#include <sluice/version.hpp>

#include "sluice/keys.hpp"
#include "sluice/passwd.hpp"
#include "sluice/serve.hpp"

namespace {

using sluice::app::KeysOptions;
using sluice::app::PasswdOptions;
using sluice::app::ServeOptions;

constexpr const char* help =
    R"(Sluice, an HTTP and WebSocket server

Usage: sluice serve [OPTION]...
       sluice passwd FILE USER [OPTION]...
       sluice keys issue --store FILE --owner NAME [OPTION]...
       sluice keys list --store FILE [--owner NAME] [--json]
       sluice keys revoke --store FILE ID
       sluice keys rotate --store FILE ID [--grace SPAN]
       sluice --version | --help

Options:
  --config FILE       Read settings from a file (man sluice.toml); other options override it
  --check-config      Say what is wrong with the file of --config, and serve nothing
  --root DIR          Serve the files of a folder; without it, the demo site
  --list              List folders that have no index.html (with --root)
  --follow-symlinks   Let symbolic links lead out of the folder (with --root)
  --listen URL        Listen on a prefix, http[s]://HOST:PORT/PATH; may be given several times
  --port N            Listen on a port of the loopback addresses [8080]; 0 for a free one
  --engine NAME       auto, uring or epoll [auto]
  --shards N          How many threads serve, 1 to 1024 [one per allowed CPU]
  --mode NAME         classic or high-perf [high-perf]
  --echo PATH         Answer WebSocket messages and POST bodies on PATH with themselves
  --broadcast PATH    Send each WebSocket message on PATH to every WebSocket on PATH
  --deflate           Compress WebSocket messages for clients that offer it
  --no-http2          Speak HTTP/1.1 only
  --cert FILE         Listen with https; the certificate and its chain, PEM. May be given several
                      times: clients get the one for the name they ask for, else the first
  --key FILE          The private key of the --cert of the same place [it is in that file]
  --tls-dev           Listen with https and a certificate made on the spot, which nobody trusts
  --client-ca FILE    Clients must show a certificate that one of this file has issued, PEM
  --quiet             Print only errors that end the program
  -h, --help          Print this and exit

Of `sluice passwd`, which puts a user into a file:
  --algorithm NAME    yescrypt or argon2id [yescrypt]; with --digest SHA-256 or MD5 [SHA-256]
  --digest            Write USER:REALM:ALGORITHM:HA1 for Digest instead of USER:HASH
  --realm REALM       The realm (with --digest)
  --stdin             Read the password from the first line of standard input, not the terminal

Of `sluice keys`, whose `issue` and `rotate` print the new key, once:
  --store FILE        The SQLite file that API keys are kept in; `issue` makes it
  --secret FILE       Where the store's secret is [the store's name and .secret]
  --owner NAME        Whom the key is for; with `list`, whose keys to print
  --scope SCOPE       What the key is good for (read, orders:*); may be given several times
  --allow NETWORK     Where it may be used from (192.0.2.0/24); may be given several times
  --rate N/PERIOD     How often it may be used (100/60s, 5/s)
  --expires WHEN      90d, 24h, 30m, 15s, a date 2027-01-31, or never [never]
  --prefix PREFIX     What the key begins with [slk]
  --grace SPAN        How long the old key of a rotation is still good [24h]
  --json              Print the list as JSON

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
  KeysOptions keys;
};

CLI::App* add_serve(CLI::App& app, Words& words) {
  ServeOptions& options = words.options;
  CLI::App* serve = app.add_subcommand("serve");
  CLI::Option* config = serve->add_option("--config", options.config);
  serve->add_flag("--check-config", options.check_config)->needs(config);
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
  serve->add_flag("--deflate", options.deflate);
  serve->add_flag("--no-http2", options.no_http2);
  serve->add_option("--cert", options.certs)->allow_extra_args(false);
  serve->add_option("--key", options.keys)->allow_extra_args(false);
  serve->add_flag("--tls-dev", options.tls_dev);
  serve->add_option("--client-ca", options.client_ca);
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

CLI::App* add_keys(CLI::App& app, KeysOptions& options) {
  using Verb = KeysOptions::Verb;
  CLI::App* keys = app.add_subcommand("keys");
  keys->require_subcommand(1);
  const auto add = [&](const char* name, Verb verb) {
    CLI::App* const one = keys->add_subcommand(name);
    one->add_option("--store", options.store)->required();
    one->add_option("--secret", options.secret);
    one->callback([&options, verb] { options.verb = verb; });
    return one;
  };
  CLI::App* const issue = add("issue", Verb::issue);
  issue->add_option("--owner", options.owner)->required();
  issue->add_option("--scope", options.scopes)->allow_extra_args(false);
  issue->add_option("--allow", options.allow)->allow_extra_args(false);
  issue->add_option("--rate", options.rate);
  issue->add_option("--expires", options.expires);
  issue->add_option("--prefix", options.prefix);
  CLI::App* const list = add("list", Verb::list);
  list->add_option("--owner", options.owner);
  list->add_flag("--json", options.json);
  add("revoke", Verb::revoke)->add_option("ID", options.id)->required();
  CLI::App* const rotate = add("rotate", Verb::rotate);
  rotate->add_option("ID", options.id)->required();
  rotate->add_option("--grace", options.grace);
  return keys;
}

ServeOptions translate(const Words& words, const CLI::App& serve) {
  using sluice::EngineKind;
  using sluice::OperatingMode;
  ServeOptions options = words.options;
  if (serve.count("--port") > 0) options.port = static_cast<std::uint16_t>(words.port);
  if (serve.count("--shards") > 0) options.shards = words.shards;
  if (serve.count("--engine") > 0) {
    options.engine = words.engine == "uring"   ? EngineKind::uring
                     : words.engine == "epoll" ? EngineKind::epoll
                                               : EngineKind::automatic;
  }
  if (serve.count("--mode") > 0) {
    options.mode = words.mode == "classic" ? OperatingMode::classic : OperatingMode::high_perf;
  }
  return options;
}

// What CLI11 cannot see; empty when all is well.
std::string usage_error(const CLI::App& serve, const ServeOptions& options) {
  const auto bad_path = [](const std::optional<std::string>& path) {
    return path && !path->starts_with('/');
  };
  if (serve.count("--listen") > 0 && serve.count("--port") > 0) {
    return "--listen and --port exclude each other: write the port into the URL";
  }
  if (serve.count("--config") > 0 && options.config.empty()) {
    return "--config needs the name of a file";
  }
  if (!options.keys.empty() && options.keys.size() != options.certs.size()) {
    return "--cert and --key come in pairs: as many of the one as of the other";
  }
  if (!options.client_ca.empty() && options.certs.empty() && !options.tls_dev &&
      options.config.empty()) {
    return "--client-ca needs a certificate of the server, too: --cert FILE or --tls-dev";
  }
  const auto is_https = [](const std::string& url) { return url.starts_with("https:"); };
  if (options.has_tls() && !options.listen.empty() &&
      std::none_of(options.listen.begin(), options.listen.end(), is_https)) {
    return "with --cert, --tls-dev or --client-ca a --listen must begin with https://";
  }
  if (options.root && options.root->empty()) return "--root needs the name of a folder";
  if (bad_path(options.echo)) {
    return "--echo needs a path that begins with /, for example --echo /echo";
  }
  if (bad_path(options.broadcast)) {
    return "--broadcast needs a path that begins with /, for example --broadcast /all";
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
  if (words.starts_with("ID")) return "say which key: ID, as sluice keys list has it";
  if (error.get_name() == "RequiredError" && !words.starts_with("--")) {
    return "say what to do: sluice serve, sluice passwd, or sluice keys with issue, list, revoke "
           "or rotate";
  }
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
  const CLI::App* keys = add_keys(app, words.keys);
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
  if (keys->parsed()) return sluice::app::keys(words.keys);
  const ServeOptions options = translate(words, *serve);
  if (const std::string wrong = usage_error(*serve, options); !wrong.empty()) {
    return complain(wrong);
  }
  return sluice::app::serve(options);
}
