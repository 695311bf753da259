// io/engine.cpp - which engine a shard gets, and how many descriptors the process may have.
#include "io/engine.hpp"

#include <sys/resource.h>

#include <string>
#include <utility>

namespace sluice::io {

Result<EngineChoice> make_engine(EngineKind kind, const EngineOptions& options) {
  std::string why = "epoll, as asked";
  if (kind != EngineKind::epoll) {
    Result<std::unique_ptr<Engine>> engine = make_uring_engine(options);
    if (engine) {
      return EngineChoice{std::move(*engine),
                          kind == EngineKind::uring ? "io_uring, as asked" : "io_uring"};
    }
    if (kind == EngineKind::uring) return engine.error();
    why = "epoll, because io_uring is not available (" + engine.error().detail + ")";
  }
  Result<std::unique_ptr<Engine>> engine = make_epoll_engine(options);
  if (!engine) return engine.error();
  return EngineChoice{std::move(*engine), std::move(why)};
}

std::size_t raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
  rlimit wanted{limit.rlim_max, limit.rlim_max};
  if (limit.rlim_cur < limit.rlim_max && ::setrlimit(RLIMIT_NOFILE, &wanted) == 0) limit = wanted;
  return limit.rlim_cur == RLIM_INFINITY ? SIZE_MAX : std::size_t(limit.rlim_cur);
}

}  // namespace sluice::io
