// service/cache/policy.cpp - see policy.hpp.
//
// Layer: service. Thread: any.
#include "service/cache/policy.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "core/exchange.hpp"
#include "core/response_cache.hpp"
#include "proto/http/date.hpp"
#include "proto/http/token.hpp"

namespace sluice::service {
namespace {

using http::equal_nocase;
using http::FieldId;
using std::chrono::milliseconds;
using std::chrono::seconds;

// No answer is kept longer by what its fields say, and no number of theirs overflows.
constexpr std::int64_t kLongest = 10LL * 365 * 86'400;

std::string in_small_letters(std::string_view text) {
  std::string small(text);
  for (char& letter : small) {
    if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
  }
  return small;
}

// RFC 9111 section 1.2.2: more than fits is the largest. What is no number: 0.
std::int64_t read_seconds(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::result_out_of_range && !text.starts_with('-')) return kLongest;
  if (error != std::errc() || end != text.data() + text.size() || value < 0) return 0;
  return std::min(value, kLongest);
}

// The next member of a list and what follows its `=`; commas within quotes separate nothing.
bool next_member(std::string_view& list, std::string_view& name, std::string_view& value) {
  while (!list.empty()) {
    std::size_t end = 0;
    bool quoted = false;
    for (; end < list.size() && (quoted || list[end] != ','); ++end) {
      if (list[end] == '"') quoted = !quoted;
      if (quoted && list[end] == '\\') ++end;
    }
    const std::string_view member = http::trim_ows(list.substr(0, end));
    list.remove_prefix(std::min(end + 1, list.size()));
    if (member.empty()) continue;
    const std::size_t equals = member.find('=');
    name = http::trim_ows(member.substr(0, equals));
    value = equals == std::string_view::npos ? std::string_view()
                                             : http::trim_ows(member.substr(equals + 1));
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"') {
      value = value.substr(1, value.size() - 2);
    }
    return true;
  }
  return false;
}

void take_smaller(std::optional<std::int64_t>& has, std::int64_t value) {
  has = std::min(has.value_or(value), value);
}

void take_first(std::string_view& has, std::string_view value) {
  if (has.data() == nullptr) has = value;
}

// RFC 9110 section 15.1: those that may be kept unless something says otherwise. Not 206, of which
// only a part would be known.
bool may_be_kept(int status) {
  switch (status) {
    case 200:
    case 203:
    case 204:
    case 300:
    case 301:
    case 308:
    case 404:
    case 405:
    case 410:
    case 414:
    case 501:
      return true;
    default:
      return false;
  }
}

// RFC 9111 section 4.2.1, for a cache that many share. None: nothing is said.
std::optional<std::int64_t> lifetime(const AnswerFacts& facts, std::int64_t now) {
  if (facts.control.shared_max_age) return facts.control.shared_max_age;
  if (facts.control.max_age) return facts.control.max_age;
  if (facts.expires.data() == nullptr) return std::nullopt;
  const auto expires = http::read_date(facts.expires, now);
  if (!expires) return 0;  // section 5.3: what is no date is past
  const auto date = http::read_date(facts.date, now);
  return std::clamp<std::int64_t>(*expires - date.value_or(now), 0, kLongest);
}

}  // namespace

void read_cache_control(std::string_view list, CacheControl& control) {
  std::string_view name, value;
  while (next_member(list, name, value)) {
    if (equal_nocase(name, "no-store")) {
      control.no_store = true;
    } else if (equal_nocase(name, "no-cache")) {
      control.no_cache =
          true;  // also with field names: what may be given without them is not known
    } else if (equal_nocase(name, "private")) {
      control.is_private = true;
    } else if (equal_nocase(name, "public")) {
      control.is_public = true;
    } else if (equal_nocase(name, "only-if-cached")) {
      control.only_if_cached = true;
    } else if (equal_nocase(name, "max-age")) {
      take_smaller(control.max_age, read_seconds(value));
    } else if (equal_nocase(name, "s-maxage")) {
      take_smaller(control.shared_max_age, read_seconds(value));
    }
  }
}

CacheRequest read_request(const core::Exchange& exchange) {
  const http::RequestHead& head = exchange.head;
  CacheRequest request;
  const bool reads = head.method == http::Method::get || head.method == http::Method::head;
  if (!reads || !exchange.ends_with_head() || head.upgrade) return request;
  request.eligible = true;
  request.is_personal = static_cast<bool>(exchange.identity) || exchange.api_key_memory != nullptr;
  CacheControl control;
  for (const http::Field& field : head.fields) {
    switch (field.id) {
      case FieldId::authorization:
        request.is_personal = true;
        break;
      case FieldId::cookie:
        request.has_cookie = true;
        break;
      case FieldId::range:
      case FieldId::if_range:
      case FieldId::if_match:
      case FieldId::if_none_match:
      case FieldId::if_modified_since:
      case FieldId::if_unmodified_since:
        request.selects = true;
        break;
      case FieldId::other:
        if (field.name.size() == 9 && equal_nocase(field.name, "translate") &&
            equal_nocase(field.value, "f")) {
          request.eligible = false;
        } else if (field.name.size() == 13 && equal_nocase(field.name, "cache-control")) {
          read_cache_control(field.value, control);
        }
        break;
      default:
        break;
    }
  }
  request.no_store = control.no_store;
  request.only_if_cached = control.only_if_cached;
  return request;
}

