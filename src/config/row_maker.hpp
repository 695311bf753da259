// config/row_maker.hpp - makes the rows of one table from the members of the struct behind it.
//
// Layer: config.
#pragma once

#include <type_traits>
#include <utility>

#include "config/schema.hpp"

namespace sluice::config {

template <class Value>
struct Inner {
  using Type = Value;
  static constexpr bool is_optional = false;
};
template <class Value>
struct Inner<std::optional<Value>> {
  using Type = Value;
  static constexpr bool is_optional = true;
};

// The struct is where `Path` leads in an Object.
template <class Object, auto... Path>
struct Table {
  std::string_view name;
  std::string_view absent = "none";  // how an optional member without a value is written

  template <auto Member>
  static auto& at(Object& object) {
    return (object.*....*Path).*Member;
  }
  template <auto Member>
  using ValueAt = std::remove_reference_t<decltype(at<Member>(std::declval<Object&>()))>;

  template <auto Member>
  Row<Object> flag(std::string_view key) const {
    return {name, key, Flag<Object>{&at<Member>}};
  }

  template <auto Member>
  Row<Object> number(std::string_view key, std::uint64_t least, std::uint64_t most,
                     bool is_size = false) const {
    using Value = Inner<ValueAt<Member>>;
    Number<Object> kind{least, most, is_size};
    if (Value::is_optional) kind.absent = absent;
    kind.get = [](Object& object) -> std::optional<std::uint64_t> { return at<Member>(object); };
    kind.set = [](Object& object, std::optional<std::uint64_t> value) {
      if constexpr (Value::is_optional) {
        at<Member>(object) = value;
      } else {
        at<Member>(object) = static_cast<typename Value::Type>(value.value_or(0));
      }
    };
    return {name, key, kind};
  }

  template <auto Member>
  Row<Object> size(std::string_view key, std::uint64_t least, std::uint64_t most) const {
    return number<Member>(key, least, most, true);
  }

  template <auto Member>
  Row<Object> time(std::string_view key, std::chrono::milliseconds least = {},
                   std::chrono::milliseconds most = Time<Object>::kMost) const {
    using Value = Inner<ValueAt<Member>>;
    using Unit = typename Value::Type;
    Time<Object> kind{least, most, Unit(1)};
    if (Value::is_optional) kind.absent = absent;
    kind.get = [](Object& object) -> std::optional<std::chrono::milliseconds> {
      return at<Member>(object);
    };
    kind.set = [](Object& object, std::optional<std::chrono::milliseconds> value) {
      if constexpr (Value::is_optional) {
        at<Member>(object) = value;
      } else {
        at<Member>(object) =
            std::chrono::duration_cast<Unit>(value.value_or(std::chrono::milliseconds(0)));
      }
    };
    return {name, key, kind};
  }

  template <auto Member>
  Row<Object> text(std::string_view key, TextCheck check) const {
    return {name, key, Text<Object>{&at<Member>, check}};
  }
  template <auto Member>
  Row<Object> secret(std::string_view key, TextCheck check) const {
    return {name, key, Text<Object>{&at<Member>, check, true}};
  }

  template <auto Member>
  Row<Object> list(std::string_view key, TextCheck check) const {
    return {name, key,
            List<Object>{[](Object& object) { return at<Member>(object); },
                         [](Object& object, std::vector<std::string>&& values) {
                           at<Member>(object) = std::move(values);
                         },
                         check}};
  }

  template <auto Member>
  Row<Object> choice(std::string_view key, std::span<const std::string_view> words) const {
    using Value = ValueAt<Member>;
    return {name, key,
            Choice<Object>{
                words, [](Object& object) { return static_cast<std::size_t>(at<Member>(object)); },
                [](Object& object, std::size_t index) {
                  at<Member>(object) = static_cast<Value>(index);
                }}};
  }
};

}  // namespace sluice::config
