// service/cache/policy.hpp - which requests may be answered from memory, and which answers are
// kept.
//
// RFC 9111 sections 3 (storing), 4.2 (freshness) and 5.2 (Cache-Control), and what http.sys asks of
// both (docs/reference/http-server-api.md, section 1.11). Layer: service. Thread: any. No clock.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/response_cache.hpp>

namespace sluice::core {
class Exchange;
}
namespace sluice::http {
struct RequestHead;
}

namespace sluice::service {

// RFC 9111 section 5.2. Of two values of one directive the smaller; what is no number is 0.
struct CacheControl {
  bool no_store = false, no_cache = false, is_private = false, is_public = false;
  bool only_if_cached = false;
  std::optional<std::int64_t> max_age, shared_max_age;  // seconds
};
// Adds what one field says.
void read_cache_control(std::string_view value, CacheControl& control);

// What of a request decides whether the cache has to do with it.
struct CacheRequest {
  // GET or HEAD without a body, not an upgrade, no `Translate: f`.
  bool eligible = false;
  bool is_personal = false;  // credentials: Authorization, an identity, an API key
  bool has_cookie = false;
  // A range or a precondition is there: who runs its handler may get less than the whole.
  bool selects = false;
  bool no_store = false;        // its answer is not kept
  bool only_if_cached = false;  // nothing but what is kept is wanted
};
// Whether a request may change what is kept (RFC 9110 section 9.2.1).
bool is_unsafe(const http::RequestHead& head);
CacheRequest read_request(const core::Exchange& exchange);

// What an answer's fields say of keeping it; of several that have one value the first (RFC 9111
// section 4.2.1). Views into them.
struct AnswerFacts {
  CacheControl control;
  bool sets_cookie = false, varies_by_all = false, has_accept_ranges = false;
  std::string_view etag, last_modified, date, expires, age;
  std::vector<std::string> vary;  // names in small letters
};
AnswerFacts read_answer(std::string_view lines);

struct Verdict {
  std::chrono::milliseconds ttl{0};  // 0: it is not kept
  std::int64_t age = 0;              // it has already, in seconds
  bool by_rule = false;
};
// `asked`: what the application says, if anything; `rule`: that covers the path, or null. `now`:
// seconds since 1970.
Verdict judge(int status, const AnswerFacts& facts, const http::RequestHead& head,
              const CacheRequest& request, std::optional<std::chrono::milliseconds> asked,
              const CacheRule* rule, std::int64_t now);

// The rules of a server, the longest path first.
class CacheRules {
 public:
  CacheRules() = default;
  explicit CacheRules(std::vector<CacheRule> rules);
  // Null: none, or one that says `none`.
  const CacheRule* find(std::string_view document) const;
  bool empty() const { return rules_.empty(); }
  friend bool operator==(const CacheRules&, const CacheRules&) = default;

 private:
  std::vector<CacheRule> rules_;
};

// The value of the request's fields of this name, several as one list (RFC 9110 section 5.3).
std::string selecting_value(const http::RequestHead& head, std::string_view name);

}  // namespace sluice::service
