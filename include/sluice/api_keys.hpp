// sluice/api_keys.hpp - API keys: issued, validated with each request, revoked, rotated, renewed.
//
// docs/reference/component.md section 6, docs/adr/0017. A manager is made by the application, given
// to one server or several (Server::api_key_manager), and works before start() and after stop(),
// too. Keys are validated behind authentication, from memory, on the shard. Refused, an upgrade
// too: 401 (no key, an unknown, mistyped, revoked or expired one), 403 (scope, address), 429 with
// Retry-After (the key's own rate), 503 (the store fails). Layer: public.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/error.hpp>
#include <sluice/export.hpp>
#include <sluice/result.hpp>

namespace sluice {

class Server;

// At once so many requests, then evenly so many in each period. 0 requests: no limit.
struct ApiKeyRate {
  std::uint32_t requests = 0;
  std::chrono::seconds period{60};
  friend bool operator==(const ApiKeyRate&, const ApiKeyRate&) = default;
};

// What is kept of a key: everything but the key.
struct ApiKey {
  using Time = std::chrono::sys_seconds;
  static constexpr Time kNever = Time::max();

  std::string id = {};      // what it is spoken of by; opens nothing
  std::string prefix = {};  // of its text
  std::string owner = {};
  std::vector<std::string> scopes = {};    // none: no more than what asks for no scope
  std::vector<std::string> networks = {};  // that it may be used from; none: all addresses
  ApiKeyRate rate = {};
  Time created = {};
  Time expires = kNever;
  Time revoked = kNever;
  std::string replaced_by = {};  // the id of the key that took its place
  Time grace_until = kNever;     // of a key that was replaced

  friend bool operator==(const ApiKey&, const ApiKey&) = default;
};

// The key that a request came with. Views live as long as the request's (see http_request.hpp), in
// an event until it returns.
struct ApiKeyIdentity {
  std::string_view id = {}, owner = {};
  std::span<const std::string> scopes = {};

  explicit operator bool() const { return !id.empty(); }
};

struct ApiKeyRequest {
  std::string owner = {};  // 1 to 255 bytes of UTF-8 without controls
  // Up to 32 of 1 to 64 letters, digits and . _ : / - each. A star may stand for all that follows:
  // alone, or at the end behind one of . : /
  std::vector<std::string> scopes = {};
  std::vector<std::string> networks = {};  // up to 32: "10.0.0.0/8", "2001:db8::/32", an address
  ApiKeyRate rate = {};
  ApiKey::Time expires = ApiKey::kNever;
  std::string prefix = "slk";  // of its text: 1 to 16 of a-z and 0-9, a letter first
};

// `text` is the key itself: seen here, and never again.
struct IssuedApiKey {
  ApiKey key = {};
  std::string text = {};
};

struct ApiKeyRotation {
  IssuedApiKey issued = {};
  ApiKey old = {};
};

// What happened to a key, by whom and when.
struct ApiKeyAuditEntry {
  ApiKey::Time time = {};
  std::string actor = {};   // who asked; up to 255 bytes of UTF-8 without controls
  std::string action = {};  // issue, revoke, rotate, renew
  std::string key = {};     // its id
  std::string detail = {};  // of a rotation the id of the new key, of a renewal until when
  friend bool operator==(const ApiKeyAuditEntry&, const ApiKeyAuditEntry&) = default;
};

// Told on the manager's thread what this manager did, not what other processes did; `validated` on
// the shard, with each request, so it must not wait. What they throw is dropped.
struct ApiKeyEvents {
  std::function<void(const ApiKey&)> on_issued = {};
  std::function<void(const ApiKeyIdentity&)> on_validated = {};
  std::function<void(const ApiKey&)> on_revoked = {};
  std::function<void(const ApiKey& old, const ApiKey& replacement)> on_rotated = {};
  // Its time, or its grace, is over: told once, by the first look at the store after.
  std::function<void(const ApiKey&)> on_expired = {};
  // The store fails: told once, until it works again.
  std::function<void(const Error&)> on_store_failed = {};
};

// Where a key is asked for.
struct ApiKeyPath {
  std::string prefix = "/";  // a document, and what lies below it
  std::string scope = {};    // that a key must have there; empty: any key will do

  friend bool operator==(const ApiKeyPath&, const ApiKeyPath&) = default;
};

struct ApiKeySettings {
  std::string header = "X-API-Key";          // the field that carries a key; empty: none does
  std::string query_parameter = "api_key";   // the same; its value is `***` in logs and properties
  bool required = true;                      // off: who has no key passes, a wrong one still fails
  std::vector<ApiKeyPath> paths = {};        // the longest prefix decides; empty: everything
  std::chrono::seconds grace{24 * 60 * 60};  // of a rotation that names none
  // A store that fails refuses every key. Off: the keys that are known go on working, and what was
  // revoked elsewhere meanwhile does, too.
  bool fail_closed = true;
  // How often the store is asked whether another process changed it. 10 ms to a day.
  std::chrono::milliseconds check_interval{1000};
  // Without an answer for so long the store counts as failing. At least twice check_interval.
  std::chrono::milliseconds stale_after{10'000};
  ApiKeyEvents events = {};
};

// A store of your own. Called by one thread at a time, the manager's or the one that makes it;
// every call may wait. A change is done, whole and for good, when its call returns, or it failed
// and nothing is changed. What it throws counts as Errc::io_failed.
class SLUICE_API ApiKeyStore {
 public:
  struct Record {
    ApiKey key = {};
    std::array<std::byte, 32> hash = {};  // of its text: no two records have the same
  };
  struct Edited {
    Record record = {};
    std::optional<Record> replacement = {};
  };
  // Judges and changes a record; with a second one, that is to be added. An error: nothing is kept.
  using Edit = std::function<Result<void>(Record& record, std::optional<Record>& replacement)>;

