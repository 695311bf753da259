// config/mistakes.cpp - see mistakes.hpp.
//
// Layer: config.
#include "config/mistakes.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

namespace sluice::config {
namespace {

// Of those that are found; the first kMostMistakes are told.
constexpr std::size_t kMostFound = 1000;
constexpr std::size_t kMostText = 400;

// It must stay one line, and not a long one.
std::string clean(std::string text) {
  if (text.size() > kMostText) text.resize(kMostText);
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
  }
  return text;
}

}  // namespace

std::string quoted(std::string_view text) {
  const bool cut = text.size() > kMostQuoted;
  return "\"" + std::string(text.substr(0, kMostQuoted)) + (cut ? "...\"" : "\"");
}

void Mistakes::add(Place at, std::string key, std::string what) {
  if (list_.size() >= kMostFound) return;
  list_.push_back({at.line, at.column, clean(std::move(key)), clean(std::move(what))});
}

void Mistakes::tell(Reading& reading) && {
  std::stable_sort(list_.begin(), list_.end(), [](const Mistake& a, const Mistake& b) {
    return std::tie(a.line, a.column) < std::tie(b.line, b.column);
  });
  reading.has_more = list_.size() > kMostMistakes;
  if (reading.has_more) list_.resize(kMostMistakes);
  reading.mistakes = std::move(list_);
}

}  // namespace sluice::config
