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

#include "api/listen.hpp"
#include "core/router.hpp"
#include "core/session.hpp"
#include "front/wire/loop.hpp"
#include "io/file_pool.hpp"
#include "service/files/file_service.hpp"

namespace sluice {

struct Server::Impl {
  explicit Impl(Server& server) : owner(server) {}
  ~Impl();

  enum class State { stopped, starting, running, stopping };

  // `control` is held by these three.
  Result<void> start();
  void stop(std::chrono::milliseconds drain, std::uint16_t close_code, bool keep_sockets);
  Result<void> restart(std::chrono::milliseconds drain);

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
  std::unique_ptr<service::FileService> files;
  std::mutex pool_mutex;
  std::unique_ptr<io::FilePool> pool;
  std::vector<api::Prefix> prefixes;
  std::vector<api::OpenSocket> sockets;  // in force, or kept for the next start
  std::string engine_name, engine_reason;
  Counters totals_before;  // of shards that have ended

  std::mutex async_mutex;
  std::vector<std::thread> async_threads;

 private:
  Result<void> check_settings() const;
  core::SessionSettings settings() const;
  core::SessionEvents events() const;
  Result<std::vector<api::Prefix>> wanted_prefixes() const;
  Result<void> make_files();
  Result<void> make_loops(const std::shared_ptr<core::ServerSession>& made);
  std::vector<core::ServedHost> served_hosts() const;
  std::size_t open_connections() const;
  std::size_t open_listeners() const;
};

}  // namespace sluice
