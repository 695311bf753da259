// api/server_impl.hpp - what a running Server is made of.
//
// The composition root: sockets, engines, shards, the file pool and the session are put together
// here. Layer: api.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <sluice/server.hpp>

#include "api/certificates.hpp"
#include "api/listen.hpp"
#include "api/urls.hpp"
#include "api/watchdog.hpp"
#include "core/router.hpp"
#include "core/session.hpp"
#include "front/wire/loop.hpp"
#include "io/file_pool.hpp"
#include "io/resolver.hpp"
#include "service/admission/admission.hpp"
#include "service/cache/response_cache.hpp"
#include "service/files/file_service.hpp"
#include "service/forward/forwards.hpp"
#include "service/rate_limit/rate_limit.hpp"
#include "service/upload/upload.hpp"

namespace sluice {
namespace service {
class Authenticator;
struct AuthenticationEvents;
class LogWriter;
}  // namespace service

struct Server::Impl {
  explicit Impl(Server& server)
      : owner(server), certificates([this](LogLevel level, Errc code, const std::string& message) {
          log(level, code, message);
        }) {}
  ~Impl();

  enum class State { stopped, starting, running, stopping };

  // `control` is held by these three.
  Result<void> start();
  void stop(std::chrono::milliseconds drain, std::uint16_t close_code, bool keep_sockets);
  Result<void> restart(std::chrono::milliseconds drain);

  Result<void> apply(const Settings& next);
  void set_queue_active(bool on);
  // False: one is held by a handler.
  bool wait_for_shards();
  void drop_retired();
  // The watchdog's look.
  void look_after(api::Watchdog& dog);

  // A second signal: the drain is over.
  void hurry();
  void async(std::function<void()> work);
  static void add_counters(Counters& sum, const core::ShardCounters& shard);
  void log(LogLevel level, Errc code, std::string_view message) const;
  bool on_own_thread() const;
  std::shared_ptr<core::ServerSession> current() const;
  // The session, without a lock, on a shard of this server; else null.
  core::ServerSession* here() const;

  Server& owner;
  core::Router router;
  struct Directory {
    std::string prefix, path;
    FilesOptions options;
    core::ExchangeHandler handler;  // made at each start
  };
  std::vector<std::unique_ptr<Directory>> directories;
  std::vector<service::Forwards::Setting> forwards_wanted;
  struct UploadFolder {
    std::string prefix, path;
    UploadOptions options;
    core::SinkMaker sink;  // made at each start
  };
  std::vector<std::unique_ptr<UploadFolder>> upload_folders;

  std::mutex control;  // one start, stop or restart at a time
  // Holds it, and knows the thread that does: on_startup and on_shutdown run there.
  class Control {
   public:
    explicit Control(Impl& impl) : impl_(impl), lock_(impl.control) {
      impl_.controller = std::this_thread::get_id();
    }
    ~Control() { impl_.controller = std::thread::id(); }
    Control(const Control&) = delete;
    Control& operator=(const Control&) = delete;

   private:
    Impl& impl_;
    std::lock_guard<std::mutex> lock_;
  };
  std::atomic<std::thread::id> controller{};
  mutable std::mutex mutex;
  std::condition_variable changed;
  State state = State::stopped;
  bool hurried = false, restarting = false;
  std::shared_ptr<core::ServerSession> session;
  std::vector<std::shared_ptr<wire::Loop>> loops;
  std::vector<std::thread> threads;
  Settings started;  // what it was started with
  std::unique_ptr<api::Watchdog> watchdog;
  std::uint32_t repairs = 0;
  std::unique_ptr<service::FileService> files;
  std::unique_ptr<service::Uploads> uploads;
  std::unique_ptr<service::Forwards> forwards;    // null: nothing is forwarded
  std::unique_ptr<io::Resolver> resolver;         // the same
  std::unique_ptr<service::ResponseCache> cache;  // with `mutex`
  // Who may come in, and how often.
  struct Gatekeeping {
    std::shared_ptr<service::Admission> admission;    // null: everybody may
    service::Authenticator* authenticator = nullptr;  // its step
    std::shared_ptr<service::RateLimit> rate_limit;
  };
  Gatekeeping
      gatekeeping;  // in force; after stop() the rate limit, which the next start goes on with
  // That were in force, as long as a request may have come to one.
  std::vector<std::shared_ptr<service::Admission>> retired;
  std::shared_ptr<const service::AuthenticationEvents> authentication_events;  // of this start
  std::shared_ptr<service::LogWriter> log_writer;  // of settings.log_file; null: none
  std::mutex pool_mutex;
  std::unique_ptr<io::FilePool> pool;
  std::vector<api::Prefix> prefixes;
  api::Certificates certificates;  // of https prefixes
  std::unique_ptr<api::Urls> urls;
  std::vector<api::OpenSocket> sockets;  // in force, or kept for the next start
  std::string engine_name, engine_reason;
  Counters totals_before;  // of shards that have ended

  std::mutex async_mutex;
  std::vector<std::thread> async_threads;

 private:
  core::SessionEvents events() const;
  Result<std::vector<api::Prefix>> wanted_prefixes() const;
  // Whether another start would find certificates that it can use.
  Result<void> check_certificates();
  // The prefixes in force with what `next` says of their ssl_options.
  std::vector<api::Prefix> prefixes_with(const Settings& next) const;
  Result<void> open_log();
  Result<void> make_files();
  Result<void> make_forwards();
  Result<void> make_uploads();
  // What is in force goes on where it is asked for again.
  Result<Gatekeeping> make_gatekeeping(const Settings& wanted) const;
  Result<std::unique_ptr<service::Authenticator>> make_authenticator(
      const Authentication& wanted) const;
  Result<void> make_loops(const std::shared_ptr<core::ServerSession>& made);
  Result<io::EngineChoice> make_engine() const;
  void run_loop(wire::Loop& loop);
  std::uint32_t shard_count() const;
  // Fresh ones in the place of silent ones included.
  std::size_t most_loops() const;
  api::SocketOptions socket_options() const;
  std::size_t listening_loop(const api::OpenSocket& socket) const { return socket.loop; }
  bool may_repair();
  void look_at_listeners();
  void look_at_shards(api::Watchdog& dog);
  void revive(wire::Loop& loop);
  void replace_silent(std::size_t index);
  std::size_t open_connections() const;
  std::size_t open_listeners() const;
};

}  // namespace sluice
