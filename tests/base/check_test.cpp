// tests/base/check_test.cpp - a bug of ours stops the process and says where.
//
// Layer: tests.
#include "base/check.hpp"

#include <gtest/gtest.h>

namespace sluice::base {
namespace {

TEST(Check, LetsTruthPass) {
  int evaluated = 0;
  SLUICE_CHECK(++evaluated == 1);
  EXPECT_EQ(evaluated, 1);
}

TEST(CheckDeathTest, SaysWhatFailedAndWhere) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(SLUICE_CHECK(1 + 1 == 3), "check_test\\.cpp:[0-9]+: check failed: 1 \\+ 1 == 3");
}

}  // namespace
}  // namespace sluice::base
