// config/text_checks.cpp - see text_checks.hpp.
//
// Layer: config.
#include "config/text_checks.hpp"

#include <algorithm>

#include "api/listen.hpp"
#include "api/settings.hpp"
#include "api/ssl_wish.hpp"

namespace sluice::config {
namespace {

bool has_control(std::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) return true;
  }
  return false;
}

// RFC 9110 section 5.6.2.
bool is_rfc_token(std::string_view text) {
  constexpr std::string_view kNoToken = "()<>@,;:\\\"/[]?={} ";
  bool good = !text.empty() && text.find_first_of(kNoToken) == std::string_view::npos;
  for (const char c : text) good = good && static_cast<unsigned char>(c) < 0x7F;
  return good && !has_control(text);
}

// Letters, digits, and the signs of `more`.
bool is_of(std::string_view text, std::string_view more) {
  return std::all_of(text.begin(), text.end(), [more](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           more.find(c) != std::string_view::npos;
  });
}

}  // namespace

std::string any_text(std::string_view) { return {}; }

std::string is_host(std::string_view text) {
  const bool bare = text.find_first_of("/@?# ") == std::string_view::npos && !has_control(text);
  if (bare && api::parse_prefix(api::binding_of(text, 80))) return {};
  return "write a host without scheme, path or blanks, such as \"localhost\", \"*\" or an address";
}

std::string is_prefix(std::string_view text) {
  const auto parsed = api::parse_prefix({std::string(text)});
  return parsed ? std::string() : parsed.error().detail;
}

std::string is_upstream(std::string_view text) {
  const auto checked = api::check_upstream(text);
  return checked ? std::string() : checked.error().detail;
}

std::string is_network(std::string_view text) {
  const auto checked = api::check_network(text);
  return checked ? std::string() : checked.error().detail;
}

std::string is_name_server(std::string_view text) {
  const auto checked = api::check_name_server(std::string(text));
  return checked ? std::string() : checked.error().detail;
}

std::string is_path(std::string_view text) {
  if ((text.empty() || text.starts_with('/')) && !has_control(text)) return {};
  return "write a path that begins with /, for example \"/echo\", or \"\" for none";
}

std::string is_files_prefix(std::string_view text) {
  if (text.starts_with('/') && text.ends_with('/') && !has_control(text)) return {};
  return "write a path that begins and ends with /, for example \"/static/\"";
}

std::string is_upload_prefix(std::string_view text) {
  std::string wrong = is_files_prefix(text);
  if (wrong.empty() && text.find_first_of("{}") != std::string_view::npos) {
    wrong = "write a path without { and }: what stands behind it is a file's name";
  }
  return wrong;
}

std::string is_token(std::string_view text) {
  if (is_rfc_token(text)) return {};
  return "write the name of a sub-protocol: ASCII letters, digits and signs, no blanks or commas";
}

std::string is_origin(std::string_view text) {
  if (text.find("://") != std::string_view::npos && text.find(' ') == std::string_view::npos) {
    return {};
  }
  return "write an origin with its scheme, such as \"https://example.org\" or \"http://host:*\"";
}

std::string is_field_value(std::string_view text) {
  return has_control(text) ? "write a field value without line ends and other controls" : "";
}

std::string is_directory(std::string_view text) {
  return text.empty() || text.find('\0') != std::string_view::npos ? "write the name of a folder"
                                                                   : "";
}

std::string is_document(std::string_view text) {
  if (text.starts_with('/') && text.size() <= 2048 && !has_control(text)) return {};
  return "write a path of at most 2048 bytes that begins with /, for example \"/api\"";
}

std::string is_field_name(std::string_view text) {
  if (text.empty() || is_rfc_token(text)) return {};
  return "write the name of a field, such as \"X-API-Key\", or \"\" for none";
}

std::string is_parameter(std::string_view text) {
  if (text.size() <= 64 && is_of(text, "-_.~")) return {};
  return "write at most 64 letters, digits, -, _, . or ~, or \"\" for none";
}

std::string is_file(std::string_view text) {
  return text.find('\0') == std::string_view::npos ? "" : "write the name of a file";
}

std::string is_file_name(std::string_view text) {
  return text.empty() || !is_file(text).empty() ? "write the name of a file" : "";
}

std::string is_thumbprint(std::string_view text) {
  const auto checked = text.empty() ? Result<void>() : api::check_thumbprint(text);
  return checked ? std::string() : checked.error().detail;
}

std::string is_realm(std::string_view text) {
  if (!text.empty() && text.size() <= 255 && !has_control(text)) return {};
  return "write 1 to 255 bytes without controls";
}

std::string is_secret(std::string_view text) {
  if (text.empty() || text.size() >= 32) return {};
  return "write at least 32 bytes, or name a file in secret_file";
}

std::string is_scope(std::string_view text) {
  if (text.size() <= 64 && is_of(text, "._:/-")) return {};
  return "write at most 64 letters, digits, ., _, :, / or -, or \"\" for any key";
}

std::string is_name(std::string_view text) {
  return text.empty() || has_control(text) ? "write a name" : "";
}

std::string is_content_coding(std::string_view text) {
  return api::is_content_coding(text) ? "" : "write \"zstd\", \"br\" or \"gzip\"";
}

std::string is_type_pattern(std::string_view text) {
  if (api::is_type_pattern(text)) return {};
  return "write a media type such as \"text/html\", \"text/*\" or \"*/*+json\"; \"!\" in front "
         "leaves it out";
}

std::string is_policy(std::string_view text) {
  if (!text.empty() && text.size() <= 32 && is_of(text, "-_.")) return {};
  return "write 1 to 32 letters, digits, -, _ or .";
}

}  // namespace sluice::config
