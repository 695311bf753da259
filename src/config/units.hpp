// config/units.hpp - durations and sizes as people write them.
//
// Layer: config.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sluice::config {

// "500ms", "30s", "2m", "1h": a whole number and its unit, nothing between. Absent: anything else,
// or more milliseconds than fit into 63 bits.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);
// In the largest unit that leaves a whole number: "2m".
std::string duration_text(std::chrono::milliseconds duration);

// "64KiB", "1MiB", "2GiB": a whole number and its unit. Absent: anything else, or 2^63 and more.
std::optional<std::uint64_t> parse_size(std::string_view text);
// In the largest unit that leaves a whole number; below 1 KiB the number alone.
std::string size_text(std::uint64_t size);

}  // namespace sluice::config
