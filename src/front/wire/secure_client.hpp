// front/wire/secure_client.hpp - TLS of a client that has connected to us.
//
// Layer: front/wire. Thread: shard; info() any.
#pragma once

#include <atomic>
#include <memory>

#include <sluice/tls_info.hpp>

#include "front/wire/secure.hpp"

namespace sluice::wire {

class Connection;

class SecureClient final : public Secure {
 public:
  // std::bad_alloc; the connection has it from then on.
  static std::unique_ptr<SecureClient> make(Connection& connection,
                                            std::shared_ptr<const tls::Context> context);
  // Null until the handshake is done.
  const TlsInfo* info() const { return published_.load(std::memory_order_acquire); }

 private:
  SecureClient(Connection& connection, std::unique_ptr<tls::Session> session);

  void begin_event() override;
  void plain(const io::Received& received) override;
  void end_event() override;
  bool wants_more() const override;
  void opened() override;
  void refused(const tls::Failure& why) override;
  void want_to_go_on() override;
  void broken() override;
  void sent(std::uint64_t bytes) override;
  void ended(bool truncated) override;
  void closed(const Error& why) override;

  Connection& connection_;
  std::unique_ptr<TlsInfo> info_;
  std::atomic<const TlsInfo*> published_{nullptr};
};

}  // namespace sluice::wire
