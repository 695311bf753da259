// proto/http1/response_encoder.hpp - the head of a response, and the chunked coding, as bytes.
//
// RFC 9112 sections 4 and 7.1. Layer: proto. Does no I/O, allocates nothing: the caller gives the
// room.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sluice::http1 {

enum class Framing : std::uint8_t {
  length,   // Content-Length: `content_length`
  chunked,  // Transfer-Encoding: chunked
  none,     // neither: 1xx, 204, 304 without a length, or a body that ends with the connection
};

enum class ConnectionField : std::uint8_t { absent, close, keep_alive, upgrade };

struct ResponseHeadOut {
  int status = 200;
  std::string_view reason = {};  // empty: the registered phrase
  Framing framing = Framing::length;
  ConnectionField connection = ConnectionField::absent;
  std::uint64_t content_length = 0;
  std::string_view date = {};    // 29 bytes of IMF-fixdate; empty: no Date field
  std::string_view server = {};  // empty: no Server field
  // Complete lines, each ended by CRLF, validated by whoever collected them.
  std::string_view fields = {};
  std::string_view type = {};  // with null data: no Content-Type field
};

// How many bytes the head can need at most.
std::size_t response_head_bound(const ResponseHeadOut& head);

// Writes the head with its empty line; returns the end. `out` has room for
// response_head_bound(head).
char* write_response_head(char* out, const ResponseHeadOut& head);

// "HTTP/1.1 100 Continue" with its empty line.
std::string_view continue_response();

// A chunk is: write_chunk_head, the data, "\r\n". At most 18 bytes.
inline constexpr std::size_t kChunkHeadBound = 18;
char* write_chunk_head(char* out, std::uint64_t size);
inline constexpr std::string_view kChunkTail = "\r\n";
inline constexpr std::string_view kLastChunk = "0\r\n";  // then trailer lines, then "\r\n"

// A field that an application may add: name is a token, value has no control character but HTAB, no
// leading or trailing whitespace is required. Framing fields are judged by the caller.
bool is_field_name(std::string_view name);
bool is_field_value(std::string_view value);

}  // namespace sluice::http1
