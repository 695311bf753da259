// proto/auth/basic.hpp - a user's name and password, in base64.
//
// RFC 7617. Layer: proto. No I/O.
#pragma once

#include <string>

#include <sluice/result.hpp>

#include "crypto/secret.hpp"
#include "proto/auth/credentials.hpp"

namespace sluice::auth {

struct BasicCredentials {
  std::string user;
  crypto::Secret password;
};

// The first colon ends the name; both are UTF-8 without controls, taken as they are (nothing is
// normalised). Errors: auth_malformed, also for an empty name, a name over kMostUserBytes and a
// password over crypto::kMostPasswordBytes.
Result<BasicCredentials> read_basic(const Credentials& credentials);

}  // namespace sluice::auth
