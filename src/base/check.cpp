// base/check.cpp - prints what failed and stops.
#include "base/check.hpp"

#include <cstdio>
#include <cstdlib>

namespace sluice::base {

void check_failed(const char* expression, const char* file, int line) noexcept {
  std::fprintf(stderr, "sluice: %s:%d: check failed: %s\n", file, line, expression);
  std::abort();
}

}  // namespace sluice::base
