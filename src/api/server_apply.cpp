// api/server_apply.cpp - other settings for a server that runs.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "api/server_impl.hpp"
#include "api/settings.hpp"
#include "service/auth/authenticator.hpp"
#include "service/log/log_writer.hpp"

namespace sluice {
namespace {

constexpr std::chrono::seconds kPatience{1};

struct OpenFile {
  OpenFile() = default;
  ~OpenFile() {
    if (fd >= 0) ::close(fd);
  }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  int fd = -1;
};

}  // namespace

Result<void> Server::apply(const Settings& next) {
  if (impl_->on_own_thread()) return Errc::would_deadlock;
  Impl::Control holds(*impl_);
  return impl_->apply(next);
}

Result<void> Server::Impl::apply(const Settings& next) {
  if (auto checked = api::check_settings(next); !checked) return checked;
  Settings& mine = owner;
  if (state != State::running) {  // nobody else changes it: see Control
    mine = next;
    return {};
  }
  if (auto checked = api::check_change(started, next); !checked) return checked;
  std::vector<api::Prefix> changed_prefixes = prefixes_with(next);
  auto secured = certificates.make(next, changed_prefixes);
  if (!secured) return secured.error();
  auto keeping = make_gatekeeping(next);
  if (!keeping) return keeping.error();
  retired.reserve(retired.size() + 1);
  OpenFile log_file;
  if (log_writer) {
    auto opened = service::LogWriter::open_file(next.log_file.file_name);
    if (!opened) return opened.error();
    log_file.fd = *opened;
  }
  // Nothing below fails, but for memory, and that before anything has changed.
  Settings copy = next;
  core::SessionSettings in_force = api::session_settings(next);
  if (auto changed_urls =
          urls->set(api::url_properties(next.limits, next.timeouts), next.url_groups,
                    next.fine_tune.queue_length, next.request_queue.verbosity_503);
      !changed_urls) {
    return changed_urls;
  }
  if (log_writer) {
    log_writer->go_on_with(std::exchange(log_file.fd, -1));
    log_writer->set_level(next.log_file.level);
  }
  mine = std::move(copy);
  certificates.change(std::move(*secured));
  certificates.watch(mine.binding_options.watch_interval);
  {
    std::lock_guard lock(mutex);
    prefixes = std::move(changed_prefixes);
  }
  started.authentication = mine.authentication;
  started.api_key_manager = mine.api_key_manager;
  started.rate_limits = mine.rate_limits;
  if (gatekeeping.admission) retired.push_back(std::move(gatekeeping.admission));
  gatekeeping = std::move(*keeping);
  session->apply(std::move(in_force), gatekeeping.admission);
  {
    std::lock_guard lock(mutex);  // the watchdog may add a shard
    cache->apply(next.response_cache, next.cache_rules);
    set_queue_active(next.request_queue.active);
  }
  if (wait_for_shards()) drop_retired();
  log(LogLevel::info, Errc::none, "other settings are in force");
  return {};
}

// What an application has said of them in on_before_binding it cannot be asked for again.
std::vector<api::Prefix> Server::Impl::prefixes_with(const Settings& next) const {
  std::vector<api::Prefix> all = prefixes;
  const std::vector<Binding>& listed = next.bindings.list();
  if (owner.on_before_binding || listed.size() != all.size()) return all;
  for (std::size_t i = 0; i < all.size(); ++i) all[i].ssl = listed[i].options.ssl_options;
  return all;
}

// Until each has done what was posted before, or a handler holds one for too long.
bool Server::Impl::wait_for_shards() {
  struct Count {
    std::mutex mutex;
    std::condition_variable changed;
    std::size_t left = 0;
  };
  auto count = std::make_shared<Count>();
  std::vector<std::shared_ptr<wire::Loop>> all;
  {
    std::lock_guard lock(mutex);  // the watchdog may add one
    all = loops;
  }
  count->left = all.size();
  for (auto& loop : all) {
    const bool posted = loop->post([count] {
      std::lock_guard lock(count->mutex);
      --count->left;
      count->changed.notify_all();
    });
    if (posted) continue;
    std::lock_guard lock(count->mutex);
    --count->left;
  }
  std::unique_lock lock(count->mutex);
  return count->changed.wait_for(lock, kPatience, [&] { return count->left == 0; });
}

// What no shard and no request has any more goes here, and not on a shard: threads are waited for.
// That of a request which still waits goes with a later change, or at the end.
void Server::Impl::drop_retired() {
  const auto is_unused = [](const auto& admission) { return admission.use_count() == 1; };
  const auto unused = std::partition(retired.begin(), retired.end(), std::not_fn(is_unused));
  if (unused == retired.end()) return;
  // Whoever had the last use may be on its way back out of it.
  if (wait_for_shards()) retired.erase(unused, retired.end());
}

void Server::Impl::set_queue_active(bool on) {
  if (!urls->queue()->set_active(on) || !on) return;
  for (auto& loop : loops) {
    loop->post([running = loop.get()] { running->session().look_at_queue(running->shard()); });
  }
}

}  // namespace sluice
