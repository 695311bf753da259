// service/cache/cached_answer.hpp - one answer as it is kept, and how a request is answered from
// it.
//
// Preconditions (RFC 9110 section 13), ranges (14), Age (RFC 9111 section 5.1), Vary (4.1). Layer:
// service. Immutable but for two marks; shared by all shards.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.hpp"
#include "base/shared_bytes.hpp"
#include "core/coded_variants.hpp"
#include "service/cache/policy.hpp"

namespace sluice::core {
class Exchange;
}

namespace sluice::service {

// What an answer is found by: the URL prefix, the port, the host and the query as they came, the
// document. The text is its own hash's whole input.
struct CacheKey {
  std::string_view text;
  std::uint64_t hash = 0;
  friend bool operator==(const CacheKey& a, const CacheKey& b) {
    return a.hash == b.hash && a.text == b.text;
  }
};
struct CacheKeyHash {
  std::size_t operator()(const CacheKey& key) const noexcept { return key.hash; }
};

// The key's text of a request, into `text`.
void write_key(const core::Exchange& exchange, std::string& text);

// What a flush names.
struct FlushMark {
  // Nothing: it is no URL and no path.
  static std::optional<FlushMark> read(std::string_view url, bool recursive);
  bool covers(std::string_view key) const;

  std::string host, document, query;
  std::uint16_t port = 0;  // 0: any host and port
  bool recursive = false, any_query = false;
};
// What a request changes: its document, for its host.
FlushMark mark_of(const core::Exchange& exchange);
// The document of a key.
std::string_view document_of(std::string_view key);

struct CachedAnswer {
  // What finding it takes, about: once, and on each shard.
  static constexpr std::size_t kOverhead = 400, kOverheadOfShard = 110;

  CacheKey key() const { return {key_text, hash}; }
  bool is_fresh(base::Instant now) const { return now < expires; }
  bool is_for(const http::RequestHead& head, const CacheRequest& request) const {
    if (!is_public && (request.is_personal || (by_rule && request.has_cookie))) return false;
    return vary.empty() || varies_as(head);
  }
  bool varies_as(const http::RequestHead& head) const;

  std::string key_text;
  std::uint64_t hash = 0;
  int status = 200;
  bool is_public = false, by_rule = false;
  bool uncoded = false;  // it goes without a content coding
  std::string type;
  std::string fields, fields_not_modified;  // complete lines; of a 200, of its 304
  base::SharedBytes body;
  std::string etag;
  std::optional<std::int64_t> last_modified;
  std::vector<std::pair<std::string, std::string>> vary;  // name, the request's value
  base::Instant born, expires;
  std::int64_t age = 0;  // when it was born, in seconds
  std::size_t bytes = 0;

  mutable core::CodedVariants variants;   // of the body
  mutable std::atomic<bool> used{false};  // since the clock's hand has passed
  mutable std::atomic<bool> gone{false};  // from the store: it is not given any more
};
using CachedRef = std::shared_ptr<const CachedAnswer>;

// What an answer is made of.
struct AnswerHead {
  int status = 200;
  std::string_view type, fields;
  std::string_view date;  // of this turn, where the fields have none
};
// Takes the body. Its key is set by the caller.
std::shared_ptr<CachedAnswer> make_cached(const AnswerHead& head, const AnswerFacts& facts,
                                          std::string&& body, const Verdict& verdict,
                                          const http::RequestHead& request, base::Instant now,
                                          std::int64_t wall_seconds);

// What its handler said goes, but for the fields that are of this request alone: what is left of
// its rate.
void forget_answer(core::Exchange& exchange);
// Fills exchange.answer, which has at most such fields; the caller responds. `is_hit`: with its
// age, and the shard keeps it until that has been done.
void give(core::Exchange& exchange, const CachedRef& kept, bool selects, bool is_hit);

}  // namespace sluice::service
