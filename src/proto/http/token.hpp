// proto/http/token.hpp - the characters of tokens, and comparing words without regard to case.
//
// RFC 9110 section 5.6.2 (token), RFC 5234 (ALPHA, DIGIT). Layer: proto. No I/O.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace sluice::http {

// For each byte: whether it may stand in a token.
inline constexpr auto kTokenTable = [] {
  std::array<bool, 256> table{};
  for (const char c : std::string_view("!#$%&'*+-.^_`|~0123456789"
                                       "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")) {
    table[static_cast<unsigned char>(c)] = true;
  }
  return table;
}();

constexpr bool is_token_char(char c) { return kTokenTable[static_cast<unsigned char>(c)]; }

constexpr bool is_token(std::string_view text) {
  for (const char c : text) {
    if (!is_token_char(c)) return false;
  }
  return !text.empty();
}

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Optional whitespace: SP and HTAB, nothing else.
constexpr bool is_ows(char c) { return c == ' ' || c == '\t'; }

constexpr std::string_view trim_ows(std::string_view text) {
  while (!text.empty() && is_ows(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_ows(text.back())) text.remove_suffix(1);
  return text;
}

constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

constexpr bool equal_nocase(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

// A word known when compiling, to be recognised in any case, eight bytes at a time. `Size` is its
// length; the letters are written in lower case.
template <std::size_t Size>
class Word {
 public:
  consteval Word(const char (&text)[Size + 1]) {  // NOLINT: converting on purpose
    for (std::size_t block = 0; block < kBlocks; ++block) {
      std::array<char, 8> want{};
      std::array<char, 8> mask{};
      for (std::size_t i = 0; i < kWidth; ++i) {
        const char c = text[offset(block) + i];
        want[i] = c;
        // Only where a letter stands: elsewhere 0x20 is a difference, not a matter of case.
        if (c >= 'a' && c <= 'z') mask[i] = 0x20;
      }
      want_[block] = std::bit_cast<std::uint64_t>(want);
      mask_[block] = std::bit_cast<std::uint64_t>(mask);
    }
  }

  // `text` has Size bytes.
  bool matches(const char* text) const {
    std::uint64_t difference = 0;
    for (std::size_t block = 0; block < kBlocks; ++block) {
      std::uint64_t bytes = 0;
      std::memcpy(&bytes, text + offset(block), kWidth);
      difference |= (bytes | mask_[block]) ^ want_[block];
    }
    return difference == 0;
  }

 private:
  static constexpr std::size_t kWidth = Size < 8 ? Size : 8;
  static constexpr std::size_t kBlocks = (Size + 7) / 8;
  // The last block overlaps the one before it rather than reading past the end.
  static constexpr std::size_t offset(std::size_t block) {
    return block * 8 + kWidth <= Size ? block * 8 : Size - kWidth;
  }
  std::array<std::uint64_t, kBlocks> want_{};
  std::array<std::uint64_t, kBlocks> mask_{};
};
template <std::size_t N>
Word(const char (&)[N]) -> Word<N - 1>;

// equal_nocase with a literal in lower case.
template <std::size_t Size>
bool is_word(std::string_view text, const Word<Size>& word) {
  return text.size() == Size && word.matches(text.data());
}

}  // namespace sluice::http
