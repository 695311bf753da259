// proto/http/range.cpp - ranges, Content-Range and the parts of multipart/byteranges.
//
// RFC 9110 sections 14.1, 14.2, 14.4 and 14.6. Layer: proto. No I/O. Thread: any.
#include "proto/http/range.hpp"

#include <algorithm>
#include <charconv>
#include <limits>

#include "proto/http/token.hpp"

namespace sluice::http {
namespace {

constexpr std::size_t kMostRanges = 64;
constexpr std::uint64_t kHuge = std::numeric_limits<std::uint64_t>::max();

// Takes `bytes=` off, in any case.
bool take_unit(std::string_view& field) {
  constexpr std::string_view unit = "bytes=";
  if (!equal_nocase(field.substr(0, unit.size()), unit)) return false;
  field.remove_prefix(unit.size());
  return true;
}

// 1*DIGIT. Leading zeros go, so that two of them compare by length, then by text.
bool take_digits(std::string_view& text, std::string_view& digits) {
  std::size_t end = 0;
  while (end < text.size() && is_digit(text[end])) ++end;
  if (end == 0) return false;
  digits = text.substr(0, end);
  text.remove_prefix(end);
  digits.remove_prefix(std::min(digits.find_first_not_of('0'), digits.size()));
  return true;
}

bool less(std::string_view a, std::string_view b) {
  return a.size() != b.size() ? a.size() < b.size() : a < b;
}

// What does not fit is as good as the largest number.
std::uint64_t number_of(std::string_view digits) {
  std::uint64_t value = 0;
  if (digits.empty()) return 0;
  auto result = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return result.ec == std::errc() ? value : kHuge;
}

enum class Spec : std::uint8_t { malformed, outside, inside, all_of_nothing };

// One range-spec: `first-`, `first-last` or `-suffix`.
Spec read_spec(std::string_view spec, std::uint64_t size, ByteRange& range) {
  std::string_view first, last;
  if (spec.starts_with('-')) {
    spec.remove_prefix(1);
    if (!take_digits(spec, last) || !spec.empty()) return Spec::malformed;
    std::uint64_t suffix = number_of(last);
    if (suffix == 0) return Spec::outside;
    // Satisfiable (section 14.1.2), yet there is no way to say so in Content-Range.
    if (size == 0) return Spec::all_of_nothing;
    range = {suffix < size ? size - suffix : 0, size - 1};
    return Spec::inside;
  }
  if (!take_digits(spec, first) || !spec.starts_with('-')) return Spec::malformed;
  spec.remove_prefix(1);
  bool open = spec.empty();
  if (!open && (!take_digits(spec, last) || !spec.empty() || less(last, first))) {
    return Spec::malformed;
  }
  range.first = number_of(first);
  if (range.first >= size) return Spec::outside;
  range.last = open ? size - 1 : std::min(number_of(last), size - 1);
  return Spec::inside;
}

void append_number(std::string& text, std::uint64_t number) {
  char digits[20];
  auto result = std::to_chars(digits, digits + sizeof digits, number);
  text.append(digits, result.ptr);
}

void append_content_range(std::string& text, const ByteRange& range, std::uint64_t size) {
  text += "bytes ";
  append_number(text, range.first);
  text += '-';
  append_number(text, range.last);
  text += '/';
  append_number(text, size);
}

}  // namespace

RangeVerdict read_range(std::string_view field, std::uint64_t size,
                        std::vector<ByteRange>& ranges) {
  ranges.clear();
  const auto whole = [&ranges] {
    ranges.clear();
    return RangeVerdict::whole;
  };
  field = trim_ows(field);
  if (!take_unit(field)) return whole();
  std::size_t specs = 0;
  std::uint64_t sum = 0;
  bool all_of_nothing = false;
  while (!field.empty()) {
    std::size_t comma = field.find(',');
    std::string_view spec = trim_ows(field.substr(0, comma));
    field.remove_prefix(comma == std::string_view::npos ? field.size() : comma + 1);
    if (spec.empty()) continue;  // a recipient accepts empty elements (section 5.6.1.2)
    if (++specs > kMostRanges) return whole();
    ByteRange range;
    switch (read_spec(spec, size, range)) {
      case Spec::malformed:
        return whole();
      case Spec::outside:
        break;
      case Spec::all_of_nothing:
        all_of_nothing = true;
        break;
      case Spec::inside:
        // Only ranges that overlap can add up to more than there is.
        if (range.size() > size - sum) return whole();
        sum += range.size();
        ranges.push_back(range);
    }
  }
  if (specs == 0 || all_of_nothing) return whole();
  return ranges.empty() ? RangeVerdict::unsatisfiable : RangeVerdict::partial;
}

std::string content_range(const ByteRange& range, std::uint64_t size) {
  std::string text;
  append_content_range(text, range, size);
  return text;
}

std::string content_range_unsatisfied(std::uint64_t size) {
  std::string text = "bytes */";
  append_number(text, size);
  return text;
}

std::string part_head(std::string_view boundary, std::string_view content_type,
                      const ByteRange& range, std::uint64_t size, bool first) {
  std::string text = first ? "--" : "\r\n--";
  text.append(boundary).append("\r\n");
  if (!content_type.empty()) text.append("Content-Type: ").append(content_type).append("\r\n");
  text += "Content-Range: ";
  append_content_range(text, range, size);
  text += "\r\n\r\n";
  return text;
}

std::string parts_end(std::string_view boundary) {
  std::string text = "\r\n--";
  text.append(boundary).append("--\r\n");
  return text;
}

}  // namespace sluice::http
