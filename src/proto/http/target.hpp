// proto/http/target.hpp - the one function that makes the routing path, and the query's parameters.
//
// RFC 3986 section 6.2.2 and 5.2.4, RFC 9112 section 3.2. Layer: proto. No I/O.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "base/arena.hpp"
#include "base/parsed.hpp"

namespace sluice::http {

// The routing path of a raw path: octets that need no encoding (unreserved, and those of valid UTF-8) decoded once, dot segments
// removed, %2F, %5C and %25 kept encoded (hex in upper case), a raw backslash kept as it is. Refused (Errc): %00 and other controls,
// raw controls, invalid UTF-8 (raw or encoded), %u and other malformed escapes, `#`, more than max_segments segments, a path that does not begin with `/`, 
// dot segments that climb over the root are clamped there. Routing, reservations, authentication, cache and files use only this.
// The result is `raw` itself when nothing had to change, else bytes of `arena`.
base::Parsed<std::string_view> routing_path(std::string_view raw, std::size_t max_segments, base::Arena& arena);

// Percent-decodes one query component ('+' is a space). nullopt when it is malformed. Result in `arena`, or the input.
std::optional<std::string_view> decode_component(std::string_view raw, base::Arena& arena);

// Steps through `a=1&b=2`. Returns false at the end. Views are raw.
bool next_parameter(std::string_view& query, std::string_view& name, std::string_view& value);

// Steps through a Cookie field (RFC 6265 section 5.4). Views into it.
bool next_cookie(std::string_view& cookies, std::string_view& name, std::string_view& value);

// True for `host`, `host:port`, `1.2.3.4:80`, `[::1]:80`: what may stand in Host or an authority (RFC 9110 section 7.2).
bool is_authority(std::string_view text);

}  // namespace sluice::http
