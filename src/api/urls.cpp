// api/urls.cpp - from settings to URL groups.
#include "api/urls.hpp"

#include <utility>

namespace sluice::api {
namespace {

const UrlGroupOptions kNothing;  // said by whoever is not named

core::UrlProperties properties_of(const UrlGroupOptions& options) {
  core::UrlProperties own;
  if (options.connections) own.connections = *options.connections;
  if (options.body_bytes) own.body_bytes = *options.body_bytes;
  own.bandwidth = options.bandwidth;
  own.message_bytes = options.message_bytes;
  if (options.head_bytes) own.head_bytes = std::size_t(*options.head_bytes);
  own.entity_body = options.entity_body;
  own.request_queue = options.request_queue;
  own.idle_connection = options.idle_connection;
  return own;
}

}  // namespace

core::UrlProperties url_properties(const Limits& limits, const Timeouts& timeouts) {
  core::UrlProperties own;
  own.head_bytes = limits.head_bytes;
  own.body_bytes = limits.body_bytes;
  own.message_bytes = limits.message_bytes;
  own.header_wait = timeouts.header_wait;
  own.entity_body = timeouts.entity_body;
  own.drain_entity_body = timeouts.drain_entity_body;
  own.request_queue = timeouts.request_queue;
  own.idle_connection = timeouts.idle_connection;
  own.min_send_rate = timeouts.min_send_rate;
  return own;
}

Result<void> check_groups(const UrlGroupMap& groups, const Limits& limits) {
  for (const auto& [name, options] : groups) {
    const std::string group = "url_groups[\"" + name + "\"].";
    if (name.empty()) {
      return Error(Errc::bad_setting,
                   "url_groups[\"\"] is the server's own; set limits and timeouts instead");
    }
    if (auto checked = core::check(properties_of(options)); !checked) {
      return Error(Errc::bad_setting, group + checked.error().detail);
    }
    if (options.bandwidth && *options.bandwidth < kLeastBandwidth) {
      return Error(Errc::bad_setting, group + "bandwidth must be at least 1,024 bytes per second");
    }
    if (options.message_bytes && *options.message_bytes > kMostMessageBytes) {
      return Error(Errc::bad_setting, group + "message_bytes must be below 4 GiB");
    }
    if (options.head_bytes && *options.head_bytes > limits.head_bytes) {
      return Error(Errc::bad_setting, group + "head_bytes must be at most limits.head_bytes, " +
                                          std::to_string(limits.head_bytes));
    }
  }
  return {};
}

Urls::Urls()
    : urls_(std::make_shared<core::UrlNamespace>()),
      session_(std::make_shared<core::UrlSession>(urls_)) {}

Result<core::UrlGroup*> Urls::open(const std::string& name) {
  auto group = core::UrlGroup::open(session_);
  if (!group) return group.error();
  (*group)->bind(queue_);
  core::UrlGroup* opened = group->get();
  groups_.insert_or_assign(name, std::move(*group));
  return opened;
}

Result<std::unique_ptr<Urls>> Urls::make(const core::UrlProperties& properties,
                                         const UrlGroupMap& groups, std::uint32_t queue_length,
                                         const RequestQueueOptions& queue) {
  std::unique_ptr<Urls> made(new Urls());
  auto created = core::RequestQueue::create({}, queue_length);
  if (!created) return created.error();
  made->queue_ = std::move(*created);
  made->queue_->set_active(queue.active);
  if (auto own = made->open({}); !own) return own.error();
  for (const auto& [name, options] : groups) {
    if (auto group = made->open(name); !group) return group.error();
  }
  if (auto set = made->set(properties, groups, queue_length, queue.verbosity_503); !set) {
    return set.error();
  }
  return made;
}

Result<void> Urls::add(const std::vector<Prefix>& prefixes) {
  std::map<core::UrlGroup*, std::vector<core::UrlRegistration>> wanted;
  for (const Prefix& prefix : prefixes) {
    const auto group = groups_.find(prefix.group);
    if (group == groups_.end()) {
      return Error(Errc::bad_prefix, "\"" + prefix.text() + "\": there is no url_groups[\"" +
                                         prefix.group + "\"]; add it");
    }
    for (core::UrlPrefix& url : prefix.registrations()) {
      wanted[group->second.get()].push_back({std::move(url), prefix.context});
    }
  }
  for (const auto& [group, urls] : wanted) {
    if (auto added = group->add_urls(urls); !added) {
      for (const auto& [other, unused] : wanted) other->remove_all_urls();
      return added;
    }
  }
  return {};
}

Result<void> Urls::set(const core::UrlProperties& properties, const UrlGroupMap& groups,
                       std::uint32_t queue_length, Verbosity503 verbosity) {
  if (auto own = session_->set(properties); !own) return own;
  static_cast<void>(queue_->set_length(queue_length));  // it was checked
  queue_->set_verbosity(verbosity);
  for (const auto& [name, group] : groups_) {
    const auto options = groups.find(name);
    const UrlGroupOptions& wanted = options == groups.end() ? kNothing : options->second;
    static_cast<void>(group->set(properties_of(wanted)));  // it was checked
    group->set_active(wanted.active);
  }
  return {};
}

bool Urls::set_active(std::string_view name, bool active) {
  const auto group = groups_.find(name);
  if (group == groups_.end()) return false;
  group->second->set_active(active);
  return true;
}

}  // namespace sluice::api
