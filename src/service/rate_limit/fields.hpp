// service/rate_limit/fields.hpp - what a client is told of the limit it is under.
//
// RateLimit-Policy and RateLimit as in draft-ietf-httpapi-ratelimit-headers-11 (23 May 2026), and
// Retry-After (RFC 9110 section 10.2.3). Layer: service. Values; allocates nothing.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "service/rate_limit/rate_limit.hpp"

namespace sluice::service {

// The fields of a verdict's strictest rule, for answers of any status. Views live as long as this.
class RateFields {
 public:
  // A verdict without a rule has no fields: all views are empty.
  explicit RateFields(const RateVerdict& verdict);

  // RateLimit-Policy: "api";q=100;w=60
  std::string_view policy() const { return policy_.view(); }
  // RateLimit: "api";r=30;t=18. t is the time in which r requests are earned, so that a client that
  // spreads them over it keeps to the policy's rate (section 8.5 of the draft); with r=0 the time
  // until there is one, and then Retry-After says the same (section 6).
  std::string_view limit() const { return limit_.view(); }
  // Retry-After: 18. Empty when the request is allowed.
  std::string_view retry_after() const { return retry_after_.view(); }

 private:
  // The longest: a name of 32 bytes in quotes, two parameters of 20 digits.
  class Text {
   public:
    void add(std::string_view text);
    void add(std::int64_t number);
    std::string_view view() const { return {bytes_.data(), size_}; }

   private:
    std::array<char, 88> bytes_{};
    std::size_t size_ = 0;
  };

  Text policy_, limit_, retry_after_;
};

}  // namespace sluice::service
