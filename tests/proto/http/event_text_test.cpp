// tests/proto/http/event_text_test.cpp - events as a client reads them back: a reader after WHATWG
// HTML section 9.2.6 says what each one means.
#include "proto/http/event_text.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace sluice::http {
namespace {

using namespace std::string_view_literals;

struct Seen {
  std::string type, data, last_id;
  bool operator==(const Seen&) const = default;
};

// Section 9.2.6, word for word, for a whole stream.
struct Reader {
  std::vector<Seen> events;
  std::string retry, last_id;

  void read(std::string_view text) {
    std::string data, type, id = last_id;
    while (!text.empty()) {
      const std::size_t end = text.find_first_of("\r\n");
      if (end == std::string_view::npos) return;  // an incomplete event is discarded
      std::string_view line = text.substr(0, end);
      const bool both = text.substr(end).starts_with("\r\n");
      text.remove_prefix(end + (both ? 2 : 1));
      if (line.empty()) {
        last_id = id;
        if (!data.empty()) {
          data.pop_back();
          events.push_back({type.empty() ? "message" : type, data, last_id});
        }
        data.clear();
        type.clear();
        continue;
      }
      const std::size_t colon = line.find(':');
      if (colon == 0) continue;
      const std::string_view name = line.substr(0, colon);
      std::string_view value = colon == std::string_view::npos ? "" : line.substr(colon + 1);
      if (value.starts_with(' ')) value.remove_prefix(1);
      if (name == "event") type = value;
      if (name == "data") data.append(value).push_back('\n');
      if (name == "id" && value.find('\0') == std::string_view::npos) id = value;
      if (name == "retry") retry = value;
    }
  }
};

std::string written(const EventFields& event) {
  std::string text = "before";
  EXPECT_TRUE(write_event(text, event, 10));
  EXPECT_TRUE(text.starts_with("before"));
  return text.substr(6);
}

TEST(EventText, IsReadBackAsItWas) {
  const struct {
    EventFields event;
    std::string_view wire;
    std::vector<Seen> seen;
  } cases[] = {
      {{"", {}, "hello", {}}, "data: hello\n\n", {{"message", "hello", ""}}},
      {{"tick", "7", "x", 5}, "event: tick\nid: 7\nretry: 5\ndata: x\n\n", {{"tick", "x", "7"}}},
      {{"", {}, "", {}}, "data: \n\n", {{"message", "", ""}}},
      {{"", {}, " two spaces", {}}, "data:  two spaces\n\n", {{"message", " two spaces", ""}}},
      {{"", {}, "id: 1", {}}, "data: id: 1\n\n", {{"message", "id: 1", ""}}},
      {{"", {}, "a\nb\rc\r\nd", {}},
       "data: a\ndata: b\ndata: c\ndata: d\n\n",
       {{"message", "a\nb\nc\nd", ""}}},
      {{"", {}, "a\n\nb\n", {}},
       "data: a\ndata: \ndata: b\ndata: \n\n",
       {{"message", "a\n\nb\n", ""}}},
      {{"", {}, "\r\r\n\n", {}}, "data: \ndata: \ndata: \ndata: \n\n", {{"message", "\n\n\n", ""}}},
      {{"", "", "x", {}}, "id: \ndata: x\n\n", {{"message", "x", ""}}},
      {{"t", "8", {}, {}}, "event: t\nid: 8\n\n", {}},
      {{"", {}, {}, 0}, "retry: 0\n\n", {}},
  };
  for (const auto& each : cases) {
    const std::string text = written(each.event);
    EXPECT_EQ(text, each.wire);
    Reader reader;
    reader.read(text);
    EXPECT_EQ(reader.events, each.seen) << each.wire;
    EXPECT_EQ(reader.last_id, each.event.id.value_or(""));
    EXPECT_EQ(reader.retry, each.event.retry ? std::to_string(*each.event.retry) : "");
  }
}

TEST(EventText, IsNotWrittenWhereItWouldMeanSomethingElse) {
  std::string text = "before";
  for (const std::string_view bad :
       {"\n"sv, "\r"sv, "\0"sv, "a\nid: 2"sv, "\x80"sv, "\xed\xa0\x80"sv}) {
    EXPECT_FALSE(write_event(text, {bad, {}, "x", {}}, 10));
    EXPECT_FALSE(write_event(text, {"", bad, "x", {}}, 10));
    EXPECT_FALSE(is_event_word(bad, 10));
  }
  EXPECT_FALSE(write_event(text, {}, 10));
  EXPECT_FALSE(write_event(text, {"only a type", {}, {}, {}}, 10));
  EXPECT_FALSE(write_event(text, {"", "12345678901", "x", {}}, 10));
  EXPECT_EQ(text, "before");
  EXPECT_TRUE(write_event(text, {"", "1234567890", "x", {}}, 10));
  EXPECT_TRUE(is_event_word("", 0));
}

TEST(EventText, CommentsMeanNothing) {
  for (const std::string_view words :
       {""sv, "a"sv, "a\nb"sv, "data: x\n\ndata: y\r\n\r\n"sv, "\0"sv}) {
    std::string text = "data: kept";
    text.push_back('\n');
    write_comment(text, words);
    Reader reader;
    reader.read(text + "\n");
    ASSERT_EQ(reader.events.size(), 1u);
    EXPECT_EQ(reader.events[0].data, "kept");
  }
  std::string text;
  write_comment(text, "");
  write_comment(text, "a\r\nb");
  EXPECT_EQ(text, ":\n: a\n: b\n");
}

}  // namespace
}  // namespace sluice::http
