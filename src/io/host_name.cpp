// io/host_name.cpp - see host_name.hpp.
#include "io/host_name.hpp"

#include <arpa/inet.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <system_error>

namespace sluice::io {

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_label(std::string_view label) {
  return !label.empty() && label.size() <= 63 && label.front() != '-' && label.back() != '-' &&
         std::all_of(label.begin(), label.end(), [](char c) {
           return is_digit(c) || (c >= 'a' && c <= 'z') || c == '-' || c == '_';
         });
}

std::optional<int> parse_port(std::string_view text) {
  int port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || port < 1 || port > 65535) {
    return std::nullopt;
  }
  return port;
}

}  // namespace

std::optional<IpAddress> parse_address(const std::string& text) {
  if (text.find('\0') != std::string::npos) return std::nullopt;
  IpAddress address;
  if (::inet_pton(AF_INET, text.c_str(), address.bytes.data()) == 1) return address;
  address.family = IpAddress::Family::ip6;
  if (::inet_pton(AF_INET6, text.c_str(), address.bytes.data()) == 1) return address;
  return std::nullopt;
}

std::optional<IpAddress> parse_host_address(const std::string& text) {
  const bool brackets =
      text.starts_with('[') && text.ends_with(']') && text.find(':') != std::string::npos;
  return parse_address(brackets ? text.substr(1, text.size() - 2) : text);
}

bool is_host_name(std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  if (name.empty() || name.size() > 253) return false;
  while (true) {
    const std::size_t dot = name.find('.');
    const std::string_view label = name.substr(0, dot);
    if (!is_label(label)) return false;
    if (dot == std::string::npos) return !std::all_of(label.begin(), label.end(), is_digit);
    name.remove_prefix(dot + 1);
  }
}

bool is_localhost(std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  return name == "localhost" || name.ends_with(".localhost");
}

std::string small_letters(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = char(c - 'A' + 'a');
  }
  return text;
}

std::string quoted(const std::string& name) {
  constexpr std::size_t kMost = 255;
  std::string words = "\"" + name.substr(0, kMost) + (name.size() > kMost ? "...\"" : "\"");
  for (char& c : words) {
    if (c < ' ' || c > '~') c = '?';
  }
  return words;
}

std::optional<DnsServer> parse_dns_server(const std::string& text) {
  if (auto address = parse_address(text)) return DnsServer{*address};
  std::string host = text, port = "53";
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == std::string::npos) return std::nullopt;
    host = text.substr(1, close - 1);
    if (host.find(':') == std::string::npos) return std::nullopt;  // brackets are for IPv6
    if (close + 1 < text.size()) {
      if (text[close + 1] != ':') return std::nullopt;
      port = text.substr(close + 2);
    }
  } else if (const std::size_t colon = text.rfind(':'); colon != std::string::npos) {
    host = text.substr(0, colon);
    port = text.substr(colon + 1);
    if (host.find(':') != std::string::npos)
      return std::nullopt;  // IPv6 needs brackets in front of a port
  }
  const auto address = parse_address(host);
  const auto number = parse_port(port);
  if (!address || !number) return std::nullopt;
  return DnsServer{*address, *number};
}

}  // namespace sluice::io
