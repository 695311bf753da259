// sluice/error.hpp - what can go wrong, by number, and the sentence that may be shown for it.
//
// Layer: public. The numbers are stable: the C ABI returns them negated.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include <sluice/export.hpp>

namespace sluice {

// Every failure is one Errc. The table in src/base/error_table.cpp gives each one a sentence that
// anyone may see, an answer for the wire (an HTTP status, a WebSocket close code, or 0 for none)
// and the reason word that the reject log uses.
enum class Errc : std::int32_t {
  none = 0,

  // General.
  out_of_memory = 1,
  cancelled = 2,
  gone = 3,             // the connection, stream or server is no longer there
  would_deadlock = 4,   // a blocking call on a thread that the call waits for
  already_replied = 5,  // a second answer to one request
  already_running = 6,
  not_running = 7,
  invalid_argument = 8,
  unavailable = 9,  // the feature is not available on this machine
  handler_threw = 10,
  mailbox_full = 11,
  timed_out = 12,

  // Settings, start-up.
  bad_setting = 50,
  address_in_use = 51,
  address_not_available = 52,
  permission_denied = 53,
  bad_host = 54,
  bad_prefix = 55,

  // URL prefixes.
  already_exists = 60,     // the same prefix is registered, or reserved, already
  scheme_conflict = 61,    // the port is used with the other scheme
  too_many_prefixes = 62,  // more than UrlNamespace::kMaxPrefixes
  no_such_prefix = 63,

  // The operating system.
  io_failed = 80,
  connection_reset = 81,
  connection_closed = 82,  // the peer ended the stream
  too_many_files = 83,
  not_found = 84,
  not_regular_file = 85,
  outside_root = 86,
  disk_full = 87,  // or the quota

  // HTTP messages (RFC 9110, 9112).
  http_bad_request_line = 100,
  http_bad_method = 101,
  http_bad_target = 102,
  http_bad_version = 103,  // not HTTP/1.x
  http_version_not_supported = 104,
  http_bad_field_name = 105,
  http_bad_field_value = 106,
  http_obs_fold = 107,
  http_space_before_colon = 108,
  http_bare_cr = 109,
  http_bare_lf = 110,
  http_missing_host = 111,
  http_duplicate_host = 112,
  http_bad_host = 113,
  http_bad_content_length = 114,
  http_ambiguous_length = 115,       // both lengths, or lengths that differ
  http_bad_transfer_encoding = 116,  // does not end in chunked, or is repeated
  http_transfer_encoding_not_supported = 117,
  http_head_too_large = 118,
  http_field_too_large = 119,
  http_too_many_fields = 120,
  http_target_too_long = 121,
  http_too_many_segments = 122,
  http_bad_chunk_size = 123,
  http_chunk_size_overflow = 124,
  http_bad_chunk = 125,
  http_bad_trailer = 126,
  http_body_too_large = 127,
  http_expectation_failed = 128,
  http_bad_status_line = 129,
  http_bad_percent_encoding = 130,
  http_bad_utf8 = 131,
  http_method_not_allowed = 132,
  http_no_route = 133,
  http_response_splitting = 134,  // CR, LF or NUL in a field that the application set
  http_framing_field = 135,    // the application set Content-Length, Transfer-Encoding, Connection
  http_length_mismatch = 136,  // the body was not as long as its Content-Length
  http_bad_range = 137,
  http_range_not_satisfiable = 138,
  http_precondition_failed = 139,
  http_method_not_implemented = 140,
  http_body_truncated = 141,  // the peer ended the stream inside a message

  // Multipart bodies (RFC 7578).
  multipart_bad_boundary = 144,   // none, or one that RFC 2046 does not allow
  multipart_bad_delimiter = 145,  // neither `--` nor a line end follows a boundary
  multipart_bad_head = 146,       // of a part
  multipart_bad_encoding = 147,   // a Content-Transfer-Encoding that changes bytes
  multipart_head_too_large = 148,
  multipart_too_many_parts = 149,
  multipart_truncated = 150,     // the body ended in front of its last delimiter
  upload_bad_name = 151,         // a file name that nothing safe can be made of
  upload_field_too_large = 152,  // limits.upload_field_bytes, upload_fields_bytes
  upload_file_too_large = 153,   // limits.upload_file_bytes
  upload_exists = 154,           // a file of that name, and ExistingFile::refuse

  // Content codings (RFC 9110 section 8.4).
  http_bad_content_coding = 155,    // not what Content-Encoding says, damaged, or followed by more
  http_coding_truncated = 156,      // the coded content ends before it is complete
  http_coding_too_large = 157,      // once decoded, or for the bytes that it came in
  http_coding_not_supported = 158,  // or more in a row than are undone

