// config/read.hpp - from the text of a configuration file to a Configuration, or to everything that
// is wrong with it.
//
// TOML 1.0, over toml++, which read.cpp alone includes, with its setter.hpp. Layer: config.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/result.hpp>

#include "config/configuration.hpp"
#include "config/places.hpp"

namespace sluice::config {

inline constexpr std::size_t kMostFileBytes = 1 << 20;
inline constexpr std::size_t kMostMistakes = 20;  // that are told

struct Mistake {
  std::uint32_t line = 0, column = 0;  // from 1; 0: nowhere in particular
  std::string key;                     // limits.head_bytes; empty where there is none
  std::string what;                    // what is wrong, and what to do

  friend bool operator==(const Mistake&, const Mistake&) = default;
};

// FILE:LINE:COLUMN: KEY: WHAT, one line.
std::string text(const Mistake& mistake, std::string_view file);

// What came of a file. Only where there is no mistake may the configuration be used.
struct Reading {
  Configuration configuration;
  Places places;
  std::vector<Mistake> mistakes;  // in the order of the file, at most kMostMistakes
  bool has_more = false;          // there were more mistakes

  bool is_good() const { return mistakes.empty(); }
};

// What the file does not say has its default. Where it is no TOML at all, the first such place is
// the last mistake: what is behind it cannot be judged.
Reading read(std::string_view toml);

// What the file is to blame for in an error of start(), apply() or open.hpp: the key, and where it
// stands. Nothing: that is not in the file. `configuration` is what the server was given.
std::optional<Mistake> mistake_of(const Error& error, const Reading& reading);

// Errors, in words: not_found, permission_denied, io_failed (a folder; over kMostFileBytes).
Result<Reading> read_file(const std::string& path);

}  // namespace sluice::config
