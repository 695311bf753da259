// config/units.cpp - see units.hpp.
//
// Layer: config.
#include "config/units.hpp"

#include <charconv>
#include <span>
#include <system_error>

namespace sluice::config {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t worth;
};

// Largest first.
constexpr Unit kDurations[] = {{"h", 3'600'000}, {"m", 60'000}, {"s", 1000}, {"ms", 1}};
constexpr Unit kSizes[] = {{"GiB", 1ull << 30}, {"MiB", 1ull << 20}, {"KiB", 1ull << 10}};
constexpr std::uint64_t kMost = (std::uint64_t{1} << 63) - 1;

std::optional<std::uint64_t> parse(std::string_view text, std::span<const Unit> units) {
  std::uint64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, failed] = std::from_chars(text.data(), end, number);
  if (failed != std::errc()) return std::nullopt;
  const std::string_view name(rest, static_cast<std::size_t>(end - rest));
  for (const Unit& unit : units) {
    if (unit.name == name) {
      if (number > kMost / unit.worth) return std::nullopt;
      return number * unit.worth;
    }
  }
  return std::nullopt;
}

std::string in_units(std::uint64_t number, std::span<const Unit> units) {
  for (const Unit& unit : units) {
    if (number >= unit.worth && number % unit.worth == 0) {
      return std::to_string(number / unit.worth).append(unit.name);
    }
  }
  return std::to_string(number);
}

}  // namespace

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
  const auto milliseconds = parse(text, kDurations);
  if (!milliseconds) return std::nullopt;
  return std::chrono::milliseconds(static_cast<std::int64_t>(*milliseconds));
}

std::string duration_text(std::chrono::milliseconds duration) {
  if (duration.count() <= 0) return "0s";
  return in_units(static_cast<std::uint64_t>(duration.count()), kDurations);
}

std::optional<std::uint64_t> parse_size(std::string_view text) { return parse(text, kSizes); }

std::string size_text(std::uint64_t size) { return in_units(size, kSizes); }

}  // namespace sluice::config
