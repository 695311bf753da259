// proto/http/range.hpp - ranges, and how a representation is cut by them.
//
// RFC 9110 section 14. Layer: proto. No I/O.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::http {

struct ByteRange {
  std::uint64_t first = 0, last = 0;  // inclusive
  std::uint64_t size() const { return last - first + 1; }
  friend bool operator==(const ByteRange&, const ByteRange&) = default;
};

enum class RangeVerdict : std::uint8_t {
  // Send all of it (200): no Range, an unknown unit, malformed, more than 64 ranges, so many
  // overlapping ones that their sum is larger than the representation, or a suffix of nothing.
  whole,
  partial,        // 206 with `ranges`
  unsatisfiable,  // 416
};

// Ranges in the order asked for, clamped to `size`; unsatisfiable ones among others are left out.
// `ranges` is emptied first and keeps its capacity. Only GET has ranges: ask for no other method
// (section 14.2).
RangeVerdict read_range(std::string_view field, std::uint64_t size, std::vector<ByteRange>& ranges);

// "bytes 0-4/10", "bytes */10".
std::string content_range(const ByteRange& range, std::uint64_t size);
std::string content_range_unsatisfied(std::uint64_t size);

// multipart/byteranges (RFC 9110 section 14.6): the lines in front of each part, and the end.
std::string part_head(std::string_view boundary, std::string_view content_type,
                      const ByteRange& range, std::uint64_t size, bool first);
std::string parts_end(std::string_view boundary);

}  // namespace sluice::http
