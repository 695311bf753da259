// fuzz/http/routing_path_fuzz.cpp - whatever comes in, a routing path keeps its promises.
//
// It begins at the root and never leaves it, holds no dot segment, no control, no escape but the
// three that stay, and is its own routing path. Layer: fuzz.
#include <string>

#include "http/expect.hpp"
#include "proto/http/target.hpp"

using namespace sluice;
using namespace sluice::http;

namespace {

std::size_t count(std::string_view text, char c) {
  std::size_t n = 0;
  for (char each : text) n += each == c;
  return n;
}

void check_promises(std::string_view path) {
  EXPECT_THAT(path.starts_with('/'));
  EXPECT_THAT((std::string(path) + "/").find("/./") == std::string::npos);
  EXPECT_THAT((std::string(path) + "/").find("/../") == std::string::npos);
  for (std::size_t at = 0; at < path.size(); ++at) {
    const auto octet = static_cast<unsigned char>(path[at]);
    EXPECT_THAT(octet >= 0x20 && octet != 0x7f && octet != 0xc0 && octet != 0xc1 && octet < 0xf5);
    if (octet == '%') {
      std::string_view escape = path.substr(at, 3);
      EXPECT_THAT(escape == "%2F" || escape == "%5C" || escape == "%25");
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view raw = text_of(data, size);
  base::Arena arena;
  auto parsed = routing_path(raw, 255, arena);
  EXPECT_THAT(!parsed.needs_more());
  if (parsed.is_bad()) {
    // Where there were too many segments, a larger limit may find something else, never nothing.
    const bool many = parsed.error() == Errc::http_too_many_segments;
    EXPECT_THAT(!many || count(raw, '/') > 255);
    EXPECT_THAT(many || routing_path(raw, size + 1, arena).error() == parsed.error());
    return 0;
  }
  const std::string_view path = parsed.value();
  EXPECT_THAT(parsed.used() == raw.size());
  EXPECT_THAT(path.size() <= raw.size());
  EXPECT_THAT(count(raw, '/') <= 255);
  EXPECT_THAT((path == raw) == (path.data() == raw.data()));
  check_promises(path);

  // As a target again, with what a target cannot hold escaped: the same path.
  std::string target;
  for (char c : path) {
    if (c == '?') {
      target += "%3F";
    } else if (c == '#') {
      target += "%23";
    } else {
      target += c;
    }
  }
  auto again = routing_path(target, 255, arena);
  EXPECT_THAT(again.is_done() && again.value() == path);

  // With every octet that may be escaped: the same path, too.
  target.clear();
  for (std::size_t at = 0; at < path.size(); ++at) {
    constexpr std::string_view digits = "0123456789abcdef";
    const auto octet = static_cast<unsigned char>(path[at]);
    if (octet == '/' || octet == '\\') {
      target += path[at];
    } else if (octet == '%') {
      target += path.substr(at, 3);
      at += 2;
    } else {
      target += '%';
      target += digits[octet >> 4];
      target += digits[octet & 15];
    }
  }
  again = routing_path(target, 255, arena);
  EXPECT_THAT(again.is_done() && again.value() == path);
  return 0;
}
