// sluice/rate_limit.hpp - how many requests somebody may make below a prefix.
//
// docs/adr/0018. Every rule whose prefix the document lies below and whose key is known must let a
// request pass. Rules by address are asked before authentication, those by API key and user after
// it; each group counts for itself what it lets pass. Refused, an upgrade too: 429
// (Errc::rate_limited) with Retry-After, RateLimit and RateLimit-Policy. The answers of handlers
// and files carry the last two as well; errors that the server answers itself and a 101 do not.
// Layer: public. Values.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

namespace sluice {

// Whose requests are counted together.
enum class RateKey : std::uint8_t {
  address,  // of the peer: IPv4 whole, IPv6 its /64 network; a local stream has none
  api_key,  // the id of the API key
  user,     // the name of the authenticated user
};

enum class RateAlgorithm : std::uint8_t {
  token_bucket,    // `burst` at once, then evenly: in any window at most `requests` + `burst`
  sliding_window,  // in any window at most `requests`, in whatever rhythm
};

struct RateRule {
  static constexpr std::uint32_t kMostRequests = 1'000'000;     // of a token bucket
  static constexpr std::uint32_t kMostSlidingRequests = 65535;  // of a sliding window
  static constexpr std::chrono::seconds kLongestWindow{86'400};
  static constexpr std::size_t kFewestEntries = 8, kMostEntries = std::size_t{1} << 24;
  static constexpr std::size_t kMaxNameBytes = 32, kMaxPrefixBytes = 2048;

  // Of the policy, as clients see it: letters, digits, `-`, `_`, `.`. No two rules have the same.
  std::string name = {};
  RateKey key = RateKey::address;
  // A document and what lies below it: `/login` is for /login and /login/x, not for /logins.
  std::string prefix = "/";
  RateAlgorithm algorithm = RateAlgorithm::token_bucket;
  std::uint32_t requests = 100;
  std::chrono::seconds window{60};
  std::uint32_t burst = 0;  // of a token bucket, at most `requests`; 0: as `requests`
  // How many can be told apart, a multiple of eight: 17 bytes each, of a sliding window 35. The
  // memory is taken at start.
  std::size_t entries = 65'536;

  friend bool operator==(const RateRule&, const RateRule&) = default;
};

}  // namespace sluice