bool is_unsafe(const http::RequestHead& head) {
  switch (head.method) {
    case http::Method::get:
    case http::Method::head:
    case http::Method::options:
    case http::Method::trace:
      return false;
    case http::Method::other: {
      constexpr std::string_view kSafe[] = {"PROPFIND", "REPORT", "SEARCH", "QUERY"};
      return std::find(std::begin(kSafe), std::end(kSafe), head.method_text) == std::end(kSafe);
    }
    default:
      return true;
  }
}

AnswerFacts read_answer(std::string_view lines) {
  AnswerFacts facts;
  while (!lines.empty()) {
    const std::size_t end = lines.find("\r\n");
    const std::string_view line = lines.substr(0, end);
    lines.remove_prefix(end == std::string_view::npos ? lines.size() : end + 2);
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    const std::string_view name = line.substr(0, colon),
                           value = http::trim_ows(line.substr(colon + 1));
    if (equal_nocase(name, "cache-control")) {
      read_cache_control(value, facts.control);
    } else if (equal_nocase(name, "set-cookie")) {
      facts.sets_cookie = true;
    } else if (equal_nocase(name, "etag")) {
      facts.etag = value;
    } else if (equal_nocase(name, "last-modified")) {
      facts.last_modified = value;
    } else if (equal_nocase(name, "date")) {
      take_first(facts.date, value);
    } else if (equal_nocase(name, "expires")) {
      take_first(facts.expires, value);
    } else if (equal_nocase(name, "age")) {
      take_first(facts.age, value);
    } else if (equal_nocase(name, "accept-ranges")) {
      facts.has_accept_ranges = true;
    } else if (equal_nocase(name, "vary")) {
      std::string_view list = value, field, unused;
      while (next_member(list, field, unused)) {
        if (field == "*") facts.varies_by_all = true;
        facts.vary.push_back(in_small_letters(field));
      }
    }
  }
  return facts;
}

Verdict judge(int status, const AnswerFacts& facts, const http::RequestHead& head,
              const CacheRequest& request, std::optional<milliseconds> asked, const CacheRule* rule,
              std::int64_t now) {
  Verdict verdict;
  verdict.by_rule = !asked;
  const CacheControl& control = facts.control;
  if (head.method != http::Method::get || !request.eligible || !may_be_kept(status)) return verdict;
  if (asked ? asked->count() <= 0 : rule == nullptr) return verdict;
  if (control.no_store || control.no_cache || control.is_private) return verdict;
  if (facts.sets_cookie || facts.varies_by_all || request.no_store) return verdict;
  // What is for one user is not for all, unless whoever answers says so.
  if (!control.is_public && (request.is_personal || (verdict.by_rule && request.has_cookie))) {
    return verdict;
  }
  // RFC 9111 section 4.2.3: what has no Age may be old all the same.
  const auto date = http::read_date(facts.date, now);
  verdict.age =
      std::clamp<std::int64_t>(now - date.value_or(now), read_seconds(facts.age), kLongest);
  if (asked) {
    verdict.ttl = *asked;
    return verdict;
  }
  verdict.ttl = rule->policy == Cache::until_invalidated ? core::kUntilFlushed : rule->ttl;
  if (const auto says = lifetime(facts, now)) {
    const std::int64_t left = std::max<std::int64_t>(*says - verdict.age, 0);
    verdict.ttl = std::min<milliseconds>(verdict.ttl, seconds(left));
  }
  return verdict;
}

CacheRules::CacheRules(std::vector<CacheRule> rules) : rules_(std::move(rules)) {
  for (CacheRule& rule : rules_) {
    if (rule.path.ends_with('/')) rule.path.pop_back();
  }
  std::stable_sort(rules_.begin(), rules_.end(), [](const CacheRule& a, const CacheRule& b) {
    return a.path.size() > b.path.size();
  });
}

const CacheRule* CacheRules::find(std::string_view document) const {
  for (const CacheRule& rule : rules_) {
    const std::size_t size = rule.path.size();
    if (!document.starts_with(rule.path)) continue;
    if (document.size() != size && document[size] != '/') continue;
    return rule.policy == Cache::none ? nullptr : &rule;
  }
  return nullptr;
}

std::string selecting_value(const http::RequestHead& head, std::string_view name) {
  std::string text;
  bool first = true;
  for (const http::Field& field : head.fields) {
    if (!equal_nocase(field.name, name)) continue;
    if (!first) text += ',';
    text.append(http::trim_ows(field.value));
    first = false;
  }
  if (first) text += '\0';  // absent is not the same as empty
  return text;
}

}  // namespace sluice::service
