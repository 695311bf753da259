// api/server.cpp - bodies of sluice/server.hpp.
#include <sluice/server.hpp>

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <utility>

#include "api/server_impl.hpp"
#include "core/exchange.hpp"
#include "core/websocket.hpp"

namespace sluice {
namespace {

// Where the signal handler of run() writes; one run() at a time has it.
std::atomic<int> signal_fd{-1};

void on_signal(int) {
  std::uint64_t one = 1;
  int fd = signal_fd.load();
  if (fd >= 0) static_cast<void>(!::write(fd, &one, sizeof one));
}

class SignalScope {
 public:
  SignalScope() : fd_(::eventfd(0, EFD_CLOEXEC)) {
    signal_fd.store(fd_);
    struct sigaction action {};
    action.sa_handler = on_signal;
    sigemptyset(&action.sa_mask);
    ::sigaction(SIGINT, &action, &interrupt_);
    ::sigaction(SIGTERM, &action, &terminate_);
  }
  ~SignalScope() {
    ::sigaction(SIGINT, &interrupt_, nullptr);
    ::sigaction(SIGTERM, &terminate_, nullptr);
    signal_fd.store(-1);
    ::close(fd_);
  }
  SignalScope(const SignalScope&) = delete;
  SignalScope& operator=(const SignalScope&) = delete;

  // Makes take() return as a signal would.
  void ring() { on_signal(0); }
  void take() {
    std::uint64_t count = 0;
    while (::read(fd_, &count, sizeof count) < 0 && errno == EINTR) {
    }
  }

