// proto/http/target.cpp - the routing path, query parameters, cookies and authorities.
//
// RFC 3986 sections 2.1, 3.2.2, 5.2.4 and 6.2.2, RFC 9112 section 3.2, RFC 6265 section 5.4, RFC
// 3629 section 4. Layer: proto. No I/O. Thread: any.
#include "proto/http/target.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "proto/http/token.hpp"

namespace sluice::http {
namespace {

using base::Bad;
using base::Parsed;

// Octets that a path may hold as they are and that no later part reads in a special way. A dot
// counts only behind a slash.
constexpr auto kPlain = [] {
  std::array<bool, 256> table{};
  for (unsigned c = 0x20; c < 0x7f; ++c) table[c] = c != '%' && c != '#' && c != '?';
  return table;
}();

bool plain(char c) { return kPlain[static_cast<unsigned char>(c)]; }

// The value of a hexadecimal digit, or -1.
int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// The octet of the escape at `at` ("%41"), or -1.
int escaped_octet(std::string_view text, std::size_t at) {
  if (text.size() - at < 3) return -1;
  int high = hex_value(text[at + 1]), low = hex_value(text[at + 2]);
  return (high | low) < 0 ? -1 : high << 4 | low;
}

#if defined(__SSE2__)

// Which octets of `here`, each behind its one of `before`, are not plain: bit n is octet n.
unsigned odd_octets(__m128i here, __m128i before) {
  // Signed: what is above 0x7f counts as less than a space, too.
  __m128i odd = _mm_or_si128(_mm_cmplt_epi8(here, _mm_set1_epi8(0x20)),
                             _mm_cmpeq_epi8(here, _mm_set1_epi8(0x7f)));
  odd = _mm_or_si128(odd, _mm_cmpeq_epi8(here, _mm_set1_epi8('%')));
  odd = _mm_or_si128(odd, _mm_cmpeq_epi8(here, _mm_set1_epi8('#')));
  odd = _mm_or_si128(odd, _mm_cmpeq_epi8(here, _mm_set1_epi8('?')));
  __m128i dotted = _mm_and_si128(_mm_cmpeq_epi8(before, _mm_set1_epi8('/')),
                                 _mm_cmpeq_epi8(here, _mm_set1_epi8('.')));
  return static_cast<unsigned>(_mm_movemask_epi8(_mm_or_si128(odd, dotted)));
}

__m128i sixteen(const char* at) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at)); }

// Two times eight octets, or two times four in the lower half.
__m128i eight_twice(const char* low, const char* high) {
  return _mm_unpacklo_epi64(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(low)),
                            _mm_loadl_epi64(reinterpret_cast<const __m128i*>(high)));
}
__m128i four_twice(const char* low, const char* high) {
  std::int32_t first = 0, second = 0;
  std::memcpy(&first, low, sizeof first);
  std::memcpy(&second, high, sizeof second);
  return _mm_unpacklo_epi32(_mm_cvtsi32_si128(first), _mm_cvtsi32_si128(second));
}

#endif

// True when `path`, which begins with a slash, is its own routing path. A segment that begins with
// a dot is left to the careful reader.
bool is_plain(std::string_view path) {
  std::size_t at = 1;
#if defined(__SSE2__)
  // Loads may overlap: the last one ends with the path.
  const char* text = path.data();
  const std::size_t size = path.size();
  if (size > 16) {
    for (const std::size_t last = size - 16;; at = std::min(at + 16, last)) {
      if (odd_octets(sixteen(text + at), sixteen(text + at - 1)) != 0) return false;
      if (at == last) return true;
    }
  }
  if (size > 8) {
    return odd_octets(eight_twice(text + 1, text + size - 8), eight_twice(text, text + size - 9)) ==
           0;
  }
  if (size > 4) {
    return (odd_octets(four_twice(text + 1, text + size - 4), four_twice(text, text + size - 5)) &
            0xff) == 0;
  }
#endif
  for (; at < path.size(); ++at) {
    if (!plain(path[at]) || (path[at] == '.' && path[at - 1] == '/')) return false;
  }
  return true;
}

// Checks UTF-8 octet by octet (RFC 3629 section 4): no overlong forms, no surrogates, nothing above
// U+10FFFF.
class Utf8Check {
 public:
  bool complete() const { return left_ == 0; }

  // False when `octet` cannot stand here.
  bool take(unsigned char octet) {
    if (left_ != 0) {
      if (octet < low_ || octet > high_) return false;
      low_ = 0x80;
      high_ = 0xbf;
      --left_;
      return true;
    }
    if (octet < 0x80) return true;
    if (octet < 0xc2 || octet > 0xf4) return false;
    left_ = octet < 0xe0 ? 1 : octet < 0xf0 ? 2 : 3;
    low_ = octet == 0xe0 ? 0xa0 : octet == 0xf0 ? 0x90 : 0x80;
    high_ = octet == 0xed ? 0x9f : octet == 0xf4 ? 0x8f : 0xbf;
    return true;
  }

