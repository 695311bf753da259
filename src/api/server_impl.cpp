// api/server_impl.cpp - start and stop.
#include "api/server_impl.hpp"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>

#include "api/settings.hpp"
#include "core/dispatcher.hpp"
#include "crypto/digest.hpp"
#include "service/auth/authenticator.hpp"
#include "service/log/log_writer.hpp"
#include "service/upload/upload.hpp"

namespace sluice {
namespace {

// So many shards are made anew in the place of silent ones, from one start to the next.
constexpr std::size_t kFreshShards = 16;
// Sockets that a restart does not want any more are closed at once, too.
constexpr auto kCloseWait = std::chrono::seconds(1);
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

}  // namespace

void Server::Impl::add_counters(Counters& sum, const core::ShardCounters& shard) {
  sum.connections += shard.connections.get();
  sum.websockets += shard.websockets.get();
  sum.accepted += shard.accepted.get();
  sum.requests += shard.requests.get();
  sum.rejected += shard.rejected.get();
  sum.messages_received += shard.messages_received.get();
  sum.messages_sent += shard.messages_sent.get();
  sum.messages_compressed += shard.messages_compressed.get();
  sum.bytes_received += shard.bytes_received.get();
  sum.bytes_sent += shard.bytes_sent.get();
  sum.receive_buffers_exhausted += shard.receive_buffers_exhausted.get();
  sum.slow_readers += shard.slow_readers.get();
  sum.messages_dropped += shard.messages_dropped.get();
  sum.bytes_queued += shard.bytes_queued.get();
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
  if (log_writer) log_writer->write(level, message);
  if (owner.on_log) owner.on_log(level, code, message);
}

Result<void> Server::Impl::open_log() {
  log_writer.reset();
  const LogFile& wanted = owner.log_file;
  if (wanted.file_name.empty()) return {};
  auto opened = service::LogWriter::open(wanted.file_name, wanted.level);
  if (!opened) return opened.error();
  log_writer = std::move(*opened);
  return {};
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

core::SessionEvents Server::Impl::events() const {
  core::SessionEvents told;
  told.on_tcp_connect = owner.on_tcp_connect;
  told.on_unknown_protocol = owner.on_unknown_protocol;
  told.on_raw_data = owner.on_raw_data;
  told.on_http_request = owner.on_http_request;
  told.on_before_body = owner.on_http_upload_before_create_post_stream;
  told.on_form_field = owner.on_http_upload_read_input;
  told.on_handshake = owner.on_handshake;
  told.websocket = {owner.on_connect, owner.on_message, owner.on_binary, owner.on_fragmented,
                    owner.on_disconnect};
  told.on_before_heartbeat = owner.on_before_heartbeat;
  for (const auto& [name, handlers] : owner.protocols.list()) {
    if (handlers.on_connect || handlers.on_message || handlers.on_binary ||
        handlers.on_fragmented || handlers.on_disconnect) {
      told.protocols.emplace_back(name, handlers);
    }
  }
  told.on_asynchronous = owner.on_asynchronous;
  told.on_broadcast_done = owner.on_broadcast_done;
  told.on_error = owner.on_error;
  told.on_exception = owner.on_exception;
  told.on_log = owner.on_log;
  if (log_writer) {
    told.on_log = [file = log_writer, own = owner.on_log](LogLevel level, Errc code,
                                                          std::string_view message) {
      file->write(level, message);
      if (own) own(level, code, message);
    };
  }
  return told;
}

std::uint32_t Server::Impl::shard_count() const {
  return started.shards ? started.shards : allowed_cpus();
}

std::size_t Server::Impl::most_loops() const {
  const WatchDog& dog = started.watchdog;
  return shard_count() + (dog.enabled && dog.monitor.enabled ? kFreshShards : 0);
}

api::SocketOptions Server::Impl::socket_options() const {
  const bool classic = started.fine_tune.operating_mode == OperatingMode::classic;
  const auto wanted = static_cast<int>(started.fine_tune.queue_length);
  return {classic ? 1 : shard_count(), std::min(wanted, api::largest_backlog()),
          started.tcp_keep_alive};
}

Result<io::EngineChoice> Server::Impl::make_engine() const {
  io::EngineOptions options;
  options.receive_block_bytes = started.read_buffer_size;
  options.receive_blocks = std::size_t{256} * started.fine_tune.high_perf_accepts_per_worker;
  options.accepts_per_wake = std::size_t{16} * started.fine_tune.high_perf_accepts_per_worker;
  options.inline_completions = started.fine_tune.inline_completions;
  auto kind = started.engine == EngineKind::uring   ? io::EngineKind::uring
              : started.engine == EngineKind::epoll ? io::EngineKind::epoll
                                                    : io::EngineKind::automatic;
  return io::make_engine(kind, options);
}

// Signals are the application's: no thread of ours takes them.
void Server::Impl::run_loop(wire::Loop& loop) {
  loop.on_change = [this] {
    std::lock_guard lock(mutex);
    if (state != State::running) changed.notify_all();
  };
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  threads.emplace_back([&loop] { loop.run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

Result<void> Server::Impl::make_loops(const std::shared_ptr<core::ServerSession>& made) {
  std::uint32_t count = shard_count();
  io::raise_descriptor_limit();
  bool classic = owner.fine_tune.operating_mode == OperatingMode::classic;
  int largest = api::largest_backlog();
  if (static_cast<int>(owner.fine_tune.queue_length) > largest) {
    log(LogLevel::warning, Errc::none,
        "fine_tune.queue_length is " + std::to_string(owner.fine_tune.queue_length) +
            " but the system allows a backlog of " + std::to_string(largest) +
            "; raise net.core.somaxconn to absorb larger storms");
  }
  std::vector<api::OpenSocket> kept = std::move(sockets);
  std::vector<api::Prefix> bound = prefixes;
  auto opened = api::open_sockets(bound, socket_options(), kept);
  if (!opened) {
    sockets = std::move(kept);
    return opened.error();
  }
  sockets = std::move(*opened);
  for (api::OpenSocket& socket : sockets) {
    socket.secure = nullptr;
    for (std::size_t i = 0; i < bound.size() && !socket.secure; ++i) {
      if (bound[i].url.port == socket.address.port) socket.secure = certificates.port_of(i);
    }
  }

  made->shards.reserve(most_loops());
  std::vector<std::shared_ptr<wire::Loop>> all_loops;
  std::string name, reason;
  for (std::uint32_t i = 0; i < count; ++i) {
    auto choice = make_engine();
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
  for (api::OpenSocket& socket : sockets) {
    socket.loop = classic ? 0 : socket.copy;
    loops[socket.loop]->add_listener(
        {socket.fd, socket.address, socket.any_address, socket.secure});
  }
  // Not wanted any more: who waits there is still served.
  for (const api::OpenSocket& socket : kept) {
    loops[0]->add_listener({socket.fd, socket.address, socket.any_address, socket.secure}, true);
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
  std::vector<Binding> listed = owner.bindings.list();
  if (listed.empty()) listed.push_back(api::binding_of(owner.host, owner.port));
  if (owner.on_before_binding) owner.on_before_binding(listed);
  std::vector<api::Prefix> wanted;
  for (const Binding& binding : listed) {
    auto prefix = api::parse_prefix(binding);
    if (!prefix) return prefix.error();
    for (const api::Prefix& other : wanted) {
      if (prefix->any_port || other.url != prefix->url) continue;
      return Error(Errc::bad_prefix, "\"" + binding.prefix + "\" is given twice");
    }
    wanted.push_back(std::move(*prefix));
  }
  if (wanted.empty()) return Error(Errc::bad_prefix, "no prefix is left to listen on");
  if (sockets.empty()) return wanted;
  std::vector<api::Prefix> before = prefixes;
  for (api::Prefix& prefix : wanted) {
    auto same = std::find_if(before.begin(), before.end(), [&](const api::Prefix& old) {
      core::UrlPrefix url = prefix.url;
      url.port = old.url.port;
      return prefix.any_port && old.any_port && old.url == url;
    });
    if (same == before.end()) continue;
    prefix.url.port = same->url.port;
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
    loops.clear();
    certificates.stop();
    urls.reset();
    gatekeeping.admission.reset();
    gatekeeping.authenticator = nullptr;
    uploads.reset();
    files.reset();
    resolver.reset();
    forwards.reset();
    {
      std::lock_guard lock(pool_mutex);
      pool.reset();
    }
    {
      std::lock_guard lock(mutex);
      cache.reset();
    }
    for (const api::OpenSocket& socket : sockets) ::close(socket.fd);
    sockets.clear();
    std::lock_guard lock(mutex);
    state = State::stopped;
    changed.notify_all();
    return error;
  };
  if (auto checked = api::check_settings(owner); !checked) return fail(checked.error());
  started = owner;
  if (auto opened = open_log(); !opened) return fail(opened.error());
  auto wanted = wanted_prefixes();
  if (!wanted) return fail(wanted.error());
  auto secured = certificates.make(owner, *wanted);
  if (!secured) return fail(secured.error());
  certificates.begin(std::move(*secured));
  {
    std::lock_guard lock(mutex);
    prefixes = std::move(*wanted);
  }

  auto made = std::make_shared<core::ServerSession>(api::session_settings(owner), events(), router,
                                                    make_cipher());
  made->owner = this;
  auto made_urls =
      api::Urls::make(api::url_properties(owner.limits, owner.timeouts), owner.url_groups,
                      owner.fine_tune.queue_length, owner.request_queue);
  if (!made_urls) return fail(made_urls.error());
  urls = std::move(*made_urls);
  made->urls = urls->urls();
  if (auto result = make_files(); !result) return fail(result.error());
  made->body_source = files.get();
  if (auto result = make_uploads(); !result) return fail(result.error());
  made->body_sinks = uploads.get();
  if (auto result = make_forwards(); !result) return fail(result.error());
  made->forwarder = forwards.get();
  {
    auto made_cache = std::make_unique<service::ResponseCache>(*made, owner.response_cache,
                                                               owner.cache_rules, most_loops());
    made->response_cache = made_cache.get();
    std::lock_guard lock(mutex);
    cache = std::move(made_cache);
  }
  authentication_events =
      std::make_shared<const service::AuthenticationEvents>(service::AuthenticationEvents{
          owner.on_authentication, owner.on_authentication_async, owner.on_digest_secret});
  auto keeping = make_gatekeeping(owner);
  if (!keeping) return fail(keeping.error());
  gatekeeping = std::move(*keeping);
  made->set_gate(gatekeeping.admission);
  if (auto result = make_loops(made); !result) return fail(result.error());
  // Ports that were 0 are known now.
  if (auto result = urls->add(prefixes); !result) return fail(result.error());
  made->dispatcher.start();
  {
    std::lock_guard lock(mutex);
    session = made;
  }

  for (auto& loop : loops) run_loop(*loop);
  {
    std::unique_lock lock(mutex);
    // Whoever connects from here on must not come to a socket that is about to be closed.
    changed.wait_for(lock, kCloseWait, [this] { return open_listeners() <= sockets.size(); });
    state = State::running;
    changed.notify_all();
  }
  certificates.watch(owner.binding_options.watch_interval);
  for (std::size_t i = 0; i < prefixes.size(); ++i) {
    const std::string names = certificates.names_of(i);
    log(LogLevel::info, Errc::none,
        "listening on " + prefixes[i].text() + " with " + engine_reason +
            (names.empty() ? "" : ", certificates for " + names));
  }
  repairs = 0;
  if (owner.watchdog.enabled) {
    watchdog = std::make_unique<api::Watchdog>(owner.watchdog.interval,
                                               [this](api::Watchdog& dog) { look_after(dog); });
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
  watchdog.reset();
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
  // What waits to be verified is answered, what is being verified goes on.
  if (gatekeeping.admission) gatekeeping.admission->stop();
  for (auto& admission : retired) admission->stop();
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
  resolver.reset();  // who waits for a name is told by the last run of its shard's mailbox
  for (auto& loop : loops) loop->post([running = loop.get()] { running->finish(); });
  for (std::thread& thread : threads) thread.join();
  threads.clear();
  if (!keep_sockets) sockets.clear();  // their loops have closed them
  lock.lock();
  for (auto& loop : loops) add_counters(totals_before, loop->shard().counters);
  totals_before.connections = totals_before.websockets = totals_before.bytes_queued = 0;
  session->shards.clear();
  std::vector<std::shared_ptr<wire::Loop>> ended = std::move(loops);
  loops.clear();
  lock.unlock();
  ended.clear();
  lock.lock();
  cache.reset();
  lock.unlock();
  uploads.reset();
  forwards.reset();
  files.reset();
  urls.reset();
  certificates.stop();
  gatekeeping.admission.reset();
  gatekeeping.authenticator = nullptr;
  retired.clear();
  if (!keep_sockets && owner.on_shutdown) owner.on_shutdown();
  lock.lock();
  session.reset();
  state = State::stopped;
  changed.notify_all();
}

Result<void> Server::Impl::check_certificates() {
  if (owner.on_before_binding) return {};  // which prefixes there will be is not known yet
  if (auto checked = api::check_ssl(owner); !checked) return checked;
  auto wanted = wanted_prefixes();
  if (!wanted) return {};  // the start says so
  if (auto made = certificates.make(owner, *wanted); !made) return made.error();
  return {};
}

Result<void> Server::Impl::restart(std::chrono::milliseconds drain) {
  {
    std::lock_guard lock(mutex);
    if (state != State::running) return Errc::not_running;
  }
  if (auto checked = check_certificates(); !checked) return checked;
  {
    std::lock_guard lock(mutex);
    restarting = true;
  }
  stop(drain, 1012, true);
  auto result = start();
  std::lock_guard lock(mutex);
  restarting = false;
  changed.notify_all();
  return result;
}

void Server::Impl::hurry() {
  std::lock_guard lock(mutex);
  hurried = true;
  changed.notify_all();
}

}  // namespace sluice
