// service/rate_limit/rate_limit.cpp - see rate_limit.hpp.
//
// Layer: service. Thread: any.
#include "service/rate_limit/rate_limit.hpp"

#include <algorithm>
#include <span>
#include <string>
#include <utility>

#include "crypto/digest.hpp"
#include "crypto/siphash.hpp"
#include "service/auth/address.hpp"
#include "service/rate_limit/sliding_window.hpp"
#include "service/rate_limit/token_bucket.hpp"

namespace sluice::service {
namespace {

// Whether `count` is stricter than what `verdict` says so far.
bool is_stricter(const RateCount& count, const RateVerdict& verdict) {
  if (verdict.rule == nullptr) return true;
  if (count.wait != verdict.count.wait) return count.wait > verdict.count.wait;
  if (count.remaining != verdict.count.remaining) {
    return count.remaining < verdict.count.remaining;
  }
  return count.refill_in > verdict.count.refill_in;
}

void fold(const RateRule& rule, const RateCount& count, RateVerdict& verdict) {
  if (is_stricter(count, verdict)) verdict = {&rule, count};
}

}  // namespace

// The rules that apply to one request, and the hashes of its keys.
struct RateLimit::Asked {
  struct One {
    const RateRule* rule = nullptr;
    RateCounts* counts = nullptr;
    std::uint64_t hash = 0;
  };

  Asked(const RateLimit& limit, const RateSubject& subject, std::string_view document) {
    AddressKey address;
    if (subject.peer != nullptr) address = network_key(*subject.peer);
    for (std::size_t i = 0; i < limit.rules_.size(); ++i) {
      const RateRule& rule = limit.rules_[i];
      Bytes key;
      switch (rule.key) {
        case RateKey::address:
          if (address.bytes[0] != 0) key = std::as_bytes(std::span(address.bytes));
          break;
        case RateKey::api_key:
          key = as_bytes(subject.api_key);
          break;
        case RateKey::user:
          key = as_bytes(subject.user);
          break;
      }
      if (key.empty() || !is_below(document, rule.prefix)) continue;
      const Table& table = *limit.tables_[i];
      list[size++] = {&rule, table.counts.get(), crypto::siphash(table.hash_key, key)};
    }
  }

  std::array<One, kMaxRules> list;
  std::size_t size = 0;
};

std::shared_ptr<RateLimit::Table> RateLimit::make_table(const RateRule& rule) {
  auto table = std::make_shared<Table>();
  crypto::random_bytes(table->hash_key);
  if (rule.algorithm == RateAlgorithm::token_bucket) {
    table->counts = std::make_unique<RateTable<TokenBucket>>(rule);
  } else {
    table->counts = std::make_unique<RateTable<SlidingWindow>>(rule);
  }
  return table;
}

Result<void> RateLimit::check(const std::vector<RateRule>& rules) {
  if (rules.size() > kMaxRules) {
    return Error(Errc::bad_setting,
                 "there are at most " + std::to_string(kMaxRules) + " rate limits");
  }
  for (auto rule = rules.begin(); rule != rules.end(); ++rule) {
    if (auto good = service::check(*rule); !good) return good;
    const auto same_name = [&rule](const RateRule& other) { return other.name == rule->name; };
    if (std::any_of(rules.begin(), rule, same_name)) {
      return Error(Errc::bad_setting, "two rate limits have the name \"" + rule->name + "\"");
    }
  }
  return {};
}

Result<std::unique_ptr<RateLimit>> RateLimit::create(std::vector<RateRule> rules,
                                                     const RateLimit* before) {
  if (auto good = check(rules); !good) return good.error();
  std::unique_ptr<RateLimit> limit(new RateLimit);
  for (auto rule = rules.begin(); rule != rules.end(); ++rule) {
    std::shared_ptr<Table> table;
    if (before != nullptr) {
      const auto same = std::find(before->rules_.begin(), before->rules_.end(), *rule);
      if (same != before->rules_.end()) {
        table = before->tables_[static_cast<std::size_t>(same - before->rules_.begin())];
      }
    }
    limit->tables_.push_back(table ? std::move(table) : make_table(*rule));
  }
  limit->rules_ = std::move(rules);
  return limit;
}

RateVerdict RateLimit::take(const RateSubject& subject, std::string_view document,
                            base::Instant now) {
  const Asked asked(*this, subject, document);
  const std::span<const Asked::One> applying(asked.list.data(), asked.size);
  RateVerdict verdict;
  if (applying.size() > 1) {
    for (const Asked::One& one : applying)
      fold(*one.rule, one.counts->peek(one.hash, now), verdict);
    if (!verdict.is_allowed()) return verdict;
    verdict = {};
  }
  for (const Asked::One& one : applying) {
    const RateCount count = one.counts->take(one.hash, now);
    fold(*one.rule, count, verdict);
    if (count.wait > base::Duration(0)) break;
  }
  return verdict;
}

}  // namespace sluice::service
