// core/url_group.hpp - URL groups: prefixes with one set of properties and one request queue.
//
// docs/reference/http-server-api.md, sections 1.1, 1.7 and 1.8. Properties are inherited: machine <
// server session < URL group. Layer: core. Thread: any, but for what says otherwise; a change is
// seen by a shard with its next request.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include <sluice/result.hpp>
#include <sluice/settings.hpp>

#include "core/request_queue.hpp"
#include "core/url_namespace.hpp"

namespace sluice::core {

class Bandwidth;

// Of bandwidth and connections. Where a server session has a limit, a group says with it that it
// has none.
inline constexpr std::uint64_t kNoLimit = ~std::uint64_t{0};

// The properties in force: those of the machine, where nobody said anything else.
struct UrlSettings {
  std::size_t head_bytes = Limits().head_bytes;
  std::uint64_t body_bytes = Limits().body_bytes;
  std::uint64_t message_bytes = Limits().message_bytes;
  // Zero: that timer is off.
  std::chrono::milliseconds header_wait = Timeouts().header_wait;
  std::chrono::milliseconds entity_body = Timeouts().entity_body;
  std::chrono::milliseconds drain_entity_body = Timeouts().drain_entity_body;
  std::chrono::milliseconds request_queue = Timeouts().request_queue;
  std::chrono::milliseconds idle_connection = Timeouts().idle_connection;
  std::uint32_t min_send_rate = Timeouts().min_send_rate;  // bytes per second
  std::uint64_t bandwidth = kNoLimit;                      // bytes per second, outwards
  std::uint64_t connections = kNoLimit;                    // of each group, counted by itself
  std::shared_ptr<const void> authentication;              // null: none

  friend bool operator==(const UrlSettings&, const UrlSettings&) = default;
};

// What a server session or a URL group says itself. Absent: inherited.
struct UrlProperties {
  std::optional<std::size_t> head_bytes;
  std::optional<std::uint64_t> body_bytes;
  std::optional<std::uint64_t> message_bytes;
  std::optional<std::chrono::milliseconds> header_wait;
  std::optional<std::chrono::milliseconds> entity_body;
  std::optional<std::chrono::milliseconds> drain_entity_body;
  std::optional<std::chrono::milliseconds> request_queue;
  std::optional<std::chrono::milliseconds> idle_connection;
  std::optional<std::uint32_t> min_send_rate;
  std::optional<std::uint64_t> bandwidth;
  std::optional<std::uint64_t> connections;
  std::optional<std::shared_ptr<const void>> authentication;

  friend bool operator==(const UrlProperties&, const UrlProperties&) = default;
};

UrlSettings inherit(UrlSettings above, const UrlProperties& own);
// Errors: bad_setting, with the property's name.
Result<void> check(const UrlProperties& properties);

// What changes with every connection, and so is shared by all views of a group.
class UrlConnections {
 public:
  // False: `limit` is reached, and nothing was counted (503, reason ConnLimit).
  bool enter(std::uint64_t limit);
  void leave();  // once for each that entered
  std::uint64_t open() const { return open_.load(std::memory_order_relaxed); }

  // The group has gone, though there was no memory to take its URLs away with it.
  void orphan() { orphaned_.store(true, std::memory_order_release); }
  bool orphaned() const { return orphaned_.load(std::memory_order_acquire); }

 private:
  std::atomic<std::uint64_t> open_{0};
  std::atomic<bool> orphaned_{false};
};

// A group as shards see it. Immutable.
struct UrlGroupView {
  UrlSettings settings;
  bool active = true;  // the group and its server session
  std::shared_ptr<RequestQueue> queue;
  std::shared_ptr<UrlConnections> connections;
  std::shared_ptr<Bandwidth> bandwidth;     // its own; null: none
  std::uint64_t message_bytes = 0;          // its own; 0: inherited
  std::optional<std::uint64_t> body_bytes;  // its own; else inherited

