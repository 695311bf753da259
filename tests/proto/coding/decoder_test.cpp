// tests/proto/coding/decoder_test.cpp - codings undone at every cut, what is refused, and limits.
//
// RFC 9110 section 8.4, RFC 1950 to 1952, 7932, 8878 and 9659. Layer: tests.
#include "proto/coding/decoder.hpp"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "proto/coding/texts.hpp"

namespace sluice::coding {
namespace {

using Codings = std::vector<ContentCoding>;
using enum ContentCoding;

constexpr std::string_view kHello = "Hello, hello, content coding! Hello, hello.";

std::string from_hex(std::string_view hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  }
  return bytes;
}

// Made by others: python 3.11 (gzip, zlib), node 18 (br), the program zstd 1.5.4.
const std::string kDeflated = "f348cdc9c9d751c88050c9f97925a97925403a25332f5d51c10349560f00";
const std::string kGzip = from_hex("1f8b0800000000000203" + kDeflated + "d64fe92b2b000000");
const std::string kZlib = from_hex("789c" + kDeflated + "4bb40ef3");
const std::string kRaw = from_hex(kDeflated);
const std::string kBr = from_hex(
    "1b2a00f81d89b18d8a7d77e41bb2441a436b9010b63759e6c2021b70e0940498f8762730420bb938ea188cfe56a8"
    "73");
const std::string kZstd = from_hex(
    "28b52ffd0058150100c848656c6c6f2c2068636f6e74656e7420636f64696e6721202e020082e24b43e1"
    "02");
const std::string kZstdSum = from_hex(
    "28b52ffd0468150100c848656c6c6f2c2068636f6e74656e7420636f64696e6721202e020082e24b43e1"
    "02cb9a79ed");
const std::string kSkipped = from_hex("532a4d1803000000616263");

// A frame of 6,477 bytes in two stored blocks. Its head, which ends with 50 2a 4d 18, looks like a
// frame to be skipped of its own; whoever skips that comes to a frame inside of the second block,
// and then to one that is to be skipped up to the end.
std::string frame_in_disguise(std::string& content) {
  constexpr std::size_t kSize = 0x184d + 256, kFirst = 5, kSecond = kSize - kFirst, kHidden = 33;
  const auto block = [](std::size_t size, bool last) {
    const std::size_t head = size << 3 | std::size_t{last};
    return std::string{static_cast<char>(head), static_cast<char>(head >> 8),
                       static_cast<char>(head >> 16)};
  };
  const auto four = [](std::size_t size) {
    return std::string{static_cast<char>(size), static_cast<char>(size >> 8), 0, 0};
  };
  const std::string first = std::string("\0abcd", kFirst);
  std::string second = std::string(kHidden, 'x') + kZstd + from_hex("502a4d18");
  second += four(kSecond - second.size() - 4);
  second.resize(kSecond, 'y');
  content = first + second;
  return from_hex("28b52ffd502a4d18") + block(kFirst, false) + first + block(kSecond, true) +
         second;
}

// The same verdict at every cut in two, byte by byte, and with little room.
Decoded at_every_cut(const Codings& codings, const std::string& coded,
                     const DecoderLimits& limits = {}) {
  auto decoder = Decoder::make(codings, limits);
  const Decoded whole = decode(*decoder, coded);
  const auto same = [&](const Decoded& other) {
    return other.error == whole.error && (whole.error != Errc::none || other.text == whole.text);
  };
  for (const std::size_t in : {1u, 2u, 3u, 7u}) {
    for (const std::size_t out : {1u, 2u, 13u, 100'000u}) {
      decoder->reset(limits);
      EXPECT_TRUE(same(decode(*decoder, coded, in, out))) << in << ' ' << out;
      decoder->reset(limits);
      EXPECT_TRUE(same(decode(*decoder, coded, in, out, true))) << in << ' ' << out;
    }
  }
  for (std::size_t cut = 1; cut < coded.size() && coded.size() < 1000; ++cut) {
    decoder->reset(limits);
    EXPECT_TRUE(same(decode(*decoder, coded, cut))) << cut;
  }
  return whole;
}

TEST(Decoders, WhatOthersMadeAndWhatIsRefused) {
  constexpr Errc kGood = Errc::none, kBad = Errc::http_bad_content_coding,
                 kCut = Errc::http_coding_truncated;
  const auto with = [](std::string text, std::size_t at, char c) {
    text[at] = c;
    return text;
  };
  struct Case {
    const char* what;
    ContentCoding coding;
    std::string bytes;
    Errc error;
    std::string text = {};
  };
  const std::string hello(kHello);
  const Case cases[] = {
      {"gzip", gzip, kGzip, kGood, hello},
      {"several members", gzip, kGzip + kGzip + kGzip, kGood, hello + hello + hello},
      {"an empty member", gzip, from_hex("1f8b080000000000020303000000000000000000"), kGood},
      {"gzip with a name, a comment, more and a sum of its head", gzip,
       from_hex("1f8b081e000000000203") + std::string("\x02\0ab", 4) + std::string("name\0", 5) +
           std::string("note\0", 5) + "??",
       kBad},
      {"gzip with a name", gzip, with(kGzip, 3, 8).insert(10, std::string("a\0", 2)), kGood, hello},
      {"gzip, its sum is wrong", gzip, with(kGzip, kGzip.size() - 8, 0), kBad},
      {"gzip, its length is wrong", gzip, with(kGzip, kGzip.size() - 4, 1), kBad},
      {"gzip, reserved flags", gzip, with(kGzip, 3, '\x20'), kBad},
      {"gzip, another method", gzip, with(kGzip, 2, 7), kBad},
      {"gzip, a byte behind it", gzip, kGzip + "x", kBad},
      {"gzip, zeros behind it", gzip, kGzip + std::string(512, '\0'), kBad},
      {"gzip, a member that is none", gzip, kGzip + "\x1f\x8c", kBad},
      {"gzip, half a member", gzip, kGzip + "\x1f", kCut},
      {"gzip, a member that is cut", gzip, kGzip + kGzip.substr(0, 20), kCut},
      {"zlib is no gzip", gzip, kZlib, kBad},
      {"text is no gzip", gzip, hello, kBad},
      {"zlib", deflate, kZlib, kGood, hello},
      {"raw", deflate, kRaw, kGood, hello},
      {"raw and empty", deflate, from_hex("0300"), kGood},
      {"raw and stored", deflate, from_hex("010300fcff616263"), kGood, "abc"},
      {"zlib and empty", deflate, from_hex("789c030000000001"), kGood},
      {"zlib, its sum is wrong", deflate, with(kZlib, kZlib.size() - 1, 0), kBad},
      {"zlib, a byte behind it", deflate, kZlib + "x", kBad},
      {"raw, a byte behind it", deflate, kRaw + std::string(1, '\0'), kBad},
      {"raw and empty, a byte behind it", deflate, from_hex("030000"), kBad},
      {"twice", deflate, kZlib + kZlib, kBad},
      {"zlib with a dictionary", deflate, from_hex("78bb") + kZlib.substr(2), kBad},
      {"one byte", deflate, "x", kCut},
      {"gzip is no deflate", deflate, kGzip, kBad},
      {"br", br, kBr, kGood, hello},
      {"br and empty", br, from_hex("06"), kGood},
      {"br, a byte behind it", br, kBr + "x", kBad},
      {"br, zeros behind it", br, kBr + std::string(9, '\0'), kBad},
      {"br twice", br, kBr + kBr, kBad},
      {"br, damaged", br, with(kBr, 3, '\xff'), kBad},
      {"br, a large window", br, from_hex("11") + kBr, kBad},
      {"zstd", zstd, kZstd, kGood, hello},
      {"zstd with a sum", zstd, kZstdSum, kGood, hello},
      {"several frames", zstd, kZstd + kZstdSum + kZstd, kGood, hello + hello + hello},
      {"frames to be skipped", zstd, kSkipped + kZstd + kSkipped, kGood, hello},
      {"nothing but such", zstd, kSkipped, kGood},
      {"an empty frame", zstd, from_hex("28b52ffd240001000099e9d851"), kGood},
      {"zstd, its sum is wrong", zstd, with(kZstdSum, kZstdSum.size() - 1, 0), kBad},
      {"zstd, a byte behind it", zstd, kZstd + "x", kBad},
      {"zstd, zeros behind it", zstd, kZstd + std::string(4, '\0'), kBad},
      {"zstd, half a magic number", zstd, kZstd + "\x28\xb5", kCut},
      {"zstd, a frame to be skipped is cut", zstd, kZstd + kSkipped.substr(0, 9), kCut},
      {"zstd 0.7", zstd, with(kZstd, 0, '\x27'), kBad},
      {"zstd 0.6", zstd, with(kZstd, 0, '\x26'), kBad},
      {"zstd, its size is right, behind it an empty block", zstd,
       from_hex("28b52ffd2003180000616263010000"), kGood, "abc"},
      {"zstd, its size is wrong, behind it an empty block", zstd,
       from_hex("28b52ffd2004180000616263010000"), kBad},
      {"zstd, a size and nothing but an empty block", zstd, from_hex("28b52ffd2040010000"), kBad},
      {"zstd, its size is wrong", zstd, from_hex("28b52ffd2004190000616263"), kBad},
      {"zstd with a dictionary", zstd, from_hex("28b52ffd01580102030400000100"), kBad},
      {"zstd, a window of 8 MiB", zstd, from_hex("28b52ffd0068010000"), kGood},
      {"zstd, a window of 9 MiB", zstd, from_hex("28b52ffd0069010000"), kBad},
      {"zstd, a window of 128 MiB", zstd, from_hex("28b52ffd0088010000"), kBad},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.what);
    const Decoded got = at_every_cut({c.coding}, c.bytes);
    EXPECT_EQ(got.error, c.error);
    if (c.error == Errc::none) {
      EXPECT_EQ(got.text, c.text);
    }
  }
}

// What the library is given at once must not decide what it takes for the beginning of a frame.
TEST(Decoders, AZstdFrameWhoseHeadLooksLikeAnother) {
  std::string content;
  const std::string frame = frame_in_disguise(content);
  EXPECT_EQ(at_every_cut({zstd}, frame), (Decoded{content, {}}));
  EXPECT_EQ(at_every_cut({zstd}, kZstd + frame + kZstd),
            (Decoded{std::string(kHello) + content + std::string(kHello), {}}));
}

TEST(Decoders, NothingAtAllIsEmpty) {
  for (const ContentCoding coding : {gzip, deflate, br, zstd}) {
    EXPECT_EQ(at_every_cut({coding}, ""), Decoded{}) << name_of(coding);
  }
  EXPECT_EQ(at_every_cut({gzip, br}, ""), Decoded{});
  // But a coding of nothing at all is no coding of a coded nothing.
  EXPECT_EQ(at_every_cut({gzip, br}, encoded(br, "")).error, Errc::http_coding_truncated);
}

// Every prefix says that it is one.
TEST(Decoders, Truncated) {
  const std::map<ContentCoding, std::string> all = {
      {gzip, kGzip}, {deflate, kZlib}, {br, kBr}, {zstd, kZstdSum}};
  for (const auto& [coding, bytes] : all) {
    for (std::size_t size = 1; size < bytes.size(); ++size) {
      const auto got = decoded({coding}, bytes.substr(0, size));
      EXPECT_EQ(got.error, Errc::http_coding_truncated) << name_of(coding) << ' ' << size;
      EXPECT_EQ(got.text, kHello.substr(0, got.text.size()));
    }
  }
}

// One bit wrong: never another content, where there is a sum; never a crash.
TEST(Decoders, Damaged) {
  const std::map<ContentCoding, std::string> all = {
      {gzip, kGzip}, {deflate, kZlib}, {br, kBr}, {zstd, kZstdSum}};
  for (const auto& [coding, bytes] : all) {
    for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
      std::string bad = bytes;
      bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ 1 << bit % 8);
      const auto whole = decoded({coding}, bad);
      const auto cut = decoded({coding}, bad, 1, 3);
      EXPECT_EQ(whole.error, cut.error) << name_of(coding) << ' ' << bit;
      if (whole.error == Errc::none && coding != br) {
        EXPECT_EQ(whole.text, kHello) << name_of(coding) << ' ' << bit;
      }
    }
  }
}

