// core/connection.cpp - what any thread may ask of a connection.
#include "core/connection.hpp"

#include "core/dispatcher.hpp"
#include "core/shard.hpp"
#include "core/websocket.hpp"

namespace sluice::core {

struct Connection::Extras {
  std::any data;
  PoolQueue pool_queue;
  DestinationRef before;  // which nobody else remembers
};

Connection::Connection(DestinationRef destination)
    : created_seconds_(std::uint32_t(destination->home->shard->wall_seconds())),
      destination_(destination.leave()) {
  destination_->home->retain();
}

Connection::~Connection() {
  Home& own = *destination_->home;
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
  if (!extras_) extras_ = std::make_unique<Extras>();
  return *extras_;
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
