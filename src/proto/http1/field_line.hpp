// proto/http1/field_line.hpp - one field line of a head or of trailers.
//
// RFC 9112 section 5, strict: no folding, no whitespace before the colon, no bare CR or LF.
// Layer: proto. No I/O, no state.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include <sluice/error.hpp>

#include "proto/http/head.hpp"
#include "proto/http1/scan.hpp"

namespace sluice::http1 {

// How one part of a message was read: where the next part begins, what is wrong, or (neither) that
// the bytes end inside it. Errors are found in the order of the bytes and each depends only on the
// bytes up to where it was found, which is why no verdict depends on how the bytes were cut.
struct Step {
  const char* next = nullptr;
  Errc error = Errc::none;

  static Step more() { return {}; }
  static Step bad(Errc error) { return {nullptr, error}; }
  static Step to(const char* next) { return {next, Errc::none}; }
};

// `at` points to a CR or LF: steps over CRLF, and says what is wrong otherwise.
inline Step line_end(const char* at, const char* end) {
  if (*at == '\n') return Step::bad(Errc::http_bare_lf);
  if (at + 1 == end) return Step::more();
  return at[1] == '\n' ? Step::to(at + 2) : Step::bad(Errc::http_bare_cr);
}

// `at` is the first character of the line at `line` that a name cannot have; it is no colon behind
// a name.
Step misread_name(const char* line, const char* at, const char* end);

// Reads the line at `line`, which is not empty, of the bytes [base, end). Lines of up to
// `field_bytes` without their CRLF are accepted. Sets name and value of `field` when it steps on.
inline Step read_field_line(const char* base, const char* line, const char* end,
                            std::size_t field_bytes, http::Field& field) {
  const bool cut = static_cast<std::size_t>(end - line) > field_bytes;
  const char* stop = cut ? line + field_bytes + 1 : end;
  const Step over = cut ? Step::bad(Errc::http_field_too_large) : Step::more();

  const char* at = find_token_end(base, line, stop);
  if (at == stop) return over;
  if (*at != ':' || at == line) [[unlikely]] {
    const Step step = misread_name(line, at, stop);
    return step.error == Errc::none ? over : step;
  }
  const char* value = at + 1;
  while (value != stop && http::is_ows(*value)) ++value;
  const char* value_end = find_value_end(base, value, stop);
  if (value_end == stop) return over;
  if (*value_end != '\r') [[unlikely]] {
    return Step::bad(*value_end == '\n' ? Errc::http_bare_lf : Errc::http_bad_field_value);
  }
  const Step step = line_end(value_end, end);
  if (step.next == nullptr) return step;
  while (value_end != value && http::is_ows(value_end[-1])) --value_end;
  field.name = {line, static_cast<std::size_t>(at - line)};
  field.value = {value, static_cast<std::size_t>(value_end - value)};
  return step;
}

// Reads field lines from base + done on, until behind the empty line. `done` follows the lines that
// are complete: call again with it when more bytes are there. `note` is told each field with an id;
// it answers with an Errc.
template <class Note>
Step read_field_lines(const char* base, std::size_t& done, const char* end,
                      const http::HeadLimits& limits, std::vector<http::Field>& fields, Note note) {
  const char* at = base + done;
  for (;;) {
    if (at == end) return Step::more();
    if (*at == '\r') return line_end(at, end);
    if (fields.size() >= limits.fields) return Step::bad(Errc::http_too_many_fields);
    http::Field field;
    const Step step = read_field_line(base, at, end, limits.field_bytes, field);
    if (step.next == nullptr) return step;
    field.id = http::field_id(field.name);
    if (field.id != http::FieldId::other) {
      if (const Errc error = note(field); error != Errc::none) return Step::bad(error);
    }
    fields.push_back(field);
    at = step.next;
    done = static_cast<std::size_t>(at - base);
  }
}

// --- what the fields that delimit a body say -----------------------------------------------------

// A Content-Length. Errors: http_bad_content_length, http_ambiguous_length for a list.
Errc read_content_length(std::string_view value, std::uint64_t& length);

// The codings of Transfer-Encoding, over all its lines.
struct Codings {
  bool present = false;
  bool chunked = false;  // the last one
  bool others = false;   // before it
};

// Adds one line. Errors: http_bad_transfer_encoding for an empty or malformed element, and for
// anything behind chunked.
Errc add_codings(std::string_view value, Codings& codings);

// The options of Connection, over all its lines.
struct ConnectionOptions {
  bool close = false;
  bool keep_alive = false;
  bool upgrade = false;
};
void add_connection_options(std::string_view value, ConnectionOptions& options);

}  // namespace sluice::http1
