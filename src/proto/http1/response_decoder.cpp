// proto/http1/response_decoder.cpp - status lines, and how the body of a response ends.
//
// RFC 9112 sections 4 and 6.3. Layer: proto. No I/O.
#include "proto/http1/response_decoder.hpp"

#include <algorithm>

#include "proto/http1/start_line.hpp"

namespace sluice::http1 {

using base::Bad;
using base::need_more;
using base::Parsed;
using http::BodyKind;
using http::Field;
using http::FieldId;
using http::HeadLimits;
using http::Method;
using http::ResponseHead;

namespace {

// Three digits between two spaces; the second one may be missing when the line ends there.
Step read_status(const char* at, const char* end, ResponseHead& head) {
  if (at == end) return Step::more();
  if (*at != ' ') return Step::bad(Errc::http_bad_status_line);
  ++at;
  int status = 0;
  for (int i = 0; i < 3; ++i, ++at) {
    if (at == end) return Step::more();
    if (!http::is_digit(*at)) return Step::bad(Errc::http_bad_status_line);
    status = status * 10 + (*at - '0');
  }
  if (status < 100) return Step::bad(Errc::http_bad_status_line);
  head.status = status;
  if (at == end) return Step::more();
  if (*at == ' ') return Step::to(at + 1);
  if (*at == '\r' || *at == '\n') return Step::to(at);
  return Step::bad(Errc::http_bad_status_line);
}

Step read_status_line(const char* base, const char* end, ResponseHead& head) {
  Version version;
  Step step = read_version(base, end, version);
  if (step.next == nullptr) return step;
  step = read_status(step.next, end, head);
  if (step.next == nullptr) return step;
  const char* reason = step.next;
  const char* stop = find_value_end(base, reason, end);
  if (stop == end) return Step::more();
  if (*stop != '\r' && *stop != '\n') return Step::bad(Errc::http_bad_status_line);
  step = line_end(stop, end);
  if (step.next == nullptr) return step;
  if (!version.supported) return Step::bad(Errc::http_version_not_supported);
  head.minor = version.minor;
  head.reason = {reason, static_cast<std::size_t>(stop - reason)};
  return step;
}

}  // namespace

void ResponseDecoder::reset() { *this = ResponseDecoder{}; }

// Takes down what a field says about the message itself.
Errc ResponseDecoder::note(const Field& field, ResponseHead& head) {
  switch (field.id) {
    case FieldId::content_length:
      if (have_length_) return Errc::http_ambiguous_length;
      have_length_ = true;
      return read_content_length(field.value, head.content_length);
    case FieldId::transfer_encoding:
      return add_codings(field.value, codings_);
    case FieldId::connection:
      add_connection_options(field.value, connection_);
      return Errc::none;
    default:
      return Errc::none;
  }
}

Errc ResponseDecoder::finish(Method request, ResponseHead& head) const {
  const int status = head.status;
  if (codings_.present) {
    if (have_length_) return Errc::http_ambiguous_length;
    if (head.minor == 0 || !codings_.chunked) return Errc::http_bad_transfer_encoding;
    if (codings_.others) return Errc::http_transfer_encoding_not_supported;
  }
  if (request == Method::connect && status / 100 == 2) return Errc::http_bad_status_line;
  head.keep_alive = !connection_.close && (head.minor > 0 || connection_.keep_alive);
  if (status / 100 == 1 || status == 204) {
    if (codings_.present) return Errc::http_bad_transfer_encoding;
    if (head.content_length != 0) return Errc::http_ambiguous_length;
    return Errc::none;
  }
  if (request == Method::head || status == 304) return Errc::none;
  if (codings_.chunked) {
    head.body = BodyKind::chunked;
  } else if (have_length_) {
    head.body = head.content_length > 0 ? BodyKind::length : BodyKind::none;
  } else {
    head.body = BodyKind::until_close;
    head.keep_alive = false;
  }
  return Errc::none;
}

Parsed<bool> ResponseDecoder::decode(Bytes in, Method request, const HeadLimits& limits,
                                     ResponseHead& head) {
  const char* base = as_text(in).data();
  // Nothing behind the limit is looked at, so that a head that is over it gets one verdict, whole
  // or not.
  const bool full = in.size() >= limits.head_bytes;
  const char* end = base + std::min(in.size(), limits.head_bytes);
  Step step;
  if (!have_line_) {
    head.clear();
    step = read_status_line(base, end, head);
    if (step.next != nullptr) {
      have_line_ = true;
      at_ = static_cast<std::size_t>(step.next - base);
    }
  }
  if (have_line_) {
    step = read_field_lines(base, at_, end, limits, head.fields,
                            [&](const Field& field) { return note(field, head); });
  }
  if (step.next == nullptr) {
    if (step.error != Errc::none) return Bad{step.error};
    if (full) return Bad{Errc::http_head_too_large};
    return need_more;
  }
  if (const Errc error = finish(request, head); error != Errc::none) return Bad{error};
  return {true, static_cast<std::size_t>(step.next - base)};
}

}  // namespace sluice::http1
