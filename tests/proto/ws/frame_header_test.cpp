// tests/proto/ws/frame_header_test.cpp - frame headers from bytes and to bytes; the mask.
//
// RFC 6455 sections 5.2, 5.3, 5.5, 5.7. Layer: tests.
#include "proto/ws/frame_header.hpp"

#include <gtest/gtest.h>

#include <random>

#include "proto/ws/wire.hpp"

namespace sluice::ws {
namespace {

struct Case {
  std::string_view name;
  std::string_view bytes;
  Errc error = Errc::none;
  std::size_t used = 0;  // of a whole header; 0 with Errc::none: more is needed
};

// From a client.
constexpr Case kFromClient[] = {
    {"shortest text frame", "81 80 00000000", Errc::none, 6},
    {"shortest continuation", "80 80 00000000", Errc::none, 6},
    {"binary, not the last", "02 80 00000000", Errc::none, 6},
    {"longest short length", "82 FD 00000000", Errc::none, 6},
    {"shortest 16-bit length", "82 FE 007E 01020304", Errc::none, 8},
    {"256 bytes", "82 FE 0100 01020304", Errc::none, 8},
    {"longest 16-bit length", "82 FE FFFF 01020304", Errc::none, 8},
    {"shortest 64-bit length", "82 FF 0000000000010000 01020304", Errc::none, 14},
    {"2^40", "82 FF 0000010000000000 01020304", Errc::none, 14},
    {"longest length there is", "82 FF 7FFFFFFFFFFFFFFF 01020304", Errc::none, 14},
    {"rsv1 is not judged here", "C1 80 00000000", Errc::none, 6},
    {"ping of 125 bytes", "89 FD 00000000", Errc::none, 6},
    {"pong", "8A 80 00000000", Errc::none, 6},
    {"close", "88 80 00000000", Errc::none, 6},
    {"nothing", "", Errc::none, 0},
    {"one byte", "81", Errc::none, 0},
    {"key missing", "81 80", Errc::none, 0},
    {"key cut", "81 80 000000", Errc::none, 0},
    {"16-bit length cut", "81 FE 00", Errc::none, 0},
    {"64-bit length cut", "81 FF 00000000000100", Errc::none, 0},
    {"64-bit length, key missing", "81 FF 0000000000010000", Errc::none, 0},

    {"rsv2", "A1 80 00000000", Errc::ws_reserved_bits},
    {"rsv3", "91 80 00000000", Errc::ws_reserved_bits},
    {"rsv2 and rsv3", "B1", Errc::ws_reserved_bits},
    {"rsv3 on a ping", "99", Errc::ws_reserved_bits},
    {"opcode 3", "83", Errc::ws_bad_opcode},
    {"opcode 4", "84", Errc::ws_bad_opcode},
    {"opcode 5", "85", Errc::ws_bad_opcode},
    {"opcode 6", "86", Errc::ws_bad_opcode},
    {"opcode 7", "87", Errc::ws_bad_opcode},
    {"opcode 11", "8B", Errc::ws_bad_opcode},
    {"opcode 12", "8C", Errc::ws_bad_opcode},
    {"opcode 13", "8D", Errc::ws_bad_opcode},
    {"opcode 14", "8E", Errc::ws_bad_opcode},
    {"opcode 15", "8F", Errc::ws_bad_opcode},
    {"opcode 3 in a fragment", "03", Errc::ws_bad_opcode},
    {"ping in two pieces", "09 80 00000000", Errc::ws_bad_control_frame},
    {"pong in two pieces", "0A", Errc::ws_bad_control_frame},
    {"close in two pieces", "08", Errc::ws_bad_control_frame},
    {"ping with a 16-bit length", "89 FE 007E 00000000", Errc::ws_bad_control_frame},
    {"pong with a 64-bit length", "8A FF", Errc::ws_bad_control_frame},
    {"close of 126 bytes", "88 FE", Errc::ws_bad_control_frame},
    {"no mask", "81 00", Errc::ws_bad_mask},
    {"no mask, 16-bit length", "81 7E 007E", Errc::ws_bad_mask},
    {"no mask on a close frame", "88 02 03E8", Errc::ws_bad_mask},
    {"16-bit length for 125 bytes", "82 FE 007D 01020304", Errc::ws_length_not_minimal},
    {"16-bit length for 0 bytes", "82 FE 0000", Errc::ws_length_not_minimal},
    {"64-bit length for 65,535 bytes", "82 FF 000000000000FFFF 01020304",
     Errc::ws_length_not_minimal},
    {"64-bit length for 0 bytes", "82 FF 0000000000000000", Errc::ws_length_not_minimal},
    {"length with the top bit set", "82 FF 8000000000000000 01020304", Errc::ws_length_overflow},
    {"2^64 - 1", "82 FF FFFFFFFFFFFFFFFF", Errc::ws_length_overflow},
    {"top bit set, the rest not there yet", "82 FF 80", Errc::ws_length_overflow},
};

constexpr Case kFromServer[] = {
    {"shortest text frame", "81 00", Errc::none, 2},
    {"longest short length", "82 7D", Errc::none, 2},
    {"shortest 16-bit length", "82 7E 007E", Errc::none, 4},
    {"shortest 64-bit length", "82 7F 0000000000010000", Errc::none, 10},
    {"one byte", "81", Errc::none, 0},
    {"masked", "81 80 00000000", Errc::ws_bad_mask},
    {"masked close", "88 82", Errc::ws_bad_mask},
};

// A front of the input may say less than the whole, but never something else.
void check(const Case& c, Role sender) {
  SCOPED_TRACE(c.name);
  const Wire input = wire(c.bytes);
  const auto whole = parse_frame_header(input, sender);
  EXPECT_EQ(whole.error(), c.error);
  EXPECT_EQ(whole.is_done(), c.used > 0);
  EXPECT_EQ(whole.used(), c.used);
  for (std::size_t size = 0; size < input.size(); ++size) {
    const Wire front(input.begin(), input.begin() + static_cast<std::ptrdiff_t>(size));
    const auto part = parse_frame_header(front, sender);
    if (part.is_bad()) {
      EXPECT_EQ(part.error(), c.error) << "the first " << size;
    }
    if (part.is_done()) {
      ASSERT_TRUE(whole.is_done());
      EXPECT_EQ(part.value(), whole.value()) << "the first " << size;
      EXPECT_EQ(part.used(), whole.used());
    }
  }
}

TEST(FrameHeader, FromClient) {
  for (const Case& c : kFromClient) check(c, Role::client);
}

TEST(FrameHeader, FromServer) {
  for (const Case& c : kFromServer) check(c, Role::server);
}

TEST(FrameHeader, EveryFieldIsRead) {
  const auto parsed = parse_frame_header(wire("42 FE 1234 A1B2C3D4 'rest'"), Role::client);
  ASSERT_TRUE(parsed.is_done());
  FrameHeader want;
  want.opcode = Opcode::binary;
  want.fin = false;
  want.rsv1 = true;
  want.masked = true;
  want.length = 0x1234;
  want.key = {std::byte{0xA1}, std::byte{0xB2}, std::byte{0xC3}, std::byte{0xD4}};
  EXPECT_EQ(parsed.value(), want);
  EXPECT_EQ(parsed.used(), 8u);
}

// All 65,536 first two bytes against the rules, said the slow way.
TEST(FrameHeader, EveryFirstTwoBytes) {
  for (unsigned both = 0; both < 0x10000; ++both) {
    const unsigned first = both >> 8, second = both & 255, opcode = first & 15;
    Errc want = Errc::none;
    if ((first & 0x30) != 0) {
      want = Errc::ws_reserved_bits;
    } else if (opcode != 0 && opcode != 1 && opcode != 2 && opcode != 8 && opcode != 9 &&
               opcode != 10) {
      want = Errc::ws_bad_opcode;
    } else if (opcode >= 8 && first < 0x80) {
      want = Errc::ws_bad_control_frame;
    } else if (second < 0x80) {
      want = Errc::ws_bad_mask;
    } else if (opcode >= 8 && (second & 127) > 125) {
      want = Errc::ws_bad_control_frame;
    }
    const std::array<std::byte, 2> in{static_cast<std::byte>(first),
                                      static_cast<std::byte>(second)};
    const auto parsed = parse_frame_header(in, Role::client);
    ASSERT_EQ(parsed.error(), want) << both;
    ASSERT_FALSE(parsed.is_done()) << both;
  }
}

TEST(FrameHeader, WrittenIsRead) {
  constexpr std::uint64_t kLengths[] = {0,       1,       2,          124,        125,
                                        126,     127,     128,        255,        256,
                                        0x7FFF,  0xFFFE,  0xFFFF,     0x10000,    0x10001,
                                        1 << 20, 1 << 24, 0xFFFFFFFF, 1ull << 40, (1ull << 63) - 1};
  for (const std::uint64_t length : kLengths) {
    for (const Opcode opcode : {Opcode::continuation, Opcode::text, Opcode::binary, Opcode::close,
                                Opcode::ping, Opcode::pong}) {
      for (int bits = 0; bits < 8; ++bits) {
        FrameHeader header;
        header.opcode = opcode;
        header.fin = (bits & 1) != 0;
        header.rsv1 = (bits & 2) != 0;
        header.masked = (bits & 4) != 0;
        header.length = length;
        if (header.masked) header.key = {std::byte{1}, std::byte{2}, std::byte{0}, std::byte{255}};
        if (is_control(opcode) && (!header.fin || length > 125)) continue;
        std::array<std::byte, kFrameHeaderBound> out;
        const std::byte* end = write_frame_header(out.data(), header);
        const Bytes written(out.data(), end);
        const auto parsed =
            parse_frame_header(written, header.masked ? Role::client : Role::server);
        ASSERT_TRUE(parsed.is_done()) << length;
        EXPECT_EQ(parsed.value(), header);
        EXPECT_EQ(parsed.used(), written.size());
      }
    }
  }
}

// RFC 6455 section 5.7.
TEST(FrameHeader, SamplesOfTheStandard) {
  EXPECT_EQ(frame({}, as_bytes("Hello")), wire("81 05 48 65 6c 6c 6f"));
  EXPECT_EQ(client_frame(Opcode::text, true, "Hello"), wire("81 85 37fa213d 7f 9f 4d 51 58"));
  FrameHeader binary;
  binary.opcode = Opcode::binary;
  const Wire large = frame(binary, Wire(65536));
  EXPECT_EQ(Wire(large.begin(), large.begin() + 10), wire("82 7F 0000000000010000"));
}

TEST(Mask, IsTheNaiveLoopAtEveryOffsetAndAlignment) {
  std::mt19937 random(7);
  const std::array<std::byte, 4> key{std::byte{0x37}, std::byte{0xFA}, std::byte{0x21},
                                     std::byte{0x3D}};
  constexpr std::size_t kGuard = 32;
  for (std::size_t size = 0; size <= 200; ++size) {
    for (std::size_t alignment = 0; alignment < 16; ++alignment) {
      const std::uint64_t offset = (size * 16 + alignment) % 7 + (alignment == 3 ? 1ull << 40 : 0);
      Wire memory(kGuard + alignment + size + kGuard);
      for (std::byte& b : memory) b = static_cast<std::byte>(random());
      Wire want = memory;
      for (std::size_t i = 0; i < size; ++i) {
        want[kGuard + alignment + i] ^= key[static_cast<std::size_t>((offset + i) % 4)];
      }
      mask(std::span(memory).subspan(kGuard + alignment, size), key, offset);
      ASSERT_EQ(memory, want) << size << " bytes at " << alignment << ", offset " << offset;
    }
  }
}

TEST(Mask, PiecesAreTheWhole) {
  const std::array<std::byte, 4> key{std::byte{1}, std::byte{2}, std::byte{4}, std::byte{8}};
  Wire whole(300, std::byte{0x55});
  Wire pieces = whole;
  mask(whole, key, 0);
  std::mt19937 random(1);
  for (std::size_t at = 0; at < pieces.size();) {
    const std::size_t size = std::min<std::size_t>(random() % 40, pieces.size() - at);
    mask(std::span(pieces).subspan(at, size), key, at);
    at += size;
  }
  EXPECT_EQ(pieces, whole);
}

}  // namespace
}  // namespace sluice::ws
