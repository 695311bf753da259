// proto/http1/first_bytes.hpp - whether what a connection begins with can be HTTP/1.
//
// RFC 9112 section 3. Layer: proto/http1.
#pragma once

#include <cstddef>
#include <span>

#include <sluice/error.hpp>

namespace sluice::http1 {

// False when no bytes that follow can make a request line of it. Empty lines in front are let pass,
// as the decoder does (RFC 9112 section 2.2).
bool may_begin_request(std::span<const std::byte> bytes);

// What the decoder finds wrong with the line itself, and not with what it asks for.
bool is_of_request_line(Errc code);

}  // namespace sluice::http1
