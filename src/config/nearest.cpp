// config/nearest.cpp - see nearest.hpp.
//
// Layer: config.
#include "config/nearest.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

namespace sluice::config {
namespace {

constexpr std::size_t kMostBytes = 64;
using Row = std::array<std::size_t, kMostBytes + 1>;

// Optimal string alignment: three rows of the table are enough.
std::size_t distance(std::string_view a, std::string_view b) {
  Row before_last{}, last{}, row{};
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, replaced});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before_last[j - 2] + 1);
      }
    }
    before_last = std::exchange(last, row);
  }
  return last[b.size()];
}

}  // namespace

std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates) {
  if (word.size() > kMostBytes) return {};
  std::string_view found;
  std::size_t least = std::max<std::size_t>(1, word.size() / 3) + 1;
  for (const std::string_view candidate : candidates) {
    if (candidate.size() > kMostBytes) continue;
    if (const std::size_t steps = distance(word, candidate); steps < least) {
      least = steps;
      found = candidate;
    }
  }
  return found;
}

}  // namespace sluice::config
