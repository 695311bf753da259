// crypto/base64.hpp - base64 and base64url, read strictly: every text that is accepted is the one
// that its bytes would be written as.
//
// RFC 4648 sections 4 and 5. Layer: crypto. Thread: any.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <sluice/bytes.hpp>

namespace sluice::crypto {

// With padding.
std::string base64(Bytes bytes);
// Without padding, as JOSE has it (RFC 7515 section 2).
std::string base64url(Bytes bytes);

// How many bytes `size` characters can hold at most.
constexpr std::size_t base64_room(std::size_t size) { return size / 4 * 3 + 3; }

// Writes the bytes to the front of `out`, which has base64_room(text.size()), and answers how many
// there are. nullopt: a character outside the alphabet, padding that is missing (base64) or there
// (base64url), or bits behind the last byte that are not zero. `out` may hold anything then.
std::optional<std::size_t> decode_base64(std::string_view text, std::span<std::byte> out);
std::optional<std::size_t> decode_base64url(std::string_view text, std::span<std::byte> out);
std::optional<std::string> decode_base64url(std::string_view text);

}  // namespace sluice::crypto
