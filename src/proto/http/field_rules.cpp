// proto/http/field_rules.cpp - names that are the server's, characters that end a field.
#include "proto/http/field_rules.hpp"

#include <algorithm>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "proto/http/head.hpp"
#include "proto/http/token.hpp"

namespace sluice::http {
namespace {

// The server sets them itself.
bool is_framing(FieldId id, std::string_view name) {
  switch (id) {
    case FieldId::content_length:
    case FieldId::transfer_encoding:
    case FieldId::connection:
    case FieldId::upgrade:
    case FieldId::trailer:
      return true;
    case FieldId::other:
      return is_word(name, Word("keep-alive"));
    default:
      return false;
  }
}

#if defined(__SSE2__)

// Sixteen bytes of a field value without a control character but HTAB.
bool is_value_of_sixteen(const char* at) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
  const __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
  const __m128i tab = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\t'));
  const __m128i rubout = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f));
  return _mm_movemask_epi8(_mm_or_si128(_mm_andnot_si128(tab, low), rubout)) == 0;
}

#endif

}  // namespace

bool same_name(std::string_view a, std::string_view b) { return equal_nocase(a, b); }

bool is_value(std::string_view text) {
#if defined(__SSE2__)
  if (text.size() >= 16) {
    const std::size_t last = text.size() - 16;  // where the last load begins; it may overlap
    for (std::size_t at = 0;; at = std::min(at + 16, last)) {
      if (!is_value_of_sixteen(text.data() + at)) return false;
      if (at == last) return true;
    }
  }
#endif
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && byte != '\t') || byte == 0x7f) return false;
  }
  return true;
}

Errc judge_field(std::string_view name, std::string_view value) {
  const FieldId id = field_id(name);  // a name that is known is a token
  if (id == FieldId::other && !is_token(name)) return Errc::http_bad_field_name;
  if (!is_value(value)) return Errc::http_response_splitting;
  return is_framing(id, name) ? Errc::http_framing_field : Errc::none;
}

bool is_forbidden_trailer(std::string_view name) {
  switch (field_id(name)) {
    case FieldId::other:
      break;
    case FieldId::user_agent:
    case FieldId::referer:
      return false;
    default:
      return true;
  }
  static constexpr std::string_view names[] = {
      "age",
      "cache-control",
      "content-language",
      "content-location",
      "content-range",
      "date",
      "expires",
      "keep-alive",
      "location",
      "max-forwards",
      "pragma",
      "proxy-authenticate",
      "proxy-authentication-info",
      "proxy-authorization",
      "proxy-connection",
      "retry-after",
      "set-cookie",
      "vary",
      "via",
      "www-authenticate",
      "http2-settings",
      "priority",
      "early-data",
      "x-real-ip",
  };
  for (const std::string_view each : names) {
    if (equal_nocase(name, each)) return true;
  }
  constexpr std::string_view prefixes[] = {"x-forwarded-", "accept-", "access-control-", "sec-",
                                           "proxy-"};
  for (const std::string_view each : prefixes) {
    if (name.size() >= each.size() && equal_nocase(name.substr(0, each.size()), each)) return true;
  }
  return false;
}

}  // namespace sluice::http
