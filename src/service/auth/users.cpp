// service/auth/users.cpp - see users.hpp.
//
// Layer: service. Thread: any.
#include "service/auth/users.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <iterator>

#include "crypto/digest.hpp"
#include "crypto/hmac.hpp"
#include "crypto/password.hpp"
#include "crypto/secret.hpp"
#include "proto/auth/challenge.hpp"
#include "proto/auth/credentials.hpp"
#include "proto/auth/digest.hpp"
#include "service/auth/secret_file.hpp"

namespace sluice::service {
namespace {

// So many users' hashes stand in for those of unknown names.
constexpr std::size_t kStandIns = 64;

std::uint64_t next_version() {
  static std::atomic<std::uint64_t> last{0};
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

// Why it cannot be added; empty when it can.
std::string user_problem(std::string_view name, std::string_view hash) {
  if (!is_file_user(name)) return kBadUserName;
  if (!crypto::is_password_hash(hash)) {
    return "the hash must be yescrypt ($y$), SHA-crypt ($5$, $6$) or argon2id ($argon2id$)";
  }
  return {};
}

std::string digest_key(std::string_view name, std::string_view realm, std::string_view algorithm) {
  std::string key(name);
  return key.append(":").append(realm).append(":").append(algorithm);
}

std::string digest_problem(std::string_view name, std::string_view realm,
                           std::string_view algorithm, std::string_view ha1) {
  if (!is_file_user(name)) return kBadUserName;
  if (!auth::is_realm(realm)) return "a realm has 1 to 255 bytes of UTF-8 without controls";
  const auto known = auth::digest_algorithm(algorithm);
  if (!known || algorithm != auth::name_of(*known)) return "the algorithm is SHA-256 or MD5";
  if (!auth::is_digest_hex(*known, ha1)) return "this is no HA1 of that algorithm";
  return {};
}

// user:realm:algorithm:ha1, where the realm may have colons.
struct DigestLine {
  std::string_view name, realm, algorithm, ha1;
};
bool split(std::string_view line, DigestLine& parts) {
  const std::size_t first = line.find(':'), last = line.rfind(':');
  if (first == std::string_view::npos || last <= first) return false;
  const std::size_t before = line.rfind(':', last - 1);
  if (before <= first) return false;
  parts = {line.substr(0, first), line.substr(first + 1, before - first - 1),
           line.substr(before + 1, last - before - 1), line.substr(last + 1)};
  return true;
}

}  // namespace

bool is_file_user(std::string_view name) {
  return auth::is_user_name(name) && name.find(':') == std::string_view::npos &&
         !name.starts_with('#');
}

Users::Users() : key_() {
  crypto::random_bytes(key_);
  crypto::nobody_hash();  // made now: find() may be asked on a shard
}

void Users::put(std::string_view name, std::string_view hash) {
  users_.insert_or_assign(std::string(name), User{std::string(hash), next_version()});
}

Result<void> Users::add(std::string_view name, std::string_view hash) {
  if (std::string wrong = user_problem(name, hash); !wrong.empty()) {
    return Error(Errc::bad_setting, std::move(wrong));
  }
  const std::lock_guard lock(mutex_);
  put(name, hash);
  return {};
}

bool Users::remove(std::string_view name) {
  const std::lock_guard lock(mutex_);
  const auto found = users_.find(name);
  if (found == users_.end()) return false;
  users_.erase(found);
  return true;
}

Result<void> Users::load(const std::string& file) {
  std::map<std::string, std::string, std::less<>> read;
  const auto line = [&read](std::string_view text) -> std::string {
    const std::size_t colon = text.find(':');
    if (colon == std::string_view::npos) return "a line is NAME:HASH";
    const std::string_view name = text.substr(0, colon), hash = text.substr(colon + 1);
    std::string wrong = user_problem(name, hash);
    if (wrong.empty() && !read.try_emplace(std::string(name), hash).second) {
      wrong = "this user has a line already";
    }
    return wrong;
  };
  if (auto done = read_secret_file(file, FileMode::any, line); !done) return done;
  const std::lock_guard lock(mutex_);
  for (const auto& [name, hash] : read) {
    const auto known = users_.find(name);
    if (known == users_.end() || known->second.hash != hash) put(name, hash);
  }
  return {};
}

void Users::assign(const Users& other) {
  std::map<std::string, User, std::less<>> next;
  {
    const std::lock_guard lock(other.mutex_);
    next = other.users_;
  }
  const std::lock_guard lock(mutex_);
  for (auto& [name, user] : next) {
    const auto before = users_.find(name);
    const bool same = before != users_.end() && before->second.hash == user.hash;
    user.version = same ? before->second.version : next_version();
  }
  users_.swap(next);
}

Users::Entry Users::find(std::string_view name) const {
  // Worked out for a known name as well: both take the same steps.
  std::uint64_t choice = 0;
  const auto keyed = crypto::hmac_sha256(key_, as_bytes(name));
  std::memcpy(&choice, keyed.data(), sizeof choice);
  const std::lock_guard lock(mutex_);
  if (users_.empty()) return {false, std::string(crypto::nobody_hash()), 0};
  const std::size_t among = std::min<std::size_t>(users_.size(), kStandIns);
  const auto stand_in = std::next(users_.begin(), static_cast<std::ptrdiff_t>(choice % among));
  const auto found = users_.find(name);
  if (found == users_.end()) return {false, stand_in->second.hash, 0};
  return {true, found->second.hash, found->second.version};
}

std::uint64_t Users::version(std::string_view name) const {
  const std::lock_guard lock(mutex_);
  const auto found = users_.find(name);
  return found == users_.end() ? 0 : found->second.version;
}

std::size_t Users::size() const {
  const std::lock_guard lock(mutex_);
  return users_.size();
}

DigestUsers::~DigestUsers() {
  for (auto& [key, ha1] : ha1_) crypto::wipe(ha1);
}

Result<void> DigestUsers::add(std::string_view name, std::string_view realm,
                              std::string_view algorithm, std::string_view ha1) {
  if (std::string wrong = digest_problem(name, realm, algorithm, ha1); !wrong.empty()) {
    return Error(Errc::bad_setting, std::move(wrong));
  }
  const std::lock_guard lock(mutex_);
  std::string& kept = ha1_[digest_key(name, realm, algorithm)];
  crypto::wipe(kept);
  kept = ha1;
  return {};
}

bool DigestUsers::remove(std::string_view name, std::string_view realm,
                         std::string_view algorithm) {
  const std::lock_guard lock(mutex_);
  const auto found = ha1_.find(digest_key(name, realm, algorithm));
  if (found == ha1_.end()) return false;
  crypto::wipe(found->second);
  ha1_.erase(found);
  return true;
}

Result<void> DigestUsers::load(const std::string& file) {
  DigestUsers read;
  const auto line = [&read](std::string_view text) -> std::string {
    DigestLine parts;
    if (!split(text, parts)) return "a line is USER:REALM:ALGORITHM:HA1";
    if (read.ha1_.contains(digest_key(parts.name, parts.realm, parts.algorithm))) {
      return "this user has a line for this realm and algorithm already";
    }
    return read.add(parts.name, parts.realm, parts.algorithm, parts.ha1).error().detail;
  };
  if (auto done = read_secret_file(file, FileMode::owner_only, line); !done) return done;
  const std::lock_guard lock(mutex_);
  for (auto& [key, ha1] : read.ha1_) {
    std::string& kept = ha1_[key];
    crypto::wipe(kept);
    kept = ha1;
  }
  return {};
}

void DigestUsers::assign(const DigestUsers& other) {
  DigestUsers next;  // wipes what was there before
  {
    const std::lock_guard lock(other.mutex_);
    next.ha1_ = other.ha1_;
  }
  const std::lock_guard lock(mutex_);
  ha1_.swap(next.ha1_);
}

DigestUsers::Entry DigestUsers::find(std::string_view name, std::string_view realm,
                                     std::string_view algorithm) const {
  const std::lock_guard lock(mutex_);
  const auto found = ha1_.find(digest_key(name, realm, algorithm));
  if (found != ha1_.end()) return {true, found->second};
  const auto known = auth::digest_algorithm(algorithm);
  return {false, std::string(known ? auth::hex_size(*known) : 0, '0')};
}

std::size_t DigestUsers::size() const {
  const std::lock_guard lock(mutex_);
  return ha1_.size();
}

}  // namespace sluice::service
