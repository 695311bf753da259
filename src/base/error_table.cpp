// base/error_table.cpp - every Errc, the answer it puts on the wire, its reason word and its
// sentence.
//
// Layer: base. A test walks the enum: no code lacks a row, no row lacks a sentence.
#include "base/error_table.hpp"

#include <algorithm>
#include <array>

namespace sluice {
namespace {

using enum Errc;

constexpr ErrorInfo kTable[] = {
    {none, 0, "", "no error"},
    {out_of_memory, 503, "OutOfMemory", "memory is used up"},
    {cancelled, 0, "Cancelled", "the operation was cancelled"},
    {gone, 0, "Gone", "the connection is no longer there"},
    {would_deadlock, 0, "WouldDeadlock",
     "a blocking call on a thread that it would wait for; use the _async form"},
    {already_replied, 0, "AlreadyReplied", "the request has been answered already"},
    {already_running, 0, "AlreadyRunning", "the server is running"},
    {not_running, 0, "NotRunning", "the server is not running"},
    {invalid_argument, 0, "InvalidArgument", "an argument is not valid"},
    {unavailable, 0, "Unavailable", "this machine does not offer it"},
    {handler_threw, 500, "HandlerThrew", "a handler threw an exception"},
    {mailbox_full, 0, "MailboxFull", "the shard's mailbox is full"},
    {timed_out, 0, "TimedOut", "it took too long"},

    {bad_setting, 0, "BadSetting", "a setting is not valid"},
    {address_in_use, 0, "AddressInUse", "the address is in use"},
    {address_not_available, 0, "AddressNotAvailable", "the address is not one of this machine"},
    {permission_denied, 403, "PermissionDenied", "permission denied"},
    {bad_host, 0, "BadHost", "the host is neither an address nor a name"},
    {bad_prefix, 0, "BadPrefix", "the URL prefix is not valid"},

    {already_exists, 0, "AlreadyExists", "the URL prefix is taken already"},
    {scheme_conflict, 0, "SchemeConflict", "http and https cannot share a port"},
    {too_many_prefixes, 0, "TooManyPrefixes", "there are too many URL prefixes"},
    {no_such_prefix, 0, "NoSuchPrefix", "there is no such URL prefix"},

    {io_failed, 500, "IoFailed", "input or output failed"},
    {connection_reset, 0, "Connection_Dropped", "the connection was reset by the peer"},
    {connection_closed, 0, "Connection_Dropped", "the peer closed the connection"},
    {too_many_files, 503, "TooManyFiles", "too many descriptors are open"},
    {not_found, 404, "NotFound", "there is no such file"},
    {not_regular_file, 403, "NotRegularFile", "not a regular file"},
    {outside_root, 403, "OutsideRoot", "the path leaves the served directory"},
    {disk_full, 507, "DiskFull", "there is no room to store this"},

    {http_bad_request_line, 400, "BadRequest", "malformed request line"},
    {http_bad_method, 400, "Verb", "malformed method"},
    {http_bad_target, 400, "URL", "malformed request target"},
    {http_bad_version, 400, "BadRequest", "malformed HTTP version"},
    {http_version_not_supported, 505, "Version_N/S", "this HTTP version is not supported"},
    {http_bad_field_name, 400, "Header", "malformed field name"},
    {http_bad_field_value, 400, "Header", "a field value holds a control character"},
    {http_obs_fold, 400, "Header", "a field is folded over several lines"},
    {http_space_before_colon, 400, "Header", "whitespace between field name and colon"},
    {http_bare_cr, 400, "BadRequest", "a carriage return without a line feed"},
    {http_bare_lf, 400, "BadRequest", "a line feed without a carriage return"},
    {http_missing_host, 400, "Hostname", "the Host field is missing"},
    {http_duplicate_host, 400, "Hostname", "there is more than one Host field"},
    {http_bad_host, 400, "Hostname", "malformed Host field"},
    {http_bad_content_length, 400, "BadRequest", "malformed Content-Length"},
    {http_ambiguous_length, 400, "BadRequest", "message length is ambiguous"},
    {http_bad_transfer_encoding, 400, "BadRequest", "Transfer-Encoding does not end in chunked"},
    {http_transfer_encoding_not_supported, 501, "N/I", "this transfer coding is not supported"},
    {http_head_too_large, 431, "RequestLength", "the message head is too large"},
    {http_field_too_large, 431, "FieldLength", "a field is too large"},
    {http_too_many_fields, 431, "Header", "too many fields"},
    {http_target_too_long, 414, "URL_Length", "the request target is too long"},
    {http_too_many_segments, 400, "URL", "the request target has too many segments"},
    {http_bad_chunk_size, 400, "BadRequest", "malformed chunk size"},
    {http_chunk_size_overflow, 400, "BadRequest", "the chunk size is too large"},
    {http_bad_chunk, 400, "BadRequest", "malformed chunk"},
    {http_bad_trailer, 400, "Header", "malformed trailer section"},
    {http_body_too_large, 413, "EntityTooLarge", "the body is too large"},
    {http_expectation_failed, 417, "Expectation", "this expectation cannot be met"},
    {http_bad_status_line, 502, "BadResponse", "malformed status line"},
    {http_bad_percent_encoding, 400, "URL", "malformed percent-encoding in the request target"},
    {http_bad_utf8, 400, "URL", "the request target is not valid UTF-8"},
    {http_method_not_allowed, 405, "Verb", "the method is not allowed here"},
    {http_no_route, 404, "NotFound", "nothing is served at this path"},
    {http_response_splitting, 500, "BadResponse", "a response field holds CR, LF or NUL"},
    {http_framing_field, 500, "BadResponse",
     "Content-Length, Transfer-Encoding and Connection are set by the server"},
    {http_length_mismatch, 500, "BadResponse", "the body is not as long as its declared length"},
    {http_bad_range, 400, "Range", "malformed range"},
    {http_range_not_satisfiable, 416, "Range", "the range cannot be satisfied"},
    {http_precondition_failed, 412, "Precondition", "a precondition failed"},
    {http_method_not_implemented, 501, "N/I", "the method is not implemented"},
    {http_body_truncated, 400, "Connection_Dropped", "the message ended before it was complete"},

    {multipart_bad_boundary, 400, "Multipart", "malformed or missing multipart boundary"},
    {multipart_bad_delimiter, 400, "Multipart", "malformed multipart delimiter"},
    {multipart_bad_head, 400, "Multipart", "malformed head of a part"},
    {multipart_bad_encoding, 415, "Multipart", "this Content-Transfer-Encoding is not supported"},
    {multipart_head_too_large, 413, "Multipart", "the head of a part is too large"},
    {multipart_too_many_parts, 413, "Multipart", "the body has too many parts"},
    {multipart_truncated, 400, "Multipart", "the body ended before its last delimiter"},
    {upload_bad_name, 400, "UploadName", "this file name cannot be used"},
    {upload_field_too_large, 413, "UploadField", "a field of the form is too large"},
    {upload_file_too_large, 413, "UploadFile", "a file is too large"},
    {upload_exists, 409, "UploadExists", "there is a file of this name already"},

    {http_bad_content_coding, 400, "ContentCoding",
     "the content is not what its Content-Encoding says"},
    {http_coding_truncated, 400, "ContentCoding", "the coded content ends before it is complete"},
    {http_coding_too_large, 413, "EntityTooLarge", "the content is too large once decoded"},
    {http_coding_not_supported, 415, "ContentCoding", "this content coding is not supported"},

    {header_timeout, 408, "Timer_HeaderWait", "the request head did not arrive in time"},
    {body_timeout, 408, "Timer_EntityBody", "the request body did not arrive in time"},
    {drain_timeout, 0, "Timer_EntityBody", "the rest of the request body did not arrive in time"},
    {idle_timeout, 0, "Timer_ConnectionIdle", "the connection was idle for too long"},
    {send_rate_timeout, 0, "Timer_MinBytesPerSecond", "the peer takes the response too slowly"},
    {queue_timeout, 503, "Timer_AppPool", "the request waited too long for a handler"},
    {queue_full, 503, "QueueFull", "the request queue is full"},
    {too_many_connections, 503, "ConnLimit", "too many connections"},
    {deferred_full, 503, "DeferredFull", "too many requests wait for their answer"},
    {reply_abandoned, 500, "Abandoned", "the application gave no answer"},
    {server_stopping, 503, "Stopping", "the server is stopping"},
    {host_not_served, 400, "Hostname", "this host is not served here"},
    {handler_stalled, 0, "HandlerStalled", "a handler held its shard for too long"},
    {slow_reader, 1013, "SlowReader", "the peer reads too slowly"},
    {rate_limited, 429, "RateLimit", "too many requests; try again later"},
    {shard_lost, 0, "ShardLost", "a shard has stopped serving"},
    {listener_lost, 0, "ListenerLost", "a listening socket has gone"},
    {would_block, 0, "WouldBlock", "the peer has not taken what was sent before"},
    {bad_event, 0, "BadEvent",
     "an event is empty, or its id or type holds NUL, a line break or no UTF-8, or is too long"},
    {url_reserved, 503, "Reserved", "this URL is reserved, but nothing serves it now"},
    {group_inactive, 503, "Disabled", "this URL is switched off"},
    {no_queue, 503, "N/A", "nothing takes requests for this URL now"},
    {write_timeout, 0, "Timer_Write", "the peer took nothing of what was sent for too long"},
    {heartbeat_timeout, 0, "Timer_HeartBeat", "the peer did not answer a ping in time"},

    {ws_bad_handshake, 400, "BadRequest", "malformed WebSocket handshake"},
    {ws_bad_key, 400, "Header", "malformed Sec-WebSocket-Key"},
    {ws_bad_version, 426, "Header", "this WebSocket version is not supported"},
    {ws_origin_refused, 403, "Forbidden", "this origin is not allowed"},
    {ws_reserved_bits, 1002, "WsReservedBits", "a reserved bit is set"},
    {ws_bad_opcode, 1002, "WsOpcode", "unknown opcode"},
    {ws_bad_mask, 1002, "WsMask", "frame mask does not fit the sender's role"},
    {ws_length_not_minimal, 1002, "WsLength", "the payload length is not in its shortest form"},
    {ws_length_overflow, 1002, "WsLength", "the payload length has its top bit set"},
    {ws_bad_control_frame, 1002, "WsControl", "a control frame is fragmented or over 125 bytes"},
    {ws_unexpected_continuation, 1002, "WsFragment", "a continuation without a message"},
    {ws_expected_continuation, 1002, "WsFragment", "a new message inside a fragmented one"},
    {ws_bad_utf8, 1007, "WsUtf8", "a text message is not valid UTF-8"},
    {ws_bad_close_code, 1002, "WsClose", "this close code must not be sent"},
    {ws_bad_close_frame, 1002, "WsClose", "malformed close frame"},
    {ws_message_too_big, 1009, "WsTooBig", "the message is too big"},
    {ws_too_many_fragments, 1008, "WsFragment", "the message has too many fragments"},
    {ws_abnormal_closure, 1006, "Connection_Dropped", "the connection ended without a Close frame"},
    {ws_bad_deflate, 1007, "WsDeflate", "a compressed message cannot be inflated"},

    {auth_required, 401, "AuthRequired", "authentication is required"},
    {auth_malformed, 401, "AuthMalformed", "malformed credentials"},
    {auth_refused, 401, "AuthRefused", "the credentials are not valid"},
    {auth_stale, 401, "AuthStale", "the nonce is too old"},
    {auth_busy, 503, "AuthBusy", "too many passwords wait to be verified"},
    {auth_throttled, 429, "AuthThrottled", "too many failed attempts; try again later"},
    {auth_bad_token, 401, "AuthToken", "malformed token"},
    {auth_bad_signature, 401, "AuthSignature", "the token's signature is not valid"},
    {auth_expired, 401, "AuthExpired", "the token has expired"},
    {auth_not_yet_valid, 401, "AuthNotYet", "the token is not valid yet"},
    {auth_bad_claim, 401, "AuthClaim", "the token is not meant for this server"},
    {auth_bad_key, 0, "AuthKey", "a key cannot be used"},

    {key_revoked, 401, "KeyRevoked", "the API key has been revoked"},
    {key_expired, 401, "KeyExpired", "the API key has expired"},
    {key_address, 403, "KeyAddress", "the API key may not be used from this address"},
    {key_scope, 403, "KeyScope", "the API key does not cover this"},
    {key_throttled, 429, "KeyThrottled", "the API key is used too often; try again later"},
    {keys_unavailable, 503, "KeysUnavailable", "API keys cannot be verified now"},
    {no_such_key, 0, "NoSuchKey", "there is no such API key"},
    {too_many_keys, 0, "TooManyKeys", "there are too many API keys"},

    {upstream_unreachable, 502, "Upstream_Unreachable", "the server behind this one is not there"},
    {upstream_broken, 502, "Upstream_Broken", "the server behind this one broke off"},
    {upstream_bad_answer, 502, "Upstream_BadAnswer",
     "the server behind this one gave no proper answer"},
    {upstream_timeout, 504, "Upstream_Timeout", "the server behind this one took too long"},
    {upstream_none, 502, "Upstream_None", "there is no server to forward this to"},

    {tls_expected, 400, "TlsExpected", "this port speaks TLS only; ask with https:// in the URL"},
    {tls_handshake_failed, 0, "TlsHandshake", "the TLS handshake failed"},
    {tls_certificate_refused, 0, "TlsCertificate", "the client's certificate was refused"},
    {tls_broken, 0, "TlsRecord", "a TLS record is damaged"},
    {http2_bad_preface, 0, "Http2Preface", "the client does not speak HTTP/2"},
    {http2_protocol, 0, "Http2Protocol", "a rule of HTTP/2 was broken"},
    {http2_flood, 0, "Http2Flood", "too many frames that do nothing"},
    {http2_settings_timeout, 0, "Http2Settings", "the settings were not acknowledged"},
};

constexpr ErrorInfo kUnknown{none, 500, "Unknown", "unknown error"};

constexpr std::size_t kNumbers = 512;

// By number, so that a look-up is one load.
constexpr auto kByNumber = [] {
  std::array<std::uint8_t, kNumbers> rows{};
  for (std::uint8_t& row : rows) row = 0xff;
  for (std::size_t i = 0; i < std::size(kTable); ++i) {
    rows[std::size_t(kTable[i].code)] = std::uint8_t(i);
  }
  return rows;
}();

}  // namespace

const ErrorInfo& info(Errc code) noexcept {
  auto number = std::size_t(std::uint32_t(code));
  if (number >= kNumbers || kByNumber[number] == 0xff) return kUnknown;
  return kTable[kByNumber[number]];
}

std::string Error::message() const {
  std::string text(info(code).sentence);
  if (!detail.empty()) text.append(": ").append(detail);
  return text;
}

namespace base {
std::span<const ErrorInfo> error_table() { return kTable; }
}  // namespace base

}  // namespace sluice
