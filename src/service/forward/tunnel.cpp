// service/forward/tunnel.cpp - see tunnel.hpp.
#include "service/forward/tunnel.hpp"

#include <algorithm>
#include <utility>

#include "core/session.hpp"
#include "core/shard.hpp"

namespace sluice::service {
namespace {

// How long a client may take for what is under way when the server has ended.
constexpr std::uint64_t kLinger = 5'000;
// It fits into a block of 16 KiB.
constexpr std::size_t kPiece = 16 * 1024 - 128;

}  // namespace

Tunnel::Tunnel(core::Connection& connection, core::UpstreamCall& call, PeerRef peer)
    : connection_(connection), call_(&call), peer_(std::move(peer)) {}

Tunnel::~Tunnel() { let_go(); }

void Tunnel::let_go() {
  if (core::UpstreamCall* call = std::exchange(call_, nullptr)) call->cancel();
  if (peer_) peer_->active.fetch_sub(1, std::memory_order_relaxed);
  peer_.reset();
}

void Tunnel::on_bytes(base::Block&, std::span<std::byte> bytes) {
  if (call_ && !call_->write(bytes)) connection_.pause_reading();
}

void Tunnel::on_room() { connection_.resume_reading(); }

void Tunnel::on_end() {
  if (call_) call_->end({});
}

// Copied: what waits for slow clients must not be all that the shard receives into.
void Tunnel::on_piece(base::Block&, std::span<std::byte> piece) {
  for (Bytes left = piece; !left.empty();) {
    const Bytes part = left.first(std::min(left.size(), kPiece));
    connection_.write(part);
    left = left.subspan(part.size());
  }
  if (!call_ || connection_.queued() < connection_.shard().settings().limits.send_queue_bytes) {
    return;
  }
  connection_.want_writable();
  call_->pause();
}

void Tunnel::on_writable() {
  if (call_) call_->resume();
}

void Tunnel::on_drain(std::uint16_t) { end_client(); }

void Tunnel::on_ended(const Error&) { let_go(); }

void Tunnel::on_end(std::string_view) {
  call_ = nullptr;
  end_client();
}

void Tunnel::on_failed(const Error& why, bool) {
  call_ = nullptr;
  connection_.shard().session.log(LogLevel::info, why.code,
                                  "a forwarded WebSocket has ended: " + why.message());
  end_client();
}

void Tunnel::end_client() {
  let_go();
  connection_.finish(kLinger, true);
}

}  // namespace sluice::service
