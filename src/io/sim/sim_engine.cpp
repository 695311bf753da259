// io/sim/sim_engine.cpp - the contract of io/engine.hpp, played in memory.
#include "io/sim/sim_engine.hpp"

#include <errno.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/check.hpp"

namespace sluice::io {
namespace {

// Socket::flags. Every socket is in open_, starved_ or finished_.
enum : std::uint16_t {
  kStarved = 1 << 0,
  kPaused = 1 << 1,
  kEnded = 1 << 2,  // on_end has been told
  kShutdownLater = 1 << 3,
  kDetaching = 1 << 4,
  kClosing = 1 << 5,
  kAborting = 1 << 6,
  kExpectsBulk = 1 << 7,
};
constexpr std::uint16_t kLeaving = kDetaching | kClosing;

// Listener::flags.
enum : std::uint16_t { kListenerClosing = 1 << 0, kListenerLeaving = 1 << 1 };

constexpr auto kAcceptRest = std::chrono::milliseconds(100);

void set(Socket& socket, std::uint16_t bits) { socket.flags = std::uint16_t(socket.flags | bits); }
void clear(Socket& socket, std::uint16_t bits) {
  socket.flags = std::uint16_t(socket.flags & ~bits);
}

}  // namespace

// --- the network ---------------------------------------------------------------------------------

void SimPeer::reset() {
  state_->to_server.clear();
  state_->peer_reset = true;
}

int SimNetwork::add(Entry entry) {
  entries_.push_back(std::move(entry));
  ++open_;
  return kFirst + int(entries_.size()) - 1;
}

SimNetwork::Entry& SimNetwork::at(int fd) {
  SLUICE_CHECK(fd >= kFirst && std::size_t(fd - kFirst) < entries_.size());
  return entries_[std::size_t(fd - kFirst)];
}

std::pair<int, SimPeer> SimNetwork::open_connection() {
  auto connection = std::make_shared<SimConnection>();
  int fd = add({.connection = connection, .backlog = {}});
  return {fd, SimPeer(std::move(connection))};
}

int SimNetwork::open_listener() { return add({}); }

SimPeer SimNetwork::connect(int listener) {
  auto [fd, peer] = open_connection();
  at(listener).backlog.push_back(fd);
  return peer;
}

bool SimNetwork::is_open(int fd) const {
  return fd >= kFirst && std::size_t(fd - kFirst) < entries_.size() &&
         entries_[std::size_t(fd - kFirst)].open;
}

std::size_t SimNetwork::backlog(int listener) const {
  return entries_[std::size_t(listener - kFirst)].backlog.size();
}

void SimNetwork::close(int fd, bool reset) {
  Entry& entry = at(fd);
  SLUICE_CHECK(entry.open);
  entry.open = false;
  --open_;
  if (!entry.connection) return;
  entry.connection->server_closed = true;
  (reset ? entry.connection->server_reset : entry.connection->server_ended) = true;
}

void SimNetwork::fail_nth(SimOperation operation, std::uint64_t nth, Errc code) {
  auto which = std::size_t(operation);
  faults_[which] = {counts_[which] + nth, code};
}

Errc SimNetwork::count_one(SimOperation operation) {
  auto which = std::size_t(operation);
  return ++counts_[which] == faults_[which].at ? faults_[which].code : Errc::none;
}

// --- sockets -------------------------------------------------------------------------------------

SimConnection& SimEngine::connection(const Socket& socket) {
  return *network_.at(socket.fd).connection;
}

void SimEngine::adopt(Socket& socket, int fd, Bytes already) {
  socket.begin(fd);
  Activity* activity = activities_.of(socket);
  if (!activity) {
    fail(socket, Errc::out_of_memory);
    return;
  }
  open_.push_back(*activity);
  if (Errc code = network_.count_one(SimOperation::adopt); code != Errc::none) {
    fail(socket, code);
  } else if (!already.empty() && !activities_.hold_unread(socket, pool_, already)) {
    fail(socket, Errc::out_of_memory);
  }
}

std::size_t SimEngine::send(Socket& socket, std::span<const iovec> parts, bool) {
  SLUICE_CHECK(socket.is_adopted() && !socket.sending() && parts.size() <= kMaxParts);
  if (total_size(parts) == 0 || (socket.flags & kLeaving)) return 0;
  if (!activities_.hold(socket, parts, 0)) {
    fail(socket, Errc::out_of_memory);
    return 0;
  }
  return options_.inline_completions ? push(socket) : 0;
}

std::size_t SimEngine::send_file(Socket& socket, int file, std::uint64_t offset,
                                 std::size_t length) {
  SLUICE_CHECK(socket.is_adopted() && !socket.sending());
  if (length == 0 || (socket.flags & kLeaving)) return 0;
  if (!activities_.hold_file(socket, file, offset, length)) {
    fail(socket, Errc::out_of_memory);
    return 0;
  }
  return options_.inline_completions ? push(socket) : 0;
}

// Moves what the peer takes. Returns how many bytes that were.
std::size_t SimEngine::push(Socket& socket) {
  std::size_t sent = 0;
  SimConnection& connection = this->connection(socket);
  while (socket.sending() && (connection.window > 0 || connection.peer_reset)) {
    Errc code = network_.count_one(SimOperation::send);
    if (code == Errc::none && (connection.peer_reset || connection.peer_closed)) {
      code = Errc::connection_reset;
    }
    ssize_t n = code == Errc::none ? push_some(socket) : 0;
    if (n <= 0) {
      fail(socket, code == Errc::none ? Errc::io_failed : code);
      break;
    }
    if (connection.window != SIZE_MAX) connection.window -= std::size_t(n);
    counters_.sent_bytes += std::uint64_t(n);
    sent += std::size_t(n);
    activities_.advance(socket, std::size_t(n));
  }
  return sent;
}

// One contiguous run of the outstanding send. Like a system call; 0 at the end of a file.
ssize_t SimEngine::push_some(Socket& socket) {
  SimConnection& connection = this->connection(socket);
  const Activity& left = *socket.activity();
  Outgoing* outgoing = left.outgoing;
  std::size_t most = std::min<std::size_t>(left.send_left, connection.window);
  if (left.file >= 0) {
    std::string bytes(std::min<std::size_t>(most, 65536), '\0');
    ssize_t n = ::pread(left.file, bytes.data(), bytes.size(), off_t(left.offset));
    if (n > 0) connection.to_peer.append(bytes, 0, std::size_t(n));
    return n;
  }
  iovec run{const_cast<std::byte*>(left.send_at), most};
  if (outgoing) {
    run = *outgoing->message.msg_iov;
    if (run.iov_len == 0) {
      ++outgoing->message.msg_iov;
      return push_some(socket);
    }
  }
  run.iov_len = std::min(run.iov_len, most);
  connection.to_peer.append(static_cast<const char*>(run.iov_base), run.iov_len);
  return ssize_t(run.iov_len);
}

void SimEngine::pause(Socket& socket) { set(socket, kPaused); }
void SimEngine::resume(Socket& socket) { clear(socket, kPaused); }
void SimEngine::expect_bulk(Socket& socket, bool bulk) {
  bulk ? set(socket, kExpectsBulk) : clear(socket, kExpectsBulk);
}

void SimEngine::shutdown_send(Socket& socket) {
  if (socket.flags & kLeaving) return;
  if (socket.sending()) {
    set(socket, kShutdownLater);
  } else {
    connection(socket).server_ended = true;
  }
}

void SimEngine::close(Socket& socket, CloseMode mode) {
  if (mode == CloseMode::abort) set(socket, kAborting);
  if (!(socket.flags & kClosing)) leave(socket, kClosing);
}

void SimEngine::detach(Socket& socket) {
  if (socket.flags & kLeaving) return;
  SLUICE_CHECK(!socket.sending());
  leave(socket, kDetaching);
}

void SimEngine::leave(Socket& socket, std::uint16_t how) {
  set(socket, how);
  clear(socket, kStarved);
  if (socket.activity()) SocketList::remove(socket);
  finished_.push_back(socket);
}

void SimEngine::fail(Socket& socket, Errc code) {
  if (socket.flags & kLeaving) return;
  connection(socket).failure = code;
  leave(socket, kClosing);
}

// --- a turn --------------------------------------------------------------------------------------

std::size_t SimEngine::run() {
  std::size_t first = events_, before;
  do {
    before = events_;
    wait(base::Instant::min());
  } while (events_ != before || !finished_.empty());
  return events_ - first;
}

void SimEngine::wait(base::Instant) {
  woken_.store(false);
  now_ = network_.now();
  ++counters_.waits;
  kept_.reclaim(true);
  std::vector<Listener*> listeners = listeners_;
  for (Listener* listener : listeners) accept_some(*listener, options_.accepts_per_wake);
  SocketList turn;
  turn.splice(starved_);
  turn.splice(open_);
  while (Socket* socket = turn.pop_front()) {
    clear(*socket, kStarved);
    open_.push_back(*socket->activity());
    serve(*socket);
  }
  EndedList done = std::exchange(finished_, {});
  while (Socket* socket = done.pop_front()) finish(*socket);
  listeners = listeners_;
  for (Listener* listener : listeners) {
    if (listener->flags & (kListenerClosing | kListenerLeaving)) finish_listener(*listener);
  }
}

void SimEngine::serve(Socket& socket) {
  std::size_t sent = socket.sending() ? push(socket) : 0;
  if (sent > 0 && !(socket.flags & kLeaving)) {
    if (!socket.sending() && (socket.flags & kShutdownLater)) {
      clear(socket, kShutdownLater);
      connection(socket).server_ended = true;
    }
    ++events_;
    tell_sent(socket, sent);
  }
  if (socket.flags & kLeaving) return;
  if (connection(socket).peer_reset) {  // noticed by a paused socket too
    fail(socket, Errc::connection_reset);
    return;
  }
  if (socket.flags & kPaused) return;
  if (has_unread(socket)) {
    auto [block, size] = activities_.take_unread(socket);
    ++events_;
    tell_received(socket, {block.get(), {block->data(), size}});
    return;
  }
  receive(socket);
}

void SimEngine::receive(Socket& socket) {
  SimConnection& connection = this->connection(socket);
  bool end = connection.to_server.empty();
  if (end && (!connection.peer_ended || (socket.flags & kEnded))) return;
  const bool bulk = socket.flags & kExpectsBulk;
  if (bulk && !connection.peer_ended && connection.to_server.size() < kBulkWait) return;
  if (kept_.size() >= options_.receive_blocks) {
    starve(socket);
    return;
  }
  const std::size_t room = bulk ? kBulkBlock : options_.receive_block_bytes;
  base::BlockRef block = pool_.take(room);
  if (!block) {
    starve(socket);
    return;
  }
  if (Errc code = network_.count_one(SimOperation::receive); code != Errc::none) {
    fail(socket, code);
    return;
  }
  ++events_;
  if (end) {
    set(socket, kEnded);
    block.reset();
    tell_end(socket);
    return;
  }
  std::size_t size = std::min({connection.to_server.size(), room, network_.most_});
  connection.to_server.copy(block->text(), size);
  connection.to_server.erase(0, size);
  counters_.received_bytes += size;
  tell_received(socket, {block.get(), {block->data(), size}});
  if (block->refs() > 1) kept_.add(std::move(block));
}

void SimEngine::starve(Socket& socket) {
  ++counters_.out_of_blocks;
  SocketList::remove(socket);
  set(socket, kStarved);
  starved_.push_back(*socket.activity());
}

void SimEngine::finish(Socket& socket) {
  std::unique_ptr<Unread> unread = activities_.drop(socket);
  int fd = std::exchange(socket.fd, -1);
  std::uint16_t flags = std::exchange(socket.flags, std::uint16_t(0));
  Errc failure = std::exchange(network_.at(fd).connection->failure, Errc::none);
  ++events_;
  if (!(flags & kClosing)) {
    std::string storage;
    std::optional<Bytes> bytes = unread ? unread->gather(storage) : Bytes();
    if (bytes) {
      socket.on_detached(fd, *bytes);
      return;
    }
    failure = Errc::out_of_memory;
  }
  unread.reset();
  network_.close(fd, flags & kAborting);
  tell_closed(socket, failure);
}

// --- listeners -----------------------------------------------------------------------------------

void SimEngine::listen(Listener& listener, int fd, ListenerEvents& events) {
  listener.fd = fd;
  listener.flags = listener.pending = 0;
  listener.events = &events;
  listener.extra = 0;  // when accepting is tried again, in nanoseconds of the network's clock
  listeners_.push_back(&listener);
}

void SimEngine::accept_some(Listener& listener, std::size_t most) {
  if (listener.extra > std::uint64_t(now_.time_since_epoch().count())) return;
  for (; most > 0; --most) {
    if (listener.flags & kListenerLeaving) return;
    std::vector<int>& backlog = network_.at(listener.fd).backlog;
    if (backlog.empty()) return;
    ++events_;
    if (Errc code = network_.count_one(SimOperation::accept); code != Errc::none) {
      listener.extra = std::uint64_t((now_ + kAcceptRest).time_since_epoch().count());
      listener.events->on_accept_failed(code);
      return;
    }
    int fd = backlog.front();
    backlog.erase(backlog.begin());
    ++counters_.accepted;
    listener.events->on_accepted(fd, nullptr);
  }
}

void SimEngine::close_listener(Listener& listener) {
  if (listener.flags & kListenerLeaving) return;
  listener.flags |= kListenerClosing;
}

void SimEngine::leave_listener(Listener& listener) {
  if (listener.flags & kListenerClosing) return;
  listener.flags |= kListenerLeaving;
}

void SimEngine::finish_listener(Listener& listener) {
  std::erase(listeners_, &listener);
  if (listener.flags & kListenerClosing) {
    listener.extra = 0;
    accept_some(listener, SIZE_MAX);
    network_.close(std::exchange(listener.fd, -1), false);
  }
  ++events_;
  ListenerEvents* events = std::exchange(listener.events, nullptr);
  events->on_listener_closed(std::exchange(listener.fd, -1));
}

}  // namespace sluice::io
