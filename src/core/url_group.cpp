// core/url_group.cpp - who inherits what from whom.
#include "core/url_group.hpp"

#include <algorithm>
#include <new>
#include <string>
#include <utility>

#include "base/check.hpp"
#include "core/bandwidth.hpp"

namespace sluice::core {
namespace {

template <class T>
void take(T& setting, const std::optional<T>& own) {
  if (own) setting = *own;
}

Error bad(std::string_view name, std::string_view why) {
  return {Errc::bad_setting, std::string(name) + " " + std::string(why)};
}

}  // namespace

UrlSettings inherit(UrlSettings above, const UrlProperties& own) {
  take(above.head_bytes, own.head_bytes);
  take(above.body_bytes, own.body_bytes);
  take(above.message_bytes, own.message_bytes);
  take(above.header_wait, own.header_wait);
  take(above.entity_body, own.entity_body);
  take(above.drain_entity_body, own.drain_entity_body);
  take(above.request_queue, own.request_queue);
  take(above.idle_connection, own.idle_connection);
  take(above.min_send_rate, own.min_send_rate);
  take(above.bandwidth, own.bandwidth);
  take(above.connections, own.connections);
  take(above.authentication, own.authentication);
  return above;
}

Result<void> check(const UrlProperties& properties) {
  const std::pair<std::string_view, std::optional<std::chrono::milliseconds>> timers[] = {
      {"header_wait", properties.header_wait},
      {"entity_body", properties.entity_body},
      {"drain_entity_body", properties.drain_entity_body},
      {"request_queue", properties.request_queue},
      {"idle_connection", properties.idle_connection},
  };
  for (const auto& [name, time] : timers) {
    if (time && time->count() < 0) return bad(name, "must not be negative; zero switches it off");
  }
  if (properties.head_bytes && *properties.head_bytes == 0)
    return bad("head_bytes", "must be at least 1");
  if (properties.message_bytes && *properties.message_bytes == 0)
    return bad("message_bytes", "must be at least 1");
  if (properties.bandwidth && *properties.bandwidth == 0)
    return bad("bandwidth", "must be at least 1 byte per second");
  if (properties.connections && *properties.connections == 0)
    return bad("connections", "must be at least 1; to refuse all, make the group inactive");
  return {};
}

// --- Connections ---------------------------------------------------------------------------------

bool UrlConnections::enter(std::uint64_t limit) {
  std::uint64_t now = open_.load(std::memory_order_relaxed);
  do {
    if (now >= limit) return false;
  } while (!open_.compare_exchange_weak(now, now + 1, std::memory_order_relaxed));
  return true;
}

void UrlConnections::leave() {
  const std::uint64_t before = open_.fetch_sub(1, std::memory_order_relaxed);
  SLUICE_CHECK(before > 0);
}

// --- The server session --------------------------------------------------------------------------

UrlSession::~UrlSession() { SLUICE_CHECK(groups_.empty()); }

void UrlSession::publish(const UrlProperties& properties, bool active) {
  const UrlSettings settings = inherit(machine_, properties);
  std::vector<UrlNamespace::GroupChange> changes;
  for (const UrlGroup* group : groups_)
    changes.emplace_back(group->id_, group->view(group->own_, settings, active));
  if (!changes.empty()) urls_->set_groups(changes);
}

Result<void> UrlSession::set(UrlProperties properties) {
  if (auto checked = check(properties); !checked) return checked;
  std::lock_guard lock(mutex_);
  publish(properties, active_);
  properties_ = std::move(properties);
  return {};
}

UrlProperties UrlSession::properties() const {
  std::lock_guard lock(mutex_);
  return properties_;
}

UrlSettings UrlSession::settings() const {
  std::lock_guard lock(mutex_);
  return inherit(machine_, properties_);
}

void UrlSession::set_active(bool active) {
  std::lock_guard lock(mutex_);
  publish(properties_, active);
  active_ = active;
}

bool UrlSession::active() const {
  std::lock_guard lock(mutex_);
  return active_;
}

// --- The group -----------------------------------------------------------------------------------

UrlGroup::UrlGroup(std::shared_ptr<UrlSession> session)
    : session_(std::move(session)), connections_(std::make_shared<UrlConnections>()) {}

Result<std::unique_ptr<UrlGroup>> UrlGroup::open(std::shared_ptr<UrlSession> session) {
  std::unique_ptr<UrlGroup> group(new UrlGroup(std::move(session)));
  UrlSession& above = *group->session_;
  std::lock_guard lock(above.mutex_);
  above.groups_.reserve(above.groups_.size() + 1);
  auto id = above.urls_->open_group(
      group->view(group->own_, inherit(above.machine_, above.properties_), above.active_));
  if (!id) return id.error();
  group->id_ = *id;
  above.groups_.push_back(group.get());
  return group;
}

UrlGroup::~UrlGroup() {
  if (id_ == UrlEntry::kNoGroup) return;  // it was never opened
  std::lock_guard lock(session_->mutex_);
  std::erase(session_->groups_, this);
  try {
    session_->urls_->close_group(id_);
  } catch (const std::bad_alloc&) {
    connections_->orphan();
  }
}

std::shared_ptr<const UrlGroupView> UrlGroup::view(const Own& own, const UrlSettings& above,
                                                   bool session_active) const {
  auto made = std::make_shared<UrlGroupView>();
  made->settings = inherit(above, own.properties);
  made->active = session_active && own.active;
  made->queue = own.queue;
  made->connections = connections_;
  if (own.properties.bandwidth.value_or(kNoLimit) != kNoLimit) made->bandwidth = bandwidth_;
  made->message_bytes = own.properties.message_bytes.value_or(0);
  made->body_bytes = own.properties.body_bytes;
  return made;
}

void UrlGroup::publish(Own own) {
  const UrlSettings above = inherit(session_->machine_, session_->properties_);
  const UrlNamespace::GroupChange change(id_, view(own, above, session_->active_));
  session_->urls_->set_groups({&change, 1});
  own_ = std::move(own);
}

Result<void> UrlGroup::add_url(std::string_view prefix, std::uint64_t context) {
  auto parsed = parse_url_prefix(prefix);
  if (!parsed) return parsed.error();
  const UrlRegistration url{std::move(*parsed), context};
  return add_urls({&url, 1});
}

Result<void> UrlGroup::add_urls(std::span<const UrlRegistration> urls) {
  return session_->urls_->add(id_, urls);
}

Result<void> UrlGroup::remove_url(std::string_view prefix) {
  auto parsed = parse_url_prefix(prefix);
  if (!parsed) return parsed.error();
  return session_->urls_->remove(id_, *parsed);
}

std::size_t UrlGroup::remove_all_urls() { return session_->urls_->remove_all(id_); }

std::vector<UrlRegistration> UrlGroup::urls() const {
  std::vector<UrlRegistration> urls;
  for (const UrlEntry& entry : session_->urls_->snapshot()->tree->entries()) {
    if (entry.group == id_) urls.push_back({entry.prefix, entry.context});
  }
  return urls;
}

Result<void> UrlGroup::set(UrlProperties properties) {
  if (auto checked = check(properties); !checked) return checked;
  std::lock_guard lock(session_->mutex_);
  const std::uint64_t rate = properties.bandwidth.value_or(kNoLimit);
  if (rate != kNoLimit && !bandwidth_) bandwidth_ = std::make_shared<Bandwidth>(rate);
  Own own = own_;
  own.properties = std::move(properties);
  publish(std::move(own));
  // Without one, who has come under it before is let go.
  if (bandwidth_) bandwidth_->set_rate(std::min(rate, Bandwidth::kMost));
  return {};
}

UrlProperties UrlGroup::properties() const {
  std::lock_guard lock(session_->mutex_);
  return own_.properties;
}

UrlSettings UrlGroup::settings() const {
  std::lock_guard lock(session_->mutex_);
  return inherit(inherit(session_->machine_, session_->properties_), own_.properties);
}

void UrlGroup::set_active(bool active) {
  std::lock_guard lock(session_->mutex_);
  Own own = own_;
  own.active = active;
  publish(std::move(own));
}

bool UrlGroup::active() const {
  std::lock_guard lock(session_->mutex_);
  return own_.active;
}

void UrlGroup::bind(std::shared_ptr<RequestQueue> queue) {
  std::lock_guard lock(session_->mutex_);
  Own own = own_;
  own.queue = std::move(queue);
  publish(std::move(own));
}

std::shared_ptr<RequestQueue> UrlGroup::queue() const {
  std::lock_guard lock(session_->mutex_);
  return own_.queue;
}

}  // namespace sluice::core
