// proto/http2/head_reader.hpp - decoded fields of a request become its head.
//
// RFC 9113 sections 8.2 and 8.3, RFC 8441 section 4. Layer: proto. No I/O. Allocates only when a
// head is larger than any before it. Private to this folder but for Request.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/error.hpp>

#include "proto/http/head.hpp"

namespace sluice::http2 {

// A request that has come. Everything lives until the call that tells of it returns; see keep().
struct Request {
  // method, target, path, query, host and fields as of HTTP/1.1. The target is :path; of a CONNECT
  // without :protocol it is :authority. `body`: none when the head ends the stream; length with a
  // Content-Length; else chunked, which here means that nobody knows yet. Pseudo-fields are not
  // among the fields, and there may be no Host; Cookie is one field.
  http::RequestHead head;
  std::string_view scheme;    // "http" or "https"; empty with a plain CONNECT
  std::string_view protocol;  // RFC 8441: "websocket"; empty: no extended CONNECT
  // The limits were exceeded (http_head_too_large, http_field_too_large, http_too_many_fields,
  // http_target_too_long) or there is an unknown expectation: to be answered with info(error).wire.
  // Of a head over a limit nothing but what came before that is in `head`.
  Errc error = Errc::none;
  std::string_view text;  // what all views lie in

  // Copies the text to `room`, of text.size() bytes, and makes `to` the same head with views there.
  void keep(char* room, http::RequestHead& to) const;
};

// Takes the fields of one head, or of trailers, after the other. Whatever is neither accepted nor
// over a limit makes the message malformed (RFC 9113 section 8.1.1).
class HeadReader {
 public:
  explicit HeadReader(const http::HeadLimits& limits) : limits_(limits) {}

  void begin(bool trailers);
  // Errc::none, or why the message is malformed. May throw std::bad_alloc.
  Errc add(std::string_view name, std::string_view value);
  // All have come. Errc::none, or why it is malformed; then request() has it.
  Errc finish(bool ends);
  Request& request() { return request_; }
  // Errc::none, or the limit that was exceeded.
  Errc over() const { return over_; }
  std::uint64_t decoded_bytes() const { return decoded_; }  // with 32 for each field
  void shrink();                                            // gives its memory back

 private:
  struct Run {  // of text_
    std::uint32_t at = 0, size = 0;
  };
  struct Row {
    Run name, value;
    http::FieldId id = http::FieldId::other;
  };
  enum Pseudo : std::uint8_t { kMethod, kScheme, kAuthority, kPath, kProtocol, kPseudos };

  Errc add_pseudo(std::string_view name, std::string_view value);
  Errc add_field(http::FieldId id, std::string_view name, std::string_view value);
  void add_crumb(std::string_view name, std::string_view value);
  Errc note(http::FieldId id, std::string_view value);
  Errc read_target();
  Errc read_host();
  void join_cookie();
  Run put(std::string_view text);
  std::string_view view(Run run) const { return {text_.data() + run.at, run.size}; }
  bool has(Pseudo pseudo) const { return (present_ & (1U << pseudo)) != 0; }

  const http::HeadLimits& limits_;
  std::string text_;
  std::vector<Row> rows_;
  std::vector<Run> crumbs_;
  Run pseudo_[kPseudos] = {};
  std::uint64_t decoded_ = 0;
  std::uint64_t length_ = 0;
  std::size_t cookie_row_ = 0, cookie_bytes_ = 0;
  std::uint8_t present_ = 0;
  bool trailers_ = false, have_host_ = false, have_length_ = false;
  Run host_;
  Errc over_ = Errc::none;
  bool bad_expectation_ = false, expect_continue_ = false;
  Request request_;
};

}  // namespace sluice::http2
