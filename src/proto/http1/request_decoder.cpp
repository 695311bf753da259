// proto/http1/request_decoder.cpp - request lines, and what the fields of a request say together.
//
// RFC 9112 sections 2 to 6. Layer: proto. No I/O.
#include "proto/http1/request_decoder.hpp"

#include <algorithm>
#include <cstring>

#include "proto/http/target.hpp"
#include "proto/http1/start_line.hpp"

namespace sluice::http1 {

using base::Bad;
using base::need_more;
using base::Parsed;
using http::BodyKind;
using http::Field;
using http::FieldId;
using http::HeadLimits;
using http::is_word;
using http::Method;
using http::RequestHead;
using http::TargetForm;
using http::Word;

namespace {

constexpr std::ptrdiff_t kMethodBytes = 32;
constexpr std::uint8_t kEmptyLines = 2;
constexpr std::string_view kLineEnd = "\r\n";

bool starts(const char* at, std::string_view text) {
  return std::memcmp(at, text.data(), text.size()) == 0;
}

// The method and the space behind it.
Step read_method(const char* base, const char* at, const char* end, RequestHead& head) {
  if (end - at >= 4 && starts(at, "GET ")) [[likely]] {
    head.method = Method::get;
    head.method_text = {at, 3};
    return Step::to(at + 4);
  }
  const char* most = end - at > kMethodBytes ? at + kMethodBytes + 1 : end;
  const char* stop = find_token_end(base, at, most);
  if (stop == most)
    return end - at > kMethodBytes ? Step::bad(Errc::http_bad_method) : Step::more();
  if (*stop == '\r' || *stop == '\n') {
    const Step step = line_end(stop, end);
    return step.next == nullptr ? step : Step::bad(Errc::http_bad_request_line);
  }
  if (*stop == '\t' || (*stop == ' ' && stop == at)) return Step::bad(Errc::http_bad_request_line);
  if (*stop != ' ') return Step::bad(Errc::http_bad_method);
  head.method_text = {at, static_cast<std::size_t>(stop - at)};
  head.method = http::method_of(head.method_text);
  return Step::to(stop + 1);
}

// The target and the space behind it.
Step read_target(const char* base, const char* at, const char* end, RequestHead& head) {
  const char* stop = find_target_end(base, at, end);
  if (stop == end) return Step::more();
  if (*stop == '\r' || *stop == '\n') {
    const Step step = line_end(stop, end);
    return step.next == nullptr ? step : Step::bad(Errc::http_bad_request_line);
  }
  if (*stop == '\t' || (*stop == ' ' && stop == at)) return Step::bad(Errc::http_bad_request_line);
  if (*stop != ' ') return Step::bad(Errc::http_bad_target);
  head.target = {at, static_cast<std::size_t>(stop - at)};
  return Step::to(stop + 1);
}

// The version and the end of the line.
Step read_line_rest(const char* at, const char* end, RequestHead& head) {
  constexpr std::string_view usual = "HTTP/1.1\r\n";
  if (end - at >= std::ssize(usual) && starts(at, usual)) [[likely]] {
    return Step::to(at + usual.size());
  }
  Version version;
  const Step step = read_version(at, end, version);
  if (step.next == nullptr || step.next == end) return step.next == end ? Step::more() : step;
  const char* stop = step.next;
  if (*stop != '\r' && *stop != '\n') {
    return Step::bad(http::is_ows(*stop) ? Errc::http_bad_request_line : Errc::http_bad_version);
  }
  const Step line = line_end(stop, end);
  if (line.next == nullptr) return line;
  if (!version.supported) return Step::bad(Errc::http_version_not_supported);
  head.minor = version.minor;
  return line;
}

// is_host() of what is not seen at one glance.
bool is_long_host(const char* base, std::string_view text) {
  const char* end = text.data() + text.size();
  const char* stop = find_host_end(base, text.data(), end);
  if (stop == end) return !text.empty();
  if (*stop == ':' && stop != text.data() && end - stop >= 2 && end - stop <= 5 &&
      std::all_of(stop + 1, end, http::is_digit)) {
    return true;
  }
  return http::is_authority(text);
}

// What may stand in Host, of the bytes [base, limit). The usual name or address, with or without a
// port, is seen at one glance.
inline bool is_host(const char* base, std::string_view text, const char* limit) {
  if (text.size() <= 16 && limit - text.data() >= 16 && is_short_host(text.data(), text.size()))
      [[likely]] {
    return true;
  }
  return is_long_host(base, text);
}

// Path and query of `text`, which is a target without scheme and authority.
void split_query(std::string_view text, RequestHead& head) {
  const std::size_t mark = text.find('?');
  if (mark == std::string_view::npos) {
    head.path = text;
    return;
  }
  head.path = text.substr(0, mark);
  head.query = text.substr(mark + 1);
}

Errc read_absolute(std::string_view target, RequestHead& head) {
  std::size_t scheme = 0;
  if (target.size() >= 7 && is_word(target.substr(0, 7), Word("http://"))) scheme = 7;
  if (target.size() >= 8 && is_word(target.substr(0, 8), Word("https://"))) scheme = 8;
  if (scheme == 0) return Errc::http_bad_target;
  const std::string_view rest = target.substr(scheme);
  const std::size_t authority = std::min(rest.find_first_of("/?"), rest.size());
  head.host = rest.substr(0, authority);
  if (head.host.empty() || !http::is_authority(head.host)) return Errc::http_bad_target;
  head.form = TargetForm::absolute;
  split_query(rest.substr(authority), head);
  if (head.path.empty()) head.path = "/";
  return Errc::none;
}

// Which of the four forms the target has, and its parts.
Errc read_form(RequestHead& head) {
  const std::string_view target = head.target;
  if (head.method == Method::connect) {
    const std::size_t colon = target.rfind(':');
    const bool has_port = colon != std::string_view::npos && colon > 0 &&
                          colon + 1 < target.size() && http::is_digit(target.back());
    if (!has_port || !http::is_authority(target)) return Errc::http_bad_target;
    head.form = TargetForm::authority;
    head.host = target;
    return Errc::none;
  }
  if (target.front() == '/') {
    head.form = TargetForm::origin;
    split_query(target, head);
    return Errc::none;
  }
  if (target == "*") {
    if (head.method != Method::options) return Errc::http_bad_target;
    head.form = TargetForm::asterisk;
    head.path = target;
    return Errc::none;
  }
  return read_absolute(target, head);
}

Step read_request_line(const char* base, const char* at, const char* end, RequestHead& head) {
  Step step = read_method(base, at, end, head);
  if (step.next == nullptr) return step;
  step = read_target(base, step.next, end, head);
  if (step.next == nullptr) return step;
  step = read_line_rest(step.next, end, head);
  if (step.next == nullptr) return step;
  if (const Errc error = read_form(head); error != Errc::none) return Step::bad(error);
  return step;
}

// "GET /path HTTP/1.1" and the end of the line; null: anything else, or not all of it.
inline const char* read_usual_line(const char* base, const char* at, const char* end,
                                   RequestHead& head) {
  constexpr std::string_view rest = " HTTP/1.1\r\n";
  if (end - at < 16) return nullptr;
  std::size_t size = 3;
  head.method = Method::get;
  if (!starts(at, "GET /")) [[unlikely]] {
    size = find_in_sixteen(at, ' ');
    head.method = http::method_of({at, size});
    if (head.method == Method::other || head.method == Method::connect || at[size + 1] != '/')
      return nullptr;
  }
  head.method_text = {at, size};
  const char* target = at + size + 1;
  const char* stop = find_target_end(base, target, end);
  if (end - stop < std::ssize(rest) || !starts(stop, rest)) return nullptr;
  head.target = {target, static_cast<std::size_t>(stop - target)};
  const bool short_one = head.target.size() < 16 && end - target >= 16;
  const std::size_t mark = short_one ? find_in_sixteen(target, '?')
                                     : std::min(head.target.find('?'), head.target.size());
  head.path = head.target.substr(0, mark);
  if (mark < head.target.size()) head.query = head.target.substr(mark + 1);
  return stop + rest.size();
}

// Reads the field line at `line`; returns what is behind it. Null: there is something to object to,
// or the line is not complete.
inline const char* read_usual_field(const char* base, const char* line, const char* end,
                                    std::size_t most, Field& field) {
  if (end - line < 16) return nullptr;
  std::size_t size = find_in_sixteen(line, ':');
  FieldId id = FieldId::other;
  if (size < 16) [[likely]]
    id = http::field_id({line, size});
  if (id == FieldId::other) {  // else its characters are known
    const char* stop = find_token_end(base, line, end);
    if (stop == end || *stop != ':' || stop == line) return nullptr;
    size = static_cast<std::size_t>(stop - line);
    if (size >= 16) id = http::field_id({line, size});
  }
  const char* value = line + size + 1;
  while (value != end && http::is_ows(*value)) ++value;
  const char* stop = find_value_end(base, value, end);
  if (end - stop < 2 || !starts(stop, kLineEnd)) return nullptr;
  if (static_cast<std::size_t>(stop - line) > most) return nullptr;
  const char* value_end = stop;
  while (value_end != value && http::is_ows(value_end[-1])) --value_end;
  field.name = {line, size};
  field.value = {value, static_cast<std::size_t>(value_end - value)};
  field.id = id;
  return stop + 2;
}

}  // namespace

void RequestDecoder::reset() { *this = RequestDecoder{}; }

// The size of a head that is complete and as most are; 0: let the careful reader look. What is
// taken here, the careful reader would take, too, and say the same of it.
[[gnu::always_inline]] inline std::size_t RequestDecoder::read_usual(const char* base,
                                                                     const char* end,
                                                                     const HeadLimits& limits,
                                                                     RequestHead& head) {
  const char* at = read_usual_line(base, base, end, head);
  bool plain = true;  // nothing but Host is about the message: it is as head.clear() has left it
  for (std::size_t left = limits.fields; at != nullptr && end - at >= 2; --left) {
    if (*at == '\r') {
      if (at[1] != '\n') return 0;
      if (plain ? !have_host_ : finish(head) != Errc::none) return 0;
      return static_cast<std::size_t>(at + 2 - base);
    }
    if (left == 0) return 0;
    Field& field = head.fields.emplace_back();
    at = read_usual_field(base, at, end, limits.field_bytes, field);
    if (at == nullptr) return 0;
    if (field.id == FieldId::host && !have_host_) {
      have_host_ = true;
      if (!is_host(base, field.value, end)) return 0;
      head.host = field.value;
    } else if (http::is_about_message(field.id)) {
      plain = false;
      if (note(base, end, field, head) != Errc::none) return 0;
    }
  }
  return 0;
}

// Steps over the empty lines before the request line; next is its first byte.
Step RequestDecoder::read_empty_lines(const char* base, const char* end) {
  const char* at = base + start_;
  while (at != end && (*at == '\r' || *at == '\n')) {
    const Step step = line_end(at, end);
    if (step.next == nullptr) return step;
    if (++empty_lines_ > kEmptyLines) return Step::bad(Errc::http_bad_request_line);
    at = step.next;
    start_ = at_ = static_cast<std::size_t>(at - base);
  }
  return at == end ? Step::more() : Step::to(at);
}

// Takes down what a field says about the message itself.
Errc RequestDecoder::note(const char* base, const char* end, const Field& field,
                          RequestHead& head) {
  switch (field.id) {
    case FieldId::host:
      if (have_host_) return Errc::http_duplicate_host;
      have_host_ = true;
      if (!is_host(base, field.value, end)) return Errc::http_bad_host;
      if (head.form != TargetForm::absolute && head.form != TargetForm::authority) {
        head.host = field.value;
      }
      return Errc::none;
    case FieldId::content_length:
      if (have_length_) return Errc::http_ambiguous_length;
      have_length_ = true;
      return read_content_length(field.value, head.content_length);
    case FieldId::transfer_encoding:
      return add_codings(field.value, codings_);
    case FieldId::connection:
      add_connection_options(field.value, connection_);
      return Errc::none;
    case FieldId::upgrade:
      have_upgrade_ = true;
      return Errc::none;
    case FieldId::expect:
      if (is_word(field.value, Word("100-continue"))) {
        head.expect_continue = true;
      } else {
        bad_expectation_ = true;
      }
      return Errc::none;
    default:
      return Errc::none;
  }
}

// What the fields mean together, once all are there.
Errc RequestDecoder::finish(RequestHead& head) const {
  if (!have_host_ && head.minor > 0) return Errc::http_missing_host;
  if (codings_.present) {
    if (have_length_) return Errc::http_ambiguous_length;
    if (head.minor == 0 || !codings_.chunked) return Errc::http_bad_transfer_encoding;
    if (codings_.others) return Errc::http_transfer_encoding_not_supported;
    head.body = BodyKind::chunked;
  } else if (head.content_length > 0) {
    head.body = BodyKind::length;
  }
  if (bad_expectation_) return Errc::http_expectation_failed;
  if (head.minor == 0) head.expect_continue = false;  // RFC 9110 section 10.1.1
  head.keep_alive = !connection_.close && (head.minor > 0 || connection_.keep_alive);
  head.upgrade = connection_.upgrade && have_upgrade_ && head.minor > 0;
  return Errc::none;
}

Parsed<bool> RequestDecoder::decode(Bytes in, const HeadLimits& limits, RequestHead& head) {
  if (!have_line_ && start_ == 0) [[likely]] {
    const char* base = as_text(in).data();
    const char* end = base + std::min(in.size(), limits.head_bytes);
    head.clear();
    if (const std::size_t size = read_usual(base, end, limits, head); size > 0) [[likely]] {
      return {true, size};
    }
    reset();
  }
  return read_carefully(in, limits, head);
}

Parsed<bool> RequestDecoder::read_carefully(Bytes in, const HeadLimits& limits, RequestHead& head) {
  const char* base = as_text(in).data();
  const char* end = base + in.size();
  if (!have_line_) {
    const Step first = read_empty_lines(base, end);
    if (first.next == nullptr) {
      if (first.error != Errc::none) return Bad{first.error};
      return need_more;
    }
  }
  // Nothing behind the limit is looked at, so that a head that is over it gets one verdict, whole
  // or not.
  const bool full = in.size() - start_ >= limits.head_bytes;
  if (full) end = base + start_ + limits.head_bytes;
  if (!have_line_) {
    head.clear();
    const Step line = read_request_line(base, base + start_, end, head);
    if (line.next == nullptr) {
      if (line.error != Errc::none) return Bad{line.error};
      if (full) return Bad{Errc::http_target_too_long};
      return need_more;
    }
    have_line_ = true;
    at_ = static_cast<std::size_t>(line.next - base);
  }
  const Step step = read_field_lines(base, at_, end, limits, head.fields, [&](const Field& field) {
    return note(base, end, field, head);
  });
  if (step.next == nullptr) {
    if (step.error != Errc::none) return Bad{step.error};
    if (full) return Bad{Errc::http_head_too_large};
    return need_more;
  }
  if (const Errc error = finish(head); error != Errc::none) return Bad{error};
  return {true, static_cast<std::size_t>(step.next - base)};
}

}  // namespace sluice::http1
