// proto/auth/json.hpp - JSON from somebody else, read within limits.
//
// RFC 8259; a name that comes twice is refused (RFC 7515 section 4, RFC 7519 section 4). Layer:
// proto. No I/O, no exception leaves.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::auth {

struct JsonLimits {
  std::size_t bytes = 8192;
  std::size_t depth = 8;  // arrays and objects inside each other
  std::size_t values = 512;
};

// One value, and all inside it.
struct Json {
  enum class Kind : std::uint8_t { null, boolean, integer, real, text, array, object };

  Kind kind = Kind::null;
  bool boolean = false;
  std::int64_t integer = 0;
  double real = 0;  // also an integer that does not fit
  std::string text = {};
  std::vector<Json> items = {};         // of an array or an object
  std::vector<std::string> names = {};  // of an object, one for each item

  // The member of an object; null when there is none, or this is no object.
  const Json* find(std::string_view name) const;
  // Its text; null when there is no such member, or it is no text.
  const std::string* find_text(std::string_view name) const;
};

// The whole text is one object, in UTF-8 without a byte order mark; nullopt otherwise, beyond a
// limit, and without memory.
std::optional<Json> read_json_object(std::string_view text, const JsonLimits& limits) noexcept;

}  // namespace sluice::auth
