// proto/http1/scan.hpp - how far a run of permitted characters goes, sixteen bytes at a time.
//
// RFC 9110 sections 5.5 and 5.6.2, RFC 9112 section 3.2. Layer: proto. No I/O, no state. Every
// function has a portable form with the same answers; SSE2 is used where the compiler offers it.
#pragma once

#include <cstddef>
#include <cstdint>

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

// Everything but letters, digits, `-` and one more.
template <char More>
struct WordStops {
  static __m128i of(__m128i bytes) {
    const __m128i letter =
        _mm_sub_epi8(_mm_or_si128(bytes, _mm_set1_epi8(0x20)), _mm_set1_epi8('a'));
    const __m128i is_letter = _mm_cmpeq_epi8(_mm_min_epu8(letter, _mm_set1_epi8(25)), letter);
    const __m128i digit = _mm_sub_epi8(bytes, _mm_set1_epi8('0'));
    const __m128i is_digit = _mm_cmpeq_epi8(_mm_min_epu8(digit, _mm_set1_epi8(9)), digit);
    const __m128i mark = _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('-')),
                                      _mm_cmpeq_epi8(bytes, _mm_set1_epi8(More)));
    const __m128i good = _mm_or_si128(_mm_or_si128(is_letter, is_digit), mark);
    return _mm_cmpeq_epi8(good, _mm_setzero_si128());
  }
};
using NameStops = WordStops<'_'>;  // the rarer token characters stop it too
using HostStops = WordStops<'.'>;

template <class Stops>
unsigned stop_mask(const char* at) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
  return static_cast<unsigned>(_mm_movemask_epi8(Stops::of(bytes)));
}

// The first byte of [at, end) that stops, or end. `base` is where readable bytes begin: when fewer
// than sixteen are left, the last sixteen before `end` are read again, never one behind it.
template <class Stops, class Good>
const char* find_stop(const char* base, const char* at, const char* end, Good good) {
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

#else

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
