// proto/multipart/boundary.cpp - see boundary.hpp.
#include "proto/multipart/boundary.hpp"

#include "proto/http/token.hpp"
#include "proto/multipart/parameters.hpp"

namespace sluice::multipart {
namespace {

constexpr std::size_t kLongest = 70;

// bchars of RFC 2046, and what is no danger and some clients send: all token characters.
bool may_stand(char c) {
  return http::is_token_char(c) ||
         std::string_view("()+,-./:=? ").find(c) != std::string_view::npos;
}

}  // namespace

bool is_form_data(std::string_view content_type) {
  return http::is_word(Parameters(content_type).word(), http::Word("multipart/form-data"));
}

std::optional<std::string> boundary_of(std::string_view content_type) {
  Parameters parameters(content_type);
  std::optional<std::string> boundary;
  while (parameters.next()) {
    if (!http::equal_nocase(parameters.name(), "boundary")) continue;
    if (boundary) return {};
    boundary = std::string(parameters.raw());
  }
  if (parameters.is_bad() || !boundary) return {};
  if (boundary->empty() || boundary->size() > kLongest || boundary->back() == ' ') return {};
  for (const char c : *boundary) {
    if (!may_stand(c)) return {};
  }
  return boundary;
}

}  // namespace sluice::multipart
