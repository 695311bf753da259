// service/auth/users.hpp - who there is, and what their passwords are verified against.
//
// Layer: service. Thread: any; a lock is held for a look-up. No password is verified here.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sluice/result.hpp>

namespace sluice::service {

// Whether `name` may stand in a file of users: as auth::is_user_name, without a colon, and not
// beginning with `#`.
bool is_file_user(std::string_view name);
inline constexpr const char* kBadUserName =
    "a user's name has 1 to 255 bytes of UTF-8 without controls and colons, and no # in front";

class Users {
 public:
  // Takes as long as hashing a password, once in a process.
  Users();

  // A user, or a new hash for one. `hash` is yescrypt, SHA-crypt or argon2id. Errors: bad_setting.
  Result<void> add(std::string_view name, std::string_view hash);
  // False when there was no such user.
  bool remove(std::string_view name);
  // Lines of `name:hash`; empty ones and those that begin with `#` count for nothing. All of them
  // are added, or none. Errors name file and line; see read_secret_file.
  Result<void> load(const std::string& file);
  // The users of `other` in the place of all there are; who has the same hash keeps his version.
  // May throw std::bad_alloc, and nothing has changed then.
  void assign(const Users& other);

  struct Entry {
    bool known = false;
    // To verify the password against. For an unknown name that of some user, chosen by a keyed hash
    // of the name, so that it takes as long as for a known one, and as long each time; the outcome
    // counts for nothing then.
    std::string hash;
    // Another one after each change of this user, in no other list the same: what was remembered
    // under an older one is void.
    std::uint64_t version = 0;
  };
  Entry find(std::string_view name) const;
  // 0 when there is no such user.
  std::uint64_t version(std::string_view name) const;
  std::size_t size() const;

 private:
  struct User {
    std::string hash;
    std::uint64_t version;
  };
  void put(std::string_view name, std::string_view hash);

  mutable std::mutex mutex_;
  std::map<std::string, User, std::less<>> users_;
  std::array<std::byte, 32> key_;  // of the choice for unknown names
};

// Users of Digest: H(user:realm:password), which is as good as the password.
class DigestUsers {
 public:
  DigestUsers() = default;
  ~DigestUsers();
  DigestUsers(const DigestUsers&) = delete;
  DigestUsers& operator=(const DigestUsers&) = delete;

  // `algorithm` is SHA-256 or MD5, `ha1` in hexadecimal with small letters. Errors: bad_setting.
  Result<void> add(std::string_view name, std::string_view realm, std::string_view algorithm,
                   std::string_view ha1);
  bool remove(std::string_view name, std::string_view realm, std::string_view algorithm);
  // Lines of `user:realm:algorithm:ha1` in a file of mode 0600, all of them or none. A realm may
  // hold colons. Errors name file and line; see read_secret_file.
  Result<void> load(const std::string& file);
  // The users of `other` in the place of all there are. May throw std::bad_alloc, and nothing has
  // changed then.
  void assign(const DigestUsers& other);

  // A stand-in of the right length for whom there is no entry: hash and compare with it, too.
  struct Entry {
    bool known = false;
    std::string ha1;
  };
  Entry find(std::string_view name, std::string_view realm, std::string_view algorithm) const;
  std::size_t size() const;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::string, std::less<>> ha1_;  // by user:realm:algorithm
};

}  // namespace sluice::service
