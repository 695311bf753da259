// fuzz/http/range_fuzz.cpp - ranges lie inside the representation and together are no larger than
// it.
//
// The first 8 octets are its size, the rest is the field. Layer: fuzz.
#include <cstring>
#include <string>

#include "http/expect.hpp"
#include "proto/http/range.hpp"

using namespace sluice::http;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::uint64_t length = 0;
  if (size < sizeof length) return 0;
  std::memcpy(&length, data, sizeof length);
  if (length >> 56 != 0xff) length &= 0xffff;  // mostly small ones, where ranges meet the end
  const std::string_view field = text_of(data + sizeof length, size - sizeof length);

  std::vector<ByteRange> ranges = {{1, 2}};
  const RangeVerdict verdict = read_range(field, length, ranges);
  EXPECT_THAT((verdict == RangeVerdict::partial) == !ranges.empty());
  EXPECT_THAT(ranges.size() <= 64);
  std::uint64_t left = length;
  std::string same = "bytes=";
  for (const ByteRange& range : ranges) {
    EXPECT_THAT(range.first <= range.last && range.last < length);
    EXPECT_THAT(range.size() <= left);
    left -= range.size();
    same += std::to_string(range.first) + "-" + std::to_string(range.last) + ",";
    EXPECT_THAT(content_range(range, length) == "bytes " + std::to_string(range.first) + "-" +
                                                    std::to_string(range.last) + "/" +
                                                    std::to_string(length));
  }
  if (verdict == RangeVerdict::partial) {
    std::vector<ByteRange> again;
    EXPECT_THAT(read_range(same, length, again) == verdict && again == ranges);
  }
  return 0;
}
