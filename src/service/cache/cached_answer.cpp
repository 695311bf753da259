// service/cache/cached_answer.cpp - see cached_answer.hpp.
//
// Layer: service. Thread: shard; make_cached() and FlushMark any.
#include "service/cache/cached_answer.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <limits>

#include "base/arena.hpp"
#include "core/answer_coder.hpp"
#include "core/connection.hpp"
#include "core/exchange.hpp"
#include "core/response_cache.hpp"
#include "core/shard.hpp"
#include "core/url_router.hpp"
#include "crypto/blake2b.hpp"
#include "proto/http/conditional.hpp"
#include "proto/http/date.hpp"
#include "proto/http/range.hpp"
#include "proto/http/target.hpp"
#include "proto/http/token.hpp"
#include "service/files/answer.hpp"

namespace sluice::service {
namespace {

using http::ByteRange;
using http::equal_nocase;

// In front of the host: the place of the URL prefix among all, and the port.
constexpr std::size_t kPlaceBytes = 4, kPortBytes = 2;
// Ends the host, and the document where a query follows: neither has such an octet.
constexpr char kEnd = '\0';

struct KeyParts {
  std::string_view host, document, query;
  std::uint16_t port = 0;
};

KeyParts parts_of(std::string_view key) {
  KeyParts parts;
  std::memcpy(&parts.port, key.data() + kPlaceBytes, kPortBytes);
  key.remove_prefix(kPlaceBytes + kPortBytes);
  const std::size_t host = key.find(kEnd);
  parts.host = key.substr(0, host);
  key.remove_prefix(host + 1);
  const std::size_t document = key.find(kEnd);
  parts.document = key.substr(0, document);
  if (document != std::string_view::npos) parts.query = key.substr(document + 1);
  return parts;
}

std::string_view without_port(std::string_view authority) {
  const std::size_t colon = authority.rfind(':');
  if (colon == std::string_view::npos || authority.find(']', colon) != std::string_view::npos) {
    return authority;
  }
  return authority.substr(0, colon);
}

// "http://host:8080" in front of a path; false: it is none.
bool read_authority(std::string_view& url, FlushMark& mark) {
  std::size_t scheme = 0;
  for (const std::string_view name : {"http://", "https://"}) {
    if (!equal_nocase(url.substr(0, name.size()), name)) continue;
    scheme = name.size();
    mark.port = name.size() == 7 ? 80 : 443;
  }
  if (scheme == 0) return false;
  url.remove_prefix(scheme);
  const std::size_t end = url.find_first_of("/?");
  const std::string_view authority = url.substr(0, end);
  if (!http::is_authority(authority)) return false;
  url.remove_prefix(authority.size());
  mark.host = without_port(authority);
  if (mark.host.size() < authority.size()) {
    const std::string_view port = authority.substr(mark.host.size() + 1);
    const auto [rest, error] = std::from_chars(port.data(), port.data() + port.size(), mark.port);
    if (!port.empty() && (error != std::errc() || rest != port.data() + port.size())) return false;
  }
  return mark.port != 0;
}

void add_line(std::string& lines, std::string_view name, std::string_view value) {
  lines.append(name).append(": ").append(value).append("\r\n");
}

// About one request only, or told anew each time.
bool is_of_one_request(std::string_view name) {
  return equal_nocase(name, "ratelimit") || equal_nocase(name, "ratelimit-policy");
}

template <class Test>
std::string lines_where(std::string_view lines, Test test) {
  std::string kept;
  while (!lines.empty()) {
    const std::size_t end = lines.find("\r\n") + 2;
    const std::string_view line = lines.substr(0, end);
    if (test(line.substr(0, line.find(':')))) kept.append(line);
    lines.remove_prefix(end);
  }
  return kept;
}

// The fields that a 304 has (RFC 9110 section 15.4.5), of those that the 200 has.
std::string lines_not_modified(std::string_view lines) {
  constexpr std::string_view kNames[] = {"cache-control", "content-location", "date",
                                         "etag",          "expires",          "vary"};
  return lines_where(lines, [&](std::string_view name) {
    return std::any_of(std::begin(kNames), std::end(kNames),
                       [name](std::string_view one) { return equal_nocase(one, name); });
  });
}

// A strong one: the same tag, the same bytes of the same kind.
std::string tag_of(Bytes body, std::string_view type, std::string_view fields) {
  static constexpr std::array<std::byte, 32> kNoSecret{};
  const std::string_view coding = field_in(fields, "Content-Encoding");
  const auto digest =
      crypto::blake2b(kNoSecret, {as_bytes(type), as_bytes(std::string_view("\n")),
                                  as_bytes(coding), as_bytes(std::string_view("\n")), body});
  std::string tag = "\"";
  for (std::size_t i = 0; i < 16; ++i) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    const auto octet = std::to_integer<unsigned>(digest[i]);
    tag += kDigits[octet >> 4];
    tag += kDigits[octet & 15];
  }
  return tag += '"';
}

void add_part(core::Exchange& exchange, const CachedRef& kept, const ByteRange& range,
              bool is_hit) {
  // What the front copies while the shard has it needs nobody else who keeps it.
  constexpr std::size_t kSmall = 4096;
  core::BodyPart& part = exchange.answer.set_extras().parts.emplace_back();
  if (!is_hit || kept->body.size() > kSmall) part.shared = kept->body;
  part.bytes = kept->body.bytes().subspan(static_cast<std::size_t>(range.first),
                                          static_cast<std::size_t>(range.size()));
  part.length = range.size();
}

void add_text(core::Exchange& exchange, std::string_view text) {
  core::BodyPart& part = exchange.answer.set_extras().parts.emplace_back();
  part.bytes = as_bytes(exchange.arena.copy(text));
  part.length = text.size();
}

void give_ranges(core::Exchange& exchange, const CachedRef& kept,
                 const std::vector<ByteRange>& ranges, bool is_hit) {
  core::Answer& answer = exchange.answer;
  const std::uint64_t size = kept->body.size();
  answer.status = 206;
  if (ranges.size() == 1) {
    exchange.add_field_unchecked("Content-Range", http::content_range(ranges[0], size));
    add_part(exchange, kept, ranges[0], is_hit);
    return;
  }
  const std::string boundary = new_boundary();
  bool first = true;
  for (const ByteRange& range : ranges) {
    add_text(exchange, http::part_head(boundary, kept->type, range, size, first));
    add_part(exchange, kept, range, is_hit);
    first = false;
  }
  add_text(exchange, http::parts_end(boundary));
  answer.type.assign("multipart/byteranges; boundary=").append(boundary);
  answer.has_type = true;
}

void add_age(core::Exchange& exchange, const CachedAnswer& kept) {
  const auto resident =
      std::chrono::duration_cast<std::chrono::seconds>(exchange.shard.now - kept.born).count();
  const std::int64_t age = kept.age + std::max<std::int64_t>(resident, 0);
  char digits[24];
  const auto end = std::to_chars(std::begin(digits), std::end(digits), age).ptr;
  exchange.answer.fields.append("Age: ").append(digits, end).append("\r\n");
}

}  // namespace

