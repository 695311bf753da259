// service/auth/sessions.hpp - tokens that stand for a user once, for a minute, from one address.
//
// For clients that cannot send fields with an upgrade: they are given a token by a request that
// carries credentials, and open the WebSocket with it. Layer: service. Thread: any; a lock is held
// for each call.
#pragma once

#include <chrono>
#include <cstddef>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include <sluice/result.hpp>

#include "base/clock.hpp"
#include "service/auth/address.hpp"
#include "service/auth/keyed_hash.hpp"

namespace sluice::service {

inline constexpr std::size_t kSessionTokenBits = 128;
inline constexpr std::size_t kSessionTokenChars = 22;  // in base64url

struct SessionLimits {
  std::chrono::seconds ttl{60};
  std::size_t tokens = 65536;
  std::size_t tokens_per_user = 256;

  friend bool operator==(const SessionLimits&, const SessionLimits&) = default;
};

class Sessions {
 public:
  explicit Sessions(SessionLimits limits = {}) : limits_(limits) {}
  const SessionLimits& limits() const { return limits_; }

  // A token for a user who has just been authenticated. Errors: auth_busy (so many are unused).
  Result<std::string> issue(std::string_view user, const core::Endpoint& peer, base::Instant now);

  // The user it was issued for. Whatever the answer, the token is worth nothing afterwards: one
  // that comes from another address is no secret any more.
  std::optional<std::string> take(std::string_view token, const core::Endpoint& peer,
                                  base::Instant now);

  // Voids the tokens of a user who was changed or removed.
  void forget(std::string_view user);

  std::size_t size() const;

 private:
  struct Token {
    KeyedHash hash;
    std::string user;
    AddressKey address;
    base::Instant expires;
  };
  using Tokens = std::list<Token>;
  void drop(Tokens::iterator token);
  void drop_expired(base::Instant now);

  const SessionLimits limits_;
  const HashKey key_;
  mutable std::mutex mutex_;
  Tokens tokens_;  // the front was issued first
  std::unordered_map<KeyedHash, Tokens::iterator, KeyedHashHash> index_;
  std::unordered_map<std::string, std::size_t> of_user_;
};

}  // namespace sluice::service
