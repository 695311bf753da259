// service/rate_limit/rate_limit.hpp - the rules of a server, asked once for each request.
//
// Every rule whose prefix the document lies below and whose key is known must let the request pass;
// the strictest answers. What is refused by one rule is counted by none. docs/adr, 18. Layer:
// service. Thread: any; take() allocates nothing.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include <sluice/result.hpp>

#include "base/clock.hpp"
#include "core/endpoint.hpp"
#include "service/rate_limit/rate_rule.hpp"
#include "service/rate_limit/rate_table.hpp"

namespace sluice::service {

// Who asks; what is left empty is not known (yet), and its rules do not apply. So addresses can be
// judged before authentication and names after it, with two calls. Views live during the call.
struct RateSubject {
  const core::Endpoint* peer = nullptr;  // a local stream has no address
  std::string_view api_key = {};         // its id, not the secret
  std::string_view user = {};
};

struct RateVerdict {
  // The strictest: of those that refuse, the one that makes wait longest; else the one with fewest
  // left. Lives as long as the RateLimit. Null: no rule applied.
  const RateRule* rule = nullptr;
  RateCount count;

  // Refused: 429 (Errc::rate_limited), with the fields of fields.hpp.
  bool is_allowed() const { return count.wait == base::Duration(0); }
};

class RateLimit {
 public:
  static constexpr std::size_t kMaxRules = 32;

  // Errors: bad_setting, in words: a rule that is not valid, two of one name, too many.
  static Result<void> check(const std::vector<RateRule>& rules);
  // Errors: those of check(). A rule that `before` has too, equal in every member, goes on
  // counting where it was, so that a reload forgives nothing.
  static Result<std::unique_ptr<RateLimit>> create(std::vector<RateRule> rules,
                                                   const RateLimit* before = nullptr);
  RateLimit(const RateLimit&) = delete;
  RateLimit& operator=(const RateLimit&) = delete;

  // Counts the request, if every rule lets it pass. `document` is the routing path.
  //
  // With several rules all are asked before any counts. When another thread takes the last one of a
  // rule between the two, the request is refused though the rules before it have counted: one too
  // many, never one too few.
  RateVerdict take(const RateSubject& subject, std::string_view document, base::Instant now);

  const std::vector<RateRule>& rules() const { return rules_; }
  // How often a key took the place of another that owed: where it grows, `entries` is too small.
  std::uint64_t displaced(std::size_t rule) const { return tables_[rule]->counts->displaced(); }

 private:
  using HashKey = std::array<std::byte, 16>;
  // Shared by the one before and the one after a reload.
  struct Table {
    HashKey hash_key;
    std::unique_ptr<RateCounts> counts;
  };
  struct Asked;

  RateLimit() = default;
  static std::shared_ptr<Table> make_table(const RateRule& rule);

  std::vector<RateRule> rules_;
  std::vector<std::shared_ptr<Table>> tables_;  // of the rule with the same index
};

}  // namespace sluice::service