void write_key(const core::Exchange& exchange, std::string& text) {
  std::uint32_t place = 0xffff'ffff;
  if (exchange.url != nullptr) {
    place =
        static_cast<std::uint32_t>(exchange.url - exchange.urls->snapshot().tree->entries().data());
  }
  const std::uint16_t port = exchange.connection->destination().local.port;
  text.clear();
  text.append(reinterpret_cast<const char*>(&place), kPlaceBytes);
  text.append(reinterpret_cast<const char*>(&port), kPortBytes);
  text.append(exchange.head.host).push_back(kEnd);
  text.append(exchange.document);
  // "/a?" is not "/a": who is asked may see a difference.
  if (exchange.head.query.data() == nullptr) return;
  text.push_back(kEnd);
  text.append(exchange.head.query);
}

std::optional<FlushMark> FlushMark::read(std::string_view url, bool recursive) {
  FlushMark mark;
  mark.recursive = recursive;
  if (!url.starts_with('/') && !read_authority(url, mark)) return std::nullopt;
  const std::size_t question = url.find('?');
  std::string_view path = url.substr(0, question);
  if (path.empty()) path = "/";
  base::Arena arena;
  auto document = http::routing_path(path, std::numeric_limits<std::size_t>::max(), arena);
  if (!document.is_done()) return std::nullopt;
  mark.document = document.value();
  if (question != std::string_view::npos) mark.query = url.substr(question + 1);
  return mark;
}

FlushMark mark_of(const core::Exchange& exchange) {
  FlushMark mark;
  mark.host = without_port(exchange.head.host);
  mark.document = exchange.document;
  mark.port = exchange.connection->destination().local.port;
  mark.any_query = true;
  return mark;
}

std::string_view document_of(std::string_view key) { return parts_of(key).document; }

bool FlushMark::covers(std::string_view key) const {
  const KeyParts parts = parts_of(key);
  if (port != 0 && (parts.port != port || !equal_nocase(without_port(parts.host), host))) {
    return false;
  }
  if (!recursive) return parts.document == document && (any_query || parts.query == query);
  std::string_view above = document;
  if (above.ends_with('/')) above.remove_suffix(1);
  return parts.document.starts_with(above) &&
         (parts.document.size() == above.size() || parts.document[above.size()] == '/');
}

