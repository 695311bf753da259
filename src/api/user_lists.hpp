// api/user_lists.hpp - what stands behind the lists of users.
//
// Layer: api. Thread: any.
#pragma once

#include <memory>
#include <mutex>

#include <sluice/authentication.hpp>

#include "service/auth/users.hpp"

namespace sluice {

// Made when somebody first needs it: that takes as long as hashing a password.
struct UserList::Shared {
 public:
  std::shared_ptr<service::Users> get();

 private:
  std::once_flag once_;
  std::shared_ptr<service::Users> users_;
};

struct DigestUserList::Shared {
  std::shared_ptr<service::DigestUsers> users = std::make_shared<service::DigestUsers>();
};

}  // namespace sluice
