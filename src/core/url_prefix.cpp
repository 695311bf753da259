// core/url_prefix.cpp - from text to a prefix, and what to write instead.
#include "core/url_prefix.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "base/arena.hpp"
#include "proto/http/target.hpp"
#include "proto/http/token.hpp"

namespace sluice::core {
namespace {

using http::is_digit;

constexpr std::size_t kMaxName = 253, kMaxLabel = 63;
// There is room for one more label in front.
constexpr std::size_t kMaxDomain = kMaxName - 2;
constexpr std::string_view kMapped("\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);

// For a message: short, and on one line.
std::string shown(std::string_view text) {
  constexpr std::size_t kShown = 120;
  std::string out(text.substr(0, kShown));
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  if (text.size() > kShown) out += "...";
  return out;
}

class Parser {
 public:
  Parser(std::string_view text, bool to_listen) : text_(text), to_listen_(to_listen) {}

  Result<UrlPrefix> parse() {
    if (parse_all()) return std::move(prefix_);
    const std::string text = shown(text_);  // g++ 12 warns of an insertion into a temporary
    return Error(Errc::bad_prefix, "\"" + text + "\": " + why_);
  }

 private:
  bool wrong(std::string why) {
    why_ = std::move(why);
    return false;
  }

  bool parse_all() {
    if (text_.size() > kMaxUrlPrefixBytes) {
      return wrong("it has " + std::to_string(text_.size()) + " bytes; at most " +
                   std::to_string(kMaxUrlPrefixBytes) + " are possible");
    }
    std::string_view rest = text_;
    if (!take_scheme(rest)) return false;
    // Before the path is looked for: the slash may stand behind them.
    if (rest.find('?') != std::string_view::npos)
      return wrong("a prefix has no query; leave out what begins with ?");
    if (rest.find('#') != std::string_view::npos)
      return wrong("a prefix has no fragment; leave out what begins with #");
    const std::size_t slash = rest.find('/');
    if (!parse_authority(rest.substr(0, slash))) return false;
    if (slash == std::string_view::npos)
      return wrong("the slash at the end is missing; write " + shown(text_) + "/");
    return parse_path(rest.substr(slash));
  }

  bool take_scheme(std::string_view& rest) {
    const std::size_t end = rest.find("://");
    if (end == std::string_view::npos)
      return wrong("the scheme is missing; it should look like http://localhost:8080/");
    const std::string_view scheme = rest.substr(0, end);
    rest.remove_prefix(end + 3);
    prefix_.scheme = scheme == "https" ? UrlScheme::https : UrlScheme::http;
    if (scheme == "http" || scheme == "https") return true;
    if (http::equal_nocase(scheme, "http")) return wrong("write the scheme in lower case, http");
    if (http::equal_nocase(scheme, "https")) return wrong("write the scheme in lower case, https");
    return wrong("the scheme must be http or https");
  }

  bool parse_authority(std::string_view authority) {
    if (authority.find('@') != std::string_view::npos)
      return wrong("a prefix names no user; leave out what stands before the @");
    std::size_t end = 0;  // of the host
    if (authority.starts_with('[')) {
      end = authority.find(']');
      if (end == std::string_view::npos) return wrong("the ] behind the IPv6 address is missing");
      ++end;
      if (end < authority.size() && authority[end] != ':')
        return wrong("behind the ] must stand a colon and the port");
    } else {
      end = std::min(authority.find(':'), authority.size());
      if (std::count(authority.begin(), authority.end(), ':') > 1)
        return wrong("an IPv6 address stands in brackets, as in http://[::1]:8080/");
    }
    if (end == 0) return wrong("the host is missing; write + or * for every host");
    if (end == authority.size())
      return wrong("the port is missing; it is always written, as in http://localhost:80/");
    return parse_host(authority.substr(0, end)) && parse_port(authority.substr(end + 1));
  }

  bool parse_port(std::string_view digits) {
    if (digits.empty())
      return wrong("the port is missing; it is always written, as in http://localhost:80/");
    if (digits == "*" || digits == "+") return wrong("the port cannot be a wildcard");
    if (!std::all_of(digits.begin(), digits.end(), is_digit))
      return wrong("the port must be a decimal number");
    unsigned port = 0;
    const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (digits != "0" && digits.front() == '0') return wrong("the port must not begin with a zero");
    if (parsed.ec != std::errc() || port > 65535 || (port == 0 && !to_listen_)) {
      return wrong(std::string("the port must be from ") + (to_listen_ ? "0" : "1") + " to 65535");
    }
    prefix_.port = static_cast<std::uint16_t>(port);
    return true;
  }

  bool parse_host(std::string_view host) {
    if (host == "+") return set_host(UrlHost::strong, {});
    if (host == "*") return set_host(UrlHost::weak, {});
    if (host.front() == '[') return parse_ipv6(host.substr(1, host.size() - 2));
    if (host.starts_with("*.")) {
      return check_name(host.substr(2), kMaxDomain) &&
             set_host(UrlHost::subdomains, host.substr(2));
    }
    in_addr four;
    if (inet_pton(AF_INET, std::string(host).c_str(), &four) == 1 && !has_nul(host)) {
      if (four.s_addr == 0) return any_address();
      return set_host(UrlHost::address, {reinterpret_cast<const char*>(&four), sizeof four});
    }
    return check_name(host, kMaxName) && set_host(UrlHost::name, host);
  }

  bool parse_ipv6(std::string_view literal) {
    if (literal.find('%') != std::string_view::npos)
      return wrong("an address has no zone here; leave out what begins with %");
    in6_addr six;
    if (inet_pton(AF_INET6, std::string(literal).c_str(), &six) != 1 || has_nul(literal))
      return wrong("what stands in the brackets is no IPv6 address");
    const std::string_view octets(reinterpret_cast<const char*>(&six), sizeof six);
    if (octets.find_first_not_of('\0') == std::string_view::npos) return any_address();
    if (octets.starts_with(kMapped)) return wrong("write the IPv4 address without ::ffff:");
    return set_host(UrlHost::address, octets);
  }

  static bool has_nul(std::string_view text) { return text.find('\0') != std::string_view::npos; }

  bool any_address() {
    if (to_listen_) return set_host(UrlHost::weak, {});
    return wrong("no connection comes in on this address; write * for all");
  }

  bool set_host(UrlHost kind, std::string_view host) {
    prefix_.kind = kind;
    prefix_.host = host;
    if (kind != UrlHost::address) {
      for (char& c : prefix_.host) c = http::lower(c);
    }
    return true;
  }

  // RFC 1123 section 2.1, and underscores, which are in use.
  bool check_name(std::string_view name, std::size_t limit) {
    if (name.find_first_of("*+") != std::string_view::npos)
      return wrong("only the left-most label of a host can be a *, as in *.example.com");
    if (name.ends_with('.') && name != ".")
      return wrong("leave out the dot at the end of the host");
    if (name.size() > limit)
      return wrong("the name of a host or domain has at most " + std::to_string(limit) +
                   " characters here");
    std::string_view label;
    for (std::size_t from = 0, dot = 0; dot != std::string_view::npos; from = dot + 1) {
      dot = name.find('.', from);
      label = name.substr(from, dot - from);
      if (!check_label(label)) return false;
    }
    // 1.2.3, 0x7f.1 and 300.1.1.1 are what some clients take for addresses.
    const bool hex = label.size() > 1 && label[0] == '0' && http::lower(label[1]) == 'x';
    if (hex || std::all_of(label.begin(), label.end(), is_digit))
      return wrong("the host is neither an IPv4 address nor a name");
    return true;
  }

  bool check_label(std::string_view label) {
    if (label.empty()) return wrong("a part of the host, between two dots, is empty");
    if (label.size() > kMaxLabel) {
      return wrong("a part of the host, between two dots, has more than " +
                   std::to_string(kMaxLabel) + " characters");
    }
    for (char c : label) {
      const bool letter = http::lower(c) >= 'a' && http::lower(c) <= 'z';
      if (letter || is_digit(c) || c == '-' || c == '_') continue;
      if (static_cast<unsigned char>(c) >= 0x80)
        return wrong("write an international host in its ASCII form, xn--...");
      return wrong("a host has letters, digits, hyphens and dots only");
    }
    if (label.front() == '-' || label.back() == '-')
      return wrong("a part of the host must not begin or end in a hyphen");
    return true;
  }

  bool parse_path(std::string_view raw) {
    if (raw.find('\\') != std::string_view::npos) return wrong("write / instead of \\ in the path");
    if (raw.back() != '/')
      return wrong("the slash at the end is missing; write " + shown(text_) + "/");
    if (raw.find("//") != std::string_view::npos)
      return wrong("a segment of the path is empty; write one / instead of two");
    base::Arena arena;
    auto path = http::routing_path(raw, kMaxUrlPrefixSegments + 1, arena);
    if (!path.is_done()) return wrong_path(path.error());
    const auto slashes = [](std::string_view text) {
      return std::count(text.begin(), text.end(), '/');
    };
    if (slashes(path.value()) != slashes(raw))
      return wrong("the path has a segment . or ..; write the path that is meant");
    prefix_.path = path.value();
    return true;
  }

  bool wrong_path(Errc code) {
    switch (code) {
      case Errc::http_bad_percent_encoding:
        return wrong("a % in the path must be followed by two hexadecimal digits");
      case Errc::http_bad_utf8:
        return wrong("the path is not UTF-8");
      case Errc::http_too_many_segments:
        return wrong("the path has more than " + std::to_string(kMaxUrlPrefixSegments) +
                     " segments");
      default:
        return wrong("the path holds a control character");
    }
  }

  const std::string_view text_;
  const bool to_listen_;
  std::string why_;
  UrlPrefix prefix_;
};

std::string host_text(const UrlPrefix& prefix) {
  switch (prefix.kind) {
    case UrlHost::strong:
      return "+";
    case UrlHost::weak:
      return "*";
    case UrlHost::subdomains:
      return "*." + prefix.host;
    case UrlHost::name:
      return prefix.host;
    case UrlHost::address:
      break;
  }
  Endpoint endpoint;
  const bool four = prefix.host.size() == 4;
  endpoint.family = four ? Endpoint::Family::ip4 : Endpoint::Family::ip6;
  std::memcpy(endpoint.address.data(), prefix.host.data(),
              std::min(prefix.host.size(), endpoint.address.size()));
  const std::string ip = endpoint.ip();
  return four ? ip : "[" + ip + "]";
}

}  // namespace

std::string UrlPrefix::text() const {
  std::string out = scheme == UrlScheme::https ? "https://" : "http://";
  out += host_text(*this);
  out.append(":").append(std::to_string(port));
  // A path may hold, decoded, what would end it in a text.
  for (char c : path) {
    if (c == '?') {
      out += "%3F";
    } else if (c == '#') {
      out += "%23";
    } else if (c == ' ') {
      out += "%20";
    } else {
      out += c;
    }
  }
  return out;
}

Result<UrlPrefix> parse_url_prefix(std::string_view text) { return Parser(text, false).parse(); }

Result<UrlPrefix> parse_listen_prefix(std::string_view text) { return Parser(text, true).parse(); }

std::string_view address_octets(const Endpoint& endpoint) {
  const std::string_view octets(reinterpret_cast<const char*>(endpoint.address.data()),
                                endpoint.address.size());
  switch (endpoint.family) {
    case Endpoint::Family::ip4:
      return octets.substr(0, 4);
    case Endpoint::Family::ip6:
      return octets.starts_with(kMapped) ? octets.substr(12) : octets;
    case Endpoint::Family::none:
      break;
  }
  return {};
}

}  // namespace sluice::core
