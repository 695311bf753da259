// tls/names.cpp - see names.hpp.
//
// RFC 6066, RFC 6125. Layer: tls. Thread: any.
#include "tls/names.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>

namespace sluice::tls {
namespace {

bool is_label_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

bool is_host_name(std::string_view text) {
  if (text.starts_with("*.")) text.remove_prefix(2);
  std::size_t label = 0;
  for (const char c : text) {
    if (c == '.' ? label == 0 : !is_label_character(c)) return false;
    label = c == '.' ? 0 : label + 1;
    if (label > 63) return false;
  }
  return label != 0;
}

}  // namespace

HostName::HostName(std::string_view text) {
  if (text.ends_with('.')) text.remove_suffix(1);
  if (text.empty() || text.size() > kMost) return;
  std::transform(text.begin(), text.end(), text_.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  if (is_host_name({text_.data(), text.size()})) size_ = static_cast<std::uint8_t>(text.size());
}

bool is_address(std::string_view text) {
  std::array<char, INET6_ADDRSTRLEN> copy{};
  // What stands behind a NUL would not be looked at.
  if (text.size() >= copy.size() || text.find('\0') != std::string_view::npos) return false;
  text.copy(copy.data(), text.size());
  std::array<unsigned char, 16> bytes;
  return ::inet_pton(AF_INET, copy.data(), bytes.data()) == 1 ||
         ::inet_pton(AF_INET6, copy.data(), bytes.data()) == 1;
}

std::size_t& NameTable::entry(std::string_view name) {
  return entries_.try_emplace(std::string(name), kNone).first->second;
}

std::size_t NameTable::find(std::string_view asked) const {
  const HostName host(asked);
  if (!host.is_valid() || host.is_wildcard()) return kNone;
  if (const auto exact = entries_.find(host.view()); exact != entries_.end()) return exact->second;
  const std::size_t dot = host.view().find('.');
  if (dot == std::string_view::npos) return kNone;
  std::array<char, HostName::kMost + 1> text;
  text[0] = '*';
  const std::string_view rest = host.view().substr(dot);
  std::copy(rest.begin(), rest.end(), text.begin() + 1);
  const auto wildcard = entries_.find(std::string_view(text.data(), rest.size() + 1));
  return wildcard == entries_.end() ? kNone : wildcard->second;
}

}  // namespace sluice::tls
