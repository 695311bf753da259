// proto/http/head.cpp - methods, fields and reason phrases by name and number.
//
// RFC 9110 sections 5, 9 and 15. Layer: proto. No I/O.
#include "proto/http/head.hpp"

#include <algorithm>

#include "proto/http/token.hpp"

namespace sluice::http {

Method method_of(std::string_view token) {
  switch (token.size()) {
    case 3:
      if (token == "GET") return Method::get;
      if (token == "PUT") return Method::put;
      break;
    case 4:
      if (token == "HEAD") return Method::head;
      if (token == "POST") return Method::post;
      break;
    case 5:
      if (token == "PATCH") return Method::patch;
      if (token == "TRACE") return Method::trace;
      break;
    case 6:
      if (token == "DELETE") return Method::delete_;
      break;
    case 7:
      if (token == "OPTIONS") return Method::options;
      if (token == "CONNECT") return Method::connect;
      break;
    default:
      break;
  }
  return Method::other;
}

FieldId field_id(std::string_view name) {
  const char* text = name.data();
  const auto is = [text](const auto& word) { return word.matches(text); };
  switch (name.size()) {
    case 2:
      if (is(Word("te"))) return FieldId::te;
      break;
    case 4:
      if (is(Word("host"))) return FieldId::host;
      break;
    case 5:
      if (is(Word("range"))) return FieldId::range;
      break;
    case 6:
      if (is(Word("accept"))) return FieldId::accept;
      if (is(Word("cookie"))) return FieldId::cookie;
      if (is(Word("origin"))) return FieldId::origin;
      if (is(Word("expect"))) return FieldId::expect;
      break;
    case 7:
      if (is(Word("referer"))) return FieldId::referer;
      if (is(Word("upgrade"))) return FieldId::upgrade;
      if (is(Word("trailer"))) return FieldId::trailer;
      break;
    case 8:
      if (is(Word("if-range"))) return FieldId::if_range;
      if (is(Word("if-match"))) return FieldId::if_match;
      break;
    case 9:
      if (is(Word("forwarded"))) return FieldId::forwarded;
      break;
    case 10:
      if (is(Word("connection"))) return FieldId::connection;
      if (is(Word("user-agent"))) return FieldId::user_agent;
      break;
    case 12:
      if (is(Word("content-type"))) return FieldId::content_type;
      break;
    case 13:
      if (is(Word("if-none-match"))) return FieldId::if_none_match;
      if (is(Word("authorization"))) return FieldId::authorization;
      break;
    case 14:
      if (is(Word("content-length"))) return FieldId::content_length;
      break;
    case 15:
      if (is(Word("accept-encoding"))) return FieldId::accept_encoding;
      if (is(Word("x-forwarded-for"))) return FieldId::x_forwarded_for;
      break;
    case 16:
      if (is(Word("content-encoding"))) return FieldId::content_encoding;
      break;
    case 17:
      if (is(Word("transfer-encoding"))) return FieldId::transfer_encoding;
      if (is(Word("if-modified-since"))) return FieldId::if_modified_since;
      if (is(Word("sec-websocket-key"))) return FieldId::sec_websocket_key;
      break;
    case 19:
      if (is(Word("if-unmodified-since"))) return FieldId::if_unmodified_since;
      break;
    case 21:
      if (is(Word("sec-websocket-version"))) return FieldId::sec_websocket_version;
      break;
    case 22:
      if (is(Word("sec-websocket-protocol"))) return FieldId::sec_websocket_protocol;
      break;
    case 24:
      if (is(Word("sec-websocket-extensions"))) return FieldId::sec_websocket_extensions;
      break;
    default:
      break;
  }
  return FieldId::other;
}

namespace {

std::string_view find_in(const std::vector<Field>& fields, FieldId id) {
  for (const Field& field : fields) {
    if (field.id == id) return field.value;
  }
  return {};
}

std::string_view find_in(const std::vector<Field>& fields, std::string_view name) {
  if (const FieldId id = field_id(name); id != FieldId::other) return find_in(fields, id);
  for (const Field& field : fields) {
    if (field.id == FieldId::other && equal_nocase(field.name, name)) return field.value;
  }
  return {};
}

}  // namespace

std::string_view RequestHead::find(FieldId id) const { return find_in(fields, id); }
std::string_view RequestHead::find(std::string_view name) const { return find_in(fields, name); }

std::string_view ResponseHead::find(FieldId id) const { return find_in(fields, id); }
std::string_view ResponseHead::find(std::string_view name) const { return find_in(fields, name); }

void ResponseHead::clear() {
  status = 0;
  minor = 1;
  body = BodyKind::none;
  keep_alive = true;
  reason = {};
  content_length = 0;
  fields.clear();
}

bool has_token(std::string_view list, std::string_view token) {
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    if (equal_nocase(trim_ows(list.substr(0, comma)), token)) return true;
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return false;
}

std::string_view reason_phrase(int status) {
  switch (status) {
    case 100:
      return "Continue";
    case 101:
      return "Switching Protocols";
    case 102:
      return "Processing";
    case 103:
      return "Early Hints";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 203:
      return "Non-Authoritative Information";
    case 204:
      return "No Content";
    case 205:
      return "Reset Content";
    case 206:
      return "Partial Content";
    case 207:
      return "Multi-Status";
    case 208:
      return "Already Reported";
    case 226:
      return "IM Used";
    case 300:
      return "Multiple Choices";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 305:
      return "Use Proxy";
    case 307:
      return "Temporary Redirect";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 402:
      return "Payment Required";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 407:
      return "Proxy Authentication Required";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 411:
      return "Length Required";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 416:
      return "Range Not Satisfiable";
    case 417:
      return "Expectation Failed";
    case 421:
      return "Misdirected Request";
    case 422:
      return "Unprocessable Content";
    case 423:
      return "Locked";
    case 424:
      return "Failed Dependency";
    case 425:
      return "Too Early";
    case 426:
      return "Upgrade Required";
    case 428:
      return "Precondition Required";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 451:
      return "Unavailable For Legal Reasons";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    case 506:
      return "Variant Also Negotiates";
    case 507:
      return "Insufficient Storage";
    case 508:
      return "Loop Detected";
    case 511:
      return "Network Authentication Required";
    default:
      return "Unknown";
  }
}

}  // namespace sluice::http
