// front/wire/http2_tunnel.hpp - a WebSocket on a stream of HTTP/2.
//
// RFC 8441: an extended CONNECT. For core it is a connection like any other, with an id, handles
// and a byte stream of its own; its bytes are those of the stream, its peer and TLS those of the
// connection that carries it. Layer: front/wire. Thread: shard, or as core::Connection says.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "core/connection.hpp"
#include "core/front.hpp"

namespace sluice::wire {

class Connection;
class Http2Stream;

class Http2Tunnel final : public core::Connection {
 public:
  // Registered, with one use, which end() gives back. std::bad_alloc.
  static Http2Tunnel* make(Connection& carrier, Http2Stream& port);

  // Core's: bytes that have come. The end of them.
  void receive(base::Block& block, std::span<std::byte> bytes);
  void receive_end();
  // Its stream is over.
  void end(const Error& why) noexcept;
  void drain(std::uint16_t close_code);

  // core::Connection
  const TlsInfo* tls() const override;
  void disconnect(const Error& why) override;
  void pool_pause() override;
  void pool_resume() override;

  // core::ByteStream
  std::byte* reserve(std::size_t bytes) override;
  void commit(std::size_t bytes, core::Marks marks) override;
  void write(Bytes bytes) override;
  void write_block(base::Block& block, Bytes part, core::Marks marks) override;
  void write_shared(const base::SharedBytes& bytes, core::Marks marks) override;
  void tell_when_sent(std::shared_ptr<core::Receipt> receipt) override;
  // What is written leaves in a push of its own, when nobody walks through all connections.
  void cork() override {}
  void uncork() override {}
  std::size_t drop_oldest(std::size_t room) override;
  std::size_t drop(core::Marks marks) override;
  bool is_held() const override;
  bool is_rationed() const override;
  std::size_t droppable(core::Marks marks) const override;
  std::size_t queued() const override;
  void want_writable() override;
  void pause_reading() override;
  void resume_reading() override;
  void set_deadline(std::uint64_t milliseconds) override;
  void finish(std::uint64_t linger_milliseconds, bool until_peer_ends) override;
  void abort(const Error& why) override;

 private:
  Http2Tunnel(Connection& carrier, Http2Stream& port);
  ~Http2Tunnel() override;
  std::size_t budget() const;
  core::Marks kept(core::Marks marks) const;
  void written();
  void no_memory();

  Connection& carrier_;  // one use
  Http2Stream* port_;    // null: it is over
};

}  // namespace sluice::wire
