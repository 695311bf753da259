// tests/proto/ws/decoder_test.cpp - streams of frames, legal and not, whole and cut everywhere.
//
// RFC 6455 sections 5.4, 5.5, 7.4, 8.1. Layer: tests.
#include "proto/ws/decoder.hpp"

#include <gtest/gtest.h>

#include <string>

#include "proto/ws/handshake.hpp"
#include "proto/ws/wire.hpp"

namespace sluice::ws {
namespace {

struct Case {
  std::string_view name;
  std::string_view bytes;
  std::string_view events;
  Errc error = Errc::none;
};

// With a key of zeros the payload can be read in the table.
constexpr Case kMessages[] = {
    {"nothing", "", ""},
    {"empty text", "81 80 00000000", "text{}"},
    {"empty binary", "82 80 00000000", "binary{}"},
    {"text", "81 85 00000000 'Hello'", "text{Hello}"},
    {"text behind a key", "81 85 37fa213d 7f 9f 4d 51 58", "text{Hello}"},
    {"binary of every kind of byte", "82 84 00000000 00 7F 80 FF", "binary{\\x00\\x7F\\x80\\xFF}"},
    {"binary behind a key", "82 84 01020304 01 02 03 04", "binary{\\x00\\x00\\x00\\x00}"},
    {"three messages", "81 81 00000000 'a' 82 81 00000000 'b' 81 80 00000000",
     "text{a} binary{b} text{}"},
    {"text in three", "01 82 00000000 'He' 00 81 00000000 'l' 80 82 00000000 'lo'",
     "text{He- -l- -lo}"},
    {"fragments with their own keys", "01 82 01010101 'Id' 80 83 02020202 'nnm'", "text{He- -llo}"},
    {"binary in two", "02 81 00000000 FF 80 81 00000000 FE", "binary{\\xFF- -\\xFE}"},
    {"empty fragments", "01 80 00000000 00 80 00000000 80 80 00000000", "text{- -- -}"},
    {"only the middle has bytes", "01 80 00000000 00 81 00000000 'x' 80 80 00000000",
     "text{- -x- -}"},
    {"code point over two fragments", "01 82 00000000 E282 80 81 00000000 AC",
     "text{\\xE2\\x82- -\\xAC}"},
    {"code point over four fragments",
     "01 81 00000000 F0 00 81 00000000 9F 00 81 00000000 98 80 81 00000000 80",
     "text{\\xF0- -\\x9F- -\\x98- -\\x80}"},
    {"code point around an empty fragment and a ping",
     "01 81 00000000 C3 00 80 00000000 89 80 00000000 80 81 00000000 A9",
     "text{\\xC3- -- ping{} -\\xA9}"},
    {"ping between fragments", "01 81 00000000 'a' 89 81 00000000 'p' 80 81 00000000 'b'",
     "text{a- ping{p} -b}"},
    {"pong and two pings between fragments",
     "02 81 00000000 'a' 8A 80 00000000 89 81 00000000 '1' 89 81 00000000 '2' 80 80 00000000",
     "binary{a- pong{} ping{1} ping{2} -}"},
    {"close between fragments", "01 81 00000000 'a' 88 80 00000000", "text{a- close{1005}"},
    {"ping whose payload is not text", "89 82 00000000 FF 00", "ping{\\xFF\\x00}"},
    {"ping behind a key", "89 84 00010203 'pioh'", "ping{phmk}"},
    {"unasked pong", "8A 83 00000000 'abc'", "pong{abc}"},
    {"close", "88 80 00000000", "close{1005}"},
    {"close with a code", "88 82 00000000 03E8", "close{1000}"},
    {"close with a code and a reason", "88 85 00000000 0BB8 'bye'", "close{3000 bye}"},
    {"close with a reason that is not ASCII", "88 84 00000000 03E9 C3A9", "close{1001 \\xC3\\xA9}"},
    {"close behind a key", "88 84 10203040 13 C8 5F 2B", "close{1000 ok}"},
    {"what follows a close is not looked at", "88 80 00000000 FF FF 'anything' 81 00",
     "close{1005}"},
    {"a frame that has not all come", "81 85 00000000 'Hel'", "text{Hel?2"},
    {"a frame that has only its header", "81 85 00000000", ""},
    {"a ping that has not all come", "89 85 00000000 'Hel'", ""},
    {"a header that has not all come", "82 FE 00", ""},
    {"text that ends inside a code point, not the last fragment", "01 81 00000000 E2",
     "text{\\xE2-"},
    {"16-bit length", "82 FE 007E 00000000 'abc'", "binary{abc?123"},
    {"0 and DEL and the largest code points", "81 89 00000000 00 7F EFBFBF F48FBFBF",
     "text{\\x00\\x7F\\xEF\\xBF\\xBF\\xF4\\x8F\\xBF\\xBF}"},
};

constexpr Case kRefused[] = {
    {"unmasked text", "81 05 'Hello'", "", Errc::ws_bad_mask},
    {"unmasked after a good message", "81 80 00000000 81 00", "text{}", Errc::ws_bad_mask},
    {"rsv1 without an extension", "C1 85 00000000 'Hello'", "", Errc::ws_reserved_bits},
    {"rsv1 on a continuation", "01 81 00000000 'a' C0 81 00000000 'b'", "text{a-",
     Errc::ws_reserved_bits},
    {"rsv1 on a ping", "C9 80 00000000", "", Errc::ws_reserved_bits},
    {"rsv2", "A2 80 00000000", "", Errc::ws_reserved_bits},
    {"all reserved bits after a message", "81 81 00000000 'a' F1", "text{a}",
     Errc::ws_reserved_bits},
    {"unknown opcode", "83 80 00000000", "", Errc::ws_bad_opcode},
    {"unknown control opcode", "8B 80 00000000", "", Errc::ws_bad_opcode},
    {"unknown opcode between fragments", "01 81 00000000 'a' 85", "text{a-", Errc::ws_bad_opcode},
    {"continuation without a message", "80 81 00000000 'a'", "", Errc::ws_unexpected_continuation},
    {"continuation, not the last, without a message", "00 80 00000000", "",
     Errc::ws_unexpected_continuation},
    {"continuation after a whole message", "81 80 00000000 80 80 00000000", "text{}",
     Errc::ws_unexpected_continuation},
    {"continuation after the last fragment", "01 80 00000000 80 80 00000000 80 80 00000000",
     "text{- -}", Errc::ws_unexpected_continuation},
    {"continuation after a ping", "89 80 00000000 80 80 00000000", "ping{}",
     Errc::ws_unexpected_continuation},
    {"text inside a message", "01 81 00000000 'a' 81 81 00000000 'b'", "text{a-",
     Errc::ws_expected_continuation},
    {"binary inside a text", "01 80 00000000 02 80 00000000", "text{-",
     Errc::ws_expected_continuation},
    {"text inside a binary, after a ping", "02 80 00000000 89 80 00000000 01 80 00000000",
     "binary{- ping{}", Errc::ws_expected_continuation},
    {"ping in two pieces", "09 81 00000000 'a'", "", Errc::ws_bad_control_frame},
    {"ping of 126 bytes", "89 FE 007E 00000000", "", Errc::ws_bad_control_frame},
    {"close of 126 bytes", "88 FE 007E 00000000", "", Errc::ws_bad_control_frame},
    {"length that is not the shortest", "81 FE 0005 00000000 'Hello'", "",
     Errc::ws_length_not_minimal},
    {"length of 2^63", "82 FF 8000000000000000 00000000", "", Errc::ws_length_overflow},
    {"length of 2^40", "82 FF 0000010000000000 00000000", "", Errc::ws_message_too_big},

    {"close of one byte", "88 81 00000000 03", "", Errc::ws_bad_close_frame},
    {"close 0", "88 82 00000000 0000", "", Errc::ws_bad_close_code},
    {"close 999", "88 82 00000000 03E7", "", Errc::ws_bad_close_code},
    {"close 1005", "88 82 00000000 03ED", "", Errc::ws_bad_close_code},
    {"close 1006 with a reason", "88 84 00000000 03EE 'no'", "", Errc::ws_bad_close_code},
    {"close 1015", "88 82 00000000 03F7", "", Errc::ws_bad_close_code},
    {"close with a reason that is not UTF-8", "88 83 00000000 03E8 FF", "", Errc::ws_bad_utf8},
    {"close with a reason that stops inside a code point", "88 84 00000000 03E8 E282", "",
     Errc::ws_bad_utf8},
    {"bad code and bad reason", "88 83 00000000 0000 FF", "", Errc::ws_bad_close_code},
};

// Text is handed out up to the byte that cannot be UTF-8.
constexpr Case kBadText[] = {
    {"first byte", "81 85 00000000 FF 'ello'", "", Errc::ws_bad_utf8},
    {"middle", "81 85 00000000 'He' FF 'lo'", "text{He?3", Errc::ws_bad_utf8},
    {"last byte", "81 83 00000000 'He' C0", "text{He?1", Errc::ws_bad_utf8},
    {"behind a key", "81 85 80808080 C8 E5 7F EC EF", "text{He?3", Errc::ws_bad_utf8},
    {"a tail alone", "81 82 00000000 'a' 80", "text{a?1", Errc::ws_bad_utf8},
    {"a surrogate fails at its second byte", "81 83 00000000 EDA080", "text{\\xED?2",
     Errc::ws_bad_utf8},
    {"past the last code point fails at its second byte", "81 84 00000000 F4908080", "text{\\xF4?3",
     Errc::ws_bad_utf8},
    {"too long a form", "81 83 00000000 E08080", "text{\\xE0?2", Errc::ws_bad_utf8},
    {"the message stops inside a code point", "81 82 00000000 E282", "text{\\xE2?1",
     Errc::ws_bad_utf8},
    {"only the start of a code point", "81 81 00000000 E2", "", Errc::ws_bad_utf8},
    {"stops inside a code point, over fragments", "01 81 00000000 E2 80 81 00000000 82",
     "text{\\xE2-", Errc::ws_bad_utf8},
    {"stops inside a code point, the last fragment empty", "01 82 00000000 E282 80 80 00000000",
     "text{\\xE2\\x82-", Errc::ws_bad_utf8},
    {"bad continuation in the next fragment", "01 82 00000000 'a' E2 00 82 00000000 'bc'",
     "text{a\\xE2-", Errc::ws_bad_utf8},
    {"in the middle of a frame that has not all come", "81 FE 0400 00000000 'abc' FF",
     "text{abc?1021", Errc::ws_bad_utf8},
    {"before another error", "01 83 00000000 'a' FF 'b' FF FF", "text{a?2", Errc::ws_bad_utf8},
    {"after a ping", "01 81 00000000 E2 89 80 00000000 80 81 00000000 'x'", "text{\\xE2- ping{}",
     Errc::ws_bad_utf8},
    {"in a second message", "81 81 00000000 'a' 81 81 00000000 FE", "text{a}", Errc::ws_bad_utf8},
    {"behind 64 good bytes",
     "81 C8 00000000 '0123456789012345678901234567890123456789012345678901234567890123' FF "
     "'4567890'",
     "text{0123456789012345678901234567890123456789012345678901234567890123?8", Errc::ws_bad_utf8},
};

void check(const Case& c, const DecoderOptions& options = {}, bool compression = false) {
  SCOPED_TRACE(c.name);
  EXPECT_EQ(verdict_of_every_cut(wire(c.bytes), options, compression),
            (Verdict{std::string(c.events), c.error}));
}

TEST(Decoder, Messages) {
  for (const Case& c : kMessages) check(c);
}

TEST(Decoder, Refused) {
  for (const Case& c : kRefused) check(c);
}

TEST(Decoder, BadText) {
  for (const Case& c : kBadText) check(c);
}

TEST(Decoder, FromServer) {
  constexpr Case kCases[] = {
      {"text", "81 05 'Hello'", "text{Hello}"},
      {"fragments and a ping", "01 03 'Hel' 89 01 'p' 80 02 'lo'", "text{Hel- ping{p} -lo}"},
      {"close", "88 02 03E8", "close{1000}"},
      {"masked", "81 85 00000000 'Hello'", "", Errc::ws_bad_mask},
  };
  DecoderOptions options;
  options.sender = Role::server;
  for (const Case& c : kCases) check(c, options);
}

TEST(Decoder, TextIsNotReadWhenNotAsked) {
  DecoderOptions options;
  options.validate_utf8 = false;
  check({"text", "81 82 00000000 FF E2", "text{\\xFF\\xE2}"}, options);
  check({"reason", "88 83 00000000 03E8 FF", "close{1000 \\xFF}"}, options);
}

// RFC 7692 section 6: only the first frame of a message may say that it is compressed.
TEST(Decoder, CompressedMessages) {
  constexpr Case kCases[] = {
      {"text, which is none yet", "C1 82 00000000 FF E2", "ztext{\\xFF\\xE2}"},
      {"binary", "C2 81 00000000 'a'", "zbinary{a}"},
      {"in fragments, with a ping between", "41 81 00000000 FF 89 80 00000000 80 81 00000000 FE",
       "ztext{\\xFF- ping{} -\\xFE}"},
      {"one that is not, between two that are",
       "C1 81 00000000 'a' 81 81 00000000 'b' C1 81 00000000 'c'", "ztext{a} text{b} ztext{c}"},
      {"without a payload", "C1 80 00000000", "ztext{}"},
      {"text behind a compressed one is looked at", "C1 81 00000000 FF 81 81 00000000 FF",
       "ztext{\\xFF}", Errc::ws_bad_utf8},
      {"on a continuation", "41 81 00000000 'a' C0 81 00000000 'b'", "ztext{a-",
       Errc::ws_reserved_bits},
      {"on a continuation alone", "01 81 00000000 'a' C0 81 00000000 'b'", "text{a-",
       Errc::ws_reserved_bits},
      {"on a continuation of nothing", "C0 81 00000000 'b'", "", Errc::ws_reserved_bits},
      {"on a ping", "C9 80 00000000", "", Errc::ws_reserved_bits},
      {"on a pong between fragments", "41 81 00000000 'a' CA 80 00000000", "ztext{a-",
       Errc::ws_reserved_bits},
      {"on a close", "C8 80 00000000", "", Errc::ws_reserved_bits},
      {"rsv2 with it", "E1 80 00000000", "", Errc::ws_reserved_bits},
      {"rsv3 alone", "91 80 00000000", "", Errc::ws_reserved_bits},
  };
  for (const Case& c : kCases) check(c, {}, true);
  DecoderOptions options;
  options.message_bytes = 5;
  check({"over the limit as it came", "C1 86 00000000", "", Errc::ws_message_too_big}, options,
        true);
}

TEST(Decoder, BinaryIsNeverReadAsText) {
  check({"binary, then text", "82 81 00000000 E2 81 81 00000000 'a'", "binary{\\xE2} text{a}"});
}

TEST(Decoder, EveryCloseCode) {
  for (unsigned code = 0; code <= 0xFFFF; ++code) {
    // RFC 6455 section 7.4.2, range by range, and the registrations 1012 to 1014.
    bool legal = false;
    if (code >= 1000 && code <= 1014) legal = code != 1004 && code != 1005 && code != 1006;
    if (code >= 3000 && code < 5000) legal = true;
    ASSERT_EQ(may_be_sent(static_cast<std::uint16_t>(code)), legal) << code;

    const std::string payload{static_cast<char>(code >> 8), static_cast<char>(code & 255)};
    Wire input = client_frame(Opcode::close, true, payload);
    Decoder decoder;
    const auto parsed = decoder.decode(input);
    ASSERT_EQ(parsed.error(), legal ? Errc::none : Errc::ws_bad_close_code) << code;
    if (legal) {
      ASSERT_EQ(parsed.value().close_code, code);
    }
  }
}

TEST(Decoder, ControlPayloadAtTheLimit) {
  const std::string payload(125, 'x');
  EXPECT_EQ(verdict_of_every_cut(client_frame(Opcode::ping, true, payload)),
            (Verdict{"ping{" + payload + "}", Errc::none}));
  const std::string reason(123, 'r');
  EXPECT_EQ(verdict_of_every_cut(client_frame(Opcode::close, true, "\x03\xE8" + reason)),
            (Verdict{"close{1000 " + reason + "}", Errc::none}));
  EXPECT_EQ(verdict_of_every_cut(client_frame(Opcode::ping, true, payload + "x")).error,
            Errc::ws_bad_control_frame);
  EXPECT_EQ(
      verdict_of_every_cut(client_frame(Opcode::close, true, "\x03\xE8" + reason + "r")).error,
      Errc::ws_bad_control_frame);
}

TEST(Decoder, MessageBytesAtTheLimitAndOver) {
  DecoderOptions options;
  options.message_bytes = 5;
  check({"exactly", "81 85 00000000 'Hello'", "text{Hello}"}, options);
  check({"one over", "81 86 00000000", "", Errc::ws_message_too_big}, options);
  check({"exactly, in fragments, a ping does not count",
         "01 82 00000000 'He' 89 86 00000000 'abcdef' 80 83 00000000 'llo'",
         "text{He- ping{abcdef} -llo}"},
        options);
  check({"one over, in fragments", "01 82 00000000 'He' 80 84 00000000", "text{He-",
         Errc::ws_message_too_big},
        options);
  check({"every message counts anew", "81 85 00000000 'Hello' 82 85 00000000 'again'",
         "text{Hello} binary{again}"},
        options);
  check({"a full message may end with an empty frame", "01 85 00000000 'Hello' 80 80 00000000",
         "text{Hello- -}"},
        options);
  check({"the largest length does not wrap", "01 81 00000000 'a' 80 FF 7FFFFFFFFFFFFFFF 00000000",
         "text{a-", Errc::ws_message_too_big},
        options);
  options.message_bytes = 0;
  check({"nothing but empty", "81 80 00000000 82 81 00000000", "text{}", Errc::ws_message_too_big},
        options);
}

TEST(Decoder, LongLengthsWithinTheLimit) {
  DecoderOptions options;
  options.message_bytes = ~std::uint64_t{0};
  check({"2^40", "82 FF 0000010000000000 00000000 'abc'", "binary{abc?1099511627773"}, options);
  check({"2^63 - 1", "82 FF 7FFFFFFFFFFFFFFF 00000000 'a'", "binary{a?9223372036854775806"},
        options);
  options.message_bytes = std::uint64_t{1} << 40;
  check({"2^40, exactly", "82 FF 0000010000000000 00000000 'abc'", "binary{abc?1099511627773"},
        options);
  check({"2^40 and one", "82 FF 0000010000000001 00000000 'abc'", "", Errc::ws_message_too_big},
        options);
}

TEST(Decoder, FragmentsAtTheLimitAndOver) {
  DecoderOptions options;
  options.fragments = 3;
  check({"exactly", "01 80 00000000 00 80 00000000 80 80 00000000", "text{- -- -}"}, options);
  check({"one over", "01 80 00000000 00 80 00000000 00 80 00000000 80 80 00000000", "text{- -- --",
         Errc::ws_too_many_fragments},
        options);
  check({"control frames do not count",
         "01 80 00000000 89 80 00000000 00 80 00000000 8A 80 00000000 80 80 00000000",
         "text{- ping{} -- pong{} -}"},
        options);
  options.fragments = 1;
  check({"whole messages", "81 80 00000000 81 80 00000000", "text{} text{}"}, options);
  check({"none may be continued", "01 80 00000000 80 80 00000000", "text{-",
         Errc::ws_too_many_fragments},
        options);
}

// By default 65,536 fragments are a message; one of endless fragments ends there.
TEST(Decoder, EndlessMessagesEnd) {
  for (const std::string_view payload : {"", "x"}) {
    Decoder decoder;
    std::uint64_t pieces = 0;
    Errc error = Errc::none;
    Wire next = client_frame(Opcode::text, false, payload);
    while (error == Errc::none && pieces < 100'000) {
      const auto parsed = decoder.decode(next);
      error = parsed.error();
      if (parsed.is_done()) ++pieces;
      next = client_frame(Opcode::continuation, false, payload);
    }
    EXPECT_EQ(pieces, 65'536u);
    EXPECT_EQ(error, Errc::ws_too_many_fragments);
  }
}

TEST(Decoder, SixtyFiveThousandFragmentsAreAMessage) {
  Wire input = client_frame(Opcode::text, false, "x");
  for (int i = 0; i < 65'534; ++i) append(input, client_frame(Opcode::continuation, false, "x"));
  append(input, client_frame(Opcode::continuation, true, "x"));
  const Verdict whole = verdict_of(input, {}, {});
  EXPECT_EQ(whole.error, Errc::none);
  EXPECT_TRUE(whole.events.ends_with("-x}"));
}

TEST(Decoder, ManyFramesInOneBufferAreOneEventEach) {
  Wire input;
  for (int i = 0; i < 100; ++i) append(input, client_frame(Opcode::text, true, std::to_string(i)));
  Decoder decoder;
  std::span<std::byte> left = input;
  for (int i = 0; i < 100; ++i) {
    const auto parsed = decoder.decode(left);
    ASSERT_TRUE(parsed.is_done());
    const Event& event = parsed.value();
    EXPECT_TRUE(event.message_begin && event.message_end && event.frame_end && event.fin);
    EXPECT_EQ(as_text(event.data), std::to_string(i));
    EXPECT_GE(event.data.data(), input.data());  // in place
    EXPECT_LE(event.data.data() + event.data.size(), input.data() + input.size());
    left = left.subspan(parsed.used());
  }
  EXPECT_TRUE(left.empty());
  EXPECT_TRUE(decoder.decode(left).needs_more());
}

TEST(Decoder, KnowsWhetherItIsInsideAMessage) {
  Decoder decoder;
  EXPECT_FALSE(decoder.in_message());
  Wire first = client_frame(Opcode::text, false, "a");
  EXPECT_TRUE(decoder.decode(first).is_done());
  EXPECT_TRUE(decoder.in_message());
  Wire ping = client_frame(Opcode::ping, true, "");
  EXPECT_TRUE(decoder.decode(ping).is_done());
  EXPECT_TRUE(decoder.in_message());
  Wire last = client_frame(Opcode::continuation, true, "bc");
  EXPECT_TRUE(decoder.decode(std::span(last).first(7)).is_done());
  EXPECT_TRUE(decoder.in_message());
  EXPECT_TRUE(decoder.decode(std::span(last).subspan(7)).is_done());
  EXPECT_FALSE(decoder.in_message());
  ping = client_frame(Opcode::ping, true, "abc");
  EXPECT_TRUE(decoder.decode(std::span(ping).first(7)).needs_more());
  EXPECT_FALSE(decoder.in_message());
}

TEST(Decoder, AControlPayloadThatCameInPiecesStaysUntilTheNextCall) {
  Wire input = client_frame(Opcode::ping, true, "payload");
  Decoder decoder;
  EXPECT_TRUE(decoder.decode(std::span(input).first(9)).needs_more());
  const auto parsed = decoder.decode(std::span(input).subspan(9));
  ASSERT_TRUE(parsed.is_done());
  std::fill(input.begin(), input.end(), std::byte{0});
  EXPECT_EQ(as_text(parsed.value().data), "payload");
}

}  // namespace
}  // namespace sluice::ws
