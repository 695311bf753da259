// api/server_impl.cpp - start and stop.
#include "api/server_impl.hpp"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>

#include "core/dispatcher.hpp"
#include "crypto/digest.hpp"

namespace sluice {
namespace {

constexpr std::size_t kFileThreads = 4;
// Abandoned connections are gone at once; this only keeps a bug from hanging stop() for ever.
constexpr auto kAbortWait = std::chrono::seconds(10);

std::uint32_t allowed_cpus() {
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return std::max<std::uint32_t>(1, std::uint32_t(CPU_COUNT(&set)));
}

std::string kernel() {
  utsname name{};
  if (::uname(&name) != 0) return {};
  std::string release = name.release;
  std::size_t dot = release.find('.');
  dot = dot == std::string::npos ? dot : release.find_first_not_of("0123456789", dot + 1);
  return ", kernel " + release.substr(0, dot);
}

std::shared_ptr<const core::IdCipher> make_cipher() {
  core::IdCipher::Block key;
  crypto::random_bytes(key);
  auto cipher = std::make_shared<crypto::BlockCipher>(key);
  auto made = std::make_shared<core::IdCipher>();
  made->encrypt = [cipher](const core::IdCipher::Block& block) { return cipher->encrypt(block); };
  made->decrypt = [cipher](const core::IdCipher::Block& block) { return cipher->decrypt(block); };
  return made;
}

Error bad(std::string_view setting, std::string_view why) {
  return {Errc::bad_setting, std::string(setting) + " " + std::string(why)};
}

}  // namespace

void Server::Impl::add_counters(Counters& sum, const core::ShardCounters& shard) {
  sum.connections += shard.connections.get();
  sum.websockets += shard.websockets.get();
  sum.accepted += shard.accepted.get();
  sum.requests += shard.requests.get();
  sum.rejected += shard.rejected.get();
  sum.messages_received += shard.messages_received.get();
  sum.messages_sent += shard.messages_sent.get();
  sum.bytes_received += shard.bytes_received.get();
  sum.bytes_sent += shard.bytes_sent.get();
  sum.receive_buffers_exhausted += shard.receive_buffers_exhausted.get();
  sum.slow_readers += shard.slow_readers.get();
  sum.messages_dropped += shard.messages_dropped.get();
}

Server::Impl::~Impl() {
  std::vector<std::thread> last;
  {
    std::lock_guard lock(async_mutex);
    last.swap(async_threads);
  }
  for (std::thread& thread : last) thread.join();
  Control holds(*this);
  if (state != State::stopped) stop(std::chrono::milliseconds(0), 1001, false);
  for (const api::OpenSocket& socket : sockets) ::close(socket.fd);
}

void Server::Impl::log(LogLevel level, Errc code, std::string_view message) const {
  if (owner.on_log) owner.on_log(level, code, message);
}

bool Server::Impl::on_own_thread() const {
  return core::Shard::current() != nullptr || core::ThreadPool::on_pool_thread() ||
         controller.load() == std::this_thread::get_id();
}

std::shared_ptr<core::ServerSession> Server::Impl::current() const {
  std::lock_guard lock(mutex);
  return session;
}

core::ServerSession* Server::Impl::here() const {
  core::Shard* shard = core::Shard::current();
  return shard && shard->session.owner == this ? &shard->session : nullptr;
}

void Server::Impl::async(std::function<void()> work) {
  std::lock_guard lock(async_mutex);
  async_threads.emplace_back(std::move(work));
}

Result<void> Server::Impl::check_settings() const {
  const FineTune& tune = owner.fine_tune;
  if (tune.queue_length < 1 || tune.queue_length > 65535) {
    return bad("fine_tune.queue_length", "must be from 1 to 65535");
  }
  if (tune.high_perf_accepts_per_worker < 1 || tune.high_perf_accepts_per_worker > 64) {
    return bad("fine_tune.high_perf_accepts_per_worker", "must be from 1 to 64");
  }
  if (owner.read_buffer_size < 1024 || owner.read_buffer_size > (1 << 20)) {
    return bad("read_buffer_size", "must be from 1,024 to 1,048,576");
  }
  if (owner.limits.head_bytes < 64 || owner.limits.head_bytes > (16 << 20)) {
    return bad("limits.head_bytes", "must be from 64 to 16,777,216");
  }
  if (owner.limits.send_queue_bytes < 1024)
    return bad("limits.send_queue_bytes", "must be at least 1,024");
  if (owner.limits.message_bytes > 0xffff'0000u) {
    return bad("limits.message_bytes", "must be below 4 GiB");
  }
  if (owner.shards > 1024) return bad("shards", "must be at most 1,024");
  if (owner.dispatch == Dispatch::thread_pool &&
      (owner.thread_pool_size < 1 || owner.thread_pool_size > 4096)) {
    return bad("thread_pool_size", "must be from 1 to 4,096");
  }
  return {};
}

core::SessionSettings Server::Impl::settings() const {
  core::SessionSettings in_force;
  in_force.fine_tune = owner.fine_tune;
  in_force.limits = owner.limits;
  in_force.timeouts = owner.timeouts;
  in_force.options = owner.options;
  in_force.security = owner.security_options;
  in_force.dispatch = owner.dispatch;
  in_force.thread_pool_size = owner.thread_pool_size;
  in_force.protocols = owner.protocols;
  in_force.handler_limit = owner.handler_limit;
  return in_force;
}

core::SessionEvents Server::Impl::events() const {
  core::SessionEvents told;
  told.on_tcp_connect = owner.on_tcp_connect;
  told.on_http_request = owner.on_http_request;
  told.on_handshake = owner.on_handshake;
  told.websocket = {owner.on_connect, owner.on_message, owner.on_binary, owner.on_fragmented,
                    owner.on_disconnect};
  told.on_error = owner.on_error;
  told.on_exception = owner.on_exception;
  told.on_log = owner.on_log;
  return told;
}

std::vector<core::ServedHost> Server::Impl::served_hosts() const {
  std::vector<core::ServedHost> served;
  bool any_named = false;
  for (const api::Prefix& prefix : prefixes) {
    any_named = any_named || prefix.named;
    std::string name = prefix.named ? prefix.host : "";
    for (char& c : name) {
      if (c >= 'A' && c <= 'Z') c = char(c + 32);
    }
    served.push_back({prefix.port, std::move(name)});
  }
  if (!any_named) served.clear();
  return served;
}

Result<void> Server::Impl::make_files() {
  std::uint32_t count = owner.shards ? owner.shards : allowed_cpus();
  {
    std::lock_guard lock(pool_mutex);
    pool = std::make_unique<io::FilePool>(kFileThreads);
  }
  files = std::make_unique<service::FileService>(
      count,
      [this](base::Task task) {
        std::lock_guard lock(pool_mutex);
        return pool && pool->submit(std::move(task));
      },
      [this](LogLevel level, Errc code, std::string_view message) { log(level, code, message); },
      service::system_media_types());
  for (auto& directory : directories) {
    auto handler = files->directory(directory->prefix, directory->path, directory->options);
    if (!handler) return handler.error();
    directory->handler = std::move(*handler);
  }
  return {};
}

Result<void> Server::Impl::make_loops(const std::shared_ptr<core::ServerSession>& made) {
  std::uint32_t count = owner.shards ? owner.shards : allowed_cpus();
  io::raise_descriptor_limit();
  io::EngineOptions engine_options;
  engine_options.receive_block_bytes = owner.read_buffer_size;
  engine_options.receive_blocks = std::size_t{256} * owner.fine_tune.high_perf_accepts_per_worker;
  engine_options.accepts_per_wake = std::size_t{16} * owner.fine_tune.high_perf_accepts_per_worker;
  engine_options.inline_completions = owner.fine_tune.inline_completions;
  auto kind = owner.engine == EngineKind::uring   ? io::EngineKind::uring
              : owner.engine == EngineKind::epoll ? io::EngineKind::epoll
                                                  : io::EngineKind::automatic;
  bool classic = owner.fine_tune.operating_mode == OperatingMode::classic;
  auto wanted = static_cast<int>(owner.fine_tune.queue_length);
  int largest = api::largest_backlog();
  if (wanted > largest) {
    log(LogLevel::warning, Errc::none,
        "fine_tune.queue_length is " + std::to_string(wanted) +
            " but the system allows a backlog of " + std::to_string(largest) +
            "; raise net.core.somaxconn to absorb larger storms");
  }
  std::vector<api::OpenSocket> kept = std::move(sockets);
  std::vector<api::Prefix> bound = prefixes;
  auto opened = api::open_sockets(bound, classic ? 1 : count, std::min(wanted, largest), kept);
  if (!opened) {
    sockets = std::move(kept);
    return opened.error();
  }
  sockets = std::move(*opened);

  std::vector<std::shared_ptr<wire::Loop>> all_loops;
  std::string name, reason;
  for (std::uint32_t i = 0; i < count; ++i) {
    auto choice = io::make_engine(kind, engine_options);
    if (!choice) {
      sockets.insert(sockets.end(), kept.begin(), kept.end());
      return choice.error();
    }
    name = choice->engine->name();
    reason = choice->why + kernel();
    all_loops.push_back(std::make_shared<wire::Loop>(made, i, std::move(choice->engine)));
    all_loops.back()->tie();
    made->shards.push_back(&all_loops.back()->shard());
  }
  {
    std::lock_guard lock(mutex);
    prefixes = std::move(bound);
    engine_name = std::move(name);
    engine_reason = std::move(reason);
    loops = std::move(all_loops);
  }
  for (const api::OpenSocket& socket : sockets) {
    loops[classic ? 0 : socket.copy]->add_listener({socket.fd, socket.address, socket.any_address});
  }
  // Not wanted any more: who waits there is still served.
  for (const api::OpenSocket& socket : kept) {
    loops[0]->add_listener({socket.fd, socket.address, socket.any_address}, true);
  }
  if (classic && count > 1) {
    std::vector<wire::Loop*> all;
    for (auto& loop : loops) all.push_back(loop.get());
    loops[0]->deal_to(all);
  }
  return {};
}

// What the settings ask for. Where a restart asks for any port again, it is the one in force.
Result<std::vector<api::Prefix>> Server::Impl::wanted_prefixes() const {
  std::vector<api::Prefix> wanted;
  for (const Binding& binding : owner.bindings.list()) {
    auto prefix = api::parse_prefix(binding.prefix);
    if (!prefix) return prefix.error();
    for (const api::Prefix& other : wanted) {
      if (prefix->any_port || !api::is_same(other, *prefix)) continue;
      return Error(Errc::bad_prefix, "\"" + binding.prefix + "\" is given twice");
    }
    wanted.push_back(std::move(*prefix));
  }
  if (wanted.empty()) wanted.push_back(api::prefix_of(owner.host, owner.port));
  if (sockets.empty()) return wanted;
  std::vector<api::Prefix> before = prefixes;
  for (api::Prefix& prefix : wanted) {
    auto same = std::find_if(before.begin(), before.end(), [&](const api::Prefix& old) {
      return prefix.any_port && old.any_port && old.host == prefix.host;
    });
    if (same == before.end()) continue;
    prefix.port = same->port;
    before.erase(same);
  }
  return wanted;
}

Result<void> Server::Impl::start() {
  {
    std::lock_guard lock(mutex);
    if (state != State::stopped) return Errc::already_running;
    state = State::starting;
    hurried = false;
  }
  auto fail = [this](Error error) -> Result<void> {
    files.reset();
    {
      std::lock_guard lock(pool_mutex);
      pool.reset();
    }
    for (const api::OpenSocket& socket : sockets) ::close(socket.fd);
    sockets.clear();
    std::lock_guard lock(mutex);
    state = State::stopped;
    changed.notify_all();
    return error;
  };
  if (auto checked = check_settings(); !checked) return fail(checked.error());
  auto wanted = wanted_prefixes();
  if (!wanted) return fail(wanted.error());
  {
    std::lock_guard lock(mutex);
    prefixes = std::move(*wanted);
  }

  auto made = std::make_shared<core::ServerSession>(settings(), events(), router, make_cipher());
  made->owner = this;
  if (auto result = make_files(); !result) return fail(result.error());
  made->body_source = files.get();
  if (auto result = make_loops(made); !result) return fail(result.error());
  made->hosts = served_hosts();  // ports that were 0 are known now
  made->dispatcher.start();
  {
    std::lock_guard lock(mutex);
    session = made;
  }

  // Signals are the application's: no thread of ours takes them.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  for (auto& loop : loops) {
    loop->on_change = [this] {
      std::lock_guard lock(mutex);
      if (state == State::stopping) changed.notify_all();
    };
    threads.emplace_back([running = loop.get()] { running->run(); });
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  {
    std::lock_guard lock(mutex);
    state = State::running;
    changed.notify_all();
  }
  for (const api::Prefix& prefix : prefixes) {
    log(LogLevel::info, Errc::none, "listening on " + prefix.text() + " with " + engine_reason);
  }
  if (owner.on_startup) owner.on_startup();
  return {};
}

std::size_t Server::Impl::open_connections() const {
  std::size_t open = 0;
  for (const auto& loop : loops) open += loop->connections();
  return open;
}

std::size_t Server::Impl::open_listeners() const {
  std::size_t open = 0;
  for (const auto& loop : loops) open += loop->listeners();
  return open;
}

void Server::Impl::stop(std::chrono::milliseconds drain, std::uint16_t close_code,
                        bool keep_sockets) {
  auto deadline = std::chrono::steady_clock::now() + drain;
  std::unique_lock lock(mutex);
  if (state != State::running) return;
  state = State::stopping;
  lock.unlock();
  for (auto& loop : loops) {
    loop->post([running = loop.get(), keep_sockets, close_code, drain] {
      running->close_listeners(keep_sockets);
      running->drain(close_code, drain / 3);
    });
  }
  lock.lock();
  // In this order: a listener that has closed has counted whom it accepted.
  auto everything_gone = [this] { return open_listeners() == 0 && open_connections() == 0; };
  changed.wait_until(lock, deadline, [&] { return everything_gone() || hurried; });
  std::size_t left = open_connections();
  lock.unlock();
  if (left > 0) {
    log(LogLevel::warning, Errc::server_stopping,
        std::to_string(left) + " connections were broken off at the end of the drain");
    for (auto& loop : loops) {
      loop->post([running = loop.get()] { running->abort_all(Errc::server_stopping); });
    }
  }
  lock.lock();
  changed.wait_for(lock, kAbortWait, everything_gone);
  lock.unlock();

  session->dispatcher.stop();
  {
    std::lock_guard guard(pool_mutex);
    // Its threads run what was submitted and end; nobody can submit meanwhile.
    pool.reset();
  }
  for (auto& loop : loops) loop->post([running = loop.get()] { running->finish(); });
  for (std::thread& thread : threads) thread.join();
  threads.clear();
  if (!keep_sockets) sockets.clear();  // their loops have closed them
  lock.lock();
  for (auto& loop : loops) add_counters(totals_before, loop->shard().counters);
  totals_before.connections = totals_before.websockets = 0;
  session->shards.clear();
  std::vector<std::shared_ptr<wire::Loop>> ended = std::move(loops);
  loops.clear();
  lock.unlock();
  ended.clear();
  files.reset();
  if (!keep_sockets && owner.on_shutdown) owner.on_shutdown();
  lock.lock();
  session.reset();
  state = State::stopped;
  changed.notify_all();
}

Result<void> Server::Impl::restart(std::chrono::milliseconds drain) {
  {
    std::lock_guard lock(mutex);
    if (state != State::running) return Errc::not_running;
    restarting = true;
  }
  stop(drain, 1012, true);
  auto started = start();
  std::lock_guard lock(mutex);
  restarting = false;
  changed.notify_all();
  return started;
}

void Server::Impl::hurry() {
  std::lock_guard lock(mutex);
  hurried = true;
  changed.notify_all();
}

}  // namespace sluice