  // Admission and time.
  header_timeout = 160,
  body_timeout = 161,
  drain_timeout = 162,
  idle_timeout = 163,
  send_rate_timeout = 164,
  queue_timeout = 165,
  queue_full = 166,
  too_many_connections = 167,
  deferred_full = 168,
  reply_abandoned = 169,
  server_stopping = 170,
  host_not_served = 171,
  handler_stalled = 172,
  slow_reader = 173,
  rate_limited = 174,       // too many requests in the time that a rule gives them
  shard_lost = 175,         // a shard's engine has failed, or its handler holds it
  listener_lost = 176,      // a listening socket has gone under its number
  would_block = 177,        // the peer has not taken what was sent before: nothing was queued
  bad_event = 178,          // a server-sent event that cannot be written down
  url_reserved = 180,       // the best match is a reservation that nobody has registered
  group_inactive = 181,     // the URL group, or its server session, is switched off
  no_queue = 182,           // the URL group is bound to no request queue
  heartbeat_timeout = 183,  // no pong within heartbeat.timeout
  write_timeout = 184,      // the peer took nothing for options.write_timeout

  // WebSocket (RFC 6455).
  ws_bad_handshake = 200,
  ws_bad_key = 201,
  ws_bad_version = 202,
  ws_origin_refused = 203,
  ws_reserved_bits = 204,
  ws_bad_opcode = 205,
  ws_bad_mask = 206,  // a frame's mask does not fit the sender's role
  ws_length_not_minimal = 207,
  ws_length_overflow = 208,
  ws_bad_control_frame = 209,  // fragmented, or over 125 bytes
  ws_unexpected_continuation = 210,
  ws_expected_continuation = 211,
  ws_bad_utf8 = 212,
  ws_bad_close_code = 213,
  ws_bad_close_frame = 214,
  ws_message_too_big = 215,
  ws_too_many_fragments = 216,
  ws_abnormal_closure = 217,
  ws_bad_deflate = 218,

  // Authentication (RFC 9110 section 11, 7616, 7617, 6750, 7519).
  auth_required = 230,       // no credentials
  auth_malformed = 231,      // credentials that are none
  auth_refused = 232,        // unknown user, wrong password, wrong response
  auth_stale = 233,          // the nonce is too old
  auth_busy = 234,           // as many verifications wait as may
  auth_throttled = 235,      // repeated failures from this address
  auth_bad_token = 236,      // not a JWT, or one that breaks its rules
  auth_bad_signature = 237,  // or no key for it
  auth_expired = 238,
  auth_not_yet_valid = 239,
  auth_bad_claim = 240,  // issuer, audience or subject
  auth_bad_key = 241,    // a key that cannot be used

  // API keys.
  key_revoked = 245,
  key_expired = 246,       // or replaced, and its grace is over
  key_address = 247,       // not from this address
  key_scope = 248,         // it does not cover what was asked for
  key_throttled = 249,     // its rate is used up
  keys_unavailable = 250,  // the store fails, or has not been read yet
  no_such_key = 251,
  too_many_keys = 252,

  // Forwarding (RFC 9110 section 15.6.3, 15.6.5).
  upstream_unreachable = 260,  // no connection, or its name has no address
  upstream_broken = 261,       // it ended, or was reset, in front of or in its answer
  upstream_bad_answer = 262,   // what it says is no HTTP answer to this
  upstream_timeout = 263,
  upstream_none = 264,  // nobody to forward to

  // TLS (RFC 8446), of connections to us.
  tls_expected = 270,             // HTTP in clear on a port for TLS
  tls_handshake_failed = 271,     // nothing was agreed on: version, cipher, ALPN; or it is no TLS
  tls_certificate_refused = 272,  // the client's certificate is missing, or is not one to trust
  tls_broken = 273,               // a record that is damaged, or in the wrong place

  // HTTP/2 (RFC 9113).
  http2_bad_preface = 280,       // TLS agreed on h2, and what came first is not HTTP/2
  http2_protocol = 281,          // a rule was broken: the connection has ended with GOAWAY
  http2_flood = 282,             // too much of what is legal: ENHANCE_YOUR_CALM
  http2_settings_timeout = 283,  // the client has not acknowledged our limits
};

// One row of the table.
struct ErrorInfo {
  Errc code;
  int wire;                 // HTTP status, WebSocket close code, or 0
  std::string_view reason;  // the word for the reject log, in HTTPERR's vocabulary where it has one
  std::string_view sentence;  // safe for anyone
};

// The row of `code`. Never fails: an unknown number has a row that says so.
SLUICE_API const ErrorInfo& info(Errc code) noexcept;

// A failure: its number, and words that name what was wrong and what to do. `detail` may be empty;
// it never holds a secret and may be shown to an operator, not to a peer.
struct Error {
  Errc code = Errc::none;
  std::string detail = {};

  Error() = default;
  Error(Errc c) : code(c) {}  // NOLINT: an Errc is an Error without words
  Error(Errc c, std::string words) : code(c), detail(std::move(words)) {}

  explicit operator bool() const { return code != Errc::none; }
  // The table's sentence, and the detail behind a colon where there is one.
  SLUICE_API std::string message() const;
};

}  // namespace sluice
