// service/api_keys/key.hpp - the text of an API key: PREFIX_RANDOM, with a checksum at its end.
//
// The random part is 160 bits of the system's generator in base32 without i, l, o and u
// (Crockford's alphabet, small letters). Then follows a CRC of 30 bits over prefix and random part:
// one wrong character, two that changed places, or any damage within six characters is always
// found, without asking a store. It is no secret and proves nothing: anyone can compute it. Layer:
// service. Thread: any.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <sluice/bytes.hpp>

#include "crypto/secret.hpp"

namespace sluice::api_keys {

inline constexpr std::string_view kPrefix = "slk";  // where nobody says another
inline constexpr std::size_t kMostPrefixChars = 16;
inline constexpr std::size_t kRandomBytes = 20;
inline constexpr std::size_t kRandomChars = 32;
inline constexpr std::size_t kCheckChars = 6;
inline constexpr std::size_t kMostKeyChars = kMostPrefixChars + 1 + kRandomChars + kCheckChars;
inline constexpr std::size_t kIdChars = 16;

using KeyRandom = std::array<std::byte, kRandomBytes>;

// 1 to 16 of a-z and 0-9, a letter first. What a prefix means is the issuer's: which service or
// which stage a key is for, so that people and scanners for secrets know one when they see it.
bool is_prefix(std::string_view prefix);

struct KeyParts {
  std::string_view prefix;  // of the text that was read
  KeyRandom random;
};
// nullopt: not of this form, or the checksum is another one. There is one text for a key: nothing
// is read as something else.
std::optional<KeyParts> parse_key(std::string_view text);
// Precondition: is_prefix(prefix).
crypto::Secret format_key(std::string_view prefix, const KeyRandom& random);

// A new one. Precondition: is_prefix(prefix).
crypto::Secret new_key(std::string_view prefix);

// What a key is spoken of by: 80 random bits that open nothing.
std::string new_id();
bool is_id(std::string_view text);

// CRC-30 as CDMA has it. Shown for the tests.
std::uint32_t crc30(Bytes bytes);

}  // namespace sluice::api_keys
