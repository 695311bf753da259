// core/connection.cpp - what any thread may ask of a connection.
#include "core/connection.hpp"

#include "core/dispatcher.hpp"
#include "core/shard.hpp"

namespace sluice::core {

Connection::~Connection() { delete pool_queue; }

bool Connection::on_own_shard() const {
  Shard* current = Shard::current();
  return current && current->mailbox == mailbox;
}

SendStatus Connection::run_on_shard(base::Task task, std::size_t bytes) {
  if (!is_open()) return SendStatus::gone;
  if (on_own_shard()) {
    task();
    return SendStatus::queued;
  }
  return mailbox->post(std::move(task), bytes);
}

}  // namespace sluice::core
