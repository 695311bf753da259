// apps/sluice/options.hpp - what the command line asks `sluice serve` and `sluice passwd` to do.
//
// Layer: apps. Plain values, made by main.cpp.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <sluice/settings.hpp>

namespace sluice::app {

// Exit codes of the program, as its manual page has them.
inline constexpr int exit_drained = 0;
inline constexpr int exit_runtime = 1;
inline constexpr int exit_usage = 2;

struct ServeOptions {
  std::string root;                 // empty: the demo site
  bool list = false;                // a folder without index.html answers a list of its entries
  bool follow_symlinks = false;     // symlinks may lead out of the root
  std::vector<std::string> listen;  // prefixes; empty: localhost and `port`
  std::uint16_t port = 8080;
  EngineKind engine = EngineKind::automatic;
  std::uint32_t shards = 0;  // 0: one per allowed CPU
  OperatingMode mode = OperatingMode::high_perf;
  std::string echo;       // path, or empty
  std::string broadcast;  // path, or empty
  bool quiet = false;     // print only what ends the program
};

struct PasswdOptions {
  std::string file, user;
  std::string algorithm;  // empty: yescrypt, for Digest SHA-256
  bool digest = false;    // a line for Digest, in `realm`
  std::string realm;
  bool from_stdin = false;  // else from the terminal
};

}  // namespace sluice::app
