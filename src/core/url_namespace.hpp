// core/url_namespace.hpp - what is registered and reserved, and the picture of it that shards read.
//
// A change makes a new picture; nothing is ever changed in one (docs/adr, 15). Layer: core.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include <sluice/result.hpp>

#include "core/url_tree.hpp"

namespace sluice::core {

struct UrlGroupView;

// One state of the namespace, whole. Immutable; read by any number of threads.
struct UrlSnapshot {
  struct Target {
    // none, or why the request is rejected: host_not_served (400), url_reserved (503),
    // group_inactive (503), no_queue (503).
    Errc refused = Errc::none;
    const UrlEntry* entry = nullptr;      // null with host_not_served
    const UrlGroupView* group = nullptr;  // null with host_not_served and url_reserved
    bool ip_routed = false;
  };
  // Views live as long as the snapshot. Allocates nothing.
  Target find(const UrlRequest& request) const;

  std::uint64_t generation = 0;
  std::shared_ptr<const UrlTree> tree;                      // entries are in order
  std::vector<std::shared_ptr<const UrlGroupView>> groups;  // by UrlEntry::group; null: closed
};

struct UrlRegistration {
  UrlPrefix prefix;
  std::uint64_t context = 0;  // the application's; comes back with every request
};

// Thread: any. Each change takes a lock and time in proportion to the number of prefixes (several
// are added at once for the price of one), and is done whole or not at all, also when it throws
// std::bad_alloc. Readers never wait for it.
class UrlNamespace {
 public:
  static constexpr std::size_t kMaxPrefixes = 65'536;  // registered or reserved
  static constexpr std::size_t kMaxGroups = 65'536;

  UrlNamespace();
  UrlNamespace(const UrlNamespace&) = delete;
  UrlNamespace& operator=(const UrlNamespace&) = delete;

  // Errors of both, each in words: already_exists; scheme_conflict; too_many_prefixes. A prefix can
  // be reserved and registered. Who may do what is not asked here.
  Result<void> reserve(std::span<const UrlPrefix> prefixes);
  Result<void> add(std::uint32_t group, std::span<const UrlRegistration> urls);
  // Errors: no_such_prefix, also when another group has registered it.
  Result<void> remove_reservation(const UrlPrefix& prefix);
  Result<void> remove(std::uint32_t group, const UrlPrefix& prefix);
  std::size_t remove_all(std::uint32_t group);  // how many there were

  // A place for a group. Errors: too_many_prefixes.
  Result<std::uint32_t> open_group(std::shared_ptr<const UrlGroupView> view);
  using GroupChange = std::pair<std::uint32_t, std::shared_ptr<const UrlGroupView>>;
  void set_groups(std::span<const GroupChange> changes);  // all become visible at once
  void close_group(std::uint32_t group);                  // with all its prefixes

  std::shared_ptr<const UrlSnapshot> snapshot() const;
  // Of the newest snapshot.
  std::uint64_t generation() const { return generation_.load(std::memory_order_acquire); }

 private:
  using Entries = std::vector<UrlEntry>;
  Result<void> merge(Entries added);
  // With the lock held.
  void publish(Entries entries);
  void publish(UrlSnapshot next);

  mutable std::mutex mutex_;
  std::shared_ptr<const UrlSnapshot> current_;
  std::atomic<std::uint64_t> generation_{0};
};

// A shard's way to the newest snapshot. Thread: the shard's alone. `urls` outlives it.
class UrlReader {
 public:
  explicit UrlReader(const UrlNamespace& urls) : urls_(urls) { refresh(); }

  // Costs one load while nothing has changed. Copies of it are counted apart for each reader, so
  // that an exchange may keep one without touching what another shard counts. After a change it
  // takes a lock for a moment, and may throw std::bad_alloc.
  const std::shared_ptr<const UrlSnapshot>& current() {
    if (urls_.generation() != mine_->generation) refresh();
    return mine_;
  }

 private:
  void refresh();
  const UrlNamespace& urls_;
  std::shared_ptr<const UrlSnapshot> mine_;
};

}  // namespace sluice::core
