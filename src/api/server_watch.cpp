// api/server_watch.cpp - what the watchdog looks at, and what it mends.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>

#include "api/server_impl.hpp"

namespace sluice {
namespace {

using std::chrono::steady_clock;

// How long a look waits for shards to answer when nobody monitors them: those that have lost their
// engine are found by it.
constexpr std::chrono::milliseconds kAnswer{1'000};
constexpr std::chrono::milliseconds kStep{5};

}  // namespace

// On the watchdog's thread, while the server runs: nobody else changes `loops` and `sockets`.
void Server::Impl::look_after(api::Watchdog& dog) {
  look_at_listeners();
  look_at_shards(dog);
}

bool Server::Impl::may_repair() {
  const std::uint32_t attempts = started.watchdog.attempts;
  if (attempts == 0 || repairs < attempts) {
    ++repairs;
    return true;
  }
  if (repairs++ == attempts) {
    log(LogLevel::error, Errc::shard_lost,
        "watchdog.attempts is " + std::to_string(attempts) + ": nothing is repaired any more");
  }
  return false;
}

void Server::Impl::look_at_listeners() {
  struct Gone {
    api::OpenSocket* socket;
    bool ours;
  };
  // All of them before any is opened: a number that is free now may be that of the next.
  std::vector<Gone> gone;
  for (std::size_t i = 0; i < sockets.size(); ++i) {
    const bool twice = std::any_of(sockets.begin(), sockets.begin() + std::ptrdiff_t(i),
                                   [&](const auto& other) { return other.fd == sockets[i].fd; });
    if (api::still_listens(sockets[i]) && !twice) continue;
    gone.push_back({&sockets[i], !twice && api::is_ours(sockets[i])});
  }
  for (const auto& [socket, ours] : gone) {
    log(LogLevel::error, Errc::listener_lost,
        "the listening socket of " + api::show(socket->address) + " has gone");
    if (!may_repair()) continue;
    auto opened = api::reopen(*socket, socket_options());
    if (!opened) {
      log(LogLevel::error, opened.error().code, opened.error().message());
      continue;
    }
    wire::Loop& loop = *loops[listening_loop(*socket)];
    const int before = socket->fd;
    {
      std::lock_guard lock(mutex);
      socket->fd = *opened;
    }
    loop.post([&loop, before, was_ours = ours, fd = *opened] {
      loop.replace_listener(before, was_ours, fd);
    });
    log(LogLevel::warning, Errc::none, "listening on " + api::show(socket->address) + " again");
  }
}

void Server::Impl::look_at_shards(api::Watchdog& dog) {
  const WatchDog::Monitor& monitor = started.watchdog.monitor;
  const auto until = steady_clock::now() + (monitor.enabled ? monitor.timeout : kAnswer);
  const std::size_t count = loops.size();
  // Their own: who answers late finds it there all the same.
  auto answered = std::make_shared<std::vector<std::atomic<bool>>>(count);
  for (std::size_t i = 0; i < count; ++i) {
    loops[i]->post([answered, i] { (*answered)[i].store(true); });
  }
  auto settled = [&](std::size_t i) { return (*answered)[i].load() || loops[i]->lost(); };
  auto all_settled = [&] {
    for (std::size_t i = 0; i < count; ++i) {
      if (!settled(i)) return false;
    }
    return true;
  };
  while (!all_settled() && steady_clock::now() < until) {
    if (dog.wait_until(std::min(until, steady_clock::now() + kStep))) return;
  }
  for (std::size_t i = 0; i < count; ++i) {
    if (loops[i]->lost()) {
      if (!loops[i]->is_promised()) revive(*loops[i]);
    } else if (!settled(i) && monitor.enabled) {
      replace_silent(i);
    }
  }
}

void Server::Impl::revive(wire::Loop& loop) {
  if (!may_repair()) return;
  auto engine = make_engine();
  if (!engine) {
    log(LogLevel::error, engine.error().code, engine.error().message());
    return;
  }
  loop.promise();
  auto made = std::make_shared<std::unique_ptr<io::Engine>>(std::move(engine->engine));
  loop.post([&loop, made] { loop.revive(std::move(*made)); });
  log(LogLevel::warning, Errc::none,
      "shard " + std::to_string(loop.shard().index) + " has a new engine");
}

// A handler holds the shard: it keeps its connections, and whoever comes is served by another.
void Server::Impl::replace_silent(std::size_t index) {
  wire::Loop& silent = *loops[index];
  const std::string name = silent.shard().running_handler();
  log(LogLevel::error, Errc::shard_lost,
      "shard " + std::to_string(silent.shard().index) + " answers nothing" +
          (name.empty() ? std::string() : "; the handler of " + name + " holds it"));
  std::vector<api::OpenSocket*> theirs;
  for (api::OpenSocket& socket : sockets) {
    if (listening_loop(socket) == index) theirs.push_back(&socket);
  }
  if (theirs.empty() || started.fine_tune.operating_mode == OperatingMode::classic) return;
  if (loops.size() >= most_loops() || !may_repair()) return;
  auto engine = make_engine();
  if (!engine) {
    log(LogLevel::error, engine.error().code, engine.error().message());
    return;
  }
  auto fresh =
      std::make_shared<wire::Loop>(session, std::uint32_t(loops.size()), std::move(engine->engine));
  fresh->tie();
  {
    std::lock_guard lock(mutex);
    for (api::OpenSocket* socket : theirs) {
      // What waits there is lost; but it would wait for as long as the handler takes.
      auto opened = api::reopen(*socket, socket_options());
      if (!opened) continue;
      const int before = socket->fd;
      api::stop_listening(before);
      silent.post([&silent, before] { silent.drop_listener(before); });
      socket->fd = *opened;
      socket->loop = loops.size();
      fresh->add_listener({socket->fd, socket->address, socket->any_address, socket->secure});
    }
    loops.push_back(fresh);
    session->shards.push_back(&fresh->shard());
    session->bring_up_to_date(fresh->shard());
  }
  run_loop(*fresh);
  log(LogLevel::warning, Errc::none,
      "shard " + std::to_string(fresh->shard().index) + " has taken its listening sockets");
}

}  // namespace sluice
