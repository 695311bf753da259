// tests/config/reading.hpp - a text of a configuration file, and what is said of it.
//
// Layer: tests.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "config/read.hpp"

namespace sluice::config {

// What a text without mistakes says.
inline Configuration good(std::string_view toml) {
  Reading reading = read(toml);
  for (const Mistake& mistake : reading.mistakes) ADD_FAILURE() << text(mistake, "f");
  return reading.configuration;
}

// The mistakes of a text, one a line.
inline std::string mistakes(std::string_view toml) {
  std::string all;
  const Reading reading = read(toml);
  for (const Mistake& mistake : reading.mistakes) all += text(mistake, "f") + "\n";
  return all + (reading.has_more ? "more\n" : "");
}

}  // namespace sluice::config
