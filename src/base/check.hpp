// base/check.hpp - a bug of ours stops the process and says where. Never for what a peer can cause.
//
// Layer: base.
#pragma once

namespace sluice::base {

[[noreturn]] void check_failed(const char* expression, const char* file, int line) noexcept;

}  // namespace sluice::base

#define SLUICE_CHECK(expression)       \
  ((expression) ? static_cast<void>(0) \
                : ::sluice::base::check_failed(#expression, __FILE__, __LINE__))
