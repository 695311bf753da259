// tests/support/skip.hpp - the one way for a test to be skipped: the machine lacks what it needs.
//
// Layer: tests.
#pragma once

#include <gtest/gtest.h>

// Skips the calling test when `available` is false. `feature` says, in words, what is missing
// here, for example SKIP_WITHOUT(io_uring_allowed(), "io_uring is not permitted on this machine").
#define SKIP_WITHOUT(available, feature)         \
  do {                                           \
    if (!(available)) GTEST_SKIP() << (feature); \
  } while (false)
