// service/api_keys/key.cpp - base32 and a CRC.
//
// Layer: service. Thread: any.
#include "service/api_keys/key.hpp"

#include <algorithm>
#include <cstring>
#include <span>

#include "base/check.hpp"
#include "crypto/digest.hpp"

namespace sluice::api_keys {
namespace {

constexpr std::string_view kAlphabet = "0123456789abcdefghjkmnpqrstvwxyz";
constexpr std::uint8_t kNone = 32;

constexpr auto kValues = [] {
  std::array<std::uint8_t, 256> values{};
  for (std::uint8_t& value : values) value = kNone;
  for (std::size_t i = 0; i < kAlphabet.size(); ++i) {
    values[static_cast<unsigned char>(kAlphabet[i])] = static_cast<std::uint8_t>(i);
  }
  return values;
}();

// The 30 bits stand at the top of 32.
constexpr std::uint32_t kPolynomial = 0x2030b9c7U << 2;
constexpr auto kCrcOfByte = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t rest = i << 24;
    for (int bit = 0; bit < 8; ++bit) {
      rest = (rest & 0x80000000U) != 0 ? rest << 1 ^ kPolynomial : rest << 1;
    }
    table[i] = rest;
  }
  return table;
}();

// Both sizes are whole: five bytes are eight characters.
void encode(Bytes bytes, char* out) {
  std::uint32_t held = 0;
  unsigned bits = 0;
  for (const std::byte b : bytes) {
    held = held << 8 | std::to_integer<std::uint32_t>(b);
    for (bits += 8; bits >= 5; bits -= 5) *out++ = kAlphabet[held >> (bits - 5) & 31];
  }
}

bool decode(std::string_view text, std::span<std::byte> out) {
  std::uint32_t held = 0;
  unsigned bits = 0;
  std::size_t size = 0;
  for (const char c : text) {
    const std::uint8_t value = kValues[static_cast<unsigned char>(c)];
    if (value == kNone) return false;
    held = held << 5 | value;
    bits += 5;
    if (bits < 8) continue;
    bits -= 8;
    out[size++] = static_cast<std::byte>(held >> bits & 0xff);
  }
  return true;
}

std::uint32_t check_of(std::string_view prefix, const KeyRandom& random) {
  std::array<std::byte, kMostPrefixChars + 1 + kRandomBytes> all;
  std::memcpy(all.data(), prefix.data(), prefix.size());
  all[prefix.size()] = std::byte{'_'};
  std::memcpy(all.data() + prefix.size() + 1, random.data(), random.size());
  const std::uint32_t crc = crc30({all.data(), prefix.size() + 1 + random.size()});
  crypto::wipe(all);
  return crc;
}

std::array<char, kCheckChars> check_text(std::uint32_t crc) {
  std::array<char, kCheckChars> text;
  for (std::size_t i = 0; i < kCheckChars; ++i) text[i] = kAlphabet[crc >> (25 - 5 * i) & 31];
  return text;
}

}  // namespace

std::uint32_t crc30(Bytes bytes) {
  std::uint32_t crc = 0x3fffffffU << 2;
  for (const std::byte b : bytes) {
    crc = crc << 8 ^ kCrcOfByte[crc >> 24 ^ std::to_integer<std::uint32_t>(b)];
  }
  return crc >> 2 ^ 0x3fffffffU;
}

bool is_prefix(std::string_view prefix) {
  const auto letter = [](char c) { return c >= 'a' && c <= 'z'; };
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  return !prefix.empty() && prefix.size() <= kMostPrefixChars && letter(prefix.front()) &&
         std::all_of(prefix.begin(), prefix.end(), [&](char c) { return letter(c) || digit(c); });
}

std::optional<KeyParts> parse_key(std::string_view text) {
  constexpr std::size_t kBehind = 1 + kRandomChars + kCheckChars;
  if (text.size() <= kBehind || text.size() > kMostKeyChars) return std::nullopt;
  KeyParts parts{text.substr(0, text.size() - kBehind), {}};
  if (!is_prefix(parts.prefix) || text[parts.prefix.size()] != '_') return std::nullopt;
  if (!decode(text.substr(parts.prefix.size() + 1, kRandomChars), parts.random)) {
    return std::nullopt;
  }
  const auto check = check_text(check_of(parts.prefix, parts.random));
  if (text.substr(text.size() - kCheckChars) != std::string_view(check.data(), check.size())) {
    return std::nullopt;
  }
  return parts;
}

crypto::Secret format_key(std::string_view prefix, const KeyRandom& random) {
  SLUICE_CHECK(is_prefix(prefix));
  crypto::Secret text(prefix.size() + 1 + kRandomChars + kCheckChars);
  char* out = reinterpret_cast<char*>(text.bytes().data());
  out += prefix.copy(out, prefix.size());
  *out++ = '_';
  encode(random, out);
  const auto check = check_text(check_of(prefix, random));
  std::copy(check.begin(), check.end(), out + kRandomChars);
  return text;
}

crypto::Secret new_key(std::string_view prefix) {
  KeyRandom random;
  crypto::random_bytes(random);
  crypto::Secret text = format_key(prefix, random);
  crypto::wipe(random);
  return text;
}

std::string new_id() {
  std::array<std::byte, kIdChars * 5 / 8> random;
  crypto::random_bytes(random);
  std::string id(kIdChars, '0');
  encode(random, id.data());
  return id;
}

bool is_id(std::string_view text) {
  return text.size() == kIdChars && std::all_of(text.begin(), text.end(), [](char c) {
           return kValues[static_cast<unsigned char>(c)] != kNone;
         });
}

}  // namespace sluice::api_keys
