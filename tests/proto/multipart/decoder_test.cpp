// tests/proto/multipart/decoder_test.cpp - multipart bodies, at every cut.
#include "proto/multipart/decoder.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "proto/multipart/boundary.hpp"
#include "proto/multipart/feed.hpp"

namespace sluice::multipart {
namespace {

using namespace std::string_view_literals;
using enum Errc;

// The same verdict however it is cut: whole, at every position, and byte by byte.
Outcome one_verdict(std::string_view boundary, std::string_view body, const Limits& limits = {}) {
  const Outcome whole = feed(boundary, body, {}, limits);
  for (std::size_t cut = 0; cut <= body.size(); ++cut) {
    EXPECT_EQ(feed(boundary, body, {cut}, limits).said, whole.said) << "cut at " << cut;
    EXPECT_TRUE(feed(boundary, body, {cut}, limits) == whole) << "cut at " << cut;
  }
  std::vector<std::size_t> all;
  for (std::size_t cut = 1; cut < body.size(); ++cut) all.push_back(cut);
  EXPECT_TRUE(feed(boundary, body, all, limits) == whole) << "byte by byte";
  return whole;
}

#define FIELD(name) "Content-Disposition: form-data; name=\"" name "\"\r\n\r\n"
#define UPLOAD(name, file) \
  "Content-Disposition: form-data; name=\"" name "\"; filename=\"" file "\"\r\n"

struct Row {
  const char* name;
  std::string_view body;
  Errc verdict = none;
  std::string_view said = {};
  bool complete = true;
};

constexpr Row kRows[] = {
    {"one field", "--B\r\n" FIELD("a") "1\r\n--B--\r\n", none, "[a|-|]1]."},
    {"two fields", "--B\r\n" FIELD("a") "1\r\n--B\r\n" FIELD("b") "2\r\n--B--\r\n", none,
     "[a|-|]1][b|-|]2]."},
    {"a file", "--B\r\n" UPLOAD("f", "x.txt") "Content-Type: text/plain\r\n\r\nhello\r\n--B--",
     none, "[f|x.txt|text/plain]hello]."},
    {"an empty field", "--B\r\n" FIELD("a") "\r\n--B--\r\n", none, "[a|-|]]."},
    {"an empty file without a name", "--B\r\n" UPLOAD("f", "") "\r\n\r\n--B--\r\n", none,
     "[f||]]."},
    {"no line end between head and delimiter", "--B\r\n" FIELD("a") "--B--\r\n", none, "[a|-|]]."},
    {"no parts", "--B--\r\n", none, "."},
    {"nothing behind the end", "--B\r\n" FIELD("a") "1\r\n--B--", none, "[a|-|]1]."},
    {"a preamble", "old text\r\n--not\r\n--B\r\n" FIELD("a") "1\r\n--B--", none, "[a|-|]1]."},
    {"an epilogue", "--B\r\n" FIELD("a") "1\r\n--B--\r\n--B\r\nmore", none, "[a|-|]1]."},
    {"padding", "--B \t \r\n" FIELD("a") "1\r\n--B  \r\n" FIELD("b") "2\r\n--B--  \r\n", none,
     "[a|-|]1][b|-|]2]."},
    {"a file without a type", "--B\r\n" UPLOAD("f", "x") "\r\n1\r\n--B--", none, "[f|x|]1]."},

    {"line ends in data", "--B\r\n" FIELD("a") "\r\n\r\n1\r\n\r\n--B--", none,
     "[a|-|]\r\n\r\n1\r\n]."},
    {"what looks like a delimiter",
     "--B\r\n" FIELD("a") "\r\n-\r\n--\r\n--b\r\n--A\r--B\n--B\r\n--B--", none,
     "[a|-|]\r\n-\r\n--\r\n--b\r\n--A\r--B\n--B]."},
    {"a delimiter behind part of one", "--B\r\n" FIELD("a") "\r\r\n\r\n-\r\n--B--", none,
     "[a|-|]\r\r\n\r\n-]."},
    {"a delimiter inside a line", "--B\r\n" FIELD("a") "x--B--\r\n--B--", none, "[a|-|]x--B--]."},
    {"a line of data that begins like the head's end", "--B\r\n" FIELD("a") "--A\r\n--B--", none,
     "[a|-|]--A]."},
    {"dashes at the beginning of data", "--B\r\n" FIELD("a") "-\r\n--B--", none, "[a|-|]-]."},
    {"NUL", "--B\r\n" FIELD("a") "\0\r\n--B--"sv, none, "[a|-|]\0]."sv},

    {"names with what browsers escape",
     "--B\r\n" UPLOAD("a%22b", "x%0D%0Ay%22.txt") "\r\n\r\n--B--", none, "[a\"b|x\r\ny\".txt|]]."},
    {"names with what curl once escaped", "--B\r\n" UPLOAD("a\\\"b", "c\\\\d\\e") "\r\n\r\n--B--",
     none, "[a\"b|c\\d\\e|]]."},
    {"other percent signs stay", "--B\r\n" UPLOAD("100%", "%41%2e%") "\r\n\r\n--B--", none,
     "[100%|%41%2e%|]]."},
    {"a path of an old browser", "--B\r\n" UPLOAD("f", "C:\\dir\\x.txt") "\r\n\r\n--B--", none,
     "[f|C:\\dir\\x.txt|]]."},
    {"a name without quotes",
     "--B\r\nContent-Disposition: form-data; name=a; filename=x.txt\r\n\r\n\r\n--B--", none,
     "[a|x.txt|]]."},
    {"a semicolon in quotes", "--B\r\n" UPLOAD("a;b", "c; d=e") "\r\n\r\n--B--", none,
     "[a;b|c; d=e|]]."},
    {"UTF-8", "--B\r\n" UPLOAD("ä", "文.txt") "\r\n\r\n--B--", none, "[ä|文.txt|]]."},
    {"filename*",
     "--B\r\nContent-Disposition: form-data; name=\"f\"; filename*=utf-8''a%C3%A4.txt\r\n"
     "\r\n\r\n--B--",
     none, "[f|aä.txt|]]."},
    {"filename before filename*",
     "--B\r\nContent-Disposition: form-data; name=f; filename*=UTF-8''b; "
     "filename=\"a\"\r\n\r\n\r\n--B--",
     none, "[f|a|]]."},
    {"other fields of a part", "--B\r\nX-Any: thing\r\n" FIELD("a") "1\r\n--B--", none,
     "[a|-|]1]."},
    {"in any case", "--B\r\ncontent-disposition:FORM-DATA;NAME=a\r\n\r\n1\r\n--B--", none,
     "[a|-|]1]."},
    {"8bit", "--B\r\nContent-Transfer-Encoding: 8BIT\r\n" FIELD("a") "1\r\n--B--", none,
     "[a|-|]1]."},

    {"not complete", "--B\r\n" FIELD("a") "1", none, "[a|-|]1", false},
    {"not complete: in a delimiter", "--B\r\n" FIELD("a") "1\r\n--", none, "[a|-|]1", false},
    {"not complete: behind a boundary", "--B\r\n" FIELD("a") "1\r\n--B", none, "[a|-|]1]", false},
    {"not complete: in a head", "--B\r\nContent-Dis", none, "", false},
    {"no delimiter at all", "hello", none, "", false},
    {"nothing", "", none, "", false},

    {"a longer boundary", "--BC\r\n" FIELD("a"), multipart_bad_delimiter},
    {"text behind a boundary", "--B x\r\n" FIELD("a"), multipart_bad_delimiter},
    {"one dash behind a boundary", "--B-\r\n", multipart_bad_delimiter},
    {"LF behind a boundary", "--B\n" FIELD("a"), multipart_bad_delimiter},
    {"CR behind a boundary", "--B\r" FIELD("a"), multipart_bad_delimiter},
    {"no head", "--B\r\n\r\n1\r\n--B--", multipart_bad_head},
    {"no disposition", "--B\r\nContent-Type: text/plain\r\n\r\n1\r\n--B--", multipart_bad_head},
    {"no name", "--B\r\nContent-Disposition: form-data\r\n\r\n1\r\n--B--", multipart_bad_head},
    {"an attachment", "--B\r\nContent-Disposition: attachment; name=a\r\n\r\n", multipart_bad_head},
    {"two dispositions", "--B\r\nContent-Disposition: form-data; name=a\r\n" FIELD("b"),
     multipart_bad_head},
    {"two names", "--B\r\nContent-Disposition: form-data; name=a; name=b\r\n\r\n",
     multipart_bad_head},
    {"two file names",
     "--B\r\nContent-Disposition: form-data; name=a; filename=b; filename=c\r\n\r\n",
     multipart_bad_head},
    {"a quote that does not end", "--B\r\nContent-Disposition: form-data; name=\"a\r\n\r\n",
     multipart_bad_head},
    {"text behind a quote", "--B\r\nContent-Disposition: form-data; name=\"a\"b\r\n\r\n",
     multipart_bad_head},
    {"filename* in another charset",
     "--B\r\nContent-Disposition: form-data; name=f; filename*=latin1''a\r\n\r\n",
     multipart_bad_head},
    {"filename* with a broken escape",
     "--B\r\nContent-Disposition: form-data; name=f; filename*=utf-8''a%4\r\n\r\n",
     multipart_bad_head},
    {"a field without a colon", "--B\r\nnothing\r\n" FIELD("a"), multipart_bad_head},
    {"a space before the colon", "--B\r\nX : y\r\n" FIELD("a"), multipart_bad_head},
    {"a folded field", "--B\r\nX: y\r\n z\r\n" FIELD("a"), multipart_bad_head},
    {"LF in a head", "--B\r\nX: y\n" FIELD("a"), multipart_bad_head},
    {"CR in a head", "--B\r\nX: y\rz\r\n" FIELD("a"), multipart_bad_head},
    {"NUL in a head", "--B\r\nX: \0\r\n" FIELD("a") ""sv, multipart_bad_head},
    {"base64", "--B\r\nContent-Transfer-Encoding: base64\r\n" FIELD("a") "MQ==\r\n--B--",
     multipart_bad_encoding},
};

TEST(MultipartDecoder, Rows) {
  for (const Row& row : kRows) {
    SCOPED_TRACE(row.name);
    const Outcome outcome = one_verdict("B", row.body);
    EXPECT_EQ(outcome.error, row.verdict);
    if (row.verdict != none) continue;
    EXPECT_EQ(outcome.said, row.said);
    EXPECT_EQ(outcome.complete, row.complete);
  }
}

TEST(MultipartDecoder, HeadsHaveALimit) {
  const auto body = [](std::size_t head) {
    const std::string fields = FIELD("a");
    return "--B\r\nX: " + std::string(head - fields.size() - 5, 'x') + "\r\n" + fields +
           "1\r\n--B--";
  };
  EXPECT_EQ(one_verdict("B", body(200), {.head_bytes = 200}).said, "[a|-|]1].");
  EXPECT_EQ(one_verdict("B", body(201), {.head_bytes = 200}).error, multipart_head_too_large);
}

TEST(MultipartDecoder, PartsHaveALimit) {
  std::string body;
  for (int i = 0; i < 3; ++i) body += "--B\r\n" FIELD("a") "1\r\n";
  body += "--B--";
  EXPECT_TRUE(one_verdict("B", body, {.parts = 3}).complete);
  EXPECT_EQ(one_verdict("B", body, {.parts = 2}).error, multipart_too_many_parts);
}

TEST(MultipartDecoder, DataIsHandedOutAsItComes) {
  Decoder decoder("B");
  const std::string head = "--B\r\n" FIELD("a");
  ASSERT_TRUE(decoder.decode(as_bytes(head)).is_done());
  const std::string data(100'000, 'x');
  auto parsed = decoder.decode(as_bytes(data));
  ASSERT_TRUE(parsed.is_done());
  EXPECT_EQ(parsed.value().data.data(), as_bytes(data).data());
  EXPECT_EQ(parsed.value().data.size(), data.size());
}

// Data full of parts of the delimiter, against the obvious way: find the delimiter in the whole.
TEST(MultipartDecoder, AgreesWithASearch) {
  std::mt19937 engine(7);
  const auto random = [&engine] { return static_cast<std::size_t>(engine()); };
  const std::string_view alphabet[] = {"\r",     "\n",      "-",  "--", "\r\n",
                                       "\r\n--", "\r\n--a", "ab", "x",  "\r\r\n--ab"};
  for (int round = 0; round < 3000; ++round) {
    std::string data;
    for (std::size_t i = random() % 12; i > 0; --i)
      data += alphabet[random() % std::size(alphabet)];
    const std::string boundary = "abc";
    const std::string body = "--abc\r\n" FIELD("n") + data + "\r\n--abc--";
    // The data itself may have a delimiter, or begin with one.
    const std::string tail = "\r\n" + data + "\r\n--abc--";
    const std::size_t end = tail.find("\r\n--abc");
    if (end + 9 != tail.size()) continue;
    const std::string said = "[n|-|]" + (end < 2 ? "" : data.substr(0, end - 2)) + "].";
    std::vector<std::size_t> cuts;
    for (std::size_t at = 1; at < body.size(); ++at) {
      if (random() % 4 == 0) cuts.push_back(at);
    }
    const Outcome outcome = feed(boundary, body, cuts);
    ASSERT_EQ(outcome.said, said) << body;
    ASSERT_TRUE(outcome.complete);
  }
}

TEST(MultipartBoundary, IsReadFromTheField) {
  struct Case {
    std::string_view field;
    std::optional<std::string> boundary;
  };
  const std::string longest(70, 'b');
  const std::string quoted = "multipart/form-data; boundary=\"" + longest + "\"";
  const std::string too_long = "multipart/form-data; boundary=" + longest + "b";
  const Case cases[] = {
      {"multipart/form-data; boundary=abc", "abc"},
      {"multipart/form-data;boundary=\"a b:c\"", "a b:c"},
      {"Multipart/Form-Data; charset=utf-8; BOUNDARY=x", "x"},
      {"multipart/form-data; boundary=----WebKitFormBoundaryAbC123",
       "----WebKitFormBoundaryAbC123"},
      {quoted, longest},
      {too_long, {}},
      {"multipart/form-data", {}},
      {"multipart/form-data; boundary=", {}},
      {"multipart/form-data; boundary=\"\"", {}},
      {"multipart/form-data; boundary=\"a \"", {}},
      {"multipart/form-data; boundary=\"a\xff\"", {}},
      {"multipart/form-data; boundary=a; boundary=a", {}},
      {"multipart/form-data; boundary=\"a", {}},
      {"multipart/form-data; boundary=a b", {}},
  };
  for (const Case& one : cases) {
    EXPECT_TRUE(is_form_data(one.field)) << one.field;
    EXPECT_EQ(boundary_of(one.field), one.boundary) << one.field;
  }
  EXPECT_FALSE(is_form_data("multipart/form-datax; boundary=a"));
  EXPECT_FALSE(is_form_data("multipart/mixed; boundary=a"));
  EXPECT_FALSE(is_form_data(""));
}

}  // namespace
}  // namespace sluice::multipart
