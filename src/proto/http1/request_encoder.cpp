// proto/http1/request_encoder.cpp - request lines and fields, as bytes.
//
// RFC 9112 section 3. Layer: proto. Does no I/O, allocates nothing.
#include "proto/http1/request_encoder.hpp"

#include "proto/http/target.hpp"
#include "proto/http1/framing_fields.hpp"
#include "proto/http1/scan.hpp"

namespace sluice::http1 {
namespace {

constexpr std::string_view kVersion = " HTTP/1.1\r\nHost: ";

}  // namespace

bool is_writable(const RequestHeadOut& head) {
  if (!http::is_token(head.method) || head.target.empty()) return false;
  const char* end = head.target.data() + head.target.size();
  if (find_target_end(head.target.data(), head.target.data(), end) != end) return false;
  return head.host.empty() || http::is_authority(head.host);
}

std::size_t request_head_bound(const RequestHeadOut& head) {
  return head.method.size() + 1 + head.target.size() + kVersion.size() + head.host.size() +
         kLineEnd.size() + head.fields.size() + kFramingFieldsBound;
}

char* write_request_head(char* out, const RequestHeadOut& head) {
  out = put(out, head.method);
  *out++ = ' ';
  out = put(put(out, head.target), kVersion);
  out = put(put(out, head.host), kLineEnd);
  out = put(out, head.fields);
  return write_framing_fields(out, head.connection, head.framing, head.content_length);
}

}  // namespace sluice::http1
