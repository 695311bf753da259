// bench/guard/main.cpp - the figures, one line each. `run` calls it; see there.
//
//   guard paths             the names of all paths
//   guard sim PATH          runs it on the sim engine: operations, then allocations
//   guard calls ENGINE      system calls per operation of each path, on uring or epoll
//   guard layout            the classes of a shard that may share a cache line with another shard
#include <unistd.h>

#include <cstdio>
#include <string>
#include <string_view>
#include <thread>

#include "io/epoll/epoll_engine.hpp"
#include "io/uring/uring_engine.hpp"
#include "real_world.hpp"
#include "sim_world.hpp"

namespace sluice::guard {

void give_up(const std::string& why) {
  std::fprintf(stderr, "guard: %s\n", why.c_str());
  std::fflush(nullptr);
  ::_exit(3);
}

namespace {

int show_paths() {
  for (const Path& path : paths()) std::printf("%s\n", path.name);
  return 0;
}

const Path& path_named(std::string_view name) {
  for (const Path& path : paths()) {
    if (name == path.name) return path;
  }
  give_up("no path is called " + std::string(name));
}

int run_sim(std::string_view name) {
  const Path& path = path_named(name);
  auto& world = *new SimWorld(path);
  std::unique_ptr<Script> script = path.make();
  script->prepare(world);
  for (int i = 0; i < 3; ++i) world.run_round(*script, path);
  const std::size_t before = server_news();
  measure(world, *script, path);
  const std::size_t allocations = server_news() - before;
  std::printf("%zu %zu\n", path.rounds * operations_in_round(path, world), allocations);
  std::fflush(stdout);
  world.remove_folder();
  ::_exit(0);  // what comes behind measure() must not be counted
}

void measure_calls(TracedServer& server, const Path& path) {
  RealWorld world(server);
  std::printf("%s %.6g\n", path.name, world.measure(path));
  std::fflush(stdout);
  server.end();
}

int run_calls(std::string_view name) {
  const auto engine = name == "uring" ? io::EngineKind::uring : io::EngineKind::epoll;
  if (auto why = missing(engine)) {
    std::fprintf(stderr, "guard: no figures of %s: %s\n", name.data(), why->c_str());
    return 4;
  }
  for (const Path& path : paths()) {
    if (!path.real) continue;
    TracedServer server(engine, path);
    std::thread clients(measure_calls, std::ref(server), std::cref(path));
    server.trace();
    clients.join();
  }
  return 0;
}

// Two objects made one after the other share no line only if both begin at one and fill the last.
template <class Owned>
void check_lines(const char* name) {
  constexpr std::size_t kLine = 64;
  if (alignof(Owned) % kLine != 0) std::printf("%s\n", name);
}

int check_layout() {
  check_lines<wire::Loop>("wire::Loop");  // with the Shard and its counters
  check_lines<core::Mailbox>("core::Mailbox");
  check_lines<io::UringEngine>("io::UringEngine");
  check_lines<io::EpollEngine>("io::EpollEngine");
  return 0;
}

int run(int count, char** arguments) {
  const std::string_view what = count > 1 ? arguments[1] : "";
  if (what == "paths") return show_paths();
  if (what == "layout") return check_layout();
  if (what == "sim" && count == 3) return run_sim(arguments[2]);
  if (what == "calls" && count == 3) return run_calls(arguments[2]);
  std::fprintf(stderr, "usage: guard paths | sim PATH | calls uring|epoll | layout\n");
  return 2;
}

}  // namespace
}  // namespace sluice::guard

int main(int count, char** arguments) { return sluice::guard::run(count, arguments); }
