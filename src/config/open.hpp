// config/open.hpp - what a configuration names in other files: users, secrets, API keys.
//
// Blocks on a disk. Layer: config.
#pragma once

#include <memory>
#include <string>

#include <sluice/api_keys.hpp>
#include <sluice/authentication.hpp>
#include <sluice/result.hpp>
#include <sluice/server.hpp>

#include "config/configuration.hpp"

namespace sluice::config {

struct Opened {
  UserList users;
  DigestUserList digest_users;
  std::string bearer_secret;                // that the file of the secret has, or the configuration
  std::shared_ptr<ApiKeyManager> api_keys;  // null: nobody is asked for one
};

// `keys`: a manager to go on with, if the configuration still asks for what it was made for.
// Errors: bad_setting, whose words begin with the key.
Result<Opened> open(const Configuration& wanted, std::shared_ptr<ApiKeyManager> keys = nullptr);

// Whether open() would succeed, for all that can be said without making anything: a store that is
// not there yet is right where its folder is.
Result<void> check_files(const Configuration& wanted);

// Lays what was opened upon settings that have been set(), but for the users: they are of the list
// that runs, which takes them over when nothing can fail any more.
void set(const Opened& opened, Settings& server);
void set_users(const Opened& opened, Settings& server);

}  // namespace sluice::config
