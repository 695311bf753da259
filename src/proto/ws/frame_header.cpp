// proto/ws/frame_header.cpp - reading and writing frame headers; the mask.
//
// RFC 6455 sections 5.2, 5.3, 5.5. Layer: proto. No I/O.
#include "proto/ws/frame_header.hpp"

#include <bit>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace sluice::ws {

namespace {

constexpr unsigned kFin = 0x80, kRsv1 = 0x40, kRsv23 = 0x30, kMask = 0x80;
constexpr unsigned kLength16 = 126, kLength64 = 127;

inline unsigned byte_at(Bytes in, std::size_t i) { return std::to_integer<unsigned>(in[i]); }

// Continuation, text, binary, close, ping, pong.
inline bool is_known(unsigned opcode) { return ((0x0707u >> opcode) & 1u) != 0; }

// What the first byte alone can get wrong.
Errc judge_first(unsigned first) {
  if ((first & kRsv23) != 0) return Errc::ws_reserved_bits;
  if (!is_known(first & 15u)) return Errc::ws_bad_opcode;
  if ((first & 8u) != 0 && (first & kFin) == 0) return Errc::ws_bad_control_frame;
  return Errc::none;
}

std::uint64_t big_endian(Bytes in, std::size_t at, std::size_t size) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < size; ++i) value = value << 8 | byte_at(in, at + i);
  return value;
}

void mask_bytes(std::byte* at, std::size_t size, std::uint32_t key) {
  std::array<std::byte, 4> bytes;
  std::memcpy(bytes.data(), &key, 4);
  for (std::size_t i = 0; i < size; ++i) at[i] ^= bytes[i & 3];
}

}  // namespace

// Every check is made as soon as its byte is there, in the order of the bytes: a longer input can
// never be refused for another reason than a shorter one.
base::Parsed<std::uint64_t> read_frame_header(Bytes in, Role sender, FrameHeader& header) {
  if (in.empty()) return base::need_more;
  const unsigned first = byte_at(in, 0);
  if (const Errc error = judge_first(first); error != Errc::none) return base::Bad{error};
  if (in.size() < 2) return base::need_more;

  const unsigned second = byte_at(in, 1);
  header.fin = (first & kFin) != 0;
  header.rsv1 = (first & kRsv1) != 0;
  header.opcode = static_cast<Opcode>(first & 15u);
  header.masked = (second & kMask) != 0;
  if (header.masked != (sender == Role::client)) return base::Bad{Errc::ws_bad_mask};
  const unsigned small = second & 127u;
  if (is_control(header.opcode) && small > 125) return base::Bad{Errc::ws_bad_control_frame};

  header.key = {};
  header.length = small;
  std::size_t used = 2;
  if (small == kLength16) {
    if (in.size() < 4) return base::need_more;
    header.length = big_endian(in, 2, 2);
    if (header.length < kLength16) return base::Bad{Errc::ws_length_not_minimal};
    used = 4;
  } else if (small == kLength64) {
    if (in.size() > 2 && byte_at(in, 2) >= 0x80) return base::Bad{Errc::ws_length_overflow};
    if (in.size() < 10) return base::need_more;
    header.length = big_endian(in, 2, 8);
    if (header.length <= 0xFFFF) return base::Bad{Errc::ws_length_not_minimal};
    used = 10;
  }
  if (header.masked) {
    if (in.size() < used + 4) return base::need_more;
    std::memcpy(header.key.data(), in.data() + used, 4);
    used += 4;
  }
  return {header.length, used};
}

base::Parsed<FrameHeader> parse_frame_header(Bytes in, Role sender) {
  FrameHeader header;
  const base::Parsed<std::uint64_t> read = read_frame_header(in, sender, header);
  if (read.is_bad()) return base::Bad{read.error()};
  if (!read.is_done()) return base::need_more;
  return {header, read.used()};
}

std::byte* write_frame_header(std::byte* out, const FrameHeader& header) {
  const unsigned mask_bit = header.masked ? kMask : 0u;
  *out++ = static_cast<std::byte>((header.fin ? kFin : 0u) | (header.rsv1 ? kRsv1 : 0u) |
                                  static_cast<unsigned>(header.opcode));
  int length_bytes = 0;
  if (header.length < kLength16) {
    *out++ = static_cast<std::byte>(mask_bit | static_cast<unsigned>(header.length));
  } else if (header.length <= 0xFFFF) {
    *out++ = static_cast<std::byte>(mask_bit | kLength16);
    length_bytes = 2;
  } else {
    *out++ = static_cast<std::byte>(mask_bit | kLength64);
    length_bytes = 8;
  }
  for (int shift = (length_bytes - 1) * 8; shift >= 0; shift -= 8) {
    *out++ = static_cast<std::byte>(header.length >> shift & 0xFF);
  }
  if (header.masked) {
    std::memcpy(out, header.key.data(), 4);
    out += 4;
  }
  return out;
}

void mask(std::span<std::byte> bytes, const std::array<std::byte, 4>& key, std::uint64_t offset) {
  std::uint32_t word;
  std::memcpy(&word, key.data(), 4);
  // The key turned so that its first byte is the one for bytes[0].
  const int turn = static_cast<int>(offset & 3) * 8;
  word = std::endian::native == std::endian::little ? std::rotr(word, turn) : std::rotl(word, turn);

  std::byte* at = bytes.data();
  std::size_t left = bytes.size();
#if defined(__SSE2__)
  const __m128i wide = _mm_set1_epi32(static_cast<int>(word));
  const auto mask16 = [&wide](std::byte* p) {
    auto* block = reinterpret_cast<__m128i*>(p);
    _mm_storeu_si128(block, _mm_xor_si128(_mm_loadu_si128(block), wide));
  };
  for (; left >= 64; at += 64, left -= 64) {
    mask16(at);
    mask16(at + 16);
    mask16(at + 32);
    mask16(at + 48);
  }
  for (; left >= 16; at += 16, left -= 16) mask16(at);
#endif
  const std::uint64_t twice = std::uint64_t{word} << 32 | word;
  for (; left >= 8; at += 8, left -= 8) {
    std::uint64_t block;
    std::memcpy(&block, at, 8);
    block ^= twice;
    std::memcpy(at, &block, 8);
  }
  mask_bytes(at, left, word);
}

}  // namespace sluice::ws
