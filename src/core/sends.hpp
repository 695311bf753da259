// core/sends.hpp - sends of which on_asynchronous is told.
//
// None of this is used without the setting `asynchronous`. A send has a receipt from the call on:
// it waits in PendingSends while it is on its way to the shard, then in the connection's queue,
// then in EndedSends until a moment at which a handler may run. Layer: core.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <utility>

#include <sluice/connection.hpp>

#include "core/receipt.hpp"

namespace sluice::core {

class Connection;
class EndedSends;
class ServerSession;

class SendReceipt final : public Receipt, public std::enable_shared_from_this<SendReceipt> {
 public:
  // Thread: any.
  SendReceipt(Connection& connection, std::size_t bytes, std::uint64_t tag);
  void ended(const Error& why) noexcept override;

 private:
  friend class EndedSends;
  friend class PendingSends;
  const sluice::Connection connection_;
  SendResult result_;
  bool ended_ = false;
  std::uint64_t number_ = 0;           // in PendingSends
  std::shared_ptr<SendReceipt> next_;  // in EndedSends
};

// Sends from other threads that their shard has not seen yet. One whose connection ends meanwhile
// is told of before on_disconnect, so that this stays the last event. Thread: any.
class PendingSends {
 public:
  // False: the connection has gone.
  bool add(const Connection& connection, const std::shared_ptr<SendReceipt>& receipt);
  // False: it is not there any more, for end_all() has told it.
  bool remove(const Connection& connection, const SendReceipt& receipt);
  // Shard, after the connection has been marked as closed: none is added any more.
  void end_all(const Connection& connection);

 private:
  std::mutex mutex_;
  std::uint64_t last_ = 0;
  std::map<std::pair<const Connection*, std::uint64_t>, std::shared_ptr<SendReceipt>> waiting_;
};

// Those of one shard that have ended and of which nobody has been told. Thread: shard.
class EndedSends {
 public:
  EndedSends() = default;
  EndedSends(const EndedSends&) = delete;
  EndedSends& operator=(const EndedSends&) = delete;
  ~EndedSends();

  bool empty() const { return first_ == nullptr; }
  void add(std::shared_ptr<SendReceipt> receipt) noexcept;
  // Calls on_asynchronous for each, in order.
  void tell(ServerSession& session);

 private:
  std::shared_ptr<SendReceipt> take_first() noexcept;
  std::shared_ptr<SendReceipt> first_;
  SendReceipt* last_ = nullptr;
};

}  // namespace sluice::core
