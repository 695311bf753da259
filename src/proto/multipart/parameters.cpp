// proto/multipart/parameters.cpp - see parameters.hpp.
#include "proto/multipart/parameters.hpp"

#include "proto/http/token.hpp"

namespace sluice::multipart {

using http::is_ows;
using http::is_token_char;
using http::trim_ows;

Parameters::Parameters(std::string_view value) {
  const auto end = value.find(';');
  word_ = trim_ows(value.substr(0, end));
  if (end != std::string_view::npos) rest_ = value.substr(end);
}

bool Parameters::next() {
  if (bad_) return false;
  // Empty parameters are passed over, as RFC 9110 has it.
  while (!rest_.empty() && (rest_.front() == ';' || is_ows(rest_.front()))) rest_.remove_prefix(1);
  if (rest_.empty()) return false;
  bad_ = true;
  std::size_t at = 0;
  while (at < rest_.size() && is_token_char(rest_[at])) ++at;
  name_ = rest_.substr(0, at);
  if (name_.empty() || at == rest_.size() || rest_[at] != '=') return false;
  rest_.remove_prefix(at + 1);
  quoted_ = !rest_.empty() && rest_.front() == '"';
  if (!quoted_) {
    at = 0;
    while (at < rest_.size() && is_token_char(rest_[at])) ++at;
    raw_ = rest_.substr(0, at);
    if (raw_.empty()) return false;
  } else {
    at = 1;
    // Only a backslash in front of a quote or another one escapes: `C:\dir\` ends with its quote
    // where no further quote follows.
    while (at < rest_.size() && rest_[at] != '"') {
      const bool escape = rest_[at] == '\\' && at + 1 < rest_.size() &&
                          (rest_[at + 1] == '"' || rest_[at + 1] == '\\');
      at += escape ? 2 : 1;
    }
    if (at >= rest_.size()) return false;
    raw_ = rest_.substr(1, at - 1);
    ++at;
  }
  rest_.remove_prefix(at);
  while (!rest_.empty() && is_ows(rest_.front())) rest_.remove_prefix(1);
  bad_ = !rest_.empty() && rest_.front() != ';';
  return !bad_;
}

std::string form_data_text(std::string_view raw) {
  std::string text;
  text.reserve(raw.size());
  for (std::size_t i = 0; i < raw.size(); ++i) {
    const std::string_view left = raw.substr(i);
    if (left[0] == '\\' && left.size() > 1 && (left[1] == '"' || left[1] == '\\')) {
      text.push_back(left[1]);
      ++i;
    } else if (left.starts_with("%22")) {
      text.push_back('"');
      i += 2;
    } else if (left.starts_with("%0D") || left.starts_with("%0d")) {
      text.push_back('\r');
      i += 2;
    } else if (left.starts_with("%0A") || left.starts_with("%0a")) {
      text.push_back('\n');
      i += 2;
    } else {
      text.push_back(left[0]);
    }
  }
  return text;
}

}  // namespace sluice::multipart
