// tests/proto/http/conditional_test.cpp - preconditions and If-Range.
//
// RFC 9110 sections 8.8.3, 13.1 and 13.2.2. Layer: tests.
#include "proto/http/conditional.hpp"

#include <gtest/gtest.h>

#include <string_view>
#include <utility>
#include <vector>

namespace sluice::http {
namespace {

using enum Condition;
using Fields = std::vector<std::pair<std::string_view, std::string_view>>;

constexpr std::int64_t kModified = 784111777;  // Sun, 06 Nov 1994 08:49:37 GMT
constexpr std::int64_t kNow = 1767225600;
constexpr std::string_view kSame = "Sun, 06 Nov 1994 08:49:37 GMT";
constexpr std::string_view kBefore = "Sun, 06 Nov 1994 08:49:36 GMT";
constexpr std::string_view kAfter = "Sun, 06 Nov 1994 08:49:38 GMT";
constexpr Validators kBoth{"\"x\"", kModified};

RequestHead head_of(Method method, const Fields& fields) {
  RequestHead head;
  head.method = method;
  for (const auto& [name, value] : fields) head.fields.push_back({name, value, field_id(name)});
  return head;
}

struct Row {
  Fields fields;
  Condition reads;   // GET and HEAD
  Condition writes;  // PUT, DELETE and the rest
};

void expect_rows(const std::vector<Row>& rows, const Validators& validators = kBoth) {
  for (const Row& row : rows) {
    std::string shown;
    for (const auto& [name, value] : row.fields)
      shown.append(name).append(": ").append(value) += "; ";
    for (Method method : {Method::get, Method::head}) {
      EXPECT_EQ(judge_conditions(head_of(method, row.fields), validators, kNow), row.reads)
          << shown;
    }
    for (Method method :
         {Method::put, Method::post, Method::delete_, Method::patch, Method::other}) {
      EXPECT_EQ(judge_conditions(head_of(method, row.fields), validators, kNow), row.writes)
          << shown;
    }
  }
}

TEST(Conditional, NoneAtAll) { expect_rows({{{}, proceed, proceed}}); }

TEST(Conditional, IfMatchComparesStrongly) {
  expect_rows({{{{"If-Match", "\"x\""}}, proceed, proceed},
               {{{"If-Match", "\"y\""}}, failed, failed},
               {{{"If-Match", "W/\"x\""}}, failed, failed},
               {{{"If-Match", "\"X\""}}, failed, failed},
               {{{"If-Match", "*"}}, proceed, proceed},
               {{{"If-Match", "\"a\", \"x\""}}, proceed, proceed},
               {{{"If-Match", "\"a\",\"b\""}}, failed, failed},
               {{{"If-Match", ""}}, failed, failed},
               {{{"If-Match", "x"}}, failed, failed},
               {{{"if-match", "\"x\""}}, proceed, proceed},
               {{{"If-Match", "\"a\""}, {"If-Match", "\"x\""}}, proceed, proceed}});
}

TEST(Conditional, IfNoneMatchComparesWeakly) {
  expect_rows({{{{"If-None-Match", "\"x\""}}, not_modified, failed},
               {{{"If-None-Match", "W/\"x\""}}, not_modified, failed},
               {{{"If-None-Match", "\"y\""}}, proceed, proceed},
               {{{"If-None-Match", "*"}}, not_modified, failed},
               {{{"If-None-Match", "\"a\", W/\"b\", \"x\", \"c\""}}, not_modified, failed},
               {{{"If-None-Match", "\"a\",W/\"b\""}}, proceed, proceed},
               {{{"If-None-Match", ""}}, proceed, proceed},
               {{{"If-None-Match", "\"a\""}, {"If-None-Match", "\"x\""}}, not_modified, failed}});
}

TEST(Conditional, ListsOfTagsAsTheyCome) {
  expect_rows({{{{"If-None-Match", ",, \"a\" ,\t,\"x\",,"}}, not_modified, failed},
               {{{"If-None-Match", "\"a,\", \"x\""}}, not_modified, failed},
               {{{"If-None-Match", "\"a, \"x\""}}, proceed, proceed},
               {{{"If-None-Match", "\"x"}}, proceed, proceed},
               {{{"If-None-Match", "x\""}}, proceed, proceed},
               {{{"If-None-Match", "x"}}, proceed, proceed},
               {{{"If-None-Match", "w/\"x\""}}, proceed, proceed},
               {{{"If-None-Match", "W/ \"x\""}}, proceed, proceed},
               {{{"If-None-Match", "W/W/\"x\""}}, proceed, proceed},
               {{{"If-None-Match", "W/x"}}, proceed, proceed},
               {{{"If-None-Match", "W/"}}, proceed, proceed},
               {{{"If-None-Match", "W"}}, proceed, proceed},
               {{{"If-None-Match", "\"x\"y"}}, proceed, proceed},
               {{{"If-None-Match", "\"x\"\"x\""}}, proceed, proceed},
               {{{"If-None-Match", "nonsense, \"x\""}}, not_modified, failed},
               {{{"If-None-Match", "\"y\"z, \"x\""}}, not_modified, failed},
               {{{"If-None-Match", "\"\""}}, proceed, proceed}});
  expect_rows({{{{"If-None-Match", "\"\""}}, not_modified, failed}}, {"\"\"", {}});
  expect_rows({{{{"If-None-Match", "\"a,b\""}}, not_modified, failed}}, {"\"a,b\"", {}});
}

TEST(Conditional, AWeakTagOfOurs) {
  const Validators weak{"W/\"x\"", {}};
  expect_rows({{{{"If-None-Match", "\"x\""}}, not_modified, failed},
               {{{"If-None-Match", "W/\"x\""}}, not_modified, failed},
               {{{"If-Match", "\"x\""}}, failed, failed},
               {{{"If-Match", "W/\"x\""}}, failed, failed},
               {{{"If-Match", "*"}}, proceed, proceed}},
              weak);
}

TEST(Conditional, WithoutATag) {
  const Validators only_date{{}, kModified};
  expect_rows({{{{"If-Match", "\"x\""}}, failed, failed},
               {{{"If-Match", "*"}}, proceed, proceed},
               {{{"If-None-Match", "\"x\""}}, proceed, proceed},
               {{{"If-None-Match", "\"\""}}, proceed, proceed},
               {{{"If-None-Match", "*"}}, not_modified, failed}},
              only_date);
}

TEST(Conditional, IfUnmodifiedSince) {
  expect_rows(
      {{{{"If-Unmodified-Since", kSame}}, proceed, proceed},
       {{{"If-Unmodified-Since", kAfter}}, proceed, proceed},
       {{{"If-Unmodified-Since", kBefore}}, failed, failed},
       {{{"If-Unmodified-Since", "yesterday"}}, proceed, proceed},
       {{{"If-Unmodified-Since", kBefore}, {"If-Unmodified-Since", kBefore}}, proceed, proceed}});
  expect_rows({{{{"If-Unmodified-Since", kBefore}}, proceed, proceed}}, {"\"x\"", {}});
}

TEST(Conditional, IfModifiedSinceIsForReading) {
  expect_rows({{{{"If-Modified-Since", kSame}}, not_modified, proceed},
               {{{"If-Modified-Since", kAfter}}, not_modified, proceed},
               {{{"If-Modified-Since", kBefore}}, proceed, proceed},
               {{{"If-Modified-Since", "yesterday"}}, proceed, proceed},
               {{{"If-Modified-Since", "0"}}, proceed, proceed},
               {{{"If-Modified-Since", kSame}, {"If-Modified-Since", kSame}}, proceed, proceed}});
  expect_rows({{{{"If-Modified-Since", kAfter}}, proceed, proceed}}, {"\"x\"", {}});
}

TEST(Conditional, AllThreeDateFormats) {
  expect_rows({{{{"If-Modified-Since", "Sunday, 06-Nov-94 08:49:37 GMT"}}, not_modified, proceed},
               {{{"If-Modified-Since", "Sun Nov  6 08:49:37 1994"}}, not_modified, proceed},
               {{{"If-Modified-Since", "Sunday, 06-Nov-94 08:49:36 GMT"}}, proceed, proceed},
               {{{"If-Unmodified-Since", "Sunday, 06-Nov-94 08:49:36 GMT"}}, failed, failed},
               {{{"If-Unmodified-Since", "Sun Nov  6 08:49:36 1994"}}, failed, failed}});
}

TEST(Conditional, IfMatchGoesBeforeIfUnmodifiedSince) {
  expect_rows({{{{"If-Match", "\"x\""}, {"If-Unmodified-Since", kBefore}}, proceed, proceed},
               {{{"If-Match", "\"y\""}, {"If-Unmodified-Since", kAfter}}, failed, failed}});
}

TEST(Conditional, IfNoneMatchGoesBeforeIfModifiedSince) {
  expect_rows({{{{"If-None-Match", "\"y\""}, {"If-Modified-Since", kAfter}}, proceed, proceed},
               {{{"If-None-Match", "\"x\""}, {"If-Modified-Since", kBefore}}, not_modified, failed},
               {{{"If-Modified-Since", kAfter}, {"If-None-Match", "\"y\""}}, proceed, proceed}});
}

TEST(Conditional, AFailedMatchGoesBeforeNotModified) {
  expect_rows(
      {{{{"If-Match", "\"y\""}, {"If-None-Match", "\"x\""}}, failed, failed},
       {{{"If-None-Match", "\"x\""}, {"If-Unmodified-Since", kBefore}}, failed, failed},
       {{{"If-Match", "\"x\""}, {"If-None-Match", "\"x\""}}, not_modified, failed},
       {{{"If-Match", "\"x\""}, {"If-None-Match", "\"y\""}}, proceed, proceed},
       {{{"If-Unmodified-Since", kAfter}, {"If-Modified-Since", kAfter}}, not_modified, proceed}});
}

TEST(IfRange, DecidesWhetherRangeCounts) {
  struct Case {
    std::string_view value;
    bool applies;
  };
  const Case table[] = {
      {"\"x\"", true},
      {"\"y\"", false},
      {"W/\"x\"", false},
      {"x", false},
      {"*", false},
      {"", false},
      {"\"x\", \"y\"", false},
      {kSame, true},
      {kBefore, false},
      {kAfter, false},
      {"Sunday, 06-Nov-94 08:49:37 GMT", true},
      {"Sun Nov  6 08:49:37 1994", true},
      {"yesterday", false},
  };
  for (const Case& row : table) {
    auto head = head_of(Method::get, {{"Range", "bytes=0-0"}, {"If-Range", row.value}});
    EXPECT_EQ(range_applies(head, kBoth, kNow), row.applies) << row.value;
  }
  EXPECT_TRUE(range_applies(head_of(Method::get, {{"Range", "bytes=0-0"}}), kBoth, kNow));
}

TEST(IfRange, NeedsAValidatorOfOurs) {
  const auto tag = head_of(Method::get, {{"If-Range", "\"x\""}});
  const auto date = head_of(Method::get, {{"If-Range", kSame}});
  EXPECT_FALSE(range_applies(tag, {{}, kModified}, kNow));
  EXPECT_FALSE(range_applies(tag, {"W/\"x\"", kModified}, kNow));
  EXPECT_FALSE(range_applies(date, {"\"x\"", {}}, kNow));
  const auto weak = head_of(Method::get, {{"If-Range", "W/\"x\""}});
  EXPECT_FALSE(range_applies(weak, {"W/\"x\"", {}}, kNow));
  const auto twice = head_of(Method::get, {{"If-Range", "\"x\""}, {"If-Range", "\"x\""}});
  EXPECT_FALSE(range_applies(twice, kBoth, kNow));
}

TEST(EntityTag, StrongAndWeakComparison) {  // the table of RFC 9110 section 8.8.3.2
  EXPECT_FALSE(strong_equal("W/\"1\"", "W/\"1\""));
  EXPECT_TRUE(weak_equal("W/\"1\"", "W/\"1\""));
  EXPECT_FALSE(strong_equal("W/\"1\"", "W/\"2\""));
  EXPECT_FALSE(weak_equal("W/\"1\"", "W/\"2\""));
  EXPECT_FALSE(strong_equal("W/\"1\"", "\"1\""));
  EXPECT_TRUE(weak_equal("W/\"1\"", "\"1\""));
  EXPECT_TRUE(strong_equal("\"1\"", "\"1\""));
  EXPECT_TRUE(weak_equal("\"1\"", "\"1\""));
  EXPECT_FALSE(strong_equal("", ""));
  EXPECT_FALSE(weak_equal("", ""));
  EXPECT_FALSE(strong_equal("\"", "\""));
  EXPECT_FALSE(weak_equal("W/", "W/"));
  EXPECT_FALSE(strong_equal("1", "1"));
}

}  // namespace
}  // namespace sluice::http
