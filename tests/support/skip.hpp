// tests/support/skip.hpp - the one way for a test to be skipped: the machine lacks what it needs.
//
//   SKIP_WITHOUT(io_uring);
//
// A feature is a function missing_FEATURE(), here or beside what needs it, which says in words what
// is missing, or nothing. Layer: tests.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "io/engine.hpp"

namespace sluice::test {

// Containers often forbid io_uring.
inline std::string missing_io_uring() {
  Result<std::unique_ptr<io::Engine>> engine = io::make_uring_engine({});
  return engine ? std::string() : "io_uring: " + engine.error().message();
}

}  // namespace sluice::test

#define SKIP_WITHOUT(feature)                                               \
  do {                                                                      \
    std::string missing = ::sluice::test::missing_##feature();              \
    if (!missing.empty()) GTEST_SKIP() << "this machine lacks " << missing; \
  } while (false)
