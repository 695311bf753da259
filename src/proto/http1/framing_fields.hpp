// proto/http1/framing_fields.hpp - Connection, Content-Length and Transfer-Encoding, as every head
// ends.
//
// RFC 9112 sections 6 and 9. Layer: proto. Private to the encoders of this folder. No I/O, no
// state.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "proto/http1/put.hpp"
#include "proto/http1/response_encoder.hpp"

namespace sluice::http1 {

inline constexpr std::string_view kLineEnd = "\r\n";
// The most that write_framing_fields writes.
inline constexpr std::size_t kFramingFieldsBound = 96;

// Writes the three and the empty line; returns the end.
inline char* write_framing_fields(char* out, ConnectionField connection, Framing framing,
                                  std::uint64_t content_length) {
  static constexpr std::string_view options[] = {
      "", "Connection: close\r\n", "Connection: keep-alive\r\n", "Connection: Upgrade\r\n"};
  if (connection != ConnectionField::absent) {
    out = put(out, options[static_cast<std::size_t>(connection)]);
  }
  switch (framing) {
    case Framing::length:
      out = put_number(put_literal(out, "Content-Length: "), content_length);
      return put_literal(out, "\r\n\r\n");
    case Framing::chunked:
      return put_literal(out, "Transfer-Encoding: chunked\r\n\r\n");
    case Framing::none:
      break;
  }
  return put_literal(out, "\r\n");
}

}  // namespace sluice::http1
