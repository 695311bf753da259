// service/rate_limit/rate_rule.cpp - see rate_rule.hpp.
//
// Layer: service. Thread: any.
#include "service/rate_limit/rate_rule.hpp"

#include <algorithm>

namespace sluice::service {
namespace {

bool is_name(std::string_view name) {
  return !name.empty() && name.size() <= RateRule::kMaxNameBytes &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '_' || c == '.';
         });
}

}  // namespace

Result<void> check(const RateRule& rule) {
  const auto bad = [&rule](std::string_view why) {
    return Error(Errc::bad_setting, "rate limit \"" + rule.name + "\": " + std::string(why));
  };
  if (!is_name(rule.name)) return bad("name must be 1 to 32 letters, digits, -, _ or .");
  if (!rule.prefix.starts_with('/') || rule.prefix.size() > RateRule::kMaxPrefixBytes) {
    return bad("prefix must begin with / and have at most 2,048 bytes");
  }
  if (rule.window < std::chrono::seconds(1) || rule.window > RateRule::kLongestWindow) {
    return bad("window must be from 1 s to 86,400 s");
  }
  const bool sliding = rule.algorithm == RateAlgorithm::sliding_window;
  if (rule.requests < 1 || rule.requests > RateRule::kMostRequests) {
    return bad("requests must be from 1 to 1,000,000");
  }
  if (sliding && rule.requests > RateRule::kMostSlidingRequests) {
    return bad("requests must be at most 65,535 with a sliding window; use a token bucket");
  }
  if (sliding && rule.burst != 0) return bad("burst is for a token bucket only");
  if (rule.burst > rule.requests) return bad("burst must be at most requests");
  if (rule.entries < RateRule::kFewestEntries || rule.entries > RateRule::kMostEntries ||
      rule.entries % 8 != 0) {
    return bad("entries must be a multiple of 8 from 8 to 16,777,216");
  }
  return {};
}

bool is_below(std::string_view document, std::string_view prefix) {
  if (prefix.ends_with('/')) prefix.remove_suffix(1);
  return document.starts_with(prefix) &&
         (document.size() == prefix.size() || document[prefix.size()] == '/');
}

}  // namespace sluice::service
