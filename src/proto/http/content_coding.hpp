// proto/http/content_coding.hpp - names of content codings, Content-Encoding and Accept-Encoding.
//
// RFC 9110 sections 8.4 and 12.5.3, RFC 7932 (br), RFC 8878 and 9659 (zstd). Layer: proto. No I/O,
// allocates nothing but what says so. What is coded how stands in proto/coding.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <sluice/error.hpp>

namespace sluice::http {

enum class ContentCoding : std::uint8_t {
  identity,
  gzip,     // also as x-gzip
  deflate,  // zlib's format (RFC 1950); undone, never made
  br,
  zstd,
};
inline constexpr std::size_t kContentCodings = 5;

// As it stands in a field. Static.
std::string_view coding_name(ContentCoding coding);
// By its name, in any case; x-gzip is gzip. None for what is not known here.
std::optional<ContentCoding> find_coding(std::string_view token);

// What 415 should say of itself (RFC 9110 section 15.5.16), as an Accept-Encoding field.
inline constexpr std::string_view kCodingsUnderstood = "gzip, deflate, br, zstd";

// The codings of a message in the order in which they were applied: the last is undone first.
struct CodingList {
  static constexpr std::size_t kMost = 4;
  std::array<ContentCoding, kMost> codings{};
  std::size_t size = 0;

  std::span<const ContentCoding> view() const { return {codings.data(), size}; }
  friend bool operator==(const CodingList&, const CodingList&) = default;
};

// Reads Content-Encoding: the values of its fields, in their order, are one list. `identity`, which
// should not stand there, and empty members count for nothing. At most `most` codings, which is at
// most CodingList::kMost: each one more multiplies what a few bytes may become.
// Errors: http_bad_field_value (a member is no token), http_coding_not_supported (unknown, or too
// many); `list` is empty then.
Errc read_content_encoding(std::span<const std::string_view> values, std::size_t most,
                           CodingList& list);

// What Accept-Encoding makes of the codings that could be sent.
struct CodingChoice {
  ContentCoding coding = ContentCoding::identity;
  // False: neither identity nor anything that is offered is acceptable. `coding` is identity, and
  // is to be sent nevertheless: RFC 9110 section 12.4.1 lets a server disregard the field, and what
  // a 406 would say could not be coded in any better way.
  bool acceptable = true;

  friend bool operator==(const CodingChoice&, const CodingChoice&) = default;
};

// RFC 9110 section 12.5.3. `accept_encoding`: the values of the fields, in their order, which are
// one list; empty when there is none, and then nothing is coded (any coding would be acceptable to
// the letter, but clients that say nothing are those that understand nothing). `offered`: the
// server's, best first; identity need not be in it.
//
// The highest weight wins; among equals the server's order, and identity last. Identity that the
// field does not name (`*` aside) is acceptable, and worth less than what it names. The first
// member of a name counts; malformed members count for nothing.
CodingChoice choose_coding(std::span<const std::string_view> accept_encoding,
                           std::span<const ContentCoding> offered);

// Whether an answer whose Vary fields have these values must get `Vary: Accept-Encoding` as well:
// none of them has `*` or that name.
bool needs_vary(std::span<const std::string_view> vary);
inline constexpr std::string_view kVaryByCoding = "Accept-Encoding";

// The entity tag of a representation that was coded on its way (RFC 9110 section 8.8.3): `"x"`
// becomes `W/"x"`, a weak one stays. As nginx does it: the coded variant is not the same bytes, so
// a strong tag would lie (to ranges, above all); a weak one still answers If-None-Match with the
// tag that the application knows, which a suffix (Apache's `-gzip`) does not. If-Match never
// matches a weak tag: who edits must ask for identity. Anything that is no entity tag comes back as
// it is. Allocates.
std::string weaken_etag(std::string_view etag);

}  // namespace sluice::http
