// proto/http1/response_decoder.hpp - the head of an HTTP/1.x response, read as a client
// (forwarding).
//
// RFC 9112 sections 4 and 6.3. Layer: proto. No I/O.
#pragma once

#include <cstddef>

#include <sluice/bytes.hpp>

#include "base/parsed.hpp"
#include "proto/http/head.hpp"
#include "proto/http1/field_line.hpp"

namespace sluice::http1 {

// The same contract as RequestDecoder. `request` is the method that is being answered: a response
// to HEAD, any 1xx, 204 and 304 have no body; CONNECT with 2xx is refused. A 1xx is a head of its
// own: reset, and decode what follows it. content_length is set whenever the field was there, also
// where no body follows.
//
// Stricter than RFC 9112 section 6.3 asks of a client: repeated lengths, a Transfer-Encoding that
// does not end in chunked, one in HTTP/1.0 or in a 1xx or 204, and a length other than 0 in a 1xx
// or 204 are refused. A status line that ends behind the number is accepted.
class ResponseDecoder {
 public:
  void reset();
  base::Parsed<bool> decode(Bytes in, http::Method request, const http::HeadLimits& limits,
                            http::ResponseHead& head);

 private:
  Errc note(const http::Field& field, http::ResponseHead& head);
  Errc finish(http::Method request, http::ResponseHead& head) const;

  std::size_t at_ = 0;
  bool have_line_ = false;
  bool have_length_ = false;
  Codings codings_;
  ConnectionOptions connection_;
};

}  // namespace sluice::http1
