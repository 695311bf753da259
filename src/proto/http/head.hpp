// proto/http/head.hpp - the head of a message, whichever version of HTTP carried it.
//
// RFC 9110 sections 5 (fields), 9 (methods), 7.1 (targets). Layer: proto. No I/O.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace sluice::http {

enum class Method : std::uint8_t {
  other,  // a token that is none of the following; RequestHead::method_text has it
  get,
  head,
  post,
  put,
  delete_,
  options,
  patch,
  connect,
  trace,
};

// Methods are case-sensitive (RFC 9110 section 9.1).
Method method_of(std::string_view token);

// Fields that somebody looks up on every request, recognised once, while parsing. Those up to
// upgrade are about the message itself: a decoder reads them.
enum class FieldId : std::uint8_t {
  other,
  host,
  content_length,
  transfer_encoding,
  connection,
  expect,
  upgrade,
  te,
  trailer,
  range,
  if_range,
  if_match,
  if_none_match,
  if_modified_since,
  if_unmodified_since,
  accept,
  accept_encoding,
  content_type,
  cookie,
  authorization,
  origin,
  user_agent,
  sec_websocket_key,
  sec_websocket_version,
  sec_websocket_protocol,
  sec_websocket_extensions,
  content_encoding,
  forwarded,
  x_forwarded_for,
  referer,
};

constexpr bool is_about_message(FieldId id) {
  return id != FieldId::other && id <= FieldId::upgrade;
}

// Case-insensitive. FieldId::other for any name not listed.
FieldId field_id(std::string_view name);

struct Field {
  std::string_view name;   // as it was sent
  std::string_view value;  // without the whitespace around it
  FieldId id = FieldId::other;
};

enum class TargetForm : std::uint8_t { origin, absolute, authority, asterisk };

// How the body that follows is delimited.
enum class BodyKind : std::uint8_t { none, length, chunked, until_close /* responses only */ };

// Limits by number (component.md, limits). Exactly at the limit is accepted, one more is not.
struct HeadLimits {
  std::size_t head_bytes = 16384;   // start line, fields and the empty line
  std::size_t field_bytes = 16384;  // one line, name to value, without CRLF
  std::size_t fields = 128;
  std::size_t target_segments = 255;

  friend bool operator==(const HeadLimits&, const HeadLimits&) = default;
};

// What one request's head says. Views point into the bytes that were decoded and live as long as
// they do. The vector keeps its capacity when the head is used again: no allocation in steady
// state.
struct RequestHead {
  Method method = Method::other;
  TargetForm form = TargetForm::origin;
  BodyKind body = BodyKind::none;
  std::uint8_t major = 1, minor = 1;  // 1.0, 1.1 or 2.0
  bool keep_alive = true;             // by version and Connection
  bool expect_continue = false;
  bool upgrade = false;  // Connection has `upgrade` and an Upgrade field is present; or `protocol`
  // Of an extended CONNECT (RFC 8441), which is the GET that it stands for in all else.
  std::string_view protocol;
  std::string_view method_text;
  std::string_view target;  // raw, as it was sent
  std::string_view
      path;  // raw path of the target ("/" for an absolute target without one), no query
  std::string_view query;  // raw, without the question mark
  std::string_view host;   // authority of an absolute target, else Host (RFC 9112 section 3.2.2)
  std::uint64_t content_length = 0;  // when body is `length`
  std::vector<Field> fields;

  // Value of the first field with this id or (case-insensitive) name; an empty view with null data
  // when absent.
  std::string_view find(FieldId id) const;
  std::string_view find(std::string_view name) const;
  void clear() {  // keeps capacity
    method = Method::other;
    form = TargetForm::origin;
    body = BodyKind::none;
    major = 1;
    minor = 1;
    keep_alive = true;
    expect_continue = false;
    upgrade = false;
    protocol = {};
    method_text = {};
    target = {};
    path = {};
    query = {};
    host = {};
    content_length = 0;
    fields.clear();
  }
};

// The head of a response that was received (forwarding).
struct ResponseHead {
  int status = 0;
  std::uint8_t minor = 1;
  BodyKind body = BodyKind::none;
  bool keep_alive = true;
  std::string_view reason;
  std::uint64_t content_length = 0;
  std::vector<Field> fields;

  std::string_view find(FieldId id) const;
  std::string_view find(std::string_view name) const;
  void clear();
};

// The registered reason phrase; "Unknown" for a number without one.
std::string_view reason_phrase(int status);

// True when `list` (a comma-separated field value) has `token`, without regard to case (RFC 9110
// section 5.6.1).
bool has_token(std::string_view list, std::string_view token);

}  // namespace sluice::http
