// proto/http1/request_decoder.hpp - the head of an HTTP/1.x request.
//
// RFC 9112 sections 2 to 6, strict: whatever two readers could read in two ways is refused.
// Layer: proto. Does no I/O; allocates only when a head has more fields than any before it.
#pragma once

#include <cstddef>

#include <sluice/bytes.hpp>

#include "base/parsed.hpp"
#include "proto/http/head.hpp"
#include "proto/http1/field_line.hpp"

namespace sluice::http1 {

// Decodes one head. `in` is every byte since the message began, in one piece and at the same
// address on each call; after need_more, call again with the same bytes and more behind them. Bytes
// that were looked at are not looked at again (lines that were complete). If the bytes moved, call
// reset() first. Up to 2 empty lines before the request line are skipped (RFC 9112 section 2.2).
//
// done: `head` is filled in, used() is the size of the head; its views point into `in`.
// A body of Content-Length: 0 is BodyKind::none. After done or bad, call reset() before the next
// message. The verdict never depends on how the bytes were cut.
class RequestDecoder {
 public:
  void reset();
  base::Parsed<bool> decode(Bytes in, const http::HeadLimits& limits, http::RequestHead& head);

 private:
  Step read_empty_lines(const char* base, const char* end);
  std::size_t read_usual(const char* base, const char* end, const http::HeadLimits& limits,
                         http::RequestHead& head);
  base::Parsed<bool> read_carefully(Bytes in, const http::HeadLimits& limits,
                                    http::RequestHead& head);
  Errc note(const char* base, const char* end, const http::Field& field, http::RequestHead& head);
  Errc finish(http::RequestHead& head) const;

  std::size_t start_ = 0;   // of the request line
  std::size_t at_ = 0;      // start of the first line that is not yet decoded
  bool have_line_ = false;  // the request line has been decoded
  std::uint8_t empty_lines_ = 0;
  bool have_host_ = false, have_length_ = false, have_upgrade_ = false, bad_expectation_ = false;
  Codings codings_;
  ConnectionOptions connection_;
};

}  // namespace sluice::http1
