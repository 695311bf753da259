// config/nearest.hpp - what a misspelt word may have meant.
//
// Layer: config.
#pragma once

#include <span>
#include <string_view>

namespace sluice::config {

// The candidate that takes the fewest insertions, deletions, replacements and swaps of neighbours
// to become `word`; empty when all take more than a third of the word's letters (but at least one).
// A view into the candidates. Words over 64 bytes are like nothing.
std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates);

}  // namespace sluice::config
