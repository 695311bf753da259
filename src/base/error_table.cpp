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
    {url_reserved, 503, "Reserved", "this URL is reserved, but nothing serves it now"},
    {group_inactive, 503, "Disabled", "this URL is switched off"},
    {no_queue, 503, "N/A", "nothing takes requests for this URL now"},

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
};

constexpr ErrorInfo kUnknown{none, 500, "Unknown", "unknown error"};

constexpr std::size_t kNumbers = 256;

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