bool CachedAnswer::varies_as(const http::RequestHead& head) const {
  return std::all_of(vary.begin(), vary.end(), [&](const auto& field) {
    return selecting_value(head, field.first) == field.second;
  });
}

std::shared_ptr<CachedAnswer> make_cached(const AnswerHead& head, const AnswerFacts& facts,
                                          std::string&& body, const Verdict& verdict,
                                          const http::RequestHead& request, base::Instant now,
                                          std::int64_t wall_seconds) {
  auto made = std::make_shared<CachedAnswer>();
  made->status = head.status;
  made->is_public = facts.control.is_public;
  made->by_rule = verdict.by_rule;
  made->type = head.type;
  made->fields = lines_where(head.fields, [](std::string_view name) {
    return !is_of_one_request(name) && !equal_nocase(name, "age");
  });
  if (facts.date.data() == nullptr) add_line(made->fields, "Date", head.date);
  if (head.status == 204) body.clear();
  made->body = base::SharedBytes::own(std::move(body));
  if (head.status == 200) {
    made->etag = facts.etag;
    if (facts.last_modified.data() != nullptr) {
      made->last_modified = http::read_date(facts.last_modified, wall_seconds);
    }
    if (facts.etag.data() == nullptr && facts.last_modified.data() == nullptr) {
      made->etag = tag_of(made->body.bytes(), made->type, made->fields);
      add_line(made->fields, "ETag", made->etag);
    }
    if (!facts.has_accept_ranges) add_line(made->fields, "Accept-Ranges", "bytes");
    made->fields_not_modified = lines_not_modified(made->fields);
  }
  for (const std::string& name : facts.vary) {
    made->vary.emplace_back(name, selecting_value(request, name));
  }
  made->age = verdict.age;
  made->born = now;
  // What would end after the clock does not end.
  const bool for_ever = verdict.ttl >= std::chrono::hours(24 * 365 * 50);
  made->expires = for_ever ? base::never : now + verdict.ttl;
  made->bytes = sizeof(CachedAnswer) + CachedAnswer::kOverhead + made->type.size() +
                made->fields.size() + made->fields_not_modified.size() + made->body.size() +
                made->etag.size();
  for (const auto& [name, value] : made->vary) made->bytes += name.size() + value.size() + 64;
  return made;
}

void forget_answer(core::Exchange& exchange) {
  core::Answer& answer = exchange.answer;
  if (!answer.fields.empty()) answer.fields = lines_where(answer.fields, is_of_one_request);
  answer.type.clear();
  answer.text.clear();
  answer.has_type = false;
}

void give(core::Exchange& exchange, const CachedRef& kept, bool selects, bool is_hit) {
  core::Answer& answer = exchange.answer;
  answer.status = kept->status;
  answer.has_date = true;
  if (kept->uncoded) answer.set_extras().uncoded = true;
  std::vector<ByteRange> ranges;
  http::RangeVerdict range = http::RangeVerdict::whole;
  if (selects && kept->status == 200) {
    const http::Validators validators{kept->etag, kept->last_modified};
    const Wishes wishes = wishes_of(exchange);
    const auto verdict = wishes.conditional ? http::judge_conditions(exchange.head, validators,
                                                                     exchange.shard.wall_seconds())
                                            : http::Condition::proceed;
    if (verdict == http::Condition::failed) {
      return exchange.set_error(Errc::http_precondition_failed);
    }
    if (verdict == http::Condition::not_modified) {
      answer.status = 304;
      answer.fields.append(kept->fields_not_modified);
      core::describe_not_modified(exchange, kept->type, kept->fields, kept->body.size());
      if (is_hit) add_age(exchange, *kept);
      return;
    }
    range = judge_ranges(exchange, wishes, validators, kept->body.size(), ranges);
    if (range == http::RangeVerdict::unsatisfiable) {
      exchange.set_error(Errc::http_range_not_satisfiable);
      exchange.add_field_unchecked("Content-Range",
                                   http::content_range_unsatisfied(kept->body.size()));
      exchange.add_field_unchecked("Accept-Ranges", "bytes");
      return;
    }
  }
  answer.fields.append(kept->fields);
  if (!kept->type.empty()) {
    answer.type.assign(kept->type);
    answer.has_type = true;
  }
  if (is_hit) add_age(exchange, *kept);
  if (range == http::RangeVerdict::partial) return give_ranges(exchange, kept, ranges, is_hit);
  const std::size_t size = kept->body.size();
  if (exchange.shard.settings().codings) {
    answer.set_extras().variants = std::shared_ptr<core::CodedVariants>(kept, &kept->variants);
  }
  if (exchange.head_only) {
    answer.set_extras().length_without_body = size;
  } else if (size != 0) {
    add_part(exchange, kept, {0, size - 1}, is_hit);
  }
}

}  // namespace sluice::service
