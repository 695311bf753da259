// tests/proto/http/allocation_test.cpp - what runs for each request asks for no memory, and what
// does ask survives being refused.
//
// Layer: tests.
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "proto/http/conditional.hpp"
#include "proto/http/date.hpp"
#include "proto/http/media_type.hpp"
#include "proto/http/range.hpp"
#include "proto/http/target.hpp"
#include "support/new_hook.hpp"

namespace sluice::http {
namespace {

using test::count_news;
using test::fail_each_new;

TEST(Allocation, APlainPathNeedsNone) {
  EXPECT_EQ(count_news([] {
              base::Arena arena;
              for (std::string_view raw : {"/", "/plaintext", "/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p"}) {
                if (!routing_path(raw, 255, arena).is_done()) ADD_FAILURE() << raw;
              }
            }),
            0u);
}

TEST(Allocation, AnArenaInUseServesTheOtherPaths) {
  base::Arena arena;
  const auto work = [&arena] {
    arena.reset();
    EXPECT_EQ(routing_path("/a/%C3%A9/../b", 255, arena).value(), "/a/b");
    EXPECT_EQ(decode_component("a+b", arena), "a b");
  };
  work();
  EXPECT_EQ(count_news(work), 0u);
}

TEST(Allocation, DatesRangesTypesAndConditionsNeedNone) {
  const MediaTypes types;
  std::vector<ByteRange> ranges;
  ranges.reserve(4);
  RequestHead head;
  head.method = Method::get;
  head.fields = {{"If-None-Match", "\"a\", \"b\"", FieldId::if_none_match},
                 {"If-Range", "\"a\"", FieldId::if_range}};
  EXPECT_EQ(count_news([&] {
              std::array<char, kDateSize> out{};
              write_date(out.data(), 784111777);
              EXPECT_EQ(read_date({out.data(), out.size()}, 0), 784111777);
              EXPECT_EQ(read_range("bytes=0-1,3-4", 10, ranges), RangeVerdict::partial);
              EXPECT_EQ(types.of("INDEX.HTML"), "text/html; charset=utf-8");
              EXPECT_EQ(coding_quality("gzip;q=0.5, br", true, "gzip"), 500);
              EXPECT_EQ(judge_conditions(head, {"\"b\"", {}}, 0), Condition::not_modified);
              EXPECT_TRUE(range_applies(head, {"\"a\"", {}}, 0));
              EXPECT_TRUE(is_authority("[::1]:8080"));
            }),
            0u);
}

TEST(Allocation, EveryOneMayFail) {
  EXPECT_EQ(fail_each_new([] {
              base::Arena arena;
              if (!routing_path("/%41", 255, arena).is_done()) ADD_FAILURE();
            }),
            2u);  // the chunk and the list that keeps it
  EXPECT_GT(fail_each_new([] { MediaTypes types; }), 100u);
  EXPECT_GT(fail_each_new([] {
              std::vector<ByteRange> ranges;
              if (read_range("bytes=0-0,2-2,4-4", 10, ranges) != RangeVerdict::partial)
                ADD_FAILURE();
            }),
            0u);
}

TEST(Allocation, ATableThatFailsLeavesTheTypesAsTheyWere) {
  MediaTypes types;
  std::size_t failures = fail_each_new([&types] {
    try {
      types.add_table("application/one-that-is-long-enough-for-the-heap png html newer\n");
    } catch (...) {
      test::fail_after = 0;
      EXPECT_EQ(types.of("a.png"), "image/png");
      EXPECT_EQ(types.of("a.html"), "text/html; charset=utf-8");
      EXPECT_EQ(types.of("a.css"), "text/css; charset=utf-8");
      throw;
    }
  });
  EXPECT_GT(failures, 3u);
  EXPECT_EQ(types.of("a.png"), "application/one-that-is-long-enough-for-the-heap");
  EXPECT_EQ(types.of("a.css"), "text/css; charset=utf-8");
}

}  // namespace
}  // namespace sluice::http
