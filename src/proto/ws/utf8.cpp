// proto/ws/utf8.cpp - the automaton of RFC 3629, one shift for each byte that is not ASCII.
//
// RFC 3629 section 4 (the grammar). Layer: proto. No I/O.
#include "proto/ws/utf8.hpp"

#include <array>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace sluice::ws {

namespace {

// A state is the position, inside a row of the table, of the six bits that hold the next state: one
// step is one load and one shift, and the load does not wait for the state.
enum State : std::uint64_t {
  kAccept = 0,  // between code points
  kReject = 6,  // never left
  kTail1 = 12,  // any one continuation byte, then done
  kTail2 = 18,
  kTail3 = 24,
  kAfterE0 = 30,  // A0..BF, or the form is too long
  kAfterEd = 36,  // 80..9F, or it is a surrogate
  kAfterF0 = 42,  // 90..BF, or the form is too long
  kAfterF4 = 48,  // 80..8F, or it is past U+10FFFF
};
constexpr std::uint64_t kStateMask = 63;

constexpr bool within(unsigned byte, unsigned low, unsigned high) {
  return byte >= low && byte <= high;
}

constexpr State after_lead(unsigned byte) {
  if (byte < 0x80) return kAccept;
  if (within(byte, 0xC2, 0xDF)) return kTail1;
  if (byte == 0xE0) return kAfterE0;
  if (byte == 0xED) return kAfterEd;
  if (within(byte, 0xE1, 0xEF)) return kTail2;
  if (byte == 0xF0) return kAfterF0;
  if (within(byte, 0xF1, 0xF3)) return kTail3;
  if (byte == 0xF4) return kAfterF4;
  return kReject;
}

constexpr std::uint64_t row_of(unsigned byte) {
  const bool tail = within(byte, 0x80, 0xBF);
  std::uint64_t row = 0;
  const auto set = [&row](State from, bool allowed, State to) {
    row |= static_cast<std::uint64_t>(allowed ? to : kReject) << from;
  };
  set(kAccept, true, after_lead(byte));
  set(kReject, false, kReject);
  set(kTail1, tail, kAccept);
  set(kTail2, tail, kTail1);
  set(kTail3, tail, kTail2);
  set(kAfterE0, within(byte, 0xA0, 0xBF), kTail1);
  set(kAfterEd, within(byte, 0x80, 0x9F), kTail1);
  set(kAfterF0, within(byte, 0x90, 0xBF), kTail2);
  set(kAfterF4, within(byte, 0x80, 0x8F), kTail2);
  return row;
}

constexpr std::array<std::uint64_t, 256> make_table() {
  std::array<std::uint64_t, 256> table{};
  for (unsigned byte = 0; byte < 256; ++byte) table[byte] = row_of(byte);
  return table;
}

constexpr std::array<std::uint64_t, 256> kTable = make_table();

// Only the low six bits of the answer are the state.
inline std::uint64_t step(std::uint64_t state, std::byte byte) {
  return kTable[std::to_integer<std::size_t>(byte)] >> (state & kStateMask);
}

inline bool is_ascii16(const std::byte* at) {
#if defined(__SSE2__)
  return _mm_movemask_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at))) == 0;
#else
  std::uint64_t low, high;
  std::memcpy(&low, at, 8);
  std::memcpy(&high, at + 8, 8);
  return ((low | high) & 0x8080808080808080u) == 0;
#endif
}

inline bool is_ascii64(const std::byte* at) {
#if defined(__SSE2__)
  const auto* in = reinterpret_cast<const __m128i*>(at);
  const __m128i front = _mm_or_si128(_mm_loadu_si128(in), _mm_loadu_si128(in + 1));
  const __m128i back = _mm_or_si128(_mm_loadu_si128(in + 2), _mm_loadu_si128(in + 3));
  return _mm_movemask_epi8(_mm_or_si128(front, back)) == 0;
#else
  return is_ascii16(at) && is_ascii16(at + 16) && is_ascii16(at + 32) && is_ascii16(at + 48);
#endif
}

}  // namespace

bool Utf8::add(Bytes bytes) {
  const std::byte* at = bytes.data();
  std::size_t left = bytes.size();
  std::uint64_t state = state_;
  while (left >= 16) {
    if (state == kAccept) {
      for (; left >= 64 && is_ascii64(at); at += 64, left -= 64) {
      }
      for (; left >= 16 && is_ascii16(at); at += 16, left -= 16) {
      }
      if (left < 16) break;
    }
    for (int i = 0; i < 16; ++i) state = step(state, at[i]);
    state &= kStateMask;
    if (state == kReject) break;
    at += 16;
    left -= 16;
  }
  if (state != kReject) {
    for (; left > 0; ++at, --left) state = step(state, *at);
    state &= kStateMask;
  }
  state_ = static_cast<std::uint32_t>(state);
  return state != kReject;
}

std::size_t Utf8::add_until_bad(Bytes bytes) {
  std::uint64_t state = state_;
  std::size_t good = 0;
  for (; good < bytes.size(); ++good) {
    state = step(state, bytes[good]) & kStateMask;
    if (state == kReject) break;
  }
  state_ = static_cast<std::uint32_t>(state);
  return good;
}

bool is_utf8(Bytes bytes) {
  Utf8 text;
  return text.add(bytes) && text.complete();
}

}  // namespace sluice::ws
