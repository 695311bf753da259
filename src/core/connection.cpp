// core/connection.cpp - what any thread may ask of a connection.
#include "core/connection.hpp"

#include <algorithm>
#include <vector>

#include "base/check.hpp"
#include "core/bandwidth.hpp"
#include "core/deflate_pool.hpp"
#include "core/dispatcher.hpp"
#include "core/session.hpp"
#include "core/shard.hpp"
#include "core/url_group.hpp"
#include "core/websocket.hpp"

namespace sluice::core {

struct Connection::Extras {
  std::any data;
  PoolQueue pool_queue;
  DestinationRef before;                                // which nobody else remembers
  std::vector<std::shared_ptr<UrlConnections>> groups;  // with a limit, that count it (shard)
  std::shared_ptr<Bandwidth> bandwidth;                 // of its last request's group (shard)
  std::uint64_t message_bytes = 0;                      // 0: the server's (shard)
  std::atomic<const Identity*> identity{nullptr};       // set once; read on any thread
  std::unique_ptr<DeflateContexts> deflate;             // (shard)
  ~Extras() { delete identity.load(std::memory_order_relaxed); }
};

Connection::Connection(DestinationRef destination)
    : created_seconds_(std::uint32_t(destination->home->shard->wall_seconds())),
      destination_(destination.leave()) {
  destination_->home->retain();
}

Connection::~Connection() {
  Home& own = *destination_->home;
  delete extras_.load(std::memory_order_relaxed);
  DestinationRef::drop(destination_);
  own.release();
}

void Connection::set_destination(DestinationRef destination) {
  const Destination& before = this->destination();
  if (DestinationRef::is_last_use(before)) extras().before = DestinationRef(&before);
  DestinationRef::drop(
      std::atomic_ref(destination_).exchange(destination.leave(), std::memory_order_acq_rel));
}

WebSocket* Connection::websocket() const {
  return websocket_flag_.load(std::memory_order_relaxed) ? static_cast<WebSocket*>(stream.get())
                                                         : nullptr;
}

Connection::Extras& Connection::extras() {
  Extras* extras = extras_.load(std::memory_order_acquire);
  if (extras) return *extras;
  auto made = std::make_unique<Extras>();
  // on_error may be running on the pool while the shard looks at the next request.
  if (!extras_.compare_exchange_strong(extras, made.get(), std::memory_order_acq_rel))
    return *extras;
  return *made.release();
}

void Connection::set_identity(const Identity& identity) {
  const Identity* before =
      extras().identity.exchange(new Identity(identity), std::memory_order_acq_rel);
  SLUICE_CHECK(before == nullptr);
}

const Identity* Connection::identity() const {
  const Extras* extras = extras_.load(std::memory_order_acquire);
  return extras ? extras->identity.load(std::memory_order_acquire) : nullptr;
}

bool Connection::enter_group(const UrlGroupView& group) {
  auto& entered = extras().groups;
  if (std::find(entered.begin(), entered.end(), group.connections) != entered.end()) return true;
  entered.reserve(entered.size() + 1);  // nothing is counted without memory to remember it
  if (!group.enter_connection()) return false;
  entered.push_back(group.connections);
  return true;
}

void Connection::leave_groups() {
  Extras* extras = extras_.load(std::memory_order_acquire);
  if (!extras) return;
  for (const auto& group : extras->groups) group->leave();
  extras->groups.clear();
}

void Connection::charge(const std::shared_ptr<Bandwidth>& group) {
  if (group || extras_.load(std::memory_order_acquire)) extras().bandwidth = group;
  paced_ = group || shard().settings().bandwidth;
}

const std::shared_ptr<Bandwidth>& Connection::bandwidth() const {
  static const std::shared_ptr<Bandwidth> kNone;
  const Extras* extras = extras_.load(std::memory_order_acquire);
  return extras ? extras->bandwidth : kNone;
}

void Connection::limit_messages(std::uint64_t bytes) { extras().message_bytes = bytes; }

std::uint64_t Connection::message_bytes() const {
  const Extras* extras = extras_.load(std::memory_order_acquire);
  return extras ? extras->message_bytes : 0;
}

DeflateContexts& Connection::deflate_contexts() {
  auto& contexts = extras().deflate;
  if (!contexts) contexts = std::make_unique<DeflateContexts>();
  return *contexts;
}

// Here, because these look without making anything: the peer gets, or has missed, a compressed
// message that is not our context's, so that what comes next refers to nothing before it.
void WebSocket::forget_sent() {
  if (!connection_.destination().deflate->server_context_takeover) return;
  const Connection::Extras* extras = connection_.extras_.load(std::memory_order_acquire);
  if (extras && extras->deflate) extras->deflate->stale = true;
}

// It has ended: those who keep a handle keep no contexts.
void WebSocket::drop_contexts() noexcept {
  Connection::Extras* extras = connection_.extras_.load(std::memory_order_acquire);
  if (extras) extras->deflate.reset();
}

std::any& Connection::data() { return extras().data; }
PoolQueue& Connection::pool_queue() { return extras().pool_queue; }

bool Connection::on_own_shard() const {
  Shard* current = Shard::current();
  return current && current->home == destination().home;
}

SendStatus Connection::run_on_shard(base::Task task, std::size_t bytes) {
  if (!is_open()) return SendStatus::gone;
  if (on_own_shard()) {
    task();
    return SendStatus::queued;
  }
  return mailbox().post(std::move(task), bytes);
}

}  // namespace sluice::core