TEST(Decoders, RandomContentsAtEveryCut) {
  for (const ContentCoding coding : kMade) {
    SCOPED_TRACE(name_of(coding));
    for (const std::string& text : {noise(600, 1), prose(900, 2), noise(3, 3)}) {
      EXPECT_EQ(at_every_cut({coding}, encoded(coding, text)), (Decoded{text, {}}));
    }
    const std::string large = prose(300'000, 4) + noise(100'000, 5);
    const std::string packed = encoded(coding, large);
    for (const std::size_t in : {1u, 4095u, 4096u, 4097u, 100'000u}) {
      EXPECT_EQ(decoded({coding}, packed, in, 5000), (Decoded{large, {}})) << in;
    }
  }
}

TEST(Decoders, SeveralInARow) {
  const std::string text = prose(50'000, 6) + noise(20'000, 7);
  for (const ContentCoding first : kMade) {
    for (const ContentCoding second : kMade) {
      SCOPED_TRACE(name_of(first) + ", " + name_of(second));
      const std::string packed = encoded(second, encoded(first, text));
      EXPECT_EQ(decoded({first, second}, packed), (Decoded{text, {}}));
      EXPECT_EQ(decoded({first, second}, packed, 1000, 777), (Decoded{text, {}}));
      if (first != second) {
        EXPECT_EQ(decoded({second, first}, packed).error, Errc::http_bad_content_coding);
      }
      EXPECT_EQ(at_every_cut({first, second}, encoded(second, encoded(first, "short"))),
                (Decoded{"short", {}}));
      EXPECT_EQ(at_every_cut({first, second}, encoded(second, encoded(first, "short") + "x")).error,
                Errc::http_bad_content_coding);
      const std::string inner = encoded(first, "short");
      EXPECT_EQ(
          at_every_cut({first, second}, encoded(second, inner.substr(0, inner.size() - 1))).error,
          Errc::http_coding_truncated);
    }
  }
  const std::string four = encoded(gzip, encoded(zstd, encoded(br, encoded(gzip, text))));
  EXPECT_EQ(decoded({gzip, br, zstd, gzip}, four, 999, 999), (Decoded{text, {}}));
}

TEST(Decoders, ExactlyTheLimitAndOneMore) {
  for (const ContentCoding coding : kMade) {
    SCOPED_TRACE(name_of(coding));
    const std::string text = prose(1000, 8), packed = encoded(coding, text);
    EXPECT_EQ(at_every_cut({coding}, packed, {1000, 0, 0}), (Decoded{text, {}}));
    EXPECT_EQ(at_every_cut({coding}, packed, {999, 0, 0}).error, Errc::http_coding_too_large);
    EXPECT_EQ(at_every_cut({coding}, packed, {0, 0, 0}).error, Errc::http_coding_too_large);
    EXPECT_EQ(at_every_cut({coding}, encoded(coding, ""), {0, 0, 0}), Decoded{});
    // No more than one byte over it is ever made.
    for (const std::size_t out : {1u, 100u, 10'000u}) {
      EXPECT_LE(decoded({coding}, packed, 1 << 20, out, {500, 0, 0}).text.size(), 501u);
    }
    const std::string twice = encoded(coding, packed);
    EXPECT_EQ(at_every_cut({coding, coding}, twice, {1000, 0, 0}), (Decoded{text, {}}));
    EXPECT_EQ(at_every_cut({coding, coding}, twice, {999, 0, 0}).error,
              Errc::http_coding_too_large);
  }
}

TEST(Decoders, TheRatio) {
  const std::string zeros(3'000'000, '\0');
  for (const ContentCoding coding : kMade) {
    SCOPED_TRACE(name_of(coding));
    const std::string packed = encoded(coding, zeros);
    ASSERT_LT(packed.size(), Decoder::kRatioStep);
    // Within the first step `ratio` times a step is let through, or ratio_from.
    const auto verdict = [&](unsigned ratio, std::uint64_t from, std::size_t in, std::size_t out) {
      return decoded({coding}, packed, in, out, {1 << 30, ratio, from}).error;
    };
    for (const std::size_t in : {1u, 100u, 1u << 20}) {
      for (const std::size_t out : {1000u, 1u << 20}) {
        EXPECT_EQ(verdict(0, 0, in, out), Errc::none);
        EXPECT_EQ(verdict(200, 1 << 20, in, out), Errc::http_coding_too_large);
        EXPECT_EQ(verdict(200, 2'999'999, in, out), Errc::http_coding_too_large);
        EXPECT_EQ(verdict(200, 3'000'000, in, out), Errc::none);
        EXPECT_EQ(verdict(732, 0, in, out), Errc::http_coding_too_large) << 732 * 4096;
        EXPECT_EQ(verdict(733, 0, in, out), Errc::none) << 733 * 4096;
      }
    }
    // What is said first pays for what comes later.
    const std::string paid = encoded(coding, noise(20'000, 9) + zeros);
    EXPECT_EQ(decoded({coding}, paid, 777, 5000, {1 << 30, 200, 1 << 20}).error, Errc::none);
    EXPECT_EQ(decoded({coding}, paid, 777, 5000, {1 << 30, 100, 1 << 20}).error,
              Errc::http_coding_too_large);
  }
}

// A coding that makes nothing of much, and what is large between two codings only.
TEST(Decoders, WhatIsBetweenIsBounded) {
  std::string empty_members;
  const std::string member = encoded(gzip, "");
  while (empty_members.size() < 3'000'000) empty_members += member;
  const std::string packed = encoded(br, empty_members);
  EXPECT_EQ(decoded({gzip, br}, packed, 1 << 20, 1000, {1 << 20, 0, 0}).error,
            Errc::http_coding_too_large);
  EXPECT_EQ(decoded({gzip, br}, packed, 1 << 20, 1000, {1 << 30, 200, 1 << 20}).error,
            Errc::http_coding_too_large);
  EXPECT_EQ(decoded({gzip, br}, packed, 1 << 20, 1000, {1 << 30, 0, 0}), Decoded{});
}

// What makes nothing of very much: a name without end, members and frames of nothing, frames to be
// skipped.
TEST(Decoders, WhatComesIsBounded) {
  const std::string name = from_hex("1f8b0808000000000203") + std::string(2'000'000, 'n');
  const auto many = [](const std::string& piece) {
    std::string all;
    while (all.size() < 2'000'000) all += piece;
    return all;
  };
  struct Case {
    const char* what;
    ContentCoding coding;
    std::string bytes;
  };
  const Case cases[] = {
      {"a name", gzip, name},
      {"members", gzip, many(encoded(gzip, ""))},
      {"frames", zstd, many(encoded(zstd, ""))},
      {"frames to be skipped", zstd, many(kSkipped)},
      {"one to be skipped", zstd, from_hex("502a4d18ffffffff") + std::string(2'000'000, 's')},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.what);
    for (const std::size_t in : {100u, 1u << 22}) {
      for (const DecoderLimits& limits :
           {DecoderLimits{1 << 20, 0, 0}, DecoderLimits{1 << 20, 200, 1 << 20}}) {
        EXPECT_EQ(decoded({c.coding}, c.bytes, in, 5000, limits).error,
                  Errc::http_coding_too_large);
      }
      EXPECT_NE(decoded({c.coding}, c.bytes, in, 5000, {2'000'000, 200, 1 << 20}).error,
                Errc::http_coding_too_large);
    }
  }
  // What cannot shrink grows a little, and may.
  for (const ContentCoding coding : kMade) {
    const std::string text = noise(1'000'000, 11);
    EXPECT_EQ(decoded({coding}, encoded(coding, text), 777, 5000, {text.size(), 200, 0}),
              (Decoded{text, {}}));
  }
}

// Who goes on after an error gets the error, and nothing else.
TEST(Decoders, ErrorsStay) {
  std::vector<std::byte> room(10'000);
  for (const ContentCoding coding : {gzip, deflate, br, zstd}) {
    SCOPED_TRACE(name_of(coding));
    const std::string text = prose(5000, 12);
    const std::string packed = coding == deflate ? encoded(gzip, text) : encoded(coding, text);
    auto decoder = Decoder::make(Codings{coding}, {1000, 0, 0});
    const Errc error =
        coding == deflate ? Errc::http_bad_content_coding : Errc::http_coding_too_large;
    Bytes left = as_bytes(packed);
    for (int i = 0; i < 3; ++i) {
      const auto step = decoder->decode(left, true, room);
      EXPECT_EQ(step.error, error) << i;
      EXPECT_LE(step.made, i == 0 ? 1001u : 0u) << i;
      left = left.subspan(step.used);
    }
    decoder->reset({});
    EXPECT_EQ(decode(*decoder, packed.substr(0, packed.size() - 1)).error,
              coding == deflate ? Errc::http_bad_content_coding : Errc::http_coding_truncated);
    EXPECT_NE(decoder->decode(as_bytes(packed).last(1), true, room).error, Errc::none);
    decoder->reset({});
    EXPECT_EQ(decode(*decoder, "").error, Errc::none);
  }
}

TEST(Decoders, ResetForgets) {
  for (const ContentCoding coding : kMade) {
    SCOPED_TRACE(name_of(coding));
    const std::string text = prose(5000, 10), packed = encoded(coding, text);
    auto decoder = Decoder::make(Codings{coding}, {});
    for (const std::string& before :
         {packed.substr(0, 10), packed.substr(0, packed.size() / 2), packed, packed + "x"}) {
      decode(*decoder, before);
      decoder->reset({4999, 0, 0});
      EXPECT_EQ(decode(*decoder, packed).error, Errc::http_coding_too_large);
      decoder->reset({});
      EXPECT_EQ(decode(*decoder, packed), (Decoded{text, {}}));
      decoder->reset({});
    }
  }
}

}  // namespace
}  // namespace sluice::coding
