// tests/proto/http1/chunked_decoder_test.cpp - chunked bodies and trailers, at every cut.
#include "proto/http1/chunked_decoder.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "proto/http1/cuts.hpp"
#include "proto/http1/response_encoder.hpp"

namespace sluice::http1 {
namespace {

using namespace std::string_view_literals;
using enum Errc;

struct Row {
  const char* name;
  std::string_view wire;
  Errc verdict = none;
  std::string_view said = {};  // data|trailers
};

constexpr Row kRows[] = {
    {"no data", "0\r\n\r\n", none, "|"},
    {"one chunk", "5\r\nhello\r\n0\r\n\r\n", none, "hello|"},
    {"two chunks", "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", none, "hello world|"},
    {"upper and lower case", "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", none,
     "01234567890123456789|"},
    {"zeros first", "0005\r\nhello\r\n000\r\n\r\n", none, "hello|"},
    {"16 digits", "0000000000000005\r\nhello\r\n0000000000000000\r\n\r\n", none, "hello|"},
    {"17 digits", "00000000000000005\r\nhello\r\n0\r\n\r\n", http_chunk_size_overflow},
    {"2^63 - 1 is a size", "7fffffffffffffff\r\nhello", none, {}},
    {"2^63", "8000000000000000\r\n", http_chunk_size_overflow},
    {"2^64 - 1", "ffffffffffffffff\r\n", http_chunk_size_overflow},
    {"2^64 and 5", "10000000000000005\r\nhello\r\n", http_chunk_size_overflow},
    {"2^32 and 5 is not 5", "100000005\r\nhello\r\n0\r\n\r\n", none, {}},
    {"data with CRLF in it", "4\r\n\r\n\r\n\r\n0\r\n\r\n", none, "\r\n\r\n|"},
    {"data with NUL", "1\r\n\0\r\n0\r\n\r\n"sv, none, "\0|"sv},
    {"bytes behind the end are not touched", "0\r\n\r\n0\r\n\r\n", none, "|"},

    {"no size", "\r\nhello\r\n", http_bad_chunk_size},
    {"a space for a size", " \r\nhello\r\n", http_bad_chunk_size},
    {"a space before the size", " 5\r\nhello\r\n", http_bad_chunk_size},
    {"a tab before the size", "\t5\r\nhello\r\n", http_bad_chunk_size},
    {"a space behind the size", "5 \r\nhello\r\n", http_bad_chunk_size},
    {"a tab behind the size", "5\t\r\nhello\r\n", http_bad_chunk_size},
    {"a plus sign", "+5\r\nhello\r\n", http_bad_chunk_size},
    {"a minus sign", "-5\r\nhello\r\n", http_bad_chunk_size},
    {"0x", "0x5\r\nhello\r\n", http_bad_chunk_size},
    {"0X", "0X5\r\nhello\r\n", http_bad_chunk_size},
    {"h behind the size", "5h\r\nhello\r\n", http_bad_chunk_size},
    {"g", "g\r\n", http_bad_chunk_size},
    {"an underscore", "1_0\r\n", http_bad_chunk_size},
    {"a comma", "5,5\r\nhello\r\n", http_bad_chunk_size},
    {"a point", "5.0\r\nhello\r\n", http_bad_chunk_size},
    {"two sizes", "5 5\r\nhello\r\n", http_bad_chunk_size},
    {"NUL behind the size", "5\0\r\nhello\r\n"sv, http_bad_chunk_size},
    {"obs-text behind the size", "5\xa0\r\nhello\r\n", http_bad_chunk_size},
    {"an apostrophe", "5'\r\nhello\r\n", http_bad_chunk_size},
    {"LF behind the size", "5\nhello\r\n0\r\n\r\n", http_bare_lf},
    {"CR behind the size", "5\rhello\r\n0\r\n\r\n", http_bare_cr},
    {"CR CR LF behind the size", "5\r\r\nhello\r\n0\r\n\r\n", http_bare_cr},
    {"LF behind the last size", "0\n\r\n", http_bare_lf},
    {"LF alone", "\n", http_bare_lf},

    {"an extension", "5;a\r\nhello\r\n0;b\r\n\r\n", none, "hello|"},
    {"an extension with a value", "5;a=b\r\nhello\r\n0\r\n\r\n", none, "hello|"},
    {"two extensions", "5;a=b;c\r\nhello\r\n0\r\n\r\n", none, "hello|"},
    {"a quoted value", "5;a=\"b\"\r\nhello\r\n0\r\n\r\n", none, "hello|"},
    {"a quoted semicolon", "5;a=\"b;c\";d\r\nhello\r\n0\r\n\r\n", none, "hello|"},
    {"a quoted quote", "5;a=\"b\\\"c\"\r\nhello\r\n0\r\n\r\n", none, "hello|"},
    {"a quoted backslash", "5;a=\"b\\\\\"\r\nhello\r\n0\r\n\r\n", none, "hello|"},
    {"an empty quoted value", "5;a=\"\"\r\nhello\r\n0\r\n\r\n", none, "hello|"},
    {"quoted spaces and obs-text", "5;a=\" \t\xff\"\r\nhello\r\n0\r\n\r\n", none, "hello|"},
    {"whitespace around the semicolon", "5 \t;\t a\r\nhello\r\n0\r\n\r\n", none, "hello|"},
    {"whitespace around the equals sign", "5;a = b ;c\r\nhello\r\n0\r\n\r\n", none, "hello|"},
    {"an empty extension", "5;\r\nhello\r\n", http_bad_chunk_size},
    {"two semicolons", "5;;a\r\nhello\r\n", http_bad_chunk_size},
    {"no name", "5;=b\r\nhello\r\n", http_bad_chunk_size},
    {"no value", "5;a=\r\nhello\r\n", http_bad_chunk_size},
    {"whitespace behind a name", "5;a \r\nhello\r\n", http_bad_chunk_size},
    {"whitespace behind a value", "5;a=b \r\nhello\r\n", http_bad_chunk_size},
    {"whitespace behind a quoted value", "5;a=\"b\" \r\nhello\r\n", http_bad_chunk_size},
    {"two names", "5;a b\r\nhello\r\n", http_bad_chunk_size},
    {"text behind a quoted value", "5;a=\"b\"c\r\nhello\r\n", http_bad_chunk_size},
    {"a quote in a token", "5;a=b\"c\"\r\nhello\r\n", http_bad_chunk_size},
    {"a quote that does not end", "5;a=\"b\r\nhello\r\n", http_bad_chunk_size},
    {"LF in quotes", "5;a=\"b\nc\"\r\nhello\r\n", http_bare_lf},
    {"CR in quotes", "5;a=\"b\rc\"\r\nhello\r\n", http_bad_chunk_size},
    {"CRLF in quotes", "5;a=\"b\r\nc\"\r\nhello\r\n", http_bad_chunk_size},
    {"NUL in quotes", "5;a=\"\0\"\r\nhello\r\n"sv, http_bad_chunk_size},
    {"an escaped control", "5;a=\"\\\x01\"\r\nhello\r\n", http_bad_chunk_size},
    {"LF in an extension", "5;a\nhello\r\n", http_bare_lf},
    {"CR in an extension", "5;a\rhello\r\n", http_bare_cr},
    {"a control in an extension", "5;a\x01\r\nhello\r\n", http_bad_chunk_size},
    {"a colon in an extension", "5;a:b\r\nhello\r\n", http_bad_chunk_size},

    {"no CRLF behind data", "5\r\nhello0\r\n\r\n", http_bad_chunk},
    {"LF behind data", "5\r\nhello\n0\r\n\r\n", http_bad_chunk},
    {"CR behind data", "5\r\nhello\r0\r\n\r\n", http_bad_chunk},
    {"data longer than its size", "4\r\nhello\r\n0\r\n\r\n", http_bad_chunk},
    {"data shorter than its size", "6\r\nhello\r\n0\r\n\r\n", http_bad_chunk},
    {"an empty line behind data", "5\r\nhello\r\n\r\n0\r\n\r\n", http_bad_chunk_size},

    {"a trailer", "0\r\nX: y\r\n\r\n", none, "|X: y\r\n"},
    {"two trailers", "1\r\na\r\n0\r\nX: y\r\nZ:\r\n\r\n", none, "a|X: y\r\nZ:\r\n"},
    {"forbidden trailers are dropped",
     "0\r\nContent-Length: 5\r\nX: y\r\nHost: b\r\nAuthorization: z\r\ntransfer-encoding: "
     "chunked\r\n\r\n",
     none, "|X: y\r\n"},
    {"more forbidden trailers",
     "0\r\nConnection: close\r\nTrailer: a\r\nCookie: a\r\nSet-Cookie: a\r\nContent-Type: a\r\n"
     "Content-Encoding: a\r\nContent-Range: a\r\nTE: a\r\nExpect: a\r\nRange: a\r\nIf-Match: a\r\n"
     "Cache-Control: a\r\nX-Forwarded-For: a\r\nX-Forwarded-Proto: a\r\nForwarded: a\r\nUpgrade: "
     "a\r\n"
     "Proxy-Authorization: a\r\nWWW-Authenticate: a\r\nOrigin: a\r\nSec-WebSocket-Key: a\r\n"
     "X-Checksum: ok\r\n\r\n",
     none, "|X-Checksum: ok\r\n"},
    {"a trailer without a colon", "0\r\nX\r\n\r\n", http_bad_trailer},
    {"a trailer without a name", "0\r\n: y\r\n\r\n", http_bad_trailer},
    {"a space before the colon of a trailer", "0\r\nX : y\r\n\r\n", http_bad_trailer},
    {"a folded trailer", "0\r\nX: y\r\n z\r\n\r\n", http_bad_trailer},
    {"a space before a trailer", "0\r\n X: y\r\n\r\n", http_bad_trailer},
    {"LF behind a trailer", "0\r\nX: y\n\r\n", http_bad_trailer},
    {"CR in a trailer", "0\r\nX: y\rz\r\n\r\n", http_bad_trailer},
    {"NUL in a trailer", "0\r\nX: \0\r\n\r\n"sv, http_bad_trailer},
    {"LF for the end", "0\r\n\n", http_bad_trailer},
    {"CR and a letter for the end", "0\r\n\rX", http_bad_trailer},
    {"a request for a trailer", "0\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", http_bad_trailer},
    {"not complete", "5\r\nhel", none, {}},
    {"not ended", "5\r\nhello\r\n0\r\n", none, {}},
    {"not ended behind a trailer", "0\r\nX: y\r\n", none, {}},
};

TEST(ChunkedDecoder, Rows) {
  for (const Row& row : kRows) {
    SCOPED_TRACE(row.name);
    const Outcome outcome = one_chunked_verdict(row.wire);
    EXPECT_EQ(outcome.error, row.verdict);
    EXPECT_EQ(outcome.done, row.said.data() != nullptr);
    if (outcome.done) {
      EXPECT_EQ(outcome.said, row.said);
    }
  }
}

TEST(ChunkedDecoder, UsesNothingBehindTheEnd) {
  const std::string body = "5\r\nhello\r\n0\r\nX: y\r\n\r\n";
  EXPECT_EQ(one_chunked_verdict(body + "GET / HTTP/1.1\r\n").used, body.size());
}

TEST(ChunkedDecoder, AfterTheEndThereIsNothing) {
  ChunkedDecoder decoder;
  decoder.reset();
  ASSERT_TRUE(decoder.decode(as_bytes("0\r\n\r\n"), {}).is_done());
  const auto again = decoder.decode(as_bytes("5\r\nhello"), {});
  ASSERT_TRUE(again.is_done());
  EXPECT_TRUE(again.value().end);
  EXPECT_EQ(again.used(), 0u);
}

TEST(ChunkedDecoder, ResetForgetsEverything) {
  ChunkedDecoder decoder;
  for (const std::string_view wire : {"5;a=\"", "0\r\nX: y\r\nZ", "3\r\nab", "0\r\nX: y\r\n\r\n"}) {
    std::string_view rest = wire;
    for (auto parsed = decoder.decode(as_bytes(rest), {}); parsed.is_done() && !parsed.value().end;
         parsed = decoder.decode(as_bytes(rest), {})) {
      rest.remove_prefix(parsed.used());
    }
    decoder.reset();
    EXPECT_EQ(decoder.trailers(), "");
    const auto parsed = decoder.decode(as_bytes("5\r\nhello"), {});
    ASSERT_TRUE(parsed.is_done());
    EXPECT_EQ(as_text(parsed.value().data), "hello");
    decoder.reset();
  }
}

TEST(ChunkedDecoder, DataIsHandedOutAsItComes) {
  ChunkedDecoder decoder;
  decoder.reset();
  const std::string wire = "ffffff\r\nab";
  const auto first = decoder.decode(as_bytes(wire), {});
  ASSERT_TRUE(first.is_done());
  EXPECT_EQ(first.value().data.data(), as_bytes(wire).data() + 8);
  EXPECT_EQ(first.used(), wire.size());
  const std::string more(100000, 'c');
  const auto second = decoder.decode(as_bytes(more), {});
  ASSERT_TRUE(second.is_done());
  EXPECT_EQ(second.value().data.size(), more.size());
}

TEST(ChunkedDecoder, SizeLineBytes) {
  const auto line = [](std::size_t bytes) {
    return "5;" + std::string(bytes - 2, 'a') + "\r\nhello\r\n0\r\n\r\n";
  };
  EXPECT_TRUE(feed_chunked(line(4096), {}).done);
  EXPECT_EQ(feed_chunked(line(4097), {}).error, http_bad_chunk_size);
  EXPECT_EQ(feed_chunked("5;" + std::string(4095, 'a'), {}).error, http_bad_chunk_size);
}

TEST(ChunkedDecoder, ExtensionsOfTinyChunksAreBounded) {
  // Each chunk of one byte pays for 18: the rest adds up.
  const std::size_t extra = 100;
  const std::string chunk = "1;" + std::string(16 + extra - 2, 'a') + "\r\nx\r\n";
  std::string wire;
  const std::size_t allowed = ChunkedDecoder::kOverheadBytes / extra;
  for (std::size_t i = 0; i < allowed; ++i) wire += chunk;
  EXPECT_TRUE(feed_chunked(wire + "0\r\n\r\n", {}).done);
  EXPECT_EQ(feed_chunked(wire + chunk, {}).error, http_bad_chunk_size);
}

TEST(ChunkedDecoder, ManyHonestChunks) {
  std::string wire;
  for (int i = 0; i < 20000; ++i) wire += "1\r\nx\r\n";
  const Outcome outcome = feed_chunked(wire + "0\r\n\r\n", {});
  EXPECT_TRUE(outcome.done);
  EXPECT_EQ(outcome.said, std::string(20000, 'x') + '|');
}

TEST(ChunkedDecoder, TrailerLimits) {
  const std::string body = "0\r\nAb: cd\r\nEf: gh\r\n\r\n";
  const std::size_t section = body.size() - 3;
  EXPECT_TRUE(one_chunked_verdict(body, {.head_bytes = section}).done);
  EXPECT_EQ(one_chunked_verdict(body, {.head_bytes = section - 1}).error, http_head_too_large);
  EXPECT_TRUE(one_chunked_verdict(body, {.field_bytes = 6}).done);
  EXPECT_EQ(one_chunked_verdict(body, {.field_bytes = 5}).error, http_field_too_large);
  EXPECT_TRUE(one_chunked_verdict(body, {.fields = 2}).done);
  EXPECT_EQ(one_chunked_verdict(body, {.fields = 1}).error, http_too_many_fields);
  EXPECT_EQ(one_chunked_verdict("0\r\n" + std::string(100, 'X'), {.field_bytes = 50}).error,
            http_field_too_large);
  for (std::size_t head = 0; head <= section; ++head) {
    for (std::size_t field = 0; field < 9; ++field) {
      one_chunked_verdict(body, {.head_bytes = head, .field_bytes = field});
    }
  }
  EXPECT_TRUE(one_chunked_verdict(body, {SIZE_MAX, SIZE_MAX, SIZE_MAX, 255}).done);
}

TEST(ChunkedDecoder, ReadsWhatTheEncoderWrites) {
  std::string wire;
  std::string data;
  char head[kChunkHeadBound];
  for (const std::size_t size : {1u, 9u, 10u, 15u, 16u, 255u, 4096u}) {
    const std::string chunk(size, static_cast<char>('a' + size % 26));
    wire.append(head, write_chunk_head(head, size));
    wire.append(chunk).append(kChunkTail);
    data += chunk;
  }
  wire.append(kLastChunk).append("X: y\r\n\r\n");
  EXPECT_EQ(one_chunked_verdict(wire).said, data + "|X: y\r\n");
}

// Bodies that were changed at random: the verdict and the data are the same however they are cut.
TEST(ChunkedDecoder, OneVerdictForMutatedBodies) {
  std::mt19937 random(20261122);
  const auto below = [&](std::size_t bound) {
    return std::uniform_int_distribution<std::size_t>(0, bound - 1)(random);
  };
  const std::string strange("\r\n\0 \t;=\"\\:0f5\xff", 15);
  for (int round = 0; round < 20000; ++round) {
    std::string wire(kRows[below(std::size(kRows))].wire);
    for (std::size_t change = below(4); change > 0 && !wire.empty(); --change) {
      const std::size_t at = below(wire.size());
      if (below(2) == 0) {
        wire[at] = strange[below(strange.size())];
      } else {
        wire.insert(at, 1, strange[below(strange.size())]);
      }
    }
    const http::HeadLimits limits{
        .head_bytes = below(100), .field_bytes = below(40), .fields = below(5)};
    const Outcome whole = feed_chunked(wire, {}, limits);
    Cuts cuts;
    for (std::size_t at = below(10); at < wire.size(); at += 1 + below(10)) cuts.push_back(at);
    ASSERT_EQ(feed_chunked(wire, cuts, limits), whole) << wire;
    Cuts bytes(wire.size());
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = i;
    ASSERT_EQ(feed_chunked(wire, bytes, limits), whole) << wire;
  }
}

}  // namespace
}  // namespace sluice::http1
