// service/rate_limit/fields.cpp - see fields.hpp.
//
// Layer: service. Thread: any.
#include "service/rate_limit/fields.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "base/check.hpp"

namespace sluice::service {
namespace {

// Whole seconds, never too few and at least one.
std::int64_t seconds(base::Duration duration) {
  return std::max<std::int64_t>(1, std::chrono::ceil<std::chrono::seconds>(duration).count());
}

}  // namespace

void RateFields::Text::add(std::string_view text) {
  SLUICE_CHECK(text.size() <= bytes_.size() - size_);
  std::memcpy(bytes_.data() + size_, text.data(), text.size());
  size_ += text.size();
}

void RateFields::Text::add(std::int64_t number) {
  std::array<char, 20> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  add(std::string_view(digits.data(), static_cast<std::size_t>(end - digits.data())));
}

RateFields::RateFields(const RateVerdict& verdict) {
  if (verdict.rule == nullptr) return;
  const RateRule& rule = *verdict.rule;
  policy_.add("\"");
  policy_.add(rule.name);
  policy_.add("\"");
  limit_ = policy_;
  policy_.add(";q=");
  policy_.add(std::int64_t{rule.requests});
  policy_.add(";w=");
  policy_.add(std::int64_t{rule.window.count()});

  const RateCount& count = verdict.count;
  // In whole seconds, for in nanoseconds the product would not fit.
  const std::int64_t earned = rule.window.count() * count.remaining;
  const std::int64_t t = count.remaining == 0 ? seconds(count.refill_in)
                                              : (earned + rule.requests - 1) / rule.requests;
  limit_.add(";r=");
  limit_.add(std::int64_t{count.remaining});
  limit_.add(";t=");
  limit_.add(t);
  if (!verdict.is_allowed()) retry_after_.add(seconds(count.wait));
}

}  // namespace sluice::service