 private:
  int fd_;
  struct sigaction interrupt_ {
  }, terminate_{};
};

}  // namespace

Server::Server() : impl_(std::make_unique<Impl>(*this)) {}
Server::~Server() = default;

// --- Routes --------------------------------------------------------------------------------------

Result<void> Server::route(std::string_view method, std::string_view pattern,
                           RequestHandler handler, const RouteOptions& chosen) {
  if (active()) return Errc::already_running;
  return impl_->router.add(method, pattern, std::move(handler), chosen);
}

Result<void> Server::files(std::string_view prefix, std::string_view directory,
                           const FilesOptions& chosen) {
  if (active()) return Errc::already_running;
  if (prefix.empty() || prefix.back() != '/') {
    return Error(Errc::invalid_argument,
                 "files prefix \"" + std::string(prefix) + "\" must end in /");
  }
  auto entry = std::make_unique<Impl::Directory>();
  entry->prefix = prefix;
  entry->path = directory;
  entry->options = chosen;
  std::string pattern = std::string(prefix) + "{path...}";
  for (std::string_view method : {"GET", "HEAD"}) {
    auto added = impl_->router.add_native(
        method, pattern,
        [served = entry.get()](core::Exchange& exchange) { served->handler(exchange); }, {});
    if (!added) return added;
  }
  impl_->directories.push_back(std::move(entry));
  return {};
}

Result<void> Server::forward(std::string_view prefix, const ForwardOptions& chosen) {
  if (active()) return Errc::already_running;
  if (prefix.empty() || prefix.back() != '/') {
    return Error(Errc::invalid_argument,
                 "forward prefix \"" + std::string(prefix) + "\" must end in /");
  }
  if (auto checked = service::Forwards::check(prefix, chosen); !checked) return checked;
  auto added = impl_->router.add_forward(std::string(prefix) + "{path...}",
                                         int(impl_->forwards_wanted.size()));
  if (added) impl_->forwards_wanted.push_back({std::string(prefix), chosen});
  return added;
}

Result<void> Server::uploads(std::string_view prefix, std::string_view directory,
                             const UploadOptions& chosen) {
  if (active()) return Errc::already_running;
  if (prefix.empty() || prefix.back() != '/') {
    return Error(Errc::invalid_argument,
                 "uploads prefix \"" + std::string(prefix) + "\" must end in /");
  }
  if (prefix.find_first_of("{}") != std::string_view::npos) {
    return Error(Errc::invalid_argument, "uploads prefix \"" + std::string(prefix) +
                                             "\" must not have parameters: no { and no }");
  }
  auto entry = std::make_unique<Impl::UploadFolder>();
  entry->prefix = prefix;
  entry->path = directory;
  entry->options = chosen;
  RouteOptions route;
  route.body_bytes = chosen.body_bytes;
  std::string pattern = std::string(prefix) + "{path...}";
  for (std::string_view method : {"POST", "PUT"}) {
    auto added = impl_->router.add_native(
        method, pattern, service::Uploads::answer, route,
        [taking = entry.get()](core::Exchange& exchange) { return taking->sink(exchange); });
    if (!added) return added;
  }
  impl_->upload_folders.push_back(std::move(entry));
  return {};
}

Result<void> Server::websocket(std::string_view pattern, WebSocketHandlers handlers) {
  if (active()) return Errc::already_running;
  return impl_->router.add_websocket(pattern, std::move(handlers));
}

Result<void> Server::body_mode(std::string_view prefix, const RouteOptions& chosen) {
  if (active()) return Errc::already_running;
  return impl_->router.add_body_mode(prefix, chosen);
}

// --- Running -------------------------------------------------------------------------------------

int Server::run() {
  SignalScope signals;
  if (auto started = start(); !started) {
    std::fprintf(stderr, "sluice: %s\n", started.error().message().c_str());
    return 1;
  }
  std::thread ended([&] {
    static_cast<void>(wait());
    signals.ring();
  });
  signals.take();
  if (active()) {
    stop_async();
    for (;;) {
      signals.take();
      if (!active()) break;
      impl_->hurry();
    }
  }
  ended.join();
  return 0;
}

Result<void> Server::start() {
  if (impl_->on_own_thread()) return Errc::would_deadlock;
  Impl::Control holds(*impl_);
  return impl_->start();
}

Result<void> Server::stop(std::chrono::milliseconds drain) {
  if (impl_->on_own_thread()) return Errc::would_deadlock;
  Impl::Control holds(*impl_);
  impl_->stop(drain, 1001, false);
  return {};
}

Result<void> Server::restart(std::chrono::milliseconds drain) {
  if (impl_->on_own_thread()) return Errc::would_deadlock;
  Impl::Control holds(*impl_);
  return impl_->restart(drain);
}

Result<void> Server::wait() {
  if (impl_->on_own_thread()) return Errc::would_deadlock;
  std::unique_lock lock(impl_->mutex);
  impl_->changed.wait(
      lock, [this] { return impl_->state == Impl::State::stopped && !impl_->restarting; });
  return {};
}

void Server::start_async() {
  impl_->async([this] {
    Impl::Control holds(*impl_);
    if (auto result = impl_->start(); !result) {
      impl_->log(LogLevel::error, result.error().code, "start: " + result.error().message());
    }
  });
}

void Server::stop_async(std::chrono::milliseconds drain) {
  impl_->async([this, drain] {
    Impl::Control holds(*impl_);
    impl_->stop(drain, 1001, false);
  });
}

void Server::restart_async(std::chrono::milliseconds drain) {
  impl_->async([this, drain] {
    Impl::Control holds(*impl_);
    if (auto result = impl_->restart(drain); !result) {
      impl_->log(LogLevel::error, result.error().code, "restart: " + result.error().message());
    }
  });
}

bool Server::active() const {
  std::lock_guard lock(impl_->mutex);
  return impl_->state != Impl::State::stopped;
}

Result<void> Server::active(bool on) { return on ? start() : stop(); }

std::uint16_t Server::bound_port() const {
  std::lock_guard lock(impl_->mutex);
  return impl_->prefixes.empty() ? std::uint16_t{0} : impl_->prefixes.front().url.port;
}

std::vector<std::string> Server::bound_prefixes() const {
  std::lock_guard lock(impl_->mutex);
  std::vector<std::string> list;
  for (const api::Prefix& prefix : impl_->prefixes) list.push_back(prefix.text());
  return list;
}

std::string Server::engine_name() const {
  std::lock_guard lock(impl_->mutex);
  return impl_->engine_name;
}

std::string Server::engine_reason() const {
  std::lock_guard lock(impl_->mutex);
  return impl_->engine_reason;
}

std::uint32_t Server::shard_count() const {
  std::lock_guard lock(impl_->mutex);
  return std::uint32_t(impl_->loops.size());
}

std::optional<std::chrono::system_clock::time_point> Server::certificates_expire() const {
  return impl_->certificates.expire();
}

// --- Sending -------------------------------------------------------------------------------------

namespace {

sluice::Connection find(core::ServerSession* session, std::mutex& mutex, const ConnectionId& id) {
  std::uint32_t shard = 0, slot = 0, generation = 0;
  std::lock_guard lock(mutex);
  if (!session || !session->address_of(id, shard, slot, generation)) return {};
  return session->shards[shard]->registry.find(slot, generation);
}

}  // namespace

SendStatus Server::write_data(const ConnectionId& id, std::string_view text) {
  auto session = impl_->current();
  return find(session.get(), impl_->mutex, id).write_data(text);
}

SendStatus Server::write_data(const ConnectionId& id, Bytes bytes, std::size_t fragment_size) {
  auto session = impl_->current();
  return find(session.get(), impl_->mutex, id).write_data(bytes, fragment_size);
}

Result<void> Server::url_group_active(std::string_view group, bool on) {
  std::lock_guard lock(impl_->mutex);
  if (impl_->state != Impl::State::running) return Errc::not_running;
  if (impl_->urls->set_active(group, on)) return {};
  return Error(Errc::invalid_argument, "there is no URL group \"" + std::string(group) + "\"");
}

Result<void> Server::request_queue_active(bool on) {
  std::lock_guard lock(impl_->mutex);
  if (impl_->state != Impl::State::running) return Errc::not_running;
  impl_->set_queue_active(on);
  return {};
}

SendStatus Server::write_data(const ConnectionId& id, std::string_view text, SendTag tag) {
  auto session = impl_->current();
  return find(session.get(), impl_->mutex, id).write_data(text, tag);
}

SendStatus Server::write_data(const ConnectionId& id, Bytes bytes, SendTag tag,
                              std::size_t fragment_size) {
  auto session = impl_->current();
  return find(session.get(), impl_->mutex, id).write_data(bytes, tag, fragment_size);
}

std::size_t Server::broadcast(std::string_view text, const BroadcastOptions& filter) {
  if (core::ServerSession* here = impl_->here()) {
    return here->broadcast(ws::Opcode::text, as_bytes(text), filter);
  }
  auto session = impl_->current();
  return session ? session->broadcast(ws::Opcode::text, as_bytes(text), filter) : 0;
}

std::size_t Server::broadcast(Bytes bytes, const BroadcastOptions& filter) {
  if (core::ServerSession* here = impl_->here()) {
    return here->broadcast(ws::Opcode::binary, bytes, filter);
  }
  auto session = impl_->current();
  return session ? session->broadcast(ws::Opcode::binary, bytes, filter) : 0;
}

void Server::ping(std::string_view payload) {
  for (Connection connection : share_list()) connection.ping(payload);
}

void Server::disconnect_all(std::uint16_t close_code) {
  for (Connection connection : share_list()) connection.close(close_code);
}

ConnectionList Server::share_list() const {
  std::vector<Connection> list;
  std::lock_guard lock(impl_->mutex);
  if (impl_->session) {
    for (core::Shard* shard : impl_->session->shards) shard->registry.snapshot(list);
  }
  return ConnectionList(std::move(list));
}

std::size_t Server::flush_cache(std::string_view url, bool recursive) {
  std::lock_guard lock(impl_->mutex);
  return impl_->cache ? impl_->cache->flush(url, recursive) : 0;
}

CacheCounters Server::cache_counters() const {
  std::lock_guard lock(impl_->mutex);
  return impl_->cache ? impl_->cache->counters() : CacheCounters{};
}

Counters Server::counters() const {
  std::lock_guard lock(impl_->mutex);
  Counters sum = impl_->totals_before;
  if (impl_->session) {
    for (core::Shard* shard : impl_->session->shards) impl_->add_counters(sum, shard->counters);
  }
  return sum;
}

}  // namespace sluice
