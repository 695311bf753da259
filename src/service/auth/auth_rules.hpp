// service/auth/auth_rules.hpp - the settings of authentication, checked, with the keys they name.
//
// Layer: service. Blocks on a disk: at start.
#pragma once

#include <sluice/authentication.hpp>
#include <sluice/result.hpp>

#include "proto/auth/jwks.hpp"
#include "proto/auth/jwt.hpp"
#include "service/auth/failures.hpp"

namespace sluice::service {

struct AuthRules {
  Authentication settings;  // paths without a slash at their end
  auth::JwkSet keys;
  auth::JwtRules tokens;
  FailureLimits failures;
};

// All but the keys. Errors: bad_setting, which names the setting.
Result<void> check(const Authentication& settings);

// Errors: bad_setting, which names the setting; those of a file that cannot be read, or used.
Result<AuthRules> make_auth_rules(const Authentication& settings);

}  // namespace sluice::service
