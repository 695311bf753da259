// api/headers.cpp - bodies of sluice/headers.hpp.
#include <sluice/headers.hpp>

#include "proto/http/field_rules.hpp"

namespace sluice {

Errc Headers::add(std::string_view name, std::string_view value) {
  Errc verdict = http::judge_field(name, value);
  if (verdict == Errc::none) list_.emplace_back(name, value);
  return verdict;
}

std::string_view Headers::get(std::string_view name) const {
  for (const auto& [held, value] : list_) {
    if (http::same_name(held, name)) return value;
  }
  return {};
}

bool Headers::has(std::string_view name) const {
  for (const auto& [held, unused] : list_) {
    if (http::same_name(held, name)) return true;
  }
  return false;
}

}  // namespace sluice
