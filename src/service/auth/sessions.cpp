// service/auth/sessions.cpp - see sessions.hpp.
//
// Layer: service. Thread: any.
#include "service/auth/sessions.hpp"

#include <array>
#include <iterator>

#include "crypto/base64.hpp"

namespace sluice::service {

void Sessions::drop(Tokens::iterator token) {
  const auto count = of_user_.find(token->user);
  if (--count->second == 0) of_user_.erase(count);
  index_.erase(token->hash);
  tokens_.erase(token);
}

void Sessions::drop_expired(base::Instant now) {
  while (!tokens_.empty() && tokens_.front().expires <= now) drop(tokens_.begin());
}

Result<std::string> Sessions::issue(std::string_view user, const core::Endpoint& peer,
                                    base::Instant now) {
  std::array<std::byte, kSessionTokenBits / 8> bytes;
  crypto::random_bytes(bytes);
  std::string token = crypto::base64url(bytes);
  crypto::wipe(bytes);
  const KeyedHash hash = key_(as_bytes(token));
  std::string name(user);

  const std::lock_guard lock(mutex_);
  drop_expired(now);
  const auto count = of_user_.find(name);
  if (tokens_.size() >= limits_.tokens ||
      (count != of_user_.end() && count->second >= limits_.tokens_per_user)) {
    return Errc::auth_busy;
  }
  ++of_user_[name];
  tokens_.push_back({hash, std::move(name), address_key(peer), now + limits_.ttl});
  index_.emplace(hash, std::prev(tokens_.end()));
  return token;
}

std::optional<std::string> Sessions::take(std::string_view token, const core::Endpoint& peer,
                                          base::Instant now) {
  if (token.size() != kSessionTokenChars) return std::nullopt;
  const KeyedHash hash = key_(as_bytes(token));
  const std::lock_guard lock(mutex_);
  drop_expired(now);
  const auto found = index_.find(hash);
  if (found == index_.end()) return std::nullopt;
  std::optional<std::string> user;
  if (found->second->address == address_key(peer)) user = found->second->user;
  drop(found->second);
  return user;
}

void Sessions::forget(std::string_view user) {
  const std::lock_guard lock(mutex_);
  for (auto token = tokens_.begin(); token != tokens_.end();) {
    const auto next = std::next(token);
    if (token->user == user) drop(token);
    token = next;
  }
}

std::size_t Sessions::size() const {
  const std::lock_guard lock(mutex_);
  return tokens_.size();
}

}  // namespace sluice::service
