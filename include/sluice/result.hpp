// sluice/result.hpp - a value or an Error. A strict subset of std::expected<T, Error>.
//
// Layer: public. Clang 14 has no std::expected, and exceptions are no channel for bad input.
#pragma once

#include <optional>
#include <utility>

#include <sluice/error.hpp>

namespace sluice {

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}      // NOLINT: converting on purpose
  Result(Error error) : error_(std::move(error)) {}  // NOLINT
  Result(Errc code) : error_(code) {}                // NOLINT

  bool has_value() const { return value_.has_value(); }
  explicit operator bool() const { return value_.has_value(); }

  // Precondition: has_value().
  T& value() & { return *value_; }
  const T& value() const& { return *value_; }
  T&& value() && { return std::move(*value_); }
  T& operator*() & { return *value_; }
  const T& operator*() const& { return *value_; }
  T&& operator*() && { return std::move(*value_); }
  T* operator->() { return &*value_; }
  const T* operator->() const { return &*value_; }

  // Errc::none when there is a value.
  const Error& error() const { return error_; }

  template <class U>
  T value_or(U&& other) const& {
    return value_ ? *value_ : static_cast<T>(std::forward<U>(other));
  }

 private:
  std::optional<T> value_;
  Error error_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT: converting on purpose
  Result(Errc code) : error_(code) {}                // NOLINT

  bool has_value() const { return error_.code == Errc::none; }
  explicit operator bool() const { return has_value(); }
  const Error& error() const { return error_; }

 private:
  Error error_;
};

}  // namespace sluice