 private:
  int left_ = 0;
  unsigned char low_ = 0x80, high_ = 0xbf;
};

// Where a normalised path is written. It is never longer than what it is made of.
struct PathText {
  char* out;
  std::size_t size = 0;
  bool changed = false;  // differs from the raw path

  void put(char c) { out[size++] = c; }
  // The escapes that stay, because decoded they would mean something else.
  void put_escape(std::string_view raw, std::string_view normal) {
    std::memcpy(out + size, normal.data(), normal.size());
    size += normal.size();
    changed |= raw != normal;
  }
};

// The escape that stands for `octet` in a routing path; empty when the octet stands for itself.
std::string_view kept_escape(unsigned char octet) {
  switch (octet) {
    case '/':
      return "%2F";
    case '\\':
      return "%5C";
    case '%':
      return "%25";
    default:
      return {};
  }
}

// Decodes one segment of `raw`, from `at` up to the next slash or the end.
Errc decode_segment(std::string_view raw, std::size_t& at, PathText& path) {
  Utf8Check utf8;
  while (at < raw.size() && raw[at] != '/') {
    const std::size_t from = at;
    const bool escaped = raw[at] == '%';
    auto octet = static_cast<unsigned char>(raw[at]);
    if (escaped) {
      int decoded = escaped_octet(raw, at);
      if (decoded < 0) return Errc::http_bad_percent_encoding;
      octet = static_cast<unsigned char>(decoded);
      at += 3;
    } else {
      if (octet == '#' || octet == '?') return Errc::http_bad_target;
      ++at;
    }
    if (octet < 0x20 || octet == 0x7f) return Errc::http_bad_target;
    if (!utf8.take(octet)) return Errc::http_bad_utf8;
    if (!escaped) {
      path.put(static_cast<char>(octet));
    } else if (std::string_view kept = kept_escape(octet); !kept.empty()) {
      path.put_escape(raw.substr(from, 3), kept);
    } else {
      path.put(static_cast<char>(octet));
      path.changed = true;
    }
  }
  return utf8.complete() ? Errc::none : Errc::http_bad_utf8;
}

[[gnu::noinline]] Parsed<std::string_view> normalise(std::string_view raw, std::size_t max_segments,
                                                     base::Arena& arena) {
  PathText path{arena.text(raw.size())};
  std::size_t segments = 0, at = 0;
  while (at < raw.size()) {
    if (++segments > max_segments) return Bad{Errc::http_too_many_segments};
    ++at;
    path.put('/');
    const std::size_t start = path.size;
    if (Errc wrong = decode_segment(raw, at, path); wrong != Errc::none) return Bad{wrong};
    std::string_view segment(path.out + start, path.size - start);
    const bool up = segment == "..";
    if (!up && segment != ".") continue;
    path.changed = true;
    path.size = start - 1;
    if (up) {
      // The segment before goes, with its slash; at the root there is none.
      while (path.size > 0 && path.out[--path.size] != '/') continue;
    }
    if (at == raw.size()) path.put('/');
  }
  if (!path.changed) return {raw, raw.size()};
  return {std::string_view(path.out, path.size), raw.size()};
}

// Cuts `list` at the first `separator` and returns what stood in front of it.
std::string_view take_piece(std::string_view& list, char separator) {
  std::size_t end = list.find(separator);
  std::string_view piece = list.substr(0, end);
  list.remove_prefix(end == std::string_view::npos ? list.size() : end + 1);
  return piece;
}

// RFC 3986 section 3.2.2: unreserved, sub-delims or an escape.
bool is_reg_name(std::string_view text) {
  constexpr std::string_view kMarks = "-._~!$&'()*+,;=";
  for (std::size_t at = 0; at < text.size(); ++at) {
    char c = text[at];
    if (c == '%') {
      if (escaped_octet(text, at) < 0) return false;
      at += 2;
      continue;
    }
    const bool letter = lower(c) >= 'a' && lower(c) <= 'z';
    if (!letter && !is_digit(c) && kMarks.find(c) == std::string_view::npos) return false;
  }
  return !text.empty();
}

bool is_ipv4(std::string_view text) {
  for (int part = 0; part < 4; ++part) {
    bool last = part == 3;
    std::size_t dot = text.find('.');
    if (last != (dot == std::string_view::npos)) return false;
    std::string_view number = text.substr(0, dot);
    if (number.empty() || number.size() > 3 || (number.size() > 1 && number[0] == '0'))
      return false;
    int value = 0;
    for (char c : number) {
      if (!is_digit(c)) return false;
      value = value * 10 + (c - '0');
    }
    if (value > 255) return false;
    text.remove_prefix(last ? text.size() : dot + 1);
  }
  return true;
}

