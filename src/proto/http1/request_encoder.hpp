// proto/http1/request_encoder.hpp - the head of a request, as bytes (forwarding, clients).
//
// RFC 9112 section 3. Layer: proto. Does no I/O, allocates nothing: the caller gives the room.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "proto/http1/response_encoder.hpp"

namespace sluice::http1 {

// Order on the wire: request line, Host, fields, Connection, Content-Length or Transfer-Encoding.
// The body of a chunked request is written with write_chunk_head, as a response's is.
struct RequestHeadOut {
  std::string_view method = "GET";
  std::string_view target = "/";
  std::string_view host = {};  // always written: an empty one where the target has no authority
  Framing framing = Framing::none;
  ConnectionField connection = ConnectionField::absent;
  std::uint64_t content_length = 0;
  // Complete lines, each ended by CRLF, validated by whoever collected them.
  std::string_view fields = {};
};

// Whether method, target and host can be written as they are: a method of token characters, a
// target without controls, spaces and `#`, a host that is empty or an authority. Ask it for
// whatever did not come from a RequestDecoder.
bool is_writable(const RequestHeadOut& head);

// How many bytes the head can need at most.
std::size_t request_head_bound(const RequestHeadOut& head);

// Writes the head with its empty line; returns the end. `out` has room for
// request_head_bound(head).
char* write_request_head(char* out, const RequestHeadOut& head);

}  // namespace sluice::http1
