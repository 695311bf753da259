// proto/http/coding_rules.cpp - whether an answer is coded on its way, and with what.
//
// RFC 9110 sections 8.4 and 12.5.3. Layer: proto. No I/O. Thread: any.
#include "proto/http/coding_rules.hpp"

#include <algorithm>

#include "proto/http/head.hpp"
#include "proto/http/quality.hpp"
#include "proto/http/token.hpp"

namespace sluice::http {
namespace {

constexpr std::string_view kCompressible[] = {
    "text/*",
    "!text/event-stream",
    "*/*+json",
    "*/*+xml",
    "*/*+yaml",
    "application/json",
    "application/x-ndjson",
    "application/jsonl",
    "application/json-seq",
    "application/javascript",
    "application/x-javascript",
    "application/ecmascript",
    "application/wasm",
    "application/xml",
    "application/xml-dtd",
    "application/yaml",
    "application/toml",
    "application/sql",
    "application/graphql",
    "application/rtf",
    "application/postscript",
    "application/x-sh",
    "application/x-www-form-urlencoded",
    "application/x-tar",
    "application/vnd.apple.mpegurl",
    "application/vnd.ms-fontobject",
    "image/bmp",
    "image/vnd.microsoft.icon",
    "image/x-icon",
    "font/ttf",
    "font/otf",
    "font/collection",
    "model/gltf-binary",
};

struct MediaType {
  std::string_view type, subtype;
};

// Both empty unless `text` is `type/subtype`, with tokens for both.
MediaType split(std::string_view text) {
  MediaType parts;
  parts.type = take_until(text, "/");
  parts.subtype = text;
  return is_token(parts.type) && is_token(parts.subtype) ? parts : MediaType{};
}

bool matches(const MediaType& media, const MediaType& pattern) {
  if (pattern.type.empty()) return false;
  if (pattern.type != "*" && !equal_nocase(media.type, pattern.type)) return false;
  if (pattern.subtype == "*") return true;
  if (pattern.subtype.starts_with("*+")) {
    const std::string_view suffix = pattern.subtype.substr(1);
    return media.subtype.size() > suffix.size() &&
           equal_nocase(media.subtype.substr(media.subtype.size() - suffix.size()), suffix);
  }
  return equal_nocase(media.subtype, pattern.subtype);
}

bool is_whole(const AnswerFacts& facts) {
  const int status = facts.status;
  if (status < 200 || status == 204 || status == 205 || status == 206 || status == 304)
    return false;
  return !(facts.connect && status < 300);
}

bool says(std::span<const std::string_view> values, std::string_view directive) {
  for (const std::string_view value : values) {
    if (has_token(value, directive)) return true;
  }
  return false;
}

// All but what depends on the request.
NotCoded judge(const AnswerFacts& facts, const CodingRules& rules) {
  if (!is_whole(facts)) return NotCoded::status;
  if (facts.has_content_range) return NotCoded::range;
  if (facts.has_content_encoding) return NotCoded::already;
  if (says(facts.cache_control, "no-transform")) return NotCoded::no_transform;
  if (facts.has_digest) return NotCoded::digest;
  if (!is_compressible(facts.content_type, rules.types)) return NotCoded::type;
  const auto least = std::max<std::uint64_t>(rules.least_bytes, 1);  // nothing does not shrink
  if (facts.size && *facts.size < least) return NotCoded::size;
  return NotCoded::coded;
}

// The same of the whole of which the answer is a part, as far as is known.
bool whole_is_coded(AnswerFacts facts, const CodingRules& rules) {
  facts.status = 200;
  facts.has_content_range = false;
  facts.size.reset();
  return judge(facts, rules) == NotCoded::coded;
}

}  // namespace

std::span<const std::string_view> compressible_types() { return kCompressible; }

bool is_type_pattern(std::string_view text) {
  if (text.starts_with('!')) text.remove_prefix(1);
  const MediaType pattern = split(text);
  if (pattern.type.empty()) return false;
  if (pattern.type == "*" && pattern.subtype != "*" && !pattern.subtype.starts_with("*+")) {
    return false;
  }
  // A star stands for all of a type, or for all in front of a suffix.
  const std::string_view rest =
      pattern.subtype.substr(pattern.subtype.starts_with("*+") || pattern.subtype == "*" ? 1 : 0);
  return rest.find('*') == std::string_view::npos && rest != "+" &&
         (pattern.type == "*" || pattern.type.find('*') == std::string_view::npos);
}

bool is_compressible(std::string_view content_type, std::span<const std::string_view> patterns) {
  const MediaType media = split(trim_ows(take_until(content_type, ";")));
  if (media.type.empty()) return false;
  bool found = false;
  for (std::string_view pattern : patterns) {
    const bool excludes = pattern.starts_with('!');
    if (excludes) pattern.remove_prefix(1);
    if ((found && !excludes) || !matches(media, split(pattern))) continue;
    if (excludes) return false;
    found = true;
  }
  return found;
}

CodingVerdict coding_for(const AnswerFacts& facts, const CodingRules& rules) {
  CodingVerdict verdict;
  verdict.why = judge(facts, rules);
  if (rules.offered.empty()) {
    if (verdict.why == NotCoded::coded) verdict.why = NotCoded::not_accepted;
    return verdict;
  }
  if (verdict.why != NotCoded::coded) {
    // RFC 9110 section 15.3.7: a part has the Vary that the whole would have.
    verdict.vary = facts.status == 206 && whole_is_coded(facts, rules);
    return verdict;
  }
  verdict.vary = true;
  if (facts.over_tls && (facts.sets_cookie || facts.has_authorization) && !rules.secrets) {
    verdict.why = NotCoded::secret;
    return verdict;
  }
  const CodingChoice choice = choose_coding(facts.accept_encoding, rules.offered);
  verdict.coding = choice.coding;
  verdict.acceptable = choice.acceptable;
  if (choice.coding == ContentCoding::identity) verdict.why = NotCoded::not_accepted;
  return verdict;
}

}  // namespace sluice::http
