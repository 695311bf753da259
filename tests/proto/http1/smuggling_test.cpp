// tests/proto/http1/smuggling_test.cpp - a strange byte at each position of the lines that frame a
// request.
//
// A second reader of the same bytes, slow and simple, says whether a head may be accepted and how
// its body is framed. Where the two differ, somebody else's parser might, too.
#include <gtest/gtest.h>

#include <optional>
#include <random>
#include <string>
#include <vector>

#include "proto/http/target.hpp"
#include "proto/http1/cuts.hpp"
#include "proto/http1/request_cases.hpp"

namespace sluice::http1 {
namespace {

struct Framing {
  bool chunked = false;
  std::optional<std::string> length;
};

bool is_name(std::string_view text) {
  if (text.empty()) return false;
  for (const char c : text) {
    if (std::string_view("()<>@,;:\\\"/[]?={} \t").find(c) != std::string_view::npos) return false;
    if (static_cast<unsigned char>(c) <= 0x20 || static_cast<unsigned char>(c) >= 0x7f)
      return false;
  }
  return true;
}

std::string lowered(std::string_view text) {
  std::string out;
  for (const char c : text) out += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

// The fields of a head that ends with an empty line; nullopt when it must be refused.
std::optional<Framing> read_slowly(std::string_view lines) {
  Framing framing;
  int hosts = 0;
  while (!lines.starts_with("\r\n")) {
    const std::size_t end = lines.find("\r\n");
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view line = lines.substr(0, end);
    lines.remove_prefix(end + 2);
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || !is_name(line.substr(0, colon))) return std::nullopt;
    std::string_view value = line.substr(colon + 1);
    for (const char c : value) {
      if ((static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f) return std::nullopt;
    }
    const std::size_t first = value.find_first_not_of(" \t");
    value = first == std::string_view::npos ? "" : value.substr(first);
    value = value.substr(0, value.find_last_not_of(" \t") + 1);
    const std::string name = lowered(line.substr(0, colon));
    if (name == "host" && (++hosts > 1 || value.empty() || !http::is_authority(value)))
      return std::nullopt;
    if (name == "transfer-encoding") {
      if (framing.chunked || lowered(value) != "chunked") return std::nullopt;
      framing.chunked = true;
    }
    if (name == "content-length") {
      if (framing.length || value.empty()) return std::nullopt;
      if (value.find_first_not_of("0123456789") != std::string_view::npos) return std::nullopt;
      framing.length = std::string(value);
    }
    if (name == "expect" && lowered(value) != "100-continue") return std::nullopt;
  }
  if (hosts != 1 || (framing.chunked && framing.length)) return std::nullopt;
  return framing;
}

void expect_same_reading(const std::string& lines) {
  const std::string wire = "POST / HTTP/1.1\r\n" + lines + "\r\n";
  const std::optional<Framing> slow = read_slowly(wire.substr(17));
  RequestDecoder decoder;
  http::RequestHead head;
  const base::Parsed<bool> fast = decoder.decode(as_bytes(wire), {}, head);
  ASSERT_EQ(fast.is_done(), slow.has_value()) << wire << static_cast<int>(fast.error());
  if (!slow) {
    ASSERT_TRUE(fast.is_bad()) << "left without a verdict: " << wire;
    return;
  }
  const std::uint64_t length = slow->length ? std::stoull(*slow->length) : 0;
  EXPECT_EQ(head.body == http::BodyKind::chunked, slow->chunked) << wire;
  EXPECT_EQ(head.content_length, length) << wire;
  EXPECT_EQ(head.body == http::BodyKind::length, length > 0) << wire;
}

const std::string kLines[] = {
    "Host: a\r\nTransfer-Encoding: chunked\r\n",
    "Host: a\r\nContent-Length: 42\r\n",
    "Content-Length: 4\r\nHost: a\r\nX: y\r\n",
    "Host: a\r\nX: y\r\nTransfer-Encoding:chunked\r\nY: z\r\n",
    "Host: a\r\nX: y\r\nExpect: 100-continue\r\n",
};

TEST(Smuggling, EveryByteInsertedAtEveryPosition) {
  for (const std::string& lines : kLines) {
    for (std::size_t at = 0; at <= lines.size(); ++at) {
      for (int byte = 0; byte < 256; ++byte) {
        std::string changed = lines;
        changed.insert(at, 1, static_cast<char>(byte));
        expect_same_reading(changed);
      }
    }
  }
}

TEST(Smuggling, EveryByteInPlaceOfEveryPosition) {
  for (const std::string& lines : kLines) {
    for (std::size_t at = 0; at < lines.size(); ++at) {
      for (int byte = 0; byte < 256; ++byte) {
        std::string changed = lines;
        changed[at] = static_cast<char>(byte);
        expect_same_reading(changed);
      }
    }
  }
}

TEST(Smuggling, EveryPieceInsertedAtEveryPosition) {
  const std::string pieces[] = {
      "\r\n",
      "\r\n ",
      "\r\n\t",
      "\n ",
      "\r ",
      " \r\n",
      "\r\r\n",
      "\n\r\n",
      " :",
      ": ",
      "::",
      "\t:",
      "Transfer-Encoding: chunked\r\n",
      "\r\nTransfer-Encoding: chunked",
      "\nTransfer-Encoding: chunked",
      "\rTransfer-Encoding: chunked",
      "Content-Length: 0\r\n",
      "\r\nContent-Length: 7",
      "\nContent-Length: 7",
      "\r\n\r\n",
      ", chunked",
      ",",
      "\xe2\x80\xa8",
      "\xc2\xa0",
      "\xc4\x8a",
      "\xc4\x8d",
      "%0d%0a",
      "\\r\\n",
  };
  for (const std::string& lines : kLines) {
    for (std::size_t at = 0; at <= lines.size(); ++at) {
      for (const std::string& piece : pieces) {
        std::string changed = lines;
        changed.insert(at, piece);
        // An empty line inside ends the head there; what follows is the body, or the next request.
        const std::size_t end = changed.find("\r\n\r\n");
        if (changed.starts_with("\r\n")) continue;
        if (end != std::string::npos) changed.resize(end + 2);
        expect_same_reading(changed);
      }
    }
  }
}

// Heads that were changed at random: the verdict is the same however they are cut.
TEST(Smuggling, OneVerdictForMutatedHeads) {
  std::vector<std::string> seeds;
  for (const Case& row : whole_head_cases()) seeds.emplace_back(row.text);
  for (const Case& row : field_line_cases()) seeds.push_back(wire_of_field_line(row.text));
  for (const Case& row : request_line_cases()) seeds.push_back(wire_of_request_line(row.text));
  std::mt19937 random(20261122);
  const auto below = [&](std::size_t bound) {
    return std::uniform_int_distribution<std::size_t>(0, bound - 1)(random);
  };
  const std::string strange("\r\n\0 \t:,;#\x7f\x80\xff/?", 15);
  for (int round = 0; round < 20000; ++round) {
    std::string wire = seeds[below(seeds.size())];
    for (std::size_t change = below(4); change > 0; --change) {
      const std::size_t at = below(wire.size());
      switch (below(4)) {
        case 0:
          wire[at] = strange[below(strange.size())];
          break;
        case 1:
          wire.insert(at, 1, strange[below(strange.size())]);
          break;
        case 2:
          if (wire.size() > 1) wire.erase(at, 1 + below(3));
          break;
        default:
          wire.insert(at, seeds[below(seeds.size())].substr(0, below(40)));
          break;
      }
      if (wire.empty()) wire = "\r";
    }
    const http::HeadLimits limits{
        .head_bytes = 20 + below(300), .field_bytes = 5 + below(100), .fields = 1 + below(6)};
    const Outcome whole = feed_request(wire, {}, limits);
    Cuts cuts;
    for (std::size_t at = below(20); at < wire.size(); at += 1 + below(20)) cuts.push_back(at);
    ASSERT_EQ(feed_request(wire, cuts, limits), whole) << wire;
    Cuts bytes(wire.size());
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = i;
    ASSERT_EQ(feed_request(wire, bytes, limits), whole) << wire;
  }
}

}  // namespace
}  // namespace sluice::http1
