// service/api_keys/record.hpp - what is kept of an API key: everything but the key.
//
// Layer: service. Plain values.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/result.hpp>

#include "service/api_keys/network.hpp"
#include "service/auth/keyed_hash.hpp"

namespace sluice::api_keys {

inline constexpr std::size_t kMostOwnerBytes = 255;
inline constexpr std::size_t kMostScopes = 32;
inline constexpr std::size_t kMostScopeChars = 64;
inline constexpr std::size_t kMostNetworks = 32;
inline constexpr std::uint32_t kMostRateRequests = 1'000'000'000;
inline constexpr std::chrono::seconds kMostRatePeriod{86'400};

using Time = std::chrono::sys_seconds;  // of the wall clock: keys outlive processes
inline constexpr Time kNever = Time::max();
inline constexpr Time kMostTime{std::chrono::seconds(253'402'300'799)};  // the end of the year 9999

// HMAC-SHA256 of the key's text under the store's secret.
using KeyHash = service::KeyedHash;

// At once so many, then evenly so many in each period. 0 requests: no limit.
struct Rate {
  std::uint32_t requests = 0;
  std::chrono::seconds period{60};
  friend bool operator==(const Rate&, const Rate&) = default;
};

struct KeyRecord {
  std::string id;  // is_id
  KeyHash hash{};
  std::string prefix;               // of the key's text; is_prefix
  std::string owner;                // 1 to 255 bytes of UTF-8 without controls
  std::vector<std::string> scopes;  // is_scope; none: no more than what asks for no scope
  std::vector<Network> networks;    // that it may be used from; none: all addresses
  Rate rate;
  Time created{};
  Time expires = kNever;
  Time revoked = kNever;
  std::string replaced_by;    // the id of the key that took its place, or empty
  Time grace_until = kNever;  // of a key that was replaced

  // From when on it opens nothing.
  Time ends() const;
  friend bool operator==(const KeyRecord&, const KeyRecord&) = default;
};

// 1 to 64 of A-Z, a-z, 0-9 and . _ : / -. A star may stand for all that follows: alone, or at the
// end behind one of . : /
bool is_scope(std::string_view scope);
// Whether one of the scopes is `wanted`, or a star covers it. Nothing wanted: true.
bool covers(const std::vector<std::string>& scopes, std::string_view wanted);
// Whether one of the networks has the peer. No networks: true.
bool allows(const std::vector<Network>& networks, const core::Endpoint& peer);

// Why a record cannot be kept, in words; nothing when it can.
std::optional<std::string> problem_of(const KeyRecord& key);

// What happened to a key, by whom and when.
struct AuditEntry {
  Time time{};
  std::string actor;   // who asked; up to 255 bytes of UTF-8 without controls
  std::string action;  // issue, revoke, rotate, renew
  std::string key;     // its id
  std::string detail;  // of a rotation the id of the new key, of a renewal until when
  friend bool operator==(const AuditEntry&, const AuditEntry&) = default;
};

// `2026-11-23T00:00:00Z`, or `never`.
std::string text_of(Time time);

}  // namespace sluice::api_keys
