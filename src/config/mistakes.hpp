// config/mistakes.hpp - what is wrong with a file, as it is collected.
//
// Layer: config.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "config/places.hpp"
#include "config/read.hpp"

namespace sluice::config {

inline constexpr std::size_t kMostQuoted = 64;

// Of what a file says, in a message: short, and in quotes.
std::string quoted(std::string_view text);

class Mistakes {
 public:
  void add(Place at, std::string key, std::string what);
  bool empty() const { return list_.empty(); }
  // In the order of the file; the first kMostMistakes.
  void tell(Reading& reading) &&;

 private:
  std::vector<Mistake> list_;
};

}  // namespace sluice::config
