// proto/http1/scan.hpp - how far a run of permitted characters goes, sixteen bytes at a time.
//
// RFC 9110 sections 5.5 and 5.6.2, RFC 9112 section 3.2. Layer: proto. No I/O, no state. Every
// function has a portable form with the same answers; SSE2 is used where the compiler offers it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "proto/http/token.hpp"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace sluice::http1 {

// What may stand in a field value: everything but controls, HTAB excepted (obs-text included).
constexpr bool is_value_char(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (byte >= 0x20 || byte == '\t') && byte != 0x7f;
}

// What may stand in a request target here: no control, no space, no `#`.
constexpr bool is_target_char(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte > 0x20 && byte != 0x7f && byte != '#';
}

// What nearly every host consists of.
constexpr bool is_host_char(char c) {
  return http::is_digit(c) || (http::lower(c) >= 'a' && http::lower(c) <= 'z') || c == '-' ||
         c == '.';
}

#if defined(__SSE2__)

struct ValueStops {
  static __m128i of(__m128i bytes) {
    const __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
    const __m128i tab = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\t'));
    const __m128i del = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f));
    return _mm_or_si128(_mm_andnot_si128(tab, low), del);
  }
};

struct TargetStops {
  static __m128i of(__m128i bytes) {
    const __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x20)), bytes);
    const __m128i hash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('#'));
    const __m128i del = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f));
    return _mm_or_si128(low, _mm_or_si128(hash, del));
  }
};

inline __m128i digits_of(__m128i bytes) {
  const __m128i digit = _mm_sub_epi8(bytes, _mm_set1_epi8('0'));
  return _mm_cmpeq_epi8(_mm_min_epu8(digit, _mm_set1_epi8(9)), digit);
}

// Everything but letters, digits, `-` and one more.
template <char More>
struct WordStops {
  static __m128i of(__m128i bytes) {
    const __m128i letter =
        _mm_sub_epi8(_mm_or_si128(bytes, _mm_set1_epi8(0x20)), _mm_set1_epi8('a'));
    const __m128i is_letter = _mm_cmpeq_epi8(_mm_min_epu8(letter, _mm_set1_epi8(25)), letter);
    const __m128i is_digit = digits_of(bytes);
    const __m128i mark = _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('-')),
                                      _mm_cmpeq_epi8(bytes, _mm_set1_epi8(More)));
    const __m128i good = _mm_or_si128(_mm_or_si128(is_letter, is_digit), mark);
    return _mm_cmpeq_epi8(good, _mm_setzero_si128());
  }
};
using NameStops = WordStops<'_'>;  // the rarer token characters stop it too
using HostStops = WordStops<'.'>;

inline __m128i sixteen(const char* at) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
}

inline unsigned mask_of(__m128i bytes) { return static_cast<unsigned>(_mm_movemask_epi8(bytes)); }

template <class Stops>
unsigned stop_mask(const char* at) {
  return mask_of(Stops::of(sixteen(at)));
}

// find_stop() behind the first sixteen.
template <class Stops, class Good>
[[gnu::noinline]] const char* find_far_stop(const char* base, const char* at, const char* end,
                                            Good good) {
  while (end - at >= 16) {
    if (const unsigned mask = stop_mask<Stops>(at); mask != 0) return at + __builtin_ctz(mask);
    at += 16;
  }
  if (end - base >= 16) {
    if (at == end) return end;
    const unsigned mask = stop_mask<Stops>(end - 16) >> (16 - (end - at));
    return mask != 0 ? at + __builtin_ctz(mask) : end;
  }
  while (at != end && good(*at)) ++at;
  return at;
}

// The first byte of [at, end) that stops, or end. `base` is where readable bytes begin: when fewer
// than sixteen are left, the last sixteen before `end` are read again, never one behind it.
template <class Stops, class Good>
[[gnu::always_inline]] inline const char* find_stop(const char* base, const char* at,
                                                    const char* end, Good good) {
  if (end - at >= 16) [[likely]] {
    if (const unsigned mask = stop_mask<Stops>(at); mask != 0) return at + __builtin_ctz(mask);
    at += 16;
  }
  return find_far_stop<Stops>(base, at, end, good);
}

// Where the first `c` of the sixteen bytes at `at` is; 16 when there is none.
inline unsigned find_in_sixteen(const char* at, char c) {
  const unsigned mask = mask_of(_mm_cmpeq_epi8(sixteen(at), _mm_set1_epi8(c)));
  return static_cast<unsigned>(__builtin_ctz(mask | 0x10000));
}

// True for host characters, then perhaps a colon and up to four digits, in the first `size` of the
// sixteen bytes at `at`. What is false may be a host all the same.
inline bool is_short_host(const char* at, std::size_t size) {
  const __m128i bytes = sixteen(at);
  const unsigned all = (1U << size) - 1;
  const unsigned odd = mask_of(HostStops::of(bytes)) & all;
  if (odd == 0) return size > 0;
  const auto colon = static_cast<unsigned>(__builtin_ctz(odd));
  const unsigned port = all & ~((2U << colon) - 1);
  return at[colon] == ':' && colon > 0 && size - colon - 2 < 4 &&
         (port & ~mask_of(digits_of(bytes))) == 0;
}

#else

inline unsigned find_in_sixteen(const char* at, char c) {
  const void* found = std::memchr(at, c, 16);
  return found == nullptr ? 16 : static_cast<unsigned>(static_cast<const char*>(found) - at);
}

inline bool is_short_host(const char*, std::size_t) { return false; }

struct ValueStops {};
struct TargetStops {};
struct NameStops {};
struct HostStops {};

template <class Stops, class Good>
const char* find_stop(const char*, const char* at, const char* end, Good good) {
  while (at != end && good(*at)) ++at;
  return at;
}

#endif

inline const char* find_value_end(const char* base, const char* at, const char* end) {
  return find_stop<ValueStops>(base, at, end, is_value_char);
}

inline const char* find_target_end(const char* base, const char* at, const char* end) {
  return find_stop<TargetStops>(base, at, end, is_target_char);
}

inline const char* find_token_end(const char* base, const char* at, const char* end) {
  at = find_stop<NameStops>(base, at, end, http::is_token_char);
  while (at != end && http::is_token_char(*at)) ++at;
  return at;
}

inline const char* find_host_end(const char* base, const char* at, const char* end) {
  return find_stop<HostStops>(base, at, end, is_host_char);
}

}  // namespace sluice::http1
