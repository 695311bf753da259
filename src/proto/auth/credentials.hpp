// proto/auth/credentials.hpp - what stands in an Authorization field, whatever the scheme.
//
// RFC 9110 section 11.4 (credentials), 11.2 (auth-param, token68). Layer: proto. No I/O.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/result.hpp>

namespace sluice::auth {

inline constexpr std::size_t kMostCredentialsBytes = 16384;
inline constexpr std::size_t kMostAuthParams = 32;
// Of a user's name, in every scheme that has one.
inline constexpr std::size_t kMostUserBytes = 255;

struct AuthParam {
  std::string_view name;  // as it was sent
  std::string value;      // without quotes
};

// Views live as long as the field. The values may be secrets: whoever keeps them wipes them.
struct Credentials {
  std::string_view scheme;   // as it was sent
  std::string_view token68;  // empty when there are parameters, or nothing
  std::vector<AuthParam> params;

  // Without regard to case.
  bool is(std::string_view name) const;
  // The value of the parameter with this name, without regard to case; null when there is none.
  const std::string* find(std::string_view name) const;
};

// Reads the one Authorization field of a request (two of them are malformed: the caller counts).
// Errors: auth_malformed, also for a parameter that comes twice and for more than kMostAuthParams.
Result<Credentials> read_credentials(std::string_view field);

// The token of `Bearer` credentials (RFC 6750 section 2.1). Errors: auth_malformed.
Result<std::string_view> read_bearer(const Credentials& credentials);

// Whether `name` may be a user's: 1 to kMostUserBytes bytes of UTF-8 without controls. A colon is
// for the caller to refuse, where one ends the name.
bool is_user_name(std::string_view name);
// Whether text is free of CTL (RFC 5234 appendix B.1).
bool has_no_controls(std::string_view text);

}  // namespace sluice::auth
