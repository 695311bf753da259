// base/parsed.hpp - the answer of every decoder.
//
// Layer: base.
#pragma once

#include <cstddef>
#include <utility>

#include <sluice/error.hpp>

namespace sluice::base {

struct NeedMore {};
inline constexpr NeedMore need_more{};

struct Bad {
  Errc error;
};

// Not yet, never, or here it is and this much of the input is now spent. There is no fourth answer.
template <class T>
class [[nodiscard]] Parsed {
 public:
  Parsed(NeedMore) {}                     // NOLINT: converting on purpose
  Parsed(Bad bad) : error_(bad.error) {}  // NOLINT
  Parsed(T value, std::size_t used) : done_(true), used_(used), value_(std::move(value)) {}

  bool is_done() const { return done_; }
  bool is_bad() const { return error_ != Errc::none; }
  bool needs_more() const { return !done_ && error_ == Errc::none; }

  Errc error() const { return error_; }
  std::size_t used() const { return used_; }
  const T& value() const { return value_; }
  T& value() { return value_; }

 private:
  bool done_ = false;
  Errc error_ = Errc::none;
  std::size_t used_ = 0;
  T value_{};
};

}  // namespace sluice::base
