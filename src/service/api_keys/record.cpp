// service/api_keys/record.cpp - the rules of what may stand in a record.
//
// Layer: service. Thread: any.
#include "service/api_keys/record.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

#include "proto/auth/credentials.hpp"
#include "service/api_keys/key.hpp"

namespace sluice::api_keys {

static_assert(kMostOwnerBytes == auth::kMostUserBytes);

Time KeyRecord::ends() const { return std::min({expires, revoked, grace_until}); }

bool is_scope(std::string_view scope) {
  if (scope.empty() || scope.size() > kMostScopeChars) return false;
  if (scope == "*") return true;
  const auto joins = [](char c) { return c == '.' || c == ':' || c == '/'; };
  if (scope.ends_with('*')) {
    scope.remove_suffix(1);
    if (!joins(scope.back())) return false;
  }
  return std::all_of(scope.begin(), scope.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || joins(c);
  });
}

bool covers(const std::vector<std::string>& scopes, std::string_view wanted) {
  return wanted.empty() ||
         std::any_of(scopes.begin(), scopes.end(), [wanted](std::string_view scope) {
           if (!scope.ends_with('*')) return scope == wanted;
           scope.remove_suffix(1);
           return wanted.starts_with(scope);
         });
}

bool allows(const std::vector<Network>& networks, const core::Endpoint& peer) {
  return networks.empty() ||
         std::any_of(networks.begin(), networks.end(),
                     [&peer](const Network& network) { return network.contains(peer); });
}

std::optional<std::string> problem_of(const KeyRecord& key) {
  if (!is_id(key.id)) return "an id has 16 characters";
  if (!is_prefix(key.prefix)) return "a prefix has 1 to 16 of a-z and 0-9, a letter first";
  if (!auth::is_user_name(key.owner)) {
    return "an owner has 1 to 255 bytes of UTF-8 without controls";
  }
  if (key.scopes.size() > kMostScopes) return "a key has at most 32 scopes";
  for (const std::string& scope : key.scopes) {
    if (!is_scope(scope)) {
      return "a scope has 1 to 64 of letters, digits and . _ : / - and at its end may have a star "
             "behind one of . : /";
    }
  }
  if (key.networks.size() > kMostNetworks) return "a key has at most 32 networks";
  if (key.rate.requests > kMostRateRequests) return "a rate has at most 1000000000 requests";
  if (key.rate.period < std::chrono::seconds(1) || key.rate.period > kMostRatePeriod) {
    return "the period of a rate is 1 second to 1 day";
  }
  for (const Time time : {key.created, key.expires, key.revoked, key.grace_until}) {
    if (time < Time{} || (time > kMostTime && time != kNever)) {
      return "a time is between the years 1970 and 9999, or never";
    }
  }
  if (!key.replaced_by.empty() && !is_id(key.replaced_by)) return "an id has 16 characters";
  return std::nullopt;
}

std::string text_of(Time time) {
  if (time == kNever) return "never";
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(time - day);
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%04d-%02u-%02uT%02d:%02d:%02dZ", int(date.year()),
                unsigned(date.month()), unsigned(date.day()), int(clock.hours().count()),
                int(clock.minutes().count()), int(clock.seconds().count()));
  return text.data();
}

}  // namespace sluice::api_keys
