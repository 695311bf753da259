// core/raw_stream.cpp - bytes in, bytes out.
#include "core/raw_stream.hpp"

#include <memory>
#include <utility>

#include "core/dispatcher.hpp"
#include "core/session.hpp"
#include "core/shard.hpp"

namespace sluice::core {
namespace {

// How long the peer may take for what is queued when the connection ends.
constexpr std::uint64_t kLinger = 2'000;

}  // namespace

StreamPtr RawStream::make(Connection& connection) { return StreamPtr(new RawStream(connection)); }

SendStatus RawStream::send(Bytes bytes, bool last) {
  if (finishing_ || ended_) return SendStatus::gone;
  const std::size_t queued = connection_.queued();
  const std::size_t budget = connection_.shard().settings().limits.send_queue_bytes;
  if (queued > 0 && queued + bytes.size() > budget) return SendStatus::would_block;
  if (!bytes.empty()) connection_.write(bytes);
  if (last) finish();
  return SendStatus::queued;
}

void RawStream::finish() {
  if (finishing_ || ended_) return;
  finishing_ = true;
  connection_.finish(kLinger, !last_told_);
}

void RawStream::on_bytes(base::Block& block, std::span<std::byte> bytes) {
  if (!finishing_ && !ended_) deliver(&block, bytes, false);
}

void RawStream::on_end() { deliver(nullptr, {}, true); }
void RawStream::on_drain(std::uint16_t) { finish(); }

void RawStream::on_ended(const Error&) {
  ended_ = true;
  deliver(nullptr, {}, true);
}

void RawStream::deliver(base::Block* block, Bytes piece, bool last) {
  if (last_told_) return;
  last_told_ = last;
  ServerSession& session = connection_.shard().session;
  Dispatcher& dispatcher = session.dispatcher;
  const auto& handler = session.events.on_raw_data;
  if (!dispatcher.uses_pool()) {
    bool fine = !handler || dispatcher.call(connection_, "on_raw_data",
                                            [&] { handler(connection_.handle(), piece, last); });
    delivered(!fine, last);
    return;
  }
  if (block) block->retain();
  connection_.retain();
  auto threw = std::make_shared<bool>(false);
  PoolQueue::Event event;
  event.bytes = piece.size();
  event.work = [connection = &connection_, &dispatcher, &handler, piece, last, threw] {
    if (!handler) return;
    *threw = !dispatcher.call(*connection, "on_raw_data",
                              [&] { handler(connection->handle(), piece, last); });
  };
  event.done = [connection = &connection_, block, last, threw] {
    if (block) block->release();
    if (RawStream* stream = of(*connection)) stream->delivered(*threw, last);
    connection->release();
  };
  dispatcher.submit(connection_, std::move(event));
}

// The handler has run.
void RawStream::delivered(bool threw, bool last) {
  if (ended_) return;
  if (threw) {
    connection_.abort(Errc::handler_threw);
  } else if (last) {
    finish();  // the peer has ended its side and what there was to answer is queued
  }
}

}  // namespace sluice::core
