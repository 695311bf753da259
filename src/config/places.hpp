// config/places.hpp - where in the file each key stands.
//
// Layer: config.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

namespace sluice::config {

struct Place {
  std::uint32_t line = 0, column = 0;  // from 1; of the value

  friend bool operator==(const Place&, const Place&) = default;
};

// By key: limits.head_bytes, files[0].directory, url_groups[1].
using Places = std::map<std::string, Place, std::less<>>;

}  // namespace sluice::config