  // Why no request is taken now; none: `queue` decides.
  Errc refusal() const {
    if (!active) return Errc::group_inactive;
    return queue && !connections->orphaned() ? Errc::none : Errc::no_queue;
  }
  bool enter_connection() const { return connections->enter(settings.connections); }
};

class UrlGroup;

// What a server session is to its URL groups: it gives them what they do not set themselves.
class UrlSession {
 public:
  explicit UrlSession(std::shared_ptr<UrlNamespace> urls, UrlSettings machine = {})
      : urls_(std::move(urls)), machine_(std::move(machine)) {}
  // Its groups have gone before: each holds it.
  ~UrlSession();
  UrlSession(const UrlSession&) = delete;
  UrlSession& operator=(const UrlSession&) = delete;

  // Replaces what was set before. All groups change at once. Errors: see check().
  Result<void> set(UrlProperties properties);
  UrlProperties properties() const;
  UrlSettings settings() const;  // in force where no group says anything else

  // While it is inactive, so are its groups: requests get 503, reason Disabled.
  void set_active(bool active);
  bool active() const;

 private:
  friend class UrlGroup;
  // With the lock held.
  void publish(const UrlProperties& properties, bool active);

  const std::shared_ptr<UrlNamespace> urls_;
  const UrlSettings machine_;
  mutable std::mutex mutex_;  // guards what follows, and what its groups hold; taken before urls_'s
  UrlProperties properties_;
  bool active_ = true;
  std::vector<UrlGroup*> groups_;
};

// Its owner opens it, and closes it by destroying it: then its URLs are removed (or, if there is no
// memory for that, get 503 until the namespace goes).
class UrlGroup {
 public:
  // Errors: too_many_prefixes, when there are UrlNamespace::kMaxGroups.
  static Result<std::unique_ptr<UrlGroup>> open(std::shared_ptr<UrlSession> session);
  ~UrlGroup();
  UrlGroup(const UrlGroup&) = delete;
  UrlGroup& operator=(const UrlGroup&) = delete;

  // Errors: bad_prefix, already_exists, scheme_conflict, too_many_prefixes, each in words. Several
  // are added all or none, and faster than one by one.
  Result<void> add_url(std::string_view prefix, std::uint64_t context = 0);
  Result<void> add_urls(std::span<const UrlRegistration> urls);
  // Errors: bad_prefix; no_such_prefix, when this group has not registered it.
  Result<void> remove_url(std::string_view prefix);
  std::size_t remove_all_urls();  // how many there were
  std::vector<UrlRegistration> urls() const;

  // Replaces what was set before. Errors: see check().
  Result<void> set(UrlProperties properties);
  UrlProperties properties() const;
  UrlSettings settings() const;  // in force

  void set_active(bool active);
  bool active() const;  // by itself, whatever its session is

  // Where its requests go from now on. Null: nowhere, they get 503.
  void bind(std::shared_ptr<RequestQueue> queue);
  std::shared_ptr<RequestQueue> queue() const;

  std::uint64_t open_connections() const { return connections_->open(); }
  std::uint32_t id() const { return id_; }  // UrlEntry::group

 private:
  friend class UrlSession;
  // What it says itself.
  struct Own {
    UrlProperties properties;
    bool active = true;
    std::shared_ptr<RequestQueue> queue;
  };
  explicit UrlGroup(std::shared_ptr<UrlSession> session);
  // With the session's lock held.
  std::shared_ptr<const UrlGroupView> view(const Own& own, const UrlSettings& above,
                                           bool session_active) const;
  void publish(Own own);

  const std::shared_ptr<UrlSession> session_;
  const std::shared_ptr<UrlConnections> connections_;
  std::uint32_t id_ = UrlEntry::kNoGroup;
  Own own_;
  // Of its own bandwidth; the same through all changes, so that nothing is forgiven.
  std::shared_ptr<Bandwidth> bandwidth_;
};

}  // namespace sluice::core
