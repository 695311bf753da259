// service/forward/tunnel.hpp - a WebSocket that somebody else serves: bytes, both ways.
//
// Layer: service. Thread: shard.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "core/connection.hpp"
#include "core/front.hpp"
#include "core/upstream.hpp"
#include "service/forward/peers.hpp"

namespace sluice::service {

// Frames are not looked at: what one side says, its close code too, the other hears. When one ends,
// the other gets what is under way, then its own end.
class Tunnel final : public core::StreamEvents, public core::UpstreamEvents {
 public:
  // Counts for `peer` until it ends.
  Tunnel(core::Connection& connection, core::UpstreamCall& call, PeerRef peer);

  // core::StreamEvents: the client.
  void on_bytes(base::Block& block, std::span<std::byte> bytes) override;
  void on_end() override;
  void on_writable() override;
  void on_drain(std::uint16_t close_code) override;
  void on_timer() override {}
  void on_ended(const Error& why) override;

  // core::UpstreamEvents: the server.
  void on_connected() override {}
  void on_interim(const http::ResponseHead&) override {}
  void on_response(const http::ResponseHead&) override {}
  void on_piece(base::Block& block, std::span<std::byte> piece) override;
  void on_room() override;
  void on_end(std::string_view trailer_lines) override;
  void on_failed(const Error& why, bool answered) override;

 private:
  ~Tunnel() override;
  void end_client();
  void let_go();

  core::Connection& connection_;
  core::UpstreamCall* call_;
  PeerRef peer_;
};

}  // namespace sluice::service
