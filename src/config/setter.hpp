// config/setter.hpp - sets the member of one row to what stands in the file, or says why not.
//
// For read.cpp: the only other file that knows toml++. Layer: config.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include "config/mistakes.hpp"
#include "config/schema.hpp"
#include "config/units.hpp"

namespace sluice::config {

inline Place place_of(const toml::source_position& at) { return {at.line, at.column}; }
inline Place place_of(const toml::node& node) { return place_of(node.source().begin); }

// The list of alternatives: "a", "b" or "c".
inline std::string any_of(std::span<const std::string_view> words) {
  std::string list;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0) list += i + 1 == words.size() ? " or " : ", ";
    list += "\"" + std::string(words[i]) + "\"";
  }
  return list;
}

inline std::string kind_of(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "a list";
    case toml::node_type::string:
      return "a string";
    case toml::node_type::integer:
      return "a whole number";
    case toml::node_type::floating_point:
      return "a number with a fraction";
    case toml::node_type::boolean:
      return "true or false";
    default:
      return "a date or a time";
  }
}

// Sets the member of one row to what stands in the file, or says why not. One overload for each
// kind.
template <class Object>
class Setter {
 public:
  Setter(Object& object, const toml::node& node, std::string key, Mistakes& mistakes)
      : object_(object), node_(node), key_(std::move(key)), mistakes_(mistakes) {}

  void operator()(const Flag<Object>& kind) const {
    const auto value = node_.value_exact<bool>();
    if (!value) return wrong_kind("write true or false");
    kind.at(object_) = *value;
  }

  void operator()(const Number<Object>& kind) const {
    const std::string advice =
        kind.is_size ? "write a whole number, or a size such as \"64KiB\"" : "write a whole number";
    const std::string none = or_absent(kind);
    std::optional<std::uint64_t> value;
    if (const auto text = node_.value_exact<std::string_view>()) {
      if (is_absent(kind, *text)) return kind.set(object_, std::nullopt);
      if (kind.is_size) value = parse_size(*text);
      if (!value) return wrong(quoted(*text) + " is no number; " + advice + none);
    } else if (const auto number = node_.value_exact<std::int64_t>()) {
      if (*number < 0) return wrong(std::to_string(*number) + " is out of range; " + range(kind));
      value = static_cast<std::uint64_t>(*number);
    } else {
      return wrong_kind(advice + none);
    }
    if (*value < kind.least || *value > kind.most) {
      return wrong(std::to_string(*value) + " is out of range; " + range(kind));
    }
    kind.set(object_, value);
  }

  void operator()(const Time<Object>& kind) const {
    const std::string advice =
        "write a number and ms, s, m or h, such as \"30s\"" + or_absent(kind);
    const auto text = node_.value_exact<std::string_view>();
    if (!text) return wrong_kind(advice);
    if (is_absent(kind, *text)) return kind.set(object_, std::nullopt);
    const auto value = parse_duration(*text);
    if (!value) return wrong(quoted(*text) + " is no duration; " + advice);
    if (*value < kind.least || *value > kind.most) {
      const std::string least = quoted(duration_text(kind.least));
      return wrong(quoted(*text) + " is out of range; write " +
                   (kind.least.count() > 0 ? "from " + least + " to " : "at most ") +
                   quoted(duration_text(kind.most)) + or_absent(kind));
    }
    if (value->count() % kind.step.count() != 0) {
      return wrong(quoted(*text) + " is too fine; write a multiple of " +
                   quoted(duration_text(kind.step)));
    }
    kind.set(object_, *value);
  }

  void operator()(const Text<Object>& kind) const {
    const auto text = node_.value_exact<std::string_view>();
    if (!text) return wrong_kind("write a string in quotes");
    if (std::string advice = kind.check(*text); !advice.empty()) {
      return wrong((kind.is_secret ? "" : quoted(*text) + " ") + "is not valid; " + advice);
    }
    kind.at(object_) = std::string(*text);
  }

  void operator()(const List<Object>& kind) const {
    const toml::array* const array = node_.as_array();
    if (array == nullptr) return wrong_kind("write a list of strings in brackets");
    if (array->size() > List<Object>::kMostEntries) {
      return wrong("has " + std::to_string(array->size()) + " entries; write at most " +
                   std::to_string(List<Object>::kMostEntries));
    }
    std::vector<std::string> values;
    for (const toml::node& entry : *array) {
      const auto text = entry.value_exact<std::string_view>();
      const std::string name = key_ + "[" + std::to_string(values.size()) + "]";
      values.emplace_back(text.value_or(""));
      if (!text) {
        mistakes_.add(place_of(entry), name, "is " + kind_of(entry) + "; write a string");
      } else if (std::string advice = kind.check(*text); !advice.empty()) {
        mistakes_.add(place_of(entry), name, quoted(*text) + " is not valid; " + advice);
      } else if (std::find(values.begin(), values.end() - 1, values.back()) != values.end() - 1) {
        mistakes_.add(place_of(entry), name,
                      quoted(*text) + " stands twice in the list; remove one");
      }
    }
    kind.set(object_, std::move(values));
  }

  void operator()(const Choice<Object>& kind) const {
    const auto text = node_.value_exact<std::string_view>();
    if (!text) return wrong_kind("write " + any_of(kind.words));
    const auto found = std::find(kind.words.begin(), kind.words.end(), *text);
    if (found == kind.words.end()) {
      return wrong(quoted(*text) + " is unknown; write " + any_of(kind.words));
    }
    kind.set(object_, static_cast<std::size_t>(found - kind.words.begin()));
  }

 private:
  void wrong(std::string what) const { mistakes_.add(place_of(node_), key_, std::move(what)); }
  void wrong_kind(const std::string& advice) const {
    wrong("is " + kind_of(node_) + "; " + advice);
  }
  static std::string range(const Number<Object>& kind) {
    const bool open = kind.most == static_cast<std::uint64_t>(INT64_MAX);
    return "write a number " +
           (open ? "of at least " + std::to_string(kind.least)
                 : "from " + std::to_string(kind.least) + " to " + std::to_string(kind.most)) +
           or_absent(kind);
  }
  template <class Kind>
  static bool is_absent(const Kind& kind, std::string_view text) {
    return !kind.absent.empty() && text == kind.absent;
  }
  template <class Kind>
  static std::string or_absent(const Kind& kind) {
    return kind.absent.empty() ? "" : ", or " + quoted(kind.absent);
  }

  Object& object_;
  const toml::node& node_;
  const std::string key_;
  Mistakes& mistakes_;
};

}  // namespace sluice::config
