// proto/http1/response_decoder.hpp - the head of an HTTP/1.x response, read as a client (forwarding).
//
// RFC 9112 sections 4 and 6.3. Layer: proto. No I/O.
#pragma once

#include <sluice/bytes.hpp>

#include "base/parsed.hpp"
#include "proto/http/head.hpp"

namespace sluice::http1 {

// The same contract as RequestDecoder. `request` is the method that is being answered: a response to HEAD, any 1xx, 204 and 304 have
// no body; CONNECT with 2xx is refused.
class ResponseDecoder {
 public:
  void reset();
  base::Parsed<bool> decode(Bytes in, http::Method request, const http::HeadLimits& limits,
                            http::ResponseHead& head);

 private:
  std::size_t at_ = 0;
  bool have_line_ = false;
  bool have_length_ = false, have_coding_ = false, chunked_ = false, close_ = false, keep_ = false;
};

}  // namespace sluice::http1
