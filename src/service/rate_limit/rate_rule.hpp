// service/rate_limit/rate_rule.hpp - how many requests somebody may make below a prefix.
//
// Layer: service. Values.
#pragma once

#include <cstdint>
#include <string_view>

#include <sluice/rate_limit.hpp>
#include <sluice/result.hpp>

#include "base/clock.hpp"

namespace sluice::service {

using sluice::RateAlgorithm;
using sluice::RateKey;
using sluice::RateRule;

// What an algorithm says of one key at one time.
struct RateCount {
  base::Duration wait{0};       // 0: it may be taken; else how long until then
  std::uint32_t remaining = 0;  // how many more may be taken now
  base::Duration refill_in{0};  // where none remain: how long until one does
};

// Errors: bad_setting, in words that name the rule and the member.
Result<void> check(const RateRule& rule);

// Whether `document`, a routing path, is `prefix` or lies below it.
bool is_below(std::string_view document, std::string_view prefix);

}  // namespace sluice::service
