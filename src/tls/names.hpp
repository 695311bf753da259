// tls/names.hpp - host names as clients ask for them, and which certificate a name means.
//
// RFC 6066 section 3 (server_name), RFC 6125 section 6.4 (`*.` stands for one label). Layer: tls.
// Thread: any; a table that is not changed may be read from all.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::tls {

// A host name in lower case and without a dot behind it. Allocates nothing, for it is made in each
// handshake.
class HostName {
 public:
  static constexpr std::size_t kMost = 253;  // RFC 1035

  explicit HostName(std::string_view text);
  // Labels of letters, digits, `-` and `_`; the first one may be `*` when others follow.
  bool is_valid() const { return size_ != 0; }
  // Alive as long as this.
  std::string_view view() const { return {text_.data(), size_}; }
  bool is_wildcard() const { return size_ > 2 && text_[0] == '*'; }

 private:
  std::array<char, kMost> text_;
  std::uint8_t size_ = 0;
};

// Whether `text` is an IPv4 or IPv6 address, whole: "127.0.0.1", "::1".
bool is_address(std::string_view text);

// From names to numbers. An exact name comes before a wildcard.
class NameTable {
 public:
  static constexpr std::size_t kNone = ~std::size_t{0};

  // `name` as HostName::view gives it. The number of the entry of this name.
  std::size_t& entry(std::string_view name);
  // The number for what a client asks for; kNone when nothing is for it. A client that asks for a
  // `*` gets nothing.
  std::size_t find(std::string_view asked) const;
  auto begin() { return entries_.begin(); }
  auto end() { return entries_.end(); }

 private:
  std::map<std::string, std::size_t, std::less<>> entries_;
};

}  // namespace sluice::tls