  virtual ~ApiKeyStore();
  // What keys are hashed with, for as long as the records live: 32 bytes or more.
  virtual Result<std::string> secret() = 0;
  // Errors: invalid_argument (the id or the hash is there), too_many_keys.
  virtual Result<void> add(const Record& record, const ApiKeyAuditEntry& entry) = 0;
  // Reads a record, lets `edit` change it, and keeps both; nobody else changes it meanwhile. With a
  // replacement, entry.detail is its id if it was empty. Errors: no_such_key, that of `edit`, those
  // of add().
  virtual Result<Edited> edit(std::string_view id, const Edit& edit,
                              const ApiKeyAuditEntry& entry) = 0;
  // Every record, in the order in which they were added.
  virtual Result<std::vector<Record>> all() = 0;
  // The newest entries, the newest first.
  virtual Result<std::vector<ApiKeyAuditEntry>> audit(std::size_t most) = 0;
  // Another number after somebody else has changed something. Cheap: asked each check_interval.
  virtual Result<std::uint64_t> version() = 0;
};

// Thread: any. Without `done` a method waits for the store, and answers Errc::would_deadlock on a
// thread of a server, of its pool, or of this manager. With it, it returns at once, and `done` is
// told once on the manager's thread; what it throws is dropped. `actor` is who asks, for the audit;
// empty: "application". Errors of all: keys_unavailable, cancelled (it goes), those of the store.
class SLUICE_API ApiKeyManager {
 public:
  template <class T>
  using Done = std::function<void(Result<T>)>;

  // Keys that go with the process. Errors: bad_setting.
  static Result<std::shared_ptr<ApiKeyManager>> memory(ApiKeySettings settings = {});
  // A file that is made if there is none, with its secret in `secret_file` (empty: FILE.secret),
  // both of mode 0600. Other processes (`sluice keys`) may use it, too. Errors name the file and
  // what to do: bad_setting, not_found, permission_denied, not_regular_file, timed_out, io_failed.
  static Result<std::shared_ptr<ApiKeyManager>> sqlite(const std::string& file,
                                                       ApiKeySettings settings = {},
                                                       const std::string& secret_file = {});
  static Result<std::shared_ptr<ApiKeyManager>> custom(std::unique_ptr<ApiKeyStore> store,
                                                       ApiKeySettings settings = {});
  // What has not begun is cancelled; waits for what runs. Not from an event or a Done.
  ~ApiKeyManager();
  ApiKeyManager(const ApiKeyManager&) = delete;
  ApiKeyManager& operator=(const ApiKeyManager&) = delete;

  // invalid_argument: what is wrong with the request; too_many_keys.
  Result<IssuedApiKey> issue(const ApiKeyRequest& request, std::string_view actor = {});
  void issue(const ApiKeyRequest& request, std::string_view actor, Done<IssuedApiKey> done);
  // From the next request on. A second time changes nothing. no_such_key.
  Result<ApiKey> revoke(std::string_view id, std::string_view actor = {});
  void revoke(std::string_view id, std::string_view actor, Done<ApiKey> done);
  // A new key with the same owner, scopes, networks, rate and span of life. The old one goes on for
  // `grace` (none: that of the settings), but not longer than it would have. no_such_key,
  // key_revoked, key_expired; invalid_argument: it was replaced already, or a grace below zero.
  Result<ApiKeyRotation> rotate(std::string_view id, std::string_view actor = {},
                                std::optional<std::chrono::seconds> grace = {});
  void rotate(std::string_view id, std::string_view actor,
              std::optional<std::chrono::seconds> grace, Done<ApiKeyRotation> done);
  // A later end, also for a key that has expired. no_such_key, key_revoked; invalid_argument: in
  // the past, or it was replaced.
  Result<ApiKey> renew(std::string_view id, ApiKey::Time expires, std::string_view actor = {});
  void renew(std::string_view id, ApiKey::Time expires, std::string_view actor, Done<ApiKey> done);
  // As the store has them; of one owner, if one is named.
  Result<std::vector<ApiKey>> list(std::string_view owner = {});
  void list(std::string_view owner, Done<std::vector<ApiKey>> done);
  // The newest entries, the newest first.
  Result<std::vector<ApiKeyAuditEntry>> audit(std::size_t most = 100);
  void audit(std::size_t most, Done<std::vector<ApiKeyAuditEntry>> done);

  // Whether the store failed when it was last asked.
  bool is_failing() const;
  // Keys that are known, also those that have ended.
  std::size_t size() const;

 private:
  friend class Server;
  struct Impl;
  explicit ApiKeyManager(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace sluice
