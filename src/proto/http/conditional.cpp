// proto/http/conditional.cpp - preconditions, in the order of RFC 9110 section 13.2.2.
//
// Layer: proto. No I/O, no clock. Thread: any.
#include "proto/http/conditional.hpp"

#include "proto/http/date.hpp"

namespace sluice::http {
namespace {

// Steps through a list of entity tags, each with its quotes and `W/` (section 8.8.3). Anything else
// in the list is passed over up to the next comma: it is equal to nothing.
bool next_tag(std::string_view& list, std::string_view& tag) {
  while (!list.empty()) {
    std::size_t start = list.find_first_not_of(" \t,");
    if (start == std::string_view::npos) break;
    list.remove_prefix(start);
    const std::size_t open = list.starts_with("W/") ? 2 : 0;
    if (list.size() > open && list[open] == '"') {
      std::size_t close = list.find('"', open + 1);
      if (close == std::string_view::npos) break;
      std::string_view found = list.substr(0, close + 1);
      list.remove_prefix(close + 1);
      std::size_t after = list.find_first_not_of(" \t");
      if (after == std::string_view::npos || list[after] == ',') {
        tag = found;
        return true;
      }
    }
    std::size_t comma = list.find(',');
    if (comma == std::string_view::npos) break;
    list.remove_prefix(comma + 1);
  }
  list = {};
  return false;
}

using Equal = bool (*)(std::string_view, std::string_view);

struct TagMatch {
  bool present = false;  // the field is there
  bool matches = false;
};

// All fields with this id: on several lines they are one list (section 5.3).
TagMatch match_tags(const RequestHead& head, FieldId id, std::string_view etag, Equal equal) {
  TagMatch match;
  for (const Field& field : head.fields) {
    if (field.id != id) continue;
    match.present = true;
    if (field.value == "*") match.matches = true;
    std::string_view list = field.value, tag;
    while (!match.matches && next_tag(list, tag)) match.matches = equal(tag, etag);
  }
  return match;
}

// The date of a field that appears once. Repeated or malformed it is as if absent (sections 13.1.3
// and 13.1.4).
std::optional<std::int64_t> date_of(const RequestHead& head, FieldId id, std::int64_t now) {
  const Field* only = nullptr;
  for (const Field& field : head.fields) {
    if (field.id != id) continue;
    if (only) return std::nullopt;
    only = &field;
  }
  return only ? read_date(only->value, now) : std::nullopt;
}

}  // namespace

Condition judge_conditions(const RequestHead& head, const Validators& validators,
                           std::int64_t now) {
  const bool reads = head.method == Method::get || head.method == Method::head;
  const auto& modified = validators.last_modified;

  TagMatch if_match = match_tags(head, FieldId::if_match, validators.etag, strong_equal);
  if (if_match.present) {
    if (!if_match.matches) return Condition::failed;
  } else if (modified) {
    auto since = date_of(head, FieldId::if_unmodified_since, now);
    if (since && *modified > *since) return Condition::failed;
  }

  TagMatch none_match = match_tags(head, FieldId::if_none_match, validators.etag, weak_equal);
  if (none_match.present) {
    if (none_match.matches) return reads ? Condition::not_modified : Condition::failed;
  } else if (reads && modified) {
    auto since = date_of(head, FieldId::if_modified_since, now);
    if (since && *modified <= *since) return Condition::not_modified;
  }
  return Condition::proceed;
}

bool range_applies(const RequestHead& head, const Validators& validators, std::int64_t now) {
  const Field* condition = nullptr;
  for (const Field& field : head.fields) {
    if (field.id != FieldId::if_range) continue;
    if (condition) return false;
    condition = &field;
  }
  if (!condition) return true;
  std::string_view value = condition->value;
  if (value.starts_with('"') || value.starts_with("W/")) {
    return strong_equal(value, validators.etag);
  }
  auto date = read_date(value, now);
  return date && validators.last_modified == date;
}

bool strong_equal(std::string_view a, std::string_view b) {
  return a.size() >= 2 && a.front() == '"' && a.back() == '"' && a == b;
}

bool weak_equal(std::string_view a, std::string_view b) {
  if (a.starts_with("W/")) a.remove_prefix(2);
  if (b.starts_with("W/")) b.remove_prefix(2);
  return strong_equal(a, b);
}

}  // namespace sluice::http
