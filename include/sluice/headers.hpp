// sluice/headers.hpp - a list of fields that may be read and added to.
//
// Layer: public.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sluice/error.hpp>
#include <sluice/export.hpp>

namespace sluice {

// Order is kept; names are compared without regard to case.
class SLUICE_API Headers {
 public:
  Headers() = default;
  // As they were received: not judged.
  explicit Headers(std::vector<std::pair<std::string, std::string>> list)
      : list_(std::move(list)) {}
  // Appends one field. Errc::http_bad_field_name or http_response_splitting when it may not be
  // sent, http_framing_field for Content-Length, Transfer-Encoding and Connection: nothing is added
  // then.
  Errc add(std::string_view name, std::string_view value);
  // Value of the first field of that name; empty when there is none.
  std::string_view get(std::string_view name) const;
  bool has(std::string_view name) const;
  const std::vector<std::pair<std::string, std::string>>& list() const { return list_; }

 private:
  std::vector<std::pair<std::string, std::string>> list_;
};

}  // namespace sluice
