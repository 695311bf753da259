// tests/base/result_test.cpp - Result, and Parsed, the answers that are not exceptions.
//
// Layer: tests.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include <sluice/bytes.hpp>
#include <sluice/result.hpp>

#include "base/parsed.hpp"

namespace sluice {
namespace {

TEST(Result, HoldsAValue) {
  Result<std::string> result = std::string("value");
  ASSERT_TRUE(result.has_value());
  ASSERT_TRUE(result);
  EXPECT_EQ(*result, "value");
  EXPECT_EQ(result.value(), "value");
  EXPECT_EQ(result->size(), 5u);
  EXPECT_EQ(result.error().code, Errc::none);
  *result += "!";
  EXPECT_EQ(result.value_or("other"), "value!");
}

TEST(Result, HoldsAnError) {
  const Result<int> by_code = Errc::gone;
  EXPECT_FALSE(by_code);
  EXPECT_FALSE(by_code.has_value());
  EXPECT_EQ(by_code.error().code, Errc::gone);
  EXPECT_EQ(by_code.value_or(7), 7);
  const Result<int> with_words = Error(Errc::bad_setting, "port");
  EXPECT_EQ(with_words.error().detail, "port");
}

TEST(Result, AZeroIsAValue) {
  Result<int> zero = 0;
  EXPECT_TRUE(zero);
  Result<bool> no = false;
  EXPECT_TRUE(no);
  EXPECT_FALSE(*no);
}

TEST(Result, MovesWhatCannotBeCopied) {
  Result<std::unique_ptr<int>> result = std::make_unique<int>(5);
  ASSERT_TRUE(result);
  std::unique_ptr<int> taken = std::move(result).value();
  EXPECT_EQ(*taken, 5);
  Result<std::unique_ptr<int>> other = std::make_unique<int>(6);
  taken = *std::move(other);
  EXPECT_EQ(*taken, 6);
}

TEST(Result, OfNothing) {
  Result<void> fine;
  EXPECT_TRUE(fine);
  EXPECT_TRUE(fine.has_value());
  Result<void> failed = Errc::timed_out;
  EXPECT_FALSE(failed);
  EXPECT_EQ(failed.error().code, Errc::timed_out);
  Result<void> with_words = Error(Errc::io_failed, "disk");
  EXPECT_EQ(with_words.error().message(), "input or output failed: disk");
}

TEST(Parsed, HasThreeAnswersAndNoFourth) {
  const base::Parsed<int> more = base::need_more;
  EXPECT_TRUE(more.needs_more());
  EXPECT_FALSE(more.is_done());
  EXPECT_FALSE(more.is_bad());

  const base::Parsed<int> bad = base::Bad{Errc::ws_bad_mask};
  EXPECT_TRUE(bad.is_bad());
  EXPECT_FALSE(bad.is_done());
  EXPECT_FALSE(bad.needs_more());
  EXPECT_EQ(bad.error(), Errc::ws_bad_mask);

  const base::Parsed<int> done(42, 3);
  EXPECT_TRUE(done.is_done());
  EXPECT_FALSE(done.is_bad());
  EXPECT_FALSE(done.needs_more());
  EXPECT_EQ(done.value(), 42);
  EXPECT_EQ(done.used(), 3u);
  EXPECT_EQ(done.error(), Errc::none);
}

TEST(Parsed, OfSomethingThatOnlyMoves) {
  base::Parsed<std::unique_ptr<int>> done(std::make_unique<int>(9), 1);
  std::unique_ptr<int> taken = std::move(done.value());
  EXPECT_EQ(*taken, 9);
}

TEST(Bytes, AreTextUnderAnotherName) {
  const std::string text("a\0b", 3);
  Bytes bytes = as_bytes(text);
  EXPECT_EQ(bytes.size(), 3u);
  EXPECT_EQ(bytes[2], std::byte{'b'});
  EXPECT_EQ(as_text(bytes), text);
  EXPECT_EQ(static_cast<const void*>(as_text(bytes).data()), text.data());
  EXPECT_TRUE(as_bytes({}).empty());
  EXPECT_TRUE(as_text({}).empty());
}

}  // namespace
}  // namespace sluice
