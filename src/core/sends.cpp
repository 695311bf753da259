// core/sends.cpp - from the call to the event.
#include "core/sends.hpp"

#include <new>
#include <vector>

#include "core/connection.hpp"
#include "core/session.hpp"
#include "core/shard.hpp"
#include "core/step.hpp"

namespace sluice::core {

SendReceipt::SendReceipt(Connection& connection, std::size_t bytes, std::uint64_t tag)
    : connection_(connection.handle()) {
  result_.bytes = bytes;
  result_.tag = tag;
}

void SendReceipt::ended(const Error& why) noexcept {
  if (ended_) return;
  ended_ = true;
  result_.error.code = why.code;  // words may need memory: on_error has them
  Connection::of(connection_)->shard().ended_sends.add(shared_from_this());
}

bool PendingSends::add(const Connection& connection, const std::shared_ptr<SendReceipt>& receipt) {
  std::lock_guard lock(mutex_);
  if (!connection.is_open()) return false;
  receipt->number_ = ++last_;
  waiting_.emplace(std::pair(&connection, receipt->number_), receipt);
  return true;
}

bool PendingSends::remove(const Connection& connection, const SendReceipt& receipt) {
  std::lock_guard lock(mutex_);
  return waiting_.erase({&connection, receipt.number_}) == 1;
}

void PendingSends::end_all(const Connection& connection) {
  std::lock_guard lock(mutex_);
  auto from = waiting_.lower_bound({&connection, 0});
  while (from != waiting_.end() && from->first.first == &connection) {
    from->second->ended(Errc::gone);
    from = waiting_.erase(from);
  }
}

// One after the other: a long list must not be destroyed by its first.
EndedSends::~EndedSends() {
  while (take_first()) {
  }
}

std::shared_ptr<SendReceipt> EndedSends::take_first() noexcept {
  std::shared_ptr<SendReceipt> taken = std::move(first_);
  if (taken) first_ = std::move(taken->next_);
  if (!first_) last_ = nullptr;
  return taken;
}

void EndedSends::add(std::shared_ptr<SendReceipt> receipt) noexcept {
  SendReceipt* added = receipt.get();
  (last_ ? last_->next_ : first_) = std::move(receipt);
  last_ = added;
}

void EndedSends::tell(ServerSession& session) {
  // What ends meanwhile waits for the next time: a handler that sends again is not called for ever.
  const SendReceipt* last = last_;
  while (std::shared_ptr<SendReceipt> receipt = take_first()) {
    step(*Connection::of(receipt->connection_),
         [&] { session.sent_event(*Connection::of(receipt->connection_), receipt->result_); });
    if (receipt.get() == last) break;
  }
}

}  // namespace sluice::core
