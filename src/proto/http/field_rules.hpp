// proto/http/field_rules.hpp - which fields an application may add to a message.
//
// RFC 9110 sections 5.1 and 5.5. Layer: proto. No I/O.
#pragma once

#include <string_view>

#include <sluice/error.hpp>

namespace sluice::http {

// Without regard to case.
bool same_name(std::string_view a, std::string_view b);

// No control character but HTAB.
bool is_value(std::string_view text);

// Errc::none, http_bad_field_name, http_response_splitting (a control character in the value), or
// http_framing_field (Content-Length, Transfer-Encoding, Connection and other fields of this
// connection only, which the server sets).
Errc judge_field(std::string_view name, std::string_view value);

// Fields that mean something before the body is read, or decide who may ask, must not arrive behind
// it (RFC 9110 section 6.5.1). Without regard to case.
bool is_forbidden_trailer(std::string_view name);

}  // namespace sluice::http