// Groups of an IPv6 address between colons; the last may be an IPv4 address, which counts for two.
// -1 when malformed.
int ipv6_groups(std::string_view text, bool at_the_end) {
  if (text.empty()) return 0;
  int groups = 0;
  for (;;) {
    std::size_t colon = text.find(':');
    std::string_view group = text.substr(0, colon);
    bool last = colon == std::string_view::npos;
    if (last && at_the_end && is_ipv4(group)) return groups + 2;
    if (group.empty() || group.size() > 4) return -1;
    for (char c : group) {
      if (hex_value(c) < 0) return -1;
    }
    ++groups;
    if (last) return groups;
    text.remove_prefix(colon + 1);
  }
}

bool is_ipv6(std::string_view text) {
  std::size_t gap = text.find("::");
  if (gap == std::string_view::npos) return ipv6_groups(text, true) == 8;
  int front = ipv6_groups(text.substr(0, gap), false);
  int back = ipv6_groups(text.substr(gap + 2), true);
  return front >= 0 && back >= 0 && front + back <= 7;
}

bool is_port(std::string_view text) {
  std::uint32_t value = 0;
  for (char c : text) {
    if (!is_digit(c)) return false;
    value = value * 10 + static_cast<std::uint32_t>(c - '0');
    if (value > 65535) return false;
  }
  return true;
}

// What a path may have as it is (RFC 3986 section 3.3), and `%`.
bool is_path_character(char c) {
  if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) return true;
  return std::string_view("-._~!$&'()*+,;=:@/%").find(c) != std::string_view::npos;
}

std::array<char, 3> encoded(char c) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  const auto octet = static_cast<unsigned char>(c);
  return {'%', kDigits[octet >> 4], kDigits[octet & 15]};
}

}  // namespace

void append_path(std::string_view path, std::string& out) {
  for (const char c : path) {
    if (is_path_character(c)) {
      out.push_back(c);
    } else {
      const auto escape = encoded(c);
      out.append(escape.data(), escape.size());
    }
  }
}

bool is_spelled_as(std::string_view raw, std::string_view path) {
  for (const char c : path) {
    const auto escape = encoded(c);
    const std::string_view piece =
        is_path_character(c) ? std::string_view(&c, 1) : std::string_view(escape.data(), 3);
    if (!raw.starts_with(piece)) return false;
    raw.remove_prefix(piece.size());
  }
  return raw.empty();
}

base::Parsed<std::string_view> routing_path(std::string_view raw, std::size_t max_segments,
                                            base::Arena& arena) {
  if (raw.empty() || raw.front() != '/') return Bad{Errc::http_bad_target};
  if (!is_plain(raw)) return normalise(raw, max_segments, arena);
  // A path that is no longer than the limit cannot have more slashes.
  if (raw.size() > max_segments &&
      static_cast<std::size_t>(std::count(raw.begin(), raw.end(), '/')) > max_segments) {
    return Bad{Errc::http_too_many_segments};
  }
  return {raw, raw.size()};
}

std::optional<std::string_view> decode_component(std::string_view raw, base::Arena& arena) {
  std::size_t at = raw.find_first_of("%+");
  if (at == std::string_view::npos) return raw;
  char* out = arena.text(raw.size());
  std::memcpy(out, raw.data(), at);
  std::size_t size = at;
  while (at < raw.size()) {
    char c = raw[at];
    if (c == '%') {
      int octet = escaped_octet(raw, at);
      if (octet < 0) return std::nullopt;
      out[size++] = static_cast<char>(octet);
      at += 3;
    } else {
      out[size++] = c == '+' ? ' ' : c;
      ++at;
    }
  }
  return std::string_view(out, size);
}

bool next_parameter(std::string_view& query, std::string_view& name, std::string_view& value) {
  while (!query.empty()) {
    std::string_view piece = take_piece(query, '&');
    if (piece.empty()) continue;
    name = take_piece(piece, '=');
    value = piece;
    return true;
  }
  return false;
}

bool next_cookie(std::string_view& cookies, std::string_view& name, std::string_view& value) {
  while (!cookies.empty()) {
    std::string_view piece = take_piece(cookies, ';');
    if (piece.find('=') == std::string_view::npos) continue;
    name = trim_ows(take_piece(piece, '='));
    value = trim_ows(piece);
    if (!name.empty()) return true;
  }
  return false;
}

bool is_authority(std::string_view text) {
  if (!text.empty() && text.front() == '[') {
    std::size_t end = text.find(']');
    if (end == std::string_view::npos || !is_ipv6(text.substr(1, end - 1))) return false;
    text.remove_prefix(end + 1);
    return text.empty() || (text.front() == ':' && is_port(text.substr(1)));
  }
  std::size_t colon = text.find(':');
  if (!is_reg_name(text.substr(0, colon))) return false;
  return colon == std::string_view::npos || is_port(text.substr(colon + 1));
}

}  // namespace sluice::http
