// core/url_namespace.cpp - copy, change, publish.
#include "core/url_namespace.hpp"

#include <algorithm>
#include <string>
#include <unordered_map>

#include "base/check.hpp"
#include "core/url_group.hpp"

namespace sluice::core {
namespace {

bool before(const UrlEntry& a, const UrlEntry& b) { return a.prefix < b.prefix; }

std::string quoted(const UrlPrefix& prefix) {
  const std::string text = prefix.text();  // g++ 12 warns of an insertion into a temporary
  return "\"" + text + "\"";
}

Error taken(const UrlEntry& entry, bool reserved) {
  return {Errc::already_exists, quoted(entry.prefix) + " is " +
                                    (reserved ? "reserved" : "registered") +
                                    " already; remove it there or choose another path"};
}

Error no_such(const UrlPrefix& prefix, std::string_view why) {
  return {Errc::no_such_prefix, quoted(prefix) + " is " + std::string(why)};
}

// What `added` says comes to `entry`, which has the same prefix.
Error join(UrlEntry& entry, const UrlEntry& added) {
  if (entry.reserved && added.reserved) return taken(entry, true);
  if (entry.registered() && added.registered()) return taken(entry, false);
  entry.reserved = true;  // one of the two was
  if (added.registered()) {
    entry.group = added.group;
    entry.context = added.context;
  }
  return {};
}

// A port belongs to one scheme, whoever uses it.
Error check_ports(const std::vector<UrlEntry>& entries, const std::vector<UrlEntry>& added) {
  std::unordered_map<std::uint16_t, UrlScheme> ports;
  for (const UrlEntry& entry : entries) ports.emplace(entry.prefix.port, entry.prefix.scheme);
  for (const UrlEntry& entry : added) {
    const auto [place, fresh] = ports.emplace(entry.prefix.port, entry.prefix.scheme);
    if (place->second == entry.prefix.scheme) continue;
    const bool http = place->second == UrlScheme::http;
    return {Errc::scheme_conflict, quoted(entry.prefix) + ": port " +
                                       std::to_string(entry.prefix.port) + " is used with " +
                                       (http ? "http" : "https") + "; choose another port"};
  }
  return {};
}

std::vector<UrlEntry>::const_iterator place_of(const std::vector<UrlEntry>& entries,
                                               const UrlPrefix& prefix) {
  const auto at =
      std::lower_bound(entries.begin(), entries.end(), prefix,
                       [](const UrlEntry& entry, const UrlPrefix& p) { return entry.prefix < p; });
  return at != entries.end() && at->prefix == prefix ? at : entries.end();
}

// `entries` without the registrations of `group`.
std::vector<UrlEntry> without_group(const std::vector<UrlEntry>& entries, std::uint32_t group) {
  std::vector<UrlEntry> left;
  left.reserve(entries.size());
  for (const UrlEntry& entry : entries) {
    if (entry.group != group) {
      left.push_back(entry);
    } else if (entry.reserved) {
      left.push_back({entry.prefix, true, UrlEntry::kNoGroup, 0});
    }
  }
  return left;
}

}  // namespace

UrlSnapshot::Target UrlSnapshot::find(const UrlRequest& request) const {
  Target target;
  const UrlMatch match = tree->find(request);
  target.entry = match.entry;
  target.ip_routed = match.ip_routed();
  switch (match.kind) {
    case UrlMatch::Kind::no_match:
      target.refused = Errc::host_not_served;
      break;
    case UrlMatch::Kind::reserved:
      target.refused = Errc::url_reserved;
      break;
    case UrlMatch::Kind::registered:
      target.group = groups[match.entry->group].get();
      target.refused = target.group->refusal();
      break;
  }
  return target;
}

UrlNamespace::UrlNamespace() {
  UrlSnapshot first;
  first.tree = std::make_shared<const UrlTree>();
  current_ = std::make_shared<const UrlSnapshot>(std::move(first));
}

std::shared_ptr<const UrlSnapshot> UrlNamespace::snapshot() const {
  std::lock_guard lock(mutex_);
  return current_;
}

void UrlNamespace::publish(Entries entries) {
  UrlSnapshot next;
  next.tree = std::make_shared<const UrlTree>(std::move(entries));
  next.groups = current_->groups;
  publish(std::move(next));
}

void UrlNamespace::publish(UrlSnapshot next) {
  next.generation = current_->generation + 1;
  current_ = std::make_shared<const UrlSnapshot>(std::move(next));
  generation_.store(current_->generation, std::memory_order_release);
}

// Both in order; what stands in both becomes one.
Result<void> UrlNamespace::merge(Entries added) {
  std::sort(added.begin(), added.end(), before);
  const Entries& old = current_->tree->entries();
  if (Error error = check_ports(old, added)) return error;
  Entries merged;
  merged.reserve(old.size() + added.size());
  auto left = old.begin();
  for (UrlEntry& entry : added) {
    for (; left != old.end() && left->prefix <= entry.prefix; ++left) merged.push_back(*left);
    if (!merged.empty() && merged.back().prefix == entry.prefix) {
      if (Error error = join(merged.back(), entry)) return error;
    } else {
      merged.push_back(std::move(entry));
    }
  }
  merged.insert(merged.end(), left, old.end());
  if (merged.size() > kMaxPrefixes) {
    return Error(Errc::too_many_prefixes, std::to_string(kMaxPrefixes) +
                                              " are possible; remove some, or register one that "
                                              "covers several");
  }
  publish(std::move(merged));
  return {};
}

Result<void> UrlNamespace::reserve(std::span<const UrlPrefix> prefixes) {
  Entries added;
  for (const UrlPrefix& prefix : prefixes) added.push_back({prefix, true, UrlEntry::kNoGroup, 0});
  std::lock_guard lock(mutex_);
  return merge(std::move(added));
}

Result<void> UrlNamespace::add(std::uint32_t group, std::span<const UrlRegistration> urls) {
  Entries added;
  for (const UrlRegistration& url : urls) added.push_back({url.prefix, false, group, url.context});
  std::lock_guard lock(mutex_);
  SLUICE_CHECK(group < current_->groups.size() && current_->groups[group]);
  return merge(std::move(added));
}

Result<void> UrlNamespace::remove_reservation(const UrlPrefix& prefix) {
  std::lock_guard lock(mutex_);
  Entries entries = current_->tree->entries();
  const auto at = place_of(entries, prefix);
  if (at == entries.end() || !at->reserved) return no_such(prefix, "not reserved");
  if (at->registered()) {
    entries[static_cast<std::size_t>(at - entries.begin())].reserved = false;
  } else {
    entries.erase(at);
  }
  publish(std::move(entries));
  return {};
}

Result<void> UrlNamespace::remove(std::uint32_t group, const UrlPrefix& prefix) {
  std::lock_guard lock(mutex_);
  Entries entries = current_->tree->entries();
  const auto at = place_of(entries, prefix);
  if (at == entries.end() || !at->registered()) return no_such(prefix, "not registered");
  if (at->group != group) return no_such(prefix, "registered by another URL group");
  if (at->reserved) {
    entries[static_cast<std::size_t>(at - entries.begin())] = {prefix, true, UrlEntry::kNoGroup, 0};
  } else {
    entries.erase(at);
  }
  publish(std::move(entries));
  return {};
}

std::size_t UrlNamespace::remove_all(std::uint32_t group) {
  std::lock_guard lock(mutex_);
  const Entries& old = current_->tree->entries();
  const auto count = static_cast<std::size_t>(std::count_if(
      old.begin(), old.end(), [&](const UrlEntry& entry) { return entry.group == group; }));
  if (count > 0) publish(without_group(old, group));
  return count;
}

Result<std::uint32_t> UrlNamespace::open_group(std::shared_ptr<const UrlGroupView> view) {
  std::lock_guard lock(mutex_);
  UrlSnapshot next = *current_;
  const auto free = std::find(next.groups.begin(), next.groups.end(), nullptr);
  const auto id = static_cast<std::uint32_t>(free - next.groups.begin());
  if (free != next.groups.end()) {
    *free = std::move(view);
  } else if (next.groups.size() == kMaxGroups) {
    return Error(Errc::too_many_prefixes,
                 "there are " + std::to_string(kMaxGroups) + " URL groups already; close some");
  } else {
    next.groups.push_back(std::move(view));
  }
  publish(std::move(next));
  return id;
}

void UrlNamespace::set_groups(std::span<const GroupChange> changes) {
  std::lock_guard lock(mutex_);
  UrlSnapshot next = *current_;
  for (const auto& [id, view] : changes) {
    SLUICE_CHECK(id < next.groups.size() && next.groups[id]);
    next.groups[id] = view;
  }
  publish(std::move(next));
}

void UrlNamespace::close_group(std::uint32_t group) {
  std::lock_guard lock(mutex_);
  UrlSnapshot next;
  next.tree = std::make_shared<const UrlTree>(without_group(current_->tree->entries(), group));
  next.groups = current_->groups;
  next.groups[group] = nullptr;
  while (!next.groups.empty() && !next.groups.back()) next.groups.pop_back();
  publish(std::move(next));
}

void UrlReader::refresh() {
  // A count of its own around the one that all readers share.
  auto held = std::make_shared<std::shared_ptr<const UrlSnapshot>>(urls_.snapshot());
  const UrlSnapshot* newest = held->get();
  mine_ = std::shared_ptr<const UrlSnapshot>(std::move(held), newest);
}

}  // namespace sluice::core
