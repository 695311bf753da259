// proto/http/target.hpp - the one function that makes the routing path, and the query's parameters.
//
// RFC 3986 section 6.2.2 and 5.2.4, RFC 9112 section 3.2. Layer: proto. No I/O.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/arena.hpp"
#include "base/parsed.hpp"

namespace sluice::http {

// The routing path of a raw path (no query): what routing, reservations, authentication, cache and
// files use, and nothing else.
//
// Escapes are decoded once, if they stand for printable ASCII or are part of valid UTF-8; %2F, %5C
// and %25 stay, with upper-case digits. A raw backslash stays. Then dot segments are removed; what
// climbs over the root stays at the root. The result is `raw` itself when nothing had to change,
// else bytes of `arena`.
//
// Errors: http_bad_target for a path that does not begin with `/`, for controls (raw or %00 to %1F,
// %7F) and a raw `#` or `?`; http_bad_percent_encoding for %u and other malformed escapes;
// http_bad_utf8 for octets, raw or encoded, that are not UTF-8; http_too_many_segments for more
// slashes than max_segments. The first one from the left is told.
base::Parsed<std::string_view> routing_path(std::string_view raw, std::size_t max_segments,
                                            base::Arena& arena);

// Adds a routing path as it is sent: what may not stand there is encoded again (RFC 3986 section
// 3.3). `%` stands in routing paths for what is encoded.
void append_path(std::string_view path, std::string& out);
// `raw` is what append_path() makes of `path`: nobody reads the one in another way than the other.
bool is_spelled_as(std::string_view raw, std::string_view path);

// Percent-decodes one query component ('+' is a space). nullopt when it is malformed. Result in
// `arena`, or the input. Any octet may come out, NUL too: what it means is the application's
// question.
std::optional<std::string_view> decode_component(std::string_view raw, base::Arena& arena);

// Steps through `a=1&b=2`. Returns false at the end. Views are raw. Empty pieces are passed over;
// without `=` the value is empty.
bool next_parameter(std::string_view& query, std::string_view& name, std::string_view& value);

// Steps through a Cookie field (RFC 6265 section 5.4). Views into it; quotes are part of a value.
// Pieces without a name or without `=` are passed over.
bool next_cookie(std::string_view& cookies, std::string_view& name, std::string_view& value);

// True for `host`, `host:port`, `1.2.3.4:80`, `[::1]:80`: what may stand in Host or an authority
// (RFC 9110 section 7.2). An empty port is legal, an empty host, user information and a zone are
// not.
bool is_authority(std::string_view text);

}  // namespace sluice::http
