// apps/sluice/options.hpp - what the command line asks `sluice serve`, `passwd` and `keys` to do.
//
// Layer: apps. Plain values, made by main.cpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <sluice/settings.hpp>

namespace sluice::app {

// Exit codes of the program, as its manual page has them.
inline constexpr int exit_drained = 0;
inline constexpr int exit_runtime = 1;
inline constexpr int exit_usage = 2;

// What is absent is as the configuration file has it, or else the default.
struct ServeOptions {
  std::string config;         // a configuration file, or empty
  bool check_config = false;  // only say whether it is right
  std::optional<std::string> root;
  bool list = false;                // a folder without index.html answers a list of its entries
  bool follow_symlinks = false;     // symlinks may lead out of the root
  std::vector<std::string> listen;  // prefixes; empty: not given
  std::optional<std::uint16_t> port;
  std::optional<EngineKind> engine;
  std::optional<std::uint32_t> shards;
  std::optional<OperatingMode> mode;
  std::optional<std::string> echo, broadcast;  // paths
  bool no_http2 = false;                       // HTTP/1.1 only
  bool deflate = false;                        // WebSocket messages may be compressed
  // With one of these the server listens with https.
  bool tls_dev = false;                  // a certificate that is made on the spot
  std::vector<std::string> certs, keys;  // files; no keys: they are in the files of `certs`
  std::string client_ca;                 // a file: clients must show a certificate; empty: no
  bool quiet = false;                    // print only what ends the program

  bool has_tls() const { return tls_dev || !certs.empty() || !client_ca.empty(); }
};

struct PasswdOptions {
  std::string file, user;
  std::string algorithm;  // empty: yescrypt, for Digest SHA-256
  bool digest = false;    // a line for Digest, in `realm`
  std::string realm;
  bool from_stdin = false;  // else from the terminal
};

struct KeysOptions {
  enum class Verb { issue, list, revoke, rotate };
  Verb verb = Verb::list;
  std::string store;
  std::string secret;  // the file of the store's secret; empty: beside the store
  std::string id;      // revoke, rotate
  std::string owner;   // issue; list: empty for all
  std::string prefix;  // issue; empty: slk
  std::vector<std::string> scopes, allow;
  std::string rate, expires;  // as they are written; empty: none, never
  std::string grace = "24h";  // rotate
  bool json = false;          // list
};

}  // namespace sluice::app
