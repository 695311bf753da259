// front/wire/upstream_pool.cpp - connections to others: made, and kept for the next request.
#include "front/wire/upstream.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <new>
#include <utility>

#include "front/wire/loop.hpp"
#include "io/failure.hpp"

namespace sluice::wire {
namespace {

// The address as the kernel wants it; 0 where it cannot be one.
socklen_t sockaddr_of(const core::UpstreamAddress& from, sockaddr_storage& to) {
  using Family = core::Endpoint::Family;
  to = {};
  if (from.endpoint.family == Family::ip4) {
    auto& in = reinterpret_cast<sockaddr_in&>(to);
    in.sin_family = AF_INET;
    in.sin_port = htons(from.endpoint.port);
    std::memcpy(&in.sin_addr, from.endpoint.address.data(), 4);
    return sizeof in;
  }
  if (from.endpoint.family == Family::ip6) {
    auto& in = reinterpret_cast<sockaddr_in6&>(to);
    in.sin6_family = AF_INET6;
    in.sin6_port = htons(from.endpoint.port);
    std::memcpy(&in.sin6_addr, from.endpoint.address.data(), 16);
    return sizeof in;
  }
  auto& local = reinterpret_cast<sockaddr_un&>(to);
  local.sun_family = AF_UNIX;
  if (from.path.empty() || from.path.size() >= sizeof local.sun_path) return 0;
  std::memcpy(local.sun_path, from.path.data(), from.path.size());
  if (from.path.front() == '@') {  // no name in the file system
    local.sun_path[0] = '\0';
    return socklen_t(offsetof(sockaddr_un, sun_path) + from.path.size());
  }
  return socklen_t(offsetof(sockaddr_un, sun_path) + from.path.size() + 1);
}

}  // namespace

UpstreamPool::UpstreamPool(Loop& loop) : loop_(loop) {}

UpstreamPool::~UpstreamPool() {
  for (UpstreamConnection* left : all_) delete left;  // their engine has gone
}

UpstreamPool::Host& UpstreamPool::host(const core::UpstreamAddress& address) {
  for (auto& known : hosts_) {
    if (known->address == address) return *known;
  }
  if (hosts_.size() >= kHosts) {
    std::erase_if(hosts_, [](const auto& known) { return known->connections == 0; });
  }
  hosts_.push_back(std::make_unique<Host>());
  hosts_.back()->address = address;
  return *hosts_.back();
}

Result<core::UpstreamCall*> UpstreamPool::call(const core::UpstreamAddress& address,
                                               const core::UpstreamRequest& request,
                                               const core::UpstreamTimes& times,
                                               core::UpstreamEvents& events, bool fresh) {
  if (loop_.lost()) return Error(Errc::shard_lost);
  Host& there = host(address);
  UpstreamConnection* connection = fresh ? nullptr : take_idle(there);
  const bool reused = connection != nullptr;
  if (!connection) {
    auto made = connect(there);
    if (!made) return made.error();
    connection = *made;
  }
  if (!connection->begin(request, times, events, reused)) {
    connection->cancel();
    return Error(Errc::out_of_memory);
  }
  return static_cast<core::UpstreamCall*>(connection);
}

// Of those that wait the one that was used last, if its server has said nothing that we have not
// heard yet: neither its end nor an answer that nobody asked for. When the engine has told us of
// all that there was when this turn began, we have.
UpstreamConnection* UpstreamPool::take_idle(Host& there) {
  while (!there.idle.empty()) {
    UpstreamConnection* found = there.idle.back();
    there.idle.pop_back();
    if (!loop_.engine().tells_more()) return found;
    std::byte one;
    if (::recv(found->fd, &one, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN) return found;
    found->close(io::CloseMode::graceful);
  }
  return nullptr;
}

// The handshake goes on while the request waits behind it: sending begins when it is over, and
// receiving tells of its failure.
Result<UpstreamConnection*> UpstreamPool::connect(Host& there) {
  sockaddr_storage address;
  const socklen_t size = sockaddr_of(there.address, address);
  if (size == 0) return Error(Errc::upstream_unreachable, there.address.text() + ": no such path");
  const int fd = ::socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return io::system_error("socket", errno);
  if (address.ss_family != AF_UNIX) {
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), size) != 0 && errno != EINPROGRESS) {
    const Error why = io::system_error("connect", errno);
    ::close(fd);
    return Error(Errc::upstream_unreachable, there.address.text() + ": " + why.message());
  }
  std::unique_ptr<UpstreamConnection> made;
  try {
    made = std::make_unique<UpstreamConnection>(*this, there);
    all_.push_back(made.get());
  } catch (const std::bad_alloc&) {
    ::close(fd);
    return Error(Errc::out_of_memory);
  }
  made->place_ = all_.size() - 1;
  if (there.address.security) {
    Error why = Errc::out_of_memory;
    try {
      auto secured = made->secure_with(*there.address.security);
      why = secured ? Error() : secured.error();
    } catch (const std::bad_alloc&) {  // as it stands
    }
    if (why) {
      all_.pop_back();
      ::close(fd);
      return why;
    }
  }
  made->open(fd);
  return made.release();
}

void UpstreamPool::flush() {
  while (!dirty_.empty()) {
    UpstreamConnection* next = dirty_.back();
    dirty_.pop_back();
    next->dirty_ = false;
    next->flush();
  }
}

// False: it is not needed.
bool UpstreamPool::keep(UpstreamConnection& connection) {
  if (draining_ || loop_.lost()) return false;
  std::vector<UpstreamConnection*>& idle = connection.host_.idle;
  if (idle.size() >= kIdle) {
    UpstreamConnection* oldest = idle.front();
    idle.erase(idle.begin());
    oldest->close(io::CloseMode::graceful);
  }
  try {
    idle.push_back(&connection);
  } catch (const std::bad_alloc&) {
    return false;
  }
  return true;
}

void UpstreamPool::forget_idle(UpstreamConnection& connection) {
  std::vector<UpstreamConnection*>& idle = connection.host_.idle;
  idle.erase(std::remove(idle.begin(), idle.end(), &connection), idle.end());
}

void UpstreamPool::gone(UpstreamConnection& connection) {
  if (connection.dirty_) {
    dirty_.erase(std::remove(dirty_.begin(), dirty_.end(), &connection), dirty_.end());
  }
  all_[connection.place_] = all_.back();
  all_[connection.place_]->place_ = connection.place_;
  all_.pop_back();
  delete &connection;
}

void UpstreamPool::drain() {
  draining_ = true;
  const std::vector<UpstreamConnection*> here = all_;
  for (UpstreamConnection* each : here) {
    if (!each->events_) each->close(io::CloseMode::graceful);
  }
}

void UpstreamPool::close_all() {
  draining_ = true;
  const std::vector<UpstreamConnection*> here = all_;
  for (UpstreamConnection* each : here) {
    if (!each->events_) each->cancel();  // the others end with their clients
  }
}

void UpstreamPool::abandon(io::Engine& engine) {
  const std::vector<UpstreamConnection*> here = all_;
  for (UpstreamConnection* each : here) engine.abandon(each->socket());
}

}  // namespace sluice::wire
