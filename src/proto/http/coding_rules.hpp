// proto/http/coding_rules.hpp - whether an answer is coded on its way, and with what.
//
// RFC 9110 sections 8.4, 8.8.3, 12.5.3 and 12.5.5; RFC 9111 section 5.2.2.6 (no-transform). Pure
// functions of facts. Layer: proto. No I/O, allocates nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "proto/http/content_coding.hpp"

namespace sluice::http {

// What shrinks, as patterns of is_compressible. Event streams are left out: each one that is open
// would keep an encoder; name them to have them coded.
std::span<const std::string_view> compressible_types();

// Whether the media type at the front of a Content-Type matches one of `patterns`: `type/subtype`,
// `type/*`, `*/*`, and `*/*+suffix` for structured syntax suffixes, without regard to case.
// Parameters play no part. A pattern with `!` in front takes out what it matches, wherever it
// stands in the list. An empty or malformed type matches nothing.
bool is_compressible(std::string_view content_type, std::span<const std::string_view> patterns);

// Whether `text` is a pattern as above.
bool is_type_pattern(std::string_view text);

// What the server's owner wants.
struct CodingRules {
  // Best first. zstd makes answers on their way nearly as small as br does, in a quarter of its
  // time; br is what all browsers know over TLS, gzip what everybody knows (figures: ADR 32).
  std::span<const ContentCoding> offered = kOffered;
  std::span<const std::string_view> types = compressible_types();
  // Content that is known to be shorter stays as it is: below this an answer is one packet with or
  // without coding. An empty one stays in any case.
  std::uint64_t least_bytes = 1024;
  // True: also what may hold secrets over TLS (`secret` below).
  bool secrets = false;

  static constexpr ContentCoding kOffered[] = {ContentCoding::zstd, ContentCoding::br,
                                               ContentCoding::gzip};
};

// What is known of an answer, and of its request, when the head is about to be written. Views are
// read during the call only.
struct AnswerFacts {
  int status = 200;
  // CONNECT: what follows 2xx is no content. HEAD is none of these facts: its answer gets the head
  // that GET's would have.
  bool connect = false;
  std::optional<std::uint64_t> size;                  // of the content, if it is known
  std::string_view content_type;                      // of the answer; empty: none
  std::span<const std::string_view> accept_encoding;  // of the request: its fields' values
  std::span<const std::string_view> cache_control;    // of the answer
  bool has_content_encoding = false;
  bool has_content_range = false;
  // Digest, Content-Digest, Repr-Digest, Content-MD5 (RFC 9530): of bytes that would be other ones.
  bool has_digest = false;
  bool over_tls = false;
  bool sets_cookie = false;        // Set-Cookie, in the answer
  bool has_authorization = false;  // in the request
};

// Why an answer stays as it is; the first that holds, in this order.
enum class NotCoded : std::uint8_t {
  coded,         // it does not: it is coded
  status,        // no content (1xx, 204, 205, 304, 2xx to CONNECT), or a part of it (206)
  range,         // Content-Range
  already,       // Content-Encoding is set, `identity` too: that is how a handler says no
  no_transform,  // Cache-Control
  digest,
  type,    // does not shrink, or is not said
  size,    // shorter than least_bytes, or empty
  secret,  // over TLS, with Set-Cookie or Authorization: the length of what is compressed tells
           // about secrets beside what an attacker can put into it (BREACH)
  not_accepted,  // nothing that is offered
};

// What to do with the answer.
//
// With a coding other than identity the caller sets Content-Encoding, takes Content-Length and
// Accept-Ranges off, and weakens the ETag (weaken_etag). With `vary` it adds Vary: Accept-Encoding
// (needs_vary), coded or not: another request gets something else. A 304 gets both as the 200 would
// have: call this with status 200 and the type of the representation, where they are known. A 206
// is never coded, but has the Vary of the whole (RFC 9110 section 15.3.7); its ETag stays.
struct CodingVerdict {
  ContentCoding coding = ContentCoding::identity;
  NotCoded why = NotCoded::coded;
  bool vary = false;
  bool acceptable = true;  // CodingChoice::acceptable

  friend bool operator==(const CodingVerdict&, const CodingVerdict&) = default;
};
CodingVerdict coding_for(const AnswerFacts& facts, const CodingRules& rules);

}  // namespace sluice::http
