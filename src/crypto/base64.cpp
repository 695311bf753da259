// crypto/base64.cpp - the two alphabets, and what is left at the end.
//
// RFC 4648. Layer: crypto. Thread: any.
#include "crypto/base64.hpp"

#include <array>
#include <cstdint>

#include "base/check.hpp"

namespace sluice::crypto {
namespace {

constexpr std::string_view kPlain =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kUrl =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::uint8_t kNone = 64;

consteval std::array<std::uint8_t, 256> values_of(std::string_view alphabet) {
  std::array<std::uint8_t, 256> values{};
  for (std::uint8_t& value : values) value = kNone;
  for (std::size_t i = 0; i < alphabet.size(); ++i) {
    values[static_cast<unsigned char>(alphabet[i])] = static_cast<std::uint8_t>(i);
  }
  return values;
}
constexpr auto kPlainValues = values_of(kPlain);
constexpr auto kUrlValues = values_of(kUrl);

std::string encode(Bytes bytes, std::string_view alphabet, bool pad) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  std::uint32_t held = 0;
  unsigned bits = 0;
  for (const std::byte b : bytes) {
    held = held << 8 | std::to_integer<std::uint32_t>(b);
    for (bits += 8; bits >= 6; bits -= 6) text += alphabet[held >> (bits - 6) & 63];
  }
  if (bits > 0) text += alphabet[held << (6 - bits) & 63];
  while (pad && text.size() % 4 != 0) text += '=';
  return text;
}

// `text` is without padding.
std::optional<std::size_t> decode(std::string_view text, std::span<std::byte> out,
                                  const std::array<std::uint8_t, 256>& values) {
  if (text.size() % 4 == 1) return std::nullopt;
  SLUICE_CHECK(out.size() >= text.size() / 4 * 3 + 2 || text.empty());
  std::uint32_t held = 0;
  unsigned bits = 0;
  std::size_t size = 0;
  for (const char c : text) {
    const std::uint8_t value = values[static_cast<unsigned char>(c)];
    if (value == kNone) return std::nullopt;
    held = held << 6 | value;
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    out[size++] = static_cast<std::byte>(held >> bits & 0xff);
  }
  if ((held & ((1U << bits) - 1)) != 0) return std::nullopt;
  return size;
}

}  // namespace

std::string base64(Bytes bytes) { return encode(bytes, kPlain, true); }
std::string base64url(Bytes bytes) { return encode(bytes, kUrl, false); }

std::optional<std::size_t> decode_base64(std::string_view text, std::span<std::byte> out) {
  if (text.size() % 4 != 0) return std::nullopt;
  for (int i = 0; i < 2 && text.ends_with('='); ++i) text.remove_suffix(1);
  return decode(text, out, kPlainValues);
}

std::optional<std::size_t> decode_base64url(std::string_view text, std::span<std::byte> out) {
  return decode(text, out, kUrlValues);
}

std::optional<std::string> decode_base64url(std::string_view text) {
  std::string bytes(base64_room(text.size()), '\0');
  const auto size = decode_base64url(text, std::as_writable_bytes(std::span<char>(bytes)));
  if (!size) return std::nullopt;
  bytes.resize(*size);
  return bytes;
}

}  // namespace sluice::crypto
