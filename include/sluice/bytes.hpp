// sluice/bytes.hpp - the one name for a run of bytes that somebody else owns.
//
// Layer: public. Every layer below may use it. Standard library only.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace sluice {

// A view. The declaration that hands one out says how long it lives.
using Bytes = std::span<const std::byte>;

// The same bytes under the other name. Both views live as long as the owner of the bytes.
inline Bytes as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}
inline std::string_view as_text(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace sluice
