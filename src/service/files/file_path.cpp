// service/files/file_path.cpp - escapes in and out.
//
// Layer: service. No I/O. Thread: any.
#include "service/files/file_path.hpp"

#include "proto/ws/utf8.hpp"

namespace sluice::service {
namespace {

bool is_unreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

void append_escape(std::string& out, char c) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  const auto octet = static_cast<unsigned char>(c);
  out += '%';
  out += digits[octet >> 4];
  out += digits[octet & 15];
}

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

// Appends one segment, decoded. False when it is no name.
bool append_segment(std::string& name, std::string_view segment, bool hidden_files) {
  if (segment.empty() || (segment.front() == '.' && !hidden_files)) return false;
  if (segment == "." || segment == "..") return false;  // the routing path has none
  while (!segment.empty()) {
    const std::size_t plain = segment.find('%');
    name.append(segment.substr(0, plain));
    if (plain == std::string_view::npos) break;
    segment.remove_prefix(plain);
    if (segment.starts_with("%25")) {
      name += '%';
    } else if (segment.starts_with("%5C")) {
      name += '\\';
    } else {
      return false;
    }
    segment.remove_prefix(3);
  }
  return true;
}

}  // namespace

std::optional<FilePath> file_path(std::string_view rest, bool hidden_files) {
  FilePath path;
  path.directory = rest.empty() || rest.back() == '/';
  if (rest.empty()) return path;
  if (path.directory) rest.remove_suffix(1);
  for (;;) {
    const std::size_t slash = rest.find('/');
    if (!append_segment(path.name, rest.substr(0, slash), hidden_files)) return std::nullopt;
    if (slash == std::string_view::npos) return path;
    path.name += '/';
    rest.remove_prefix(slash + 1);
  }
}

std::string encode_path(std::string_view document) {
  constexpr std::string_view also = "/%:@!$&'()*+,;=";  // `%` always begins an escape here
  while (document.starts_with("//")) document.remove_prefix(1);
  std::string out;
  for (const char c : document) {
    if (is_unreserved(c) || also.find(c) != std::string_view::npos) {
      out += c;
    } else {
      append_escape(out, c);
    }
  }
  return out;
}

std::string encode_query(std::string_view query) {
  std::string out;
  for (const char c : query) {
    if (c > 0x20 && c < 0x7f) {
      out += c;
    } else {
      append_escape(out, c);
    }
  }
  return out;
}

std::string encode_name(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (is_unreserved(c)) {
      out += c;
    } else {
      append_escape(out, c);
    }
  }
  return out;
}

bool is_requestable(std::string_view name) {
  for (const char c : name) {
    if (is_control(c)) return false;
  }
  return ws::is_utf8(as_bytes(name));
}

std::string escape_html(std::string_view text) {
  constexpr std::string_view replacement = "\xEF\xBF\xBD";
  const bool valid = ws::is_utf8(as_bytes(text));
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        if (is_control(c) || (!valid && static_cast<unsigned char>(c) >= 0x80)) {
          out += replacement;
        } else {
          out += c;
        }
    }
  }
  return out;
}

}  // namespace sluice::service
