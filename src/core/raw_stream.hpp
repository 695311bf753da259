// core/raw_stream.hpp - a connection whose bytes are the application's own protocol.
//
// What on_unknown_protocol accepted. Layer: core. Thread: shard.
#pragma once

#include <span>
#include <string_view>

#include <sluice/connection.hpp>

#include "base/block.hpp"
#include "core/connection.hpp"
#include "core/front.hpp"

namespace sluice::core {

class RawStream final : public StreamEvents {
 public:
  static StreamPtr make(Connection& connection);
  // That of the connection, if it is one.
  static RawStream* of(const Connection& connection) {
    return dynamic_cast<RawStream*>(connection.stream.get());
  }

  // would_block: more waits than limits.send_queue_bytes. `last`: then the connection ends.
  SendStatus send(Bytes bytes, bool last);

  void on_bytes(base::Block& block, std::span<std::byte> bytes) override;
  void on_end() override;
  void on_writable() override {}
  void on_drain(std::uint16_t close_code) override;
  void on_timer() override {}
  void on_ended(const Error& why) override;

 private:
  explicit RawStream(Connection& connection) : connection_(connection) {}
  void deliver(base::Block* block, Bytes piece, bool last);
  void delivered(bool threw, bool last);
  void finish();

  Connection& connection_;
  bool finishing_ = false, ended_ = false, last_told_ = false;
};

}  // namespace sluice::core
