// proto/http2/head_reader.cpp - pseudo-fields, fields that have no place here, crumbs of a cookie.
//
// RFC 9113 sections 8.2 and 8.3. Layer: proto. No I/O.
#include "proto/http2/head_reader.hpp"

#include <algorithm>

#include "proto/http/field_rules.hpp"
#include "proto/http/target.hpp"
#include "proto/http/token.hpp"
#include "proto/http1/field_line.hpp"

namespace sluice::http2 {

using http::FieldId;
using http::is_word;
using http::Method;
using http::TargetForm;
using http::Word;

namespace {

constexpr std::size_t kMethodBytes = 32;
constexpr std::uint64_t kFieldOverhead = 32;  // RFC 9113 section 6.5.2

// Token characters, and no capital letters (RFC 9113 section 8.2.1).
bool is_name(std::string_view name) {
  for (const char c : name) {
    if (!http::is_token_char(c) || (c >= 'A' && c <= 'Z')) return false;
  }
  return !name.empty();
}

bool is_trimmed_value(std::string_view value) {
  return http::is_value(value) && http::trim_ows(value).size() == value.size();
}

bool is_target(std::string_view text) {
  const char* end = text.data() + text.size();
  return http1::find_target_end(text.data(), text.data(), end) == end;
}

// It belongs to a connection of HTTP/1 (RFC 9113 section 8.2.2).
bool is_of_connection(FieldId id, std::string_view name, std::string_view value) {
  switch (id) {
    case FieldId::connection:
    case FieldId::transfer_encoding:
    case FieldId::upgrade:
      return true;
    case FieldId::te:
      return !is_word(value, Word("trailers"));
    case FieldId::other:
      return is_word(name, Word("keep-alive")) || is_word(name, Word("proxy-connection"));
    default:
      return false;
  }
}

}  // namespace

void Request::keep(char* room, http::RequestHead& to) const {
  text.copy(room, text.size());
  const auto moved = [&](std::string_view view) {
    return view.data() == nullptr
               ? view
               : std::string_view(room + (view.data() - text.data()), view.size());
  };
  to = head;
  to.method_text = moved(head.method_text);
  to.target = moved(head.target);
  to.path = moved(head.path);
  to.query = moved(head.query);
  to.host = moved(head.host);
  for (http::Field& field : to.fields) {
    field.name = moved(field.name);
    field.value = moved(field.value);
  }
}

void HeadReader::begin(bool trailers) {
  text_.clear();
  rows_.clear();
  crumbs_.clear();
  std::fill(std::begin(pseudo_), std::end(pseudo_), Run{});
  decoded_ = length_ = 0;
  cookie_row_ = cookie_bytes_ = 0;
  present_ = 0;
  trailers_ = trailers;
  have_host_ = have_length_ = false;
  host_ = {};
  over_ = Errc::none;
  bad_expectation_ = expect_continue_ = false;
}

void HeadReader::shrink() {
  text_ = {};
  rows_ = {};
  crumbs_ = {};
  request_ = {};
}

HeadReader::Run HeadReader::put(std::string_view text) {
  const Run run{static_cast<std::uint32_t>(text_.size()), static_cast<std::uint32_t>(text.size())};
  text_.append(text);
  return run;
}

Errc HeadReader::add(std::string_view name, std::string_view value) {
  decoded_ += name.size() + value.size() + kFieldOverhead;
  if (over_ != Errc::none) return Errc::none;
  if (decoded_ > limits_.head_bytes) {
    over_ = Errc::http_head_too_large;
    return Errc::none;
  }
  if (name.size() + 1 + value.size() > limits_.field_bytes) {
    over_ = name == ":path" ? Errc::http_target_too_long : Errc::http_field_too_large;
    return Errc::none;
  }
  if (!name.empty() && name.front() == ':') return add_pseudo(name, value);
  if (!is_name(name)) return Errc::http_bad_field_name;
  if (!is_trimmed_value(value)) return Errc::http_bad_field_value;
  const FieldId id = http::field_id(name);
  if (is_of_connection(id, name, value)) {
    return id == FieldId::transfer_encoding ? Errc::http_bad_transfer_encoding
                                            : Errc::http_bad_field_name;
  }
  return add_field(id, name, value);
}

Errc HeadReader::add_pseudo(std::string_view name, std::string_view value) {
  static constexpr std::string_view names[kPseudos] = {":method", ":scheme", ":authority", ":path",
                                                       ":protocol"};
  const auto* found = std::find(std::begin(names), std::end(names), name);
  // Pseudo-fields come first, once each, and never in trailers.
  if (found == std::end(names) || trailers_ || !rows_.empty()) return Errc::http_bad_field_name;
  const auto which = static_cast<Pseudo>(found - std::begin(names));
  if (has(which)) return Errc::http_bad_field_name;
  switch (which) {
    case kMethod:
      if (value.size() > kMethodBytes || !http::is_token(value)) return Errc::http_bad_method;
      break;
    case kScheme:
      if (value != "http" && value != "https") return Errc::http_bad_target;
      break;
    case kAuthority:
      if (!http::is_authority(value)) return Errc::http_bad_host;
      break;
    case kPath:
      if (value.empty() || !is_target(value)) return Errc::http_bad_target;
      break;
    default:
      if (!http::is_token(value)) return Errc::http_bad_field_value;
      break;
  }
  present_ = static_cast<std::uint8_t>(present_ | (1U << which));
  pseudo_[which] = put(value);
  return Errc::none;
}

Errc HeadReader::add_field(FieldId id, std::string_view name, std::string_view value) {
  if (trailers_ && http::is_forbidden_trailer(name)) return Errc::none;
  if (!trailers_ && http::is_about_message(id)) {
    if (const Errc error = note(id, value); error != Errc::none) return error;
  }
  if (id == FieldId::cookie && !crumbs_.empty()) {
    add_crumb(name, value);
    return Errc::none;
  }
  if (rows_.size() >= limits_.fields) {
    over_ = Errc::http_too_many_fields;
    return Errc::none;
  }
  Row row{put(name), {}, id};
  row.value = put(value);
  if (id == FieldId::cookie) {
    crumbs_.push_back(row.value);
    cookie_row_ = rows_.size();
    cookie_bytes_ = value.size();
  }
  if (id == FieldId::host) host_ = row.value;
  rows_.push_back(row);
  return Errc::none;
}

// Another one: RFC 9113 section 8.2.3 lets a client cut its Cookie into pieces.
void HeadReader::add_crumb(std::string_view name, std::string_view value) {
  cookie_bytes_ += 2 + value.size();
  if (name.size() + 1 + cookie_bytes_ > limits_.field_bytes) {
    over_ = Errc::http_field_too_large;
    return;
  }
  crumbs_.push_back(put(value));
}

// Takes down what a field says about the message itself.
Errc HeadReader::note(FieldId id, std::string_view value) {
  switch (id) {
    case FieldId::host:
      if (have_host_) return Errc::http_duplicate_host;
      have_host_ = true;
      return http::is_authority(value) ? Errc::none : Errc::http_bad_host;
    case FieldId::content_length:
      if (have_length_) return Errc::http_ambiguous_length;
      have_length_ = true;
      return http1::read_content_length(value, length_);
    case FieldId::expect:
      (is_word(value, Word("100-continue")) ? expect_continue_ : bad_expectation_) = true;
      return Errc::none;
    default:
      return Errc::none;
  }
}

// "a=1" and "b=2" become "a=1; b=2".
void HeadReader::join_cookie() {
  if (crumbs_.size() < 2) return;
  Run joined{static_cast<std::uint32_t>(text_.size()), 0};
  text_.reserve(text_.size() + cookie_bytes_);  // a crumb must not move while it is appended
  for (std::size_t i = 0; i < crumbs_.size(); ++i) {
    if (i > 0) text_.append("; ");
    text_.append(view(crumbs_[i]));
  }
  joined.size = static_cast<std::uint32_t>(text_.size()) - joined.at;
  rows_[cookie_row_].value = joined;
}

Errc HeadReader::finish(bool ends) {
  request_.head.clear();
  request_.scheme = request_.protocol = {};
  request_.error = over_;
  if (!trailers_) join_cookie();
  // From here on nothing of text_ moves.
  http::RequestHead& head = request_.head;
  for (const Row& row : rows_) head.fields.push_back({view(row.name), view(row.value), row.id});
  request_.text = text_;
  if (trailers_) return Errc::none;
  if (has(kMethod)) {
    head.method_text = view(pseudo_[kMethod]);
    head.method = http::method_of(head.method_text);
  }
  if (has(kScheme)) request_.scheme = view(pseudo_[kScheme]);
  if (has(kProtocol)) request_.protocol = view(pseudo_[kProtocol]);
  head.expect_continue = expect_continue_;
  head.content_length = have_length_ ? length_ : 0;
  head.body = ends           ? http::BodyKind::none
              : have_length_ ? http::BodyKind::length
                             : http::BodyKind::chunked;
  if (ends && head.content_length != 0) return Errc::http_bad_content_length;
  const Errc host = read_host();
  const Errc target = read_target();
  if (over_ != Errc::none) return Errc::none;  // what is missing may be behind the limit
  if (!has(kMethod)) return Errc::http_bad_method;
  if (target != Errc::none) return target;
  if (host != Errc::none) return host;
  if (bad_expectation_) request_.error = Errc::http_expectation_failed;
  return Errc::none;
}

Errc HeadReader::read_host() {
  const std::string_view host = view(host_);
  if (!has(kAuthority)) {
    if (!have_host_) return Errc::http_missing_host;
    request_.head.host = host;
    return Errc::none;
  }
  request_.head.host = view(pseudo_[kAuthority]);
  // Two readers could go to two servers.
  if (have_host_ && !http::same_name(host, request_.head.host)) return Errc::http_bad_host;
  return Errc::none;
}

Errc HeadReader::read_target() {
  http::RequestHead& head = request_.head;
  const bool is_connect = head.method == Method::connect;
  if (has(kProtocol) && !is_connect) return Errc::http_bad_field_name;
  if (is_connect && !has(kProtocol)) {
    if (has(kPath) || has(kScheme)) return Errc::http_bad_target;
    if (!has(kAuthority)) return Errc::http_missing_host;
    const std::size_t colon = head.host.rfind(':');
    const bool has_port = colon != std::string_view::npos && colon + 1 < head.host.size() &&
                          http::is_digit(head.host.back());
    if (!has_port) return Errc::http_bad_target;
    head.form = TargetForm::authority;
    head.target = head.host;
    return Errc::none;
  }
  if (!has(kPath) || !has(kScheme)) return Errc::http_bad_target;
  head.target = head.path = view(pseudo_[kPath]);
  if (head.target == "*") {
    head.form = TargetForm::asterisk;
    return head.method == Method::options ? Errc::none : Errc::http_bad_target;
  }
  if (head.target.front() != '/') return Errc::http_bad_target;
  head.form = TargetForm::origin;
  const std::size_t mark = head.target.find('?');
  if (mark != std::string_view::npos) {
    head.path = head.target.substr(0, mark);
    head.query = head.target.substr(mark + 1);
  }
  return Errc::none;
}

}  // namespace sluice::http2
